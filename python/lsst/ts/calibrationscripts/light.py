# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the first flat of a set has a usable level."""

from __future__ import annotations

__all__ = ["LightLevel"]

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LightLevel:
    """The level of a flat, and what it is compared with."""

    series: str
    exposure: int
    exp_time: float
    """Exposure time (s)."""

    counts: float
    """Median level (ADU above bias)."""

    usable_range: tuple[float, float]
    """Counts of a usable flat (ADU above bias)."""

    minimum: float | None = None
    """Below it the set is not taken (ADU); `None` for never."""

    maximum: float | None = None
    """Above it the set is not taken (ADU); `None` for never."""

    @property
    def usable(self) -> bool:
        """Whether it is in the range of usable flats."""
        low, high = self.usable_range
        return low <= self.counts <= high

    @property
    def acceptable(self) -> bool:
        """Whether the set is to be taken."""
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= self.counts <= high

    @property
    def text(self) -> str:
        """What the operator reads."""
        found = f"{self.series}: the first flat, exposure {self.exposure}, has {self.counts:,.0f} counts"
        if self.usable and self.acceptable:
            return f"{found}."
        low = self.usable_range[0] if self.minimum is None else self.minimum
        high = self.usable_range[1] if self.maximum is None else self.maximum
        cause = (
            "Is the dome screen in place, the lamp on, the filter the right one?"
            if self.counts < low
            else "Is the lamp too bright, stray light in the dome, the filter the right one?"
        )
        return f"{found}, outside {low:,.0f} to {high:,.0f}. {cause}{self._advice(low, high)}"

    def _advice(self, low: float, high: float) -> str:
        """Return the exposure time that would land in the middle."""
        if self.counts <= 0 or high <= 0:
            return ""
        target = math.sqrt(max(low, 1.0) * high)
        return f" An exposure time of {self.exp_time * target / self.counts:.3g} s would give {target:,.0f}."
