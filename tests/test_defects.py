# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detectors that are no longer as they were, through whole simulated runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lsst.daf.butler import Butler, CollectionType, MissingCollectionError
from lsst.ts.calibrationscripts.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = """\
pipeline_generation: "{generation}"
script_mode: BIAS_DARK_FLAT
n_bias: 3
n_dark: 3
exp_times_dark: 5
n_flat: 2
exp_times_flat: 5
do_defects: true
do_gain_from_flat_pairs: false
calib_collection: LATISS/calib/daily
"""


def simulate(folder: Path, generation: str, *options: str) -> dict[str, Any]:
    """Run a configuration of few and small frames; return the run's JSON."""
    config = folder / "config.yaml"
    config.write_text(RUN.format(generation=generation))
    command = ["simulate", str(config), "--workdir", str(folder / "work"), "--scale", "16", *options]
    report = folder / "run.json"
    report.unlink(missing_ok=True)
    result = CliRunner().invoke(main, [*command, "--json", str(report)])
    assert report.exists(), result.output
    data: dict[str, Any] = json.loads(report.read_text())
    return data


def certified(folder: Path) -> list[str]:
    with Butler.from_config(str(folder / "work" / "repo")) as butler:
        try:
            associations = butler.registry.queryDatasetAssociations(
                "defects",
                collections=["LATISS/calib/daily"],
                collectionTypes={CollectionType.CALIBRATION},
            )
            return [association.ref.run for association in associations]
        except MissingCollectionError:
            return []


def held(data: dict[str, Any], folder: Path) -> str:
    """Return why the defects are held; nothing is certified then."""
    stages = {stage["name"]: stage for stage in data["stages"]}
    assert stages["generate DEFECTS"]["outcome"] == "HELD", stages["generate DEFECTS"]
    assert stages["certify DEFECTS"]["outcome"] == "SKIPPED"
    assert certified(folder) == []
    return str(stages["generate DEFECTS"]["reason"])


def test_defects_of_a_dead_amplifier_are_held(tmp_path: Path) -> None:
    data = simulate(tmp_path, "current", "--fault", "dead-amplifier")

    found, _, first = held(data, tmp_path).partition("; the first: ")
    assert {each.partition(" (")[0] for each in found.split(", ")} >= {"AMPLIFIER", "GAINED"}
    assert first.startswith("detector 0 C00: ")
    (measured,) = data["defects"]
    assert measured["previous"]["run"] == "LATISS/calib/reference"
    worst = max(measured["amplifiers"], key=lambda each: each["gained"])
    assert worst["amplifier"] == "C00"


def test_defects_of_a_hot_region_are_held_and_so_by_a_resumed_run(tmp_path: Path) -> None:
    # Given a run with a hot region
    reason = held(simulate(tmp_path, "2022", "--fault", "hot-region"), tmp_path)
    assert reason.startswith("GAINED (1)")
    # When it is resumed with a detector that is right again
    again = simulate(tmp_path, "2022", "--resume")
    # Then its frames are still what they were.
    assert held(again, tmp_path) == reason
