# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a few numbers are not like the majority of them."""

from __future__ import annotations

__all__ = ["Outlier", "Tolerance", "find_outliers"]

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Tolerance = Callable[[float, float], float]
"""Takes x and the value that is expected there; returns how far a value may be
from that without being an outlier. Positive."""

_MAX_PAIRS = 60
"""Lines through two points that are tried, of all pairs."""

_FAR = 4.0
"""Beyond as many times the distance to the nearest half, it does not matter
how far a point is: 2.7 standard deviations, if the others are normal."""

_ENOUGH_FOR_LINES = 5
"""Of fewer points, too many lie on a line through any two."""


@dataclass(frozen=True)
class Outlier:
    """A value that is not like the others."""

    index: int
    value: float
    expected: float
    limit: float
    """Largest difference that is right."""


class _Point(NamedTuple):
    x: float
    y: float


class _Fit(NamedTuple):
    """A straight line."""

    offset: float
    slope: float
    has_offset: bool
    has_slope: bool

    def at(self, x: float) -> float:
        return self.offset + self.slope * x

    @property
    def n_parameters(self) -> int:
        return self.has_offset + self.has_slope

    def n_half(self, n: int) -> int:
        """Return how many of n points are a majority."""
        return (n + self.n_parameters + 1) // 2


def find_outliers(
    x: Sequence[float], y: Sequence[float], *, tolerance: Tolerance, error: float, scatter: float
) -> tuple[Outlier, ...]:
    """Find values that are not like the majority.

    Parameters
    ----------
    x, y : sequence of `float`
        The values, and what they depend on: linearly, or not at all if all x
        are the same.
    tolerance : callable
        How far a value may be in any case; see `Tolerance`.
    error : `float`
        Standard error of a value.
    scatter : `float`
        Standard deviations beyond which a value is an outlier.

    Returns
    -------
    outliers : `tuple` [`Outlier`, ...]
        In the order of the values; none of fewer than three.

    Notes
    -----
    The majority is found by the least median of squares (Rousseeuw and
    Leroy, 1987, "Robust Regression and Outlier Detection", chapters 2 and 4):
    the half of the points that is nearest to a value. Of lines through one or
    two points, whose nearest half may be at a single x, the one is taken for
    which the sum of squared distances is least, where distances beyond the
    scatter of that half count no more (MSAC; Torr and Zisserman, 2000, CVIU
    78, 138). Up to half of the values may be wrong.

    From that half, values are added as long as they are within the limit;
    each round fits all that are in by least squares. The limit is the largest
    of the tolerance, ``scatter`` errors, and ``scatter * (1 + 2 / degrees of
    freedom)`` standard deviations of what is in: a scatter that is known from
    few values is not known well.
    """
    if len(y) < 3:
        return ()
    points = [_Point(*point) for point in zip(x, y, strict=True)]
    fit = _majority(points, tolerance)
    by_distance = sorted(range(len(points)), key=lambda i: _distance(points[i], fit, tolerance))
    inside = set(by_distance[: fit.n_half(len(points))])
    tried: list[set[int]] = []
    while inside not in tried:
        tried.append(inside)
        fit = _least_squares([points[i] for i in inside], fit, tolerance)
        deviations = _deviations([points[i] for i in inside], fit, tolerance)
        limits = []
        for point in points:
            allowed = tolerance(point.x, fit.at(point.x))
            limits.append(max(allowed, scatter * error, scatter * deviations * allowed))
        inside = {i for i, point in enumerate(points) if abs(point.y - fit.at(point.x)) <= limits[i]}
        if len(inside) < fit.n_half(len(points)):
            break
    return tuple(
        Outlier(i, points[i].y, fit.at(points[i].x), limits[i]) for i in range(len(points)) if i not in inside
    )


def _distance(point: _Point, fit: _Fit, tolerance: Tolerance) -> float:
    """Return how far a point is from a line, in units of the tolerance."""
    expected = fit.at(point.x)
    return abs(point.y - expected) / tolerance(point.x, expected)


def _deviations(points: Sequence[_Point], fit: _Fit, tolerance: Tolerance) -> float:
    """Return the standard deviation in that unit, more if of few points."""
    freedom = max(len(points) - fit.n_parameters, 1)
    variance = sum(_distance(point, fit, tolerance) ** 2 for point in points) / freedom
    return (1 + 2 / freedom) * math.sqrt(variance)


def _majority(points: Sequence[_Point], tolerance: Tolerance) -> _Fit:
    """Return the line to which half of the points are nearest."""
    if len({point.x for point in points}) == 1:
        return _shortest_half([point.y for point in points])

    fits = [(fit, sorted(_distance(point, fit, tolerance) for point in points)) for fit in _lines(points)]
    nearest = min(distances[fit.n_half(len(points)) - 1] for fit, distances in fits)
    far = max(1.0, _FAR * nearest)
    return min(fits, key=lambda each: sum(min(distance, far) ** 2 for distance in each[1]))[0]


def _shortest_half(values: Sequence[float]) -> _Fit:
    """Return the middle of the shortest interval that holds half of them."""
    ordered, n_half = sorted(values), len(values) // 2 + 1
    starts = range(len(ordered) - n_half + 1)
    first = min(starts, key=lambda i: ordered[i + n_half - 1] - ordered[i])
    return _Fit((ordered[first] + ordered[first + n_half - 1]) / 2, 0.0, True, False)


def _lines(points: Sequence[_Point]) -> Iterator[_Fit]:
    """Yield lines through one or two points."""
    for point in points:
        if point.x:
            yield _Fit(0.0, point.y / point.x, False, True)
    if len(points) < _ENOUGH_FOR_LINES:
        return
    pairs = [(one, other) for one, other in itertools.combinations(points, 2) if one.x != other.x]
    for one, other in pairs[:: len(pairs) // _MAX_PAIRS + 1]:
        slope = (other.y - one.y) / (other.x - one.x)
        yield _Fit(one.y - slope * one.x, slope, True, True)


def _least_squares(points: Sequence[_Point], before: _Fit, tolerance: Tolerance) -> _Fit:
    """Fit a line of the same kind, each point weighted by its tolerance."""
    weights = [tolerance(point.x, before.at(point.x)) ** -2 for point in points]

    def total(of: Callable[[_Point], float]) -> float:
        return sum(weight * of(point) for weight, point in zip(weights, points, strict=True))

    s, sy = sum(weights), total(lambda point: point.y)
    if not before.has_slope:
        return before._replace(offset=sy / s)
    sx, sxx = total(lambda point: point.x), total(lambda point: point.x**2)
    sxy = total(lambda point: point.x * point.y)
    if not before.has_offset:
        return before._replace(slope=sxy / sxx)
    determinant = s * sxx - sx * sx
    if determinant <= 1e-9 * s * sxx:
        # All points have one x: no line can be found but by the others.
        return before
    slope = (s * sxy - sx * sy) / determinant
    return before._replace(offset=(sy - slope * sx) / s, slope=slope)
