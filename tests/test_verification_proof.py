# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics prove something about exactly the exposures of a run, or are
refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.pipelines import StatisticsKey
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.verification import StatisticsError, judge
from named import BIAS
from test_verification import failures, run_statistics

PASSED = {"SUCCESS": True}
FAILED = {"SUCCESS": False, "FAILURES": failures("NOISE")}


def test_clean_exposures_of_another_job_cannot_dilute_failures() -> None:
    # Given a run of 3 exposures that all fail, and 5 clean ones of others
    statistics = {**dict.fromkeys((1, 2, 3), FAILED), **dict.fromkeys(range(11, 16), PASSED)}
    # Then it is refused where the run is known
    with pytest.raises(StatisticsError, match=r"5 exposure.* not of this run: 11, 12, 13, 14, 15"):
        judge(statistics, BIAS, n_detectors=1, expected=(1, 2, 3))
    assert not judge(dict.fromkeys((1, 2, 3), FAILED), BIAS, n_detectors=1, expected=(1, 2, 3)).passed


def test_an_exposure_without_a_result_proves_nothing() -> None:
    with pytest.raises(StatisticsError, match=r"no result of 12 of this run's 14 .*: 3, .*and 2 more"):
        judge({1: PASSED, 2: PASSED}, BIAS, n_detectors=1, expected=range(1, 15))


def test_an_exposure_counts_once_whether_its_id_is_a_number_or_text() -> None:
    statistics = {2026112500061: FAILED, "2026112500061": PASSED, 2026112500062: PASSED}
    with pytest.raises(StatisticsError, match="given twice, as a number and as text: 2026112500061"):
        judge(statistics, BIAS, n_detectors=1)
    as_text = judge({"2026112500061": FAILED}, BIAS, n_detectors=1, expected=[2026112500061])
    assert as_text.failed_ids == (2026112500061,)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({}, "neither SUCCESS nor FAILURES"),
        (None, "expected a mapping .* not null"),
        ([], "expected a mapping"),
        ({"SUCCESS": None}, "SUCCESS is neither true nor false but null"),
        ({"SUCCESS": 0}, "SUCCESS is neither true nor false but 0"),
        ({"SUCCESS": 1}, "SUCCESS is neither true nor false but 1"),
        ({"SUCCESS": "False"}, "SUCCESS is neither true nor false but 'False'"),
        ({"SUCCESS": None, "FAILURES": []}, "SUCCESS is neither true nor false but null"),
        ({"SUCCESS": False}, "no failure is listed"),
        ({"SUCCESS": False, "FAILURES": None}, "FAILURES is not a list of texts but null"),
        ({"SUCCESS": True, "FAILURES": None}, "FAILURES is not a list of texts but null"),
        ({"SUCCESS": False, "FAILURES": "RXX_S00 C00 NOISE"}, "FAILURES is not a list of texts"),
        ({"SUCCESS": False, "FAILURES": [1]}, "FAILURES is not a list of texts"),
        ({"SUCCESS": False, "FAILURES": {"C00": "NOISE"}}, "FAILURES is not a list of texts"),
        ({"SUCCESS": True, "FAILURES": ["RXX_S00 C00 NOISE"]}, "SUCCESS is true, but FAILURES lists"),
        ({"SUCCESS": False, "FAILURES": [""]}, "a failure is blank"),
    ],
)
@pytest.mark.parametrize("key", StatisticsKey)
def test_an_entry_is_a_boolean_or_a_list(entry: object, complaint: str, key: StatisticsKey) -> None:
    name = 1 if key is StatisticsKey.EXPOSURE else "RXX_S00"
    with pytest.raises(StatisticsError, match=complaint):
        judge({name: entry, "SUCCESS": False}, BIAS, n_detectors=1, key=key)


def test_a_boolean_of_numpy_is_not_what_the_butler_returns() -> None:
    # StructuredDataDict is YAML, which holds plain booleans only.
    np = pytest.importorskip("numpy")
    with pytest.raises(StatisticsError, match=r"neither true nor false but .*True"):
        judge({1: {"SUCCESS": np.True_}}, BIAS, n_detectors=1)


def test_the_run_cannot_pass_with_an_exposure_that_failed() -> None:
    with pytest.raises(StatisticsError, match="SUCCESS of the run is true, but an entry failed"):
        judge({1: FAILED, "SUCCESS": True}, BIAS, n_detectors=1)
    with pytest.raises(StatisticsError, match="of the run, SUCCESS is neither true nor false but null"):
        judge({1: PASSED, "SUCCESS": None}, BIAS, n_detectors=1)


@pytest.mark.parametrize("key", [True, 1.0, None, -1, "0x1", "1.0", "²", (1,)])
def test_only_an_exposure_id_is_a_key(key: object) -> None:
    with pytest.raises(StatisticsError, match="neither an exposure id"):
        judge({key: PASSED}, BIAS, n_detectors=1)


def test_every_detector_of_a_product_has_a_result() -> None:
    of_one = {"RXX_S00": PASSED, "SUCCESS": True}
    with pytest.raises(StatisticsError, match=r"1 detector.* instead of 2"):
        judge(of_one, Subject(Product.PTC), n_detectors=2, key=StatisticsKey.DETECTOR)
    with pytest.raises(StatisticsError, match="of a run, by exposure"):
        judge({1: PASSED}, Subject(Product.PTC), n_detectors=1, key=StatisticsKey.DETECTOR)


def test_a_product_that_failed_without_a_list_does_not_pass() -> None:
    # verifyGainFromFlatPairs of cp_verify 5855743, if it ran.
    statistics = {"RXX_S00": {"SUCCESS": False, "FAILURES": []}, "SUCCESS": False}
    verdict = judge(statistics, Subject(Product.GAIN), n_detectors=1, key=StatisticsKey.DETECTOR)
    assert not verdict.passed and verdict.unlisted and not verdict.run_tests_failed


some_failures = st.lists(st.sampled_from(failures("NOISE") + failures("MEAN")), max_size=32, unique=True)
of_exposures = st.dictionaries(st.integers(1, 60), some_failures, min_size=1, max_size=20)
strangers = st.sets(st.integers(61, 120), min_size=1, max_size=40)


@given(of_exposures, strangers)
def test_clean_strangers_never_turn_a_failure_into_a_pass(
    by_exposure: dict[int, list[str]], others: set[int]
) -> None:
    diluted = run_statistics(by_exposure | {other: [] for other in others})
    with pytest.raises(StatisticsError, match="not of this run"):
        judge(diluted, BIAS, n_detectors=1, expected=tuple(by_exposure))


@given(of_exposures, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(by_exposure: dict[int, list[str]], shuffle: random.Random) -> None:
    statistics = run_statistics(by_exposure)
    keys = list(statistics)
    shuffle.shuffle(keys)
    shuffled = {key: statistics[key] for key in keys}
    assert judge(shuffled, BIAS, n_detectors=1) == judge(statistics, BIAS, n_detectors=1)


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["SUCCESS", "FAILURES", "VERIFY", "EXP", "AMP", "DET", "C00"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
entries = st.one_of(
    st.just(PASSED),
    st.just(FAILED),
    st.just({"FAILURES": []}),
    st.fixed_dictionaries(
        {}, optional={"SUCCESS": st.booleans() | anything, "FAILURES": some_failures | anything}
    ),
)
ids = st.integers(1, 8)


@given(st.dictionaries(ids | ids.map(str), entries, max_size=8), st.sets(ids, min_size=1))
def test_what_is_accepted_gives_each_expected_exposure_one_result(
    statistics: dict[Any, Any], expected: set[int]
) -> None:
    try:
        verdict = judge(statistics, BIAS, n_detectors=1, expected=expected)
    except StatisticsError:
        return
    assert [result.exposure for result in verdict.results] == sorted(expected)
    for result in verdict.results:
        (entry,) = (value for key, value in statistics.items() if int(key) == result.exposure)
        assert (entry.get("SUCCESS") is True) == (result not in verdict.with_failures)


@given(st.dictionaries(ids, st.sampled_from([PASSED, FAILED]), max_size=8), st.data())
def test_of_all_statistics_only_those_of_the_run_are_accepted(
    statistics: dict[int, Any], data: st.DataObject
) -> None:
    expected = data.draw(st.sets(ids, min_size=1) | st.just(set(statistics)).filter(bool))
    if set(statistics) == expected:
        judge(statistics, BIAS, n_detectors=1, expected=expected)
    else:
        with pytest.raises(StatisticsError):
            judge(statistics, BIAS, n_detectors=1, expected=expected)
