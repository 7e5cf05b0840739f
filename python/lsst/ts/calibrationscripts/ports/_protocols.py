# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a procedure talks to."""

from __future__ import annotations

__all__ = [
    "Camera",
    "Ingest",
    "JobService",
    "Journal",
    "JournalFile",
    "Notifier",
    "Operator",
    "Pipelines",
    "Watcher",
    "World",
]

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config import Series
from ..outcomes import Outcome
from ..plan import JobPlan, JobRequest, PlannedExposure, Stage
from ..record import RunRecord
from ..spoilt import Mark
from ._records import IngestReport, JobResult
from ._repository import CalibrationRepository
from ._surroundings import Surroundings


class Operator(Protocol):
    """The person who watches, and may pause or stop."""

    def info(self, text: str) -> None:
        """Log what happens."""

    def warning(self, text: str) -> None:
        """Log what the operator should look at."""

    def error(self, text: str) -> None:
        """Log what failed."""

    def verdict(self, text: str, *, passed: bool) -> None:
        """Log whether a product passed verification.

        The observatory's Watcher reads this text too.
        """

    async def checkpoint(self, name: str) -> None:
        """Pause or stop here, if the operator wishes.

        Called before each frame, and each time that a stage has ended while
        nothing but processing is left.
        """


class Watcher(Protocol):
    """An observer of the run without influence, such as a progress bar."""

    def started(self, stage: Stage) -> None:
        """Note that a stage has begun; not called for one that is skipped."""

    def taken(self, exposure: PlannedExposure) -> None:
        """Note that a frame exists, taken now or by an earlier run."""

    def ended(self, stage: Stage, outcome: Outcome) -> None:
        """Note how a stage ended, also if it never started."""


class Notifier(Protocol):
    """What sends messages to persons who do not watch the run."""

    def send(self, title: str, text: str) -> None:
        """Send a message to everyone that is configured.

        It returns at once and raises nothing: what fails is logged.
        """


class JournalFile(Protocol):
    """What the record of a run is written to."""

    @property
    def path(self) -> str:
        """Where a person finds it."""

    def check(self) -> tuple[str, ...]:
        """Return what prevents it from being written, if anything.

        Called once, before the run begins.
        """

    def write(self, record: RunRecord) -> None:
        """Replace what was written before; all of it or nothing.

        Called whenever something was done that must not be done twice,
        before and after each frame and job.

        Raises
        ------
        ObservatoryError
            If that fails.
        """


class Journal(JournalFile, Protocol):
    """Where the record of a run is kept.

    What `write` is given may be written later, in the same order.
    """

    async def flush(self) -> None:
        """Wait until all that was given is written.

        Called before each frame, after the id of each job is known, after
        each certification, and at the end of the run.

        Raises
        ------
        ObservatoryError
            If something could not be written.
        """


class Camera(Protocol):
    """The instrument."""

    async def check(self) -> tuple[str, ...]:
        """Return what prevents it from taking the frames, if anything.

        Called before the run begins, unless no frames are to be taken.
        """

    async def physical_filter(self, series: Series) -> str:
        """Return the Butler's name of what a series is to be taken through.

        That is its filter and grating or, where none is given, the one in
        the beam. Called for each series of flats before the run begins.

        Raises
        ------
        CameraError
            If that is not known.
        """

    async def set_up(self, series: Series) -> None:
        """Select filter and grating of a series and read them back.

        Called for the first flats at the beginning of the run, so that a
        wheel that is stuck costs no frames, and before each series of flats.

        Raises
        ------
        CameraError
            If they are not in the beam afterwards.
        """

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Take a frame; return its exposure id once it is read out.

        Called for one frame at a time. When it is cancelled the camera may
        complete the frame.

        Parameters
        ----------
        exposure : `PlannedExposure`
            The frame.
        group_id : `str`
            Its own group id, by which the Butler will know it.

        Raises
        ------
        CameraError
            If it was not taken.
        """


class Ingest(Protocol):
    """What puts frames into the Butler."""

    def expect(self, exposure: int) -> None:
        """Start the clock of a frame that has been read out.

        Called at once after each frame, and for those of an earlier run that
        are not in the Butler yet.
        """

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        """Wait until each is ingested, has failed or is overdue.

        Called for a series once all its frames are taken, and for the first
        flat by itself; the calls may overlap.
        """


class JobService(Protocol):
    """What runs pipelines."""

    async def check(self) -> tuple[str, ...]:
        """Return what prevents it from running jobs, if anything.

        Called once, before the run begins.
        """

    async def submit(self, request: JobRequest) -> str:
        """Start a job and return its id.

        Raises
        ------
        JobRefusedError
            If it was refused, or its acceptance is not reported in time.
        """

    async def wait_ready(self, timeout: float) -> bool:
        """Wait until jobs can be submitted; return whether they can.

        Called after a refusal or a loss, before a job is submitted again.

        Parameters
        ----------
        timeout : `float`
            Longest wait (s).
        """

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job.

        After a loss this may be called again: a result that came late is
        returned then.

        Raises
        ------
        JobLostError
            If the job service is gone, or has lost the job or its result.
        JobTimeoutError
            If it does not come in time.
        """

    async def resume(self, job_id: str) -> bool:
        """Continue a job that an earlier process left; return if it runs.

        Called for a job without a result, before it would be aborted and
        submitted again. What has ended of it must not be done again. If it
        runs, its `result` comes.
        """

    async def abort(self, job_id: str) -> None:
        """Stop a job.

        Called for every job that runs when the run ends early.

        Raises
        ------
        ObservatoryError
            If that is refused, or not acknowledged in time.
        """

    def collection(self, job_id: str) -> str:
        """Return the output collection of a job, chained to its inputs."""

    def run_collection(self, job_id: str) -> str:
        """Return the RUN collection that holds a job's outputs alone."""

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        """Return the last lines of a job's log; none if it is not readable.

        Called once a job has failed.
        """

    def log_path(self, job_id: str) -> str:
        """Return the path of a job's log."""


class Pipelines(Protocol):
    """The pipelines that jobs run, as far as they are at hand."""

    async def check(self, jobs: Sequence[JobPlan]) -> tuple[str, ...]:
        """Return what pipelines lack that jobs need; nothing if unknown.

        Called once, before the run begins.
        """


@dataclass(frozen=True)
class World:
    """Everything that a procedure talks to."""

    camera: Camera
    ingest: Ingest
    jobs: JobService
    repository: CalibrationRepository
    operator: Operator
    journal: Journal

    group_id: Callable[[PlannedExposure], str]
    """Returns the group id of a frame."""

    clock: Callable[[], float]
    """Returns the time: TAI, as a Unix timestamp (s)."""

    earlier_run: Callable[[str], Awaitable[RunRecord]]
    """Returns the record of another run by its id; raises `ObservatoryError`
    if there is none."""

    frame_clock: Callable[[], float]
    """Returns when a frame would begin that is taken now, likewise. A
    simulated camera may be in another night than the clock."""

    watcher: Watcher | None = None

    pipelines: Pipelines | None = None
    """`None` if they are nowhere to be read."""
    notifier: Notifier | None = None
    known_marks: Callable[[Collection[int]], Awaitable[Sequence[Mark]]] | None = None
    """Returns what earlier runs have noted of exposures, each mark with its
    run; raises `ObservatoryError` if that cannot be read."""

    surroundings: Surroundings | None = None
    """`None` if nothing is looked at."""

    resume_command: str = ""
    """Command of a shell that resumes the run; "" if a configuration does."""
