# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resumed run has still to do."""

from __future__ import annotations

__all__ = ["remaining"]

from dataclasses import replace

from ..outcomes import Outcome
from ..plan import PlannedExposure, RunPlan, Stage
from ..products import StageKind
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
    left = tuple(exposure for exposure in plan.exposures if (exposure.series, exposure.number) not in taken)

    def rest(stage: Stage) -> Stage:
        if stage.kind is StageKind.EXPOSE:
            return replace(stage, duration=_time_to_expose(stage, plan.exposures_of(stage.subject), left))
        result = record.result_of(stage.id)
        return replace(stage, duration=0.0) if result and result.outcome in _DONE else stage

    return replace(plan, exposures=left, stages=tuple(map(rest, plan.stages)))


def _time_to_expose(
    stage: Stage, planned: tuple[PlannedExposure, ...], left: tuple[PlannedExposure, ...]
) -> float:
    """Return the part of a series's duration that is still needed (s)."""
    if not planned:
        return stage.duration
    overhead = (stage.duration - sum(exposure.exp_time for exposure in planned)) / len(planned)
    mine = [exposure.exp_time for exposure in planned if exposure in left]
    return sum(mine) + len(mine) * overhead
