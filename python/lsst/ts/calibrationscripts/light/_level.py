# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the first flat of a set has a usable level."""

from __future__ import annotations

__all__ = ["LightLevel"]

import math
from dataclasses import dataclass

from ..config import DARK_COUNTS

_TOO_BRIGHT = "Is the lamp too bright, stray light in the dome, the filter the right one?"
_FIRST_SHORTER = "Take a flat of a much shorter exposure time first."

_SHORTEST, _LONGEST = 0.1, 3600.0
"""Exposure times that a configuration can have (s)."""


@dataclass(frozen=True)
class LightLevel:
    """The level of a flat, and what it is compared with.

    A set of several exposure times, a ramp, is to have very different levels:
    it is judged by what its shortest and longest would give.
    """

    series: str
    exposure: int
    exp_time: float
    """Exposure time (s)."""

    counts: float
    """Median level (ADU above bias)."""

    usable_range: tuple[float, float]
    """Counts of a usable flat (ADU above bias)."""

    saturated_counts: float = math.inf
    """From here a level is clipped, and not a measure of the light (ADU above
    bias)."""

    minimum: float | None = None
    """Below it the set is not taken (ADU); `None` for never."""

    maximum: float | None = None
    """Above it the set is not taken (ADU); `None` for never."""

    exp_times: tuple[float, ...] = ()
    """Exposure times of all flats of the set (s)."""

    @property
    def is_saturated(self) -> bool:
        """Whether the level is clipped."""
        return self.counts >= self.saturated_counts

    @property
    def is_dark(self) -> bool:
        """Whether there may be no light at all."""
        return self.counts <= DARK_COUNTS

    @property
    def is_ramp(self) -> bool:
        """Whether the set has several exposure times."""
        return len(set(self.exp_times)) > 1

    @property
    def expected(self) -> tuple[float, float]:
        """Counts of the set's shortest and longest flats (ADU above bias).

        Of a level that is not a measure, the widest that are possible.
        """
        if not self.is_ramp:
            return self.counts, self.counts
        low = self.counts * min(self.exp_times) / self.exp_time
        high = max(self.counts, DARK_COUNTS) * max(self.exp_times) / self.exp_time
        if self.is_saturated and min(self.exp_times) < self.exp_time:
            low = 0.0
        return low, high

    @property
    def usable(self) -> bool:
        """Whether flats of the set are in the range of usable flats."""
        return self._reaches(*self.usable_range)

    @property
    def acceptable(self) -> bool:
        """Whether the set is to be taken."""
        return self._reaches(
            -math.inf if self.minimum is None else self.minimum,
            math.inf if self.maximum is None else self.maximum,
        )

    def _reaches(self, low: float, high: float) -> bool:
        shortest, longest = self.expected
        return shortest <= high and longest >= low

    @property
    def text(self) -> str:
        """What the operator reads."""
        found = f"{self.series}: the first flat, exposure {self.exposure}, has {self.counts:,.0f} counts"
        if self.is_ramp:
            found = f"{found} in {self.exp_time:g} s"
        if self.is_saturated:
            found = f"{found}: it is saturated, the level is not a measure of the light"
            return (
                f"{found}." if self.usable and self.acceptable else f"{found}. {_TOO_BRIGHT} {_FIRST_SHORTER}"
            )
        if self.usable and self.acceptable:
            return f"{found}."
        low = self.usable_range[0] if self.minimum is None else self.minimum
        high = self.usable_range[1] if self.maximum is None else self.maximum
        cause = (
            "Is the dome screen in place, the lamp on, the filter the right one?"
            if self.counts < low
            else _TOO_BRIGHT
        )
        where = ", and none of the exposure times would give" if self.is_ramp else ", outside"
        return f"{found}{where} {low:,.0f} to {high:,.0f}. {cause}{self._advice(low, high)}"

    def _advice(self, low: float, high: float) -> str:
        """Return the exposure time that would land in the middle."""
        if self.is_dark or high <= 0:
            return ""
        target = math.sqrt(max(low, 1.0) * high)
        exp_time = self.exp_time * target / self.counts
        if not _SHORTEST <= exp_time <= _LONGEST:
            return f" No exposure time of {_SHORTEST:g} to {_LONGEST:g} s would give {target:,.0f}."
        return f" An exposure time of {float(f'{exp_time:.3g}'):g} s would give {target:,.0f}."
