# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames and stages began and ended."""

from __future__ import annotations

__all__ = ["Timeline"]

from collections.abc import Callable

from ..report import Span


class Timeline:
    """Notes what happens when.

    Parameters
    ----------
    clock : callable
        Returns the time: TAI, as a Unix timestamp (s).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._ended: dict[str, Span] = {}

    def begin(self, name: str) -> None:
        """Note that something begins."""
        self._begun[name] = self._clock()

    def end(self, name: str) -> None:
        """Note that something ends; what never began is passed over."""
        if name in self._begun:
            self._ended[name] = Span(name, self._begun[name], self._clock())

    @property
    def spans(self) -> tuple[Span, ...]:
        """What has ended, in the order in which it began."""
        return tuple(sorted(self._ended.values(), key=lambda span: (span.begin, span.name)))
