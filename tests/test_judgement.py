# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains and defects, judged by themselves.

verifyGainFromFlatPairs and verifyDefects of cp_verify 5855743 can never pass.
"""

from __future__ import annotations

import math

import pytest
from lsst.ts.calibrationscripts.judgement import (
    GainLimits,
    judge_gains,
)
from lsst.ts.calibrationscripts.outcomes import Gain

AMPLIFIERS = ("C00", "C01")


def gains(*of_pairs: float | None, reference: float | None = 1.0) -> list[Gain]:
    """Return gains of C00, one a pair, beside good ones of C01."""
    return [
        Gain((2 * i + 1, 2 * i + 2), 5.0, 0, amplifier, gain, 6.0, reference)
        for i, of_pair in enumerate(of_pairs)
        for amplifier, gain in zip(AMPLIFIERS, (of_pair, 1.0), strict=True)
    ]


@pytest.mark.parametrize(
    "values",
    [(1.0,), (1.04, 0.97), (0.951,), (1.0, None), (None, 1.0, 1.01)],
)
def test_gains_near_the_reference_pass(values: tuple[float | None, ...]) -> None:
    judgement = judge_gains(gains(*values), [0])

    assert judgement.passed
    assert judgement.compared
    assert judgement.reason == ""


@pytest.mark.parametrize(
    ("values", "test", "words"),
    [
        ((1.06,), "DIFFERENCE", "differs from the reference 1.000 e-/ADU by +6.0%, at most 5.0% is right"),
        ((0.9, 0.91), "DIFFERENCE", "-9.5%"),
        ((0.93, 1.07), "SPREAD", "scatters by 9.9% over 2 pairs"),
        ((None, None), "FINITE", "no pair gave a gain"),
        ((math.nan,), "FINITE", "not a positive number"),
        ((1.0, math.inf), "FINITE", "not a positive number"),
        ((-1.0,), "FINITE", "not a positive number"),
        ((0.0,), "FINITE", "not a positive number"),
    ],
)
def test_an_amplifier_whose_gain_cannot_be_right_fails(
    values: tuple[float | None, ...], test: str, words: str
) -> None:
    judgement = judge_gains(gains(*values), [0])

    assert not judgement.passed
    (fault,) = judgement.faults
    assert (fault.detector, fault.amplifier, fault.test) == (0, "C00", test)
    assert fault.text.startswith("detector 0 C00: ")
    assert words in fault.text
    assert judgement.reason == f"{test} (1); the first: {fault.text}"


@pytest.mark.parametrize("reference", [0.0, math.nan])
def test_a_reference_that_is_no_gain_is_a_difference(reference: float) -> None:
    judgement = judge_gains(gains(1.0, reference=reference), [0])

    assert {fault.test for fault in judgement.faults} == {"DIFFERENCE"}
    assert not judgement.passed


def test_gains_without_a_reference_are_not_compared() -> None:
    judgement = judge_gains(gains(3.0, 3.01, reference=None), [0])

    assert not judgement.compared
    # C01 agrees with itself, and so does C00.
    assert judgement.passed
    assert judgement.reason == "there is nothing earlier to compare with"


def test_a_detector_without_gains_fails() -> None:
    judgement = judge_gains(gains(1.0), [0, 1])

    assert not judgement.passed
    assert judgement.reason == "MISSING (1); the first: detector 1 has no gains"
    assert not judge_gains([], [0]).passed


def test_a_limit_may_allow_some_amplifiers() -> None:
    limits = GainLimits(max_difference=0.05, max_spread=0.05, max_bad_amplifiers=1)

    judgement = judge_gains(gains(2.0), [0], limits)

    assert judgement.passed
    assert judgement.faults
