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

pytestmark = pytest.mark.slow

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
    result = CliRunner().invoke(main, [*command, "--json", str(folder / "run.json")])
    assert (folder / "run.json").exists(), result.output
    data: dict[str, Any] = json.loads((folder / "run.json").read_text())
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


@pytest.mark.parametrize(
    ("generation", "fault", "tests"),
    [
        ("current", "hot-region", {"GAINED"}),
        ("current", "dead-amplifier", {"AMPLIFIER", "GAINED"}),
        ("2022", "hot-region", {"GAINED"}),
    ],
)
def test_defects_of_a_detector_that_has_changed_are_held(
    tmp_path: Path, generation: str, fault: str, tests: set[str]
) -> None:
    data = simulate(tmp_path, generation, "--fault", fault)

    stages = {stage["name"]: stage for stage in data["stages"]}
    held = stages["generate DEFECTS"]
    assert held["outcome"] == "HELD", held
    found, _, first = held["reason"].partition("; the first: ")
    assert tests <= {each.partition(" (")[0] for each in found.split(", ")}
    assert first.startswith("detector 0 C00: ")
    assert stages["certify DEFECTS"]["outcome"] == "SKIPPED"
    assert certified(tmp_path) == []
    # Only this amplifier has changed.
    (measured,) = data["defects"]
    worst = max(measured["amplifiers"], key=lambda each: each["gained"])
    assert worst["amplifier"] == "C00"

    # When it is resumed, with a detector that is right again, its frames are
    # still what they were.
    again = simulate(tmp_path, generation, "--resume")
    stages = {stage["name"]: stage for stage in again["stages"]}
    assert stages["generate DEFECTS"]["outcome"] == "HELD"
    assert stages["generate DEFECTS"]["reason"] == held["reason"]
    assert certified(tmp_path) == []


@pytest.mark.parametrize("generation", ["current", "2022"])
def test_defects_of_a_detector_that_has_not_changed_are_certified(tmp_path: Path, generation: str) -> None:
    data = simulate(tmp_path, generation)

    stages = {stage["name"]: stage for stage in data["stages"]}
    assert stages["generate DEFECTS"]["outcome"] == "PASSED"
    assert stages["certify DEFECTS"]["outcome"] == "CERTIFIED"
    (proof,) = data["proofs"]
    assert proof["judgement"] == {"faults": [], "passed": True, "compared": True}
    assert proof["defects"] == data["defects"]
    assert proof["defects"][0]["previous"]["run"] == "LATISS/calib/reference"
    assert certified(tmp_path) == [f"{proof['certification']['source']}/run"]
