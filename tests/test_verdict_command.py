# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""``calibscripts verdict`` judges saved statistics, or says in a sentence
why it does not."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cp_verify_forms import detector_level, exposure_level, run_level
from lsst.ts.calibrationscripts.cli import _statistics, main
from named import unfolded
from test_verification import AMPLIFIERS, failures

FIRST = 2026112500061
NOISY = detector_level({amplifier: ["NOISE"] for amplifier in AMPLIFIERS})
CLEAN = detector_level({amplifier: [] for amplifier in AMPLIFIERS})
FLATS = {FIRST + i: exposure_level({"RXX_S00": NOISY if i < 2 else CLEAN}) for i in range(3)}


def verdict(*args: object) -> Result:
    return CliRunner().invoke(main, ["verdict", *map(str, args), "--type", "FLAT"])


def written(path: Path, data: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (json.dumps({"1": {"SUCCESS": True}, "2": {"SUCCESS": True}, "SUCCESS": True}), 0),
        (
            "{1: {'SUCCESS': True}, 2: {'FAILURES': ['RXX_S00 C00 NOISE'], 'SUCCESS': False}}",
            0,
        ),
        ("1: {SUCCESS: true}\nRUN: {SCATTER: .nan}\nVERIFY: {RUN: {SCATTER: false}}\nSUCCESS: false", 0),
        ("1: {SUCCESS: true}\n2: {SUCCESS: true}\n", 0),
        (f"1: {{FAILURES: {failures('NOISE')}}}", 3),
        ("1: &a {SUCCESS: true}\n2: *a\n", 0),
    ],
    ids=["of a notebook", "printed", "tests of the run", "no SUCCESS", "of 2022", "an alias"],
)
def test_statistics_as_people_save_them_are_judged(tmp_path: Path, text: str, code: int) -> None:
    result = verdict(written(tmp_path / "stats.yaml", text))
    assert (result.exit_code, result.stderr) == (code, "")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
NUMPY = """
? !!python/object/apply:numpy._core.multiarray.scalar
- !!python/object/apply:numpy.dtype
  args: [i8, false, true]
: SUCCESS: true
"""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "too many aliases or values"),
        ("1: {SUCCESS: true}\n" + BOMB, "too many aliases or values"),
        ("[" * 5000, "too deeply nested"),
        ("- " * 5000, "too deeply nested"),
        ("1: &a {SUCCESS: *a}", "neither true nor false"),
        ("&a 1: {SUCCESS: true, FAILURES: [*a, *a]}", "FAILURES is not a list of texts"),
        ("1: &a {SUCCESS: true}\n2: {<<: *a}", "line 2: has a merge key"),
        ("1: {SUCCESS: false, FAILURES: [a b]}\n1: {SUCCESS: true}", "line 2: 1 is given twice; read"),
        ("1: {SUCCESS: false, FAILURES: [a b]}\n'1': {SUCCESS: true}", "line 2: 1 is given twice"),
        ("1: {SUCCESS: false, SUCCESS: true, FAILURES: [a b]}", "SUCCESS is given twice"),
        ("16: {SUCCESS: false, FAILURES: [a b]}\n0x10: {SUCCESS: true}", "a key is given twice"),
        (NUMPY, "line 2: holds objects of Python or numpy; save it again"),
        ("1: !!python/name:os.system", "holds objects of Python"),
        ("1: !x {SUCCESS: true}", "line 1: a word that begins with '!'"),
        ("? [1]\n: {SUCCESS: true}", "unhashable key"),
        ("SUCCESS: true", "hold no exposure"),
        ("1: {SUCCESS: true}\n---\n2: {SUCCESS: true}", "expected a single document"),
        ("null", "not NoneType"),
        ("\x00", "not plain YAML"),
        ('"\\U00110000"', "not plain YAML"),
        ("1: {SUCCESS: false, FAILURES: null}", "FAILURES is not a list of texts but null"),
        (f"{'9' * 50}: {{SUCCESS: true}}", "the number is too long"),
        (yaml.safe_dump(FLATS[FIRST]), "one exposure, by detector.* give the dataset verifyFlatStats"),
        (yaml.safe_dump(NOISY), "one detector in one exposure.* give the dataset verifyFlatStats"),
        (
            "RXX_S00: {SUCCESS: false, FAILURES: [C00 CR_NOISE]}\nSUCCESS: false",
            "give the dataset verifyFlatStats",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    begin = time.monotonic()
    result = verdict(written(tmp_path / "stats.yaml", text))
    assert result.exit_code == 2 and result.stdout == "", result.output
    result_line = result.stderr.strip()
    assert "not usable as run statistics" in result_line
    assert "\n" not in result_line and len(result_line) < 400 + len(str(tmp_path))
    assert re.search(complaint, result_line), result_line
    assert time.monotonic() - begin < 30


def test_what_is_longer_than_any_statistics_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    file = written(tmp_path / "stats.yaml", {i: {"SUCCESS": True} for i in range(1, 400)})
    assert verdict(file).exit_code == 0
    monkeypatch.setattr(_statistics._StatisticsLoader, "max_values", 1000)
    assert "too many aliases or values" in verdict(file).stderr
    monkeypatch.setattr(_statistics._StatisticsLoader, "max_characters", 1000)
    result = verdict(file)
    assert result.exit_code == 2 and "more than 1000 characters" in result.stderr


def test_a_file_without_the_list_names_the_dataset_to_give_as_well(tmp_path: Path) -> None:
    # Given two flats, both of which failed
    bad = {exposure: FLATS[exposure] for exposure in (FIRST, FIRST + 1)}
    file = written(tmp_path / "verifyFlatStats.yaml", run_level(bad))
    result = verdict(file)
    assert result.exit_code == 3
    assert "failed without a list of tests; see dataset verifyFlatExpStats" in result.stdout
    assert "Save their verifyFlatExpStats too, and give that with --exposure-stats" in result.stderr
    # JSON stays JSON
    data = json.loads(verdict(file, "--json").stdout)
    assert data["failed_exposures"] == [FIRST, FIRST + 1]
    assert [each["level"] for each in data["exposures"]] == ["none", "none"]


@pytest.mark.parametrize("form", ["folder", "files", "mapping"])
def test_exposure_stats_give_the_list(tmp_path: Path, form: str) -> None:
    file = written(tmp_path / "verifyFlatStats.yaml", run_level(FLATS))
    if form == "mapping":
        given = [written(tmp_path / "all.yaml", FLATS)]
    else:
        # The Butler's own names have the observation id.
        names = [f"verifyFlatExpStats_LATISS_AT_O_20261125_{61 + i:06}_u_ocps_1.yaml" for i in range(3)]
        given = [
            written(tmp_path / "d" / name, statistics)
            for name, statistics in zip(names, FLATS.values(), strict=True)
        ][:2]
        written(tmp_path / "d" / "notes.yaml", "a: 1")
    paths = [tmp_path / "d"] if form == "folder" else given
    result = verdict(file, *(word for path in paths for word in ("--exposure-stats", path)))
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert "2 exposure(s); these were read from verifyFlatExpStats (exposure level)" in unfolded(
        result.stdout
    )
    assert "NOISE: 16" in result.stdout


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        (f"{FIRST}.yaml", NOISY, "one detector in one exposure.* give the dataset verifyFlatExpStats"),
        (f"{FIRST}.yaml", "null", "expected a mapping"),
        (f"{FIRST}.yaml", "a: *b", "undefined alias"),
        ("stats.yaml", FLATS[FIRST], "name each file by its exposure id"),
        (
            "stats.yaml",
            run_level(FLATS),
            f"verifyFlatExpStats of exposure {FIRST}: expected|no failure|SUCCESS",
        ),
    ],
)
def test_exposure_stats_of_another_kind_are_refused(
    tmp_path: Path, name: str, data: object, complaint: str
) -> None:
    file = written(tmp_path / "run.yaml", run_level(FLATS))
    result = verdict(file, "--exposure-stats", written(tmp_path / "d" / name, data))
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert re.search(complaint, result.stderr), result.stderr


def test_exposure_stats_of_one_exposure_are_given_once(tmp_path: Path) -> None:
    file = written(tmp_path / "run.yaml", run_level(FLATS))
    given = written(tmp_path / "d" / f"{FIRST}.yaml", FLATS[FIRST])
    result = verdict(file, "--exposure-stats", given, "--exposure-stats", tmp_path / "d")
    assert result.exit_code == 2 and f"exposure {FIRST} is given twice" in result.stderr


# Statistics of biases of three detectors of LSSTCam

ALL_NOISY = [f"R22_S11 {name} NOISE" for name in AMPLIFIERS]
DEAD = {1 + i: {"SUCCESS": False, "FAILURES": ALL_NOISY} for i in range(3)}


def of_lsstcam(file: Path, *words: str) -> Result:
    options = ["--type", "BIAS", "--instrument", "LSSTCam", *words]
    return CliRunner().invoke(main, ["verdict", str(file), *options])


def test_the_detectors_that_were_processed_can_be_told(tmp_path: Path) -> None:
    file = written(tmp_path / "stats.yaml", DEAD)
    # Given that one of three fails, or one of one
    result = of_lsstcam(file, "--detectors", "0-1, 94")
    assert result.exit_code == 3
    assert "1 of 3 detectors fails by itself" in result.stdout
    assert "Acceptable maximum number of failed detectors: 2" in result.stdout
    result = of_lsstcam(file, "--detectors", "94", "--json")
    assert result.exit_code == 3 and json.loads(result.stdout)["n_detectors"] == 1


@pytest.mark.parametrize(
    ("detectors", "complaint"),
    [
        ("0-8", "stats.yaml: has failures of R22_S11, which --detectors leaves out"),
        (
            "188-191",
            "--detectors 188-191: 189-190 is not a detector of LSSTCam that is processed; they are 0-188",
        ),
        ("R22_S11", "--detectors R22_S11: write ids and ranges of them, such as 0-8,94"),
        ("8-0", "--detectors 8-0: a range begins with its lower id"),
        ("", "--detectors : write ids and ranges of them"),
    ],
)
def test_detectors_that_cannot_be_are_refused(tmp_path: Path, detectors: str, complaint: str) -> None:
    result = of_lsstcam(written(tmp_path / "stats.yaml", DEAD), "--detectors", detectors)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in unfolded(result.stderr)
