# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bad detector of many is found by the verdict.

Each detector is judged as if it were the only one of the run: the majority
of the detectors, by which the observers' procedure fails a run, hides it.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.instruments import LSSTCAM, LSSTCOMCAM
from lsst.ts.calibrationscripts.pipelines import StatisticsKey
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.verification import ExposureDetail, FailingTest, Verdict, judge
from named import BIAS, FLAT

NINE = tuple(detector.name for detector in LSSTCOMCAM.detectors)
EXPOSURES = tuple(range(2026112300001, 2026112300021))
AMPLIFIERS = LSSTCOMCAM.detectors[0].amplifiers


def failures(detector: str, n: int = 16, test: str = "NOISE") -> list[str]:
    return [f"{detector} {amplifier} {test}" for amplifier in AMPLIFIERS[:n]]


def verdict_on(
    failing: dict[int, list[str]], n_detectors: int = 9, exposures: tuple[int, ...] = EXPOSURES
) -> Verdict:
    entries = {
        exposure: {"SUCCESS": False, "FAILURES": failing[exposure]}
        if failing.get(exposure)
        else {"SUCCESS": True}
        for exposure in exposures
    }
    return judge(entries, BIAS, n_detectors=n_detectors)


def names(verdict: Verdict) -> list[str]:
    return [each.name for each in verdict.failing_detectors]


def test_one_dead_detector_of_189_passes_by_the_majority_and_is_named() -> None:
    # Given one detector whose amplifiers are all noisy, in all exposures
    dead = LSSTCAM.detectors[94].name
    verdict = verdict_on(dict.fromkeys(EXPOSURES, failures(dead)), n_detectors=189)
    # Then the procedure's rule, by majorities, passes the run
    assert verdict.passed and not verdict.failed
    # And the detector is named, with what fails it
    (bad,) = verdict.failing_detectors
    assert bad.name == dead and bad.tests == (FailingTest("NOISE", 20, 16),)
    assert bad.text == "NOISE on 16 amplifiers in 20 of 20 exposures"


@pytest.mark.parametrize("n_exposures, fails", [(10, False), (11, True)])
def test_it_takes_as_many_exposures_as_would_fail_a_run_of_it_alone(n_exposures: int, fails: bool) -> None:
    verdict = verdict_on(dict.fromkeys(EXPOSURES[:n_exposures], failures("R22_S11", 8)))
    assert names(verdict) == (["R22_S11"] if fails else [])


@pytest.mark.parametrize("n_amplifiers, fails", [(7, False), (8, True)])
def test_it_takes_as_many_amplifiers_as_fail_a_detector(n_amplifiers: int, fails: bool) -> None:
    verdict = verdict_on(dict.fromkeys(EXPOSURES, failures("R22_S11", n_amplifiers)))
    assert names(verdict) == (["R22_S11"] if fails else [])


def test_tests_of_two_types_are_not_added_up() -> None:
    both = failures("R22_S11", 7) + failures("R22_S11", 7, "MEAN")
    assert not verdict_on(dict.fromkeys(EXPOSURES, both)).failing_detectors


def test_exposures_of_different_tests_are_added_up() -> None:
    failing = dict.fromkeys(EXPOSURES[:6], failures("R22_S11"))
    failing |= dict.fromkeys(EXPOSURES[6:12], failures("R22_S11", 9, "MEAN"))
    (bad,) = verdict_on(failing).failing_detectors
    assert bad.text == (
        "NOISE on 16 amplifiers in 6 of 20 exposures, MEAN on 9 amplifiers in 6 of 20 exposures"
    )


def test_a_test_of_the_exposure_as_a_whole_is_laid_at_no_detectors_door() -> None:
    # Given flats, whose tests of amplifiers are read from their own statistics
    entries: dict[str, object] = {name: {"SUCCESS": True} for name in NINE}
    entries |= {"R22_S11": {"SUCCESS": False, "FAILURES": ["C00 NOISE"]}, "SUCCESS": False}
    verdict = judge(
        {exposure: {"SUCCESS": False, "FAILURES": ["SCATTER"]} for exposure in EXPOSURES},
        FLAT,
        n_detectors=9,
        threshold=1,
        details=dict.fromkeys(EXPOSURES, ExposureDetail(entries)),
    )
    assert names(verdict) == ["R22_S11"]
    # And it says nothing of the others
    assert verdict.of(NINE[:2]).with_failures == ()


def test_an_exposure_without_a_list_of_tests_counts_for_each() -> None:
    failing = dict.fromkeys(EXPOSURES[:10], failures("R22_S11"))
    assert not verdict_on(failing).failing_detectors
    entries = {
        i: {"FAILURES": failing.get(i, []), "SUCCESS": False} if i in failing else {"SUCCESS": True}
        for i in EXPOSURES
    }
    verdict = judge(entries | {EXPOSURES[10]: {"FAILURES": []}}, BIAS, n_detectors=9)
    (bad,) = verdict.failing_detectors
    assert bad.text == "NOISE on 16 amplifiers in 10 of 20 exposures, no list of tests in 1 of 20 exposures"


def test_a_product_that_is_verified_as_a_whole_has_bad_detectors_too() -> None:
    statistics = {
        name: {"SUCCESS": False, "FAILURES": [f"{amplifier} PTC_GAIN" for amplifier in AMPLIFIERS]}
        if name == "R22_S11"
        else {"SUCCESS": True}
        for name in NINE
    }
    verdict = judge(statistics, Subject(Product.PTC), n_detectors=9, key=StatisticsKey.DETECTOR)
    assert verdict.passed
    assert [(bad.name, bad.text) for bad in verdict.failing_detectors] == [
        ("R22_S11", "PTC_GAIN on 16 amplifiers")
    ]


def test_a_single_detector_is_what_the_verdict_is_about() -> None:
    verdict = verdict_on(dict.fromkeys(EXPOSURES, failures("RXX_S00")), n_detectors=1)
    assert not verdict.passed and verdict.failing_detectors == ()


def test_the_others_may_fail_together_though_none_does_alone() -> None:
    # Given seven noisy amplifiers in each of eight detectors, and a dead one
    some = list(itertools.chain.from_iterable(failures(name, 7) for name in NINE[1:]))
    verdict = verdict_on(dict.fromkeys(EXPOSURES, failures(NINE[0]) + some))
    assert names(verdict) == [NINE[0]]
    # Then the others would not pass as a run of their own
    assert not verdict.of(NINE[1:]).passed


FAILING = st.dictionaries(
    st.sampled_from(EXPOSURES[:5]),
    st.dictionaries(st.sampled_from(NINE[:3]), st.integers(1, 16), min_size=1),
)


@given(failing=FAILING, n_exposures=st.integers(1, 5))
def test_each_detector_is_judged_as_a_run_of_it_alone(
    failing: dict[int, dict[str, int]], n_exposures: int
) -> None:
    exposures = EXPOSURES[:n_exposures]
    texts = {
        i: list(itertools.chain.from_iterable(failures(*each) for each in failing.get(i, {}).items()))
        for i in exposures
    }
    verdict = verdict_on(texts, n_detectors=3, exposures=exposures)
    alone = {
        name: verdict_on(
            {i: [text for text in texts[i] if text.startswith(name)] for i in exposures}, 1, exposures
        )
        for name in NINE[:3]
    }
    assert names(verdict) == [name for name in NINE[:3] if not alone[name].passed]
    assert all(verdict.of([name]).passed == alone[name].passed for name in alone)
    # And none is lost: those that are good are the others
    good = [name for name in NINE[:3] if name not in names(verdict)]
    if good:
        assert not verdict.of(good).failing_detectors
