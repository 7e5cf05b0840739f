# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera of two detectors, from its configuration to certified biases."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.observatory.queue import run_script
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from made_up_camera import DUO, MakeDuoCalibrations

TIMEOUT = 280.0
"""What the run may take at most (s)."""

CONFIG = {
    "script_mode": "BIAS",
    "n_bias": 20,
    "generate_calibrations": True,
    "calib_collection": "Duo/calib/daily",
}


def test_its_script_is_short() -> None:
    assert len(inspect.getsource(MakeDuoCalibrations).splitlines()) <= 40


def test_its_defaults_are_its_own() -> None:
    config = parse("", DUO)
    assert config.repo == DUO.repo
    assert config.calib_collection.startswith(DUO.calib_collection)


def test_it_has_no_gratings() -> None:
    assert parse("filter: SDSSr_65mm", DUO).series[-1].filter == "SDSSr_65mm"
    with pytest.raises(ConfigurationError, match="grating"):
        parse("grating: holo4_003", DUO)


def test_its_biases_are_planned_for_both_detectors() -> None:
    config = parse(yaml.safe_dump(CONFIG), DUO)
    assert DUO.detector_ids(config.detectors) == (0, 1)
    plan = make_plan(config, DUO)
    assert [stage.name for stage in plan.stages] == [
        *("expose BIAS", "generate BIAS", "verify BIAS", "certify BIAS")
    ]


@pytest.mark.slow
async def test_its_biases_are_certified_for_both_detectors(topics: None, tmp_path: Path) -> None:
    # Given an observatory that has this camera
    observatory = SimulatedObservatory(
        tmp_path, instrument=DUO, settings=SimulationSettings(scale=32), time_scale=0.005
    )
    scripts: list[MakeDuoCalibrations] = []

    def make_script(index: int) -> MakeDuoCalibrations:
        scripts.append(MakeDuoCalibrations(index=index))
        return scripts[0]

    # When the queue runs its script
    async with observatory:
        here = {"repo": str(observatory.repo), "ocps_log_path": observatory.ocps_log_path}
        config = yaml.safe_dump(CONFIG | here)
        result = await run_script(make_script, config, group_id="2026-11-25T14:00:00.000", timeout=TIMEOUT)

    # Then the biases of both detectors pass
    assert (result.state, result.metadata.instrument) == ("DONE", "Duo"), result.reason
    report = scripts[0].report
    assert report is not None and report.complete
    assert {stage.name: stage.outcome for stage in report.stages}["certify BIAS"] is Outcome.CERTIFIED
    assert report.verdicts["BIAS"].passed

    # And a frame of that day finds the bias of each detector
    exposure = report.exposures["BIAS"][-1]
    with Butler.from_config(str(observatory.repo), collections=[CONFIG["calib_collection"]]) as butler:
        for detector in DUO.detector_ids():
            bias = butler.get("bias", instrument=DUO.name, detector=detector, exposure=exposure)
            assert bias.getImage().getArray().size > 0
