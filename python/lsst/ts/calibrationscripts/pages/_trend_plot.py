# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values over time as a figure."""

from __future__ import annotations

__all__ = ["Curve", "spread", "thinned", "trend_plot"]

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..trend import Band
from ._figure import BLUE, INK, SMALL, VERMILION, Picture, drawing, finish, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_POINTS = 400
"""Runs that are still drawn one by one."""

_MARGINS = {"left": 0.32, "right": 0.91, "bottom": 0.14, "top": 0.87}

_DAY = 86_400.0
"""A day (s)."""


@dataclass(frozen=True)
class Curve:
    """One value of one amplifier over time."""

    title: str
    times: tuple[float, ...]
    """TAI, as Unix timestamps (s)."""

    values: tuple[float, ...]
    band: Band | None
    of_detector: bool = False
    """Whether it is that of a whole detector."""


def trend_plot(curves: Sequence[Curve], quantity: str, unit: str, conditions: str = "") -> Picture:
    """Draw values over time, each amplifier in a panel of its own.

    Parameters
    ----------
    curves : `~collections.abc.Sequence` [`Curve`]
        What is drawn; at least one.
    quantity, unit : `str`
        What it is.
    conditions : `str`, optional
        How it was measured.

    Returns
    -------
    picture : `Picture`
    """
    by = "detector" if all(curve.of_detector for curve in curves) else "amplifier"
    caption = (
        f"{quantity} ({unit}) by {by} over time{conditions and f' ({conditions})'}. Shades are 3 and 5 "
        "sigma around the median of earlier runs; a cross is the newest run outside 3 sigma. Runs of the "
        "same day are drawn apart."
    )
    times = sorted({time for curve in curves for time in curve.times})
    places = dict(zip(times, spread(times), strict=True))
    ends = [times[0], times[-1]] if times[-1] // _DAY > times[0] // _DAY else times[:1]
    ticks = [places[time] for time in ends]
    names = [f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%d}" for time in ends]
    panels = []
    for curve in curves:
        with drawing(SMALL, 1.6, _MARGINS) as figure:
            axis = figure.subplots()
            _draw_curve(axis, curve, [places[time] for time in curve.times])
            axis.set_xticks(ticks, names)
            # All of one time axis, also where earlier runs lack an amplifier.
            axis.set_xlim(*_with_margin(places.values()))
            panels.append(finish(figure, f"{quantity} ({unit}) of {curve.title}"))
    return side_by_side(panels, caption)


def _with_margin(places: Collection[float]) -> tuple[float, float]:
    first, last = min(places), max(places)
    margin = 0.12 * (last - first) or 0.5
    return first - margin, last + margin


def spread(times: Sequence[float]) -> list[float]:
    """Return where points are drawn, so that none hides another.

    Parameters
    ----------
    times : `~collections.abc.Sequence` [`float`]
        In order (s).

    Returns
    -------
    places : `list` [`float`]
        In order, in days: the times themselves, but at least half the mean
        distance apart, as of runs of the same day.
    """
    days = [time / _DAY for time in times]
    least = (days[-1] - days[0] or 1.0) / (2 * max(1, len(days) - 1))
    places: list[float] = []
    for day in days:
        places.append(day if not places else max(day, places[-1] + least))
    return places


def thinned(values: Sequence[float]) -> list[int]:
    """Return which of many values are drawn.

    Parameters
    ----------
    values : `~collections.abc.Sequence` [`float`]
        In order.

    Returns
    -------
    places : `list` [`int`]
        All of a few. Of many, the lowest and the highest of each of equal
        parts, so that nothing that is far out is left out; and the last.
    """
    n = len(values)
    if n <= _MAX_POINTS:
        return list(range(n))
    step = -(-2 * n // _MAX_POINTS)
    kept = {n - 1}
    for first in range(0, n, step):
        part = range(first, min(first + step, n))
        kept |= {min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
    return sorted(kept)


def _draw_curve(axis: Axes, curve: Curve, places: Sequence[float]) -> None:
    kept = thinned(curve.values)
    axis.plot(
        [places[i] for i in kept],
        [curve.values[i] for i in kept],
        "o-" if len(kept) == len(places) else "-",
        color=INK,
        markersize=2.5,
        linewidth=0.7,
    )
    if curve.band:
        centre, sigma = curve.band
        for n_sigma, alpha in ((5, 0.12), (3, 0.22)):
            low, high = centre - n_sigma * sigma, centre + n_sigma * sigma
            axis.axhspan(low, high, color=BLUE, alpha=alpha, linewidth=0)
        axis.axhline(centre, color=BLUE, linewidth=0.8)
        if abs(curve.values[-1] - centre) > 3 * sigma:
            axis.plot(places[-1:], curve.values[-1:], "X", color=VERMILION, markersize=8, clip_on=False)
    axis.set_title(curve.title, loc="left")
