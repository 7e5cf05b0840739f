# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the jobs themselves: what `pipetask` meets with."""

from __future__ import annotations

__all__ = ["DiskFull", "JobDropsExposure", "JobFails", "JobKilled"]

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from ..cscs.ocps import OcpsJob
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from ..runner import PipetaskJob

_UNKNOWN_TASK = "simulatedFault:exitCode=1"

_UNKNOWN_EXPOSURE = "2099123199999"

_EXECUTING = "executing quantum"
"""What a job's log says when its first task begins its work."""

_POLL = 0.02
"""Time between two looks at a job's log (s)."""


class _JobFault(StepFault):
    component = "ocps"
    counts = "job"
    step = "make_job"


class JobFails(_JobFault):
    """`pipetask` refuses an option and ends with exit code 1."""

    name = "job-fails"
    description = "a job ends with exit code 1: it is given an option that pipetask refuses"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        job.argv += ["-c", _UNKNOWN_TASK]
        return job


class JobKilled(_JobFault):
    """The process of a job is killed while its first task is at work."""

    name = "job-killed"
    description = "a job is killed (SIGKILL) in the midst of its work"
    step = "attend"

    async def _strike(self, proceed: Proceed, job: OcpsJob, process: PipetaskJob) -> Any:
        while _EXECUTING not in await asyncio.to_thread(job.log.read_text):
            with contextlib.suppress(TimeoutError):
                return await process.wait(_POLL)
        await process.kill()
        return await proceed(job, process)


class JobDropsExposure(_JobFault):
    """A job is given another exposure id in place of its last one.

    The Butler does not know that id, so `pipetask` drops it in silence.
    """

    name = "job-drops-exposure"
    description = "a job leaves out its last exposure in silence, as pipetask does with unknown ids"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        at = job.argv.index("-d") + 1
        # The last id in the query is the one that no other follows.
        job.argv[at] = re.sub(r"\b\d{13}\b(?!.*\b\d{13}\b)", _UNKNOWN_EXPOSURE, job.argv[at])
        return job


class DiskFull(_JobFault):
    """A job finds no space for its files in the repository."""

    name = "disk-full"
    description = "a job cannot write its files into the repository: no space left on device"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        job.disk_full = True
        return job
