# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One detector of many of LSSTCam is bad, late or missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LSSTCAM
from named import unfolded
from simulating import simulate

pytestmark = [pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(3600)]

ALL = LSSTCAM.detector_ids()
SOME = (*range(0, 189, 5), 191, 204)
"""Two of each science raft or one, and two halves in the corners."""

LAST = "R44_SW1"
"""The detector that a fault strikes."""

BIAS = {"script_mode": "BIAS", "n_bias": 3, "generate_calibrations": True, "n_processes": 2}
OODS_TIMEOUT = 150
"""Longer than a busy machine takes to ingest 40 files (s)."""


def run(folder: Path, *words: object, config: Mapping[str, Any] | None = None) -> tuple[int, str, Any]:
    """Simulate a run; return its exit code, what it says, and its JSON."""
    data = folder / "run.json"
    words = ("--instrument", "LSSTCam", "--scale", 64, "--json", data, *words)
    code, text = simulate(folder, *words, config=config)
    assert data.is_file(), text
    return code, text, json.loads(data.read_text())


def certified(folder: Path) -> set[int]:
    """Return the ids of the detectors whose bias is certified."""
    with Butler.from_config(str(folder / "w/repo")) as butler:
        if not butler.collections.query("LSSTCam/calib/daily*"):
            return set()
        refs = butler.query_datasets(
            "bias", collections="LSSTCam/calib/daily", find_first=False, explain=False, limit=None
        )
        return {int(ref.dataId["detector"]) for ref in refs}


def outcomes(data: Any) -> dict[str, str]:
    return {stage["name"]: stage["outcome"] for stage in data["stages"]}


def assert_legible(text: str, page: Path, n_detectors: int) -> None:
    """Check that many detectors fill neither a terminal nor a disk."""
    assert max(map(len, text.splitlines())) < 300
    assert len(text.splitlines()) < 120
    # No file had to be looked for, because its event was lost.
    assert "never reported" not in text
    assert page.stat().st_size < 30_000 * n_detectors
    assert page.with_suffix(".json").stat().st_size < 20_000 * n_detectors


def assert_left_out(folder: Path, code: int, text: str, data: Any, why: str, n_detectors: int) -> None:
    """Check that a run has certified all detectors but the last."""
    assert code == 3, text
    assert outcomes(data)["certify BIAS"] == "CERTIFIED"
    (stage,) = (stage for stage in data["stages"] if stage["name"] == "certify BIAS")
    assert stage["reason"].startswith(f"without 1 of {n_detectors} detectors: {LAST}: {why}")
    assert f"Everything passed, but not for all detectors: {LAST} is left out" in unfolded(text)
    assert "'detectors: [204]'" in unfolded(text)
    assert_legible(text, folder / f"w/journal/{data['run_id']}.html", n_detectors)


def test_a_bad_one_of_197_is_named_and_the_rest_is_certified(tmp_path: Path) -> None:
    # Given all detectors of LSSTCam, the last of which is noisy
    config = BIAS | {"incomplete": "certify_rest", "oods_timeout": 900}
    code, text, data = run(tmp_path, "--fault", "bad-detector", config=config)
    # Then it is left out, with its reason, and the others are certified.
    assert_left_out(tmp_path, code, text, data, "NOISE on 8 amplifiers in 3 of 3 exposures", len(ALL))
    assert data["verdicts"]["BIAS"]["n_detectors"] == len(ALL)
    assert certified(tmp_path) == set(ALL) - {204}


def test_a_late_one_of_many_is_waited_for(tmp_path: Path) -> None:
    config = BIAS | {"detectors": list(SOME), "oods_timeout": 600}
    code, text, data = run(tmp_path, "--fault", "detector-late", config=config)
    assert code == 0, text
    assert certified(tmp_path) == set(SOME)
    assert_legible(text, tmp_path / f"w/journal/{data['run_id']}.html", len(SOME))


def test_a_missing_one_of_many_is_left_out_and_the_rest_is_certified(tmp_path: Path) -> None:
    config = BIAS | {"detectors": list(SOME), "oods_timeout": OODS_TIMEOUT, "incomplete": "certify_rest"}
    code, text, data = run(tmp_path, "--fault", "detector-missing", config=config)
    assert_left_out(tmp_path, code, text, data, "not in the Butler: exposures 20", len(SOME))
    assert certified(tmp_path) == set(SOME) - {204}
    # No job was about it.
    assert data["verdicts"]["BIAS"]["n_detectors"] == len(SOME) - 1


def test_a_missing_one_of_many_holds_all_until_it_has_come(tmp_path: Path) -> None:
    # Given an observer who wants all or nothing,
    config = BIAS | {"detectors": list(SOME), "oods_timeout": OODS_TIMEOUT}
    code, text, data = run(tmp_path, "--fault", "detector-missing", config=config)
    # then nothing is certified, and the detector is named.
    assert code == 3, text
    assert outcomes(data)["expose BIAS"] == "FAILED"
    assert f"1 of {len(SOME)} detectors: {LAST}: not in the Butler: exposures" in unfolded(text)
    assert certified(tmp_path) == set()
    # When the OODS has ingested what it had left, and the run is resumed,
    code, text, data = run(tmp_path, "--resume")
    # then all is certified, from the same frames.
    assert code == 0, text
    assert certified(tmp_path) == set(SOME)
    assert len(data["exposures"]["BIAS"]) == 4
