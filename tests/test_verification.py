# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pass rule, held against the procedure's own examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.codec import from_json, to_json
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.thresholds import Thresholds
from lsst.ts.calibrationscripts.verification import FailedTest, StatisticsError, Verdict, judge

AMPLIFIERS = [f"C{row}{column}" for row in range(2) for column in range(8)]


def failures(test: str, amplifiers: list[str] = AMPLIFIERS) -> list[str]:
    return [f"RXX_S00 {amplifier} {test}" for amplifier in amplifiers]


def run_statistics(by_exposure: dict[int, list[str]]) -> dict[Any, Any]:
    """Write run statistics as cp_verify did in 2022."""
    entries: dict[Any, Any] = {
        exposure: {"FAILURES": found} if found else {"SUCCESS": True}
        for exposure, found in by_exposure.items()
    }
    return {**entries, "SUCCESS": not any(by_exposure.values())}


def test_three_frames_that_all_fail_noise_fail_the_calibration() -> None:
    # Given the procedure's failing example: every amplifier of 3 biases
    # fails NOISE, some other tests besides.
    first = failures("NOISE") + failures("CR_NOISE", AMPLIFIERS[:8]) + failures("MEAN", AMPLIFIERS[:5])
    other = [*failures("NOISE"), "RXX_S00 C05 CR_NOISE"]
    statistics = run_statistics({2022092900001: first, 2022092900002: other, 2022092900003: other})
    # When it is judged
    verdict = judge(statistics, Subject(Product.BIAS), n_detectors=1)
    # Then thresholds and counts are those that LOVE showed
    assert verdict.thresholds == Thresholds(8, 1, 8, 3)
    assert verdict.failed_ids == (2022092900001, 2022092900002, 2022092900003)
    assert verdict.results[0].counts == {"CR_NOISE": 8, "MEAN": 5, "NOISE": 16}
    assert not verdict.passed


def test_twenty_frames_with_few_failures_pass() -> None:
    statistics = run_statistics(
        {
            2022092900004: failures("CR_NOISE", AMPLIFIERS[:6]) + failures("MEAN", AMPLIFIERS[:4]),
            **{2022092900004 + i: [] for i in range(1, 20)},
        }
    )
    verdict = judge(statistics, Subject(Product.BIAS), n_detectors=1)
    assert verdict.thresholds == Thresholds(8, 1, 8, 11)
    assert verdict.failed_ids == ()
    assert [result.exposure for result in verdict.with_failures] == [2022092900004]
    assert verdict.passed


@pytest.mark.parametrize("n_exposures, limit", [(1, 1), (2, 2), (3, 3), (4, 3), (20, 11), (21, 12)])
def test_exposures_that_fail_a_calibration_never_exceed_those_there_are(n_exposures: int, limit: int) -> None:
    assert Thresholds.make(8, 1, n_exposures).exposures_to_fail == limit


def test_a_single_exposure_can_fail() -> None:
    verdict = judge(run_statistics({1: failures("NOISE")}), Subject(Product.DARK), n_detectors=1)
    assert not verdict.passed


def test_the_majority_of_189_detectors_must_fail() -> None:
    # Given the science detectors of LSSTCam, of which 95 are the majority
    names = [each.name for each in INSTRUMENTS["LSSTCam"].detectors if each.ccd.purpose == "SCIENCE"]
    assert len(names) == 189 and len(set(names)) == 189

    def judged(n_failing: int) -> Verdict:
        found = [f"{name} {amplifier} NOISE" for name in names[:n_failing] for amplifier in AMPLIFIERS[:8]]
        return judge(run_statistics({1: found, 2: found, 3: found}), Subject(Product.BIAS), n_detectors=189)

    # Then half of the amplifiers of 94 detectors pass, of 95 fail
    assert judged(94).passed
    assert not judged(95).passed
    assert judged(95).thresholds == Thresholds(8, 95, 760, 3)


def test_keys_that_are_no_exposures_are_not_counted() -> None:
    statistics = {1: {"SUCCESS": True}, "RUN": {}, "VERIFY": {"SUCCESS": False}, "SUCCESS": False}
    verdict = judge(statistics, Subject(Product.FLAT), n_detectors=1)
    assert [result.exposure for result in verdict.results] == [1]
    assert verdict.passed and verdict.run_tests_failed


@pytest.mark.parametrize(
    "text, expected",
    [
        ("RXX_S00 C00 NOISE", FailedTest("RXX_S00", "C00", "NOISE")),
        ("RXX_S00 SCATTER", FailedTest("RXX_S00", "", "SCATTER")),
        ("SCATTER", FailedTest("", "", "SCATTER")),
    ],
)
def test_a_failure_names_what_it_is_about(text: str, expected: FailedTest) -> None:
    assert FailedTest.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "statistics, complaint",
    [
        (["no", "mapping"], "mapping from exposure id"),
        ({}, "no exposure"),
        ({"SUCCESS": True}, "no exposure"),
        ({"bias": {}}, "'bias' is neither an exposure id"),
        ({1: "failed"}, "entry 1: expected a mapping"),
        ({1: {"FAILURES": "NOISE"}}, "FAILURES is not a list"),
        ({1: {"FAILURES": [" "]}}, "blank"),
        ({1: {"SUCCESS": False}}, "no failure is listed"),
    ],
)
def test_statistics_of_another_form_are_refused(statistics: object, complaint: str) -> None:
    with pytest.raises(StatisticsError, match=complaint):
        judge(statistics, Subject(Product.BIAS), n_detectors=1)


some_failures = st.lists(
    st.builds("RXX_S00 {} {}".format, st.sampled_from(AMPLIFIERS), st.sampled_from(["MEAN", "NOISE"])),
    max_size=40,
)


@given(st.dictionaries(st.integers(1, 10**13), some_failures, min_size=1, max_size=30), st.integers(1, 20))
def test_a_verdict_survives_json_and_rests_on_its_numbers(
    by_exposure: dict[int, list[str]], threshold: int
) -> None:
    verdict = judge(run_statistics(by_exposure), Subject(Product.BIAS), n_detectors=1, threshold=threshold)
    again = from_json(json.loads(json.dumps(to_json(verdict))), Verdict)
    assert again == verdict
    # One more failing exposure never turns a failure into a pass.
    worse = run_statistics(by_exposure | {10**14: failures("NOISE") * 2})
    if not verdict.passed and len(by_exposure) % 2 == 0:
        assert not judge(worse, Subject(Product.BIAS), n_detectors=1, threshold=threshold).passed
