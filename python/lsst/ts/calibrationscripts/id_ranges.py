# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids as ranges, where there are many."""

from __future__ import annotations

__all__ = ["consecutive"]

from collections.abc import Iterable


def consecutive(ids: Iterable[int]) -> list[range]:
    """Return ids as ranges of consecutive ones.

    Parameters
    ----------
    ids : iterable of `int`
        The ids, in any order.

    Returns
    -------
    ranges : `list` [`range`]
        As few as possible, in order.
    """
    ranges: list[range] = []
    for each in sorted(set(ids)):
        if ranges and each == ranges[-1].stop:
            ranges[-1] = range(ranges[-1].start, each + 1)
        else:
            ranges.append(range(each, each + 1))
    return ranges
