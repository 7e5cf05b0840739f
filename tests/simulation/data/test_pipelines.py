# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelines of 2022, as `pipetask run` executes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from lsst.daf.butler import CollectionType

from .conftest import Observatory

PIPE, VERIFY = "${CP_PIPE_DIR}/pipelines/Latiss", "${CP_VERIFY_DIR}/pipelines"
NO_DEFECT = ("-c", "isr:doDefect=False")
DETECTOR = {"instrument": "LATISS", "detector": 0}


def passed(statistics: Mapping[int | str, object], exposures: list[int]) -> bool:
    return dict(statistics) == {exposure: {"SUCCESS": True} for exposure in exposures} | {"SUCCESS": True}


@pytest.mark.slow
def test_exposures_pass_external_verification(observatory: Observatory) -> None:
    for product, times in (("Bias", [0, 0]), ("Dark", [5, 30]), ("Flat", [5, 5])):
        exposures = observatory.take(product.upper(), times)
        butler = observatory.run(
            f"external{product}", f"{VERIFY}/Verify{product}.yaml", "LATISS/calib", exposures
        )
        assert passed(butler.get(f"verify{product}Stats", instrument="LATISS"), exposures)
        stats = butler.get(f"verify{product}DetStats", DETECTOR, exposure=exposures[0])
        assert stats["SUCCESS"] is True
        assert butler.get(f"verify{product}ExpStats", instrument="LATISS", exposure=exposures[0]) == {
            "RXX_S00": {"SUCCESS": True},
            "SUCCESS": True,
        }
        processed = butler.get(f"verify{product}Proc", DETECTOR, exposure=exposures[1])
        assert processed.getImage().getArray().shape == observatory.ccd.detector.shape


@pytest.mark.nightly
@pytest.mark.slow
def test_exposures_of_a_day_make_calibrations_that_pass(observatory: Observatory) -> None:
    # Given the exposures of a day,
    truth, detector = observatory.ccd.truth, observatory.ccd.detector
    observatory.butler.collections.register("LATISS/calib/daily", CollectionType.CALIBRATION)
    inputs = "LATISS/calib/daily,LATISS/calib"
    # (twenty biases and darks, or too little noise would fail them)
    times = {"Bias": [0.0] * 20, "Dark": [5.0] * 4 + [15.0] * 2 + [30.0] * 16, "Flat": [5.0] * 8}
    for product, exp_times in times.items():
        name = product.lower()
        exposures = observatory.take(product.upper(), exp_times)
        # when each type is combined and certified, then the exposures pass.
        made = observatory.run(f"make{product}", f"{PIPE}/cp{product}.yaml", inputs, exposures, *NO_DEFECT)
        used = made.query_datasets(f"cp{product}Proc")
        assert {ref.dataId["exposure"] for ref in used} == set(exposures)
        observatory.certify(f"make{product}", name, "LATISS/calib/daily")
        butler = observatory.run(f"check{product}", f"{VERIFY}/Verify{product}.yaml", inputs, exposures)
        assert passed(butler.get(f"verify{product}Stats", instrument="LATISS"), exposures)

    # And the calibrations are those of the CCD.
    daily = observatory.butler.clone(collections="LATISS/calib/daily")
    bias, dark, flat = (
        daily.get(name, DETECTOR, exposure=exposures[0]).getImage().getArray()
        for name in ("bias", "dark", "flat")
    )
    gain = detector.per_segment(truth.gain)
    true_dark, true_flat = (
        (detector.segments(electrons) / gain).reshape(detector.shape)
        for electrons in (truth.dark, truth.response)
    )
    assert np.std(bias - truth.bias) == pytest.approx(8 / 1.25 / np.sqrt(20), rel=0.1)
    assert abs(np.mean(bias - truth.bias)) < 0.1
    good = ~truth.hot & ~truth.dead
    # Read noise of the darks, weighted with their times, and of the bias.
    t = np.array(times["Dark"])
    expected = 8 / 1.25 * np.sqrt(1 / (t**2).sum() + (t.sum() / (t**2).sum()) ** 2 / 20)
    assert np.std((dark - true_dark)[good]) == pytest.approx(expected, rel=0.1)
    np.testing.assert_allclose(np.median(dark[truth.hot] / true_dark[truth.hot]), 1, atol=0.01)
    assert np.std((flat * true_flat.mean() / true_flat)[good]) < 0.003


@pytest.mark.slow
def test_three_biases_fail_noise_everywhere(observatory: Observatory) -> None:
    exposures = observatory.take("BIAS", [0, 0, 0])
    observatory.run("three", f"{PIPE}/cpBias.yaml", "LATISS/calib", exposures, *NO_DEFECT)
    observatory.certify("three", "bias", "LATISS/calib/three")
    butler = observatory.run(
        "checkThree", f"{VERIFY}/VerifyBias.yaml", "LATISS/calib/three,LATISS/calib", exposures
    )
    every_amplifier = [f"RXX_S00 {amplifier.name} NOISE" for amplifier in observatory.ccd.detector]
    assert butler.get("verifyBiasStats", instrument="LATISS") == {
        exposure: {"FAILURES": every_amplifier} for exposure in exposures
    } | {"SUCCESS": False}


@pytest.mark.slow
def test_a_collection_without_a_bias_fails_the_job(observatory: Observatory) -> None:
    exposures = observatory.take("DARK", [5])
    observatory.butler.collections.register("u/nobody/empty")
    code, output = observatory.pipetask(
        "empty", f"{PIPE}/cpDark.yaml", "u/nobody/empty", exposures, *NO_DEFECT
    )
    assert code == 1
    assert "isr.bias" in output
