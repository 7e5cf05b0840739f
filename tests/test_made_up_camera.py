# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera of two detectors, from its configuration to certifications."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import ImageType
from lsst.ts.calibrationscripts.observatory.queue import run_script
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from made_up_camera import DUO, MakeDuoCalibrations
from named import BIAS, DARK, FLAT

PRODUCTS = (BIAS, DARK, FLAT)
TIMEOUT = 280.0
"""What the run may take at most (s)."""

CONFIG = {
    # Today's verification fails the flats of any two detectors: their levels
    # must agree within 0.05 ADU.
    "pipeline_generation": "2022",
    "n_bias": 12,
    "n_dark": 12,
    "exp_times_dark": 5,
    "n_flat": 12,
    "exp_times_flat": 5,
    "filter": "SDSSr_65mm",
    "generate_calibrations": True,
    "do_gain_from_flat_pairs": False,
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


def test_its_calibrations_are_planned_for_both_detectors() -> None:
    config = parse(yaml.safe_dump(CONFIG), DUO)
    assert DUO.detector_ids(config.detectors) == (0, 1)
    plan = make_plan(config, DUO)
    kinds = ("generate", "verify", "certify")
    assert [stage.name for stage in plan.stages] == [
        *(f"expose {product}" for product in PRODUCTS),
        *(f"{kind} {product}" for product in PRODUCTS for kind in kinds),
    ]


@pytest.mark.nightly
@pytest.mark.slow
async def test_its_calibrations_are_certified_for_both_detectors(topics: None, tmp_path: Path) -> None:
    # Given an observatory that has this camera
    observatory = SimulatedObservatory(
        tmp_path, instrument=DUO, settings=SimulationSettings(scale=32, generation="2022"), time_scale=0.005
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

    # Then what is made of both detectors passes
    assert (result.state, result.metadata.instrument) == ("DONE", "Duo"), result.reason
    report = scripts[0].report
    assert report is not None and report.complete
    outcomes = {result.name: result.outcome for result in report.stages}
    for product in PRODUCTS:
        assert outcomes[f"certify {product}"] is Outcome.CERTIFIED
        assert report.verdicts[product].passed and report.verdicts[product].n_detectors == 2

    # And a flat of that day finds the calibrations of each detector
    exposure = report.exposures[ImageType.FLAT][-1]
    with Butler.from_config(str(observatory.repo), collections=[CONFIG["calib_collection"]]) as butler:
        for detector in DUO.detector_ids():
            data_id = {"instrument": DUO.name, "detector": detector, "exposure": exposure}
            images = [butler.get(name, data_id) for name in ("bias", "dark", "flat")]
            assert all(image.getImage().getArray().size > 0 for image in images)
