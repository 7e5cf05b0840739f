# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resumed run has still to do."""

from __future__ import annotations

__all__ = ["jobs_left", "remaining", "time_to_expose"]

from dataclasses import replace

from ..outcomes import Outcome
from ..plan import PlannedExposure, RunPlan, Stage
from ..products import StageId, StageKind
from ..record import RunRecord

_DONE = (Outcome.PASSED, Outcome.CERTIFIED, Outcome.HELD)
"""Outcomes of stages whose work is not done again."""


def remaining(plan: RunPlan, record: RunRecord) -> RunPlan:
    """Return what is left of a plan.

    Parameters
    ----------
    plan : `RunPlan`
        The whole run.
    record : `RunRecord`
        What has been done of it.

    Returns
    -------
    plan : `RunPlan`
        The same stages, but only the frames that are still to be taken, and
        the time that is still needed. What may be found in the Butler, such
        as a frame whose id was not recorded, counts as not done.
    """
    taken = {(frame.series, frame.number) for frame in record.frames if frame.exposure is not None}
    begun = {frame.series for frame in record.frames if frame.number > 0}
    begun |= {sought.series for sought in record.sought}
    left = tuple(
        exposure
        for exposure in plan.exposures
        if (exposure.series, exposure.number) not in taken
        # Trial flats come before all others, or never.
        and not (exposure.trial and exposure.series in begun)
    )

    def rest(stage: Stage) -> Stage:
        if stage.kind is StageKind.EXPOSE:
            return replace(stage, duration=time_to_expose(stage, plan.exposures_of(stage.subject), left))
        result = record.result_of(stage.id)
        return replace(stage, duration=0.0) if result and result.outcome in _DONE else stage

    return replace(plan, exposures=left, stages=tuple(map(rest, plan.stages)))


def jobs_left(plan: RunPlan, record: RunRecord) -> frozenset[StageId]:
    """Return the stages whose jobs are still to run.

    Parameters
    ----------
    plan : `RunPlan`
        The whole run.
    record : `RunRecord`
        What has been done of it.

    Returns
    -------
    stages : `frozenset` [`StageId`]
        Of the others, the jobs have ended well, and they and what they build
        on would be asked for again with the same words.
    """
    left: set[StageId] = set()
    for stage in plan.stages:
        if stage.job is None:
            continue
        job, result = record.job_of(stage.id), record.result_of(stage.id)
        ended = job is not None and result is not None and result.outcome in (*_DONE, Outcome.PENDING)
        if not (ended and job and stage.job.may_be(job.request) and left.isdisjoint(stage.job.inputs_from)):
            left.add(stage.id)
    return frozenset(left)


def time_to_expose(
    stage: Stage, planned: tuple[PlannedExposure, ...], left: tuple[PlannedExposure, ...]
) -> float:
    """Return the part of a series's duration that is still needed (s).

    Parameters
    ----------
    stage : `Stage`
        That takes the frames.
    planned, left : `tuple` [`PlannedExposure`, ...]
        All frames of the series, and those that are still to be taken.

    Returns
    -------
    duration : `float`
    """
    if not planned:
        return stage.duration
    overhead = (stage.duration - sum(exposure.exp_time for exposure in planned)) / len(planned)
    mine = [exposure.exp_time for exposure in planned if exposure in left]
    return sum(mine) + len(mine) * overhead
