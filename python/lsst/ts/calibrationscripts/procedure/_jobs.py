# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: submitted, retried, adopted from an earlier run, aborted."""

from __future__ import annotations

__all__ = ["JobRunner"]

import asyncio
import itertools

from ..outcomes import Outcome
from ..plan import JobRequest, Stage
from ..ports import (
    JobLostError,
    JobRefusedError,
    JobResult,
    JobTimeoutError,
    Missing,
    ObservatoryError,
    Wanted,
)
from ..products import StageId
from ..record import JobRecord
from ._completeness import BlockedError, WasBlocked
from ._context import Context
from ._release import Collector, ReleasedError, is_left_running, releases

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
        self._incomplete = context.incomplete
        self._retries = context.config.job_retries
        self._running: set[str] = set()
        self._ended: set[str] = set()
        """Jobs that were aborted, or of earlier sessions and need not be."""

        self._submissions: set[asyncio.Task[str]] = set()
        self._earlier = context.recorder.record
        self._clock = context.world.clock
        self._collector = Collector(context)
        self._releases = releases(context.config, context.plan, self._earlier)
        self.released = {job.stage for job in self._earlier.jobs if is_left_running(self._earlier, job.stage)}
        """Stages whose job is left to itself, until they end otherwise."""

        self.records = {job.stage: job for job in self._earlier.jobs if job.stage in self.released}
        """The job of each stage that has one in this run."""

        self.log_tails: dict[StageId, tuple[str, ...]] = {}
        """The last lines of the logs of jobs that failed."""

    def id_of(self, stage: StageId) -> str | None:
        """Return the id of a stage's job in this run, if it has one."""
        job = self.records.get(stage)
        return None if job is None else job.job_id

    def earlier_id_of(self, stage: StageId) -> str | None:
        """Return the id of the job that an earlier run had, if any."""
        job = self._earlier.job_of(stage)
        return None if job is None else job.job_id

    async def run(
        self, stage: Stage, request: JobRequest, wanted: Wanted, was_blocked: WasBlocked | None = None
    ) -> str:
        """Run a stage's job, unless an earlier run has run this very one.

        Parameters
        ----------
        stage : `Stage`
            Whose job it is.
        request : `JobRequest`
            The job.
        wanted : `Wanted`
            What it has to make.
        was_blocked : `~collections.abc.Callable`, optional
            Takes the RUN collection of a job that has made nothing; returns
            whether bad detectors are the cause, which are left out now.

        Returns
        -------
        job_id : `str`

        Raises
        ------
        BlockedError
            If it was so.
        ObservatoryError
            If it failed, did not make all of it, or was refused or lost too
            often.
        ReleasedError
            If it is submitted, and the run does not wait for its end.
        """
        if await self._adopt(stage, request, wanted, was_blocked):
            return self.records[stage.id].job_id
        self.released.discard(stage.id)
        self.records.pop(stage.id, None)
        for attempt in itertools.count():
            try:
                job_id = await self._run_once(stage, request, wanted, was_blocked)
            except (JobRefusedError, JobLostError) as error:
                last = attempt >= self._retries
                if await self._came_to_its_end(stage, wanted, patiently=not last):
                    self._operator.warning(f"{stage.name}: {error}; but its product is complete.")
                    return self.records[stage.id].job_id
                await self._abort_if_running(stage)
                if last:
                    raise
                self._recorder.repeat(f"{stage.name}: {error}; submitted again")
            except ObservatoryError:
                await self._abort_if_running(stage)
                raise
            else:
                self._raise_if_released(stage)
                await self._check_product(stage, job_id, wanted)
                return job_id
        raise AssertionError("unreachable")

    def _raise_if_released(self, stage: Stage) -> None:
        if stage.id in self.released:
            raise ReleasedError("submitted; its result is collected later")

    async def _check_product(self, stage: Stage, job_id: str, wanted: Wanted) -> None:
        """Raise if a job that ended well has not made what it should."""
        missing = await self._missing(job_id, wanted)
        if missing and not self._incomplete.job_ended(stage, missing, job_id, exit_code=0):
            raise ObservatoryError(
                f"job {job_id} ended with exit code 0, but {self._jobs.run_collection(job_id)} has no "
                f"{wanted.dataset_type} for {self._incomplete.lacking(missing)}"
                f"{self._incomplete.remedy(stage)}"
            )

    async def _check_failed(
        self, stage: Stage, result: JobResult, wanted: Wanted, was_blocked: WasBlocked | None
    ) -> None:
        """Raise unless a job failed for some detectors only, left out now."""
        missing = await self._missing(result.job_id, wanted) if self._incomplete.several else ()
        if self._incomplete.job_ended(stage, missing, result.job_id, exit_code=result.exit_code):
            return
        blocked = was_blocked if missing and result.exit_code == 1 else None
        if blocked and await blocked(self._jobs.run_collection(result.job_id)):
            raise BlockedError
        bad = self._incomplete.of(stage.id)
        why = f": {self._incomplete.why_not(stage)}" if bad else ""
        raise ObservatoryError(f"job {result.job_id} ended with exit code {result.exit_code}{why}")

    async def _came_to_its_end(self, stage: Stage, wanted: Wanted, *, patiently: bool) -> bool:
        """Return whether a job that was lost has made its product."""
        job_id = self.id_of(stage.id)
        if job_id is None:
            return False
        complete = not await self._missing(job_id, wanted)
        if not complete and patiently:
            # A job outlives its service; its product may come meanwhile.
            await self._jobs.wait_ready(_READY_TIMEOUT)
            complete = not await self._missing(job_id, wanted)
        if complete:
            self._running.discard(job_id)
        return complete

    async def _adopt(
        self, stage: Stage, request: JobRequest, wanted: Wanted, was_blocked: WasBlocked | None
    ) -> bool:
        """Use the job of an earlier run, if it is this very one, complete.

        The request has the collections of the jobs that it builds on, so a
        job whose predecessor was made anew is another job.
        """
        job, result = self._earlier.job_of(stage.id), self._earlier.result_of(stage.id)
        if job is None:
            return False
        left = is_left_running(self._earlier, stage.id)
        may_run = result is None or left
        if job.request != request:
            # Of one that bad detectors have blocked, the reason is told.
            told = job.job_id in self._ended
            if may_run:
                await self._abort(job.job_id)
            if not told:
                self._recorder.repeat(
                    f"{stage.name}: job {job.job_id} was asked for something else; submitted again"
                )
            return False
        usable = (Outcome.PASSED, Outcome.HELD, Outcome.ABORTED, Outcome.PENDING)
        rest_only = self._incomplete.leave_out_again(stage)
        if result is not None and result.outcome not in usable and not rest_only:
            return False
        missing = await self._missing(job.job_id, wanted)
        bad = {each.detector for each in self._incomplete.of(stage.id)}
        missing = tuple(each for each in missing if each.detector not in bad)
        if missing and left:
            return await self._collect(stage, job, wanted, was_blocked)
        if not missing:
            if result is None or result.outcome is Outcome.ABORTED:
                self._operator.info(
                    f"{stage.name}: job {job.job_id} from before the interruption is complete."
                )
            self.records[stage.id] = job
            return True
        if may_run and await self._resume(stage, job, wanted):
            return True
        if may_run:
            await self._abort(job.job_id)
        why = "was interrupted"
        if result is not None and result.outcome is not Outcome.ABORTED:
            why = f"has lost its {wanted.dataset_type} for {self._incomplete.lacking(missing)}"
        self._recorder.repeat(f"{stage.name}: job {job.job_id} {why}; submitted again")
        return False

    async def _collect(
        self, stage: Stage, job: JobRecord, wanted: Wanted, was_blocked: WasBlocked | None
    ) -> bool:
        """Wait for a job that was left to itself; return whether it is known.

        A job that the service has lost is to be submitted again.
        """
        if self._releases:
            self._raise_if_released(stage)
        self._operator.info(f"{stage.name}: waiting for job {job.job_id}, submitted earlier.")
        try:
            await self._collector.wait(stage, job, wanted, was_blocked)
        except BlockedError:
            self._ended.add(job.job_id)
            raise
        except JobLostError as error:
            self._recorder.repeat(f"{stage.name}: {error}; submitted again")
            return False
        except JobTimeoutError:
            await self._abort(job.job_id)
            raise
        return True

    async def _resume(self, stage: Stage, job: JobRecord, wanted: Wanted) -> bool:
        """Continue an interrupted job; return whether it ended well."""
        if not await self._jobs.resume(job.job_id):
            return False
        self._operator.info(f"{stage.name}: job {job.job_id} from before the interruption continues.")
        self._running.add(job.job_id)
        self.records[stage.id] = job
        try:
            result = await self._jobs.result(job.job_id)
            # What it lacks for some detectors is seen once it has run anew.
            if result.exit_code == 0 and not await self._missing(job.job_id, wanted):
                self._running.discard(job.job_id)
                return True
        except ObservatoryError as error:
            self._operator.warning(f"{stage.name}: {error}")
        del self.records[stage.id]
        self._running.discard(job.job_id)
        return False

    async def _missing(self, job_id: str, wanted: Wanted) -> tuple[Missing, ...]:
        return await self._repository.missing(wanted, self._jobs.run_collection(job_id))

    async def _run_once(
        self, stage: Stage, request: JobRequest, wanted: Wanted, was_blocked: WasBlocked | None
    ) -> str:
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
        self.records[stage.id] = job = JobRecord(stage.id, job_id, request, self._clock())
        self._recorder.job(job)
        await self._recorder.flush()
        self._operator.info(f"{stage.name}: job {job_id}, log {self._jobs.log_path(job_id)}")
        if self._releases:
            self._running.discard(job_id)
            self.released.add(stage.id)
            return job_id
        result = await self._jobs.result(job_id)
        self._running.discard(job_id)
        if result.exit_code != 0:
            self.log_tails[stage.id] = await self._jobs.log_tail(job_id)
            await self._check_failed(stage, result, wanted, was_blocked)
        return job_id

    async def _abort_if_running(self, stage: Stage) -> None:
        job_id = self.id_of(stage.id)
        if job_id is not None and job_id in self._running:
            await self._abort(job_id)

    async def abandon(self, deadline: float) -> None:
        """Abort all that still runs.

        Parameters
        ----------
        deadline : `float`
            Time of the event loop's clock at which to give up (s).
        """
        submissions = tuple(self._submissions)
        aborts = [self._abort(job_id) for job_id in tuple(self._running)]
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*aborts, *map(self._abort_submitted, submissions))
        except TimeoutError:
            jobs = [f"job(s) {', '.join(sorted(self._running))}"] if self._running else []
            n_unknown = sum(not each.done() for each in submissions)
            jobs += [f"{n_unknown} that the job service has not acknowledged"] if n_unknown else []
            self._operator.error(
                f"No time left to abort {' and '.join(jobs)}: what the job service did not answer may still "
                "run."
            )
        for submission in submissions:
            submission.cancel()
        await asyncio.gather(*submissions, return_exceptions=True)

    async def _abort_submitted(self, submission: asyncio.Task[str]) -> None:
        """Abort a job that is being submitted, once its id is known."""
        try:
            job_id = await asyncio.shield(submission)
        except ObservatoryError:
            return
        self._running.add(job_id)
        await self._abort(job_id)

    async def _abort(self, job_id: str) -> None:
        if job_id in self._ended:
            return
        self._ended.add(job_id)
        try:
            await self._jobs.abort(job_id)
        except ObservatoryError as error:
            self._operator.error(f"Job {job_id} could not be aborted and may still run: {error}")
        else:
            self._operator.info(f"Job {job_id} aborted.")
        self._running.discard(job_id)
