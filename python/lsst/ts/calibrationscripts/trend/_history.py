# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of runs over time, and the bands that they give."""

from __future__ import annotations

__all__ = ["BAND_RUNS", "MIN_RUNS", "Band", "History", "Points", "bands_of", "ordered"]

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from ._records import COUNTS, Group, Key, Kind, Run

MIN_RUNS = 5
"""Earlier runs without which there is no band."""

BAND_RUNS = 200
"""The newest runs that are alike, which make a band: years ago, a camera may
have been another."""

Points = tuple[tuple[float, float], ...]
"""Time (s) and value of the runs that have one."""

_MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution whose median absolute
deviation is one."""

_FEW = {5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
"""How much wider the scatter of so few values is than their median absolute
deviation says (Croux and Rousseeuw 1992, COMPSTAT, 411)."""


class Band(NamedTuple):
    """The range of the values of earlier runs."""

    centre: float
    """Their median."""

    sigma: float
    """Scatter that the next value is to be expected to have about it."""


class History:
    """Runs, the oldest first, with all their values.

    Parameters
    ----------
    runs : `~collections.abc.Iterable` [`Run`], optional
        The runs, in order.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = tuple(runs)

    @classmethod
    def of(cls, runs: Iterable[Run]) -> History:
        """Order runs by time."""
        return cls(ordered(runs))

    @property
    def earlier(self) -> History:
        """The runs but for the newest."""
        return self._earlier

    @cached_property
    def _earlier(self) -> History:
        return History(self.runs[:-1])

    @cached_property
    def series(self) -> Mapping[Key, Points]:
        """Time (s) and value of all runs that have one, by key."""
        found: dict[Key, list[tuple[float, float]]] = {}
        for run in self.runs:
            for key, value in run.values.items():
                found.setdefault(key, []).append((run.time, value))
        return {key: tuple(points) for key, points in sorted(found.items())}

    @cached_property
    def bands(self) -> Mapping[Key, Band]:
        """The bands, by key, of what at least `MIN_RUNS` runs have.

        Sigma is 1.4826 times the median absolute deviation, widened for the
        number of runs; or that of the typical amplifier of the detector, if
        it is larger, as few runs may agree by chance. Where nothing changes,
        one value in 140 then leaves 3 sigma after 5 runs, one in 400 after
        20, and one in 5000 or less leaves 5 sigma. What is counted has its
        square root at least. Of more than `BAND_RUNS`
        runs, the newest count.
        """
        groups: dict[Group, dict[Key, Sequence[float]]] = {}
        for key, points in self.series.items():
            groups.setdefault(key.group, {})[key] = [value for _, value in points[-BAND_RUNS:]]
        return {key: band for values in groups.values() for key, band in bands_of(values)}

    @cached_property
    def kinds(self) -> Mapping[Kind, float]:
        """When each kind was measured last (s)."""
        found: dict[Kind, float] = {}
        for key, points in self.series.items():
            found[key.group.kind] = max(found.get(key.group.kind, -math.inf), points[-1][0])
        return found


def ordered(runs: Iterable[Run]) -> list[Run]:
    """Return runs by time."""
    return sorted(runs, key=lambda run: (run.time, run.name))


def bands_of(values: Mapping[Key, Sequence[float]]) -> Iterator[tuple[Key, Band]]:
    """Yield the bands of the amplifiers of a detector.

    Parameters
    ----------
    values : `~collections.abc.Mapping` [`Key`, sequence of `float`]
        What earlier runs have, by amplifier, of one `Group`.

    Yields
    ------
    key : `Key`
    band : `Band`
    """
    centres, scatters = {}, {}
    for key, known in values.items():
        if len(known) >= MIN_RUNS:
            centre = centres[key] = statistics.median(known)
            scatters[key] = _expected_scatter(
                statistics.median([abs(value - centre) for value in known]), len(known)
            )
    typical = statistics.median(scatters.values()) if scatters else 0.0
    for key, centre in centres.items():
        # Chance alone lets a count differ, also where few runs agree.
        chance = math.sqrt(max(centre, 1.0)) if key.quantity in COUNTS else 0.0
        yield key, Band(centre, max(scatters[key], typical, chance))


def _expected_scatter(deviation: float, n: int) -> float:
    """Return the scatter of another value about the median of n values."""
    few = _FEW.get(n, n / (n - 0.8))
    # The variance of a median is pi / 2 times that of a mean.
    return _MAD_TO_SIGMA * deviation * few * math.sqrt(1 + math.pi / (2 * n))
