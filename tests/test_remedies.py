# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message of the configuration proposes is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.config import (
    PRODUCT_PARAMETERS,
    ConfigurationError,
    Problem,
    load_schema,
    parse,
)
from lsst.ts.calibrationscripts.instruments import LATISS
from test_config import test_what_is_wrong_is_refused_with_a_remedy as refused

PROPERTIES: dict[str, dict[str, Any]] = load_schema(LATISS)["properties"]

_VALUE = r"""(\[[^\]]*\]|\{.*\}|"[^"]*"|'[^']*'|-c \S+|-?\d[\d.]*)"""
_PAIR = re.compile(rf"\b([a-z_]+): ({_VALUE}|[\w.]+)")
_LEAVE = re.compile(r"leave ([a-z_]+) out(?! and)")
_PLAIN = re.compile(
    rf"(?:write|for example|in quotes:|as a date:) {_VALUE}(?: s)?(?: or (?:more|less))?(?=$|,| \()"
)
_ENUM = re.compile(r"^write ([\w\"]+(?: or [\w\"]+)*)$")


def problems(text: str) -> tuple[Problem, ...]:
    try:
        parse(text, LATISS)
    except ConfigurationError as error:
        return error.problems
    return ()


def proposals(problem: Problem, written: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a configuration is once one has done as it says."""
    remedy, key = problem.remedy, problem.key
    if (found := _LEAVE.search(remedy)) and "[" not in key:
        left_out = key if found[1] == "it" else found[1]
        yield {name: value for name, value in written.items() if name != left_out}
    if key not in PROPERTIES:
        return
    plain = _PLAIN.search(remedy)
    if plain and _fits(key, value := yaml.safe_load(plain[1])):
        yield written | {key: value}
        return
    for found in _PAIR.finditer(remedy):
        if found[1] in PROPERTIES:
            yield written | {found[1]: yaml.safe_load(found[2])}
    if (found := _ENUM.match(remedy)) and "enum" in PROPERTIES[key]:
        for value in found[1].split(" or "):
            yield written | {key: yaml.safe_load(value)}


def _fits(key: str, value: object) -> bool:
    """Return whether a value is for the parameter, not for a part of it."""
    types = PROPERTIES[key]["type"]
    needs = {list: "array", dict: "object"}.get(type(value))
    return (
        needs in types
        if needs
        else bool({"integer", "number", "string"} & {*([types] if isinstance(types, str) else types)})
    )


def as_mapping(text: str) -> dict[str, Any] | None:
    try:
        written = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None
    # Without a value of its own, a text is no parameter and its value.
    return written if isinstance(written, dict) and all(isinstance(key, str) for key in written) else None


def cases() -> Iterator[tuple[str, Problem, dict[str, Any]]]:
    (mark,) = (mark for mark in refused.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    for text, _, _ in mark.args[1]:
        written = as_mapping(text)
        for problem in problems(text) if written is not None else ():
            for changed in proposals(problem, written):
                yield text, problem, changed


CASES = list(cases())


def test_enough_messages_propose_what_can_be_tried() -> None:
    assert len(CASES) >= 90


@pytest.mark.parametrize(
    ("text", "problem", "changed"),
    CASES,
    ids=[f"{i}-{problem.key}" for i, (_, problem, _) in enumerate(CASES)],
)
def test_what_a_message_proposes_is_accepted(text: str, problem: Problem, changed: dict[str, Any]) -> None:
    left = {each.key for each in problems(yaml.safe_dump(changed))}
    assert problem.key not in left, f"{text}: {problem.remedy}: {changed}"


# What a person writes who follows words

_IDS = "[2026112300001, 2026112300002, 2026112300003]"
EARLIER: dict[str, Any] = {"n_bias": 5}
BATCH = "job_service: bps\nbps_config: /etc/calibrations/slurm.yaml\n"
FOLLOWED = {
    "script_mode: NONE\nexposures: {BIAS: [20], DARK: []}": "exposures: {BIAS: [2022092900004]}",
    "publish: reports": "publish: s3://bucket/folder",
    "notify: [nowhere]": "notify: ['/etc/apprise.conf']",
    "notify: ['/etc/apprise.conf', '/etc/apprise.conf']": "notify: ['/etc/apprise.conf']",
    "detectors: [3]": "n_bias: 20",
    "flat_counts: [.nan, 3]": "script_mode: FLAT\nexp_times_flat: 5\nflat_counts: [20000, 40000]",
    "flat_counts: [4, 3]": "script_mode: FLAT\nexp_times_flat: 5\nflat_counts: [30000, 40000]",
    "flat_counts: [3, 4]": "script_mode: FLAT\nexp_times_flat: 5\nflat_counts: [20000, 40000]",
    "script_mode: FLAT\nexp_times_flat: 5\nflat_counts: [20000, 1e7]": (
        "script_mode: FLAT\nexp_times_flat: 5\nflat_counts: [20000, 40000]"
    ),
    "script_mode: FLAT\nn_flat: 2\nexp_times_flat: [5, 6]\nflat_counts: [20000, 40000]": (
        "script_mode: FLAT\nn_flat: 2\nexp_times_flat: 5\nflat_counts: [20000, 40000]"
    ),
    "script_mode: FLAT\nexp_times_flat: 200\nflat_counts: [20000, 40000]": (
        "script_mode: FLAT\nexp_times_flat: 30\nflat_counts: [20000, 40000]"
    ),
    "flat_counts: [20000, 40000]\nflat_counts_max: 3": "exp_times_flat: 5\nflat_counts: [20000, 40000]",
    "flat_counts_min: 40000\nflat_counts_max: 30000": "flat_counts_min: 40000\nflat_counts_max: 50000",
    'certify_calib_begin_date: "2023-01-01"\ncertify_calib_end_date: "2022-01-01"': (
        'certify_calib_begin_date: "2021-01-01"\ncertify_calib_end_date: "2022-01-01"'
    ),
    'certify_calib_begin_date: "2150-01-01"': 'certify_calib_begin_date: "2049-01-01"',
    'certify_calib_end_date: "1900-01-01"': 'certify_calib_end_date: "2100-01-01"',
    "certify_calib_begin_date: yesterday": "certify_calib_begin_date: '2022-11-04'",
    "n_bias: 100000\nwait_between_exposures: 1000": "n_bias: 10\nwait_between_exposures: 10",
    "hold_out: 3\ndo_verify: false\ngenerate_calibrations: true": "hold_out: 3\ngenerate_calibrations: true",
    "hold_out: 3\ngenerate_calibrations: true\nscript_mode: BIAS\nn_bias: 5": (
        "hold_out: 2\ngenerate_calibrations: true\nscript_mode: BIAS\nn_bias: 5"
    ),
    "hold_out: 2\ngenerate_calibrations: true\nscript_mode: BIAS\nn_bias: 3": (
        "hold_out: 2\ngenerate_calibrations: true\nscript_mode: BIAS\nn_bias: 4"
    ),
    "hold_out: 1": "hold_out: 0",
    "hold_out: <id>": "generate_calibrations: true\nhold_out: 20221104T120000-1",
    "exposures: {BIAS: [2022092900001], DARK: [2022092900002], FLAT: [2022092900003]}\ndo_ptc: true": (
        "exposures: {BIAS: [2022092900001], DARK: [2022092900002], FLAT: [2022092900003, 2022092900004]}\n"
        "do_ptc: true"
    ),
    "ocps_log_path: /logs/{job}/log": "ocps_log_path: /logs/{job_id}/log",
    'program: "a\\nb"': "program: a b",
    "reason: café": "reason: cafe",
    "calib_collection: ''": "calib_collection: LATISS/calib/daily",
    "calib_collection: LATISS calib": "calib_collection: LATISS/calib",
    "calib_collection: 'LATISS//calib'": "calib_collection: LATISS/calib",
    "repo: ''": "repo: /repo/LATISS",
    "repo: '$REPO'": "repo: /repo/LATISS",
    "repo: 'a b'": "repo: /a/b",
    "journal_dir: ''": "journal_dir: null",
    "journal_dir: '/a$b'": "journal_dir: /ab",
    "journal_dir: '<journals>'": "journal_dir: /scratch/journals",
    "publish: '$HOME/x'": "publish: /home/x",
    "publish: '<here>'": "publish: /home/x",
    "repo: <repo>": "repo: /repo/LATISS",
    "exp_times_bias: 9": "n_bias: 9",
    "exp_times_dark: 100000": "exp_times_dark: 100",
    "n_dark: 5": "n_dark: 5\nexp_times_dark: 10",
    "n_dark: 5\nexp_times_dark: [1, 2]": "n_dark: 2\nexp_times_dark: [1, 2]",
    "filter: '1'": "filter: 1",
    "filter: 'a/b'": "filter: SDSSr_65mm",
    "filter: [SDSSr_65mm, SDSSg_65mm]": "flat_sets: [{filter: SDSSr_65mm}, {filter: SDSSg_65mm}]",
    "flat_sets: [{filter: [SDSSr_65mm, SDSSg_65mm]}]": (
        "flat_sets: [{filter: SDSSr_65mm}, {filter: SDSSg_65mm}]"
    ),
    "exp_times_flat: 5, 6": "n_flat: 2\nexp_times_flat: [5, 6]",
    "flat_sets: [{filter: a}, {filter: a}]": "flat_sets: [{filter: a}, {filter: b}]",
    "flat_sets: [{filter: a, n_bias: 3}]": "n_bias: 3\nflat_sets: [{filter: a}]",
    "exposures: {BIAS: [2022092900001], FLAT: [2022092900003]}": (
        "exposures: {BIAS: [2022092900001], DARK: [2022092900002], FLAT: [2022092900003]}"
    ),
    "exposures: {BIAS: [1]}": "exposures: {BIAS: [2022092900004]}",
    "exposures: {BIAS: [9999999999999]}": "exposures: {BIAS: [2022092900004]}",
    "exposures: {BIAS: [2022092900004, 2022092900004]}": "exposures: {BIAS: [2022092900004]}",
    "exposures: {BIAS: [2022092900004], DARK: [2022092900004]}": "exposures: {BIAS: [2022092900004]}",
    "exposures: {BIAS: 2022092900004-9}": "exposures: {BIAS: [2022092900004]}",
    f"exposures: {{BIAS: {_IDS}}}\nwithout: [2026112300009]": (
        f"exposures: {{BIAS: {_IDS}}}\nwithout: [2026112300003]"
    ),
    "without: [2026112300001]": "n_bias: 3",
    "fail_on: [processing, processing]": "fail_on: [processing]",
    "pipeline_generation: '2022'\nconfig_options_bias: -c cpBiasIsr:doLinearize=False": (
        "pipeline_generation: 'current'\nconfig_options_bias: -c cpBiasIsr:doLinearize=False"
    ),
    "pipeline_generation: 'current'\nconfig_options_bias: -c isr:doLinearize=False": (
        "pipeline_generation: '2022'\nconfig_options_bias: -c isr:doLinearize=False"
    ),
    "config_options_bias: --nothing": "config_options_bias: -c cpBiasIsr:doLinearize=False",
    "config_options_bias: -i LATISS/calib": "input_collections_bias: LATISS/calib",
    "release: true\ndo_verify: false": "release: true",
    "release: true\nspoilt_frames: exclude": "release: true\nspoilt_frames: report",
    "release: true\ngenerate_calibrations: true": "release: true",
    "resume: run\nn_bias: 6": "resume: run",
    "resume: unknown": "n_bias: 3",
    "resume: batch\njob_service: ocps": "resume: batch",
    "job_service: ocps\nresume: batch": "job_service: ocps\nexposures: {BIAS: [2022092900004]}",
    "job_service: bps": "job_service: bps\nbps_config: /etc/calibrations/slurm.yaml",
    "bps_config: slurm.yaml": "bps_config: /etc/calibrations/slurm.yaml",
    "bps_config: /étc/slurm.yaml": "bps_config: /etc/calibrations/slurm.yaml",
    f"{BATCH}release: true": f"{BATCH}release: False",
    "incomplete: certify_rest": "n_bias: 20",
    "ignore: [at dome]": "ignore: [atwhitelight]",
    "resume: wrong": f"exposures: {{BIAS: {_IDS}}}",
    "resume:": "resume: run",
    "- n_bias": "n_bias: 20",
    "n_bias 20": "n_bias: 20",
    "n_bias: 3\n\tn_dark: 4": "n_bias: 3\nn_dark: 23",
    "n_bias: {a: 3}\nreason: {a: 3}": "n_bias: 3\nreason: dome",
    "exp_times_dark: (5, 10)": "n_dark: 2\nexp_times_dark: [5, 10]",
    "exp_times_dark: [5, 10": "n_dark: 2\nexp_times_dark: [5, 10]",
    'certify_calib_begin_date: "2022-01-01"\ncertify_calib_begin_date: "2023-01-01"': (
        'certify_calib_begin_date: "2022-01-01"\ncertify_calib_end_date: "2023-01-01"'
    ),
    "wait_between_exposures: 1e9": "wait_between_exposures: 10",
    "oods_timeout: 0": "oods_timeout: 5",
    "script_mode: DARK\nn_dark: 99\nexp_times_dark: 3600": "script_mode: DARK\nn_dark: 99\nexp_times_dark: 9",
    "script_mode: FLAT\nn_flat: 800\nexp_times_flat: {pairs: 400, exp_time: 3599}": (
        "script_mode: FLAT\nn_flat: 800\nexp_times_flat: {pairs: 400, exp_time: 5}"
    ),
    f"reason: {'x' * 201}": f"reason: {'x' * 200}",
    "ocps_log_path: /logs/{job_id}/{x}": "ocps_log_path: /logs/{job_id}/x",
    "exposures: {BIAS: AT_O_20220929_000004}": "exposures: {BIAS: [2022092900004]}",
    "x: !!python/name:os.system 3": "n_bias: 3",
    "\n".join(f"x{i}: 3" for i in range(2000)): "n_bias: 3",
    "n_bias: 3\n" + "# " * 200_000: "n_bias: 3",
}
"""By what is wrong, what follows the words of its remedies."""


def _earlier(run_id: str, folder: str | None) -> dict[str, Any]:
    if run_id == "unknown":
        raise LookupError
    return {"wrong": {"n_bias": -1}, "batch": yaml.safe_load(BATCH)}.get(run_id, EARLIER)


def with_earlier(text: str) -> tuple[Problem, ...]:
    """Return what is wrong where there is an earlier run."""
    try:
        parse(text, LATISS, _earlier)
    except ConfigurationError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("text", FOLLOWED, ids=lambda text: text[:40])
def test_what_follows_the_words_of_a_message_is_accepted(text: str) -> None:
    assert with_earlier(text)
    assert with_earlier(FOLLOWED[text]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "exposures: {BIAS: 20220929 00004}",
        "without: 4, 5",
        "exp_times_dark: 5, -10",
        "exp_times_flat: 5; 1e5",
    ],
)
def test_a_list_that_would_not_be_accepted_is_not_proposed(text: str) -> None:
    (problem,) = with_earlier(text)
    assert "in brackets" not in problem.remedy and "for example" in problem.remedy
    # while one that would be is
    (problem,) = with_earlier("exp_times_dark: 5; 10")
    assert problem.remedy == "write the list in brackets: [5, 10]"


@pytest.mark.parametrize("parameters", PRODUCT_PARAMETERS.values(), ids=lambda one: one.options)
@pytest.mark.parametrize("wrong", ["--nothing", "cpBiasIsr:doDefect=False", "-c x", "-C x", "a;b"])
def test_the_option_that_is_an_example_is_for_a_task_of_that_job(parameters: Any, wrong: str) -> None:
    (problem,) = problems(yaml.safe_dump({parameters.options: wrong}))
    (example,) = re.findall(r"for example (-[cC] \S+)", problem.remedy)
    config = parse(yaml.safe_dump({parameters.options: example}), LATISS)
    # That nothing is made is another matter.
    about = [notice for notice in config.notices if parameters.options in notice]
    assert not [notice for notice in about if "has no effect: no" not in notice]
