# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run that is under way will still take."""

from __future__ import annotations

__all__ = ["time_left"]

from collections.abc import Collection, Mapping

from ..products import StageId, StageKind
from ._records import PlannedExposure, RunPlan

_OVERDUE = 0.1
"""What is still expected of a stage that takes longer than planned, relative
to its planned duration."""


def time_left(
    plan: RunPlan,
    running: Mapping[StageId, float],
    ended: Collection[StageId],
    taken: Collection[PlannedExposure],
) -> float:
    """Return how long a run will still take, if all goes on as planned (s).

    Parameters
    ----------
    plan : `RunPlan`
        All of it.
    running : `~collections.abc.Mapping` [`StageId`, `float`]
        For how long stages have been running (s).
    ended : collection of `StageId`
        Stages that have ended, with any outcome.
    taken : collection of `PlannedExposure`
        Frames that have been taken.

    Returns
    -------
    duration : `float`
    """
    ends: dict[StageId, float] = {}
    for stage in plan.stages:
        if stage.id in ended:
            ends[stage.id] = 0.0
            continue
        left = stage.duration
        if stage.kind is StageKind.EXPOSE:
            frames = plan.exposures_of(stage.subject)
            whole = sum(frame.duration for frame in frames) or 1.0
            left *= 1 - sum(frame.duration for frame in frames if frame in taken) / whole
        elif stage.id in running:
            left = max(stage.duration - running[stage.id], _OVERDUE * stage.duration)
        ends[stage.id] = left + max((ends[other] for other in stage.needs + stage.after), default=0.0)
    return max(ends.values(), default=0.0)
