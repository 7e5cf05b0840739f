# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the OCPS, in what it reports about its jobs."""

from __future__ import annotations

__all__ = [
    "OcpsDuplicates",
    "OcpsForeignResult",
    "OcpsHttpError",
    "OcpsLeavesEnabled",
    "OcpsLosesJob",
    "OcpsLosesResult",
    "OcpsNeverAcknowledges",
    "OcpsRejects",
    "OcpsReorders",
    "OcpsResultFirst",
]

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...observatory.sal import salobj
from ..cscs.ocps import ABORTED, FAILED, OcpsJob
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory
    from ..runner import PipetaskJob

OCPS_ERROR_CODE = 1
"""``errorCode.errorCode`` of an OCPS that goes to FAULT."""


class _OcpsFault(StepFault):
    component = "ocps"
    counts = "job"


class OcpsRejects(_OcpsFault):
    """A job is not accepted: the command ``execute`` fails."""

    name = "ocps-rejects"
    description = "the OCPS refuses to execute a job"
    step = "make_job"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        raise salobj.ExpectedError("The job service answers 503, Service Unavailable (simulated).")


class OcpsLosesResult(_OcpsFault):
    """A job runs and the command completes, without a result."""

    name = "ocps-loses-result"
    description = "the OCPS runs a job and does not publish its result"
    counts = "result"
    step = "publish_result"

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        pass


class _AnswerFault(_OcpsFault):
    """A fault in the answer to the command of a job."""

    step = "acknowledge"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the acknowledgement, and the result that follows it."""
        super().attach(observatory)
        self.job: OcpsJob | None = None
        self.csc.intercept("publish_result", self._publish_result)

    async def _strike(self, proceed: Proceed, data: Any, job: OcpsJob) -> None:
        """Do not answer the command yet."""
        self.job = job
        self._late_acknowledgement = (proceed, data)

    async def _publish_result(self, proceed: Proceed, job: OcpsJob) -> None:
        await proceed(job)
        if job is self.job:
            await self.answer(job, *self._late_acknowledgement)

    async def answer(self, job: OcpsJob, acknowledge: Proceed, data: Any) -> None:
        """Do what remains to be done after the result of the job."""
        raise NotImplementedError


class OcpsNeverAcknowledges(_AnswerFault):
    """The client of a job never gets its id, nor the command's end."""

    name = "ocps-never-acknowledges"
    description = "the OCPS runs a job and never answers the command"

    async def answer(self, job: OcpsJob, acknowledge: Proceed, data: Any) -> None:
        """Never end the command."""
        await asyncio.Event().wait()


class OcpsResultFirst(_AnswerFault):
    """The result of a job comes before its acknowledgement."""

    name = "ocps-result-first"
    description = "the OCPS publishes the result of a job before it acknowledges the command"

    async def answer(self, job: OcpsJob, acknowledge: Proceed, data: Any) -> None:
        """Acknowledge the command."""
        await acknowledge(data, job)


class OcpsDuplicates(_OcpsFault):
    """A result is published twice."""

    name = "ocps-duplicates"
    description = "the OCPS publishes a result twice"
    counts = "result"
    step = "publish_result"

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        await proceed(job)
        await proceed(job)


@dataclass(eq=False)
class OcpsReorders(_OcpsFault):
    """A result is delayed until that of another job is published.

    Parameters
    ----------
    when : `int`, optional
        Number of the result.
    delay : `float`, optional
        Longest delay, if no other job ends (simulated second).
    """

    delay: float = 300.0

    name = "ocps-reorders"
    description = "the OCPS delays a result until another is published, at most 300 simulated seconds"
    counts = "result"
    step = "publish_result"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the results."""
        super().attach(observatory)
        self._other = asyncio.Event()

    async def intercept(self, proceed: Proceed, job: OcpsJob) -> None:
        """Delay one, and publish it after any other."""
        await super().intercept(proceed, job)
        if self.struck:
            self._other.set()

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        try:
            async with asyncio.timeout(self.delay * self.time_scale):
                await self._other.wait()
        except TimeoutError:
            self.csc.log.debug("No other job has ended.")
        await proceed(job)


class OcpsForeignResult(_OcpsFault):
    """Before each result, those of other clients' jobs are published."""

    name = "ocps-foreign-result"
    description = "from this one on, the OCPS publishes other clients' results, some failed, before each"
    counts = "result"
    step = "publish_result"

    async def intercept(self, proceed: Proceed, job: OcpsJob) -> None:
        """Publish other clients' results first, from the occasion on."""
        if self.is_due() or self.struck:
            for exit_code in (FAILED, ABORTED, 0):
                await self.csc.evt_job_result.set_write(
                    job_id=uuid.uuid4().hex, exit_code=exit_code, result=json.dumps({}), force_output=True
                )
        await proceed(job)


class OcpsHttpError(_OcpsFault):
    """The state of a job cannot be asked for.

    The command ``execute`` fails without a result, while the job goes on.
    """

    name = "ocps-http-error"
    description = "the OCPS gets an HTTP error for a job: the command fails without a result, the job goes on"
    step = "poll"

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        raise salobj.ExpectedError("503 Server Error: Service Unavailable (simulated)")


class OcpsLeavesEnabled(_OcpsFault):
    """The OCPS goes to FAULT while a job runs, and publishes its result.

    It accepts no more commands, not even to abort the job.
    """

    name = "ocps-leaves-enabled"
    description = "the OCPS goes to FAULT while a job runs; the job ends, and its result is published"
    step = "attend"

    async def _strike(self, proceed: Proceed, job: OcpsJob, process: PipetaskJob) -> Any:
        await self.csc.fault(code=OCPS_ERROR_CODE, report="The job service cannot be reached (simulated).")
        return await proceed(job, process)


class OcpsLosesJob(_OcpsFault):
    """The OCPS goes to FAULT while a job runs, and the job is killed.

    There is no result, and the command ``execute`` fails.
    """

    name = "ocps-loses-job"
    description = "the OCPS goes to FAULT while a job runs, and the job is lost: no result"
    step = "attend"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the job's run, and the result that would follow it."""
        super().attach(observatory)
        self._lost: OcpsJob | None = None
        self.csc.intercept("publish_result", self._publish_result)

    async def _strike(self, proceed: Proceed, job: OcpsJob, process: PipetaskJob) -> Any:
        self._lost = job
        await self.csc.fault(code=OCPS_ERROR_CODE, report="The job service has died (simulated).")
        await process.kill()
        return await proceed(job, process)

    async def _publish_result(self, proceed: Proceed, job: OcpsJob) -> None:
        if job is self._lost:
            raise salobj.ExpectedError(f"Job {job.job_id} is lost (simulated).")
        await proceed(job)
