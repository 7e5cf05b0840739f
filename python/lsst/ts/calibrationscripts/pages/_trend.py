# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs as a page of HTML that needs nothing else."""

from __future__ import annotations

__all__ = ["quantity_pictures", "trend_page"]

import datetime
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from ..trend import MIN_RUNS, QUANTITIES, WHOLE_DETECTOR, History, Key, departures, remarks
from ._figure import Picture
from ._render import render
from ._trend_plot import Curve, trend_plot

_MAX_CURVES = 16
"""Amplifiers of a quantity that are drawn: those of one CCD."""

_MAX_RUNS = 200
"""The newest runs, which are listed."""

_MAX_CONDITIONS = 4
"""Ways to measure a quantity that are drawn: the newest ones."""


def trend_page(history: History, notes: Sequence[str] = ()) -> str:
    """Show read noise, bias level, gain and defects of many runs.

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
    earlier = history.earlier
    newest = history.runs[-1] if history.runs else None
    return render(
        "trend.html.j2",
        n_runs=len(history.runs),
        runs=[(run, _day(run.time)) for run in history.runs[: -_MAX_RUNS - 1 : -1]],
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


def quantity_pictures(
    history: History, quantities: Collection[str] = QUANTITIES
) -> Iterator[QuantityPicture]:
    """Draw each quantity over time.

    Parameters
    ----------
    history : `History`
        All runs. The newest is compared with the others.
    quantities : `~collections.abc.Collection` [`str`], optional
        What is drawn.

    Yields
    ------
    picture : `QuantityPicture`
        What was measured in different ways is apart, the newest first.
    """
    earlier = history.earlier
    far = departures(earlier, history.runs[-1]) if history.runs else {}
    for quantity in QUANTITIES:
        if quantity not in quantities:
            continue
        found = sorted((time, kind) for kind, time in history.kinds.items() if kind.quantity == quantity)
        # One unit a picture: the newest run's, should it have changed.
        newest = {kind.conditions: (time, kind) for time, kind in found}
        for _, kind in sorted(newest.values(), reverse=True)[:_MAX_CONDITIONS]:
            keys = [key for key in history.series if key.group.kind == kind]
            shown = sorted(sorted(keys, key=lambda key: -abs(far.get(key, 0.0)))[:_MAX_CURVES])
            curves = [_curve(history, earlier, key) for key in shown]
            picture = trend_plot(curves, quantity.capitalize(), kind.unit, kind.conditions)
            yield QuantityPicture(quantity, kind.conditions, picture, len(keys) - len(shown))


def _curve(history: History, earlier: History, key: Key) -> Curve:
    times, values = zip(*history.series[key], strict=True)
    of_detector = key.amplifier == WHOLE_DETECTOR
    title = f"detector {key.detector}{'' if of_detector else f', {key.amplifier}'}"
    return Curve(title, times, values, earlier.bands.get(key), of_detector)
