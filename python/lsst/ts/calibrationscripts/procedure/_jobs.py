# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: submitted, retried, taken over from before, aborted."""

from __future__ import annotations

__all__ = ["JobRunner"]

import asyncio
import itertools

from ..outcomes import Outcome
from ..plan import JobRequest, Stage
from ..ports import (
    CalibrationRepository,
    JobLostError,
    JobRefusedError,
    JobService,
    ObservatoryError,
    Operator,
)
from ..record import Recorder

_READY_TIMEOUT = 60.0
"""What a retry waits for the OCPS to be there again (s)."""


class JobRunner:
    """Runs the jobs of a run, and leaves none behind.

    Parameters
    ----------
    jobs, repository, operator
        The world; see `lsst.ts.calibrationscripts.ports`.
    recorder : `Recorder`
        Where jobs are noted, and found if an earlier run noted them.
    retries : `int`
        How often a job that was refused or lost is submitted again.
    """

    def __init__(
        self,
        jobs: JobService,
        repository: CalibrationRepository,
        operator: Operator,
        recorder: Recorder,
        retries: int,
    ) -> None:
        self._jobs = jobs
        self._repository = repository
        self._operator = operator
        self._recorder = recorder
        self._retries = retries
        self._running: set[str] = set()
        self._submissions: set[asyncio.Task[str]] = set()
        self._earlier = recorder.record
        self.ids: dict[str, str] = {
            name: job_id for name, job_id in self._earlier.jobs.items() if self._ended_well(name)
        }
        """Id of each stage's job, by the stage's name."""

    def _ended_well(self, stage_name: str) -> bool:
        """Tell whether an earlier run has seen a stage's job to its end."""
        result = self._earlier.stage(stage_name)
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
            Its last product, which tells that a job is complete.

        Returns
        -------
        job_id : `str`

        Raises
        ------
        ObservatoryError
            If it failed, or was refused or lost too often.
        """
        if stage.name in self.ids:
            return self.ids[stage.name]
        if await self._adopt(stage, dataset_type):
            return self.ids[stage.name]
        for attempt in itertools.count():
            try:
                return await self._run_once(stage, request)
            except (JobRefusedError, JobLostError) as error:
                last = attempt >= self._retries
                if await self._came_to_its_end(stage, dataset_type, patiently=not last):
                    self._operator.warning(f"{stage.name}: {error}; but its product is complete.")
                    return self.ids[stage.name]
                await self._abort_if_running(stage)
                if last:
                    raise
                self._recorder.repeat(f"{stage.name}: {error}; submitted again")
            except ObservatoryError:
                await self._abort_if_running(stage)
                raise
        raise AssertionError("unreachable")

    async def _came_to_its_end(self, stage: Stage, dataset_type: str, *, patiently: bool) -> bool:
        """Tell whether a job that was lost has made its product after all."""
        complete = await self._has_product(self.ids.get(stage.name), dataset_type)
        if not complete and patiently:
            # A job outlives its service; its product may come meanwhile.
            await self._jobs.wait_ready(_READY_TIMEOUT)
            complete = await self._has_product(self.ids.get(stage.name), dataset_type)
        if complete:
            self._running.discard(self.ids[stage.name])
        return complete

    async def _adopt(self, stage: Stage, dataset_type: str) -> bool:
        """Take over a job whose end nobody saw, if it came to its end."""
        job_id = self._earlier.jobs.get(stage.name)
        result = self._earlier.stage(stage.name)
        if job_id is None or (result is not None and result.outcome is not Outcome.ABORTED):
            return False
        if await self._has_product(job_id, dataset_type):
            self._operator.info(f"{stage.name}: job {job_id} of before the interruption is complete.")
            self.ids[stage.name] = job_id
            return True
        if result is None:
            # Nobody knows whether it still runs.
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
        self.ids[stage.name] = job_id
        self._recorder.job(stage.name, job_id)
        self._operator.info(f"{stage.name}: job {job_id}, log {self._jobs.log_path(job_id)}")
        result = await self._jobs.result(job_id)
        self._running.discard(job_id)
        if result.exit_code != 0:
            raise ObservatoryError(f"job {job_id} ended with exit code {result.exit_code}")
        return job_id

    async def _abort_if_running(self, stage: Stage) -> None:
        job_id = self.ids.get(stage.name)
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
