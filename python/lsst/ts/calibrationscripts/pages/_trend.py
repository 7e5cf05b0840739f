# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs as a page of HTML that needs nothing else."""

from __future__ import annotations

__all__ = ["quantity_pictures", "trend_page"]

import datetime
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..trend import MIN_RUNS, QUANTITIES, History, Key, departures, remarks
from ._figure import Picture
from ._render import render
from ._trend_plot import Curve, trend_plot

_MAX_CURVES = 16
"""Amplifiers of a quantity that are drawn: those of one CCD."""

_MAX_CONDITIONS = 4
"""Ways to measure a quantity that are drawn: the newest ones."""


def trend_page(history: History, notes: Sequence[str] = ()) -> str:
    """Show read noise, bias level and gain of many runs.

    Parameters
    ----------
    history : `History`
        All runs. The newest is compared with the others.
    notes : `~collections.abc.Sequence` [`str`], optional
        What the reader should know of where they come from.

    Returns
    -------
    html : `str`
        A document that refers to no other.
    """
    earlier = History(history.runs[:-1])
    newest = history.runs[-1] if history.runs else None
    return render(
        "trend.html.j2",
        runs=[(run, _day(run.time)) for run in reversed(history.runs)],
        newest=newest,
        remarks=remarks(earlier, newest) if newest else (),
        has_bands=bool(newest and departures(earlier, newest)),
        min_runs=MIN_RUNS,
        pictures=list(quantity_pictures(history)),
        notes=notes,
    )


def _day(time: float) -> str:
    return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%d %H:%M}"


class QuantityPicture(NamedTuple):
    """A quantity over time, in one way that it was measured."""

    quantity: str
    conditions: str
    """How it was measured; "" if that makes no difference."""

    picture: Picture
    n_left_out: int
    """Amplifiers that it lacks."""


def quantity_pictures(history: History) -> Iterator[QuantityPicture]:
    """Draw each quantity over time.

    Parameters
    ----------
    history : `History`
        All runs. The newest is compared with the others.

    Yields
    ------
    picture : `QuantityPicture`
        What was measured in different ways is apart, the newest first.
    """
    earlier = History(history.runs[:-1])
    far = departures(earlier, history.runs[-1]) if history.runs else {}
    for quantity in QUANTITIES:
        newest: dict[str, float] = {}
        for key, points in history.series.items():
            if key.quantity == quantity:
                newest[key.conditions] = max(newest.get(key.conditions, points[-1][0]), points[-1][0])
        for conditions in sorted(newest, key=lambda each: -newest[each])[:_MAX_CONDITIONS]:
            keys = [key for key in history.series if (key.quantity, key.conditions) == (quantity, conditions)]
            # One unit a picture: the newest run's, should it have changed.
            unit = max(keys, key=lambda key: history.series[key][-1]).unit
            keys = [key for key in keys if key.unit == unit]
            shown = sorted(sorted(keys, key=lambda key: -abs(far.get(key, 0.0)))[:_MAX_CURVES])
            curves = [_curve(history, earlier, key) for key in shown]
            picture = trend_plot(curves, quantity.capitalize(), unit, conditions)
            yield QuantityPicture(quantity, conditions, picture, len(keys) - len(shown))


def _curve(history: History, earlier: History, key: Key) -> Curve:
    times, values = zip(*history.series[key], strict=True)
    return Curve(f"detector {key.detector}, {key.amplifier}", times, values, earlier.bands.get(key))
