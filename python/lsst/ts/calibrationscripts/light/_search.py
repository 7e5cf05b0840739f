# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exposure time that gives flats of a wanted level, by trial flats."""

from __future__ import annotations

__all__ = ["GiveUp", "Take", "Trial", "Try", "next_step"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import DARK_COUNTS, LONGEST_SOUGHT, N_TRIALS, SHORTEST_SOUGHT

_MOST_UNLIKE = 2.0
"""Factor to the expected level from which the light is not understood."""


@dataclass(frozen=True)
class Trial:
    """A trial flat."""

    exposure: int
    exp_time: float
    """Exposure time (s)."""

    counts: float
    """Median level (ADU above bias)."""


@dataclass(frozen=True)
class Try:
    """Take a trial flat."""

    exp_time: float


@dataclass(frozen=True)
class Take:
    """Take the set."""

    exp_time: float

    confirmed: bool
    """Whether a trial flat of this time was in the range."""


@dataclass(frozen=True)
class GiveUp:
    """Take nothing: no exposure time would do."""

    cause: str
    """Why, and what to do; sentences."""


def next_step(
    first: float, wanted: tuple[float, float], saturated_counts: float, trials: Sequence[Trial]
) -> Try | Take | GiveUp:
    """Return what to do after some trial flats.

    A level grows with the exposure time. What is saturated, or hardly above
    the bias, only says in which direction to go.

    Parameters
    ----------
    first : `float`
        Exposure time of the first trial flat (s).
    wanted : `tuple` [`float`, `float`]
        Lowest and highest level (ADU above bias).
    saturated_counts : `float`
        From here a level is clipped (ADU above bias).
    trials : `~collections.abc.Sequence` [`Trial`]
        Those that were taken, in order.

    Returns
    -------
    step : `Try`, `Take` or `GiveUp`
        `Try` for two trial flats at most.
    """
    if not trials:
        return Try(_possible(first))
    last, (low, high) = trials[-1], wanted
    is_saturated, is_dark = last.counts >= saturated_counts, last.counts <= DARK_COUNTS
    if low <= last.counts <= high and not is_saturated:
        return Take(last.exp_time, confirmed=True)
    target = math.sqrt(low * high)
    if is_saturated or is_dark:
        return _after_no_measure(last, wanted, saturated_counts, len(trials))
    if (earlier := _unlike(trials, saturated_counts)) is not None:
        return GiveUp(
            f"{_found(last)}, and exposure {earlier.exposure} {earlier.counts:,.0f} in "
            f"{earlier.exp_time:g} s: the level does not follow the exposure time. Is the lamp steady, is it "
            "the lamp's light?"
        )
    exp_time = _possible(last.exp_time * target / last.counts)
    if not low <= last.counts * exp_time / last.exp_time <= high:
        ideal = last.exp_time * target / last.counts
        why = "The light is too bright" if ideal < exp_time else "The light is too faint"
        return GiveUp(
            f"{_found(last)}: {target:,.0f} would need {float(f'{ideal:.3g}'):g} s, and flats are taken with "
            f"{SHORTEST_SOUGHT:g} to {LONGEST_SOUGHT:g} s. {why}: look at the lamp, the dome screen and the "
            "filter."
        )
    if len(trials) < N_TRIALS:
        return Try(exp_time)
    return Take(exp_time, confirmed=False)


def _after_no_measure(
    last: Trial, wanted: tuple[float, float], saturated_counts: float, n_trials: int
) -> Try | GiveUp:
    """Return what to do after a flat that is saturated, or dark."""
    low, high = wanted
    is_saturated = last.counts >= saturated_counts
    # Its level is not less, or not more, than this.
    limit = saturated_counts if is_saturated else DARK_COUNTS
    bound = last.exp_time * (high if is_saturated else low) / limit
    # In the middle of what can be measured, a level says what it would need.
    middle = last.exp_time * math.sqrt(DARK_COUNTS * saturated_counts) / limit
    hopeless = bound < SHORTEST_SOUGHT if is_saturated else bound > LONGEST_SOUGHT
    if n_trials < N_TRIALS and not hopeless and _possible(middle) != last.exp_time:
        return Try(_possible(middle))
    if is_saturated:
        return GiveUp(
            f"{_found(last)}: it is saturated. The light is too bright: is the lamp the right one, the "
            "filter in the beam, stray light in the dome?"
        )
    return GiveUp(
        f"{_found(last)}: there is no light, or hardly any. Is the lamp on, the dome screen in place, the "
        "filter the right one?"
    )


def _unlike(trials: Sequence[Trial], saturated_counts: float) -> Trial | None:
    """Return an earlier flat by which the last one has another level."""
    last = trials[-1]
    for trial in trials[:-1]:
        expected = trial.counts * last.exp_time / trial.exp_time
        is_measure = DARK_COUNTS < trial.counts < saturated_counts
        if is_measure and not 1 / _MOST_UNLIKE < last.counts / expected < _MOST_UNLIKE:
            return trial
    return None


def _possible(exp_time: float) -> float:
    """Return the nearest exposure time that may be taken (s)."""
    within = min(max(exp_time, SHORTEST_SOUGHT), LONGEST_SOUGHT)
    return float(f"{within:.3g}")


def _found(trial: Trial) -> str:
    return f"trial flat, exposure {trial.exposure}, has {trial.counts:,.0f} counts in {trial.exp_time:g} s"
