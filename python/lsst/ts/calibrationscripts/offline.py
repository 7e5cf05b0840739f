# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observatory that takes no frames and runs no jobs."""

from __future__ import annotations

__all__ = [
    "ForgetfulJournal",
    "NoCamera",
    "NoIngest",
    "NoJobs",
    "Warnings",
    "instrument_of",
    "of_instrument",
    "tai_now",
]

import time
from collections.abc import Collection

from .config import Series
from .instruments import INSTRUMENTS, Instrument
from .job_names import JobNames
from .plan import TAI_MINUS_UTC, JobRequest, PlannedExposure
from .ports import CameraError, IngestReport, JobRefusedError, JobResult, ObservatoryError
from .record import RunRecord

_RESUME_FIRST = "This takes no frames and runs no jobs: resume the run first"


def tai_now() -> float:
    """Return the time: TAI, as a Unix timestamp (s)."""
    return time.time() + TAI_MINUS_UTC.total_seconds()


def instrument_of(record: RunRecord) -> Instrument | None:
    """Return whose run it is; `None` if that is not known.

    The records of earlier versions say it by their jobs only.
    """
    names = {record.instrument} if record.instrument else {job.request.instrument for job in record.jobs}
    return next((each for each in INSTRUMENTS.values() if names == {each.name}), None)


def of_instrument(record: RunRecord, instrument: Instrument) -> RunRecord:
    """Return the record of a run that a script of an instrument resumes.

    Parameters
    ----------
    record : `RunRecord`
        What that run has done.
    instrument : `Instrument`
        That of the script.

    Returns
    -------
    record : `RunRecord`
        The same.

    Raises
    ------
    LookupError
        If it is a run of another instrument.
    """
    other = instrument_of(record)
    if other is not None and other.name != instrument.name:
        raise LookupError(
            f"is a run of {other.name}, and this is the script of {instrument.name}",
            f"resume it with {other.scripts[0]}, or --instrument {other.name}",
        )
    return record


class NoCamera:
    """A `Camera` for runs whose frames exist."""

    async def check(self) -> tuple[str, ...]:
        """Return that frames are missing: it is asked only then."""
        return (f"frames of the run are missing. {_RESUME_FIRST}",)

    async def physical_filter(self, series: Series) -> str:
        """Refuse: it is that of frames that exist."""
        raise CameraError(f"{series.name}: frames of the run are missing. {_RESUME_FIRST}")

    async def set_up(self, series: Series) -> None:
        """Refuse to move a wheel."""
        raise CameraError(f"{series.name}: {_RESUME_FIRST}")

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Refuse to take a frame."""
        raise CameraError(f"{exposure.label}: {_RESUME_FIRST}")


class NoIngest:
    """An `Ingest` that waits for nothing."""

    def expect(self, exposure: int) -> None:
        """Do nothing."""

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        """Return that what is not in the Butler stays missing."""
        return IngestReport(missing=tuple(exposures))


class NoJobs:
    """A `JobService` that knows what jobs have left, and runs none.

    Parameters
    ----------
    names : `JobNames`
        What jobs have called it.
    """

    def __init__(self, names: JobNames) -> None:
        self.collection = names.collection
        self.run_collection = names.run_collection
        self.log_path = names.log_path

    async def check(self) -> tuple[str, ...]:
        """Return that nothing prevents it from running none."""
        return ()

    async def submit(self, request: JobRequest) -> str:
        """Refuse a job."""
        raise JobRefusedError(f"what a job has made is not there, or not the run's. {_RESUME_FIRST}")

    async def wait_ready(self, timeout: float) -> bool:
        """Return that it will never be."""
        return False

    async def result(self, job_id: str) -> JobResult:
        """Refuse: no job was submitted."""
        raise ObservatoryError(f"job {job_id} was not submitted")

    async def resume(self, job_id: str) -> bool:
        """Return that it is not continued."""
        return False

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        """Return nothing: no job has failed."""
        return ()

    async def abort(self, job_id: str) -> None:
        """Refuse: a job of the run may still be running."""
        raise ObservatoryError(_RESUME_FIRST)


class ForgetfulJournal:
    """A `Journal` of what the decision itself writes down."""

    path = ""

    def check(self) -> tuple[str, ...]:
        """Return that nothing prevents it from forgetting."""
        return ()

    def write(self, record: RunRecord) -> None:
        """Do nothing."""

    async def flush(self) -> None:
        """Do nothing."""


class Warnings:
    """An `Operator` who reads warnings only."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def info(self, text: str) -> None:
        """Leave out what happens: it happened before."""

    def warning(self, text: str) -> None:
        """Keep a warning."""
        self.texts.append(text)

    def error(self, text: str) -> None:
        """Keep an error."""
        self.texts.append(text)

    def verdict(self, text: str, *, passed: bool) -> None:
        """Leave out a verdict: it was given before."""

    async def checkpoint(self, name: str) -> None:
        """Do nothing."""
