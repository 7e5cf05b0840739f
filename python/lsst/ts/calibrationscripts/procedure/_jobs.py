# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: submitted, retried, adopted from an earlier run, aborted."""

from __future__ import annotations

__all__ = ["JobRunner"]

import asyncio
import itertools

from ..outcomes import Outcome
from ..plan import JobRequest, Stage
from ..ports import JobLostError, JobRefusedError, ObservatoryError
from ..products import StageId
from ._context import Context

_READY_TIMEOUT = 60.0
"""How long a retry waits for the job service to be ready again (s)."""


class JobRunner:
    """Runs the jobs of a run, and leaves none behind.

    Parameters
    ----------
    context : `Context`
        The run; its record names the jobs of an earlier one.
    """

    def __init__(self, context: Context) -> None:
        self._jobs = context.world.jobs
        self._repository = context.world.repository
        self._operator = context.world.operator
        self._recorder = context.recorder
        self._retries = context.config.job_retries
        self._running: set[str] = set()
        self._submissions: set[asyncio.Task[str]] = set()
        self._earlier = context.recorder.record
        self.ids: dict[StageId, str] = {
            job.stage: job.job_id for job in self._earlier.jobs if self._ended_well(job.stage)
        }
        """Id of each stage's job."""

    def _ended_well(self, stage: StageId) -> bool:
        """Return whether an earlier run has seen a stage's job to its end."""
        result = self._earlier.result_of(stage)
        return result is not None and result.outcome in (Outcome.PASSED, Outcome.HELD)

    async def run(self, stage: Stage, request: JobRequest, dataset_type: str) -> str:
        """Run a stage's job, unless an earlier run has.

        Parameters
        ----------
        stage : `Stage`
            Whose job it is.
        request : `JobRequest`
            The job.
        dataset_type : `str`
            Its last product, by which a complete job is known.

        Returns
        -------
        job_id : `str`

        Raises
        ------
        ObservatoryError
            If it failed, or was refused or lost too often.
        """
        if stage.id in self.ids:
            return self.ids[stage.id]
        if await self._adopt(stage, dataset_type):
            return self.ids[stage.id]
        for attempt in itertools.count():
            try:
                return await self._run_once(stage, request)
            except (JobRefusedError, JobLostError) as error:
                last = attempt >= self._retries
                if await self._came_to_its_end(stage, dataset_type, patiently=not last):
                    self._operator.warning(f"{stage.name}: {error}; but its product is complete.")
                    return self.ids[stage.id]
                await self._abort_if_running(stage)
                if last:
                    raise
                self._recorder.repeat(f"{stage.name}: {error}; submitted again")
            except ObservatoryError:
                await self._abort_if_running(stage)
                raise
        raise AssertionError("unreachable")

    async def _came_to_its_end(self, stage: Stage, dataset_type: str, *, patiently: bool) -> bool:
        """Return whether a job that was lost has made its product."""
        complete = await self._has_product(self.ids.get(stage.id), dataset_type)
        if not complete and patiently:
            # A job outlives its service; its product may come meanwhile.
            await self._jobs.wait_ready(_READY_TIMEOUT)
            complete = await self._has_product(self.ids.get(stage.id), dataset_type)
        if complete:
            self._running.discard(self.ids[stage.id])
        return complete

    async def _adopt(self, stage: Stage, dataset_type: str) -> bool:
        """Adopt a job whose end was not seen, if it came to its end."""
        job_id = self._earlier.job_of(stage.id)
        result = self._earlier.result_of(stage.id)
        if job_id is None or (result is not None and result.outcome is not Outcome.ABORTED):
            return False
        if await self._has_product(job_id, dataset_type):
            self._operator.info(f"{stage.name}: job {job_id} from before the interruption is complete.")
            self.ids[stage.id] = job_id
            return True
        if result is None:
            # It may still run.
            await self._abort(job_id)
        self._recorder.repeat(f"{stage.name}: job {job_id} was interrupted; submitted again")
        return False

    async def _has_product(self, job_id: str | None, dataset_type: str) -> bool:
        if job_id is None:
            return False
        return await self._repository.product_in(dataset_type, self._jobs.run_collection(job_id))

    async def _run_once(self, stage: Stage, request: JobRequest) -> str:
        # Its own task: a stop must still learn the id of a job under way.
        submission = asyncio.create_task(self._jobs.submit(request))
        self._submissions.add(submission)
        try:
            job_id = await asyncio.shield(submission)
        except ObservatoryError:
            self._submissions.discard(submission)
            raise
        self._running.add(job_id)
        self._submissions.discard(submission)
        self.ids[stage.id] = job_id
        self._recorder.job(stage.id, job_id)
        await self._recorder.flush()
        self._operator.info(f"{stage.name}: job {job_id}, log {self._jobs.log_path(job_id)}")
        result = await self._jobs.result(job_id)
        self._running.discard(job_id)
        if result.exit_code != 0:
            raise ObservatoryError(f"job {job_id} ended with exit code {result.exit_code}")
        return job_id

    async def _abort_if_running(self, stage: Stage) -> None:
        job_id = self.ids.get(stage.id)
        if job_id is not None and job_id in self._running:
            await self._abort(job_id)

    async def abandon(self, deadline: float) -> None:
        """Abort all that still runs.

        Parameters
        ----------
        deadline : `float`
            Time of the event loop's clock at which to give up (s).
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._learn_submitted_jobs()
                await asyncio.gather(*(self._abort(job_id) for job_id in tuple(self._running)))
        except TimeoutError:
            self._operator.error(f"No time left to abort job(s) {', '.join(sorted(self._running))}.")
        for submission in self._submissions:
            submission.cancel()
        await asyncio.gather(*self._submissions, return_exceptions=True)

    async def _learn_submitted_jobs(self) -> None:
        for submission in tuple(self._submissions):
            try:
                self._running.add(await asyncio.shield(submission))
            except ObservatoryError:
                continue

    async def _abort(self, job_id: str) -> None:
        try:
            await self._jobs.abort(job_id)
        except ObservatoryError as error:
            self._operator.error(f"Job {job_id} could not be aborted and may still run: {error}")
        else:
            self._operator.info(f"Job {job_id} aborted.")
        self._running.discard(job_id)
