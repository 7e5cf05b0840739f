# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failures that run statistics hide are read from below them.

The merge of cp_verify (``mergeResults.py`` at 5855743) looks only at an
exposure's own VERIFY where it has one, as every flat does.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from cp_verify_forms import Form, detector_level, exposure_level, intact_run_level, run_level
from hypothesis import given
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.codec import from_json, to_json
from lsst.ts.calibrationscripts.report import verdict_text
from lsst.ts.calibrationscripts.report._plain import held_reason
from lsst.ts.calibrationscripts.verification import (
    ExposureDetail,
    FailureLevel,
    StatisticsError,
    Verdict,
    hidden_exposures,
    judge,
)
from named import FLAT, unfolded
from test_verification import AMPLIFIERS

DETECTOR = "RXX_S00"
TWO = ("R22_S10", "R22_S11")
QUIET: dict[str, list[str]] = {amplifier: [] for amplifier in AMPLIFIERS}


def noisy(n: int) -> Form:
    """Return a detector on which so many amplifiers fail NOISE."""
    return detector_level(QUIET | {amplifier: ["NOISE"] for amplifier in AMPLIFIERS[:n]})


def flats(n_bad: int, n: int, n_amplifiers: int = 16) -> dict[int, Form]:
    """Return the exposure level of flats, the first of which are bad."""
    return {
        2026112500061 + i: exposure_level({DETECTOR: noisy(n_amplifiers if i < n_bad else 0)})
        for i in range(n)
    }


def details(exposures: dict[int, Form]) -> dict[int, ExposureDetail]:
    return {exposure: ExposureDetail(statistics) for exposure, statistics in exposures.items()}


def test_the_exposures_that_hide_their_failures_are_found() -> None:
    exposures = flats(12, 20)
    statistics = run_level(exposures)
    assert statistics[2026112500061] == {"SUCCESS": False, "FAILURES": []}
    assert hidden_exposures(statistics, FLAT) == tuple(range(2026112500061, 2026112500073))
    # Nothing is hidden in the statistics of biases, of today and of 2022,
    listed = ["RXX_S00 C00 NOISE"]
    intact = {1: {"SUCCESS": False, "FAILURES": listed}, 2: {"FAILURES": listed}, 3: {"SUCCESS": True}}
    assert hidden_exposures(intact, FLAT) == ()
    # and an exposure without SUCCESS failed: cp_verify (before b0bda38 of
    # 2024-04-12) wrote a list for those that failed, and for no others.
    assert hidden_exposures({1: {"FAILURES": []}}, FLAT) == (1,)


@pytest.mark.parametrize(("n_bad", "passes"), [(12, False), (11, False), (10, True), (1, True)])
def test_failures_are_read_from_exposure_level(n_bad: int, passes: bool) -> None:
    exposures = flats(n_bad, 20)
    verdict = judge(run_level(exposures), FLAT, n_detectors=1, details=details(exposures))
    assert verdict.passed is passes
    assert len(verdict.failed) == n_bad and not verdict.unlisted and not verdict.run_tests_failed
    assert verdict.results[0].counts == {"NOISE": 16}
    assert verdict.results[0].level is FailureLevel.EXPOSURE
    assert verdict.results[-1].level is FailureLevel.RUN
    text = unfolded(verdict_text(verdict))
    assert (
        f"failures of {n_bad} exposure(s); these were read from verifyFlatExpStats (exposure level)" in text
    )
    assert "RXX_S00 C00 NOISE" in text and "run as a whole" not in text


def test_few_bad_amplifiers_do_not_fail_an_exposure_when_they_can_be_read() -> None:
    exposures = flats(20, 20, n_amplifiers=7)
    assert not judge(run_level(exposures), FLAT, n_detectors=1).passed
    assert judge(run_level(exposures), FLAT, n_detectors=1, details=details(exposures)).passed


def test_failures_are_read_from_detector_level_where_exposure_level_has_none() -> None:
    exposures = flats(3, 3)
    statistics = run_level(exposures)
    detector = {DETECTOR: noisy(16)}
    emptied = {DETECTOR: {"SUCCESS": False, "FAILURES": []}, "SUCCESS": False}
    given_details = {
        2026112500061: ExposureDetail(detectors=detector),
        2026112500062: ExposureDetail(emptied, detector),
        2026112500063: ExposureDetail(emptied),
    }
    verdict = judge(statistics, FLAT, n_detectors=1, details=given_details)
    assert [result.level for result in verdict.results] == [
        FailureLevel.DETECTOR,
        FailureLevel.DETECTOR,
        FailureLevel.NONE,
    ]
    assert [result.counts for result in verdict.results] == [{"NOISE": 16}, {"NOISE": 16}, {}]
    assert "read from verifyFlatDetStats (detector level)" in unfolded(verdict_text(verdict))


def test_an_exposure_without_any_list_counts_as_failed_in_words() -> None:
    verdict = judge(run_level(flats(12, 20)), FLAT, n_detectors=1)
    assert not verdict.passed and len(verdict.failed) == len(verdict.unlisted) == 12
    assert not verdict.run_tests_failed
    assert "failed without a list of tests; see dataset verifyFlatExpStats" in verdict_text(verdict)
    assert held_reason(verdict) == (
        "12 of 20 exposures fail without a list of tests; see dataset verifyFlatExpStats; at most 10 may fail"
    )
    # One of 20 keeps nothing from being certified
    one = judge(run_level(flats(1, 20)), FLAT, n_detectors=1)
    assert one.passed and one.failed_ids == (2026112500061,)
    assert "failed without a list of tests" in verdict_text(one)


def test_some_lists_that_are_missing_are_told_beside_those_that_are_not() -> None:
    exposures = flats(12, 20)
    some = {exposure: detail for exposure, detail in details(exposures).items() if exposure < 2026112500066}
    verdict = judge(run_level(exposures), FLAT, n_detectors=1, details=some)
    assert held_reason(verdict) == (
        "12 of 20 exposures fail (NOISE: 5), 7 of them without a list of tests; see dataset "
        "verifyFlatExpStats; at most 10 may fail"
    )


def test_scatter_of_the_exposure_does_not_hide_its_amplifiers() -> None:
    # Given two detectors whose means differ, and all of whose amplifiers fail
    exposure = exposure_level(dict.fromkeys(TWO, noisy(16)), scatter_passes=False)
    statistics = run_level({1: exposure})
    assert statistics[1] == {"SUCCESS": False, "FAILURES": ["SCATTER"]}
    # Then SCATTER alone is no list, and all are read from exposure level
    assert hidden_exposures(statistics, FLAT) == (1,)
    alone = judge(statistics, FLAT, n_detectors=2)
    assert not alone.passed and alone.results[0].counts == {"SCATTER": 1}
    assert "without a full list of tests" in verdict_text(alone)
    verdict = judge(statistics, FLAT, n_detectors=2, details=details({1: exposure}))
    assert verdict.results[0].counts == {"NOISE": 32, "SCATTER": 1}
    # and an exposure that fails SCATTER only passes the rule, as ever.
    only = exposure_level(dict.fromkeys(TWO, noisy(0)), scatter_passes=False)
    assert judge(run_level({1: only}), FLAT, n_detectors=2, details=details({1: only})).passed


def test_a_failure_of_the_whole_detector_has_no_amplifier() -> None:
    exposure = exposure_level({DETECTOR: detector_level(QUIET, ["SCATTER"])})
    assert exposure[DETECTOR]["FAILURES"] == ["SCATTER"]
    verdict = judge(run_level({1: exposure}), FLAT, n_detectors=1, details=details({1: exposure}))
    assert [str(failure) for failure in verdict.results[0].failures] == ["RXX_S00 SCATTER"]


@pytest.mark.parametrize(
    "detail",
    [
        ExposureDetail(exposure_level({TWO[0]: noisy(1)})),
        ExposureDetail(detectors={TWO[0]: noisy(1)}),
        ExposureDetail(detectors=dict.fromkeys(TWO, noisy(0))),
        ExposureDetail({**{name: {"SUCCESS": True} for name in TWO}, "SUCCESS": False}),
        ExposureDetail(detectors={**dict.fromkeys(TWO, noisy(1)), TWO[0]: {"VERIFY": {}, "SUCCESS": False}}),
    ],
    ids=["a detector missing", "a detector missing below", "nothing failed", "no cause", "no test"],
)
def test_a_detail_that_does_not_explain_the_failure_proves_nothing(detail: ExposureDetail) -> None:
    statistics = {1: {"SUCCESS": False, "FAILURES": []}}
    assert not judge(statistics, FLAT, n_detectors=2, details={1: detail}).passed


@pytest.mark.parametrize(
    ("detail", "complaint"),
    [
        (ExposureDetail([1]), "expected a mapping"),
        (ExposureDetail(noisy(1)), "one detector in one exposure.*give the dataset verifyFlatExpStats"),
        (
            ExposureDetail({1: {"SUCCESS": True}}),
            "of a run, by exposure.*give the dataset verifyFlatExpStats",
        ),
        (ExposureDetail(exposure_level({DETECTOR: noisy(0)})), "they are not of one job"),
        (ExposureDetail({DETECTOR: {"SUCCESS": 0}}), "SUCCESS is neither true nor false"),
        (ExposureDetail({DETECTOR: {"SUCCESS": True}, "VERIFY": 1}), "expected a mapping of tests"),
        (ExposureDetail({DETECTOR: {"SUCCESS": True}, "VERIFY": {"EXP": {"A": None}}}), "A is neither true"),
        (ExposureDetail(detectors={DETECTOR: exposure_level({DETECTOR: noisy(1)})}), "verifyFlatDetStats"),
        (ExposureDetail(detectors={DETECTOR: {"VERIFY": {}}}), "SUCCESS is missing"),
        (
            ExposureDetail(
                detectors={DETECTOR: {"VERIFY": {"AMP": {"C00": {"SUCCESS": False}}}, "SUCCESS": False}}
            ),
            "no test failed",
        ),
    ],
)
def test_a_detail_of_another_form_is_refused(detail: ExposureDetail, complaint: str) -> None:
    with pytest.raises(StatisticsError, match=complaint):
        judge({1: {"SUCCESS": False, "FAILURES": []}}, FLAT, n_detectors=1, details={1: detail})


def test_the_level_is_kept_in_json_and_older_json_has_none() -> None:
    exposures = flats(2, 3)
    some = dict(list(details(exposures).items())[:1])
    verdict = judge(run_level(exposures), FLAT, n_detectors=1, details=some)
    data = json.loads(json.dumps(to_json(verdict)))
    assert [each["level"] for each in data["exposures"]] == ["exposure", "none", "run"]
    assert from_json(data, Verdict) == verdict
    listed = judge({1: {"SUCCESS": True}}, FLAT, n_detectors=1)
    older = to_json(listed)
    del older["exposures"][0]["level"]
    assert from_json(older, Verdict) == listed


some_amplifiers = st.dictionaries(
    st.sampled_from(AMPLIFIERS), st.lists(st.sampled_from(["MEAN", "NOISE"]), unique=True), min_size=16
)
some_detectors = st.fixed_dictionaries(
    {name: st.builds(detector_level, some_amplifiers, st.sampled_from([None, ["SCATTER"]])) for name in TWO}
)
some_exposures = st.dictionaries(
    st.integers(1, 30), st.tuples(some_detectors, st.booleans()), min_size=1, max_size=5
)


def found(verdict: Verdict) -> list[tuple[Any, set[str]]]:
    return [(result.exposure, set(map(str, result.failures))) for result in verdict.results]


@given(some_exposures, st.integers(1, 16))
def test_what_is_read_below_is_what_the_merge_should_have_listed(
    measured: dict[int, tuple[dict[str, Form], bool]], threshold: int
) -> None:
    exposures = {i: exposure_level(detectors, passes) for i, (detectors, passes) in measured.items()}
    statistics = run_level(exposures)
    before = copy.deepcopy((statistics, exposures))
    by_exposure = details(exposures)
    by_detector = {i: ExposureDetail(detectors=detectors) for i, (detectors, _) in measured.items()}
    rule: dict[str, Any] = {"n_detectors": 2, "threshold": threshold, "expected": tuple(measured)}
    verdict = judge(statistics, FLAT, details=by_exposure, **rule)
    # Then neither the level nor the merge decides, and nothing is changed;
    assert found(verdict) == found(judge(statistics, FLAT, details=by_detector, **rule))
    intact = {
        exposure: set(entry.get("FAILURES", ()))
        for exposure, entry in sorted(intact_run_level(exposures).items(), key=str)
        if exposure != "SUCCESS"
    }
    assert dict(found(verdict)) == intact
    assert repr((statistics, exposures)) == repr(before)
    # without the details a verdict never gets better.
    assert verdict.passed or not judge(statistics, FLAT, **rule).passed


anything = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "NOISE", "C00 NOISE"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["SUCCESS", "FAILURES", "VERIFY", "EXP", "AMP", "DET", DETECTOR, 1]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(anything, st.dictionaries(st.just(DETECTOR), anything))
def test_a_detail_of_any_form_is_read_counts_as_failed_or_is_refused(
    exposure: object, detectors: dict[str, object]
) -> None:
    detail = ExposureDetail(exposure, detectors)
    try:
        verdict = judge({1: {"FAILURES": []}}, FLAT, n_detectors=1, threshold=1, details={1: detail})
    except StatisticsError:
        return
    assert not verdict.passed
