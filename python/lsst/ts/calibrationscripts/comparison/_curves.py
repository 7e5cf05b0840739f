# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer curves, by the gains of flat pairs."""

from __future__ import annotations

__all__ = ["CurveFit", "compare_curves"]

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..outcomes import AmplifierGain
from ..products import Subject
from ._records import (
    TOLERANCES,
    AmplifierComparison,
    Change,
    Comparison,
    Quantity,
    Tolerances,
    judged,
    overall,
)

Amplifier = tuple[int, str]
"""Id of a detector, and name of an amplifier."""


@dataclass(frozen=True)
class CurveFit:
    """What a photon transfer curve says of an amplifier."""

    gain: float
    """Gain (e-/ADU)."""

    gain_error: float
    """Its standard error (e-/ADU)."""

    turnoff: float
    """Largest mean signal before the variance decreases (ADU)."""


def compare_curves(
    subject: Subject,
    new: Mapping[Amplifier, CurveFit],
    old: Mapping[Amplifier, CurveFit],
    measured: Mapping[Amplifier, AmplifierGain],
    *,
    reference: str,
    tolerances: Tolerances = TOLERANCES,
) -> Comparison:
    """Compare a photon transfer curve with the one in use.

    Parameters
    ----------
    subject : `Subject`
        The product.
    new, old : `~collections.abc.Mapping`
        What both say, by amplifier.
    measured : `~collections.abc.Mapping`
        The gains of flat pairs, by amplifier, which both have to agree with.
    reference : `str`
        RUN collection of the one in use.
    tolerances : `Tolerances`, optional
        What matters.

    Returns
    -------
    comparison : `Comparison`
        An amplifier without a gain is worse than one with a gain. A turn-off
        is compared where the one in use has one. Where no
        pair has measured a gain, a gain that has changed is worse: nothing
        says that it is right.
    """
    nothing = CurveFit(math.nan, math.nan, math.nan)
    amplifiers = []
    for amplifier in dict.fromkeys((*new, *old)):
        before, after = old.get(amplifier, nothing), new.get(amplifier, nothing)
        changes = [_gain(before, after, measured.get(amplifier), tolerances)]
        if before.turnoff > 0:
            changes.append(_turnoff(before, after, tolerances))
        amplifiers.append(AmplifierComparison(*amplifier, tuple(changes)))
    better = overall(one.better for one in amplifiers)
    return Comparison(subject, better, tuple(amplifiers), reference, (), "gains of the flat pairs")


def _gain(
    before: CurveFit, after: CurveFit, measured: AmplifierGain | None, tolerances: Tolerances
) -> Change:
    old, new = (gain if gain > 0 else math.nan for gain in (before.gain, after.gain))
    mean, uncertainty = old, 0.0
    if measured is not None and measured.mean:
        mean = measured.mean
        spread = measured.spread or tolerances.gain * mean
        uncertainty = spread / math.sqrt(len(measured.values))
    if math.isfinite(before.gain_error):
        # Not that of the new one: a bad fit must not excuse itself.
        uncertainty = math.hypot(uncertainty, before.gain_error)
    return judged(
        Quantity.GAIN,
        abs(old / mean - 1),
        abs(new / mean - 1),
        uncertainty / mean if mean > 0 else 0.0,
        tolerances.gain,
        tolerances.sigma,
    )


def _turnoff(before: CurveFit, after: CurveFit, tolerances: Tolerances) -> Change:
    highest = max((value for value in (before.turnoff, after.turnoff) if value > 0), default=math.nan)
    return judged(
        Quantity.TURNOFF,
        1 - before.turnoff / highest,
        1 - after.turnoff / highest,
        0.0,
        tolerances.turnoff,
        tolerances.sigma,
    )
