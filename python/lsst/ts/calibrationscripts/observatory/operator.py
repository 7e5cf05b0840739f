# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator of a script."""

from __future__ import annotations

__all__ = ["ScriptOperator"]

import logging
from collections.abc import Callable, Coroutine
from typing import Any


class ScriptOperator:
    """The operator, who reads the script's log and checkpoints.

    Parameters
    ----------
    log : `logging.Logger`
        The log of the script.
    checkpoint : `~collections.abc.Callable`
        Takes the name of a step; may pause or stop the script there.
    instrument : `str`
        Name of the instrument.
    """

    def __init__(
        self, log: logging.Logger, checkpoint: Callable[[str], Coroutine[Any, Any, None]], instrument: str
    ) -> None:
        self.info = log.info
        self.warning = log.warning
        self.error = log.error
        self._checkpoint = checkpoint
        # The Watcher knows a verdict by the name of its logger. It gets all
        # of them, whatever level the script queue sets for the others.
        self._verdicts = log.getChild(f"calibration_verdict.{instrument}")
        self._verdicts.setLevel(logging.INFO)

    async def checkpoint(self, name: str) -> None:
        """Report a step; pause or stop there if that is asked for."""
        await self._checkpoint(name)

    def verdict(self, text: str, *, passed: bool) -> None:
        """Log whether a product passed verification."""
        (self._verdicts.info if passed else self._verdicts.warning)(text)
