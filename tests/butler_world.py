# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure's ports around a real Butler repository and a real journal.

The camera and the jobs are a few lines each, and time is virtual. What they
leave are real records and datasets: exposures, collections as an OCPS job
makes them, products and the statistics of cp_verify.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time
from cp_verify_forms import detector_level, exposure_level, intact_run_level, run_level
from lsst.daf.butler import (
    Butler,
    CollectionType,
    Config,
    DatasetRef,
    DatasetType,
    MissingCollectionError,
    Timespan,
)
from lsst.ts.calibrationscripts import ports
from lsst.ts.calibrationscripts.butler import _visiting
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.config import CalibrationConfig, Series, parse
from lsst.ts.calibrationscripts.files import atomic
from lsst.ts.calibrationscripts.files.journal import FileJournal, earlier_run, load_record, lock_earlier_run
from lsst.ts.calibrationscripts.plan import JobRequest, PlannedExposure, RunPlan, make_plan
from lsst.ts.calibrationscripts.ports import (
    CameraError,
    IngestReport,
    JobLostError,
    JobRefusedError,
    JobResult,
    Lookup,
    LostRaw,
    ObservatoryError,
)
from lsst.ts.calibrationscripts.procedure import Procedure
from lsst.ts.calibrationscripts.proof import Proof
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.simulation.instrument import register_instrument
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from made_up_camera import DUO
from sqlalchemy import event as database_event
from sqlalchemy.engine import Engine
from virtual_time import virtually

RUN_ID = "20261123T140000-1"
DAILY = "Duo/calib/daily"
"""What runs certify into."""

REFERENCE = "Duo/calib"
"""The standard calibrations, valid at all times."""

RED, GREEN, CLEAR = "SDSSr_65mm", "SDSSg_65mm", "empty_1"

FIRST_EXPOSURE = 2026112300001
FOREIGN = tuple(range(2026112200001, 2026112200013))
"""Another night's: three each of bias, dark, red flat and green flat."""

FIRST_FRAME = 1_795_442_400.0
"""2026-11-23T14:00:00 TAI, as a Unix timestamp (s)."""

DETECTORS = {detector.id: detector.name for detector in DUO.detectors}
AMPLIFIERS = DUO.detectors[0].amplifiers

PRODUCTS = {"Bias": "bias", "Dark": "dark", "Flat": "flat", "Ptc": "ptc"}
"""Dataset types, by what is in the names of pipelines (cp_pipe f029a3f2)."""

_OF_RUN = {"instrument"}
_OF_DETECTOR = {"instrument", "detector"}
_OF_FRAME = {"instrument", "detector", "exposure"}

_TYPES = {
    "raw": (_OF_FRAME, "StructuredDataDict", False),
    "bias": (_OF_DETECTOR, "StructuredDataDict", True),
    "dark": (_OF_DETECTOR, "StructuredDataDict", True),
    "flat": (_OF_DETECTOR | {"physical_filter"}, "StructuredDataDict", True),
    "ptc": (_OF_DETECTOR, "CcdPhotonTransferCurve", True),
    "cpPtcPartial": (_OF_FRAME, "CcdPhotonTransferCurve", False),
    "verifyFlatExpStats": ({"instrument", "exposure"}, "StructuredDataDict", False),
    **{f"cp{name}IsrExp": (_OF_FRAME, "StructuredDataDict", False) for name in PRODUCTS},
    **{f"verify{name}IsrExp": (_OF_FRAME, "StructuredDataDict", False) for name in PRODUCTS},
    **{f"verify{name}DetStats": (_OF_FRAME, "StructuredDataDict", False) for name in PRODUCTS},
    **{
        f"verify{name}Stats": (
            _OF_RUN | ({"physical_filter"} if name == "Flat" else set()),
            "StructuredDataDict",
            False,
        )
        for name in PRODUCTS
    },
}
"""Dimensions, storage class and whether it is a calibration, as those of
cp_pipe and cp_verify (5855743), but images are small stand-ins."""


class Killed(BaseException):
    """What SIGKILL is to the procedure: it does nothing more."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """An exposure, as its header describes it."""

    image_type: str
    exp_time: float
    physical_filter: str
    group: str
    begin: float


@dataclasses.dataclass
class State:
    """What is outside the repository, and belongs to a moment like it."""

    n_exposures: int = 0
    n_jobs: int = 0
    now: float = 0.0
    journal: str = ""
    to_ingest: dict[int, Frame] = dataclasses.field(default_factory=dict)
    requests: dict[str, JobRequest] = dataclasses.field(default_factory=dict)
    """What each job was asked for, as the OCPS knows it."""

    compared_with: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """UUIDs of the reference datasets that a verification job has read."""

    noisy: set[int] = dataclasses.field(default_factory=set)
    """Exposures whose amplifiers are noisy."""

    failing: set[str] = dataclasses.field(default_factory=set)
    """Products, as in names of pipelines, that fail from now on."""

    bad_references: set[str] = dataclasses.field(default_factory=set)
    """UUIDs of calibrations against which every frame fails."""

    not_ingested: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    """Place of a frame, from 1, and detector that it never comes for."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A moment to which the world can return."""

    state: State
    registry: bytes
    files: Mapping[Path, bytes]


@dataclasses.dataclass(frozen=True)
class Faults:
    """What goes wrong in a run."""

    kill_at: int | None = None
    """The process is killed at this event: a frame, a job, a write into the
    journal or a visit to the repository, counted from 1."""

    kill_after: str = ""
    """The process is killed once the journal says how this stage ended."""

    camera_at: int | None = None
    """The camera fails at this frame, counted from 1."""

    lying_at: int | None = None
    """The header of this frame has another type or filter."""

    reference_first: bool = False
    """What runs the jobs names the standard calibrations before all else."""

    foreign_at: int | None = None
    """For this frame the camera names one that another program took."""

    jobs: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """What happens to a job of the run, counted from 1: "refused", "lost",
    "exit 1", "nothing", "one detector", "one detector, exit 1", "dropped",
    "dropped of one", "foreign", "foreign too", "noisy" or "one noisy"."""


@dataclasses.dataclass
class Ended:
    """How a run ended, with what it offered as evidence."""

    config: CalibrationConfig
    report: RunReport | None = None
    """`None` if the run could not be resumed."""

    offered: list[Proof] = dataclasses.field(default_factory=list)
    """What the repository was asked to certify."""


@cache
def planned(text: str) -> tuple[CalibrationConfig, RunPlan]:
    config = parse(text, DUO)
    return config, make_plan(config, DUO)


class ButlerWorld:
    """A repository with a camera, jobs and an observer around it.

    The visits of all runs share one open Butler, which is faster than one
    for each; and nothing waits for a disk. All else of
    ``butler`` and ``files`` is as it is in the observatory.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = folder / "repo"
        self._journals = folder / "journals"
        self.state = State()
        with as_file(files("lsst.ts.calibrationscripts.simulation").joinpath("butler.yaml")) as additions:
            config = Butler.makeRepo(str(self._root), config=Config(str(additions)))
        database_event.listen(Engine, "connect", _do_not_wait)
        try:
            self.butler = Butler.from_config(config, writeable=True)
            self._fill()
        finally:
            database_event.remove(Engine, "connect", _do_not_wait)
        monkeypatch.setattr(_visiting.OpenRepository, "butler", lambda _, writeable: self._open())
        monkeypatch.setattr(_visiting, "in_thread", _at_once)
        monkeypatch.setattr(atomic.os, "fsync", lambda descriptor: None)
        self._ended: Ended | None = None
        self._faults = Faults()
        self._n_events = self._n_frames = self._n_submitted = 0
        self._killed = False
        self.pristine = self.save()

    def close(self) -> None:
        self.butler.close()

    @property
    def repo(self) -> str:
        """URI of the repository."""
        return str(self._root)

    @property
    def journals(self) -> Path:
        """Where the runs leave their journals."""
        return self._journals

    # The repository

    def _fill(self) -> None:
        butler = self.butler
        register_instrument(butler.registry, DUO)
        for name, (dimensions, storage, is_calibration) in _TYPES.items():
            butler.registry.registerDatasetType(
                DatasetType(
                    name, dimensions, storage, universe=butler.dimensions, isCalibration=is_calibration
                )
            )
        butler.collections.register(DUO.raw_collection)
        for day in (20261122, 20261123):
            butler.registry.insertDimensionData("day_obs", {"instrument": DUO.name, "id": day})
        kinds = [("BIAS", 0.0, CLEAR), ("DARK", 5.0, CLEAR), ("FLAT", 5.0, RED), ("FLAT", 5.0, GREEN)]
        for i, exposure in enumerate(FOREIGN):
            kind = kinds[i // 3]
            self.state.to_ingest[exposure] = Frame(*kind, f"foreign#{i}", FIRST_FRAME - 86_400 + 60 * i)
        self.ingest_all()
        for name in ("bias", "dark", "flat"):
            self.make_calibrations(f"{REFERENCE}/reference", name)
            self.certify_into(REFERENCE, f"{REFERENCE}/reference", Timespan(None, None), name)

    def make_calibrations(self, run: str, name: str) -> None:
        """Store calibrations as another program makes them, if need be."""
        self.butler.collections.register(run)
        if self.datasets(name, run):
            return
        for detector in DETECTORS:
            for physical_filter in (RED, GREEN) if name == "flat" else (None,):
                self.put_product(name, detector, physical_filter, run)

    def put_product(self, name: str, detector: int, physical_filter: str | None, run: str) -> DatasetRef:
        item: Any = {"madeBy": run}
        if name in ("ptc", "cpPtcPartial"):
            item = PhotonTransferCurve(
                ptcFitType="", gain=dict.fromkeys(AMPLIFIERS, 1.2), noise=dict.fromkeys(AMPLIFIERS, 7.0)
            )
        return self.put(item, name, run, detector=detector, physical_filter=physical_filter)

    def put(self, item: Any, name: str, run: str, **data_id: Any) -> DatasetRef:
        given = {key: value for key, value in data_id.items() if value is not None}
        return self.butler.put(item, name, {"instrument": DUO.name, **given}, run=run)

    def certify_into(self, collection: str, run: str, timespan: Timespan, name: str) -> None:
        self.butler.collections.register(collection, CollectionType.CALIBRATION)
        self.butler.registry.certify(collection, self.datasets(name, run), timespan)

    def datasets(self, name: str, run: str) -> list[DatasetRef]:
        """Return the datasets in a collection, in order."""
        if not self.is_there(run):
            return []
        refs = self.butler.query_datasets(name, collections=run, find_first=False, explain=False, limit=None)
        return sorted(refs, key=lambda ref: ref.dataId)

    def remove(self, refs: Collection[DatasetRef]) -> None:
        self.butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)

    def ingest_all(self) -> None:
        """Register what the camera has taken: the exposures and their raws."""
        waiting, self.state.to_ingest = self.state.to_ingest, {}
        if not waiting:
            return
        registry = self.butler.registry
        groups = sorted({frame.group for frame in waiting.values()})
        with self.butler.transaction():
            registry.insertDimensionData(
                "group", *({"instrument": DUO.name, "name": group} for group in groups), skip_existing=True
            )
            registry.insertDimensionData(
                "exposure", *(self._record(exposure, frame) for exposure, frame in waiting.items())
            )
            data_ids = [
                {"instrument": DUO.name, "detector": detector, "exposure": exposure}
                for exposure in waiting
                for detector in DETECTORS
                if (exposure - FIRST_EXPOSURE + 1, detector) not in self.state.not_ingested
            ]
            registry.insertDatasets("raw", data_ids, run=DUO.raw_collection)

    def change_record(self, exposure: int, **changes: Any) -> None:
        """Let the repository have something else about an exposure."""
        (record,) = self.butler.query_dimension_records("exposure", instrument=DUO.name, exposure=exposure)
        self.butler.registry.syncDimensionData("exposure", record.toDict() | changes, update=True)

    def _record(self, exposure: int, frame: Frame) -> dict[str, Any]:
        day, number = divmod(exposure, 100_000)
        begin, end = (
            Time(seconds, format="unix_tai", scale="tai")
            for seconds in (frame.begin, frame.begin + frame.exp_time)
        )
        return {
            "instrument": DUO.name,
            "id": exposure,
            "obs_id": f"AT_O_{day}_{number:06d}",
            "physical_filter": frame.physical_filter,
            "group": frame.group,
            "day_obs": day,
            "seq_num": number,
            "seq_start": number,
            "seq_end": number,
            "exposure_time": frame.exp_time,
            "dark_time": frame.exp_time,
            "observation_type": frame.image_type.lower(),
            "observation_reason": "calibration",
            "science_program": "calibration",
            "target_name": "unknown",
            "has_simulated": True,
            "can_see_sky": False,
            "timespan": Timespan(begin, end),
        }

    def _open(self) -> contextlib.AbstractContextManager[Butler]:
        self.note()
        self.ingest_all()
        return contextlib.nullcontext(self.butler)

    # Moments

    def save(self) -> Snapshot:
        with contextlib.closing(sqlite3.connect(self._root / "gen3.sqlite3")) as connection:
            registry = connection.serialize()
        return Snapshot(copy.deepcopy(self.state), registry, dict(self._stored()))

    def _stored(self) -> Iterator[tuple[Path, bytes]]:
        for path in (self._root / "u").rglob("*.*"):
            if path.is_file():
                yield path, path.read_bytes()

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a moment."""
        self.state = copy.deepcopy(snapshot.state)
        with (
            contextlib.closing(sqlite3.connect(":memory:")) as saved,
            contextlib.closing(sqlite3.connect(self._root / "gen3.sqlite3")) as connection,
        ):
            saved.deserialize(snapshot.registry)
            connection.execute("PRAGMA synchronous = OFF")
            saved.backup(connection)
        shutil.rmtree(self._root / "u", ignore_errors=True)
        for path, content in snapshot.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._journal_file.unlink(missing_ok=True)
        if self.state.journal:
            self._journal_file.parent.mkdir(parents=True, exist_ok=True)
            self._journal_file.write_text(self.state.journal)

    @property
    def _journal_file(self) -> Path:
        return self._journals / f"{RUN_ID}.journal.json"

    # Runs

    def run(self, text: str, faults: Faults = Faults()) -> Ended:
        """Run to the end, however that comes; resume if there is a journal."""
        self._faults, self._killed = faults, False
        self._n_events = self._n_frames = self._n_submitted = 0
        config, plan = planned(text)
        self._ended = ended = Ended(config)
        record = RunRecord(RUN_ID, {})
        if self.state.journal:
            self._journal_file.write_text(self.state.journal)
            lock = lock_earlier_run(self._journals, RUN_ID)
            try:
                record = load_record(self._journals, RUN_ID)
            except LookupError:
                return ended
            finally:
                lock.release()
            record = dataclasses.replace(record, resumed=record.resumed + 1)
        ended.report = virtually(self._run(config, plan, record))
        if self._journal_file.exists():
            self.state.journal = self._journal_file.read_text()
        return ended

    async def _run(self, config: CalibrationConfig, plan: RunPlan, record: RunRecord) -> RunReport:
        world = ports.World(
            camera=self,
            ingest=self,
            jobs=self,
            repository=_Repository(self, str(self._root), DUO, DUO.detector_ids(config.detectors)),
            operator=self,
            journal=_Journal(self, FileJournal(self._journals, RUN_ID)),
            group_id=lambda exposure: f"{RUN_ID}#{record.resumed}#{exposure.label}".replace("/", "of"),
            clock=self._clock,
            earlier_run=functools.partial(earlier_run, self._journals),
            frame_clock=self._clock,
        )
        procedure = Procedure(config, plan, DUO, world, record)
        try:
            await procedure.run()
        except (ObservatoryError, Killed):
            pass
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
            self.state.now += asyncio.get_running_loop().time() + 60
        return procedure.report

    def stages_ended(self, names: set[str]) -> None:
        """End the process once a stage has ended, if the fault says so."""
        if self._faults.kill_after in names:
            self._killed = True
            raise Killed

    def note(self) -> None:
        """Count an event; end the process at that of the fault."""
        self._n_events += 1
        if self._n_events == self._faults.kill_at:
            self._killed = True
        if self._killed:
            raise Killed

    @property
    def ended(self) -> RunReport | None:
        """The report of the last run; `None` if it could not be resumed."""
        assert self._ended is not None
        return self._ended.report

    def offered(self, proofs: Collection[Proof]) -> None:
        assert self._ended is not None
        self._ended.offered += proofs

    def _clock(self) -> float:
        return FIRST_FRAME + self.state.now + asyncio.get_running_loop().time()

    # The observer

    def info(self, text: str) -> None:
        """Do nothing."""

    warning = error = info

    def verdict(self, text: str, *, passed: bool) -> None:
        self.info(text)

    async def checkpoint(self, name: str) -> None:
        """Do nothing."""

    # The camera and the job service

    async def check(self) -> tuple[str, ...]:
        return ()

    async def physical_filter(self, series: Series) -> str:
        return series.filter or CLEAR

    async def set_up(self, series: Series) -> None:
        """Do nothing."""

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        self._n_frames += 1
        if self._n_frames == self._faults.camera_at:
            raise CameraError("the shutter is stuck")
        series = exposure.series.part
        image_type, physical_filter = exposure.image_type.value, series or CLEAR
        if image_type == "FLAT":
            assert self._ended is not None
            (flats,) = (one for one in self._ended.config.series if one.subject == exposure.series)
            physical_filter = flats.filter or CLEAR
        if self._n_frames == self._faults.lying_at:
            image_type, physical_filter = ("DARK", RED) if image_type == "FLAT" else ("FLAT", GREEN)
        if self._n_frames == self._faults.foreign_at:
            kinds = ["BIAS", "DARK", "FLAT"]
            return FOREIGN[3 * kinds.index(image_type) + self._n_frames % 3]
        begin = self._clock()
        await asyncio.sleep(exposure.exp_time + 2)
        exposure_id = FIRST_EXPOSURE + self.state.n_exposures
        self.state.n_exposures += 1
        self.state.to_ingest[exposure_id] = Frame(
            image_type, exposure.exp_time, physical_filter, group_id, begin
        )
        self.note()
        return exposure_id

    # Ingest

    def expect(self, exposure: int) -> None:
        """Do nothing."""

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        self.ingest_all()
        if not exposures:
            return IngestReport()
        refs = self.datasets("raw", DUO.raw_collection)
        present = {(ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs}
        lost = [LostRaw(i, each) for i in exposures for each in DETECTORS if (i, each) not in present]
        missing = dict.fromkeys(raw.exposure for raw in lost)
        return IngestReport(missing=tuple(missing), lost=tuple(lost))

    # Jobs

    async def submit(self, request: JobRequest) -> str:
        self._n_submitted += 1
        fault = self._faults.jobs.get(self._n_submitted)
        if fault == "refused":
            raise JobRefusedError("no")
        self.state.n_jobs += 1
        job_id = f"{self.state.n_jobs}_{_kind(request)}"
        self.state.requests[job_id] = request
        self.note()
        self._fault_of = {**getattr(self, "_fault_of", {}), job_id: fault}
        return job_id

    async def result(self, job_id: str) -> JobResult:
        await asyncio.sleep(100)
        self.note()
        fault = self._fault_of.get(job_id)
        exit_code = 1
        if fault != "exit 1":
            exit_code = 0 if self._execute(job_id, fault) and fault != "one detector, exit 1" else 1
        if fault == "lost":
            raise JobLostError("the OCPS is gone")
        self.note()
        return JobResult(job_id, exit_code)

    async def wait_ready(self, timeout: float) -> bool:
        return True

    async def resume(self, job_id: str) -> bool:
        return False

    async def abort(self, job_id: str) -> None:
        if self._killed:
            raise Killed

    def collection(self, job_id: str) -> str:
        return f"u/ocps/{job_id}"

    def run_collection(self, job_id: str) -> str:
        return f"u/ocps/{job_id}/run"

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        return ()

    def log_path(self, job_id: str) -> str:
        return f"/log/{job_id}"

    def _execute(self, job_id: str, fault: str | None) -> bool:
        """Make what a job makes; return whether it could."""
        self.ingest_all()
        request = self.state.requests[job_id]
        kind = _kind(request)
        run, chain = self.run_collection(job_id), self.collection(job_id)
        butler = self.butler
        butler.collections.register(run)
        butler.collections.register(chain, CollectionType.CHAINED)
        # The OCPS names the raw frames first, and pipetask flattens chains.
        first = (REFERENCE,) if self._faults.reference_first else ()
        self._inputs = (*first, DUO.raw_collection, *request.inputs)
        there = [name for name in self._inputs if self.is_there(name)]
        searched = butler.collections.query(there, flatten_chains=True) if there else []
        butler.collections.redefine_chain(chain, [run, *searched])
        exposures = sorted(set(request.exposures))
        if fault == "dropped":
            del exposures[0]
        records = self.records(exposures)
        if len(records) < len(exposures) or not exposures:
            return False
        lacks_one = fault in ("one detector", "one detector, exit 1")
        detectors = request.detectors[:1] if lacks_one else request.detectors
        if fault == "nothing":
            return True
        prefix = "verify" if kind.verifies else "cp"
        if (prefix, kind.name) != ("verify", "Ptc"):
            butler.registry.insertDatasets(
                f"{prefix}{kind.name}IsrExp",
                [
                    {"instrument": DUO.name, "detector": detector, "exposure": exposure}
                    for exposure in (*exposures, *(FOREIGN[:1] if fault == "foreign too" else ()))
                    for detector in detectors
                    if fault != "dropped of one" or (exposure, detector) != (exposures[0], detectors[-1])
                ],
                run=run,
            )
        filters = {record.physical_filter for record in records}
        physical_filter = sorted(filters)[0] if kind.name == "Flat" else None
        if kind.verifies:
            return self._verify(job_id, kind, records, fault)
        for detector in detectors:
            if kind.name == "Ptc":
                for exposure in exposures[::2]:
                    self._put_partial(exposure, detector, run)
            ref = self.put_product(PRODUCTS[kind.name], detector, physical_filter, run)
            if fault == "noisy" or (fault == "one noisy" and detector == detectors[-1]):
                self.state.bad_references.add(str(ref.id))
        return True

    def _put_partial(self, exposure: int, detector: int, run: str) -> None:
        gains = PhotonTransferCurve(
            ptcFitType="", gain=dict.fromkeys(AMPLIFIERS, 1.2), noise=dict.fromkeys(AMPLIFIERS, 7.0)
        )
        self.put(gains, "cpPtcPartial", run, detector=detector, exposure=exposure)

    def _verify(self, job_id: str, kind: Kind, records: list[Any], fault: str | None) -> bool:
        request, run = self.state.requests[job_id], self.run_collection(job_id)
        physical_filter = records[0].physical_filter if kind.name == "Flat" else None
        references = [
            self.reference(PRODUCTS[kind.name], detector, physical_filter, self._inputs, records[0].timespan)
            for detector in request.detectors
        ]
        if None in references:
            return False
        used = frozenset(str(ref.id) for ref in references if ref is not None)
        self.state.compared_with[job_id] = used
        all_fail = fault == "noisy" or kind.name in self.state.failing
        noisy = {record.id for record in records if all_fail or record.id in self.state.noisy}
        bad = [
            DETECTORS[detector]
            for detector, ref in zip(request.detectors, references, strict=True)
            if str(ref.id if ref else "") in self.state.bad_references
        ]
        bad += [DETECTORS[request.detectors[-1]]] if fault == "one noisy" else []
        if fault == "foreign":
            records = [*records[1:], *self.records(FOREIGN[:1])]
        names = [DETECTORS[detector] for detector in request.detectors]
        exposures = [record.id for record in records]
        self.put_statistics(kind.name, exposures, noisy, run, names, physical_filter, bad)
        return True

    def put_statistics(
        self,
        name: str,
        exposures: list[int],
        noisy: Collection[int],
        run: str,
        detectors: Collection[str] = tuple(DETECTORS.values()),
        physical_filter: str | None = None,
        bad: Collection[str] = (),
    ) -> None:
        """Store what cp_verify would, if these exposures were noisy.

        Of bad detectors, all are.
        """
        if name == "Ptc":
            failures = [f"{amplifier} PTC_GAIN" for amplifier in AMPLIFIERS]
            fails, passes = {"SUCCESS": False, "FAILURES": failures}, {"SUCCESS": True}
            statistics: Any = {name: fails if noisy or name in bad else passes for name in detectors}
            statistics["SUCCESS"] = not noisy and not bad
        else:

            def of_detector(exposure: int, detector: str) -> Any:
                failed = ["NOISE"] if exposure in noisy or detector in bad else []
                return detector_level(dict.fromkeys(AMPLIFIERS, failed))

            by_exposure = {
                exposure: exposure_level(
                    {detector: of_detector(exposure, detector) for detector in detectors},
                    scatter_passes=name != "Flat" or (exposure not in noisy and not bad),
                )
                for exposure in exposures
            }
            statistics = (run_level if name == "Flat" else intact_run_level)(by_exposure)
            self._put_details(name, by_exposure, run, detectors, of_detector)
        self.put(statistics, f"verify{name}Stats", run, physical_filter=physical_filter)

    def _put_details(
        self,
        name: str,
        by_exposure: Mapping[int, Any],
        run: str,
        detectors: Collection[str],
        of_detector: Callable[[int, str], Any],
    ) -> None:
        """Store the statistics below those of the run.

        Those of flats are read where the run's hide failures.
        """
        ids = {each: detector for detector, each in DETECTORS.items()}
        pairs = [(exposure, each) for exposure in by_exposure for each in detectors]
        if name != "Flat":
            data_ids = [
                {"instrument": DUO.name, "detector": ids[each], "exposure": exposure}
                for exposure, each in pairs
            ]
            self.butler.registry.insertDatasets(f"verify{name}DetStats", data_ids, run=run)
            return
        for exposure, each in pairs:
            self.put(
                of_detector(exposure, each), "verifyFlatDetStats", run, exposure=exposure, detector=ids[each]
            )
        for exposure, one in by_exposure.items():
            self.put(one, "verifyFlatExpStats", run, exposure=exposure)

    def records(self, exposures: Collection[int]) -> list[Any]:
        """Return the records of exposures that exist, in order."""
        found = self.butler.query_dimension_records(
            "exposure",
            where="instrument = name AND exposure IN (ids)",
            bind={"name": DUO.name, "ids": tuple(exposures)},
            explain=False,
            limit=None,
        )
        return sorted(found, key=lambda record: int(record.id))

    def reference(
        self, name: str, detector: int, physical_filter: str | None, inputs: Collection[str], when: Timespan
    ) -> DatasetRef | None:
        """Return the calibration that a job finds."""
        data_id = {"instrument": DUO.name, "detector": detector}
        if physical_filter is not None:
            data_id["physical_filter"] = physical_filter
        there = [name for name in inputs if self.is_there(name)]
        return self.butler.find_dataset(name, data_id, collections=there, timespan=when) if there else None

    def is_there(self, collection: str) -> bool:
        try:
            self.butler.collections.get_info(collection)
        except MissingCollectionError:
            return False
        return True


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a pipeline is for."""

    name: str
    verifies: bool

    def __str__(self) -> str:
        return f"{'verify' if self.verifies else 'cp'}{self.name}"


def _kind(request: JobRequest) -> Kind:
    found = re.search(r"/(cp|verify)(\w+)\.yaml$", request.pipeline)
    assert found is not None, request.pipeline
    return Kind(found[2], found[1] == "verify")


class _Repository(ButlerRepository):
    """Notes the evidence; the level of a flat needs an image.

    The stand-ins of jobs have no prerequisites.
    """

    def __init__(self, world: ButlerWorld, *args: Any) -> None:
        super().__init__(*args)
        self._world = world

    async def unavailable(self, lookups: Collection[Lookup]) -> Mapping[Lookup, tuple[int, ...]]:
        return {}

    async def raw_level(self, exposure: int) -> float:
        return 20_000.0

    async def certify(self, *proofs: Proof) -> None:
        self._world.offered(proofs)
        await super().certify(*proofs)


class _Journal:
    """A journal that is written at once."""

    def __init__(self, world: ButlerWorld, file: FileJournal) -> None:
        self._world = world
        self._file = file
        self.path = file.path
        self.check = file.check
        self._ended: set[str] | None = None

    def write(self, record: RunRecord) -> None:
        self._world.note()
        self._file.write(record)
        ended = {result.name for result in record.stages}
        new = set() if self._ended is None else ended - self._ended
        self._ended = ended
        self._world.stages_ended(new)

    async def flush(self) -> None:
        """Do nothing: what is written is there."""


def _do_not_wait(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


async def _at_once(action: Callable[[], Any]) -> Any:
    """Take the place of threads, which virtual time does not wait for."""
    return action()
