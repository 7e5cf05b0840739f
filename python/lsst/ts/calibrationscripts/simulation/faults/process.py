# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the script's own process."""

from __future__ import annotations

__all__ = ["Killed", "journal_maker"]

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.journal import FileJournal
from ...files.lock import Lock
from ...ports import JournalFile
from ...record import RunRecord
from .base import Fault

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
