# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a certification's way is found; what is certified, read back.

On a real Butler repository, which these tests share.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, DatasetType
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Certification, Gain
from lsst.ts.calibrationscripts.ports import ExposureRecord, ObservatoryError
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import (
    create_repository,
    read_focal_plane,
)

DAY = datetime.date(2022, 9, 29)
EXPOSURES = (2022092900001, 2022092900002)
DATA_ID = {"instrument": "LATISS", "detector": 0}
OF_RUN = {"instrument": "LATISS"}
RED, BLUE = "SDSSr_65mm~empty_1", "SDSSg_65mm~empty_1"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository with two raws, which no test changes but by adding."""
    folder = tmp_path_factory.mktemp("repository")
    repo = folder / "repo"
    create_repository(repo, LATISS, scale=16)
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


# What would fail later


async def test_nothing_stands_in_the_way_of_a_first_certification(
    repository: ButlerRepository, daily: str
) -> None:
    wanted = [
        certification(daily, name, physical_filter=RED if name == "flat" else None)
        for name in ("bias", "dark", "flat", "no_such_type_yet")
    ]
    assert await repository.check({"LATISS/calib", "LATISS/raw/all"}, wanted) == ()


async def test_missing_input_collections_are_named(repository: ButlerRepository, repo: Path) -> None:
    problems = await repository.check({"LATISS/calib", "LATISS/calib/weekly", "LATISS/clib"}, [])
    assert problems == (
        f"input collection LATISS/calib/weekly does not exist in {repo}",
        f"input collection LATISS/clib does not exist in {repo}",
    )


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
        ("2022-01-01", "2023-01-01", False),
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
    await repository.certify(certification(daily, source=job))
    # When another is to be certified.
    wanted = [certification(daily, name, begin, end) for name in ("bias", "dark")]
    problems = await repository.check((), wanted)
    # Then it is told what stands in the way, and what to write instead.
    if is_free:
        assert problems == ()
        await repository.certify(certification(daily, "bias", begin, end, job))
        return
    (problem,) = problems
    assert "bias, valid [2022-01-01T00:00:00, 2023-01-01T00:00:00)" in problem
    assert "dark" not in problem
    for word in (daily, begin, end, "another calib_collection", "certify_calib_begin_date"):
        assert word in problem
    with pytest.raises(ObservatoryError, match="ConflictingDefinitionError"):
        await repository.certify(certification(daily, "bias", begin, end, job))


async def test_a_bias_that_is_valid_for_ever_is_in_the_way(repository: ButlerRepository) -> None:
    (problem,) = await repository.check((), [certification("LATISS/calib")])
    assert "bias, valid (-∞, ∞)" in problem


async def test_all_conflicts_of_a_collection_are_one_problem(repository: ButlerRepository) -> None:
    wanted = [certification("LATISS/calib", name) for name in ("bias", "dark", "flat")]
    (problem,) = await repository.check((), wanted)
    assert all(f"{name}, valid" in problem for name in ("bias", "dark", "flat"))


@pytest.mark.parametrize(
    ("physical_filter", "is_free"),
    [(RED, False), ("SDSSr_65mm~empty", False), (BLUE, True), (None, False)],
)
async def test_flats_of_another_filter_are_not_in_the_way(
    repository: ButlerRepository, job: str, daily: str, physical_filter: str | None, is_free: bool
) -> None:
    await repository.certify(certification(daily, "flat", source=job))
    wanted = certification(daily, "flat", physical_filter=physical_filter)
    problems = await repository.check((), [wanted])
    assert (problems == ()) == is_free


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
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process no more than the right to read databases."""
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
    assert "attempt to write a readonly database" in problem
    assert problem.endswith("have the permissions of the repository mended")
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


async def test_a_disk_that_is_nearly_full_is_found_before_the_first_exposure(
    repository: ButlerRepository, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(repo)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    (problem,) = await repository.check({"LATISS/calib"}, [])
    assert problem.startswith(f"{repo}: only 5 MB are left on its disk")


async def test_a_repository_that_does_not_answer_is_given_up(
    repository: ButlerRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ButlerRepository, "TIMEOUT", 0.0)
    with pytest.raises(ObservatoryError, match="could not look for raw frames within 0 s"):
        await repository.raws(EXPOSURES)


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
        exposure: ExposureRecord("FLAT", 5.0, "empty_1~empty_1", group_of(exposure)) for exposure in EXPOSURES
    }
    assert await repository.exposure_records([]) == {}


async def test_a_product_is_there_once_it_is_for_each_detector(
    repository: ButlerRepository, repo: Path, butler: Butler, job: str
) -> None:
    assert await repository.product_in("bias", f"{job}/run")
    assert await repository.product_in("flat", f"{job}/run")
    put(butler, "verifyDarkStats", {"instrument"}, "StructuredDataDict", f"{job}/run", [(OF_RUN, {})])
    assert await repository.product_in("verifyDarkStats", f"{job}/run")
    assert not await repository.product_in("dark", f"{job}/run")
    assert not await repository.product_in("no_such_type", f"{job}/run")
    assert not await repository.product_in("bias", "u/ocps/none/run")
    assert not await ButlerRepository(str(repo), LATISS, (0, 1)).product_in("bias", f"{job}/run")


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
    with pytest.raises(ObservatoryError, match=r"could not list cpBiasProc in u/ocps/none: .*u/ocps/none"):
        await repository.exposures_with("cpBiasProc", "u/ocps/none")


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


# Certification


async def test_what_is_certified_is_found_by_date(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    await repository.certify(certification(daily, source=job))
    butler.registry.refresh()
    made = butler.find_dataset("bias", DATA_ID, collections=f"{job}/run")
    found = butler.query_datasets("bias", collections=daily, find_first=False)
    assert made is not None and [ref.id for ref in found] == [made.id]
    # A job that is given an exposure of that year finds it.
    assert butler.get("bias", DATA_ID | {"exposure": EXPOSURES[0]}, collections=daily) is not None


async def test_a_run_may_be_certified_without_a_chain(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    await repository.certify(certification(daily, source=f"{job}/run"))
    butler.registry.refresh()
    assert len(butler.query_datasets("bias", collections=daily, find_first=False)) == 1


@pytest.mark.parametrize("begin", ["1950-01-01", "1969-12-31T23:59:59", "1970-01-01"])
async def test_a_range_from_before_the_butlers_time_has_no_beginning(
    repository: ButlerRepository, job: str, daily: str, begin: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = certification(daily, "bias", begin, "2050-01-01", job)
    assert await repository.check((), [wanted]) == ()
    await repository.certify(wanted)
    (problem,) = await repository.check((), [dataclasses.replace(wanted, source="")])
    assert "bias, valid (-∞, 2050-01-01T00:00:00)" in problem
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_job_without_the_product_cannot_be_certified(
    repository: ButlerRepository, job: str, daily: str
) -> None:
    # The references that follow in the chain are not taken for its own.
    with pytest.raises(ObservatoryError, match=rf"could not certify dark into {daily}: .*no dark in {job}"):
        await repository.certify(certification(daily, "dark", source=job))
    with pytest.raises(ObservatoryError, match="could not certify bias into"):
        await repository.certify(certification(daily, "bias", source="u/ocps/none"))
    # Nothing was certified on the way.
    assert await repository.check((), [certification(daily), certification(daily, "dark")]) == ()


async def test_a_certification_that_cannot_be_read_back_is_an_error(
    repository: ButlerRepository, job: str, daily: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Butler whose certification has no effect.
    monkeypatch.setattr("lsst.daf.butler._registry_shim.RegistryShim.certify", lambda *args: None)
    with pytest.raises(ObservatoryError, match=r"could not read back bias from .* cannot be found"):
        await repository.certify(certification(daily, source=job))


async def test_what_a_run_has_certified_is_not_in_its_own_way(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    # Given a run that stopped after the first of two certifications.
    bias = certification(daily, "bias", source=job)
    flat = certification(daily, "flat", source=job, physical_filter=RED)
    assert [await repository.is_certified(each) for each in (bias, flat)] == [False, False]
    await repository.certify(bias)
    # Then another that carries on from it knows which to make.
    assert await repository.check((), [bias, flat]) == ()
    assert [await repository.is_certified(each) for each in (bias, flat)] == [True, False]
    # And only that one counts as certified, for these dates.
    for other in (
        dataclasses.replace(bias, source=""),
        dataclasses.replace(bias, source="u/ocps/none"),
        dataclasses.replace(bias, begin_date="2024-01-01", end_date="2025-01-01"),
        dataclasses.replace(bias, source="LATISS/calib/reference"),
    ):
        assert not await repository.is_certified(other)


async def test_of_several_certifications_all_are_made_or_none(
    repository: ButlerRepository, job: str, daily: str
) -> None:
    bias = certification(daily, "bias", source=job)
    flat = certification(daily, "flat", source=job)
    # Given a flat that somebody else has certified meanwhile.
    await repository.certify(dataclasses.replace(flat, source="LATISS/calib/reference"))
    with pytest.raises(ObservatoryError, match=f"could not certify bias and flat into {daily}: Confl"):
        await repository.certify(bias, flat)
    assert not await repository.is_certified(bias)
    # And without it.
    later = [
        dataclasses.replace(each, begin_date="2023-01-01", end_date="2024-01-01") for each in (bias, flat)
    ]
    await repository.certify(*later)
    assert [await repository.is_certified(each) for each in later] == [True, True]


async def test_a_conflict_that_arises_in_mid_run_is_told_with_the_way_out(
    repository: ButlerRepository, repo: Path, job: str, daily: str
) -> None:
    wanted = certification(daily, source=job)
    assert await repository.check((), [wanted]) == ()
    await repository.certify(dataclasses.replace(wanted, source="LATISS/calib/reference"))
    with pytest.raises(ObservatoryError) as error:
        await repository.certify(wanted)
    for words in (
        f"{repo}: could not certify bias into {daily}",
        "Somebody has certified for these dates meanwhile",
        f"butler certify-calibrations {repo} {job} {daily} bias "
        "--begin-date 2022-01-01 --end-date 2023-01-01",
    ):
        assert words in str(error.value)


async def test_a_collection_that_was_removed_is_not_made_anew(
    repository: ButlerRepository, butler: Butler, job: str, daily: str
) -> None:
    # Given one that a check, and one that a certification has seen.
    checked, certified = daily, f"{daily}/other"
    butler.collections.register(checked, CollectionType.CALIBRATION)
    assert await repository.check((), [certification(checked), certification(certified)]) == ()
    await repository.certify(certification(certified, source=job))
    butler.registry.refresh()
    for collection in (checked, certified):
        butler.collections.x_remove(collection)
        with pytest.raises(
            ObservatoryError, match=f"{collection} existed before and has been removed meanwhile"
        ):
            await repository.certify(certification(collection, "flat", source=job))
        butler.registry.refresh()
        assert collection not in butler.collections.query("*")


async def test_a_lock_is_waited_for(repository: ButlerRepository, repo: Path, job: str, daily: str) -> None:
    with lock(repo):
        certifying = asyncio.create_task(repository.certify(certification(daily, source=job)))
        await asyncio.wait({certifying}, timeout=0.5)
        assert not certifying.done()
    await certifying
    assert await repository.is_certified(certification(daily, source=job))


async def test_what_was_given_up_is_not_certified_later(
    repository: ButlerRepository, repo: Path, job: str, daily: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = certification(daily, source=job)
    # Given a collection, so that the lock is what the certification waits for.
    await repository.certify(dataclasses.replace(wanted, begin_date="1990-01-01", end_date="1991-01-01"))
    with lock(repo), monkeypatch.context() as patch:
        patch.setattr(ButlerRepository, "TIMEOUT", 1.0)
        with pytest.raises(
            ObservatoryError, match=r"within 1 s\. See whether another program keeps it locked"
        ):
            await repository.certify(wanted)
        (problem,) = await repository.check((), [wanted])
        assert problem.startswith(f"{repo}: could not write into the registry within 1 s")
    # When the lock is free at last, for what was waiting behind it.
    for thread in threading.enumerate():
        if thread.name == "Butler":
            await asyncio.to_thread(thread.join, 60)
            assert not thread.is_alive()
    assert not await repository.is_certified(wanted)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
async def test_a_certification_that_cannot_be_written_says_what_to_do(
    repository: ButlerRepository, job: str, daily: str, trouble: str, request: pytest.FixtureRequest
) -> None:
    if trouble == "full":
        monkeypatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setattr("lsst.daf.butler._registry_shim.RegistryShim.certify", write_into_full_database)
        remedy = "The disk of the repository is full: make room there. To certify later: butler certify"
    else:
        request.getfixturevalue("read_only")
        remedy = "have the permissions of the repository mended. To certify later: butler certify"
    with pytest.raises(ObservatoryError, match=f"could not certify bias into .*{remedy}"):
        await repository.certify(certification(daily, source=job))


@contextlib.contextmanager
def lock(repo: Path) -> Iterator[None]:
    """Have another connection keep everybody else from writing."""
    with contextlib.closing(sqlite3.connect(repo / "gen3.sqlite3", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def write_into_full_database(*args: Any) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE calibrations (dataset)")
