# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a certification's way is found; what is certified, read back.

On real Butler repositories, which these tests share: one whose registry is a
file of SQLite's, and one on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import shutil
import signal
import sqlite3
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, DatasetRef, DatasetType, Timespan
from lsst.daf.butler._registry_shim import RegistryShim
from lsst.daf.butler.queries import Query
from lsst.ts.calibrationscripts.butler._visiting import visit
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import AmplifierDefects, Certification, Gain, PreviousDefects
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ExposureRecord, Lookup, Missing, ObservatoryError, Wanted
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from lsst.ts.calibrationscripts.proof import Proof
from lsst.ts.calibrationscripts.record import JobRecord
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.products import Box, Defects, PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import (
    create_repository,
    read_focal_plane,
)
from postgres import PATIENCE, Database, wait_until

DAY = datetime.date(2022, 9, 29)
EXPOSURES = (2022092900001, 2022092900002)
FIRST = datetime.datetime(2022, 9, 29, 14, tzinfo=datetime.UTC).timestamp()
"""When the first began: TAI, as a Unix timestamp (s)."""

DATA_ID = {"instrument": "LATISS", "detector": 0}
OF_RUN = {"instrument": "LATISS"}
CALIBRATIONS = "dataset_calibs_%"
"""Tables of what is certified."""

REGISTRY_CERTIFY = f"{RegistryShim.__module__}.RegistryShim.certify"

Lock = Callable[[], AbstractContextManager[None]]

RED, BLUE = "SDSSr_65mm~empty_1", "SDSSg_65mm~empty_1"


# For what does not depend on the database: each visit opens a Butler.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory, database: Database | None) -> Path:
    """Make a repository with two raws, which no test changes but by adding."""
    folder = tmp_path_factory.mktemp("repository")
    repo = folder / "repo"
    create_repository(repo, LATISS, scale=16, registry=database and database.url)
    ccd = read_focal_plane(repo, LATISS).ccds[0]
    for i, exposure in enumerate(EXPOSURES):
        ingest_raw(repo, make_raw(folder, ccd, exposure, 10 * i), LATISS)
    return repo


def group_of(exposure: int) -> str:
    return f"2022-09-29T14:00:00.000#{exposure % 100_000}"


def make_raw(folder: Path, ccd: CcdModel, exposure: int, second: int) -> Path:
    begin = Time(datetime.datetime(DAY.year, DAY.month, DAY.day, 14, 0, second), scale="tai")
    obs_id = f"AT_O_{DAY:%Y%m%d}_{exposure % 100_000:06d}"
    header = RawHeader(LATISS, obs_id, "FLAT", 5.0, begin, begin, group_id=group_of(exposure))
    path = folder / f"{header.obs_id}.fits"
    write_raw(path, ccd.expose("FLAT", 5.0, exposure, "empty_1~empty_1"), header, ccd)
    return path


@pytest.fixture(scope="module")
def butler(repo: Path) -> Iterator[Butler]:
    with Butler.from_config(str(repo), writeable=True) as butler:
        yield butler


@pytest.fixture
def repository(repo: Path) -> ButlerRepository:
    return ButlerRepository(str(repo), LATISS, (0,))


@pytest.fixture(scope="module")
def job(butler: Butler) -> str:
    """Return the output collection of a job that has made bias and flat."""
    name = "u/ocps/5e1ec7ed"
    run = f"{name}/run"
    butler.collections.register(run)
    for dataset_type, extra in (("bias", {}), ("flat", {"physical_filter": RED})):
        data_id = DATA_ID | extra
        product = butler.get(dataset_type, data_id, collections="LATISS/calib/reference")
        butler.put(product, dataset_type, data_id, run=run)
    butler.collections.register(name, CollectionType.CHAINED)
    # As with a job's own chain, what it read comes after what it made.
    butler.collections.redefine_chain(name, [run, "LATISS/calib/reference"])
    return name


JOB = JobRecord(
    StageId(StageKind.GENERATE, Subject(Product.BIAS)),
    "5e1ec7ed",
    JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), EXPOSURES),
)


@pytest.fixture(autouse=True)
def visits_end() -> Iterator[Callable[[], None]]:
    """Return how to wait for the threads of visits that were given up.

    None is left after a test.
    """
    before = set(threading.enumerate())

    def wait() -> None:
        for thread in set(threading.enumerate()) - before:
            # The event loop keeps those of its own for other work.
            if thread.name.startswith("asyncio_"):
                continue
            thread.join(PATIENCE)
            assert not thread.is_alive()

    yield wait
    wait()


@pytest.fixture
def daily() -> str:
    """Return a calib_collection of the test's own."""
    return f"LATISS/calib/daily/{uuid.uuid4().hex}"


def put(butler: Butler, name: str, dimensions: set[str], storage: str, run: str, items: Any) -> None:
    """Store datasets of a type that comes with a job."""
    dataset_type = DatasetType(name, dimensions, storage, universe=butler.dimensions)
    butler.registry.registerDatasetType(dataset_type)
    butler.collections.register(run)
    for data_id, item in items:
        butler.put(item, dataset_type, data_id, run=run)


def certification(
    collection: str,
    dataset_type: str = "bias",
    begin: str = "2022-01-01",
    end: str = "2023-01-01",
    source: str = "",
    physical_filter: str | None = None,
) -> Certification:
    return Certification(dataset_type, source, collection, begin, end, physical_filter)


async def proof_of(repository: ButlerRepository, certification: Certification) -> Proof:
    """Return as proven what a job has made."""
    source = certification.source
    run = f"{source}/run" if source.count("/") == 2 and source[0] == "u" else source
    made = await repository.products(certification.dataset_type, run)
    return Proof(Subject(Product.BIAS), certification, made, (), JOB, None, ())


async def certify(repository: ButlerRepository, *certifications: Certification) -> None:
    """Certify all that a job has made."""
    await repository.certify(*[await proof_of(repository, each) for each in certifications])


async def is_certified(repository: ButlerRepository, certification: Certification) -> bool:
    return await repository.is_certified(await proof_of(repository, certification))


# What would fail later


async def test_nothing_stands_in_the_way_of_a_first_certification(
    repository: ButlerRepository, daily: str
) -> None:
    wanted = [
        certification(daily, name, physical_filter=RED if name == "flat" else None)
        for name in ("bias", "dark", "flat", "no_such_type_yet")
    ]
    assert await repository.check({"LATISS/calib", "LATISS/raw/all"}, wanted) == ()


def test_a_job_may_have_more_than_a_thousand_exposures(butler: Butler) -> None:
    # Given the ids of many exposures, of which the repository has the first
    wanted = tuple(range(EXPOSURES[0], EXPOSURES[0] + 2000))
    request = JobRequest("cpBias.yaml", ("LATISS/raw/all",), (), "LATISS", (0,), wanted)
    # When the Butler reads its query, as pipetask does
    raws = butler.query_datasets("raw", collections=request.inputs, where=request.data_query)
    assert {raw.dataId["exposure"] for raw in raws} == set(EXPOSURES)


async def test_missing_input_collections_are_named(repository: ButlerRepository, repo: Path) -> None:
    problems = await repository.check({"LATISS/calib", "LATISS/calib/weekly", "LATISS/clib"}, [])
    assert problems == (
        f"input collection LATISS/calib/weekly does not exist in {repo}",
        f"input collection LATISS/clib does not exist in {repo}",
    )


@on_sqlite
@pytest.mark.parametrize("kind", [CollectionType.RUN, CollectionType.TAGGED, CollectionType.CHAINED])
async def test_a_collection_of_another_type_cannot_be_certified_into(
    repository: ButlerRepository, butler: Butler, daily: str, kind: CollectionType
) -> None:
    butler.collections.register(daily, kind)
    wanted = [certification(daily, "bias"), certification(daily, "dark")]
    (problem,) = await repository.check((), wanted)
    assert problem.startswith(f"calib_collection {daily} is a {kind.name} collection")
    assert "another name" in problem


@pytest.mark.parametrize(
    ("begin", "end", "is_free"),
    [
        ("2022-01-01", "2023-01-02", False),
        ("2022-12-31T23:59:59", "2030-01-01", False),
        ("1950-01-01", "2050-01-01", False),
        ("2023-01-01", "2024-01-01", True),
        ("1950-01-01", "2022-01-01", True),
    ],
)
async def test_a_validity_range_that_is_taken_is_found(
    repository: ButlerRepository, job: str, daily: str, begin: str, end: str, is_free: bool
) -> None:
    # Given a bias that is certified for 2022.
    await certify(repository, certification(daily, source=job))
    # When another is to be certified.
    wanted = [certification(daily, name, begin, end) for name in ("bias", "dark")]
    problems = await repository.check((), wanted)
    # Then it is told what stands in the way, and what to write instead.
    if is_free:
        assert problems == ()
        await certify(repository, certification(daily, "bias", begin, end, job))
        return
    (problem,) = problems
    assert "bias, valid [2022-01-01T00:00:00, 2023-01-01T00:00:00)" in problem
    assert "dark" not in problem
    for word in (daily, begin, end, "another calib_collection", "certify_calib_begin_date"):
        assert word in problem
    with pytest.raises(ObservatoryError, match="ConflictingDefinitionError"):
        await certify(repository, certification(daily, "bias", begin, end, job))


async def test_a_bias_that_is_valid_for_ever_is_in_the_way(repository: ButlerRepository) -> None:
    (problem,) = await repository.check((), [certification("LATISS/calib")])
    assert "bias, valid (-∞, ∞)" in problem


@on_sqlite
async def test_a_raw_frame_is_measured_as_the_model_made_it(repo: Path, repository: ButlerRepository) -> None:
    truth = read_focal_plane(repo, LATISS).ccds[0].truth
    measures = await repository.measure_raw(EXPOSURES[0])

    assert [each.amplifier for each in measures] == list(LATISS.detectors[0].amplifiers)
    for each in measures:
        # All levels of a frame move by some ADU together.
        assert each.overscan == pytest.approx(truth.bias_level[each.amplifier], abs=10)
        noise = truth.read_noise[each.amplifier] / truth.gain[each.amplifier]
        assert each.read_noise == pytest.approx(noise, rel=0.15)
        # The lamp gives 4800 electron/s, less in the corners.
        assert each.level * truth.gain[each.amplifier] == pytest.approx(5 * 4800, rel=0.08)
        assert each.noise > 10 * each.read_noise and each.saturated == 0.0
        assert len(each.blocks) == 16 and min(each.blocks) < 0 < max(each.blocks)


@on_sqlite
async def test_a_frame_that_cannot_be_read_is_an_error_that_names_it(repository: ButlerRepository) -> None:
    with pytest.raises(ObservatoryError, match="could not measure the raw frame of exposure 2022092999999"):
        await repository.measure_raw(2022092999999)


@on_sqlite
async def test_all_conflicts_of_a_collection_are_one_problem(repository: ButlerRepository) -> None:
    wanted = [certification("LATISS/calib", name) for name in ("bias", "dark", "flat")]
    (problem,) = await repository.check((), wanted)
    assert all(f"{name}, valid" in problem for name in ("bias", "dark", "flat"))


@on_sqlite
@pytest.mark.parametrize(
    ("physical_filter", "is_free"),
    [(RED, False), ("SDSSr_65mm~empty", False), (BLUE, True), (None, False)],
)
async def test_flats_of_another_filter_are_not_in_the_way(
    repository: ButlerRepository, job: str, daily: str, physical_filter: str | None, is_free: bool
) -> None:
    await certify(repository, certification(daily, "flat", source=job))
    wanted = certification(daily, "flat", physical_filter=physical_filter)
    problems = await repository.check((), [wanted])
    assert (problems == ()) == is_free


@on_sqlite
async def test_calibrations_of_other_detectors_are_not_in_the_way(repo: Path) -> None:
    other = ButlerRepository(str(repo), LATISS, (1,))
    assert await other.check((), [certification("LATISS/calib")]) == ()


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
async def test_a_repository_that_cannot_be_read_is_one_problem(tmp_path: Path, kind: str) -> None:
    repo = tmp_path / "repo"
    if kind == "empty":
        repo.mkdir()
    elif kind == "file":
        repo.write_text("nothing of a Butler")
    repository = ButlerRepository(str(repo), LATISS, (0,))
    (problem,) = await repository.check({"LATISS/calib"}, [certification("LATISS/calib/daily")])
    assert problem.startswith(f"{repo}: could not look at the collections: ")
    assert problem.endswith("Check the configuration key 'repo'")
    with pytest.raises(ObservatoryError, match="could not look for raw frames"):
        await repository.raws([EXPOSURES[0]])


@pytest.fixture
def read_only(database: Database | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process no more than the right to read databases."""
    if database is not None:
        monkeypatch.setenv("PGUSER", database.create_reader())
        return
    connect = sqlite3.connect

    def connect_to_read(target: str, **kwargs: Any) -> sqlite3.Connection:
        return connect(target.replace("mode=rwc", "mode=ro"), **kwargs)

    monkeypatch.setattr(sqlite3, "connect", connect_to_read)


@pytest.mark.usefixtures("read_only")
async def test_a_repository_that_cannot_be_written_is_found_before_the_first_exposure(
    repository: ButlerRepository, repo: Path, daily: str
) -> None:
    (problem,) = await repository.check({"LATISS/calib"}, [certification(daily)])
    assert problem.startswith(f"{repo}: could not write into the registry: ")
    assert "attempt to write a readonly database" in problem or "permission denied for table" in problem
    assert problem.endswith("have the permissions of the repository fixed")
    # It is none where nothing is to be certified.
    assert await repository.check({"LATISS/calib"}, []) == ()


async def test_a_check_leaves_the_repository_as_it_is(
    repository: ButlerRepository, butler: Butler, daily: str
) -> None:
    def collections() -> dict[str, str | None]:
        butler.registry.refresh()
        names = butler.collections.query("*")
        return {name: butler.registry.getCollectionDocumentation(name) for name in names}

    before = collections()
    assert await repository.check({"LATISS/calib"}, [certification(daily)]) == ()
    assert collections() == before


@on_sqlite
async def test_a_disk_that_is_nearly_full_is_found_before_the_first_exposure(
    repository: ButlerRepository, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(repo)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    (problem,) = await repository.check({"LATISS/calib"}, [])
    assert problem.startswith(f"{repo}: only 5 MB are left on its disk")


@on_sqlite
async def test_a_repository_that_does_not_answer_is_given_up(
    repository: ButlerRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ButlerRepository, "TIMEOUT", 0.0)
    with pytest.raises(ObservatoryError, match="could not look for raw frames within 0 s"):
        await repository.raws(EXPOSURES)


# What jobs will look up


def lookup(
    dataset_type: str,
    *collections: str,
    times: tuple[tuple[float, float], ...] = ((FIRST, FIRST + 5), (FIRST + 10, FIRST + 15)),
    physical_filter: str | None = None,
) -> Lookup:
    """Return what a job looks up for both exposures, if not others."""
    return Lookup(dataset_type, collections, times, physical_filter)


@pytest.fixture
def certify_reference(butler: Butler, daily: str) -> Callable[..., None]:
    """Return what certifies a reference again, into the test's collection."""
    butler.collections.register(daily, CollectionType.CALIBRATION)

    def certify(name: str, begin: float | None, end: float | None, **data_id: str) -> None:
        refs = butler.query_datasets(name, collections="LATISS/calib/reference", data_id=OF_RUN | data_id)
        limits = [None if time is None else Time(time, format="unix_tai") for time in (begin, end)]
        butler.registry.certify(daily, refs, Timespan(*limits))

    return certify


async def test_what_jobs_need_is_in_the_references(repository: ButlerRepository) -> None:
    names = ("bias", "dark", "defects", "ptc", "crosstalk", "linearizer", "bfk", "cti")
    wanted = [lookup(name, "LATISS/calib") for name in names]
    assert await repository.unavailable([*wanted, lookup("flat", "LATISS/calib", physical_filter=RED)]) == {}


async def test_a_prerequisite_that_is_not_certified_is_missed(
    repository: ButlerRepository, certify_reference: Callable[..., None], daily: str
) -> None:
    certify_reference("crosstalk", None, None)
    there, missing = lookup("crosstalk", daily), lookup("linearizer", daily)
    elsewhere, unknown = lookup("linearizer", "u/no/such", daily), lookup("no_such_type", "LATISS/calib")
    # Another check names collections that do not exist.
    nowhere = lookup("crosstalk", "u/no/such")
    found = await repository.unavailable([there, missing, elsewhere, unknown, nowhere])
    assert found == dict.fromkeys((missing, elsewhere, unknown), (0,))


@pytest.mark.parametrize(
    ("begin", "end", "is_there"),
    [
        (FIRST - 3600, FIRST + 3600, True),
        # The second exposure has begun, or the first has not ended.
        (None, FIRST + 10.5, True),
        (FIRST + 4.5, None, True),
        (None, FIRST, False),
        # One of the two has none.
        (None, FIRST + 10, False),
        (FIRST + 5, None, False),
        (FIRST + 86400, None, False),
    ],
)
@on_sqlite
async def test_a_validity_that_misses_the_frames_is_found_before_them(
    repository: ButlerRepository,
    certify_reference: Callable[..., None],
    daily: str,
    begin: float | None,
    end: float | None,
    is_there: bool,
) -> None:
    certify_reference("cti", begin, end)
    assert await repository.unavailable([lookup("cti", daily)]) == (
        {} if is_there else {lookup("cti", daily): (0,)}
    )


async def test_two_ranges_may_hold_the_frames_between_them(
    repository: ButlerRepository, certify_reference: Callable[..., None], daily: str
) -> None:
    certify_reference("cti", None, FIRST + 8)
    instant = lookup("cti", daily, times=((FIRST + 9, FIRST + 9),))
    assert await repository.unavailable([lookup("cti", daily), instant]) == {
        lookup("cti", daily): (0,),
        instant: (0,),
    }
    certify_reference("cti", FIRST + 8, None)
    assert await repository.unavailable([lookup("cti", daily), instant]) == {}


async def test_a_prerequisite_of_another_detector_does_not_help(repo: Path) -> None:
    both = ButlerRepository(str(repo), LATISS, (0, 1))
    assert await both.unavailable([lookup("bfk", "LATISS/calib")]) == {lookup("bfk", "LATISS/calib"): (1,)}


async def test_a_flat_of_another_filter_does_not_help(
    repository: ButlerRepository, certify_reference: Callable[..., None], daily: str
) -> None:
    certify_reference("flat", None, None, physical_filter=RED)
    red, blue = (lookup("flat", daily, physical_filter=name) for name in (RED, BLUE))
    # The spectrograph's name, and one that is not known.
    same, some = (lookup("flat", daily, physical_filter=name) for name in ("SDSSr_65mm~empty", None))
    assert await repository.unavailable([red, blue, same, some]) == {blue: (0,)}


async def test_a_prerequisite_may_be_in_a_run_or_deep_in_a_chain(
    repository: ButlerRepository, butler: Butler, daily: str, certify_reference: Callable[..., None]
) -> None:
    certify_reference("cti", None, None)
    for name, child in ((f"{daily}/inner", daily), (f"{daily}/outer", f"{daily}/inner")):
        butler.collections.register(name, CollectionType.CHAINED)
        butler.collections.redefine_chain(name, [child])
    wanted = [lookup("cti", f"{daily}/outer"), lookup("dark", "LATISS/calib/reference")]
    assert await repository.unavailable(wanted) == {}


@pytest.mark.parametrize("collections", [("LATISS/calib",), ("LATISS/calib", "LATISS/calib/reference")])
async def test_there_is_one_query_for_each_dataset_type(
    repository: ButlerRepository, monkeypatch: pytest.MonkeyPatch, collections: tuple[str, ...]
) -> None:
    n_queries: list[str] = []
    search = Query.join_dataset_search

    def count(query: Query, dataset_type: Any, *args: Any, **kwargs: Any) -> Query:
        n_queries.append(dataset_type.name)
        return search(query, dataset_type, *args, **kwargs)

    monkeypatch.setattr(Query, "join_dataset_search", count)
    times = [((FIRST + i, FIRST + i + 1),) for i in range(20)]
    wanted = [lookup(name, *collections, times=each) for name in ("bias", "cti") for each in times]
    assert await repository.unavailable(wanted) == {}
    assert n_queries == ["bias", "cti"]


# What is in it


async def test_raws_are_found_by_exposure(repository: ButlerRepository) -> None:
    assert await repository.raws([*EXPOSURES, 2022092999999]) == {(exposure, 0) for exposure in EXPOSURES}
    assert await repository.raws(EXPOSURES[:1]) == {(EXPOSURES[0], 0)}
    assert await repository.raws([2022092999999]) == frozenset()
    assert await repository.raws([]) == frozenset()


async def test_an_exposure_is_found_by_its_group(repository: ButlerRepository) -> None:
    assert await repository.exposure_of_group(group_of(EXPOSURES[1])) == EXPOSURES[1]
    assert await repository.exposure_of_group("2022-09-29T14:00:00.000#9") is None
    assert await repository.exposure_of_group("it's one") is None


async def test_exposures_are_known_by_their_records(repository: ButlerRepository) -> None:
    assert await repository.exposure_records([*EXPOSURES, 2022092999999]) == {
        exposure: ExposureRecord(
            "FLAT", 5.0, "empty_1~empty_1", group_of(exposure), FIRST + 10 * i, FIRST + 10 * i
        )
        for i, exposure in enumerate(EXPOSURES)
    }
    assert await repository.exposure_records([]) == {}


@on_sqlite
async def test_what_a_job_has_not_made_is_named_by_detector_and_exposure(
    repository: ButlerRepository, repo: Path, butler: Butler, job: str
) -> None:
    run = f"{job}/run"
    assert await repository.missing(Wanted("bias"), run) == ()
    assert await repository.missing(Wanted("flat"), run) == ()
    statistics = Wanted("verifyDarkStats", by_detector=False)
    assert await repository.missing(statistics, run) == (Missing(),)
    put(butler, "verifyDarkStats", {"instrument"}, "StructuredDataDict", run, [(OF_RUN, {})])
    assert await repository.missing(statistics, run) == ()
    for absent, where in (("dark", run), ("no_such_type", run), ("bias", "u/ocps/none/run")):
        assert await repository.missing(Wanted(absent), where) == (Missing(0),)
    both = ButlerRepository(str(repo), LATISS, (0, 1))
    assert await both.missing(Wanted("bias"), run) == (Missing(1),)


async def test_what_is_put_again_is_later_than_what_was_made_from_it(
    repository: ButlerRepository, butler: Butler
) -> None:
    # Given a bias and then what verified it, as PostgreSQL and SQLite date it
    made, verified = (f"u/ocps/{uuid.uuid4().hex}/run" for _ in range(2))
    for run in (made, verified):
        butler.collections.register(run)
    bias = butler.get("bias", DATA_ID, collections="LATISS/calib/reference")
    first = butler.put(bias, "bias", DATA_ID, run=made)
    put(
        butler,
        "verifyBiasStats",
        {"instrument"},
        "StructuredDataDict",
        verified,
        [(OF_RUN, {"SUCCESS": True})],
    )
    types = ("verifyBiasIsrExp", "verifyBiasStats", "unknown")
    since = await repository.first_written(types, verified)
    [product] = await repository.products("bias", made)
    assert since is not None and product.written is not None
    assert 0 < since - product.written < 3600
    assert abs(Time.now().unix_tai - since) < 3600
    # When the bias is replaced
    butler.pruneDatasets([first], disassociate=True, unstore=True, purge=True)
    butler.put(bias, "bias", DATA_ID, run=made)
    # Then it is later
    [product] = await repository.products("bias", made)
    assert product.written is not None and product.written > since
    assert await repository.first_written(types, made) is None


async def test_a_pair_of_flats_has_its_result_on_either_exposure(
    repository: ButlerRepository, butler: Butler
) -> None:
    first, second = EXPOSURES
    dimensions = {"instrument", "exposure", "detector"}
    items = [(DATA_ID | {"exposure": second}, {"a": 1})]
    put(butler, "pairResult", dimensions, "StructuredDataDict", "u/ocps/pair/run", items)
    found = Wanted("pairResult", exposures=((first, second),))
    assert await repository.missing(found, "u/ocps/pair/run") == ()
    lacking = Wanted("pairResult", exposures=((first, second), (first,)))
    assert await repository.missing(lacking, "u/ocps/pair/run") == (Missing(0, (first,)),)


@on_sqlite
async def test_exposures_with_a_dataset_are_those_of_the_collection(
    repository: ButlerRepository, butler: Butler
) -> None:
    run = "u/ocps/cpBiasProc/run"
    put(
        butler,
        "cpBiasProc",
        {"instrument", "detector", "exposure"},
        "StructuredDataDict",
        run,
        [(DATA_ID | {"exposure": EXPOSURES[1]}, {})],
    )
    assert await repository.exposures_with("cpBiasProc", run) == {(EXPOSURES[1], 0)}
    assert await repository.exposures_with("cpBiasProc", "LATISS/calib/reference") == frozenset()
    assert await repository.exposures_with("no_such_type", run) is None
    # That of a job that failed before it had made anything.
    assert await repository.exposures_with("cpBiasProc", "u/ocps/none") == frozenset()


@on_sqlite
async def test_statistics_are_read_as_they_were_written(repository: ButlerRepository, butler: Butler) -> None:
    run = "u/ocps/verifyBiasStats/run"
    statistics = {EXPOSURES[0]: {"FAILURES": ["RXX_S00 C00 NOISE"]}, "SUCCESS": False}
    put(
        butler,
        "verifyBiasStats",
        {"instrument"},
        "StructuredDataDict",
        run,
        [({"instrument": "LATISS"}, statistics)],
    )
    assert await repository.statistics("verifyBiasStats", run) == statistics
    with pytest.raises(ObservatoryError, match="could not read verifyBiasStats from LATISS/calib"):
        await repository.statistics("verifyBiasStats", "LATISS/calib")
    with pytest.raises(ObservatoryError, match="could not read no_such_type from"):
        await repository.statistics("no_such_type", run)
    # Those of another run in a job's chain do not stand in for its own.
    chain = "u/ocps/leftnone"
    butler.collections.register(f"{chain}/run")
    butler.collections.register(chain, CollectionType.CHAINED)
    butler.collections.redefine_chain(chain, [f"{chain}/run", run])
    with pytest.raises(ObservatoryError, match="0 datasets for the run instead of one"):
        await repository.statistics("verifyBiasStats", f"{chain}/run")


@on_sqlite
@pytest.mark.parametrize("at", EXPOSURES)
async def test_gains_are_at_either_exposure_of_a_pair(
    repository: ButlerRepository, butler: Butler, at: int
) -> None:
    # cp_pipe of 2022 (ff196a94) stores a dummy for every other flat, and did
    # not sort them; cp_pipe of today has nothing for them.
    dummy = PhotonTransferCurve(ptcFitType="DUMMY")
    run = f"u/ocps/cpPtcExtract{at}/run"
    measured = PhotonTransferCurve(
        ptcFitType="PARTIAL", gain={"C00": 1.1, "C01": 1.2}, noise={"C00": 7.0, "C01": 8.0}
    )
    put(
        butler,
        "cpPtcExtract",
        {"instrument", "detector", "exposure"},
        "CcdPhotonTransferCurve",
        run,
        [(DATA_ID | {"exposure": i}, measured if i == at else dummy) for i in EXPOSURES],
    )
    assert await repository.gains("cpPtcExtract", run, [(*EXPOSURES, 5.0)]) == (
        Gain(EXPOSURES, 5.0, 0, "C00", 1.1, 7.0),
        Gain(EXPOSURES, 5.0, 0, "C01", 1.2, 8.0),
    )
    assert await repository.gains("cpPtcExtract", run, []) == ()
    with pytest.raises(ObservatoryError, match="could not read cpPtcExtract from"):
        await repository.gains("cpPtcExtract", run, [(EXPOSURES[1] + 1, EXPOSURES[1] + 2, 5.0)])


# Defects, whose class is that of lsst.ip.isr (d2a69bfd) as far as it is used:
# an iteration over what has getBBox()


@pytest.fixture(scope="module")
def found_defects(butler: Butler) -> tuple[str, Defects]:
    """Return the RUN of a job that found a block more than there was."""
    run = "u/ocps/defects/run"
    before = butler.get("defects", DATA_ID, collections="LATISS/calib/reference")
    boxes = (*before.boxes[5:], Box(40, 20, 10, 10), Box(45, 20, 10, 10), Box(45, 20, 1, 1))
    defects = Defects(detector=0, boxes=boxes)
    butler.collections.register(run)
    butler.put(defects, "defects", DATA_ID, run=run)
    return run, defects


@on_sqlite
async def test_defects_are_compared_with_those_that_their_frames_find(
    repository: ButlerRepository, butler: Butler, found_defects: tuple[str, Defects]
) -> None:
    run, defects = found_defects
    (measured,) = await repository.defects("defects", run, ("LATISS/calib",), EXPOSURES[0])
    # Then numbers are those of masks, without the edge,
    reference = butler.find_dataset("defects", DATA_ID, collections="LATISS/calib/reference")
    assert reference is not None
    before = butler.get(reference)
    detector = butler.get("raw", DATA_ID, exposure=EXPOSURES[0], collections="LATISS/raw/all").detector
    now, then = (each.mask(detector.shape) for each in (defects, before))
    inner = np.zeros(detector.shape, bool)
    inner[9:-9, 9:-9] = True
    for amplifier, found in zip(detector, measured.amplifiers, strict=True):
        here = amplifier.section
        assert found == AmplifierDefects(
            amplifier.name,
            n_pixels=inner[here].sum(),
            area=(now & inner)[here].sum(),
            gained=(now & ~then & inner)[here].sum(),
            lost=(then & ~now & inner)[here].sum(),
        )
    assert measured.gained > 100 and measured.lost > 0
    # and it is known what they were compared with.
    assert measured.n_boxes == len(defects)
    assert measured.dataset == str(butler.find_dataset("defects", DATA_ID, collections=run).id)  # type: ignore[union-attr]
    assert measured.previous == PreviousDefects(str(reference.id), "LATISS/calib/reference", len(before))


@on_sqlite
async def test_defects_are_not_compared_with_themselves(
    repository: ButlerRepository, butler: Butler, found_defects: tuple[str, Defects], daily: str
) -> None:
    # Given a run that has certified what it found, and is resumed
    run, _ = found_defects
    butler.collections.register(daily, CollectionType.CALIBRATION)
    refs = butler.query_datasets("defects", collections=run)
    butler.registry.certify(daily, refs, Timespan(None, None))
    chain = f"{daily}/chain"
    butler.collections.register(chain, CollectionType.CHAINED)
    butler.collections.redefine_chain(chain, [daily, "LATISS/calib"])
    for inputs in ((daily, "LATISS/calib"), (chain,)):
        (measured,) = await repository.defects("defects", run, inputs, EXPOSURES[0])
        assert measured.previous is not None and measured.previous.run == "LATISS/calib/reference"


@on_sqlite
async def test_what_is_valid_when_the_frame_begins_is_compared_with(
    repository: ButlerRepository, butler: Butler, found_defects: tuple[str, Defects], daily: str
) -> None:
    # Given earlier defects until the frame begins, and others from then on
    begin = Time(datetime.datetime(2022, 9, 29, 14), scale="tai")
    butler.collections.register(daily, CollectionType.CALIBRATION)
    for name, timespan in (("old", Timespan(None, begin)), ("new", Timespan(begin, None))):
        butler.collections.register(f"{daily}/{name}")
        made = butler.put(Defects(detector=0, boxes=()), "defects", DATA_ID, run=f"{daily}/{name}")
        butler.registry.certify(daily, [made], timespan)
    (measured,) = await repository.defects("defects", found_defects[0], (daily,), EXPOSURES[0])
    assert measured.previous is not None and measured.previous.run == f"{daily}/new"


@on_sqlite
async def test_first_defects_have_nothing_to_be_compared_with(
    repository: ButlerRepository, found_defects: tuple[str, Defects]
) -> None:
    inputs = ("LATISS/calib/not-yet", "LATISS/raw/all")
    (measured,) = await repository.defects("defects", found_defects[0], inputs, EXPOSURES[0])
    assert measured.previous is None
    assert {each.gained for each in measured.amplifiers} == {None}


@on_sqlite
async def test_defects_without_a_raw_frame_cannot_be_measured(
    repository: ButlerRepository, found_defects: tuple[str, Defects]
) -> None:
    with pytest.raises(ObservatoryError, match="exposure 2022092900009 has no raw frame of detector 0"):
        await repository.defects("defects", found_defects[0], ("LATISS/calib",), 2022092900009)
    # A job without defects has none.
    assert await repository.defects("defects", "u/ocps/none/run", (), EXPOSURES[0]) == ()


# Certification


async def test_what_is_certified_is_found_by_date(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    await certify(repository, certification(daily, source=job))
    butler.registry.refresh()
    made = butler.find_dataset("bias", DATA_ID, collections=f"{job}/run")
    found = butler.query_datasets("bias", collections=daily, find_first=False)
    assert made is not None and [ref.id for ref in found] == [made.id]
    # A job that is given an exposure of that year finds it.
    assert butler.get("bias", DATA_ID | {"exposure": EXPOSURES[0]}, collections=daily) is not None


@on_sqlite
async def test_a_run_may_be_certified_without_a_chain(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    await certify(repository, certification(daily, source=f"{job}/run"))
    butler.registry.refresh()
    assert len(butler.query_datasets("bias", collections=daily, find_first=False)) == 1


@on_sqlite
@pytest.mark.parametrize("begin", ["1950-01-01", "1969-12-31T23:59:59", "1970-01-01"])
async def test_a_range_from_before_the_butlers_time_has_no_beginning(
    repository: ButlerRepository, job: str, daily: str, begin: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = certification(daily, "bias", begin, "2050-01-01", job)
    assert await repository.check((), [wanted]) == ()
    await certify(repository, wanted)
    (problem,) = await repository.check((), [dataclasses.replace(wanted, source="")])
    assert "bias, valid (-∞, 2050-01-01T00:00:00)" in problem
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@on_sqlite
async def test_a_job_without_the_product_cannot_be_certified(
    repository: ButlerRepository, job: str, daily: str
) -> None:
    # The references that follow in the chain are not taken for its own.
    with pytest.raises(ObservatoryError, match=rf"could not certify dark into {daily}: .*no dark in {job}"):
        await certify(repository, certification(daily, "dark", source=job))
    with pytest.raises(ObservatoryError, match="could not certify bias into"):
        await certify(repository, certification(daily, "bias", source="u/ocps/none"))
    # Nothing was certified on the way.
    assert await repository.check((), [certification(daily), certification(daily, "dark")]) == ()


@pytest.mark.parametrize(
    ("begin", "end"),
    [("2022-01-01", "2022-07-01"), ("2021-07-01", "2023-07-01"), ("2022-12-31", "2024-01-01")],
)
async def test_a_range_that_overlaps_is_not_taken_for_the_one_that_is_certified(
    repository: ButlerRepository, job: str, daily: str, begin: str, end: str
) -> None:
    wanted = certification(daily, "bias", "2022-01-01", "2023-01-01", job)
    await certify(repository, wanted)
    assert await is_certified(repository, wanted)
    other = dataclasses.replace(wanted, begin_date=begin, end_date=end)
    assert not await is_certified(repository, other)
    # Nor is it certified on top of the other.
    with pytest.raises(ObservatoryError, match="Calibrations were certified for these dates meanwhile"):
        await certify(repository, other)


@on_sqlite
async def test_a_certification_that_cannot_be_read_back_is_an_error(
    repository: ButlerRepository, job: str, daily: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Butler whose certification has no effect.
    monkeypatch.setattr(REGISTRY_CERTIFY, lambda *args: None)
    with pytest.raises(ObservatoryError, match=r"could not read back bias from .* cannot be found"):
        await certify(repository, certification(daily, source=job))


@on_sqlite
async def test_what_a_run_has_certified_is_not_in_its_own_way(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    # Given a run that stopped after the first of two certifications.
    bias = certification(daily, "bias", source=job)
    flat = certification(daily, "flat", source=job, physical_filter=RED)
    assert [await is_certified(repository, each) for each in (bias, flat)] == [False, False]
    await certify(repository, bias)
    # Then another that carries on from it knows which to make.
    assert await repository.check((), [bias, flat]) == ()
    assert [await is_certified(repository, each) for each in (bias, flat)] == [True, False]
    # And only that one counts as certified, for these dates.
    for other in (
        dataclasses.replace(bias, source=""),
        dataclasses.replace(bias, source="u/ocps/none"),
        dataclasses.replace(bias, begin_date="2024-01-01", end_date="2025-01-01"),
        dataclasses.replace(bias, source="LATISS/calib/reference"),
    ):
        assert not await is_certified(repository, other)


async def test_of_several_certifications_all_are_made_or_none(
    repository: ButlerRepository, job: str, daily: str
) -> None:
    bias = certification(daily, "bias", source=job)
    flat = certification(daily, "flat", source=job)
    # Given a flat that another program has certified meanwhile.
    await certify(repository, dataclasses.replace(flat, source="LATISS/calib/reference"))
    with pytest.raises(ObservatoryError, match=f"could not certify bias and flat into {daily}: Confl"):
        await certify(repository, bias, flat)
    assert not await is_certified(repository, bias)
    # And without it.
    later = [
        dataclasses.replace(each, begin_date="2023-01-01", end_date="2024-01-01") for each in (bias, flat)
    ]
    await certify(repository, *later)
    assert [await is_certified(repository, each) for each in later] == [True, True]


async def test_a_conflict_that_arises_in_mid_run_is_told_with_the_way_out(
    repository: ButlerRepository, repo: Path, job: str, daily: str
) -> None:
    wanted = certification(daily, source=job)
    assert await repository.check((), [wanted]) == ()
    await certify(repository, dataclasses.replace(wanted, source="LATISS/calib/reference"))
    with pytest.raises(ObservatoryError) as error:
        await certify(repository, wanted)
    for words in (
        f"{repo}: could not certify bias into {daily}",
        "Calibrations were certified for these dates meanwhile",
        f"butler certify-calibrations {repo} {job} {daily} bias "
        "--begin-date 2022-01-01 --end-date 2023-01-01",
    ):
        assert words in str(error.value)


@on_sqlite
async def test_a_collection_that_was_removed_is_not_made_anew(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    # Given one that a check, and one that a certification has seen.
    checked, certified = daily, f"{daily}/other"
    butler.collections.register(checked, CollectionType.CALIBRATION)
    assert await repository.check((), [certification(checked), certification(certified)]) == ()
    await certify(repository, certification(certified, source=job))
    butler.registry.refresh()
    for collection in (checked, certified):
        butler.collections.x_remove(collection)
        with pytest.raises(
            ObservatoryError, match=f"{collection} existed before and has been removed meanwhile"
        ):
            await certify(repository, certification(collection, "flat", source=job))
        butler.registry.refresh()
        assert collection not in butler.collections.query("*")


@pytest.fixture
def lock(repo: Path, database: Database | None) -> Lock:
    """Return how another connection keeps everybody else from writing."""
    return partial(locked_by_sqlite, repo) if database is None else database.locked


@contextlib.contextmanager
def locked_by_sqlite(repo: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(repo / "gen3.sqlite3", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def test_a_lock_is_waited_for(repository: ButlerRepository, job: str, daily: str, lock: Lock) -> None:
    with lock():
        certifying = asyncio.create_task(certify(repository, certification(daily, source=job)))
        await asyncio.wait({certifying}, timeout=0.5)
        assert not certifying.done()
    await certifying
    assert await is_certified(repository, certification(daily, source=job))


async def test_what_was_given_up_is_not_certified_later(
    repository: ButlerRepository,
    repo: Path,
    job: str,
    daily: str,
    lock: Lock,
    visits_end: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = certification(daily, source=job)
    # Given a collection, so that the lock is what the certification waits for.
    await certify(repository, dataclasses.replace(wanted, begin_date="1990-01-01", end_date="1991-01-01"))
    with lock(), monkeypatch.context() as patch:
        patch.setattr("lsst.ts.calibrationscripts.butler.repository.visit", visit_impatiently)
        with pytest.raises(
            ObservatoryError, match=r"within 1 s\. See whether another program keeps it locked"
        ):
            await certify(repository, wanted)
        (problem,) = await repository.check((), [wanted])
        assert problem.startswith(f"{repo}: could not write into the registry within 1 s")
    # When the lock is free at last, for what was waiting behind it.
    visits_end()
    assert not await is_certified(repository, wanted)


async def visit_impatiently(*args: Any, timeout: float, writeable: bool = False, **kwargs: Any) -> Any:
    return await visit(*args, timeout=1.0 if writeable else timeout, writeable=writeable, **kwargs)


@on_sqlite
async def test_what_a_killed_writer_has_left_is_undone_before_reading(
    repository: ButlerRepository, repo: Path
) -> None:
    # Given a program that was killed as it wrote, so that the file is half
    # written and only who may write can undo it
    writer = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE half_written (text)")
connection.executemany("INSERT INTO half_written VALUES (?)", [("x" * 1000,)] * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", writer, str(repo / "gen3.sqlite3"))
    assert await killed.wait() == -signal.SIGKILL
    assert (repo / "gen3.sqlite3-journal").stat().st_size
    # When the repository is read
    assert not await repository.exposure_records([1])
    # Then that is undone
    assert not (repo / "gen3.sqlite3-journal").exists()


@pytest.mark.parametrize("trouble", ["full", "read-only"])
async def test_a_certification_that_cannot_be_written_says_what_to_do(
    repository: ButlerRepository, job: str, daily: str, trouble: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("full" if trouble == "full" else "read_only")
    remedy = {
        "full": "The disk of the repository is full: make room there. To certify later: butler certify",
        "read-only": "have the permissions of the repository fixed. To certify later: butler certify",
    }[trouble]
    with pytest.raises(ObservatoryError, match=f"could not certify bias into .*{remedy}"):
        await certify(repository, certification(daily, source=job))


@pytest.fixture
def full(database: Database | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no room left for calibrations."""
    if database is None:
        monkeypatch.setattr(REGISTRY_CERTIFY, write_into_full_database)
        yield
        return
    with database.full(*database.tables(CALIBRATIONS)):
        yield


def write_into_full_database(*args: Any) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE calibrations (dataset)")


# What PostgreSQL alone can show: transactions that lock rows of each other


@on_postgresql
async def test_what_was_stopped_in_mid_transaction_is_not_certified_later(
    repository: ButlerRepository,
    database: Database,
    job: str,
    daily: str,
    visits_end: Callable[[], None],
) -> None:
    # Given a bias that has its place already, and a flat that waits for a
    # lock of another.
    bias, flat = (certification(daily, name, source=job) for name in ("bias", "flat"))
    with database.locked(*tables_with(database, "physical_filter")):
        certifying = asyncio.create_task(certify(repository, bias, flat))
        await asyncio.to_thread(wait_until, lambda: database.n_waiting() == 1, "the flat waits")
        # When it is stopped.
        certifying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await certifying
    # Then neither is certified once the lock is free.
    visits_end()
    assert [await is_certified(repository, each) for each in (bias, flat)] == [False, False]
    assert await repository.check((), [bias, flat]) == ()


@on_postgresql
@pytest.mark.parametrize("second_year", ["2022", "2024"])
async def test_certifications_in_opposite_orders_do_not_wait_for_each_other_for_ever(
    repo: Path, repository: ButlerRepository, job: str, daily: str, second_year: str, at_once: list[str]
) -> None:
    # Given two sessions that certify into the same collection at once, each
    # in an order of its own.
    kinds = ["bias", "flat"]
    first = [certification(daily, kind, source=job) for kind in kinds]
    begin, end = f"{second_year}-01-01", f"{int(second_year) + 1}-01-01"
    reference = "LATISS/calib/reference"
    second = [certification(daily, kind, begin, end, reference) for kind in reversed(kinds)]
    other = ButlerRepository(str(repo), LATISS, (0,))
    # When both are in their transactions.
    ended = await asyncio.gather(certify(repository, *first), certify(other, *second), return_exceptions=True)
    # Then both take the same order.
    assert at_once == ["bias", "bias"]
    errors = [error for error in ended if error is not None]
    made = [all([await is_certified(repository, each) for each in wanted]) for wanted in (first, second)]
    # And both are made, or, for the same dates, one of them.
    assert made == [error is None for error in ended]
    if second_year == "2022":
        [error] = errors
        assert isinstance(error, ObservatoryError)
        assert "Calibrations were certified for these dates meanwhile" in str(error)
    else:
        assert errors == []


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have two transactions begin at once; return what they certify first."""
    certify = RegistryShim.certify
    both = threading.Barrier(2)
    begun: dict[int, str] = {}
    firsts: list[str] = []

    def meet(self: RegistryShim, collection: str, refs: list[DatasetRef], timespan: Timespan) -> None:
        if begun.setdefault(threading.get_ident(), kind := refs[0].datasetType.name) == kind:
            firsts.append(kind)
            both.wait(PATIENCE)
        certify(self, collection, refs, timespan)

    monkeypatch.setattr(REGISTRY_CERTIFY, meet)
    return firsts


@on_postgresql
@pytest.mark.parametrize(
    ("collision", "n_times"), [("deadlock", 1), ("deadlock", 2), ("serialization", 1), ("serialization", 2)]
)
async def test_a_transaction_that_was_undone_for_another_is_tried_once_more(
    repository: ButlerRepository,
    database: Database,
    job: str,
    daily: str,
    collision: str,
    n_times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given another program that is in the way of ours after the bias, before
    # the flat.
    bias, flat = (certification(daily, name, source=job) for name in ("bias", "flat"))
    collide = {"deadlock": deadlock, "serialization": overtake}[collision]
    if collision == "serialization":
        monkeypatch.setenv("PGOPTIONS", "-c default_transaction_isolation=serializable")
    collisions: list[str] = []
    certify_really = RegistryShim.certify

    def certify_with_another(
        self: RegistryShim, collection: str, refs: list[DatasetRef], timespan: Timespan
    ) -> None:
        if refs[0].datasetType.name == "flat" and len(collisions) < n_times:
            collisions.append(collection)
            if collision == "serialization" and len(collisions) == 2:
                # What was overtaken is there now, so that it cannot be again.
                fail_to_serialize(self)
            else:
                collide(database, collection)
        certify_really(self, collection, refs, timespan)

    with monkeypatch.context() as patch:
        patch.setattr(REGISTRY_CERTIFY, certify_with_another)
        if n_times == 1:
            # Then one that comes once is not noticed.
            await certify(repository, bias, flat)
        else:
            # And one that comes again is an error with a remedy.
            with pytest.raises(ObservatoryError) as caught:
                await certify(repository, bias, flat)
            assert "Other programs write into the repository at the same time: try again" in str(caught.value)
            assert "To certify later: butler certify-calibrations" in str(caught.value)
    assert len(collisions) == n_times
    is_made = n_times == 1
    assert [await is_certified(repository, each) for each in (bias, flat)] == [is_made, is_made]


def deadlock(database: Database, collection: str) -> None:
    """Have another wait for what this transaction has, with what it needs."""
    [flats] = tables_with(database, "physical_filter")
    [biases] = set(database.tables(CALIBRATIONS)) - {flats}
    holds = threading.Event()

    def hold_and_want() -> None:
        with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {flats} IN EXCLUSIVE MODE")
            holds.set()
            # Until this transaction is undone.
            cursor.execute(f"LOCK TABLE {biases} IN EXCLUSIVE MODE")

    thread = threading.Thread(target=hold_and_want, daemon=True)
    thread.start()
    assert holds.wait(PATIENCE)
    wait_until(lambda: database.n_waiting() == 1, "the other waits")


def overtake(database: Database, collection: str) -> None:
    """Have another write, since this transaction began, what it will write."""
    [row] = database.execute(
        "SELECT collection_id, dataset_type.id FROM collection, dataset_type "
        "WHERE collection.name = %s AND dataset_type.name = 'flat'",
        (collection,),
    )
    database.execute(
        "INSERT INTO collection_summary_dataset_type (collection_id, dataset_type_id) VALUES (%s, %s)", row
    )


def fail_to_serialize(registry: RegistryShim) -> None:
    """Have the server end a transaction as one that it cannot serialize."""
    failure = "DO $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$"
    with registry._registry._db.query(sqlalchemy.text(failure)):
        pass


def tables_with(database: Database, column: str) -> list[str]:
    """Return the tables of certified datasets that have a dimension."""
    return [
        f'"{name}"'
        for (name,) in database.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_name LIKE %s AND column_name = %s",
            (CALIBRATIONS, column),
        )
    ]


@on_postgresql
@pytest.mark.parametrize(
    ("options", "is_locked", "remedy"),
    [
        ("default_transaction_read_only=on", False, "have the permissions of the repository fixed"),
        ("lock_timeout=100ms", True, "Another program keeps the repository locked: see who writes there"),
    ],
)
async def test_what_the_server_refuses_is_explained(
    repository: ButlerRepository,
    database: Database,
    job: str,
    daily: str,
    options: str,
    is_locked: bool,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGOPTIONS", f"-c {options}")
    with database.locked() if is_locked else contextlib.nullcontext():
        (problem,) = await repository.check((), [certification(daily)])
        assert problem.endswith(remedy)
        with pytest.raises(ObservatoryError, match=f"{remedy}. To certify later: butler certify"):
            await certify(repository, certification(daily, source=job))
    monkeypatch.delenv("PGOPTIONS")
    assert not await is_certified(repository, certification(daily, source=job))
