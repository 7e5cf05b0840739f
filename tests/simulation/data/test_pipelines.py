# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelines as `pipetask run` executes them, against the CCD's truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from lsst.daf.butler import CollectionType
from lsst.ts.calibrationscripts import simulation
from lsst.ts.calibrationscripts.simulation.ccd import FLAT_FLUX
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve

from .conftest import Observatory

PIPE, VERIFY = "${CP_PIPE_DIR}/pipelines/LATISS", "${CP_VERIFY_DIR}/pipelines/LATISS"
NO_DEFECT = ("-c", "isr:doDefect=False")
NO_CROSSTALK = ("-c", "isr:doCrosstalk=False")
DETECTOR = {"instrument": "LATISS", "detector": 0}


def errors(measured: Mapping[str, float], truth: Mapping[str, float]) -> np.ndarray:
    """Relative errors by amplifier."""
    return np.array([measured[name] / truth[name] - 1 for name in truth])


def passed(statistics: Mapping[int | str, object], exposures: list[int]) -> bool:
    return dict(statistics) == {exposure: {"SUCCESS": True} for exposure in exposures} | {"SUCCESS": True}


@pytest.mark.parametrize(
    "path",
    sorted(Path(simulation.__file__).parent.glob("cp_*/pipelines/**/*.yaml")),
    ids=lambda path: path.stem,
)
def test_every_pipeline_can_be_read(path: Path) -> None:
    from lsst.pipe.base import Pipeline

    assert Pipeline.fromFile(str(path)).to_graph().tasks


@pytest.mark.slow
def test_exposures_pass_external_verification(observatory: Observatory) -> None:
    for product, times in (("Bias", [0, 0]), ("Dark", [5, 30]), ("Flat", [5, 5])):
        exposures = observatory.take(product.upper(), times)
        butler = observatory.run(
            f"external{product}", f"{VERIFY}/verify{product}.yaml", "LATISS/calib", exposures
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


@pytest.mark.slow
def test_twenty_exposures_make_calibrations_that_pass(observatory: Observatory) -> None:
    # Given the exposures of a day,
    truth, detector = observatory.ccd.truth, observatory.ccd.detector
    observatory.butler.collections.register("LATISS/calib/daily", CollectionType.CALIBRATION)
    inputs = "LATISS/calib/daily,LATISS/calib"
    times = {"Bias": [0.0] * 20, "Dark": [5.0] * 4 + [15.0] * 2 + [30.0] * 16, "Flat": [5.0] * 20}
    for product, exp_times in times.items():
        name = product.lower()
        exposures = observatory.take(product.upper(), exp_times)
        # when each type is combined and certified, then the exposures pass.
        made = observatory.run(f"make{product}", f"{PIPE}/cp{product}.yaml", inputs, exposures, *NO_DEFECT)
        used = made.query_datasets(f"cp{product}Proc")
        assert {ref.dataId["exposure"] for ref in used} == set(exposures)
        observatory.certify(f"make{product}", name, "LATISS/calib/daily")
        butler = observatory.run(f"check{product}", f"{VERIFY}/verify{product}.yaml", inputs, exposures)
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
        "checkThree", f"{VERIFY}/verifyBias.yaml", "LATISS/calib/three,LATISS/calib", exposures
    )
    every_amplifier = [f"RXX_S00 {amplifier.name} NOISE" for amplifier in observatory.ccd.detector]
    assert butler.get("verifyBiasStats", instrument="LATISS") == {
        exposure: {"FAILURES": every_amplifier} for exposure in exposures
    } | {"SUCCESS": False}


@pytest.mark.slow
@pytest.mark.parametrize("subset", ["gainFromFlatPairs", "generateGainFromFlatPair"])
def test_gains_of_a_flat_pair_are_true(observatory: Observatory, subset: str) -> None:
    exposures = observatory.take("FLAT", [5, 5, 5, 1.2])
    butler = observatory.run(subset, f"{PIPE}/cpPtc.yaml#{subset}", "LATISS/calib", exposures, *NO_CROSSTALK)
    pair, *others = (butler.get("cpPtcExtract", DETECTOR, exposure=exposure) for exposure in exposures)
    gain = errors(pair.gain, observatory.ccd.truth.gain)
    noise = errors(pair.noise, observatory.ccd.truth.read_noise)
    print(f"gain of a pair: median error {np.median(gain):+.2%}, largest {np.abs(gain).max():.2%}")
    assert abs(np.median(gain)) < 0.02
    assert abs(np.median(noise)) < 0.02
    assert pair.inputExpIdPairs["C00"] == [tuple(exposures[:2])]
    assert others == [PhotonTransferCurve(ptcFitType="DUMMY")] * 3
    assert not butler.query_datasets("ptc", explain=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "times", [(5, 10, 15, 20, 25, 30, 35, 45), (0.1, 0.35, 0.6, 0.8, 1.0, 1.35, 1.6)], ids=["long", "short"]
)
def test_a_photon_transfer_curve_is_true(observatory: Observatory, times: tuple[float, ...]) -> None:
    exposures = observatory.take("FLAT", [time for time in times for _ in range(2)])
    job = f"ptc{times[0]}"
    butler = observatory.run(job, f"{PIPE}/cpPtc.yaml", "LATISS/calib", exposures, *NO_CROSSTALK)
    curve = butler.get("ptc", DETECTOR)
    truth = observatory.ccd.truth
    gain = errors(curve.gain, truth.gain)
    print(f"gain of the curve: median error {np.median(gain):+.2%}, largest {np.abs(gain).max():.2%}")
    assert abs(np.median(gain)) < 0.01
    assert abs(np.median(errors(curve.noise, truth.read_noise))) < 0.02
    assert curve.rawExpTimes["C00"] == list(times)
    assert curve.inputExpIdPairs["C00"] == list(zip(exposures[::2], exposures[1::2], strict=True))
    # Pairs that saturate lie beyond the turn-off, and only they.
    assert curve.expIdMask["C00"] == [FLAT_FLUX * time < truth.full_well for time in times]
    assert curve.ptcTurnoff["C00"] * truth.gain["C00"] < truth.full_well


@pytest.mark.slow
def test_defects_are_those_of_the_ccd(observatory: Observatory) -> None:
    exposures = observatory.take("DARK", [5, 5, 5, 10, 15, 20]) + observatory.take("FLAT", [1.0, 1.0, 1.6])
    butler = observatory.run("defects", f"{PIPE}/findDefects.yaml", "LATISS/calib", exposures, *NO_DEFECT)
    truth = observatory.ccd.truth
    mask = butler.get("defects", DETECTOR).mask(truth.hot.shape)
    bad = truth.hot | truth.dead
    print(f"hot pixels found {mask[truth.hot].mean():.1%}, dead {mask[truth.dead].mean():.1%}, "
          f"false {mask[~bad].mean():.5%}")  # fmt: skip
    assert mask[truth.hot].mean() >= 0.95
    assert mask[truth.dead].mean() >= 0.95
    assert mask[~bad].mean() <= 0.001


@pytest.mark.slow
def test_a_collection_without_a_bias_fails_the_job(observatory: Observatory) -> None:
    exposures = observatory.take("DARK", [5])
    observatory.butler.collections.register("u/nobody/empty")
    code, output = observatory.pipetask(
        "empty", f"{PIPE}/cpDark.yaml", "u/nobody/empty", exposures, *NO_DEFECT
    )
    assert code == 1
    assert "isr.bias" in output
