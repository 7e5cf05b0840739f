# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames and stages began and ended."""

from __future__ import annotations

__all__ = ["Timeline"]

import bisect
import datetime
from collections.abc import Callable, Collection, Iterable

from ..outcomes import Outcome, StageResult
from ..plan import RunPlan, time_left
from ..products import StageId
from ..record import Span


class Timeline:
    """Notes what happens when.

    Parameters
    ----------
    clock : callable
        Returns the time: TAI, as a Unix timestamp (s).
    earlier : `~collections.abc.Iterable` [`Span`], optional
        What happened in earlier sessions of the run.
    """

    def __init__(self, clock: Callable[[], float], earlier: Iterable[Span] = ()) -> None:
        self._clock = clock
        self._begun: dict[tuple[StageId, str], float] = {}
        self._ended: dict[tuple[StageId, str], Span] = {}
        self._spans = sorted(earlier, key=_order)

    def begin(self, stage: StageId, frame: str = "") -> None:
        """Note that a stage, or a frame of it, begins."""
        self._begun[stage, frame] = self._clock()

    @property
    def running(self) -> dict[StageId, float]:
        """For how long stages have been running (s)."""
        now = self._clock()
        return {
            stage: now - begun
            for (stage, frame), begun in self._begun.items()
            if not frame and (stage, frame) not in self._ended
        }

    def end_stage(self, result: StageResult, before: StageResult | None) -> None:
        """Note that a stage ends, unless its result was there before.

        Parameters
        ----------
        result : `StageResult`
            How it ends.
        before : `StageResult` or `None`
            How it ended in an earlier session, which has noted its time.
        """
        stage = result.stage
        if _uses_again(result, before) and any(
            span.stage == stage and not span.frame for span in self._spans
        ):
            self._begun.pop((stage, ""), None)
        self.end(stage, outcome=result.outcome)

    def progress(self, plan: RunPlan, ended: Collection[StageId]) -> str:
        """Return how far a run is whose frames are all taken.

        Parameters
        ----------
        plan : `RunPlan`
            All of it.
        ended : collection of `StageId`
            The stages that have ended.

        Returns
        -------
        text : `str`
            With the time that is left, if any.
        """
        left = datetime.timedelta(seconds=round(time_left(plan, self.running, ended, plan.exposures)))
        about = f", about {left} left" if len(ended) < len(plan.stages) else ""
        return f"Processing, {len(ended)}/{len(plan.stages)} stages ended{about}"

    def end(self, stage: StageId, frame: str = "", outcome: Outcome | None = None) -> None:
        """Note that it ends; what never began is not noted."""
        if (stage, frame) in self._begun:
            span = Span(stage, self._begun[stage, frame], self._clock(), frame, outcome)
            if (before := self._ended.get((stage, frame))) is not None:
                self._spans.remove(before)
            self._ended[stage, frame] = span
            bisect.insort(self._spans, span, key=_order)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What has ended, in the order in which it began."""
        return tuple(self._spans)


def _uses_again(result: StageResult, before: StageResult | None) -> bool:
    """Return whether nothing was made, verified or certified anew."""
    if before is None or result.outcome in (Outcome.FAILED, Outcome.SKIPPED, Outcome.ABORTED):
        return False
    parts = [(each.outcome, each.job_id, each.collection) for each in (before, result)]
    return parts[0] == parts[1]


def _order(span: Span) -> tuple[float, str]:
    return span.begin, span.name
