# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault of the simulated observatory, and what is left after it.

Each test lets one fault strike a run at one moment, in one of the two ways
of verification; sees that the run ends as it should, and that it leaves
nothing behind but what can be answered for; and resumes it where nothing is
wrong any more. ``pytest --all-faults`` tries all moments of all faults,
otherwise every sixteenth fault strikes once.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
import yaml
from leaks import no_tasks_left
from lsst.daf.butler import Butler, CollectionType, MissingCollectionError, MissingDatasetTypeError
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.journal import load_record, newest_run
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory import ending, script
from lsst.ts.calibrationscripts.observatory.camera import SalCamera
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.ocps import OcpsJobs
from lsst.ts.calibrationscripts.observatory.queue import QueuedScript, ScriptResult
from lsst.ts.calibrationscripts.observatory.watch import HEARTBEAT_TIMEOUT, ComponentWatch
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.procedure import _jobs, _procedure
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.simulation.ccd import DEFAULT_SEED
from lsst.ts.calibrationscripts.simulation.faults import FAULTS, Fault, parse_fault
from lsst.ts.calibrationscripts.simulation.faults.oods import OodsLate
from lsst.ts.calibrationscripts.simulation.faults.process import SecondObservatory, SecondOwner
from lsst.ts.calibrationscripts.simulation.faults.repository import RepositoryStaysLocked
from lsst.ts.calibrationscripts.simulation.observatory import (
    PIPELINE_ENVIRONMENTS,
    TASK_MODULES,
    SimulatedObservatory,
)
from lsst.ts.calibrationscripts.simulation.repository import create_repository
from lsst.ts.calibrationscripts.simulation.runner import PipetaskRunner
from postgres import ADMINISTRATOR

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

in_module_loop = pytest.mark.asyncio(loop_scope="module")


def patience() -> float:
    """Return how much longer than on an idle machine things may take."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def patiently(config: dict[str, Any]) -> dict[str, Any]:
    """Give the OODS as much longer."""
    return config | {"oods_timeout": config["oods_timeout"] * patience()}


TIMEOUT = 600.0
"""Longest that a run may take, struck by a fault or not. On a machine that has
nothing else to do it takes 3 to 15 s, at a load of 10 on two cores a minute or
more (s)."""

STOP_TIMEOUT = 10.0
"""Longest from a stop to the script's final state, where `patience` is 1
(s)."""

DAY_OBS = datetime.date(2022, 9, 29)

CALIB = "LATISS/calib/daily"

EXTERNAL, INTERNAL = "external", "internal"

SQLITE, POSTGRESQL = "sqlite", "postgresql"

# With thresholds that none of so few frames can fail.
_EACH: dict[str, Any] = {"n_processes": 1, "oods_timeout": 20}
BIAS = _EACH | {"script_mode": "BIAS", "n_bias": 3, "number_verification_tests_threshold_bias": 17}
BIAS_DARK = BIAS | {
    "script_mode": "BIAS_DARK",
    "n_dark": 3,
    "n_discard_dark": 0,
    "exp_times_dark": 15,
    "number_verification_tests_threshold_dark": 17,
}
FLATS = _EACH | {
    "script_mode": "FLAT",
    "n_flat": 2,
    "n_discard_flat": 0,
    "exp_times_flat": 5,
    "flat_sets": [
        {"filter": "SDSSr_65mm", "grating": "empty_1"},
        {"filter": "SDSSg_65mm", "grating": "empty_1"},
    ],
    "do_gain_from_flat_pairs": False,
    "number_verification_tests_threshold_flat": 17,
}


@dataclass(frozen=True)
class Trial:
    """What a fault does to runs."""

    external: tuple[int, ...]
    """Moments to strike at, in external verification; FLATS turns the filter
    wheel, then that of the gratings, before all and before each set."""

    internal: tuple[int, ...]
    state: str = "DONE"
    cause: str = ""
    """Words of why the script or a stage failed; blank if nothing does."""

    healed: tuple[tuple[str, int], ...] = ()
    """Where nothing fails all the same."""

    config: dict[str, Any] = field(default_factory=lambda: BIAS_DARK)
    first: str | None = None
    """Way of verification that a fault that strikes but once is tried in."""

    lost: str = ""
    """Words of why the run cannot be completed; blank if it can. Then another
    run takes its place."""

    refused: str = ""
    """Words by which another process is refused, if there is one."""

    registries: tuple[str, ...] = (SQLITE,)
    """Databases of the repositories that it is tried on."""


# BIAS_DARK takes 4 biases, of which the first is discarded, and 3 darks.
FRAMES = {"external": (2, 6), "internal": (3, 7)}
JOBS = {"external": (1, 2), "internal": (1, 4)}
"""External: verify BIAS, verify DARK; internal: generate BIAS, verify BIAS,
generate DARK, verify DARK."""

BETWEEN_SETS: dict[str, Any] = {"external": (2, 3), "internal": (2, 3), "config": FLATS}
"""After the first or second flat, of which each of two sets has two."""

CHECKED = {"external": (1, 2), "internal": (2, 4), "first": INTERNAL}
"""Just before something is certified."""

# Through what happens to be in the beam.
UNFILTERED = {name: value for name, value in FLATS.items() if name != "flat_sets"} | {"n_flat": 3}

IMPATIENT = BIAS_DARK | {"oods_timeout": 4}
NOTHING_CERTIFIED = ((EXTERNAL, 1), (EXTERNAL, 2))

OTHER_FILTER = "says the Butler, not through"

OUT_OF_REACH = ("ocps-leaves-enabled", "ocps-never-acknowledges")
"""Faults by which a job cannot be aborted, and comes to its own end: in time
or not."""

TRIALS: dict[str, Trial] = {
    "camera-fault": Trial(**FRAMES, state="FAILED", cause="ATCamera went to FAULT (error 2: The shutter"),
    "camera-silent": Trial(**FRAMES, state="FAILED", cause="no heartbeat of ATCamera"),
    "readout-never-ends": Trial(**FRAMES, state="FAILED", cause="was not read out within"),
    # Without defects to be made, nothing looks at single pixels.
    "hot-region": Trial(**FRAMES),
    "dead-amplifier": Trial(**FRAMES),
    "header-wrong-type": Trial(**FRAMES, cause="in the Butler, not a", lost="in the Butler, not a"),
    "header-wrong-filter": Trial((1, 4), (2, 3), cause=OTHER_FILTER, lost=OTHER_FILTER, config=FLATS),
    "lamp-fails": Trial((1, 3), (2, 4), config=FLATS),
    "light-leak": Trial((1, 3), (2, 3)),
    "saturated-bias": Trial((2, 4), (3, 4)),
    "wheel-timeout": Trial((1, 5), (2, 6), "FAILED", "ATSpectrograph did not select", config=FLATS),
    "wrong-filter": Trial((1, 3), (2, 3), "FAILED", "Check the wheel before running again", config=FLATS),
    "wheel-moved": Trial(
        (2, 3), (2, 3), "FAILED", "ATCamera went to FAULT", config=UNFILTERED, lost=OTHER_FILTER
    ),
    "oods-late": Trial((2, 6), (3, 7), cause="not in the Butler", healed=((EXTERNAL, 2), (INTERNAL, 3))),
    "oods-missing": Trial(**FRAMES, cause="not in the Butler", config=IMPATIENT),
    "oods-unannounced": Trial(**FRAMES, config=IMPATIENT),
    "oods-failed-ingest": Trial(**FRAMES, cause="the OODS could not ingest exposure"),
    "oods-unreadable-file": Trial(**FRAMES, cause="metadata failure", config=IMPATIENT),
    "oods-foreign-images": Trial(**FRAMES),
    "detector-late": Trial(**FRAMES),
    "detector-missing": Trial(**FRAMES, cause="not in the Butler", config=IMPATIENT),
    "detector-failed-ingest": Trial(**FRAMES, cause="the OODS could not ingest exposure"),
    "bad-detector": Trial(**FRAMES),
    "ocps-rejects": Trial(**JOBS),
    "ocps-loses-result": Trial(**JOBS),
    "ocps-never-acknowledges": Trial(**JOBS),
    "ocps-duplicates": Trial(**JOBS),
    "ocps-reorders": Trial(**JOBS),
    "ocps-result-first": Trial(**JOBS),
    "ocps-foreign-result": Trial(**JOBS),
    "ocps-http-error": Trial(**JOBS),
    "ocps-leaves-enabled": Trial(
        **JOBS, cause="OCPS:1 went to FAULT (error 1: The job service cannot be reached"
    ),
    "ocps-loses-job": Trial(**JOBS, cause="OCPS:1 went to FAULT (error 1: The job service has died"),
    "job-fails": Trial(**JOBS, cause="ended with exit code 1"),
    "job-killed": Trial(**JOBS, cause="ended with exit code 1"),
    "job-drops-exposure": Trial(**JOBS, cause="the job left out 1 of 3 exposures"),
    "job-makes-nothing": Trial(**JOBS, cause="ended with exit code 0, but"),
    "statistics-missing": Trial((1, 2), (1, 2), cause="ended with exit code 0, but"),
    "disk-full": Trial(**JOBS, cause="ended with exit code 1"),
    "repository-locked": Trial(**CHECKED, registries=(SQLITE, POSTGRESQL)),
    # Where no job runs or is to run: it would wait for the lock.
    "repository-stays-locked": Trial(
        (1,), (1, 2), cause="keeps it locked", config=BIAS, registries=(SQLITE, POSTGRESQL)
    ),
    "collection-removed": Trial(
        **CHECKED, cause="has been removed meanwhile", healed=(*NOTHING_CERTIFIED, (INTERNAL, 2))
    ),
    "collection-changed": Trial(**CHECKED, cause="could not certify", healed=NOTHING_CERTIFIED),
    "certification-conflict": Trial(
        **CHECKED, cause="Calibrations were certified for these dates meanwhile", healed=NOTHING_CERTIFIED
    ),
    "second-owner": Trial(**JOBS, refused="that run is running: process"),
    "second-observatory": Trial(**JOBS, refused="is used by process"),
    "killed": Trial((3, 20), (8, 24), state="RUNNING"),
    "lamp-cold": Trial(**BETWEEN_SETS, cause="the lamp of the white light is WARMUP, not ON"),
    "lamp-off": Trial(**BETWEEN_SETS, cause="the lamp of the white light is OFF, not ON"),
    "dome-open": Trial(**BETWEEN_SETS, cause="the main door of the dome is OPENED, not CLOSED"),
    "telescope-elsewhere": Trial(**BETWEEN_SETS, cause="the elevation of the telescope is 80.0 deg, not"),
    "board-too-warm": Trial(**BETWEEN_SETS, cause="the temperature of the WREB is 31.0 deg C, not"),
    # It has its last heartbeat still for longer than such a run.
    "white-light-silent": Trial(**BETWEEN_SETS),
}


@dataclass(frozen=True)
class Cell:
    """A fault that strikes at a moment, in one way of verification."""

    fault: str
    mode: str
    when: int
    registry: str = SQLITE

    def __str__(self) -> str:
        where = "" if self.registry == SQLITE else f"-{self.registry}"
        return f"{self.fault}:{self.when}-{self.mode}{where}"

    @property
    def trial(self) -> Trial:
        return TRIALS[self.fault]

    @property
    def state(self) -> str:
        """The state that the script should end in."""
        return self.trial.state

    @property
    def cause(self) -> str:
        return "" if (self.mode, self.when) in self.trial.healed else self.trial.cause

    @property
    def config(self) -> dict[str, Any]:
        return self.trial.config | {"generate_calibrations": self.mode == INTERNAL}

    def make_fault(self) -> Fault:
        if self.fault == "oods-late" and self.cause:
            return OodsLate(self.when, delay=1e6)
        return parse_fault(f"{self.fault}:{self.when}")


def cells(name: str) -> list[Cell]:
    """Return the cells of a fault, that which is tried always first."""
    trial = TRIALS[name]
    place = list(TRIALS).index(name)
    # Each internal run takes twice the jobs of an external one.
    first = trial.first or (INTERNAL if place % 16 == 0 else EXTERNAL)
    modes = sorted((EXTERNAL, INTERNAL), key=lambda mode: mode != first)
    return [
        Cell(name, mode, moment, registry)
        for registry in trial.registries
        for mode in modes
        for moment in sorted(getattr(trial, mode), reverse=place // 2 % 2 == 1)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try all that can be tried, or what is tried always."""
    n = None if metafunc.config.getoption("all_faults") else 1
    if "cell" in metafunc.fixturenames:
        here = metafunc.function is test_a_killed_run_is_carried_on
        # All of them, once each, would take half of the time of the suite.
        tried = [name for i, name in enumerate(TRIALS) if n is None or i % 16 == 0 or name == "killed"]
        chosen = [cell for name in tried if (name == "killed") == here for cell in cells(name)[:n]]
        metafunc.parametrize("cell", chosen, ids=str)
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(n or 3))


class BorrowedRunner:
    """The module's runner, for an observatory that would make its own."""

    def __init__(self, runner: PipetaskRunner) -> None:
        self.start = runner.start

    async def __aenter__(self) -> BorrowedRunner:
        return self

    async def __aexit__(self, *args: object) -> None:
        return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner() -> AsyncIterator[PipetaskRunner]:
    """Import `pipetask` once for all tests."""
    async with (
        no_tasks_left(),
        PipetaskRunner(PIPELINE_ENVIRONMENTS["current"], TASK_MODULES) as runner,
    ):
        await runner.wait_ready()
        yield runner


@pytest.fixture(scope="module")
def new_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "repo"
    make_repository(folder)
    return folder


def make_repository(folder: Path, registry: str | None = None) -> None:
    create_repository(folder, LATISS, scale=16, seed=DEFAULT_SEED, generation="current", registry=registry)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for seconds where the script would for longer, if the machine is
    not busy.
    """

    def shorten(owner: object, name: str, idle: float) -> None:
        monkeypatch.setattr(owner, name, min(idle * patience(), getattr(owner, name)))

    shorten(SalCamera, "READOUT_TIMEOUT", 5.0)
    shorten(OcpsJobs, "SUBMIT_TIMEOUT", 5.0)
    shorten(OcpsJobs, "RESULT_GRACE", 2.0)
    shorten(_jobs, "_READY_TIMEOUT", 2.0)
    heartbeat_timeout = min(5.0 * patience(), HEARTBEAT_TIMEOUT)
    watch = functools.partial(ComponentWatch, heartbeat_timeout=heartbeat_timeout)
    monkeypatch.setattr(script, "ComponentWatch", watch)
    # What is real time for an observer is not where the machine is busy.
    monkeypatch.setattr(OcpsJobs, "ABORT_TIMEOUT", 5.0 * patience())
    monkeypatch.setattr(_procedure, "_ABANDON_TIMEOUT", 6.0 * patience())


@pytest.fixture(autouse=True)
def short_wait_for_a_lock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a repository up soon where it stays locked, also in the report."""
    cell = cell_of(request)
    if cell is not None and cell.fault == "repository-stays-locked":
        monkeypatch.setattr(ButlerRepository, "TIMEOUT", 10.0 * patience())
        monkeypatch.setattr(ending, "_REPORT_TIMEOUT", 5.0)


class Site:
    """A folder with an observatory that breaks down and is repaired."""

    def __init__(self, folder: Path, runner: PipetaskRunner) -> None:
        self.folder = folder
        self.journals = folder / "journal"
        self._runner = runner
        self._n_runs = 0

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    def record(self) -> RunRecord:
        """Return the journal of the one run that there is."""
        run_id = newest_run(self.journals)
        assert run_id is not None
        return load_record(self.journals, run_id)

    @contextlib.asynccontextmanager
    async def observatory(self, *faults: Fault) -> AsyncIterator[SimulatedObservatory]:
        observatory = SimulatedObservatory(self.folder, instrument=LATISS, day_obs=DAY_OBS, faults=faults)
        observatory.runner = BorrowedRunner(self._runner)  # type: ignore[assignment]
        before = children()
        async with no_tasks_left(), observatory:
            yield observatory
        assert children() <= before

    @contextlib.asynccontextmanager
    async def script(
        self, observatory: SimulatedObservatory, config: dict[str, Any]
    ) -> AsyncIterator[QueuedScript]:
        """Load a script, configure it, and see that it leaves no task."""
        here = {"journal_dir": str(self.journals), "ocps_log_path": observatory.ocps_log_path}
        if "resume" not in config:
            here["repo"] = str(self.repo)
        self._n_runs += 1
        async with QueuedScript(lambda index: MakeLatissCalibrations(index=index)) as queued:
            await queued.configure(yaml.safe_dump(here | patiently(config)))
            yield queued
            await asyncio.wait({queued.script.done_task}, timeout=STOP_TIMEOUT * patience())
        assert tasks_of_the_product() == []

    async def run_to_end(self, queued: QueuedScript) -> None:
        # A frame's group is that of its run, so another run has another.
        await queued.run(f"2022-09-29T14:00:00.00{self._n_runs}", timeout=TIMEOUT)

    async def run(
        self, observatory: SimulatedObservatory, config: dict[str, Any]
    ) -> tuple[ScriptResult, RunReport]:
        async with self.script(observatory, config) as queued:
            await self.run_to_end(queued)
        assert isinstance(queued.script.report, RunReport)
        return queued.result(), queued.script.report

    async def resume(self) -> RunReport:
        """Resume the run where nothing is wrong any more."""
        before = self.record()
        report = await self.run_unstruck({"resume": before.run_id, "oods_timeout": 20})
        self.assert_nothing_was_done_twice(before, report)
        return report

    async def run_unstruck(self, config: dict[str, Any]) -> RunReport:
        """Run where nothing is wrong."""
        async with self.observatory() as observatory:
            _, report = await self.run(observatory, config)
            assert all(job.done.is_set() for job in observatory.ocps.jobs.values())
        return report

    # What holds after any run

    def assert_sound(self, report: RunReport | None = None) -> None:
        """See that all that was done is accounted for."""
        record = self.record()
        if report is not None:
            assert (record.state, record.reason) == (report.state, report.reason)
            assert {r.name: r for r in record.stages} == {r.name: r for r in report.stages}
        passed = Counter(
            result.name.split()[1]
            for result in record.stages
            if result.name.startswith("verify") and result.outcome is Outcome.PASSED
        )
        # Others may certify too: that is one of the faults.
        ours = Counter(
            dataset_type.upper() for dataset_type, run, *_ in self.certified() if run.startswith("u/ocps/")
        )
        assert not ours - passed, f"certified {ours}, passed {passed}"

    def assert_no_job_runs(self) -> None:
        for file in (self.folder / "uws" / "jobs").glob("*/job.json"):
            phase = json.loads(file.read_text())["phase"]
            assert phase in ("completed", "error", "aborted"), file

    def assert_nothing_was_done_twice(self, before: RunRecord, report: RunReport) -> None:
        config = parse(yaml.safe_dump(dict(before.config)), LATISS)
        plan = make_plan(config, LATISS)
        # Each frame of the plan was taken once, but for those accounted for.
        again = Counter(number for number, _ in self.frames())
        labels = [exposure.label for exposure in plan.exposures]
        repeated = {text.partition(":")[0] for text in report.repeats}
        assert set(again) == set(range(1, len(labels) + 1))
        assert {labels[number - 1] for number, n in again.items() if n > 1} <= repeated
        ids = [i for of_type in report.exposures.values() for i in of_type]
        assert len(ids) == len(set(ids)) == len(labels)
        assert set(ids) <= {i for _, i in self.frames()}
        assert ids_of(before) <= set(ids)
        # Jobs that ended well were not run again.
        now = {result.name: result.job_id for result in report.stages}
        for result in before.stages:
            if result.outcome in (Outcome.PASSED, Outcome.HELD) and result.job_id:
                assert now[result.name] == result.job_id, result

    # What is in the repository

    def frames(self) -> list[tuple[int, int]]:
        """Return place in the plan and id of all frames."""
        with Butler.from_config(str(self.repo)) as butler:
            raws = butler.query_datasets("raw", collections="LATISS/raw/all", explain=False)
            ingested = {ref.dataId["exposure"] for ref in raws}
            records = butler.query_dimension_records("exposure", instrument="LATISS", explain=False)
        return [
            (int(record.group.partition("#")[2]), record.id) for record in records if record.id in ingested
        ]

    def certified(self) -> list[tuple[str, str, str, str]]:
        """Return dataset type, run, data id and validity of all there is."""
        found = []
        with Butler.from_config(str(self.repo)) as butler:
            for name in ("bias", "dark", "flat", "defects", "ptc"):
                with contextlib.suppress(MissingCollectionError, MissingDatasetTypeError):
                    found += [
                        (name, a.ref.run, str(a.ref.dataId), str(a.timespan))
                        for a in butler.registry.queryDatasetAssociations(
                            name, collections=[CALIB], collectionTypes={CollectionType.CALIBRATION}
                        )
                    ]
        return found

    def calibrations(self) -> list[tuple[str, str, str]]:
        """Return all that is certified, whatever job made it."""
        return sorted((name, data_id, validity) for name, _, data_id, validity in self.certified())


def children() -> set[psutil.Process]:
    """Return what runs below this process, but for a database."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            # It has a process for each connection, and ends it in its time.
            if child.name() != "postgres":
                found.add(child)
    return found


def ids_of(record: RunRecord) -> set[int]:
    return {frame.exposure for frame in record.frames if frame.exposure is not None}


def tasks_of_the_product() -> list[asyncio.Task[Any]]:
    """Return tasks of the script and its procedure that still run."""
    ours = ("/calibrationscripts/procedure/", "/calibrationscripts/observatory/")
    return [
        task
        for task in asyncio.all_tasks()
        if any(part in getattr(task.get_coro(), "cr_code", _none).co_filename for part in ours)
    ]


def _none() -> None:
    """Stand in for coroutines without code."""


_none.co_filename = ""  # type: ignore[attr-defined]


@pytest.fixture
def site(
    topics: None,
    tmp_path: Path,
    runner: PipetaskRunner,
    new_repository: Path,
    request: pytest.FixtureRequest,
) -> Site:
    site = Site(tmp_path, runner)
    cell = cell_of(request)
    if cell is None or cell.registry == SQLITE:
        # A copy is faster than another one.
        shutil.copytree(new_repository, site.repo)
    else:
        database = request.getfixturevalue("postgresql_server").create_database()
        make_repository(site.repo, database.url.replace(":///", f"://{ADMINISTRATOR}@/"))
    return site


def cell_of(request: pytest.FixtureRequest) -> Cell | None:
    """Return the cell that a test is about, if there is one."""
    callspec = getattr(request.node, "callspec", None)
    return None if callspec is None else callspec.params.get("cell")


Sound = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def sound(
    tmp_path_factory: pytest.TempPathFactory,
    runner: PipetaskRunner,
    new_repository: Path,
) -> Sound:
    """Return what a run without faults certifies."""
    known: dict[str, list[tuple[str, str, str]]] = {}

    async def calibrations(config: dict[str, Any]) -> list[tuple[str, str, str]]:
        if not config["generate_calibrations"]:
            return []
        key = json.dumps({**config, "oods_timeout": None})
        if key not in known:
            site = Site(tmp_path_factory.mktemp("sound"), runner)
            shutil.copytree(new_repository, site.repo)
            async with site.observatory() as observatory:
                result, report = await site.run(observatory, config)
            assert report.complete and not report.repeats, result
            known[key] = site.calibrations()
        return known[key]

    return calibrations


def test_every_fault_is_tried_at_several_moments_in_both_modes() -> None:
    assert list(TRIALS) == list(FAULTS)
    for trial in TRIALS.values():
        assert trial.external and trial.internal
        assert len(set(trial.external)) + len(set(trial.internal)) >= (3 if trial.config is BIAS else 4)


def tell(record_property: Callable[[str, object], None], cell: Cell, **states: str) -> None:
    """Have the summary of ``pytest`` show a cell."""
    where = "" if cell.registry == SQLITE else f" {cell.registry}"
    row = {"fault": f"{cell.fault}:{cell.when}{where}", "verification": cell.mode, **states}
    # JUnit's XML has properties of text alone.
    record_property("fault", json.dumps(row))


@in_module_loop
async def test_a_fault_costs_nothing_that_cannot_be_had_again(
    cell: Cell, site: Site, sound: Sound, record_property: Callable[[str, object], None]
) -> None:
    expected = await sound(cell.config)
    # Given a run that is struck
    fault = cell.make_fault()
    async with site.observatory(fault) as observatory:
        begin = time.monotonic()
        result, report = await site.run(observatory, cell.config)
        duration = f"{time.monotonic() - begin:.1f} s"
        tell(record_property, cell, ended=result.state, after=duration)
        assert fault.struck
        # Then it ends as it should, and reports the cause
        assert result.state == report.state == cell.state, result.reason
        assert not result.timed_out
        bad = [stage for stage in report.stages if not stage.outcome.good]
        if cell.state == "FAILED":
            assert cell.cause in result.reason
            assert "".join(message.traceback for message in result.messages) == ""
        elif not cell.cause or (cell.fault in OUT_OF_REACH and not bad):
            assert report.complete, bad
        else:
            assert any(cell.cause in stage.reason for stage in bad if stage.outcome is Outcome.FAILED), bad
        if isinstance(fault, SecondOwner | SecondObservatory):
            assert fault.exit_code == 2, fault.said
            assert cell.trial.refused in fault.said and "Traceback" not in fault.said
        if cell.fault in OUT_OF_REACH:
            await wait_for_jobs(observatory)
        site.assert_no_job_runs()
        if isinstance(fault, RepositoryStaysLocked):
            await fault.detach()
        site.assert_sound(report)
    report = await site.resume()
    site.assert_sound(report)
    if cell.trial.lost:
        # And where a frame is useless, the resumed run says so, ...
        bad = [stage for stage in report.stages if stage.outcome is Outcome.FAILED]
        assert any(cell.trial.lost in stage.reason for stage in bad), report
        assert set(site.calibrations()) < set(expected) or not expected
        # ... and another run takes its place.
        config = cell.config | {"calib_collection": "LATISS/calib/again"}
        report = await site.run_unstruck(config)
        assert report.complete, report
    else:
        # And when it is resumed, it ends as it was to end.
        assert report.complete, report
        assert site.calibrations() == expected
    tell(record_property, cell, ended=result.state, after=duration, resumed=report.state)


async def wait_for_jobs(observatory: SimulatedObservatory) -> None:
    async with asyncio.timeout(TIMEOUT):
        for job in observatory.ocps.jobs.values():
            await job.done.wait()


def calibscripts(*args: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    return subprocess.Popen(
        command + [str(arg) for arg in args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )


def simulate(site: Site, config: dict[str, Any], *args: object) -> subprocess.Popen[str]:
    file = site.folder / "config.yaml"
    file.write_text(yaml.safe_dump(patiently(config)))
    return calibscripts("simulate", file, "--workdir", site.folder, *args, cwd=site.folder)


async def no_process_left(folder: Path) -> None:
    """Wait until no process works in a folder; its end takes a moment."""

    def left() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(folder):
                    found.append(process)
        return found

    async with asyncio.timeout(STOP_TIMEOUT * patience()):
        while left():  # noqa: ASYNC110 - processes of others set no event
            await asyncio.sleep(0.1)


@in_module_loop
async def test_a_killed_run_is_carried_on(
    cell: Cell, site: Site, sound: Sound, record_property: Callable[[str, object], None]
) -> None:
    expected = await sound(cell.config)
    # Given a process that is killed while it writes its journal
    with simulate(site, cell.config, "--fault", f"{cell.fault}:{cell.when}") as program:
        text, _ = await asyncio.to_thread(program.communicate, timeout=2 * TIMEOUT)
    assert program.returncode == -signal.SIGKILL, text
    # Then nothing outlives it, and its journal has what it had done.
    await no_process_left(site.folder)
    assert site.record().state == cell.state
    site.assert_sound()
    tell(record_property, cell, ended="killed")
    # And it can be resumed.
    report = await site.resume()
    site.assert_sound(report)
    assert report.complete, report
    assert site.calibrations() == expected
    tell(record_property, cell, ended="killed", resumed=report.state)


@pytest.mark.parametrize("mode", [INTERNAL, EXTERNAL])
@in_module_loop
async def test_of_two_that_resume_a_killed_run_one_does(
    mode: str, site: Site, sound: Sound, record_property: Callable[[str, object], None]
) -> None:
    cell = Cell("killed", mode, TRIALS["killed"].internal[0] if mode == INTERNAL else 3)
    expected = await sound(cell.config)
    # Given a run that was killed
    with simulate(site, cell.config, "--fault", f"killed:{cell.when}") as program:
        text, _ = await asyncio.to_thread(program.communicate, timeout=2 * TIMEOUT)
    assert program.returncode == -signal.SIGKILL, text
    before = site.record()
    # When two processes resume it at the same time
    resume = ("simulate", "--workdir", site.folder, "--resume", before.run_id)
    with calibscripts(*resume, cwd=site.folder) as first, calibscripts(*resume, cwd=site.folder) as second:
        said = await asyncio.gather(
            *(asyncio.to_thread(each.communicate, timeout=2 * TIMEOUT) for each in (first, second))
        )
    # Then one is refused by the other, which does what was left, once.
    by_code = {each.returncode: text for each, (text, _) in zip((first, second), said, strict=True)}
    assert sorted(by_code) == [0, 2], said
    assert "is used by process" in by_code[2] or "that run is running: process" in by_code[2]
    await no_process_left(site.folder)
    assert site.record().state == "DONE"
    site.assert_sound()
    site.assert_no_job_runs()
    n_frames = Counter(number for number, _ in site.frames())
    assert max(n_frames.values()) <= 1 + len(site.record().repeats)
    assert site.calibrations() == expected
    row = {"fault": "two-owners", "verification": mode, "ended": "killed", "resumed": "DONE"}
    record_property("fault", json.dumps(row))


class Moment:
    """A moment of a run, by chance but the same each time."""

    def __init__(self, seed: int, what: str) -> None:
        chance = random.Random(f"{seed} {what}")  # noqa: S311 - no secret
        self.number = chance.randint(1, {"exposure": 4, "job": 2, "certification": 1}[what])
        self.delay = chance.uniform(0.0, {"exposure": 0.05, "job": 1.0, "certification": 0.0}[what])
        self._what = what
        self._count = itertools.count(1)
        self._reached = asyncio.Event()

    def watch(self, observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lie in wait, for the first run alone."""
        match self._what:
            case "exposure":
                observatory.camera.intercept("integrate", self._step)
            case "job":
                observatory.ocps.intercept("attend", self._step)
            case "certification":
                certify = ButlerRepository.certify

                async def noticed(*args: Any) -> None:
                    await self._step(certify, *args)

                monkeypatch.setattr(ButlerRepository, "certify", noticed)

    async def _step(self, proceed: Any, *args: Any) -> Any:
        if next(self._count) == self.number:
            self._reached.set()
        return await proceed(*args)

    async def wait(self) -> None:
        await asyncio.wait_for(self._reached.wait(), TIMEOUT)
        await asyncio.sleep(self.delay)


@pytest.mark.parametrize("what", ["exposure", "job", "certification"])
@in_module_loop
async def test_a_stop_loses_nothing_whenever_it_comes(
    what: str, seed: int, site: Site, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = BIAS | {"generate_calibrations": True}
    expected = await sound(config)
    # Given a run that is in the midst of something
    moment = Moment(seed, what)
    async with site.observatory() as observatory:
        moment.watch(observatory, monkeypatch)
        async with site.script(observatory, config) as queued:
            running = asyncio.create_task(site.run_to_end(queued))
            await moment.wait()
            # When the operator stops it
            await queued.stop()
            await queued.wait_for("STOPPED", timeout=STOP_TIMEOUT * patience())
            # Then it has ended within seconds, and answers for all it did.
            site.assert_no_job_runs()
            await running
        report = queued.script.report
        site.assert_sound(report)
        noted = Counter(certification.dataset_type for certification in report.certifications)
        assert noted == Counter(name for name, *_ in site.certified())
    # And it can be resumed.
    report = await site.resume()
    assert report.complete, report
    site.assert_sound(report)
    assert site.calibrations() == expected


SAID = ("BIAS 1/4", "generate BIAS: job", "verify BIAS: PASSED")
"""What a run says during exposures, during a job, before a certification."""


@in_module_loop
async def test_a_signal_loses_nothing_whenever_it_comes(seed: int, site: Site, sound: Sound) -> None:
    config = BIAS | {"generate_calibrations": True}
    expected = await sound(config)

    def interrupt() -> tuple[float, str]:
        """Return how long the end took (s), and what was said."""
        with simulate(site, config) as program:
            assert program.stdout is not None
            said = "".join(iter_until(SAID[seed], program.stdout))
            time.sleep(random.Random(seed).uniform(0.0, 0.2))  # noqa: S311 - no secret
            begin = time.monotonic()
            os.kill(program.pid, signal.SIGTERM)
            said += program.communicate(timeout=TIMEOUT)[0]
        return time.monotonic() - begin, said

    # Given a run that is sent SIGTERM
    duration, said = await asyncio.to_thread(interrupt)
    # Then it has ended within seconds, and answers for all it did.
    assert duration < STOP_TIMEOUT * patience(), said
    assert "Traceback" not in said
    await no_process_left(site.folder)
    site.assert_no_job_runs()
    assert site.record().state == "STOPPED"
    site.assert_sound()
    # And it can be resumed.
    report = await site.resume()
    assert report.complete, report
    site.assert_sound(report)
    assert site.calibrations() == expected


PAUSE = 20.0
"""How long a process is stopped: longer than a component may be silent (s)."""


@in_module_loop
async def test_a_process_that_was_stopped_blames_no_component(site: Site, sound: Sound) -> None:
    config = BIAS | {"generate_calibrations": True}
    expected = await sound(config)

    def pause() -> tuple[int, str]:
        with simulate(site, config) as program:
            assert program.stdout is not None
            said = "".join(iter_until("generate BIAS: job", program.stdout))
            os.kill(program.pid, signal.SIGSTOP)
            time.sleep(PAUSE)
            os.kill(program.pid, signal.SIGCONT)
            said += program.communicate(timeout=TIMEOUT)[0]
        return program.returncode, said

    # Given a run that is sent SIGSTOP, and SIGCONT later
    code, said = await asyncio.to_thread(pause)
    # Then it ends as if nothing had been, and says that it was paused.
    assert code == 0, said
    assert "This process was paused for" in said
    assert "no heartbeat" not in said
    assert site.record().state == "DONE" and site.record().repeats == ()
    assert site.calibrations() == expected


def iter_until(text: str, lines: Iterable[str]) -> Iterable[str]:
    """Yield lines, the last of which has a text in it."""
    for line in lines:
        yield line
        if text in line:
            return
    raise AssertionError(f"nobody said {text!r}")
