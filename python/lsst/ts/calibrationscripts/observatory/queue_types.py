# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a script from the queue's side, and what comes out of it."""

from __future__ import annotations

__all__ = ["FINAL_STATES", "LogMessage", "QueueHooks", "QueueOptions", "ScriptResult"]

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .queue import QueuedScript

FINAL_STATES = frozenset({"DONE", "STOPPED", "FAILED", "CONFIGURE_FAILED"})
"""States that a script does not leave."""


@dataclass(frozen=True)
class LogMessage:
    """One ``logMessage`` of a script."""

    level: int
    """Level, as in `logging`."""

    text: str
    traceback: str = ""

    @property
    def level_name(self) -> str:
        """Name of the level, such as WARNING."""
        return logging.getLevelName(self.level)


@dataclass(frozen=True)
class QueueOptions:
    """What the queue sends with a script's configuration."""

    pause_checkpoint: str = ""
    """Regular expression of the checkpoints to pause at."""

    stop_checkpoint: str = ""
    """Regular expression of the checkpoints to stop at."""

    block_id: str = ""
    """Observing block that the script belongs to."""

    log_level: int = 0
    """Lowest level to log, as in `logging`; 0 for the script's own."""


@dataclass(frozen=True)
class QueueHooks:
    """What is called while a script runs."""

    on_message: Callable[[LogMessage], None] | None = None
    """Called with each `LogMessage` as it comes."""

    on_checkpoint: Callable[[str], None] | None = None
    """Called with the name of each checkpoint as it is reached."""

    on_paused: Callable[[QueuedScript], Awaitable[None]] | None = None
    """Awaited with the script each time that it is PAUSED; it may resume or
    stop the script. Without this the script stays paused."""


@dataclass(frozen=True)
class ScriptResult:
    """What a script published from its loading to its end."""

    state: str
    """Last state; one of `FINAL_STATES` unless the script hung."""

    reason: str
    """Why it is in that state, blank if all went well."""

    states: tuple[str, ...]
    """States in the order in which they were entered."""

    checkpoints: tuple[str, ...]
    """Names of the checkpoints that were passed."""

    duration: float | None
    """Estimated duration (s), `None` if never configured."""

    metadata: Any
    """Data of the ``metadata`` event, `None` if never configured."""

    messages: tuple[LogMessage, ...]
    """Log messages."""

    timed_out: bool = False
    """Whether the script was stopped because it took too long."""
