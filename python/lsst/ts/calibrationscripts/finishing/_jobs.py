# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that run while nothing but their traces can be seen."""

from __future__ import annotations

__all__ = ["JobsAtWork", "Listening"]

import asyncio
from pathlib import Path
from typing import Protocol

from ..job_names import JobNames
from ..offline import NoJobs
from ..ports import JobLostError, JobResult, ObservatoryError
from ..threads import in_thread
from ._log import ended_by

_POLL = 2.0
"""Time between two looks at a log (s)."""

_LOOK_TIMEOUT = 10.0
"""Longest look at a log, whose disk may hang (s)."""


class Listening(Protocol):
    """What hears of jobs where there is SAL."""

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job; see `JobService.result`."""

    async def abort(self, job_id: str) -> None:
        """Stop a job; see `JobService.abort`."""


class JobsAtWork(NoJobs):
    """A `JobService` that waits for jobs, and starts none.

    Parameters
    ----------
    names : `JobNames`
        What jobs call what they leave.
    ocps : `Listening`, optional
        Hears of their ends too.
    """

    def __init__(self, names: JobNames, ocps: Listening | None = None) -> None:
        super().__init__(names)
        self._ocps = ocps

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job; it may never be known.

        The caller looks for the product, and limits the time.

        Raises
        ------
        ObservatoryError
            If its log says that it failed.
        """
        waits = {asyncio.create_task(self._read_log(job_id))}
        if self._ocps is not None:
            waits.add(asyncio.create_task(self._hear(self._ocps, job_id)))
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _hear(self, ocps: Listening, job_id: str) -> JobResult:
        try:
            return await ocps.result(job_id)
        except JobLostError:
            # A job outlives its service. Its product may still come.
            return await _never()

    async def _read_log(self, job_id: str) -> JobResult:
        log = Path(self.log_path(job_id))
        while True:
            try:
                async with asyncio.timeout(_LOOK_TIMEOUT):
                    cause = await in_thread(lambda: ended_by(log))
            except (OSError, TimeoutError, ValueError):
                # It is on another host, or not there yet, or not a file.
                cause = None
            if cause is not None:
                raise ObservatoryError(f"job {job_id} failed, says its log: {cause}")
            await asyncio.sleep(_POLL)

    async def abort(self, job_id: str) -> None:
        """Stop a job, if the OCPS can be reached."""
        if self._ocps is None:
            raise ObservatoryError("the OCPS is not reached without --ocps")
        await self._ocps.abort(job_id)


async def _never() -> JobResult:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
