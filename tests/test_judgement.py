# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains and defects, judged by themselves.

verifyGainFromFlatPairs and verifyDefects of cp_verify 5855743 can never pass.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from lsst.ts.calibrationscripts.judgement import (
    Box,
    GainLimits,
    Judgement,
    judge_defects,
    judge_gains,
    measure_defects,
)
from lsst.ts.calibrationscripts.outcomes import DetectorDefects, Gain, PreviousDefects

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


# Defects

WHOLE = {"C10": Box(0, 0, 500, 1000), "C11": Box(500, 0, 500, 1000)}
"""A detector of 1000 by 1000 pixels, of which the nine at its edge do not
count: each amplifier has 491 by 982."""

INNER = 491 * 982


def scattered(n: int, *, seed: int = 1) -> list[Box]:
    """Return single pixels that are defects, none at the edge."""
    places = random.Random(seed).sample(range(INNER), n)  # noqa: S311 - a map of defects
    return [Box(9 + place % 491, 9 + place // 491, 1, 1) for place in places]


def judged(boxes: Sequence[Box], before: Sequence[Box] | None = None) -> Judgement:
    measured = DetectorDefects(
        detector=0,
        dataset="now",
        n_boxes=len(boxes),
        amplifiers=measure_defects(boxes, WHOLE, before),
        previous=None if before is None else PreviousDefects("before", "LATISS/calib/run", len(before)),
    )
    return judge_defects([measured], [0])


def failing(judgement: Judgement) -> list[tuple[str | None, str]]:
    return [(fault.amplifier, fault.test) for fault in judgement.faults]


def test_boxes_that_overlap_count_once() -> None:
    boxes = [Box(100, 100, 10, 10), Box(105, 105, 10, 10), Box(105, 105, 1, 1), Box(498, 500, 4, 1)]

    left, right = measure_defects(boxes, WHOLE)

    assert (left.amplifier, left.n_pixels, left.area) == ("C10", INNER, 100 + 100 - 25 + 2)
    assert (right.amplifier, right.n_pixels, right.area) == ("C11", INNER, 2)
    assert left.gained is left.lost is left.previous_area is None


def test_pixels_at_the_edge_and_outside_do_not_count() -> None:
    # Given the frame that cp_pipe masks (edgesAsDefects), and one box half in
    frame = [Box(0, 0, 1000, 5), Box(0, 995, 1000, 5), Box(0, 0, 5, 1000), Box(995, 0, 5, 1000)]
    left, right = measure_defects([*frame, Box(-3, 4, 20, 10), Box(2000, 2000, 5, 5)], WHOLE)

    assert (left.area, right.area) == (8 * 5, 0)


def test_what_was_gained_and_lost_is_counted_by_pixel() -> None:
    left, right = measure_defects([Box(100, 100, 2, 4)], WHOLE, [Box(101, 100, 3, 4), Box(600, 600, 1, 1)])

    assert (left.area, left.gained, left.lost, left.previous_area) == (8, 4, 8, 12)
    assert (right.area, right.gained, right.lost, right.previous_area) == (0, 0, 1, 1)


def test_a_detector_smaller_than_its_edge_has_no_pixels() -> None:
    (only,) = measure_defects([Box(0, 0, 5, 5)], {"C00": Box(0, 0, 18, 30)}, [])

    assert (only.n_pixels, only.area) == (0, 0)
    nothing = DetectorDefects(0, "now", 0, (only,))
    assert judge_defects([nothing], [0]).passed


def test_defects_like_the_previous_ones_pass() -> None:
    before = scattered(2000)

    judgement = judged([*before[100:], *scattered(200, seed=2), Box(700, 100, 1, 800)], before)

    assert judgement.passed and judgement.compared
    assert judgement.reason == ""


def test_defects_without_previous_ones_are_not_compared() -> None:
    judgement = judged(scattered(2000))

    assert judgement.passed and not judgement.compared
    assert judgement.reason == "there is nothing earlier to compare with"


def test_twice_as_many_defects_are_a_change() -> None:
    before = scattered(2000)
    twice = [*before, *(Box(box.x + 491, box.y, 1, 1) for box in scattered(2100, seed=2))]

    judgement = judged(twice, before)

    assert failing(judgement) == [(None, "CHANGE")]
    assert judgement.reason == (
        "CHANGE (1); the first: detector 0: 4100 pixels are defects, and 2000 before; "
        "a factor of 2 at most is right"
    )
    assert failing(judged(before, twice)) == [(None, "CHANGE")]


def test_few_defects_may_change_by_any_factor() -> None:
    assert judged(scattered(900), [Box(100, 100, 1, 1)]).passed


def test_no_defects_where_there_were_some_are_a_fault() -> None:
    judgement = judged([], scattered(10))

    assert failing(judgement) == [(None, "NONE")]
    assert "there are no defects, and 10 boxes of them before" in judgement.reason
    assert judged([], []).passed
    assert judged([]).passed


def test_a_whole_amplifier_that_is_masked_is_a_fault_unless_it_was_before() -> None:
    masked = [WHOLE["C11"], *scattered(100)]

    assert failing(judged(masked)) == [("C11", "AMPLIFIER"), (None, "AREA")]
    assert ("C11", "AMPLIFIER") in failing(judged(masked, scattered(100)))
    assert judged(masked, masked).passed
    # Should it be right again, that has to be looked at.
    assert failing(judged(scattered(100), masked)) == [("C11", "LOST")]


def test_a_new_region_is_a_fault_of_its_amplifier() -> None:
    before = scattered(2000)
    two_columns, three_columns = ([Box(700, 9, width, 982)] for width in (2, 3))

    assert judged([*before, *two_columns], before).passed
    judgement = judged([*before, *three_columns], before)

    assert failing(judgement) == [("C11", "GAINED"), (None, "CHANGE")]
    assert "detector 0 C11: 2946 of its 482162 pixels were gained, at most 2411 are right" in judgement.reason


def test_an_area_that_is_too_large_is_a_fault_unless_it_was_before() -> None:
    large = [*scattered(4000), Box(520, 100, 80, 80)]

    assert failing(judged(large)) == [(None, "AREA")]
    assert "1.08% of the pixels are defects, at most 1.00% is right" in judged(large).reason
    assert judged(large, large).passed


def test_too_many_boxes_are_a_fault_unless_they_were_before() -> None:
    many = scattered(4900)

    assert failing(judged(many)) == [(None, "COUNT")]
    assert "there are 4900 boxes, at most 4822 are right" in judged(many).reason
    assert judged(many, many).passed


def test_a_detector_without_defects_dataset_fails() -> None:
    judgement = judge_defects([], [3])

    assert not judgement.passed and not judgement.compared
    assert judgement.reason == "MISSING (1); the first: detector 3 has no defects dataset"
