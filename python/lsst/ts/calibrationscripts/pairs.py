# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which flats are pairs, as each generation of cp_pipe puts them together."""

from __future__ import annotations

__all__ = ["MAX_PAIRS", "PairRule", "times_of_pairs"]

import enum
import math
from collections.abc import Sequence

MAX_PAIRS = 500
"""Most pairs that `times_of_pairs` makes times for."""

_TOLERANCE = 0.005
"""Times that differ by less agree (s)."""

_RELATIVE_TOLERANCE = 1e-5
"""The same, in parts of the time: what numpy.isclose adds."""

_STEP = 0.01
"""From the time of one pair to that of the next (s)."""


class PairRule(enum.Enum):
    """How flats become pairs. Nothing but their times and order decide."""

    NEIGHBOURS = "two flats in succession whose times agree within 5 ms"
    """cp_pipe since 2025 (0d27ee80, a795d9e8). A further flat of that time is
    not used; a flat of another time ends the pair."""

    FIRST_TWO = "the first two flats of each exposure time"
    """cp_pipe in 2022. Equal times only, with any flats between them. The
    result may be stored for either flat."""

    def pairs(self, exp_times: Sequence[float]) -> tuple[tuple[int, int], ...]:
        """Return which flats are pairs.

        Parameters
        ----------
        exp_times : sequence of `float`
            Exposure times (s), in order of exposure id.

        Returns
        -------
        pairs : `tuple` [`tuple` [`int`, `int`], ...]
            Indices of both flats, in the order of the first.
        """
        return _neighbours(exp_times) if self is PairRule.NEIGHBOURS else _first_two(exp_times)


def _first_two(exp_times: Sequence[float]) -> tuple[tuple[int, int], ...]:
    indices: dict[float, list[int]] = {}
    for i, exp_time in enumerate(exp_times):
        indices.setdefault(exp_time, []).append(i)
    return tuple((same[0], same[1]) for same in indices.values() if len(same) > 1)


def _neighbours(exp_times: Sequence[float]) -> tuple[tuple[int, int], ...]:
    pairs: list[tuple[int, int]] = []
    first, is_pair = 0, False
    for i in range(1, len(exp_times)):
        if abs(exp_times[i] - exp_times[first]) > _tolerance(exp_times[first]):
            first, is_pair = i, False
        elif not is_pair:
            pairs.append((first, i))
            is_pair = True
    return tuple(pairs)


def _tolerance(exp_time: float) -> float:
    return _TOLERANCE + _RELATIVE_TOLERANCE * exp_time


def times_of_pairs(n: int, exp_time: float) -> tuple[float, ...]:
    """Return exposure times that every rule makes into pairs.

    Parameters
    ----------
    n : `int`
        Number of pairs.
    exp_time : `float`
        Exposure time of the first pair (s).

    Returns
    -------
    exp_times : `tuple` [`float`, ...]
        Each twice (s). From pair to pair they differ by 10 ms, more only if
        times so long would agree within that.
    """
    # No time is longer than exp_time + n * step.
    least = _tolerance(exp_time) / (1 - _RELATIVE_TOLERANCE * n)
    step = _STEP * math.ceil((least + 1e-6) / _STEP)
    return tuple(round(exp_time + i * step, 3) for i in range(n) for _ in range(2))
