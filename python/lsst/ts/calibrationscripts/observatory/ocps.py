# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCPS as the procedure's job service."""

from __future__ import annotations

__all__ = ["OcpsJobs"]

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from ..files.tail import last_lines
from ..ocps_names import OcpsNames
from ..plan import JobRequest
from ..ports import (
    ComponentLostError,
    JobLostError,
    JobRefusedError,
    JobResult,
    JobTimeoutError,
    ObservatoryError,
)
from ..threads import in_thread
from .errors import SAL_ERRORS, explain
from .sal import salobj
from .watch import ComponentWatch

_FORGET_AFTER = 1000
"""Results of other clients' jobs that are kept, in case they are ours."""


class OcpsJobs(OcpsNames):
    """A `JobService` that files every job's result by its id.

    One callback, set before the first submission, gets every result: also
    those that come before their job's acknowledgement, twice, in any order,
    or for another client's job.

    Parameters
    ----------
    remote : `salobj.Remote`
        The OCPS, with the events job_result and summaryState.
    watch : `ComponentWatch`
        Watches the OCPS.
    job_timeout : `float`
        Longest that a job may take (s).
    log_path : `str`
        Path of a job's log, with ``{job_id}`` for its id.
    """

    STATE_TIMEOUT = 5.0
    """Longest wait for the summary state (s)."""

    SUBMIT_TIMEOUT = 60.0
    """Longest wait until a job is accepted, which the OCPS does once the
    execution service behind it has answered (s)."""

    ABORT_TIMEOUT = 5.0
    """Longest wait until an abort is acknowledged; a stop waits for it (s)."""

    LOG_TIMEOUT = 3.0
    """Longest that the end of a job's log is read (s)."""

    RESULT_GRACE = 10.0
    """How long after the end of the command a result may come (s).

    The OCPS publishes it before it acknowledges the end, so the result can be
    late only by the time of its transport, which is less than a second.
    """

    def __init__(
        self, remote: salobj.Remote, watch: ComponentWatch, *, job_timeout: float, log_path: str
    ) -> None:
        super().__init__(log_path)
        self._remote = remote
        self._name = remote.salinfo.name_index
        self._watch = watch
        self._job_timeout = job_timeout
        self._ends: dict[str, asyncio.Task[str]] = {}
        self._results: dict[str, asyncio.Future[JobResult]] = {}
        remote.evt_job_result.callback = self._file

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from running jobs, if anything."""
        try:
            state = (await self._remote.evt_summaryState.aget(timeout=self.STATE_TIMEOUT)).summaryState
        except TimeoutError:
            return (f"{self._name} does not report its state; is it running?",)
        if state != salobj.State.ENABLED:
            return (f"{self._name} is {salobj.State(state).name}; it must be ENABLED",)
        return await self._watch.check([self._name])

    async def wait_ready(self, timeout: float) -> bool:
        """Wait until jobs can be submitted; return whether they can."""
        return await self._watch.wait_enabled(self._name, timeout)

    async def submit(self, request: JobRequest) -> str:
        """Start a job and return its id."""
        try:
            ack = await self._watch.guard(
                self._name,
                self._remote.cmd_execute.set_start(
                    pipeline=request.pipeline,
                    version="",
                    config=request.config,
                    data_query=request.data_query,
                    timeout=self.SUBMIT_TIMEOUT,
                    wait_done=False,
                ),
            )
        except (ComponentLostError, *SAL_ERRORS) as error:
            raise JobRefusedError(f"the OCPS did not accept {request.pipeline}: {explain(error)}") from error
        try:
            job_id = str(json.loads(ack.result)["job_id"])
        except (ValueError, TypeError, KeyError) as error:
            raise JobRefusedError(f"the OCPS accepted a job without its id: {ack.result!r}") from error
        # Awaited from now on, as salobj forgets commands that have ended. If
        # the result is no longer asked for, the task ends with the remote.
        self._ends[job_id] = asyncio.create_task(self._command_end(ack))
        return job_id

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job."""
        filed = self._filed(job_id)
        try:
            await self._watch.guard(self._name, self._end_of(job_id, filed))
        except ComponentLostError as error:
            if not filed.done():
                raise JobLostError(f"the OCPS lost job {job_id}: {error}") from error
        if end := self._ends.pop(job_id, None):
            end.cancel()
            await asyncio.wait({end}, timeout=self.ABORT_TIMEOUT)
        return filed.result()

    async def _end_of(self, job_id: str, filed: asyncio.Future[JobResult]) -> None:
        """Return once a job's result is filed."""
        # There is none for the jobs of an earlier process.
        command = self._ends.get(job_id)
        ends: set[asyncio.Future[Any]] = {filed, command} if command else {filed}
        await asyncio.wait(ends, timeout=self._job_timeout, return_when=asyncio.FIRST_COMPLETED)
        if not filed.done() and command and command.done():
            if failure := command.result():
                raise JobLostError(f"the OCPS lost job {job_id}: {failure}")
            with contextlib.suppress(TimeoutError):
                async with self._watch.timeout(self.RESULT_GRACE):
                    await asyncio.wait({filed})
            if not filed.done():
                raise JobLostError(f"the OCPS ended job {job_id} but published no result")
        if not filed.done():
            raise JobTimeoutError(
                f"job {job_id} did not end within {self._job_timeout:g} s (configuration key 'job_timeout')"
            )

    async def _command_end(self, ack: Any) -> str:
        """Return why the command ``execute`` failed, or "" if it did not."""
        try:
            # The wait for the job's result ends first.
            await self._remote.cmd_execute.next_ackcmd(ack, timeout=2 * self._job_timeout)
        except salobj.AckError as error:
            return explain(error)
        except RuntimeError:
            # It had ended before this began to wait for it.
            return ""
        return ""

    async def resume(self, job_id: str) -> bool:
        """Return that the OCPS continues none."""
        return False

    async def abort(self, job_id: str) -> None:
        """Stop a job."""
        try:
            await self._watch.guard(
                self._name,
                self._remote.cmd_abort_job.set_start(job_id=job_id, timeout=self.ABORT_TIMEOUT),
            )
        except (ComponentLostError, *SAL_ERRORS) as error:
            raise ObservatoryError(explain(error)) from error

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        """Return the last lines of a job's log; none if it is not readable."""
        try:
            async with asyncio.timeout(self.LOG_TIMEOUT):
                return await in_thread(lambda: last_lines(Path(self.log_path(job_id))))
        except (OSError, ValueError, TimeoutError):
            return ()

    def _filed(self, job_id: str) -> asyncio.Future[JobResult]:
        return self._results.setdefault(job_id, asyncio.get_running_loop().create_future())

    async def _file(self, data: Any) -> None:
        filed = self._filed(data.job_id)
        if not filed.done():
            filed.set_result(JobResult(data.job_id, data.exit_code))
        if len(self._results) > _FORGET_AFTER:
            oldest = next(job_id for job_id, future in self._results.items() if future.done())
            del self._results[oldest]
