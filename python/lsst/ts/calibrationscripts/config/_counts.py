# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counts that flats are to have, and how their exposure time is found."""

from __future__ import annotations

__all__ = ["DARK_COUNTS", "LONGEST_SOUGHT", "N_TRIALS", "SHORTEST_SOUGHT", "parse_flat_counts"]

import math
from collections.abc import Sequence

from ._problems import Unusable

DARK_COUNTS = 100.0
"""Up to this level (ADU above bias) structure of the bias can be what is
measured, and no light."""

SHORTEST_SOUGHT, LONGEST_SOUGHT = 0.1, 120.0
"""Exposure times that ``flat_counts`` may choose (s): a shutter is not exact
below, and above, twenty flats would take 40 minutes."""

N_TRIALS = 2
"""Trial flats of a set, at most."""


def parse_flat_counts(value: Sequence[float] | None) -> tuple[float, float] | None:
    """Return the range of ``flat_counts``, or raise `Unusable`."""
    if value is None:
        return None
    low, high = map(float, value)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Unusable("is not finite", "write two numbers, for example [20000, 40000]")
    if low >= high:
        raise Unusable("has no range", f"write the lower number first: [{high:g}, {low:g}]")
    if low <= DARK_COUNTS:
        raise Unusable(
            f"begins at {low:g} counts, which can be the bias alone",
            f"write more than {DARK_COUNTS:g}, for example [20000, 40000]",
        )
    return low, high
