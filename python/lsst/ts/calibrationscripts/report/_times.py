# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure times of many frames in few words."""

from __future__ import annotations

__all__ = ["folded_times"]

import itertools
from collections.abc import Sequence

_FEW = 3
"""Runs of equal times that are given one by one."""

_RAMP = 4
"""Times of equal steps that are given by their ends."""

_TOLERANCE = 1e-6
"""Difference of two steps that are equal (s)."""


def folded_times(times: Sequence[float]) -> tuple[str, ...]:
    """Return exposure times, those that are equal or pairs together.

    Parameters
    ----------
    times : `~collections.abc.Sequence` [`float`]
        Of each frame, in order (s).

    Returns
    -------
    parts : `tuple` [`str`, ...]
        What belongs between commas, such as "13 x 0 s"; "29 pairs: 0.2",
        "3.91", "7.62 s"; or "10 x (0.1 s", "5 s)".
    """
    runs = _runs(times)
    if len(runs) <= _FEW:
        return tuple(f"{n} x {time:g} s" for n, time in runs)
    if (period := _period(times)) < len(times):
        first, *rest = folded_times(times[:period])
        *before, last = (f"{len(times) // period} x ({first}", *rest)
        return (*before, f"{last})")
    parts: list[str] = []
    for n, same in itertools.groupby(runs, key=lambda run: run[0]):
        parts += _folded(n, [time for _, time in same])
    return tuple(parts)


def _runs(times: Sequence[float]) -> list[tuple[int, float]]:
    """Return how often each time comes in succession."""
    return [(len(list(same)), time) for time, same in itertools.groupby(times)]


def _period(times: Sequence[float]) -> int:
    """Return after how many frames the times are repeated; all, if never."""
    n = len(times)
    for period in range(2, n // 2 + 1):
        if n % period == 0 and list(times) == list(times[:period]) * (n // period):
            return period
    return n


def _folded(n: int, times: Sequence[float]) -> list[str]:
    """Return times that each come equally often in succession."""
    if len(times) == 1:
        return [f"{n} x {times[0]:g} s"]
    head = f"{len(times)} {'pairs' if n == 2 else 'times'}" if n <= 2 else f"{n} x {len(times)} times"
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    if len(times) >= _RAMP and max(steps) - min(steps) < _TOLERANCE:
        return [f"{head} from {times[0]:g} to {times[-1]:g} s in steps of {steps[0]:g} s"]
    first, *between, last = (f"{time:g}" for time in times)
    return [f"{head}: {first}", *between, f"{last} s"]
