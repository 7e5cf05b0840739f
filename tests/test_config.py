# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What observers type, and what becomes of it."""

from __future__ import annotations

import dataclasses
import json
import string
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.config import (
    CalibrationConfig,
    ConfigurationError,
    FlatSet,
    Problem,
    ProductConfig,
    Series,
    load_schema,
)
from lsst.ts.calibrationscripts.config import parse as parse_for
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.pairs import PairRule, times_of_pairs
from lsst.ts.calibrationscripts.products import Product, Subject

Earlier = Callable[[str, str | None], Mapping[str, Any]]

NO_PAIR = "no flats are a pair, which is two flats in succession whose times agree within 5 ms"

PAIRS_OF_A_SET = "flat_sets[0].exp_times_flat.pairs"

DEFAULT_DARKS = (5.0,) * 5 + (15.0,) * 2 + (30.0,) * 16


def parse(text: str, earlier: Earlier | None = None) -> CalibrationConfig:
    """Read a configuration of LATISS."""
    return parse_for(text, LATISS, earlier)


def problems(text: str, earlier: Earlier | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, earlier)
    return caught.value.problems


def lines(text: str) -> list[str]:
    """Return the problems as the observer reads them."""
    return [str(problem) for problem in problems(text)]


def only_line(text: str) -> str:
    (line,) = lines(text)
    return line


def series_of(config: CalibrationConfig, image_type: ImageType) -> Series:
    return next(series for series in config.series if series.image_type is image_type)


# The examples of the procedure, in its order.

WRONG_FLATS = """\
exp_times_dark: 20
exp_times_flats: 30
"""
TIMES_AND_NUMBERS = """\
n_bias: 30
n_dark: 5
exp_times_dark: [5, 10, 15, 20, 25]
n_flat: 10
exp_times_flat: [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
"""
INTERNAL_VERIFICATION = """\
generate_calibrations: True
calibration_collection: LATISS/calib/daily/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04"
certify_calib_begin_date: "2022-11-05"
"""
WITH_PTC = """\
script_mode: BIAS_DARK_FLAT
n_flat: 14
exp_times_flat: [5, 5, 10, 10, 15, 15, 20, 20, 25, 25, 30, 30, 35, 35]
filter: ${FILTER_NAME_OR_ID}
grating: ${GRATING_NAME_OR_ID}
generate_calibrations=True
calib_collection: "LATISS/calib/daily/calibs.2022NOV04.1"
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
do_defects: True
do_ptc: True
"""
ANOTHER_PTC = """\
n_bias: 6
n_dark: 6
exp_times_dark: [5, 5, 5, 10, 15, 20]
n_flat: 14
exp_times_flat: [0.1, 0.1, 0.35, 0.35, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.35, 1.35, 1.6, 1.6]
calib_collection: "LATISS/calib/u/plazas/daily.2021SEP13.test1"
do_verify: True
input_collections_verify_bias: "u/czw/DM-28920/calib.20210720,LATISS/calib"
input_collections_verify_dark: "u/czw/DM-28920/calib.20210720,LATISS/calib"
input_collections_verify_flat: "u/czw/DM-28920/calib.20210720,LATISS/calib"
certify_calib_begin_date: "2021-07-15"
certify_calib_end_date: "2021-07-17"
script_mode: BIAS_DARK_FLAT
do_defects: True
do_ptc: True
"""
FAILING = """\
pipeline_generation: "2022"
script_mode: BIAS_DARK
n_bias: 3
n_dark: 3
exp_times_dark: 15
calib_collection: "LATISS/calib/u/plazas/daily.2022SEP29.2"
generate_calibrations: True
do_verify: True
certify_calib_begin_date: "1980-01-01"
certify_calib_end_date: "2051-12-31"
"""


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "{}", "null", "metadata: {a: [1]}\n"])
def test_nothing_written_is_the_daily_default(text: str) -> None:
    config = parse(text)

    assert config.series == (
        Series(ImageType.BIAS, 1, (0.0,) * 21),
        Series(ImageType.DARK, 1, DEFAULT_DARKS),
        Series(ImageType.FLAT, 1, (5.0,) * 21),
    )
    assert not config.generate_calibrations
    assert config.do_verify
    assert config.do_gain_from_flat_pairs
    assert config.notices == ()


def test_a_mistyped_key_gets_the_nearest_known_one() -> None:
    assert only_line(WRONG_FLATS) == "exp_times_flats: unknown; did you mean exp_times_flat? (line 2)"


def test_exposure_times_alone_keep_the_numbers() -> None:
    config = parse(WRONG_FLATS.replace("flats", "flat"))

    assert series_of(config, ImageType.DARK).exp_times == (20.0,) * 23
    assert series_of(config, ImageType.FLAT).exp_times == (30.0,) * 21


def test_discarded_frames_take_the_first_time_of_a_list_of_n() -> None:
    config = parse(TIMES_AND_NUMBERS)

    bias, dark, flat = config.series
    assert (bias.n, bias.n_frames) == (30, 31)
    assert dark.exp_times == (5.0, 5.0, 10.0, 15.0, 20.0, 25.0)
    assert dark.kept_exp_times == (5.0, 10.0, 15.0, 20.0, 25.0)
    assert (flat.n, flat.exp_times[:2], flat.exp_times[-1]) == (10, (5.0, 5.0), 50.0)
    assert config.notices == (f"No gain can be measured: {NO_PAIR}.",)


def test_the_mistakes_of_the_internal_verification_example_come_together() -> None:
    assert lines(INTERNAL_VERIFICATION) == [
        "calibration_collection: unknown; did you mean calib_collection? (line 2)",
        "certify_calib_begin_date: is given twice, in lines 3 and 4; "
        "write certify_calib_end_date for the second, which was probably meant (line 4)",
    ]


def test_internal_verification_as_it_was_meant() -> None:
    text = INTERNAL_VERIFICATION.replace("calibration_coll", "calib_coll")
    config = parse(text.replace('begin_date: "2022-11-05"', 'end_date: "2022-11-05"'))

    assert config.calib_collection == "LATISS/calib/daily/calib.2022NOV04.1"
    assert (config.certify_calib_begin_date, config.certify_calib_end_date) == ("2022-11-04", "2022-11-05")
    assert config.notices == ()


def test_placeholders_and_equals_signs_get_their_remedies() -> None:
    assert lines(WITH_PTC) == [
        "filter: '${FILTER_NAME_OR_ID}': is a placeholder; "
        "replace the placeholder by a filter name or ID (line 4)",
        "grating: '${GRATING_NAME_OR_ID}': is a placeholder; "
        "replace the placeholder by a grating name or ID (line 5)",
        "generate_calibrations: is written with '='; write generate_calibrations: True (line 6)",
    ]


def test_ptc_as_it_was_meant() -> None:
    text = WITH_PTC.replace("${FILTER_NAME_OR_ID}", "SDSSr_65mm").replace("${GRATING_NAME_OR_ID}", "2")
    config = parse(text.replace("=", ": "))

    assert (config.filter, config.grating) == ("SDSSr_65mm", 2)
    assert series_of(config, ImageType.FLAT).n == 14
    assert len(PairRule.FIRST_TWO.pairs(series_of(config, ImageType.FLAT).kept_exp_times)) == 7


def test_another_ptc() -> None:
    config = parse(ANOTHER_PTC)

    bias, dark, flat = config.series
    assert (bias.n, dark.n, flat.n) == (6, 6, 14)
    assert dark.exp_times == (5.0, 5.0, 5.0, 5.0, 10.0, 15.0, 20.0)
    assert flat.exp_times[:3] == (0.1, 0.1, 0.1)
    assert config.of(Product.DARK).verify_inputs == ("u/czw/DM-28920/calib.20210720", "LATISS/calib")
    assert config.of(Product.PTC).inputs == ("LATISS/calib",)
    assert config.notices == ()


def test_the_failing_example_is_a_good_configuration() -> None:
    config = parse(FAILING)

    assert config.series == (
        Series(ImageType.BIAS, 1, (0.0,) * 4),
        Series(ImageType.DARK, 1, (15.0,) * 4),
    )
    assert config.notices == ()


def test_the_gain_note_of_the_procedure_has_three_pairs() -> None:
    text = "script_mode: FLAT\nexp_times_flat: [0.1, 0.1, 0.35, 0.35, 0.6, 0.6, 1, 1.5, 1.7, 2.1, 2.3]"
    flats = series_of(parse(text), ImageType.FLAT)

    for rule in PairRule:
        assert rule.pairs(flats.kept_exp_times) == ((0, 1), (2, 3), (4, 5))


def test_only_the_first_two_flats_of_a_time_are_paired() -> None:
    # As cp_pipe ff196a94 (2022-11) does.
    assert PairRule.FIRST_TWO.pairs((5, 1, 5, 5, 1, 2)) == ((0, 2), (1, 4))
    assert PairRule.FIRST_TWO.pairs(()) == ()


@pytest.mark.parametrize(
    ("times", "pairs"),
    [
        ([5.0] * 20, ((0, 1),)),
        ([0.1, 0.1, 0.35, 0.35, 0.6, 0.6, 1, 1.5, 1.7, 2.1, 2.3], ((0, 1), (2, 3), (4, 5))),
        ([5, 10, 5, 10], ()),
        ([5, 10, 15, 5, 10, 15], ()),
        ([5, 5, 10, 10, 5, 5], ((0, 1), (2, 3), (4, 5))),
        ([5.0, 5.004], ((0, 1),)),
        ([5.0, 5.006], ()),
        # All are compared with the first of a time.
        ([5.0, 5.004, 5.008, 5.01], ((0, 1), (2, 3))),
        ([120.0274, 120.0253, 30.0, 30.0], ((0, 1), (2, 3))),
        # numpy.isclose adds a 100,000th of the time.
        ([1000.0, 1000.014], ((0, 1),)),
        ([5], ()),
        ([], ()),
    ],
)
def test_current_pairs_are_neighbours_as_cp_pipe_makes_them(
    times: list[float], pairs: tuple[tuple[int, int], ...]
) -> None:
    # PhotonTransferCurveExtractPairConnections.adjust_all_quanta, cp_pipe
    # f029a3f2.
    assert PairRule.NEIGHBOURS.pairs(times) == pairs


@given(n=st.integers(1, 500), exp_time=st.floats(0.1, 3600))
def test_times_of_pairs_are_pairs_by_every_rule(n: int, exp_time: float) -> None:
    times = times_of_pairs(n, round(exp_time, 3))

    for rule in PairRule:
        assert rule.pairs(times) == tuple((2 * i, 2 * i + 1) for i in range(n))


def test_ten_pairs_are_written_as_such() -> None:
    flats = series_of(parse("exp_times_flat: {pairs: 10, exp_time: 5}"), ImageType.FLAT)

    assert flats.kept_exp_times[:6] == (5.0, 5.0, 5.01, 5.01, 5.02, 5.02)
    assert (flats.n, flats.n_frames) == (20, 21)
    assert len(PairRule.NEIGHBOURS.pairs(flats.kept_exp_times)) == 10
    (of_a_set,) = parse("flat_sets: [{exp_times_flat: {pairs: 3, exp_time: 2}}]").series[2:]
    assert of_a_set.kept_exp_times == (2.0, 2.0, 2.01, 2.01, 2.02, 2.02)


@pytest.mark.parametrize(
    ("generation", "is_refused"), [("auto", True), ("current", True), ("2022", False), ('"2022"', False)]
)
def test_a_curve_from_interleaved_times_is_refused_where_they_are_no_pairs(
    generation: str, is_refused: bool
) -> None:
    # Given each time twice, with others between,
    times = "n_flat: 6\nexp_times_flat: [5, 10, 15, 5, 10, 15]"
    text = f"pipeline_generation: {generation}\ndo_ptc: true\n{times}"

    # then that is a curve for cp_pipe of 2022 only.
    if is_refused:
        line = only_line(text)
        assert "exp_times_flat: [5.0, 10.0, 15.0" in line
        assert "do_ptc needs pairs of flats, there is none" in line
        assert "two flats in succession whose times agree within 5 ms" in line
        assert "write every time twice in succession" in line
    else:
        assert parse(text).do_ptc


@pytest.mark.parametrize(
    ("text", "n", "exp_times"),
    [
        ("n_dark: 2\nexp_times_dark: 7", 2, (7, 7, 7)),
        ("n_dark: 2\nexp_times_dark: [1, 2]", 2, (1, 1, 2)),
        ("n_dark: 2\nexp_times_dark: [1, 2, 3]", 2, (1, 2, 3)),
        ("n_dark: 2\nn_discard_dark: 0\nexp_times_dark: [1, 2]", 2, (1, 2)),
        ("n_dark: 2\nn_discard_dark: 2\nexp_times_dark: [1, 2]", 2, (1, 1, 1, 2)),
        ("n_dark: 2.0\nn_discard_dark: null\nexp_times_dark: [0, 2]", 2, (0, 0, 2)),
    ],
)
def test_numbers_and_times_that_fit(text: str, n: int, exp_times: tuple[float, ...]) -> None:
    config = parse(f"script_mode: DARK\n{text}")

    (dark,) = config.series
    assert (dark.n, dark.exp_times) == (n, exp_times)
    assert (config.n_dark, config.exp_times_dark) == (n, exp_times)
    assert config.notices == ()


@pytest.mark.parametrize("n_dark", ["", "n_dark: 22\n", "n_dark: null\n"])
def test_a_list_sets_the_number_where_that_stands_at_its_default(n_dark: str) -> None:
    config = parse(f"script_mode: DARK\n{n_dark}exp_times_dark: [3, 4, 5]")

    assert config.n_dark == 3
    assert config.series == (Series(ImageType.DARK, 1, (3.0, 3.0, 4.0, 5.0)),)
    (notice,) = config.notices
    assert notice.startswith("exp_times_dark has 3 values: 3 darks are kept, not the default of 22")


def test_a_null_number_with_one_time_is_the_default() -> None:
    config = parse("script_mode: FLAT\nn_flat: null")

    assert config.n_flat == 20
    assert config.notices == ("n_flat is null: the default of 20 is taken.",)


def test_a_changed_number_that_does_not_fit_gives_both_remedies() -> None:
    line = only_line("n_dark: 4\nexp_times_dark: [1, 2, 3, 4, 5, 6]")

    assert line == (
        "n_dark: 4: but exp_times_dark has 6 values; write n_dark: 6, "
        "or a list of 4 values (or of 5, the 1 to discard first) (line 1)"
    )


def test_a_changed_number_alone_asks_for_the_times() -> None:
    assert "write exp_times_dark too" in only_line("n_dark: 5")


def test_numbers_of_images_that_are_not_taken_are_no_error() -> None:
    config = parse("script_mode: BIAS\nn_dark: 5")

    assert config.n_dark == 5
    assert config.notices == ("n_dark has no effect: no darks are taken in script_mode BIAS.",)


@pytest.mark.parametrize(
    ("mode", "types"),
    [
        ("BIAS", ["BIAS"]),
        ("DARK", ["DARK"]),
        ("FLAT", ["FLAT"]),
        ("BIAS_DARK", ["BIAS", "DARK"]),
        ("BIAS_DARK_FLAT", ["BIAS", "DARK", "FLAT"]),
    ],
)
def test_a_mode_names_its_series_in_order(mode: str, types: list[str]) -> None:
    config = parse(f"script_mode: {mode}")

    assert [series.image_type for series in config.series] == types
    assert config.do_gain_from_flat_pairs == ("FLAT" in types)
    assert config.notices == ()


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("script_mode: bias", "script_mode", "write BIAS"),
        ("script_mode: BIAS_FLATS", "script_mode", "write BIAS"),
        ("script_mode: 7", "script_mode", "write"),
        ("n_bias: 0", "n_bias", "write 1 or more"),
        ("n_bias: -3", "n_bias", "write 1 or more"),
        ("n_bias: 1001", "n_bias", "write 1000 or less"),
        ("n_bias: 2.5", "n_bias", "write for example 20"),
        ("n_bias: yes", "n_bias", "write for example 20"),
        ("n_bias: '20'", "n_bias", "write 20, without quotes"),
        ("n_bias: .inf", "n_bias", "write for example 20"),
        ("n_bias: " + "9" * 5000, "n_bias", "write a plain number"),
        ("n_bias: 0x" + "f" * 5000, "n_bias", "write a plain number"),
        ("n_discard_flat: -1", "n_discard_flat", "write 0 or more"),
        ("exp_times_dark: -1", "exp_times_dark", "write 0 s or more"),
        ("exp_times_dark: [5, -1]", "exp_times_dark", "write 0 s or more"),
        ("exp_times_dark: .nan", "exp_times_dark", "write a number"),
        ("exp_times_dark: [1, .inf]", "exp_times_dark", "write a number"),
        ("exp_times_dark: 3601", "exp_times_dark", "write 3600 s or less"),
        ("exp_times_dark: [[5]]", "exp_times_dark", "write for example 30"),
        ("exp_times_dark: []", "exp_times_dark", "write for example 30"),
        ("exp_times_flat: 0", "exp_times_flat", "write 0.1 s or more"),
        ("exp_times_dark: 3600\nn_dark: 30", "exp_times_dark", "the limit is 24 h"),
        ("wait_between_exposures: 3000", "wait_between_exposures", "the limit is 24 h"),
        ("n_processes: 65", "n_processes", "write 64 or less"),
        ("oods_timeout: 0", "oods_timeout", "write more than 0 s"),
        ("job_timeout: 86401", "job_timeout", "write 86400 s or less"),
        ("do_verify: 'True'", "do_verify", "write do_verify: True or do_verify: False"),
        ("detectors: 0", "detectors", "write [0]"),
        ("detectors: [1]", "detectors", "write [0]"),
        ("detectors: [0, 0]", "detectors", "write [0]"),
        ("detectors: [-1]", "detectors", "write 0 or more"),
        ("filter: None", "filter", "write null"),
        ("filter: ''", "filter", "write null"),
        ("filter: r and i", "filter", "write one filter name or ID"),
        ("grating: -1", "grating", "write 0 or more"),
        ("filter: 4", "filter", "write 3 or less"),
        ("flat_sets: {filter: a}", "flat_sets", "write for example [{filter: SDSSr_65mm"),
        ("flat_sets: []", "flat_sets", "write for example [{filter: SDSSr_65mm"),
        ("flat_sets: [{}" + ", {}" * 12 + "]", "flat_sets", "write 12 or fewer"),
        (
            "flat_sets: [SDSSr_65mm]",
            "flat_sets[0]",
            "write for example {filter: empty_1, grating: SDSSy_65mm}",
        ),
        ("flat_sets: [{}, null]", "flat_sets[1]", "leave flat_sets[1] out"),
        ("flat_sets: [{filters: a}]", "flat_sets[0].filters", "did you mean filter?"),
        ("flat_sets: [{lamp: 1}]", "flat_sets[0].lamp", "leave it out"),
        ("flat_sets: [{3: 1}]", "flat_sets[0].3", "leave it out"),
        ("flat_sets: [{filter:a}]", "flat_sets[0].filter:a", "write filter: a"),
        ("flat_sets: [{n_flat=3}]", "flat_sets[0].n_flat=3", "write n_flat: 3"),
        ("flat_sets: [{filter: a, filter: b}]", "flat_sets", "leave one of them out"),
        ("flat_sets: [{n_discard_flat: 2}]", "flat_sets[0].n_discard_flat", "outside flat_sets"),
        ("flat_sets: [{filter: '${FILTER}'}]", "flat_sets[0].filter", "replace the placeholder by a filter"),
        ("flat_sets: [{grating: a b}]", "flat_sets[0].grating", "write one grating name or ID"),
        ("flat_sets: [{grating: 4}]", "flat_sets[0].grating", "write 3 or less"),
        ("flat_sets: [{n_flat: 0}]", "flat_sets[0].n_flat", "write 1 or more"),
        ("flat_sets: [{n_flat: '4'}]", "flat_sets[0].n_flat", "write 4, without quotes"),
        ("flat_sets: [{exp_times_flat: 0}]", "flat_sets[0].exp_times_flat", "write 0.1 s or more"),
        ("flat_sets: [{exp_times_flat: [1, 0]}]", "flat_sets[0].exp_times_flat", "write 0.1 s or more"),
        ("flat_sets: [{exp_times_flat: [.nan]}]", "flat_sets[0].exp_times_flat", "write a number"),
        ("flat_sets: [{}, {}]", "flat_sets[1]", "leave one of the two out"),
        ("flat_sets: [{filter: 1}, {filter: 1, n_flat: 2}]", "flat_sets[1]", "leave one of the two out"),
        ("flat_sets: [{filter: a}, {grating: b}, {filter: a}]", "flat_sets[2]", "leave one of the two out"),
        ("do_ptc: True\nflat_sets: [{n_flat: 1}]", "flat_sets", "write every time of a set twice"),
        ("exp_times_flat: 3000\nflat_sets: [{filter: 1}, {filter: 2}]", "flat_sets", "the limit is 24 h"),
        ("n_flat: 0\nn_discard_flat: null\nflat_sets: [{n_flat: 1}]", "n_flat", "write 1 or more"),
        ("pipeline_generation: newest", "pipeline_generation", "write auto or current or 2022"),
        ("pipeline_generation: procedure", "pipeline_generation", 'write "2022"'),
        ("pipeline_generation: 2023", "pipeline_generation", "write 2022"),
        ("pipeline_generation: null", "pipeline_generation", "leave pipeline_generation out"),
        ("exp_times_flat: {pairs: 0, exp_time: 5}", "exp_times_flat.pairs", "write 1 or more"),
        ("exp_times_flat: {pairs: 501, exp_time: 5}", "exp_times_flat.pairs", "write 500 or less"),
        ("exp_times_flat: {pairs: 2, exp_time: 0}", "exp_times_flat.exp_time", "write 0.1 s or more"),
        ("exp_times_flat: {pairs: a, exp_time: 5}", "exp_times_flat.pairs", "write for example 10"),
        ("exp_times_flat: {pairs: 2}", "exp_times_flat", "write pairs, exp_time"),
        ("exp_times_flat: {pair: 2}", "exp_times_flat", "write pairs, exp_time"),
        ("exp_times_flat: {pairs: 9, exp_time: 3600}", "exp_times_flat", "the limit is 3600 s"),
        ("exp_times_flat: {pairs: 9, exp_time: .nan}", "exp_times_flat", "write a number"),
        (
            "flat_sets: [{exp_times_flat: {pairs: 0, exp_time: 5}}]",
            "flat_sets[0].exp_times_flat.pairs",
            "write 1",
        ),
        ("pipeline_generation: Current", "pipeline_generation", "write current"),
        ("calib_collection: ''", "calib_collection", "write a collection"),
        ("calib_collection: LATISS/calib daily", "calib_collection", "write it without blanks"),
        ("calib_collection: LATISS/calib,b", "calib_collection", "write one"),
        ("calib_collection: /LATISS", "calib_collection", "write letters"),
        ("calib_collection: LATISS/", "calib_collection", "write letters"),
        ("calib_collection: ../x", "calib_collection", "write letters"),
        ("calib_collection: -x", "calib_collection", "write letters"),
        ("input_collections_bias: a, b", "input_collections_bias", "write a,b"),
        ("input_collections_bias: a b", "input_collections_bias", "names: a,b"),
        ("input_collections_bias: a,,b", "input_collections_bias", "write a,b"),
        ("input_collections_bias: [a, b]", "input_collections_bias", "write a,b"),
        ("repo: ''", "repo", "write a Butler repository"),
        ("repo: /repo/LATISS; ls", "repo", "write a path or URI"),
        ("repo: my repository", "repo", "write a path or URI"),
        ("repo: '/my  repository'", "repo", "write a path or URI"),
        ("repo: null", "repo", "leave repo out"),
        ("config_options_bias: '-c a:b=c; ls'", "config_options_bias", "write options only"),
        ("config_options_bias: '-c a:b=`ls`'", "config_options_bias", "write options only"),
        ("config_options_bias: |\n  -c a:b=c\n  -c d:e=f", "config_options_bias", "write one line"),
        ("config_options_bias: '-c \"a'", "config_options_bias", "close the quote"),
        (
            "config_options_bias: isr:doDefect=False",
            "config_options_bias",
            "write -c before each label:field=value",
        ),
        ("config_options_bias: -j 4", "config_options_bias", "use n_processes"),
        ("config_options_bias: --output-run=x", "config_options_bias", "leave it out"),
        (
            "certify_calib_begin_date: 2022-13-01",
            "certify_calib_begin_date",
            'write for example "2022-11-04"',
        ),
        ("certify_calib_begin_date: tomorrow", "certify_calib_begin_date", 'write for example "2022-11-04"'),
        ("certify_calib_begin_date: 2022-11-04T00:00:00Z", "certify_calib_begin_date", "write for example"),
        ("certify_calib_begin_date: 20221104", "certify_calib_begin_date", "write it in quotes"),
        ("certify_calib_begin_date: 2100-01-01", "certify_calib_begin_date", "write an earlier date"),
        ("certify_calib_end_date: 1969-01-01", "certify_calib_end_date", "write a later date"),
        ("certify_calib_begin_date: 2050-01-01", "certify_calib_end_date", "write a later end"),
        ("do_ptc: True\nscript_mode: FLAT", "do_ptc", "write script_mode: BIAS_DARK_FLAT"),
        ("do_defects: True\nscript_mode: BIAS_DARK", "do_defects", "write script_mode: BIAS_DARK_FLAT"),
        ("do_ptc: True\nn_flat: 1", "n_flat", "write 2 or more"),
        ("do_ptc: True\nexp_times_flat: [1, 2, 3]", "exp_times_flat", "write every time twice"),
        ("program: 'BLOCK-1, x'", "program", "write 'BLOCK-1 x'"),
        ("reason: 'a: b'", "reason", "write 'a b'"),
        ("ocps_log_path: /scratch/ocps.log", "ocps_log_path", "{job_id}"),
        ("note: 5", "note", 'write it in quotes: "5"'),
        ("note: naïve", "note", "write it without accents"),
        ('note: "a\\tb"', "note", "write one line"),
        ('note: "\\ud800"', "note", "write one line"),
        ("test_case: {name: a}", "test_case", "write name, execution, version"),
        ("test_case: {name: a, execution: b, version: c, 3: d}", "test_case", "initial_step, project only"),
        ("test_case: {name: a, execution: b, version: 1.0}", "test_case.version", 'in quotes: "1.0"'),
        ("N_Bias: 3", "N_Bias", "did you mean n_bias?"),
        ("volume: 3", "volume", "leave it out"),
        ("yes: 3", "yes", "leave it out"),
        ("n_bias: 3\nn_bias: 4", "n_bias", "leave one of them out"),
        ("n_bias:3", "n_bias", "write n_bias: 3"),
        ("n_bias = 3", "n_bias", "write n_bias: 3"),
        ("do_verify: True\n\tn_bias: 3", "n_bias", "write blanks"),
        ("n_bias: 3 4", "n_bias", "write for example 20"),
        ("- n_bias", "configuration", "write lines of the form n_bias: 20"),
        ("go", "configuration", "write lines of the form n_bias: 20"),
        ("[a]: 3", "configuration", "write lines of the form n_bias: 20"),
        ("exp_times_dark: [1, 2", "configuration", "write a list as"),
        ("note: 'a\nn_bias: 3", "configuration", "close it on the same line"),
        ("exposures: [2022092900004]", "exposures", "write for example {BIAS: [2022092900004"),
        ("exposures: {}", "exposures", "write for example {BIAS: [2022092900004"),
        ("exposures: {bias: [2022092900004]}", "exposures", "write BIAS, DARK, FLAT only"),
        ("exposures: {BIAS: 2022092900004}", "exposures.BIAS", "write [2022092900004]"),
        ("exposures: {BIAS: null}", "exposures.BIAS", "leave exposures.BIAS out"),
        ("exposures: {BIAS: []}", "exposures.BIAS", "write for example [2022092900004, 2022092900005]"),
        ("exposures: {BIAS: ['2022092900004']}", "exposures.BIAS", "write 2022092900004, without quotes"),
        ("exposures: {BIAS: [AT_O_20220929_000004]}", "exposures.BIAS", "write for example [2022092900004"),
        ("exposures: {BIAS: [20220929004]}", "exposures.BIAS", "write its 13 digits"),
        ("exposures: {BIAS: [20220929000004]}", "exposures.BIAS", "write its 13 digits"),
        ("exposures: {BIAS: [2022133100004]}", "exposures", "write the day and a number of 5 digits"),
        ("exposures: {BIAS: [2022092900004, 2022092900004.0]}", "exposures", "write each once"),
        ("exposures: {BIAS: [2022092900004], DARK: [2022092900004]}", "exposures", "leave one of them out"),
        ("exposures: {BIAS: [2022092900004], FLAT: [2022092900005]}", "exposures", "write ids of DARK too"),
        ("script_mode: DARK\nexposures: {BIAS: [2022092900004]}", "exposures", "or script_mode: BIAS"),
        ("do_defects: True\nexposures: {DARK: [2022092900004]}", "do_defects", "ids of the other types too"),
        ("resume: ../journal", "resume", "write for example 20261123T053300-100001"),
        ("resume: ..", "resume", "write for example 20261123T053300-100001"),
        ("resume: 20261123", "resume", 'write it in quotes: "20261123"'),
        ("resume: " + "a" * 65, "resume", "write 64 or fewer"),
        ("job_retries: 4", "job_retries", "write 3 or less"),
        ("job_retries: null", "job_retries", "write 1, or leave job_retries out"),
        ("fail_on: processing", "fail_on", "write [processing]"),
        ("fail_on: never", "fail_on", "write for example [processing]"),
        ("fail_on: [verify]", "fail_on", "write processing or verification"),
        ("fail_on: [3]", "fail_on", "write processing or verification"),
        ("fail_on: [processing, processing]", "fail_on", "write each once"),
        ("spoilt_frames: ignore", "spoilt_frames", "write report or exclude"),
        ("spoilt_frames: True", "spoilt_frames", "write report or exclude"),
        ("spoilt_frames: exclude\nretakes: -1", "retakes", "write 0 or more"),
        ("spoilt_frames: exclude\nretakes: 21", "retakes", "write 20 or less"),
        ("retakes: 2", "retakes", "write spoilt_frames: exclude, or leave retakes out"),
        ("certify: all", "certify", "write each or together"),
        ("certify: yes", "certify", "write each or together"),
        ("journal_dir: my journals", "journal_dir", "write a path"),
        ("journal_dir: ''", "journal_dir", "write a folder, or null"),
        ("journal_dir: $HOME/journals", "journal_dir", "write a path"),
        ("n_bias: 3\n---\nn_bias: 4", "configuration", "one 'key: value' a line"),
        ("note: !!python/object:os.system x", "configuration", "one 'key: value' a line"),
        ("n_bias: \0", "configuration", "delete it"),
        ("note: " + "[" * 20 + "]" * 20, "configuration", "one 'key: value' a line"),
        (f"note: &a [{'1,' * 9000}]\ndetectors: [*a, *a]", "configuration", "one 'key: value' a line"),
        ("#" * 40_000, "configuration", "write only the parameters"),
        ("\n".join(f"a{i}: 1" for i in range(300)), "configuration", "at most"),
    ],
)
def test_what_is_wrong_is_refused_with_a_remedy(text: str, key: str, remedy: str) -> None:
    (problem,) = problems(text)

    assert problem.key == key
    assert remedy in problem.remedy
    assert str(problem).startswith(f"{key}: ")
    assert "\n" not in str(problem)


def test_an_absolute_path_may_have_blanks() -> None:
    config = parse("repo: /my work/the repository\njournal_dir: /my work/journals")
    assert (config.repo, config.journal_dir) == ("/my work/the repository", "/my work/journals")


def test_all_problems_come_together_in_the_order_of_the_text() -> None:
    text = """\
n_biass: 3
n_dark: 0
do_verify=True
exp_times_flat: [0, 1]
certify_calib_begin_date: 2022-11-05
certify_calib_end_date: 2022-11-04
do_ptc: maybe
test_case: {name: 1, execution: 2, version: c}
"""
    with pytest.raises(ConfigurationError) as caught:
        parse(text)

    assert [(problem.key, problem.line) for problem in caught.value.problems] == [
        ("n_biass", 1),
        ("n_dark", 2),
        ("do_verify", 3),
        ("exp_times_flat", 4),
        ("certify_calib_end_date", 6),
        ("do_ptc", 7),
        ("test_case.execution", 8),
        ("test_case.name", 8),
    ]
    heading, *rest = str(caught.value).splitlines()
    assert heading == "8 problems in the configuration:"
    assert len(rest) == 8


def test_a_mistyped_key_is_checked_as_the_one_that_was_meant() -> None:
    # Nothing is reported of n_dark: it fits the times that were meant.
    assert [problem.key for problem in problems("n_dark: 2\nexp_times_darks: [1, 2]")] == ["exp_times_darks"]


def test_an_indented_text_with_an_equals_sign_is_read() -> None:
    assert lines("  n_bias: 3\n  do_verify=False\n") == [
        "do_verify: is written with '='; write do_verify: False (line 2)"
    ]


@pytest.mark.parametrize("date", ["2022-11-04", '"2022-11-04"', "2022-11-04T12:30:00.5", "2022-11-04 12:30"])
def test_dates_may_stand_without_quotes(date: str) -> None:
    assert parse(f"certify_calib_begin_date: {date}").certify_calib_begin_date == date.strip('"')


def test_texts_are_split_where_pipetask_splits_them() -> None:
    config = parse(
        "pipeline_generation: 2022\nconfig_options_bias: >\n  -c isr:doDefect=False\n  --config='a:b=[1,2]'\n"
        "config_options_dark: ''\n"
        "input_collections_bias: ''\n"
        "input_collections_dark: a@b/c-1,LATISS/calib\n"
    )

    bias, dark = config.of(Product.BIAS), config.of(Product.DARK)
    assert bias.options == ("-c", "isr:doDefect=False", "-c", "a:b=[1,2]")
    assert dark.options == ()
    assert bias.inputs == ()
    assert dark.inputs == ("a@b/c-1", "LATISS/calib")


def test_each_product_has_its_own_part_of_the_configuration() -> None:
    config = parse(
        "number_verification_tests_threshold_dark: 5\nconfig_options_dark: -c a:b=c\n"
        "input_collections_dark: x\ninput_collections_verify_dark: y,z\n"
    )

    assert config.of(Product.DARK) == ProductConfig(
        threshold=5, options=("-c", "a:b=c"), inputs=("x",), verify_inputs=("y", "z")
    )
    # Made without other calibrations, by tasks of its own.
    assert config.of(Product.DARK_BOOTSTRAP) == ProductConfig(inputs=("x",), verify_inputs=("y", "z"))


def test_products_without_parameters_of_their_own() -> None:
    config = parse("config_options_ptc: -c a:b=c\ninput_collections_ptc: x\ninput_collections_defects: y\n")

    ptc = ProductConfig(threshold=8, options=("-c", "a:b=c"), inputs=("x",), verify_inputs=("x",))
    assert config.of(Product.PTC) == config.of(Product.GAIN) == ptc
    assert config.of(Product.DEFECTS).threshold == 8
    assert config.of(Product.DEFECTS).verify_inputs == ("y",)
    assert {product: config.of(product).inputs for product in Product}.keys() == set(Product)


def test_a_series_is_identified_by_its_subject() -> None:
    bias, _, red, blue = parse("flat_sets: [{filter: red}, {filter: blue, grating: 1}]").series

    assert bias.subject == Subject(Product.BIAS)
    assert (red.subject, red.name) == (Subject(Product.FLAT, "red~current"), "FLAT red~current")
    assert (blue.subject, blue.part) == (Subject(Product.FLAT, "blue~1"), "blue~1")


def test_what_goes_into_the_headers() -> None:
    config = parse(
        "program: BLOCK-295\nreason: daily calibrations\nnote: 'lamp: new, 5 V'\n"
        "test_case: {name: LVV-T1, execution: LVV-E1, version: '1.0', initial_step: 2}"
    )

    assert (config.program, config.reason, config.note) == (
        "BLOCK-295",
        "daily calibrations",
        "lamp: new, 5 V",
    )
    assert config.test_case == {
        "name": "LVV-T1",
        "execution": "LVV-E1",
        "version": "1.0",
        "initial_step": 2,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("background_task_timeout: 30", "background_task_timeout is deprecated and unused"),
        ("do_verify: False\nscript_mode: BIAS", "Nothing is processed"),
        ("do_verify: False\nexp_times_flat: [1, 2]\nscript_mode: FLAT", "Nothing is processed"),
        ("generate_calibrations: True", "New calibrations are certified for 1950-01-01 to 2050-01-01"),
        ("calib_collection: LATISS/calib/u/me", "Nothing is certified"),
        ("do_gain_from_flat_pairs: True\nscript_mode: DARK", "do_gain_from_flat_pairs has no effect"),
        ("n_flat: 1", "No gain can be measured"),
        ("do_ptc: True", "The photon transfer curve has one exposure time only"),
        ("number_verification_tests_threshold_dark: 17", "no dark can fail"),
    ],
)
def test_what_is_no_error_is_noticed(text: str, words: str) -> None:
    assert any(words in notice for notice in parse(text).notices)


def test_gains_alone_are_worth_taking_flats_for() -> None:
    assert parse("do_verify: False\nscript_mode: FLAT").notices == ()


SEVERAL_SETS = """\
generate_calibrations: True
calib_collection: LATISS/calib/weekly
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
exp_times_flat: [5, 5, 10, 10]
flat_sets:
- filter: SDSSr_65mm
  grating: empty_1
- filter: empty_1
  grating: SDSSy_65mm
  exp_times_flat: 20
- {filter: 0, grating: 0, n_flat: 2, exp_times_flat: [1, 2]}
"""


def test_several_sets_of_flats_are_several_series() -> None:
    config = parse(SEVERAL_SETS)

    assert [series.name for series in config.series] == [
        "BIAS",
        "DARK",
        "FLAT SDSSr_65mm~empty_1",
        "FLAT empty_1~SDSSy_65mm",
        "FLAT 0~0",
    ]
    assert config.flat_sets == (
        FlatSet("SDSSr_65mm", "empty_1", 4, (5.0, 5.0, 5.0, 10.0, 10.0)),
        FlatSet("empty_1", "SDSSy_65mm", 20, (20.0,) * 21),
        FlatSet(0, 0, 2, (1.0, 1.0, 2.0)),
    )
    _, _, *flats = config.series
    assert [(flat.filter, flat.grating, flat.n_discard, flat.exp_times) for flat in flats] == [
        (flat_set.filter, flat_set.grating, 1, flat_set.exp_times_flat) for flat_set in config.flat_sets
    ]
    assert config.notices == (
        "exp_times_flat has 4 values: 4 flats are kept, not the default of 20; 1 more is discarded.",
        f"No gain can be measured for FLAT 0~0: {NO_PAIR}.",
    )


def test_a_sole_set_of_flats_goes_by_the_name_of_its_type() -> None:
    one_set = parse("flat_sets: [{filter: empty_1, grating: SDSSy_65mm}]")
    old_keys = parse("filter: empty_1\ngrating: SDSSy_65mm")

    assert one_set.series == old_keys.series
    flats = series_of(one_set, ImageType.FLAT)
    assert (flats.name, flats.filter, flats.grating) == ("FLAT", "empty_1", "SDSSy_65mm")
    assert [(series.filter, series.grating) for series in one_set.series[:2]] == [(None, None)] * 2


def test_a_set_takes_what_it_lacks_from_the_parameters_of_that_name() -> None:
    config = parse(
        "filter: SDSSr_65mm\nn_flat: 3\nn_discard_flat: 2\n"
        "flat_sets: [{grating: 1, n_flat: null}, {grating: 2, n_flat: 2.0}, "
        "{grating: 3, exp_times_flat: [1, 2, 3]}]"
    )

    assert config.flat_sets == (
        FlatSet("SDSSr_65mm", 1, 3, (5.0,) * 5),
        FlatSet("SDSSr_65mm", 2, 2, (5.0,) * 4),
        FlatSet("SDSSr_65mm", 3, 3, (1.0, 1.0, 1.0, 2.0, 3.0)),
    )


def test_a_wheel_that_a_set_does_not_name_stays_where_the_set_before_turned_it() -> None:
    config = parse(
        "flat_sets: [{grating: empty_1}, {filter: SDSSr_65mm, grating: blue300}, {grating: empty_1}]"
    )

    assert [series.name for series in config.series[2:]] == [
        "FLAT current~empty_1",
        "FLAT SDSSr_65mm~blue300",
        "FLAT SDSSr_65mm~empty_1",
    ]
    assert config.notices == ("flat_sets[2].filter is left out: it stays SDSSr_65mm, as in the set before.",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "flat_sets: [{n_flat: 4, exp_times_flat: [1, 2, 3]}]",
            "flat_sets[0].n_flat: 4: but flat_sets[0].exp_times_flat has 3 values; "
            "write flat_sets[0].n_flat: 3, or a list of 4 values (or of 5, the 1 to discard first) (line 1)",
        ),
        (
            "n_flat: 4\nflat_sets:\n- filter: a\n- filter: b\n  exp_times_flat: [1, 2, 3]",
            "flat_sets[1].n_flat: 4: as n_flat says, but flat_sets[1].exp_times_flat has 3 values; "
            "write flat_sets[1].n_flat: 3, or a list of 4 values (or of 5, the 1 to discard first) (line 4)",
        ),
        (
            "exp_times_flat: [1, 2, 3]\nn_discard_flat: 0\nflat_sets:\n- {n_flat: 2}",
            "flat_sets[0].n_flat: 2: but exp_times_flat has 3 values; write flat_sets[0].n_flat: 3, "
            "or a list of 2 values (line 4)",
        ),
        (
            "n_flat: 2\nexp_times_flat: [1, 2, 3]\nn_discard_flat: 0\nflat_sets: [{filter: 1}, {filter: 2}]",
            "n_flat: 2: but exp_times_flat has 3 values; write n_flat: 3, or a list of 2 values (line 1)",
        ),
    ],
)
def test_numbers_and_times_of_a_set_that_do_not_fit(text: str, line: str) -> None:
    assert only_line(text) == line


def test_the_problems_of_all_sets_come_together() -> None:
    text = """\
n_flat: 0
flat_sets:
- filter: SDSSr_65mm
  gratings: empty_1
- n_flat: 0
  exp_times_flat: [0.05]
- empty_1
- filter: a b
"""
    assert [(problem.key, problem.line) for problem in problems(text)] == [
        ("n_flat", 1),
        ("flat_sets[0].gratings", 4),
        ("flat_sets[1].n_flat", 5),
        ("flat_sets[1].exp_times_flat", 6),
        ("flat_sets[2]", 7),
        ("flat_sets[3].filter", 8),
    ]


def test_sets_that_no_flats_are_taken_for_are_no_error() -> None:
    config = parse("script_mode: BIAS\nflat_sets: [{n_flat: 4, exp_times_flat: [1, 2]}, {}]")

    assert [series.name for series in config.series] == ["BIAS"]
    assert config.notices == ("flat_sets has no effect: no flats are taken in script_mode BIAS.",)


def test_parameters_that_every_set_overrules_have_no_effect() -> None:
    config = parse(
        "filter: a\nn_flat: 3\nexp_times_flat: [1, 2]\nflat_sets: [{filter: b, exp_times_flat: 4}]"
    )

    assert config.flat_sets == (FlatSet("b", None, 3, (4.0,) * 4),)
    assert config.notices == ("filter, exp_times_flat have no effect: every set of flat_sets has its own.",)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (
            "script_mode: BIAS\nfilter: a\nflat_counts_min: 300\nkeep_order: true",
            "filter, flat_counts_min, keep_order have no effect: no flats are taken in script_mode BIAS.",
        ),
        (
            "script_mode: BIAS\ninput_collections_verify_dark: u/me\n"
            "number_verification_tests_threshold_dark: 3",
            "input_collections_verify_dark, number_verification_tests_threshold_dark have no effect: no "
            "darks are processed in script_mode BIAS.",
        ),
        (
            "input_collections_bias: u/me/new",
            "input_collections_bias has no effect: no bias is made while generate_calibrations is False; a "
            "verification looks in input_collections_verify_bias.",
        ),
        (
            "do_verify: false\nnumber_verification_tests_threshold_flat: 3",
            "number_verification_tests_threshold_flat has no effect: nothing is verified",
        ),
        (
            "input_collections_defects: u/me",
            "input_collections_defects has no effect: no defects are made",
        ),
        (
            "do_gain_from_flat_pairs: false\ninput_collections_ptc: u/me",
            "input_collections_ptc has no effect: neither gains nor a photon transfer curve are measured.",
        ),
        ("keep_order: true", "keep_order has no effect: there is one set of flats only"),
        (
            "certify_if: better\ncertify: ask",
            "Nothing is certified: certify, certify_if have no effect while",
        ),
    ],
)
def test_what_is_written_for_nothing_is_noticed(text: str, notice: str) -> None:
    assert any(each.startswith(notice) for each in parse(text).notices), parse(text).notices


def test_what_has_an_effect_is_not_called_idle() -> None:
    made = "generate_calibrations: true\ncertify_calib_begin_date: 2022-11-04\ncalib_collection: u/new\n"
    texts = [
        "input_collections_verify_bias: u/me\nnumber_verification_tests_threshold_bias: 3",
        "input_collections_ptc: u/me\nexp_times_flat: 1",
        f"{made}input_collections_bias: u/me\ncertify: ask\ncertify_if: better",
        # New ones are compared with those in use.
        f"{made}do_verify: false\ninput_collections_verify_bias: u/me",
        # Defects of this generation are built on a bias and dark of their own.
        "do_defects: true\ninput_collections_bias: u/me\ninput_collections_defects: u/me\n"
        "certify_calib_begin_date: 2022-11-04\npipeline_generation: current",
    ]
    for text in texts:
        assert not [each for each in parse(text).notices if "no effect" in each]


def test_the_photon_transfer_curve_takes_the_first_set_with_a_pair() -> None:
    config = parse(
        "do_ptc: True\ncertify_calib_begin_date: 2022-11-04\n"
        "flat_sets: [{filter: 1, exp_times_flat: [1, 2]}, {filter: 2, exp_times_flat: [1, 1, 2, 2]}]"
    )

    assert config.notices[-2:] == (
        f"No gain can be measured for FLAT 1~current: {NO_PAIR}.",
        "The photon transfer curve is made from FLAT 2~current, the first set with a pair.",
    )


NO_DEFECTS = ("-c", "isr:doDefect=False")


def test_default_options_are_those_of_the_generation() -> None:
    current = parse("pipeline_generation: current\nconfig_options_flat: -c cpFlatIsr:doDefect=False")

    assert current.of(Product.FLAT).options == ("-c", "cpFlatIsr:doDefect=False")
    assert current.of(Product.BIAS).options == current.of(Product.PTC).options == ()
    assert current.notices == (
        "config_options_flat has no effect: no flat is made while generate_calibrations is False.",
    )

    # As the procedure has them.
    of_2022 = parse("pipeline_generation: 2022\nconfig_options_flat: ''\nconfig_options_dark: null")
    assert of_2022.pipeline_generation == "2022"
    for product in (Product.BIAS, Product.DARK, Product.DEFECTS):
        assert of_2022.of(product).options == NO_DEFECTS
    assert of_2022.of(Product.PTC).options == ("-c", "isr:doCrosstalk=False")
    assert of_2022.of(Product.FLAT).options == ()


@pytest.mark.parametrize("option", ["-c isr:doDark=False", "-cisr:doDark=False", "--config=isr:doDark=False"])
@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("config_options_bias", "cpBiasIsr"),
        ("config_options_dark", "cpDarkIsr"),
        ("config_options_flat", "cpFlatIsr"),
        ("config_options_defects", "cpMeasureDarkDefects"),
        ("config_options_ptc", "cpPtcIsr"),
    ],
)
def test_options_for_a_task_of_another_generation_are_refused(key: str, label: str, option: str) -> None:
    line = only_line(f"pipeline_generation: current\n{key}: {option}")

    assert line.startswith(f"{key}: '{option}': the pipelines of generation current have no task isr; write ")
    assert label in line

    line = only_line(f"pipeline_generation: 2022\n{key}: {option.replace('isr', label)}")
    assert f"generation 2022 have no task {label}; write isr or " in line
    assert 'pipeline_generation: "current"' in line


def test_options_for_a_task_of_no_generation_are_noticed() -> None:
    # Labels of cp_pipe from 2023-10 (f6ee93d9) to 2024-05.
    config = parse("config_options_bias: -c biasIsr:doDefect=False\nconfig_options_ptc: -c ptcIsr:a=False")

    assert config.of(Product.BIAS).options == ("-c", "biasIsr:doDefect=False")
    bias, ptc = [each for each in config.notices if "no effect" not in each]
    assert bias.startswith("config_options_bias: biasIsr: not among the known tasks of generation current")
    assert ptc.startswith("config_options_ptc: ptcIsr: ")


def test_auto_takes_the_generation_that_is_found_and_says_why() -> None:
    looked_at: list[str] = []

    def find(repo: str) -> tuple[str, str]:
        looked_at.append(repo)
        return "2022", f"{repo} has datasets of it"

    config = parse_for("repo: /repo/old", LATISS, find_generation=find)

    assert config.pipeline_generation == config.to_dict()["pipeline_generation"] == "2022"
    assert config.of(Product.BIAS).options == NO_DEFECTS
    assert config.notices == ("The pipelines are those of generation 2022: /repo/old has datasets of it.",)
    # What is written, and what a resumed run had, is not looked for.
    parse_for("pipeline_generation: current", LATISS, find_generation=find)
    resumed = parse_for(f"resume: {RUN_ID}", LATISS, runs("pipeline_generation: 2022"), find)
    assert resumed.pipeline_generation == "2022"
    assert parse_for(f"resume: {RUN_ID}", LATISS, find_generation=find).pipeline_generation == "current"
    assert looked_at == ["/repo/old"]


THREE_TYPES = (
    "exposures: {BIAS: [2022092900004], DARK: [2022092900026], FLAT: [2022092900049, 2022092900050]}"
)


def test_frames_taken_earlier_are_the_series() -> None:
    config = parse(
        "exposures: {FLAT: [2022092900050, 2022092900049], BIAS: [2022092900004], DARK: [2022092900026]}"
    )

    assert config.series == (
        Series(ImageType.BIAS, 0, (), exposures=(2022092900004,)),
        Series(ImageType.DARK, 0, (), exposures=(2022092900026,)),
        Series(ImageType.FLAT, 0, (), exposures=(2022092900050, 2022092900049)),
    )
    flats = series_of(config, ImageType.FLAT)
    assert (flats.name, flats.n, flats.n_frames, flats.kept_exp_times) == ("FLAT", 2, 2, ())
    assert config.notices == ()


@pytest.mark.parametrize("mode", ["", "script_mode: BIAS_DARK_FLAT\n"])
def test_the_default_mode_gives_way_to_that_of_frames_taken_earlier(mode: str) -> None:
    config = parse(f"{mode}exposures: {{DARK: [2022092900026], BIAS: [2022092900004]}}")

    assert config.script_mode == "BIAS_DARK"
    assert not config.do_gain_from_flat_pairs
    assert config.notices == ("script_mode is BIAS_DARK: exposures has no other frames.",)


def test_what_only_the_camera_would_do_has_no_effect_on_frames_taken_earlier() -> None:
    config = parse(
        f"{THREE_TYPES}\nn_dark: 4\nexp_times_flat: [1, 2, 3]\nwait_between_exposures: 3600\nreason: again\n"
        "flat_sets: [{filter: 1}, {filter: 1}]"
    )

    assert [series.name for series in config.series] == ["BIAS", "DARK", "FLAT"]
    assert config.notices == (
        "n_dark, exp_times_flat, flat_sets, wait_between_exposures, reason have no effect: exposures names "
        "frames taken earlier, no others are taken.",
    )


def test_pairs_of_flats_taken_earlier_are_not_known_yet() -> None:
    ptc = "do_ptc: True\ncertify_calib_begin_date: 2022-09-29\n"
    assert parse(ptc + THREE_TYPES).notices == ()

    line = only_line(ptc + THREE_TYPES.replace(", 2022092900050", ""))
    assert line == (
        "exposures.FLAT: [2022092900049]: do_ptc needs pairs of flats; "
        "write 2 ids or more, or do_ptc: False (line 3)"
    )


def test_the_problems_of_all_types_of_frames_taken_earlier_come_together() -> None:
    text = "n_bias: 0\nexposures:\n  BIAS: [2022092900004]\n  DARK: [3]\n  FLAT:\n  - a\n"

    assert [(problem.key, problem.line) for problem in problems(text)] == [
        ("n_bias", 1),
        ("exposures.DARK", 4),
        ("exposures.FLAT", 5),
    ]


RUN_ID = "20261123T053300-100001"


def runs(text: str) -> Earlier:
    """Return a look-up of runs, among which is one of this text."""
    config = parse(text).to_dict()

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        if run_id != RUN_ID:
            raise LookupError(f"there is no run {run_id}, only {RUN_ID}")
        return config

    return earlier


def test_a_run_is_resumed_with_the_configuration_it_had() -> None:
    earlier = runs(FAILING)

    config = parse(f"resume: {RUN_ID}\njob_timeout: 7200\nfail_on: [processing]", earlier)

    assert config == dataclasses.replace(
        parse(FAILING), resume=RUN_ID, job_timeout=7200, fail_on=("processing",)
    )
    assert config.notices == ()


@pytest.mark.parametrize(
    "text",
    [
        FAILING,
        SEVERAL_SETS,
        THREE_TYPES,
        "script_mode: BIAS\nexp_times_flat: [1, 2]\nfilter: a",
        "pipeline_generation: 2022",
        "exposures: {BIAS: [2022092900004]}\nn_bias: 3",
    ],
)
def test_a_run_is_resumed_unchanged(text: str) -> None:
    first = parse(f"resume: {RUN_ID}", runs(text))

    again = parse(f"resume: {RUN_ID}", lambda run_id, journal_dir: first.to_dict())

    assert again == first == dataclasses.replace(parse(text), resume=RUN_ID)
    assert all("no effect" not in notice or "Nothing is certified" in notice for notice in first.notices)


def test_notices_are_made_anew() -> None:
    earlier = runs(FAILING)

    config = parse(f"resume: {RUN_ID}\nnumber_verification_tests_threshold_dark: 17", earlier)

    assert config.notices == (
        "number_verification_tests_threshold_dark is 17: no dark can fail, LATISS has 16 amplifiers.",
    )


@pytest.mark.parametrize(
    "key_and_value",
    [
        "script_mode: BIAS",
        "n_bias: 4",
        "n_bias: 0",
        "n_discard_bias: 0",
        "exp_times_dark: [15, 15]",
        "exp_times_dark: 30",
        "filter: SDSSr_65mm",
        "grating: 1",
        "flat_sets: [{filter: 1}]",
        "detectors: [0]",
        "exposures: {BIAS: [2022092900004]}",
        "repo: /repo/other",
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_run_is_resumed_with_its_own_frames_only(key_and_value: str, is_known: bool) -> None:
    text = f"resume: {RUN_ID}\n{key_and_value}"

    (problem,) = problems(text, runs(FAILING) if is_known else None)

    key = key_and_value.split(":")[0]
    assert (problem.key, problem.line) == (key, 2)
    assert problem.what == "resume uses the frames of that run"
    assert problem.remedy == f"leave {key} out"


@pytest.mark.parametrize(
    ("earlier", "beside"), [(FAILING, "current"), (FAILING, "auto"), ("", "2022"), (None, "2022")]
)
def test_a_run_is_resumed_with_its_own_pipelines_only(earlier: str | None, beside: str) -> None:
    text = f"resume: {RUN_ID}\npipeline_generation: {beside}"

    (problem,) = problems(text, None if earlier is None else runs(earlier))

    assert (problem.key, problem.remedy) == ("pipeline_generation", "leave pipeline_generation out")


def test_a_mode_beside_the_id_of_a_run_is_one_problem() -> None:
    # The darks of that run do not fit their times, and none are taken.
    (problem,) = problems(f"resume: {RUN_ID}\nscript_mode: BIAS_DARK", runs("script_mode: BIAS\nn_dark: 3"))

    assert problem.key == "script_mode"


def test_a_run_is_looked_up_once_in_the_folder_that_the_text_names() -> None:
    asked = []

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        asked.append((run_id, journal_dir))
        return parse(FAILING).to_dict()

    parse(f"resume: {RUN_ID}\njournal_dir: /scratch/journals", earlier)
    assert problems(f"resume: {RUN_ID}\njournal_dir: a b", earlier)

    assert asked == [(RUN_ID, "/scratch/journals")]


def test_the_text_of_the_earlier_run_may_stand_beside_its_id() -> None:
    config = parse(f"{FAILING}resume: {RUN_ID}\nrepo: /repo/LATISS", runs(FAILING))

    assert config == dataclasses.replace(parse(FAILING), resume=RUN_ID)


def test_what_is_written_is_checked_together_with_what_was() -> None:
    text = f"resume: {RUN_ID}\ndo_defects: True\ncertify_calib_end_date: 1979-12-31\njob_retries: -1\nnote:3"

    assert [str(problem) for problem in problems(text, runs(FAILING))] == [
        "do_defects: True: needs biases, darks and flats, script_mode is BIAS_DARK; "
        "write do_defects: False (line 2)",
        "certify_calib_end_date: '1979-12-31': is not after certify_calib_begin_date, 1980-01-01; "
        "write a later end or an earlier beginning (line 3)",
        "job_retries: -1: is too small; write 0 or more (line 4)",
        "note: has no blank after the colon; write note: 3 (line 5)",
        'note: 3: must be text or null; write it in quotes: "3" (line 5)',
    ]


@pytest.mark.parametrize(
    ("before", "text", "key", "remedy"),
    [
        ("exp_times_flat: [1, 2]", "do_ptc: True", "do_ptc", "write do_ptc: False"),
        ("n_dark: 30\nexp_times_dark: 2500", "wait_between_exposures: 600", "wait_between_exposures", "less"),
    ],
)
def test_the_remedy_leaves_the_frames_of_the_earlier_run_alone(
    before: str, text: str, key: str, remedy: str
) -> None:
    (problem,) = problems(f"resume: {RUN_ID}\n{text}", runs(before))

    assert problem.key == key
    assert remedy in problem.remedy


def test_an_unknown_run_is_reported_with_all_other_problems() -> None:
    text = "resume: 20261123T053300-100002\njob_timeout: 0\nn_bias: 3"

    assert [str(problem) for problem in problems(text, runs(""))] == [
        f"resume: '20261123T053300-100002': there is no run 20261123T053300-100002, only {RUN_ID}; "
        "write the id of a run that exists, or leave resume out (line 1)",
        "job_timeout: 0: is too small; write more than 0 s (line 2)",
        "n_bias: 3: resume uses the frames of that run; leave n_bias out (line 3)",
    ]


def test_a_journal_without_a_usable_configuration_is_reported() -> None:
    (problem,) = problems(f"resume: {RUN_ID}", lambda run_id, journal_dir: {"n_bias": 0, "lamp": "on"})

    assert problem.key == "resume"
    assert problem.what == "the configuration of that run cannot be used: lamp: unknown"
    assert "exposures" in problem.remedy


def test_without_journals_the_rest_is_checked() -> None:
    # Nothing here may be compared with the defaults.
    config = parse(
        f"resume: {RUN_ID}\ncertify_calib_begin_date: 2051-01-01\nwait_between_exposures: 3600\ndo_verify: no"
    )

    assert config.resume == RUN_ID
    assert config.notices == (
        f"resume: the configuration of run {RUN_ID} is not read here; "
        "what is shown of frames and stages is that of the defaults.",
    )


def test_no_journal_is_read_where_nothing_is_resumed() -> None:
    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        raise AssertionError(run_id)

    assert parse("resume: null", earlier) == parse("")
    assert [problem.key for problem in problems("resume: a/b", earlier)] == ["resume"]


def test_what_is_done_where_something_fails() -> None:
    config = parse(
        "fail_on: [verification, processing]\ncertify: together\njob_retries: 0\njournal_dir: ~/journals"
    )

    assert config.fail_on == ("verification", "processing")
    assert (config.certify, config.job_retries, config.journal_dir) == ("together", 0, "~/journals")
    assert config.notices == (
        "Nothing is certified: certify has no effect while generate_calibrations is False.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        THREE_TYPES,
        "exposures: {BIAS: [2022092900004]}\nn_dark: 4\nflat_sets: [{filter: 1}, {filter: 1}]",
        f"resume: {RUN_ID}\nfail_on: [processing]",
        "spoilt_frames: exclude\nretakes: 3",
        "fail_on: [verification]\ncertify: together\njob_retries: 3\njournal_dir: /scratch/journals",
        TIMES_AND_NUMBERS,
        ANOTHER_PTC,
        FAILING,
        SEVERAL_SETS,
        "script_mode: BIAS\nn_dark: 5",
        "n_flat: 1000\nexp_times_flat: 0.1",
        "pipeline_generation: current",
        "flat_sets: [{filter: 0}, {grating: 1}]",
        "script_mode: DARK\nflat_sets: [{n_flat: 4, exp_times_flat: [1, 2]}]",
        "n_flat: 3\nexp_times_flat: [1]\nflat_sets: [{n_flat: 1}]",
    ],
)
def test_a_configuration_survives_json_and_yaml(text: str) -> None:
    config = parse(text)

    data = json.loads(json.dumps(config.to_dict()))

    assert data.keys() == load_schema(LATISS)["properties"].keys()
    assert parse(yaml.safe_dump(data)) == config


KEYS = st.sampled_from([*load_schema(LATISS)["properties"], "metadata", "n_darks", "<<", "?", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 100),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates().map(str),
    st.sampled_from(["BIAS", "FLAT", "-c a:b=c", "a/b,c", "1e3", "0x_", "0b_", "1:1.5", "!!int x", "&a *a"]),
)
SETS = st.lists(
    st.dictionaries(
        st.sampled_from(["filter", "grating", "n_flat", "exp_times_flat", "filters", 3]),
        st.one_of(
            st.integers(0, 4), st.sampled_from(["a", "b", None, 2.0]), st.lists(st.integers(1, 3)), SCALARS
        ),
        max_size=4,
    ),
    max_size=3,
)
VALUES = st.one_of(
    SCALARS, SETS, st.lists(SCALARS, max_size=4), st.dictionaries(SCALARS, SCALARS, max_size=2)
)
WRITTEN = st.lists(st.tuples(KEYS, st.sampled_from([": ", ": ", ": ", ":", "=", "\t: "]), VALUES), max_size=6)
YAML_LIKE = st.text(alphabet=string.printable + "\x00\x85\u2028\ud800é", max_size=200) | st.lists(
    st.sampled_from(
        [*"[]{}&*!|>%@`'\",:?-# \n\t=~", "a", "&a ", "*a", "<<", '"\\UFFFFFFFF"', "---\n", "...\n"]
    )
).map("".join)


def assert_accepted_or_explained(text: str) -> None:
    try:
        config = parse(text)
    except ConfigurationError as error:
        assert error.problems
        rest = str(error).split("\n")[1:]
        assert len(rest) == len(error.problems)
        assert all(line.isprintable() for line in rest)
    else:
        data = json.loads(json.dumps(config.to_dict()))
        assert parse(yaml.safe_dump(data)) == config
        assert len({series.name for series in config.series}) == len(config.series)


@settings(derandomize=True, max_examples=250, deadline=None)
@given(
    SETS,
    st.sampled_from(
        ["n_flat: 3", "n_flat: null", "exp_times_flat: [1, 1, 2]", "filter: a", "do_ptc: True", ""]
    ),
    st.sampled_from(["n_discard_flat: 0", "script_mode: BIAS", ""]),
)
def test_any_sets_of_flats_are_accepted_or_explained(sets: list[object], line: str, another: str) -> None:
    assert_accepted_or_explained(f"flat_sets: {json.dumps(sets)}\n{line}\n{another}")


@settings(derandomize=True, max_examples=250, deadline=None)
@given(YAML_LIKE | st.text(max_size=100))
def test_any_text_is_accepted_or_explained(text: str) -> None:
    assert_accepted_or_explained(text)


@settings(derandomize=True, max_examples=250, deadline=None)
@given(WRITTEN)
def test_any_values_are_accepted_or_explained(written: list[tuple[str, str, object]]) -> None:
    # Dumped as JSON, which YAML reads, or bare, as observers type.
    texts = [f"{key}{separator}{json.dumps(value, default=str)}" for key, separator, value in written]
    assert_accepted_or_explained("\n".join(texts))
    texts = [f"{key}{separator}{value}" for key, separator, value in written]
    assert_accepted_or_explained("\n".join(texts))
