# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that outlive the script, and how they are collected later."""

from __future__ import annotations

__all__ = ["Collector", "ReleasedError", "is_left_running", "releases"]

import asyncio

from ..config import CalibrationConfig
from ..outcomes import Outcome
from ..plan import RunPlan, Stage
from ..ports import JobResult, JobTimeoutError, ObservatoryError, Wanted
from ..products import StageId
from ..record import JobRecord, RunRecord
from ._completeness import BlockedError, WasBlocked
from ._context import Context

_ENDED = (Outcome.PASSED, Outcome.CERTIFIED, Outcome.HELD, Outcome.PENDING)
"""Outcomes of stages for which no job is to be submitted."""

_FIRST_POLL, _LONGEST_POLL = 0.5, 10.0
"""Time between two looks for a product (s); it doubles from look to look."""


class ReleasedError(Exception):
    """A job was submitted, and the run does not wait for its end."""


def is_left_running(record: RunRecord, stage: StageId) -> bool:
    """Return whether an earlier session left a stage's job to itself.

    Parameters
    ----------
    record : `RunRecord`
        What that session has noted. If its process was killed, its jobs run
        on.
    stage : `StageId`
        Which stage.

    Returns
    -------
    left : `bool`
    """
    result = record.result_of(stage)
    if record.job_of(stage) is None:
        return False
    return bool(record.config.get("release")) if result is None else result.outcome is Outcome.PENDING


def releases(config: CalibrationConfig, plan: RunPlan, record: RunRecord) -> bool:
    """Return whether a session leaves its jobs to themselves.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    record : `RunRecord`
        What earlier sessions have done.

    Returns
    -------
    releases : `bool`
        Not if all jobs have been submitted: such a session collects.
    """

    def is_submitted(stage: StageId) -> bool:
        result = record.result_of(stage)
        return is_left_running(record, stage) or (result is not None and result.outcome in _ENDED)

    return config.release and not all(is_submitted(stage.id) for stage in plan.stages if stage.job)


class Collector:
    """Waits for jobs of an earlier session.

    Their results may have been published while nothing listened. So their
    products are looked for, beside what the job service says.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._jobs = context.world.jobs
        self._repository = context.world.repository
        self._clock = context.world.clock
        self._timeout = context.config.job_timeout
        self._incomplete = context.incomplete

    async def wait(
        self, stage: Stage, job: JobRecord, wanted: Wanted, was_blocked: WasBlocked | None = None
    ) -> None:
        """Wait until a job has made its product.

        Parameters
        ----------
        stage : `Stage`
            Whose job it is.
        job : `JobRecord`
            The job.
        wanted : `Wanted`
            What it has to make.
        was_blocked : `~collections.abc.Callable`, optional
            As of `JobRunner.run`.

        Raises
        ------
        BlockedError
            If bad detectors have kept it from all others.
        JobLostError
            If the job service has lost it.
        JobTimeoutError
            If it does not end in time, counted from its submission.
        ObservatoryError
            If it failed, or has not made all of it.
        """
        end = asyncio.create_task(self._jobs.result(job.job_id))
        try:
            async with asyncio.timeout(self._time_left(job)):
                await self._look(stage, job, wanted, end, was_blocked)
        except TimeoutError:
            raise JobTimeoutError(
                f"job {job.job_id} has made no {wanted.dataset_type} within {self._timeout:g} s "
                "(configuration key 'job_timeout')"
            ) from None
        finally:
            end.cancel()
            await asyncio.gather(end, return_exceptions=True)

    def _time_left(self, job: JobRecord) -> float:
        """Return how long a job may still take (s), one look at least."""
        submitted = job.submitted if job.submitted is not None else self._clock()
        return max(submitted + self._timeout - self._clock(), _FIRST_POLL)

    async def _look(
        self,
        stage: Stage,
        job: JobRecord,
        wanted: Wanted,
        end: asyncio.Task[JobResult],
        was_blocked: WasBlocked | None,
    ) -> None:
        run, poll = self._jobs.run_collection(job.job_id), _FIRST_POLL
        while missing := await self._repository.missing(wanted, run):
            if end.done():
                result = end.result()
                # It may have come between the look and the end.
                missing = await self._repository.missing(wanted, run)
                if not missing or self._incomplete.job_ended(
                    stage, missing, job.job_id, exit_code=result.exit_code
                ):
                    return
                if was_blocked and result.exit_code == 1 and await was_blocked(run):
                    raise BlockedError
                ended, lacking = f"exit code {result.exit_code}", self._incomplete.lacking(missing)
                why = (
                    f", but {run} has no {wanted.dataset_type} for {lacking}" if not result.exit_code else ""
                )
                remedy = self._incomplete.remedy(stage)
                raise ObservatoryError(f"job {job.job_id} ended with {ended}{why}{remedy}")
            await asyncio.wait({end}, timeout=poll)
            poll = min(2 * poll, _LONGEST_POLL)
