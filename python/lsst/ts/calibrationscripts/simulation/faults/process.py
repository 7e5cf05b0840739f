# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the script's own process, and other processes beside it."""

from __future__ import annotations

__all__ = ["Killed", "SecondObservatory", "SecondOwner", "journal_maker"]

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.journal import FileJournal, newest_run
from ...files.lock import Lock
from ...ports import JournalFile
from ...record import RunRecord
from ..cscs.ocps import OcpsJob
from .base import Fault, Proceed, StepFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory


class Killed(Fault):
    """The script's process is killed immediately before a journal write.

    The observatory is in the same process, so all jobs end with it.
    """

    name = "killed"
    description = "this process is killed (SIGKILL) before its journal is written"
    counts = "journal write"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Do nothing: the journal is the script's; see `journal_maker`."""

    def before_write(self) -> None:
        """Kill the process if it is time."""
        if self.is_due():
            os.kill(os.getpid(), signal.SIGKILL)


class _AnotherProcess(StepFault):
    """Another process uses the work folder before a job is submitted.

    The job waits for its end.

    Attributes
    ----------
    exit_code : `int`
        How it ended.
    said : `str`
        What it printed.
    """

    counts = "job"
    component = "ocps"
    step = "make_job"

    exit_code: int = -1
    said: str = ""

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the submission of a job."""
        super().attach(observatory)
        self._workdir = observatory.workdir

    def arguments(self, workdir: Path) -> list[str]:
        """Return what it does, as arguments of ``calibscripts simulate``."""
        raise NotImplementedError

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        another = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lsst.ts.calibrationscripts", "simulate"),
            *("--workdir", str(self._workdir), *self.arguments(self._workdir)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await another.communicate()
        finally:
            if another.returncode is None:
                another.kill()
                await another.wait()
        self.exit_code, self.said = int(another.returncode or 0), output.decode()
        job: OcpsJob = await proceed(data)
        return job


class SecondOwner(_AnotherProcess):
    """Another process resumes the run that is running."""

    name = "second-owner"
    description = "another process tries to resume the run that is running"

    def arguments(self, workdir: Path) -> list[str]:
        """Return what resumes it."""
        return ["--resume", newest_run(workdir / "journal") or ""]


class SecondObservatory(_AnotherProcess):
    """Another process begins a run in the work folder."""

    name = "second-observatory"
    description = "another process tries to begin a run in the same work folder"

    def arguments(self, workdir: Path) -> list[str]:
        """Return what begins it: no more than the folder."""
        return []


class _DeadlyJournal:
    """A `JournalFile` that gives faults their turn before each write."""

    def __init__(self, journal: JournalFile, faults: Sequence[Killed]) -> None:
        self._journal = journal
        self._faults = faults

    @property
    def path(self) -> str:
        """Path of the file."""
        return self._journal.path

    def check(self) -> tuple[str, ...]:
        """Return why it cannot be written, if so."""
        return self._journal.check()

    def write(self, record: RunRecord) -> None:
        """Write, unless the process is killed before."""
        for fault in self._faults:
            fault.before_write()
        self._journal.write(record)


def journal_maker(faults: Sequence[Fault]) -> Callable[[Path, str, Lock], JournalFile]:
    """Return what makes a script's journals, for ``make_journal``.

    Parameters
    ----------
    faults : `~collections.abc.Sequence` [`Fault`]
        The faults of the observatory. Those of the journal count its writes
        through all journals that are made.

    Returns
    -------
    make_journal : `~collections.abc.Callable`
        Takes the folder, the run's id and lock, as `FileJournal` does.
    """
    deadly = [fault for fault in faults if isinstance(fault, Killed)]

    def make_journal(folder: Path, run_id: str, lock: Lock) -> JournalFile:
        return _DeadlyJournal(FileJournal(folder, run_id, lock), deadly)

    return make_journal
