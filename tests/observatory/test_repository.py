# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a certification's way is found; what is certified, read back.

On a real Butler repository, which these tests share.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, DatasetType
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory.repository import ButlerRepository
from lsst.ts.calibrationscripts.ports import Certification, Gain, ObservatoryError
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.repository import (
    RawHeader,
    create_repository,
    ingest_raw,
    read_ccd,
    write_raw,
)

DAY = datetime.date(2022, 9, 29)
EXPOSURES = (2022092900001, 2022092900002)
DATA_ID = {"instrument": "LATISS", "detector": 0}
RED, BLUE = "SDSSr_65mm~empty_1", "SDSSg_65mm~empty_1"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository with two raws, which no test changes but by adding."""
    folder = tmp_path_factory.mktemp("repository")
    repo = folder / "repo"
    create_repository(repo, scale=16)
    ccd = read_ccd(repo)
    for i, exposure in enumerate(EXPOSURES):
        ingest_raw(repo, make_raw(folder, ccd, exposure, 10 * i))
    return repo


def make_raw(folder: Path, ccd: CcdModel, exposure: int, second: int) -> Path:
    begin = Time(datetime.datetime(DAY.year, DAY.month, DAY.day, 14, 0, second), scale="tai")
    header = RawHeader(f"AT_O_{DAY:%Y%m%d}_{exposure % 100_000:06d}", "FLAT", 5.0, begin, begin)
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


async def test_a_repository_that_does_not_answer_is_given_up(
    repository: ButlerRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "TIMEOUT", 0.0)
    with pytest.raises(ObservatoryError, match="could not look for raw frames within 0 s"):
        await repository.raws(EXPOSURES)


# What is in it


async def test_raws_are_found_by_exposure(repository: ButlerRepository) -> None:
    assert await repository.raws([*EXPOSURES, 2022092999999]) == {(exposure, 0) for exposure in EXPOSURES}
    assert await repository.raws(EXPOSURES[:1]) == {(EXPOSURES[0], 0)}
    assert await repository.raws([2022092999999]) == frozenset()
    assert await repository.raws([]) == frozenset()


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


async def test_gains_are_those_of_each_pairs_first_exposure(
    repository: ButlerRepository, butler: Butler
) -> None:
    run = "u/ocps/cpPtcExtract/run"
    measured = PhotonTransferCurve(
        ptcFitType="PARTIAL", gain={"C00": 1.1, "C01": 1.2}, noise={"C00": 7.0, "C01": 8.0}
    )
    put(
        butler,
        "cpPtcExtract",
        {"instrument", "detector", "exposure"},
        "CcdPhotonTransferCurve",
        run,
        [(DATA_ID | {"exposure": EXPOSURES[0]}, measured)],
    )
    assert await repository.gains("cpPtcExtract", run, [(*EXPOSURES, 5.0)]) == (
        Gain(EXPOSURES, 5.0, 0, "C00", 1.1, 7.0),
        Gain(EXPOSURES, 5.0, 0, "C01", 1.2, 8.0),
    )
    assert await repository.gains("cpPtcExtract", run, []) == ()
    with pytest.raises(ObservatoryError, match="could not read cpPtcExtract from"):
        await repository.gains("cpPtcExtract", run, [(EXPOSURES[1], EXPOSURES[0], 5.0)])


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
