# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resumed run has still to do."""

from __future__ import annotations

__all__ = ["jobs_left", "remaining", "time_of"]

from collections.abc import Iterable
from dataclasses import replace

from ..config import CalibrationConfig
from ..outcomes import Outcome
from ..plan import PlannedExposure, RunPlan, Stage
from ..products import StageId, StageKind
from ..record import RunRecord
from ._remaking import remade

_DONE = (Outcome.PASSED, Outcome.CERTIFIED, Outcome.HELD)
"""Outcomes of stages whose work is not done again."""


def remaining(plan: RunPlan, config: CalibrationConfig, record: RunRecord) -> RunPlan:
    """Return what is left of a plan.

    Parameters
    ----------
    plan : `RunPlan`
        The whole run.
    config : `CalibrationConfig`
        That of the run: other frames may be left out than before.
    record : `RunRecord`
        What has been done of it.

    Returns
    -------
    plan : `RunPlan`
        The same stages, but only the frames that are still to be taken, and
        the time that is still needed. What may be found in the Butler, such
        as a frame whose id was not recorded, counts as not done.
    """
    anew = remade(plan, config, record)
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
            whole = plan.exposures_of(stage.subject)
            mine = [exposure for exposure in whole if exposure in left]
            share = time_of(mine) / (time_of(whole) or 1.0) if whole else 1.0
            return replace(stage, duration=share * stage.duration)
        result = record.result_of(stage.id)
        done = result is not None and result.outcome in _DONE and stage.id not in anew
        return replace(stage, duration=0.0) if done else stage

    return replace(plan, exposures=left, stages=tuple(map(rest, plan.stages)))


def jobs_left(plan: RunPlan, config: CalibrationConfig, record: RunRecord) -> frozenset[StageId]:
    """Return the stages whose jobs are still to run.

    Parameters
    ----------
    plan : `RunPlan`
        The whole run.
    config : `CalibrationConfig`
        That of the run: other frames may be left out than before.
    record : `RunRecord`
        What has been done of it.

    Returns
    -------
    stages : `frozenset` [`StageId`]
        Of the others, the jobs have ended well, and they and what they build
        on would be asked for again with the same words.
    """
    left = set(remade(plan, config, record)) & {stage.id for stage in plan.stages if stage.job}
    for stage in plan.stages:
        if stage.job is None:
            continue
        job, result = record.job_of(stage.id), record.result_of(stage.id)
        ended = job is not None and result is not None and result.outcome in (*_DONE, Outcome.PENDING)
        if not (ended and job and stage.job.may_be(job.request) and left.isdisjoint(stage.job.inputs_from)):
            left.add(stage.id)
    return frozenset(left)


def time_of(exposures: Iterable[PlannedExposure]) -> float:
    """Return the time that frames take by their headers (s).

    Parameters
    ----------
    exposures : `~collections.abc.Iterable` [`PlannedExposure`]
        The frames.

    Returns
    -------
    duration : `float`
    """
    return sum(exposure.duration for exposure in exposures)
