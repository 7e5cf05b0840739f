# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a run leaves the bands of earlier ones."""

from __future__ import annotations

__all__ = ["Remark", "departures", "outliers", "remarks"]

import math
from typing import NamedTuple

from ._history import BAND_RUNS, Band, History
from ._records import QUANTITIES, WHOLE_DETECTOR, Key, Run

_WARN, _ALARM = 3.0, 5.0
_MAX_NAMED = 4


def departures(history: History, run: Run) -> dict[Key, float]:
    """Return how far a run is from earlier ones.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    departures : `dict` [`Key`, `float`]
        Difference to the median, in sigma, of whatever has a band. Infinite
        where it differs from runs that all agree.
    """
    found = {}
    for key, value in sorted(run.values.items()):
        if (band := history.bands.get(key)) is not None:
            difference = value - band.centre
            if band.sigma > 0:
                found[key] = difference / band.sigma
            else:
                found[key] = math.copysign(math.inf, difference) if difference else 0.0
    return found


class Remark(NamedTuple):
    """Something that leaves the bands of earlier runs."""

    text: str

    is_far: bool
    """Whether anything is beyond 5 sigma. Even that fails nothing: bands are
    not requirements."""


def remarks(history: History, run: Run) -> tuple[Remark, ...]:
    """Return what leaves the bands of earlier runs that are alike.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    remarks : `tuple` [`Remark`, ...]
        At most one for each quantity and its conditions, with the amplifiers
        that are farthest out.
    """
    groups: dict[tuple[str, str], dict[Key, float]] = {}
    for key, value in departures(history, run).items():
        groups.setdefault((key.quantity, key.conditions), {})[key] = value
    found = []
    for (quantity, conditions), values in sorted(groups.items(), key=lambda item: _order(*item[0])):
        far = {key: value for key, value in values.items() if abs(value) > _WARN}
        if not far:
            continue
        worst = sorted(far, key=lambda key: -abs(far[key]))
        n_alarms = sum(abs(value) > _ALARM for value in far.values())
        named = [_described(key, far[key], history.bands[key], run.values[key]) for key in worst[:_MAX_NAMED]]
        more = [f"and {len(worst) - _MAX_NAMED} more"] if len(worst) > _MAX_NAMED else []
        n_alike = min(len(history.series[worst[0]]), BAND_RUNS)
        alike = f" Compared with {n_alike} runs alike: {conditions}." if conditions else ""
        what = "detectors" if worst[0].amplifier == WHOLE_DETECTOR else "amplifiers"
        text = (
            f"{quantity.capitalize()} is unlike earlier runs in {len(far)} of {len(values)} {what} "
            f"(beyond 3 sigma; {n_alarms} beyond 5): {', '.join(named + more)}.{alike}"
        )
        found.append(Remark(text, bool(n_alarms)))
    return tuple(found)


def _order(quantity: str, conditions: str) -> tuple[int, str]:
    return QUANTITIES.index(quantity), conditions


def outliers(history: History, run: Run) -> tuple[str, ...]:
    """Return the texts of what leaves the bands of earlier runs.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    warnings : `tuple` [`str`, ...]
        See `remarks`.
    """
    return tuple(remark.text for remark in remarks(history, run))


def _described(key: Key, departure: float, band: Band, value: float) -> str:
    place = key.amplifier if key.detector == 0 else f"detector {key.detector} {key.amplifier}"
    return f"{place} {value:.5g} {key.unit} ({departure:+.1f} sigma from {band.centre:.5g})"
