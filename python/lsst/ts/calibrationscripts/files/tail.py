# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a file that another program writes."""

from __future__ import annotations

__all__ = ["last_lines"]

import os
import re
import stat
from pathlib import Path

from .private import one_line

_MAX_BYTES = 16 * 2**10
_MAX_LINES = 6
_MAX_LENGTH = 300

_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")
"""What the last line of a traceback begins with."""


def last_lines(file: Path) -> tuple[str, ...]:
    """Return the last lines of a log.

    Parameters
    ----------
    file : `pathlib.Path`
        The log, which may be large, and may be written meanwhile.

    Returns
    -------
    lines : `tuple` [`str`, ...]
        A few, without those that are blank, each cut to a sensible length,
        and without characters that a terminal would act on.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a regular file.
    """
    # Without O_NONBLOCK, a pipe would wait for who writes into it.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        begin = max(0, status.st_size - _MAX_BYTES)
        stream.seek(begin)
        lines = stream.read(_MAX_BYTES).decode("utf-8", errors="replace").splitlines()
    if begin:
        # The first is the rest of one.
        lines = lines[1:]
    shown = [one_line(line, _MAX_LENGTH) for line in lines if line.strip()]
    # Of a traceback, its end says what was wrong.
    errors = [i for i, line in enumerate(shown) if _ERROR.match(line)]
    return tuple(shown[max(errors[-1] if errors else 0, len(shown) - _MAX_LINES) :])
