# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ``bps`` for a job, and ends all of it once no process waits for it.

A process of its own: ``python -m lsst.ts.calibrationscripts.bps.guard``. Its
standard input is a pipe of who waits. When that ends, however it ends, the
pipe does: then the job ends too, as what Parsl has started would stay.
"""

from __future__ import annotations

__all__ = ["guard"]

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

from .processes import MARK, end_all

_POLL = 0.25
"""How soon the end of ``bps`` is noticed (s)."""

ENDED = 255
"""Exit code if it was ended."""


def guard(job_id: str, log: str, command: Sequence[str], *, slurm: bool) -> int:
    """Run a command until it ends or standard input does.

    Parameters
    ----------
    job_id : `str`
        The job, with which its processes are marked.
    log : `str`
        Path of the file that gets what it writes.
    command : `~collections.abc.Sequence` [`str`]
        The command and its arguments.
    slurm : `bool`
        Whether the job has places in Slurm's queue.

    Returns
    -------
    code : `int`
        Its exit code; 255 if it was ended.
    """
    with open(log, "ab") as stream:  # noqa: PTH123 - nothing else of it is a path
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, MARK: job_id},
            start_new_session=True,
        )
        try:
            while child.poll() is None:
                if select.select([0], [], [], _POLL)[0] and not os.read(0, 1):
                    return ENDED
            return child.returncode if child.returncode >= 0 else 128 - child.returncode
        finally:
            if left := end_all(job_id, slurm=slurm):
                stream.write(f"Left running: {left}\n".encode())
            child.wait()


def _stop(number: int, frame: object) -> None:
    sys.exit(ENDED)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    job, log_path, *words = sys.argv[1:]
    has_slurm = words[0] == "--slurm"
    sys.exit(guard(job, log_path, words[has_slurm:], slurm=has_slurm))
