# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the log of a job says that it failed."""

from __future__ import annotations

__all__ = ["ended_by"]

import re
import time
from pathlib import Path

from ..files.tail import last_lines

_QUIET = 120.0
"""How long nothing must have been added to a log that ends with an exception
(s). Other processes of the same job may still be at work, and say so."""

_MAX_LENGTH = 200

_SERVICE = re.compile(r"OCPS: (pipetask ended with exit code [1-9]\d*|killed after .*|aborted by request)")
"""What a service notes at the end; that of the simulation does."""

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)(: .*)?")
"""The last line of a traceback, with which ``pipetask`` ends if it fails."""


def ended_by(log: Path) -> str | None:
    """Return why a job failed, as far as its log says so.

    Parameters
    ----------
    log : `pathlib.Path`
        The log.

    Returns
    -------
    cause : `str` or `None`
        Its last line; `None` if the job may still succeed, or has.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a regular file.
    """
    lines = last_lines(log)
    last = lines[-1].strip() if lines else ""
    by_service = _SERVICE.fullmatch(last)
    quiet = time.time() - log.stat().st_mtime > _QUIET
    if by_service or (quiet and _EXCEPTION.fullmatch(last)):
        return (by_service[1] if by_service else last)[:_MAX_LENGTH]
    return None
