# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges gains by themselves.

Today's verifyGainFromFlatPairs of cp_verify (5855743) can never pass.
"""

from __future__ import annotations

__all__ = ["GAIN_LIMITS", "GainLimits", "judge_gains"]

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ..outcomes import AmplifierGain, Gain, by_amplifier
from ._records import Fault, Judgement


@dataclass(frozen=True)
class GainLimits:
    """What a gain may be. Relative numbers, so 0.05 is 5 %."""

    max_difference: float
    """Largest difference of the mean to the reference ``ptc``."""

    max_spread: float
    """Largest standard deviation over the pairs, of the mean."""

    max_bad_amplifiers: int
    """Amplifiers of a detector that may have any fault."""


GAIN_LIMITS = GainLimits(max_difference=0.05, max_spread=0.05, max_bad_amplifiers=0)
"""Of verifyGainFromFlatPairs: DMTN-101 test 6.1 has 5 % for the difference.
A pair of LATISS flats gives a gain to better than 1 %."""


def judge_gains(
    gains: Iterable[Gain], detectors: Collection[int], limits: GainLimits = GAIN_LIMITS
) -> Judgement:
    """Judge gains that were measured on pairs of flats.

    Parameters
    ----------
    gains : `~collections.abc.Iterable` [`Gain`]
        Of every pair, with the reference where there is one. What a pair
        did not give is `None`, which is right as long as another gave it.
    detectors : collection of `int`
        Ids of the detectors that were to be measured.
    limits : `GainLimits`, optional
        What a gain may be.

    Returns
    -------
    judgement : `Judgement`
        Passed if no detector has more faulty amplifiers than it may, and
        none is without gains.
    """
    amplifiers = by_amplifier(gains)
    faults = [fault for one in amplifiers for fault in _faults_of_gain(one, limits)]
    missing = [
        Fault(detector, "MISSING", f"detector {detector} has no gains")
        for detector in sorted(set(detectors) - {one.detector for one in amplifiers})
    ]
    bad = Counter(detector for detector, _ in {(fault.detector, fault.amplifier) for fault in faults})
    too_many = any(count > limits.max_bad_amplifiers for count in bad.values())
    compared = not missing and all(one.reference is not None for one in amplifiers)
    return Judgement((*missing, *faults), not missing and not too_many, compared)


def _faults_of_gain(one: AmplifierGain, limits: GainLimits) -> Iterator[Fault]:
    name = f"detector {one.detector} {one.amplifier}"

    def fault(test: str, text: str) -> Fault:
        return Fault(one.detector, test, f"{name}: {text}", one.amplifier)

    if one.mean is None or not all(math.isfinite(value) and value > 0 for value in one.values):
        yield fault(
            "FINITE", "no pair gave a gain" if one.mean is None else "a gain is not a positive number"
        )
        return
    spread = (one.spread or 0.0) / one.mean
    if not spread <= limits.max_spread:
        yield fault(
            "SPREAD",
            f"the gain scatters by {spread:.1%} over {len(one.values)} pairs, at most "
            f"{limits.max_spread:.1%} is right",
        )
    if one.reference is None:
        return
    difference = one.mean / one.reference - 1 if one.reference else math.nan
    if not abs(difference) <= limits.max_difference:
        yield fault(
            "DIFFERENCE",
            f"the gain {one.mean:.3f} differs from the reference {one.reference:.3f} e-/ADU by "
            f"{difference:+.1%}, at most {limits.max_difference:.1%} is right",
        )
