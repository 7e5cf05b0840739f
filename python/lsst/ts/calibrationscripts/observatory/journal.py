# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal whose writing does not stop the event loop."""

from __future__ import annotations

__all__ = ["BackgroundJournal"]

import asyncio
from collections import deque

from ..ports import JournalFile, ObservatoryError
from ..record import RunRecord
from ..threads import in_thread


class BackgroundJournal:
    """A `Journal` that a thread writes, one record after the other.

    A disk takes milliseconds for a write that must last, but may also hang.

    Parameters
    ----------
    file : `JournalFile`
        What is written.
    """

    FLUSH_TIMEOUT = 30.0
    """Longest wait for the disk (s)."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._waiting: deque[RunRecord] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._error: ObservatoryError | None = None

    @property
    def path(self) -> str:
        """Where a person finds it."""
        return self._file.path

    def check(self) -> tuple[str, ...]:
        """Return what prevents it from being written, if anything."""
        return self._file.check()

    def write(self, record: RunRecord) -> None:
        """Have a record written after those before it."""
        self._waiting.append(record)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="journal")

    async def flush(self) -> None:
        """Wait until all records are written.

        Raises
        ------
        ObservatoryError
            If one could not be written, or the disk does not answer.
        """
        # Others may write meanwhile, which begins another task.
        if (writing := self._writing) is not None:
            _, late = await asyncio.wait({writing}, timeout=self.FLUSH_TIMEOUT)
            if late:
                raise ObservatoryError(
                    f"the journal {self.path} is not written after {self.FLUSH_TIMEOUT:g} s: its disk hangs"
                )
            writing.result()
        if self._error is not None:
            raise self._error

    async def _write_all(self) -> None:
        while self._waiting:
            record = self._waiting.popleft()
            try:
                await in_thread(lambda record=record: self._file.write(record))  # type: ignore[misc]
            except ObservatoryError as error:
                self._error = error
