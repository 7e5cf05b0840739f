# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of sets of flats that moves the wheels least."""

from __future__ import annotations

__all__ = ["Setting", "count_moves", "least_moves"]

import functools
import math
from collections.abc import Sequence

Setting = tuple[int | str | None, ...]
"""What is wanted of each wheel: a name or slot; `None` for what is in the
beam at the beginning."""


def count_moves(settings: Sequence[Setting], beam: Setting | None = None) -> float:
    """Return how often wheels move if sets are taken in this order.

    Parameters
    ----------
    settings : `~collections.abc.Sequence` [`Setting`]
        What each set wants.
    beam : `Setting`, optional
        What is in the beam at the beginning; `None`, as a whole or for a
        wheel, if that is not known. Then the first move does not count.

    Returns
    -------
    moves : `float`
        Infinite if a set wants what was in the beam at the beginning, and
        another set has turned that wheel before.
    """
    n_wheels = max(map(len, settings), default=0)
    return sum(_moves_of(wheel, settings, beam) for wheel in range(n_wheels))


def _moves_of(wheel: int, settings: Sequence[Setting], beam: Setting | None) -> float:
    position, moves, turned = None if beam is None else beam[wheel], 0, False
    for setting in settings:
        wanted = setting[wheel]
        if wanted is None:
            if turned:
                return math.inf
            continue
        moves += position is not None and wanted != position
        position, turned = wanted, True
    return moves


def least_moves(settings: Sequence[Setting], beam: Setting | None = None) -> tuple[int, ...]:
    """Return the order in which wheels move least.

    Parameters
    ----------
    settings : `~collections.abc.Sequence` [`Setting`]
        What each set wants, in the order of the configuration. A set that
        has `None` for a wheel comes before all that turn it. A dozen sets
        take some tenths of a second.
    beam : `Setting`, optional
        As for `count_moves`.

    Returns
    -------
    order : `tuple` [`int`, ...]
        Places in ``settings``. Of several orders with as few moves, the one
        that is nearest to the order of the configuration: whose first place
        that differs has the earlier set.
    """
    return _least(tuple(settings), beam)


@functools.lru_cache
def _least(settings: tuple[Setting, ...], beam: Setting | None) -> tuple[int, ...]:
    n = len(settings)
    # Of a wheel at which no set has None, the last set tells the position.
    # Where some have, those come first, and the wheel has not turned.
    costs = [[_cost(settings[i], settings[j], beam) for j in range(n)] for i in range(n)]
    first = [_cost(None, setting, beam) for setting in settings]
    everything = (1 << n) - 1
    rest: dict[tuple[int, int], float] = {(everything, last): 0.0 for last in range(n)}
    for taken in range(everything - 1, 0, -1):
        left = [j for j in range(n) if not taken >> j & 1]
        for last in range(n):
            if taken >> last & 1:
                rest[taken, last] = min(costs[last][j] + rest[taken | 1 << j, j] for j in left)
    order: list[int] = []
    taken, step = 0, first
    while taken != everything:
        left = [j for j in range(n) if not taken >> j & 1]
        following = min(left, key=lambda j: (step[j] + rest[taken | 1 << j, j], j))
        order.append(following)
        taken, step = taken | 1 << following, costs[following]
    return tuple(order)


def _cost(before: Setting | None, after: Setting, beam: Setting | None) -> float:
    """Return the moves between two sets, the first of which may be none."""
    moves = 0.0
    for wheel, wanted in enumerate(after):
        known = None if beam is None else beam[wheel]
        position = known if before is None or before[wheel] is None else before[wheel]
        if wanted is None:
            # It is in the beam only as long as no set has turned the wheel.
            moves += math.inf if before is not None and before[wheel] is not None else 0
        else:
            moves += position is not None and wanted != position
    return moves
