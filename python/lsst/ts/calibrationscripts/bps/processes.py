# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a job on this machine, and its places in Slurm's queue.

Parsl puts its workers into process groups of their own, and they outlive
their parent. So each process is found by a mark in its environment; that of
Parsl's interchange, whose title is written over its environment, by its
folder, which is that of the job.
"""

from __future__ import annotations

__all__ = ["MARK", "end_all", "marked", "slurm_name"]

import os
import subprocess
import time
from pathlib import Path
from typing import Any

MARK = "CALIBSCRIPTS_BPS_JOB"
"""Environment variable of a job's processes: its id."""

_END_TIMEOUT = 20.0
"""Longest wait for processes and places to be gone (s)."""

_COMMAND_TIMEOUT = 15.0
"""Longest that a command of Slurm may take (s)."""

_POLL = 0.2


def slurm_name(job_id: str) -> str:
    """Return the name of a job's places in Slurm's queue."""
    return f"calibscripts.{job_id}"


def marked(job_id: str) -> list[Any]:
    """Return a job's processes on this machine that run.

    Parameters
    ----------
    job_id : `str`
        The job.

    Returns
    -------
    processes : `list` [`psutil.Process`]
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if _is_of(process, job_id) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # It has ended, or is another user's.
    return found


def _is_of(process: Any, job_id: str) -> bool:
    environment = process.environ()
    if environment:
        return bool(environment.get(MARK) == job_id)
    return Path(process.cwd()).name == job_id


def end_all(job_id: str, *, slurm: bool) -> str:
    """End a job's processes, and take it out of Slurm's queue.

    Parameters
    ----------
    job_id : `str`
        The job.
    slurm : `bool`
        Whether it has places in Slurm's queue.

    Returns
    -------
    left : `str`
        What is left nevertheless; empty if nothing is.
    """
    import psutil

    limit = time.monotonic() + _END_TIMEOUT
    while True:
        # First what starts others, and again what they started meanwhile.
        running = marked(job_id)
        for process in running:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        queued, trouble = _leave_queue(job_id) if slurm else ("", "")
        if not running and not queued and not trouble:
            return ""
        if time.monotonic() > limit:
            pids = ", ".join(str(process.pid) for process in running)
            parts = (f"processes {pids}" if pids else "", f"Slurm jobs {queued}" if queued else "", trouble)
            return "; ".join(filter(None, parts))
        time.sleep(_POLL)


def _leave_queue(job_id: str) -> tuple[str, str]:
    """Cancel a job's places in the queue; return those left, and trouble."""
    name, user = slurm_name(job_id), str(os.getuid())
    try:
        asked = ("squeue", "--noheader", "--format=%i", f"--name={name}", f"--user={user}")
        queued = " ".join(_run(*asked).split())
        if queued:
            _run("scancel", f"--name={name}", f"--user={user}")
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"Slurm cannot be asked: {error}"
    return queued, ""


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT, check=True)
    return ended.stdout
