# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the many logs of a job is worth reading."""

from __future__ import annotations

__all__ = ["cause_and_end", "worth_reading"]

import re
from collections.abc import Iterator
from pathlib import Path

from ..files.private import one_line
from ..files.tail import last_lines

_MAX_BYTES = 256 * 2**10
"""How much of the end of a log is looked at."""

_MAX_LOGS = 2000
_MAX_LENGTH = 300
_CAUSE = re.compile(rb"^(?!.*MPGraphExecutorError)[A-Za-z_][\w.]*(?:Error|Exception)\b.*", re.MULTILINE)
"""The end of a traceback, but for what only says that there was one."""

_FAILED = re.compile(
    rb"^(CRITICAL|ERROR|FATAL)\b|^Traceback|\bError: |\bKilled$|: [\w ]+ file or directory$", re.MULTILINE
)


def worth_reading(folder: Path) -> Path:
    """Return the log that says why a job failed.

    Parameters
    ----------
    folder : `pathlib.Path`
        Folder of the job.

    Returns
    -------
    log : `pathlib.Path`
        The log of the quantum that failed first; without one, that of the
        quantum graph, of the last step, or of ``bps`` itself.
    """
    failed = [log for log in _logs_of_quanta(folder) if _says_failure(log)]
    # The last step fails where others did, and is not their cause.
    if of_quanta := [log for log in failed if not _is_of_last_step(log)]:
        return min(of_quanta, key=_written)
    if failed:
        return failed[0]
    of_graph = folder / "submit" / "quantumGraphGeneration.out"
    if of_graph.exists() and not any(of_graph.parent.glob("*.qg")):
        return of_graph
    return folder / "bps.log"


def cause_and_end(log: Path) -> tuple[str, ...]:
    """Return the first exception in a log, and its last lines.

    Parameters
    ----------
    log : `pathlib.Path`
        The log.

    Returns
    -------
    lines : `tuple` [`str`, ...]

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a regular file.
    """
    end = last_lines(log)
    found = _CAUSE.search(_end_of(log))
    cause = () if found is None else (one_line(found[0].decode(errors="replace"), _MAX_LENGTH),)
    return (*(line for line in cause if line not in end), *end)


def _logs_of_quanta(folder: Path) -> Iterator[Path]:
    """Yield the logs of a workflow: of Parsl in logs, of HTCondor in jobs."""
    n_logs = 0
    for place in ("logs", "jobs"):
        for log in sorted((folder / "submit" / place).rglob("*")):
            if log.suffix in (".stderr", ".out", ".err") and n_logs < _MAX_LOGS and log.is_file():
                n_logs += 1
                yield log


def _is_of_last_step(log: Path) -> bool:
    return "finalJob" in log.name


def _written(log: Path) -> float:
    return log.stat().st_mtime


def _says_failure(log: Path) -> bool:
    return _FAILED.search(_end_of(log)) is not None


def _end_of(log: Path) -> bytes:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _MAX_BYTES))
        return stream.read()
