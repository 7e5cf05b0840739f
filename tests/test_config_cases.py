# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write in practice, and what they are to be answered."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from lsst.ts.calibrationscripts.config import CalibrationConfig, ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import ExposureRecord
from test_procedure import run
from world import World

DAILY = "generate_calibrations: true\ncalib_collection: LATISS/calib/daily/calib.2026NOV25.1\n"


def read(text: str) -> CalibrationConfig:
    return parse(text, LATISS)


def answers(text: str) -> list[str]:
    """Return what an observer reads who has written this."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def answer(text: str) -> str:
    (line,) = answers(text)
    return line


# Observing blocks.

BLOCK = {
    "n_bias": 1,
    "n_dark": 1,
    "exp_times_dark": 1,
    "n_flat": 2,
    "exp_times_flat": 1,
    "script_mode": "BIAS_DARK_FLAT",
    "filter": "empty_1",
    "grating": "empty_1",
    "program": "BLOCK-000",
}


def test_a_block_of_single_frames_as_json_is_valid_and_runs() -> None:
    assert [series.n for series in read(json.dumps(BLOCK)).series] == [1, 1, 2]
    assert run(World(), json.dumps(BLOCK)).complete


@pytest.mark.parametrize("written", ["$program", "${program}", "BLOCK-$number", "$_x"])
@pytest.mark.parametrize("key", ["program", "reason", "note", "calib_collection", "repo", "filter"])
def test_a_variable_of_a_block_that_is_left_in_is_a_placeholder(key: str, written: str) -> None:
    line = answer(json.dumps({key: written}))

    assert "is a placeholder; replace the placeholder by " in line


@pytest.mark.parametrize(
    "key", ["n_bias", "exp_times_flat", "do_verify", "script_mode", "resume", "detectors", "exposures"]
)
def test_a_variable_in_place_of_a_number_or_list_is_a_placeholder_too(key: str) -> None:
    assert "is a placeholder; replace the placeholder, for example by " in answer(json.dumps({key: "$x"}))


def test_a_price_is_not_a_placeholder() -> None:
    assert read("note: a lamp of 5 $ or $5").note == "a lamp of 5 $ or $5"


# Lists.


def test_times_without_brackets_are_refused_with_the_list_in_brackets() -> None:
    line = answer(
        "n_flat: 4\ndo_ptc: true\nexp_times_flat:\n        0.25,\n        0.25,\n        3.40,\n        3.40"
    )

    assert "write the list in brackets: [0.25, 0.25, 3.4, 3.4]" in line


def test_a_remedy_of_sixty_times_is_not_cut_short() -> None:
    times = [111.03 + i // 2 for i in range(60)]
    line = answer(f"n_flat: 60\nexp_times_flat: {', '.join(map(str, times))}")

    [remedy] = re.findall(r"in brackets: (\[.*\])", line)
    assert read(f"n_flat: 60\nexp_times_flat: {remedy}").series[-1].kept_exp_times == tuple(times)


@pytest.mark.parametrize(
    "written",
    ["[u/tester/latiss/sbias.2023.08.17, LATISS/calib]", '"u/tester/latiss/sbias.2023.08.17, LATISS/calib"'],
)
def test_collections_as_a_list_get_the_exact_text(written: str) -> None:
    assert "; write u/tester/latiss/sbias.2023.08.17,LATISS/calib (line 1)" in answer(
        f"input_collections_flat: {written}"
    )


def test_the_exact_text_of_many_collections_is_not_cut_short() -> None:
    names = [f"u/tester/DM-{i}/calib.20230428T210637Z" for i in range(40)]

    assert f"; write {','.join(names)} (line 1)" in answer(f"input_collections_flat: [{', '.join(names)}]")


# fmt: off
SHUFFLED = (
    0.25, 1.42, 6.53, 4.23, 30.04, 12.56, 57.75, 8.13, 2.73, 3.4, 1.77, 111.03, 37.35, 0.48, 0.59, 10.1, 1.14,
    0.2, 89.29, 71.81, 0.38, 0.31, 19.43, 2.2, 15.62, 0.92, 0.74, 24.16, 5.25, 46.44,
)
# fmt: on


def test_sixty_shuffled_times_of_a_photon_transfer_curve_are_valid() -> None:
    twice = [time for time in SHUFFLED for _ in range(2)]
    config = read(f"n_flat: 60\nexp_times_flat: {twice}\ndo_ptc: true\ncertify_calib_begin_date: 2026-11-25")

    assert config.series[-1].n == 60
    assert len(make_plan(config, LATISS).exposures) == 21 + 23 + 61


# YAML.


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("n_bias: 010", "write 10"),
        ("n_bias: 020", "write 20"),
        ("n_bias: 08", "write 8"),
        ("n_bias: +007", "write 7"),
        ("n_bias: -010", "write -10"),
        ("n_bias: 0_20", "write 20"),
        ("n_bias: !!int 010", "write 10"),
        ('n_bias: !!int "010"', "write 10"),
        ("exp_times_dark: 01.5", "write 1.5"),
        ("exp_times_dark: 00.5", "write 0.5"),
        ("exp_times_dark: [1, 05]", "write 5"),
        ("exp_times_dark: 1:30", "write 90"),
        ("exp_times_dark: 1:30.5", "write 90.5"),
        ("oods_timeout: 2:00", "write 120"),
        ("job_timeout: 1:00:00", "write 3600"),
        ("flat_sets: [{n_flat: 010}]", "write 10"),
        ("flat_sets: [{exp_times_flat: [1:00, 2]}]", "write 60"),
        ("exposures: {BIAS: [02022092900004]}", "write 2022092900004"),
    ],
)
def test_a_number_that_yaml_reads_as_another_is_refused_with_the_number_to_write(
    text: str, remedy: str
) -> None:
    assert answer(text).endswith(f"; {remedy} (line 1)")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("note: 010", 'write 10, or "010" in quotes for text'),
        ("filter: 01", 'write 1, or "01" in quotes for text'),
        ("reason: 12:30", 'write 750, or "12:30" in quotes for text'),
    ],
)
def test_where_text_can_be_meant_the_quotes_are_named_too(text: str, remedy: str) -> None:
    assert remedy in answer(text)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("exp_times_flat: 1e-1", "exp_times_flat", (0.1,) * 21),
        ("exp_times_dark: [1e1, 2E+1]\nn_dark: 2\nn_discard_dark: 0", "exp_times_dark", (10.0, 20.0)),
        ("n_bias: 2_0", "n_bias", 20),
        ("n_bias: 2e1", "n_bias", 20),
        ("job_timeout: 7_200", "job_timeout", 7200),
        ("n_bias: 0x10", "n_bias", 16),
        ("n_discard_bias: 0", "n_discard_bias", 0),
        ("exp_times_dark: 0.5", "exp_times_dark", (0.5,) * 23),
        ("program: 08", "program", "08"),
        ("note: 1e3", "note", "1e3"),
        ('note: "010"', "note", "010"),
    ],
)
def test_a_number_that_all_read_alike_is_read(text: str, key: str, value: object) -> None:
    config = read(text)

    assert getattr(config, key) == value
    assert read(yaml.safe_dump(config.to_dict())) == config


CANONICAL = """\
---
!!map {
  ? !!str "script_mode" : !!str "BIAS_DARK_FLAT",
  ? !!str "n_bias" : !!int "10",
  ? !!str "do_verify" : !!bool "true",
  ? !!str "exp_times_dark" : !!int "10",
  ? !!str "filter" : !!str "SDSSr_65mm",
  ? !!str "grating" : !!null "null",
  ? !!str "n_flat" : !!int "4",
  ? !!str "n_discard_flat" : !!int "0",
  ? !!str "exp_times_flat" : !!seq [ !!float "0.2", !!float "0.2", !!float "1.0", !!float "1.0" ],
  ? !!str "certify_calib_begin_date" : !!str "2026-11-25",
}
"""


def test_canonical_yaml_with_standard_tags_is_plain_yaml() -> None:
    dumped = (
        "script_mode: BIAS_DARK_FLAT\nn_bias: 10\ndo_verify: true\nexp_times_dark: 10\nfilter: SDSSr_65mm\n"
        "n_flat: 4\nn_discard_flat: 0\nexp_times_flat:\n- 0.2\n- 0.2\n- 1.0\n- 1.0\n"
        "certify_calib_begin_date: '2026-11-25'\n"
    )

    assert read(CANONICAL) == read(dumped)


def test_a_tag_makes_text_of_a_number() -> None:
    assert read("note: !!str 5").note == "5"
    assert read("certify_calib_begin_date: !!timestamp 2026-11-25").certify_calib_begin_date == "2026-11-25"


@pytest.mark.parametrize(
    "text",
    [
        "n_bias: !!int x",
        'n_bias: !!int ""',
        "n_bias: !!float x",
        "do_verify: !!bool maybe",
        "filter: !!null SDSSr_65mm",
        "n_bias: !!int [3]",
        "detectors: !!map [0]",
        "detectors: !!seq {a: 0}",
        "test_case: !!str {name: a}",
        "!!null {n_bias: 3}",
        "!!seq {n_bias: 3}",
        "note: !!binary aGVsbG8=",
        "detectors: !!set {0}",
        "note: !local x",
        "note: ! x",
        "note: !!python/name:os.system",
    ],
)
def test_a_tag_that_does_not_fit_or_is_not_standard_is_refused(text: str) -> None:
    assert answers(text)


def test_a_list_within_itself_is_refused() -> None:
    assert "detectors" in answer("detectors: &a [0, *a]")


# Dates.


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("20261125", "2026-11-25"),
        ('"20261125"', "2026-11-25"),
        ('"2026/11/25"', "2026-11-25"),
        ('"2026:329"', "2026-11-25"),
        ('"2026:329:12:00:00"', "2026-11-25T12:00:00"),
        ('"2026-11-25T12:00:00(TAI)"', "2026-11-25T12:00:00"),
        ("2026-11-25T12:00:00 TAI", "2026-11-25T12:00:00"),
        ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00"),
        ("2026-11-25 12:00:00 UTC", "2026-11-25T12:00:00"),
        ("2026-11-25 09:00:00 -03:00", "2026-11-25T12:00:00"),
        ("2026-11-25T09:00-0300", "2026-11-25T12:00:00"),
    ],
)
def test_a_date_in_another_form_in_use_gets_the_date_to_write(written: str, meant: str) -> None:
    line = answer(f"certify_calib_begin_date: {written}")

    assert f'"{meant}"' in line
    assert read(f'certify_calib_begin_date: "{meant}"').certify_calib_begin_date == meant


@pytest.mark.parametrize("written", ["2026-11-25T12:00:00Z", "2026-11-25 09:00:00 -03:00"])
def test_a_time_zone_is_refused_because_dates_are_tai(written: str) -> None:
    assert "has a time zone, but dates are TAI" in answer(f"certify_calib_begin_date: {written}")


@pytest.mark.parametrize("written", ["20261325", '"2026:400"', '"9999-12-31T23:00:00-03:00"', "12345678901"])
def test_what_is_not_a_date_in_any_form_gets_an_example(written: str) -> None:
    assert "write" in answer(f"certify_calib_begin_date: {written}")


def test_bare_dates_are_valid() -> None:
    config = read(
        f"{DAILY}certify_calib_begin_date: 2026-11-25\ncertify_calib_end_date: 2026-11-26 12:00:00\n"
    )

    assert config.certify_calib_begin_date == "2026-11-25"
    assert config.certify_calib_end_date == "2026-11-26 12:00:00"


# Filters.


def test_a_list_of_filters_points_to_flat_sets() -> None:
    line = answer("filter: [SDSSg_65mm, SDSSr_65mm]\ngrating: empty_1")

    [remedy] = re.findall(r"flat_sets: \[.*\]", line)
    config = read(f"{remedy}\ngrating: empty_1")
    assert [series.filter for series in config.series[2:]] == ["SDSSg_65mm", "SDSSr_65mm"]


def test_a_list_of_filters_within_a_set_gets_a_set_for_each() -> None:
    assert "write a set for each: {filter: SDSSg_65mm}, {filter: SDSSr_65mm}" in answer(
        "flat_sets: [{filter: [SDSSg_65mm, SDSSr_65mm], grating: empty_1}]"
    )


def test_a_slot_in_quotes_is_told_that_the_quotes_make_it_a_name() -> None:
    lines = answers('flat_sets: [{filter: "1", grating: "0"}]')

    why = "is a name, because of the quotes; write {}, without quotes, for the ID (line 1)"
    assert lines == [
        f"flat_sets[0].filter: '1': {why.format(1)}",
        f"flat_sets[0].grating: '0': {why.format(0)}",
    ]


def test_a_physical_filter_is_taken_apart_into_filter_and_grating() -> None:
    assert answer("filter: SDSSr_65mm~empty_1").endswith(
        "write filter: SDSSr_65mm, grating: empty_1 (line 1)"
    )


# Frames taken earlier.


@pytest.mark.parametrize(
    "written",
    [
        "[2022092900004..2022092900007]",
        "2022092900004-2022092900007",
        "2022092900004 to 2022092900007",
        "2022092900004, 2022092900005, 2022092900006, 2022092900007",
    ],
)
def test_a_range_of_exposures_gets_the_list_to_write(written: str) -> None:
    line = answer(
        f"exposures: {{BIAS: {written}}}" if written[0] == "[" else f"exposures:\n  BIAS: {written}"
    )

    [remedy] = re.findall(r"(\[[\d, ]*\]) \(line", line)
    config = read(f"exposures: {{BIAS: {remedy}}}")
    assert config.exposures == {"BIAS": tuple(range(2022092900004, 2022092900008))}


def test_a_range_that_is_too_long_to_write_out_gets_its_ends() -> None:
    assert "[2022092900004, 2022093000023]" in answer("exposures: {BIAS: 2022092900004-2022093000023}")


def test_an_image_name_gets_its_exposure_id() -> None:
    assert "write for example [2022092900004]" in answer("exposures: {BIAS: [AT_O_20220929_000004]}")
    assert "write for example [2022092900004" in answer("exposures: {BIAS: AT_C_20220929_000004}")


def test_a_single_exposure_and_ids_as_text_get_the_list_of_numbers() -> None:
    assert "write [2022092900004]" in answer("exposures: {BIAS: 2022092900004}")
    assert "write 2022092900004, without quotes" in answer('exposures: {BIAS: ["2022092900004"]}')


def test_frames_of_two_observing_days_are_all_processed() -> None:
    # Given biases of two days, as they are on both sides of 12:00 UTC
    ids = (2026112500001, 2026112400002, 2026112400001, 2026112500002)
    world = World()
    world.exposures = {i: ("", ExposureRecord("BIAS", 0.0, "empty_1~empty_1", "", 0.0, 1.0)) for i in ids}

    assert run(world, f"exposures: {{BIAS: {list(ids)}}}").complete

    (request,) = world.requests.values()
    assert set(re.findall(r"\d{13}", request.data_query)) == set(map(str, ids))


def test_frames_of_two_days_are_one_series() -> None:
    ids = [2026112500001, 2026112400002, 2026112400001, 2026112500002]
    (series,) = read(f"exposures: {{BIAS: {ids}}}").series

    assert (series.image_type, series.exposures) == (ImageType.BIAS, tuple(ids))


# Resuming, and the log of a job.


@pytest.mark.parametrize("written", ["resume:", "resume: ''", 'resume: "  "', "resume: # the last one"])
def test_resume_without_an_id_is_not_a_new_run(written: str) -> None:
    assert answer(written).endswith(
        "is empty; write the id of the run that is to be resumed, or leave resume out (line 1)"
    )


@pytest.mark.parametrize("written", ["resume: null", "resume: ~"])
def test_resume_null_is_a_new_run(written: str) -> None:
    assert read(written).resume is None


@pytest.mark.parametrize(
    "path",
    [
        "/scratch/{job_id}/{x}.log",
        "/scratch/{job_id.__class__}/{job_id}",
        "/scratch/{job_id}/{0}",
        "/scratch/{job_id}/{}",
        "/scratch/{job_id}/{",
        "/scratch/{job_id}}/x",
        "/scratch/{{job_id}}/x",
        "/scratch/{job_id!r}/{job_id}",
        "/scratch/{job_id:>9999999999}/{job_id}",
        "/scratch/ocps.log",
        "$HOME/{job_id}.log",
    ],
)
def test_a_log_path_that_cannot_be_filled_in_is_refused_when_it_is_configured(path: str) -> None:
    assert "job_id" in answer(f"ocps_log_path: '{path}'") or "placeholder" in answer(
        f"ocps_log_path: '{path}'"
    )


def test_a_log_path_is_kept_as_it_is_written() -> None:
    path = "/scratch/{job_id}/outs/{job_id}.log"
    assert read(f"ocps_log_path: '{path}'").ocps_log_path == path
