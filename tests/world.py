# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure's ports, answered by a few lines each."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lsst.ts.calibrationscripts import ports
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.comparison import AmplifierResiduals, Residual
from lsst.ts.calibrationscripts.config import Series, parse
from lsst.ts.calibrationscripts.instruments import LATISS, Instrument
from lsst.ts.calibrationscripts.outcomes import (
    AmplifierDefects,
    Certification,
    DetectorDefects,
    Gain,
    PreviousDefects,
)
from lsst.ts.calibrationscripts.plan import JobRequest, PlannedExposure, make_plan
from lsst.ts.calibrationscripts.ports import (
    Applied,
    Curves,
    ExposureRecord,
    IngestReport,
    JobResult,
    Lookup,
    LostRaw,
    Missing,
    ObservatoryError,
    Wanted,
)
from lsst.ts.calibrationscripts.preconditions import OneOf, Precondition, Reading
from lsst.ts.calibrationscripts.procedure import Procedure
from lsst.ts.calibrationscripts.products import Subject
from lsst.ts.calibrationscripts.proof import ProductRecord, Proof
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.spoilt import AmplifierMeasure, Mark
from lsst.ts.calibrationscripts.verification import ExposureDetail

RUN = "2026-11-23T14:00:00.000"
"""The run's group id."""

FIRST_FRAME = 1_795_442_400.0
"""2026-11-23T14:00:00 TAI, as a Unix timestamp (s)."""

FAILING = {"FAILURES": [f"RXX_S00 C{row}{column} NOISE" for row in range(2) for column in range(8)]}


def met_value(precondition: Precondition) -> float:
    """Return a value that meets a precondition."""
    limit = precondition.limit
    if isinstance(limit, OneOf):
        return float(limit.names.index(limit.allowed[0]) + limit.first)
    return (limit.low + limit.high) / 2


class Killed(BaseException):
    """What SIGKILL is to the procedure: it does nothing more."""


@dataclasses.dataclass
class World:
    """Everything outside the procedure; what happens in it is noted down.

    ``on_event`` is called with each event and may raise: events named with
    "ing" come before anything has happened, the others after.
    """

    now: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    problems: tuple[str, ...] = ()
    setup_error: ObservatoryError | None = None
    exposure_error: tuple[str, ObservatoryError] | None = None
    ingest: IngestReport = dataclasses.field(default_factory=IngestReport)
    job_times: dict[str, float] = dataclasses.field(default_factory=dict)
    exit_codes: dict[str, int] = dataclasses.field(default_factory=dict)
    failing_types: frozenset[str] = frozenset()
    dropped: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    flat_level: float = 20_000.0
    spoilt: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """What is measured otherwise of frames, by label."""

    measure_time: float = 0.0
    unreadable: set[str] = dataclasses.field(default_factory=set)
    """Labels of frames that cannot be measured."""

    headers: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """What the Butler says otherwise of frames, by label."""

    gain: float = 1.2
    gained_defects: int = 12
    """Pixels of an amplifier of 1000 by 1000 that are defects now."""
    certify_error: ObservatoryError | None = None
    pipelines: ports.Pipelines | None = None
    on_checkpoint: Callable[[str], None] | None = None
    on_event: Callable[[str], None] | None = None

    taken: list[str] = dataclasses.field(default_factory=list)
    measured: list[str] = dataclasses.field(default_factory=list)
    events: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    log: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    checkpoints: list[str] = dataclasses.field(default_factory=list)
    requests: dict[str, JobRequest] = dataclasses.field(default_factory=dict)
    aborted: list[str] = dataclasses.field(default_factory=list)
    running: set[str] = dataclasses.field(default_factory=set)
    certified: list[Certification] = dataclasses.field(default_factory=list)
    proofs: list[Proof] = dataclasses.field(default_factory=list)
    residual: float | None = None
    """Noise that new images leave of frames, where those in use leave 6 ADU;
    `None` if none are in use."""

    earlier_runs: dict[str, RunRecord] = dataclasses.field(default_factory=dict)

    fruitless: set[str] = dataclasses.field(default_factory=set)
    """Jobs that end with exit code 0 and make nothing."""

    resumable: set[str] = dataclasses.field(default_factory=set)
    """Jobs that the service continues for a later process."""

    unavailable: frozenset[str] = frozenset()
    """Dataset types that the input collections lack."""

    notifies: bool = False
    """Whether messages are sent."""

    messages: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Titles and texts of what was sent."""

    noted: tuple[Mark, ...] | ObservatoryError = ()
    """What earlier runs have noted of frames, or why that cannot be read."""

    around: dict[str, Reading] = dataclasses.field(default_factory=dict)
    """What is read otherwise around the camera, by what it is of."""

    looked_around: int = 0
    """How often something was read around the camera."""

    looked_up: set[Lookup] = dataclasses.field(default_factory=set)

    instrument: Instrument = LATISS

    not_ingested: dict[int, set[str]] = dataclasses.field(default_factory=dict)
    """Labels of the frames that a detector lacks in the Butler."""

    refused: dict[int, str] = dataclasses.field(default_factory=dict)
    """Why the OODS could not ingest those of a detector."""

    not_processed: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    """Detectors for which a job makes nothing."""

    blocked: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    """Detectors that fail a job, and what it does with all of them."""

    noisy: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    """By image type, detectors whose amplifiers all fail verification."""

    def __post_init__(self) -> None:
        self._ids = itertools.count(2026112300001)
        self.repository = _Repository(self)
        self.exposures: dict[int, tuple[str, ExposureRecord]] = {}
        self.complete: set[str] = set()
        self.journal = ""
        self.in_beam = "empty_1~empty_1"
        self.killed = False

    def procedure(self, text: str = "", *, resume: bool = False) -> Procedure:
        config = parse(text, self.instrument, lambda run_id, folder: read_record(self.journal).config)
        record = RunRecord("run", {})
        if resume and self.journal:
            record = read_record(self.journal)
            record = dataclasses.replace(record, resumed=record.resumed + 1)
        world = ports.World(
            camera=self,
            ingest=self,
            jobs=self,
            repository=self.repository,
            operator=self,
            journal=_Journal(self),
            group_id=lambda exposure: f"{RUN}#{record.resumed}#{exposure.label}",
            clock=self.now,
            earlier_run=self.earlier_run,
            frame_clock=lambda: FIRST_FRAME + self.now(),
            pipelines=self.pipelines,
            notifier=self if self.notifies else None,
            known_marks=self.known_marks,
            surroundings=self,
        )
        plan = make_plan(config, self.instrument)
        return Procedure(config, plan, self.instrument, world, record)

    async def earlier_run(self, run_id: str) -> RunRecord:
        if run_id not in self.earlier_runs:
            raise ObservatoryError(f"run {run_id}: there is none of that id")
        return self.earlier_runs[run_id]

    def kill(self) -> None:
        """End the procedure as SIGKILL would: nothing it does counts."""
        self.killed = True
        raise Killed

    def note(self, event: str) -> None:
        if self.killed:
            raise Killed
        self.events.append((self.now(), event))
        if self.on_event:
            self.on_event(event)

    def time_of(self, event: str) -> float:
        return next(time for time, name in self.events if name == event)

    # Operator
    def info(self, text: str) -> None:
        self.log.append(("info", text))

    def warning(self, text: str) -> None:
        self.log.append(("warning", text))

    def error(self, text: str) -> None:
        self.log.append(("error", text))

    def verdict(self, text: str, *, passed: bool) -> None:
        self.log.append(("info" if passed else "warning", text))

    async def checkpoint(self, name: str) -> None:
        self.checkpoints.append(name)
        if self.on_checkpoint:
            self.on_checkpoint(name)

    # Journals of earlier runs
    async def known_marks(self, exposures: Collection[int]) -> tuple[Mark, ...]:
        if isinstance(self.noted, ObservatoryError):
            raise self.noted
        return tuple(mark for mark in self.noted if mark.exposure in exposures)

    # Notifier
    def send(self, title: str, text: str) -> None:
        self.messages.append((title, text))
        self.note(f"sent {title}")

    # Camera and jobs share the check.
    async def check(self) -> tuple[str, ...]:
        return self.problems

    async def physical_filter(self, series: Series) -> str:
        return "~".join(getattr(series, wheel) or "empty_1" for wheel in self.instrument.wheels)

    async def set_up(self, series: Series) -> None:
        if self.setup_error:
            raise self.setup_error
        self.in_beam = await self.physical_filter(series)
        self.note(f"set up {series.name}")

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        if self.exposure_error and exposure.label.startswith(self.exposure_error[0]):
            raise self.exposure_error[1]
        self.note(f"taking {exposure.label}")
        await asyncio.sleep(exposure.exp_time + 2)
        exposure_id = next(self._ids)
        self.taken.append(exposure.label)
        self.exposures[exposure_id] = (
            exposure.label,
            dataclasses.replace(
                ExposureRecord(
                    exposure.image_type.value,
                    exposure.exp_time,
                    self.in_beam if exposure.image_type == "FLAT" else "empty_1~empty_1",
                    group_id,
                    begin := FIRST_FRAME + self.now(),
                    begin + exposure.exp_time,
                ),
                **self.headers.get(exposure.label, {}),
            ),
        )
        self.note(exposure.label)
        return exposure_id

    # Surroundings, all as it should be unless told otherwise
    async def read(self, preconditions: Sequence[Precondition]) -> Mapping[Precondition, Reading]:
        self.looked_around += 1
        return {each: self.around.get(each.what, Reading(met_value(each))) for each in preconditions}

    # Ingest
    def expect(self, exposure: int) -> None:
        pass

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        there = await self.repository.raws(exposures)
        lost = [
            LostRaw(i, d, self.refused.get(d, ""))
            for i in exposures
            for d in self.instrument.detector_ids()
            if (i, d) not in there
        ]
        missing = {*self.ingest.missing, *(raw.exposure for raw in lost)}
        return IngestReport(
            missing=tuple(i for i in exposures if i in missing),
            failures=tuple(f for f in self.ingest.failures if f[0] in exposures),
            late=tuple(i for i in self.ingest.late if i in exposures),
            lost=tuple(lost),
        )

    # Jobs, named after their pipeline file.
    async def submit(self, request: JobRequest) -> str:
        name = re.sub(r".*/|\.yaml", "", request.pipeline)
        job_id = next(
            job_id
            for job_id in itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
            if job_id not in self.requests
        )
        self.note(f"submitting {job_id}")
        self.requests[job_id] = request
        self.running.add(job_id)
        self.note(f"start {job_id}")
        return job_id

    async def result(self, job_id: str) -> JobResult:
        await asyncio.sleep(self.job_times.get(job_id, 100))
        self.note(f"ending {job_id}")
        self.running.discard(job_id)
        exit_code = 1 if self.blocking(job_id) else self.exit_codes.get(job_id, 0)
        if exit_code == 0 or job_id in self.not_processed:
            self.complete.add(job_id)
        self.note(f"end {job_id}")
        return JobResult(job_id, exit_code)

    def blocking(self, job_id: str) -> set[int]:
        """Return the detectors for which a job fails."""
        return self.blocked.get(job_id.partition("-")[0], set()) & set(self.requests[job_id].detectors)

    async def wait_ready(self, timeout: float) -> bool:
        return True

    async def resume(self, job_id: str) -> bool:
        return job_id in self.resumable

    async def abort(self, job_id: str) -> None:
        if self.killed:
            raise Killed
        self.running.discard(job_id)
        self.aborted.append(job_id)

    def collection(self, job_id: str) -> str:
        return f"u/ocps/{job_id}"

    def run_collection(self, job_id: str) -> str:
        return f"u/ocps/{job_id}/run"

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        return ("Traceback (most recent call last):", f"ValueError: {job_id} is bad")

    def log_path(self, job_id: str) -> str:
        return f"/log/{job_id}"


class _Journal:
    path = "/journal/run.json"

    def __init__(self, world: World) -> None:
        self._world = world

    def check(self) -> tuple[str, ...]:
        return ()

    def write(self, record: RunRecord) -> None:
        self._world.note("writing the journal")
        self._world.journal = json.dumps(to_json(record))

    async def flush(self) -> None:
        """Do nothing: what is written is there at once."""


class _Repository:
    """A Butler that holds what the jobs of a `World` would have made."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _exposures(self, collection: str) -> list[int]:
        job_id = collection.split("/")[2]
        query = self._world.requests[job_id].data_query
        ids = [int(text) for text in re.findall(r"\d{13}", query)]
        return [i for i in ids if i not in self._world.dropped.get(job_id, set())]

    async def check(
        self, inputs: Collection[str], certifications: Sequence[Certification]
    ) -> tuple[str, ...]:
        def is_taken(wanted: Certification) -> bool:
            there = {
                replace(each, source="") for each in self._world.certified if each.source != wanted.source
            }
            return replace(wanted, source="") in there

        replace = dataclasses.replace
        return tuple(
            f"{wanted.collection} has {wanted.dataset_type} already"
            for wanted in certifications
            if is_taken(wanted)
        )

    async def unavailable(self, lookups: Collection[Lookup]) -> Mapping[Lookup, tuple[int, ...]]:
        self._world.looked_up = set(lookups)
        return {each: (0,) for each in lookups if each.times and each.dataset_type in self._world.unavailable}

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        world = self._world
        return frozenset(
            (i, detector)
            for i in exposures
            for detector in world.instrument.detector_ids()
            if not (lacking := world.not_ingested.get(detector)) or world.exposures[i][0] not in lacking
        )

    async def raw_level(self, exposure: int) -> float:
        return self._world.flat_level

    async def measure_raw(self, exposure: int) -> tuple[AmplifierMeasure, ...]:
        label, record = self._world.exposures[exposure]
        await asyncio.sleep(self._world.measure_time)
        if label in self._world.unreadable:
            raise ObservatoryError(
                f"could not measure the raw frame of exposure {exposure}: OSError: bad block"
            )
        self._world.measured.append(label)
        level = 4000 * record.exp_time if record.image_type == "FLAT" else 1.0
        good = AmplifierMeasure(
            detector=0,
            amplifier="C00",
            overscan=2000.0,
            level=level,
            noise=6.0,
            read_noise=6.0,
            blocks=(0.0,) * 4,
            n_pixels=200_000,
            n_overscan=20_000,
            saturated=0.0,
        )
        return (dataclasses.replace(good, **self._world.spoilt.get(label, {})),)

    async def exposure_of_group(self, group: str) -> int | None:
        exposures = self._world.exposures.items()
        return next((i for i, (_, record) in exposures if record.group == group), None)

    async def exposure_records(self, ids: Sequence[int]) -> Mapping[int, ExposureRecord]:
        return {i: self._world.exposures[i][1] for i in ids if i in self._world.exposures}

    async def missing(self, wanted: Wanted, run_collection: str) -> tuple[Missing, ...]:
        job_id = run_collection.split("/")[2]
        made = self._made(job_id) if job_id in self._world.complete - self._world.fruitless else ()
        if not wanted.by_detector:
            return () if made else (Missing(),)
        return tuple(Missing(each) for each in wanted.detectors or (0,) if each not in made)

    def _made(self, job_id: str) -> tuple[int, ...]:
        """Return the detectors for which a job has made something."""
        detectors = self._world.requests[job_id].detectors
        return tuple(each for each in detectors if each not in self._world.not_processed.get(job_id, set()))

    async def products(self, dataset_type: str, run_collection: str) -> tuple[ProductRecord, ...]:
        job_id = run_collection.split("/")[2]
        return tuple(
            ProductRecord(
                f"uuid of {dataset_type} of {job_id}" + f", {each}" * (each > 0),
                each,
                None,
                run_collection,
                written=self._ended(job_id),
            )
            for each in self._made(job_id)
        )

    def _ended(self, job_id: str) -> float:
        """Return a time that is later for later jobs."""
        return FIRST_FRAME + list(self._world.requests).index(job_id)

    async def found_before(self, dataset_type: str, collection: str, run_collection: str) -> tuple[str, ...]:
        return ()

    async def first_written(self, dataset_types: Collection[str], run_collection: str) -> float | None:
        return self._ended(run_collection.split("/")[2])

    async def searched(self, collection: str) -> tuple[str, ...]:
        inputs = self._world.requests[collection.split("/")[2]].inputs
        return tuple(f"{name}/run" if name.startswith("u/ocps/") else name for name in inputs)

    async def exposures_with(self, dataset_type: str, collection: str) -> frozenset[tuple[int, int]] | None:
        job_id = collection.split("/")[2]
        detectors = set(self._made(job_id)) - self._world.blocking(job_id)
        return frozenset((i, detector) for i in self._exposures(collection) for detector in detectors)

    async def reference_gains(
        self, collections: Sequence[str], exposure: int
    ) -> Mapping[tuple[int, str], float]:
        made = [each for each in self._world.certified if each.dataset_type == "ptc"]
        own = any(each.collection in collections for each in made)
        return {(0, "C00"): self._world.gain if own else 1.25}

    async def residuals(self, applied: Applied) -> tuple[str, tuple[AmplifierResiduals, ...]]:
        if self._world.residual is None:
            return "", ()
        before, now = (Residual(0.0, noise, 0.0, 0.0, 0.0) for noise in (6.0, self._world.residual))
        n = len(applied.frames.exposures)
        return "earlier/run", (AmplifierResiduals(0, "C00", (now,) * n, (before,) * n, 10_000),)

    async def curves(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> Curves:
        return Curves({}, {}, "")

    async def statistics(self, dataset_type: str, collection: str, physical_filter: str | None = None) -> Any:
        name = dataset_type.removeprefix("verify").removesuffix("Stats").upper()
        fails = name in self._world.failing_types
        if name in ("PTC", "GAIN"):
            by_detector = [text.partition(" ")[2] for text in FAILING["FAILURES"]]
            return {
                "RXX_S00": {"FAILURES": by_detector} if fails else {"SUCCESS": True},
                "SUCCESS": not fails,
            }
        names = [
            each.name for each in self._world.instrument.detectors if each.id in self._noisy(name, collection)
        ]
        noisy = {
            "FAILURES": [text.replace("RXX_S00", each) for each in names for text in FAILING["FAILURES"]]
        }
        entry = FAILING if fails else noisy if names else {"SUCCESS": True}
        entries: dict[Any, Any] = dict.fromkeys(self._exposures(collection), entry)
        return {**entries, "SUCCESS": not fails and not names}

    def _noisy(self, name: str, collection: str) -> set[int]:
        """Return the detectors that a verification finds noisy."""
        request = self._world.requests[collection.split("/")[2]]
        return self._world.noisy.get(name, set()) & set(request.detectors)

    async def failure_details(
        self, subject: Subject, run_collection: str, exposures: Collection[int]
    ) -> Mapping[int, ExposureDetail]:
        return {}

    async def gains(
        self, dataset_type: str, collection: str, pairs: Sequence[tuple[int, int, float]]
    ) -> tuple[Gain, ...]:
        return tuple(Gain((i, j), exp_time, 0, "C00", self._world.gain, 7.5) for i, j, exp_time in pairs)

    async def defects(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> tuple[DetectorDefects, ...]:
        made = await self.products(dataset_type, run_collection)
        gained = self._world.gained_defects
        amplifier = AmplifierDefects("C00", 1_000_000, 1000 + gained, gained=gained, lost=0)
        previous = PreviousDefects("uuid of earlier defects", f"{inputs[-1]}/run", 900)
        return tuple(DetectorDefects(each.detector, each.id, 910, (amplifier,), previous) for each in made)

    async def certify(self, *proofs: Proof) -> None:
        if self._world.certify_error:
            raise self._world.certify_error
        certifications = [proof.certification for proof in proofs]
        names = " and ".join(certification.dataset_type for certification in certifications)
        self._world.note(f"certifying {names}")
        await asyncio.sleep(1)
        self._world.certified.extend(certifications)
        self._world.proofs.extend(proofs)
        self._world.note(f"certified {names}")

    async def is_certified(self, proof: Proof) -> bool:
        if proof.certification not in self._world.certified:
            return False
        made = [each for each in self._world.proofs if each.certification == proof.certification]
        return {*proof.dataset_ids} <= {i for each in made for i in each.dataset_ids}
