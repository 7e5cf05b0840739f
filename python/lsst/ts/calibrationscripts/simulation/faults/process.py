# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the script's own process."""

from __future__ import annotations

__all__ = ["Killed"]

import os
import signal
from typing import TYPE_CHECKING

from ...files.journal import FileJournal
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
        """Count the writes of journals."""
        FileJournal.on_write = self._on_write

    async def detach(self) -> None:
        """Count no more."""
        FileJournal.on_write = None

    def _on_write(self, count: int) -> None:
        # Counted here, because a process may have more than one journal.
        if self.is_due():
            os.kill(os.getpid(), signal.SIGKILL)
