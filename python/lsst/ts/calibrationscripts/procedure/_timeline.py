# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames and stages began and ended."""

from __future__ import annotations

__all__ = ["Timeline"]

import bisect
from collections.abc import Callable, Iterable

from ..outcomes import Outcome
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


def _order(span: Span) -> tuple[float, str]:
    return span.begin, span.name
