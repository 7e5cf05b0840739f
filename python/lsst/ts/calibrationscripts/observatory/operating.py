# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator, as a procedure talks to them."""

from __future__ import annotations

__all__ = ["ScriptOperator"]

import logging
from collections.abc import Awaitable, Callable

from ..instruments import Instrument


class ScriptOperator:
    """The operator, who reads the script's log and checkpoints.

    Parameters
    ----------
    log : `logging.Logger`
        The script's.
    checkpoint : callable
        Pauses or stops here, if the operator wishes.
    instrument : `Instrument`
        Whose products are judged.
    """

    def __init__(
        self, log: logging.Logger, checkpoint: Callable[[str], Awaitable[None]], instrument: Instrument
    ) -> None:
        # Not methods of its own: a message names the code that logs it.
        self.info = log.info
        self.warning = log.warning
        self.error = log.error
        self._checkpoint = checkpoint
        # The Watcher knows a verdict by the name of its logger. It gets all
        # of them, whatever level the script queue sets for the others.
        self._verdicts = log.getChild(f"calibration_verdict.{instrument.name}")
        self._verdicts.setLevel(logging.INFO)

    async def checkpoint(self, name: str) -> None:
        """Pause or stop here, if the operator wishes."""
        await self._checkpoint(name)

    def verdict(self, text: str, *, passed: bool) -> None:
        """Log whether a product passed verification."""
        (self._verdicts.info if passed else self._verdicts.warning)(text)
