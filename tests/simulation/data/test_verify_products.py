# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of defects, curves and gains, without a repository."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.tasks.merge import MergeDetectorsTask
from lsst.ts.calibrationscripts.simulation.tasks.verify_products import (
    VerifyDefectsTask,
    VerifyGainTask,
    VerifyPtcTask,
)


class Raw:
    """A raw image in memory, whose header can be read."""

    def __init__(self, ccd: CcdModel) -> None:
        self._exposure = Exposure(np.zeros((1, 1)), ccd.detector.to_metadata())

    def get(self, *, parameters: dict[str, Any]) -> Exposure:
        return self._exposure


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=3)


@pytest.fixture
def raws(ccd: CcdModel) -> list[Any]:
    return [Raw(ccd)]


def curve(
    ccd: CcdModel, gain: float = 1.0, noise: float = 1.0, turnoff: float = 80_000.0
) -> PhotonTransferCurve:
    """Make a curve; its first amplifier has so many times its values."""
    truth = ccd.truth
    return PhotonTransferCurve(
        ptcFitType="POLYNOMIAL",
        gain=truth.gain | {"C00": gain * truth.gain["C00"]},
        noise=truth.read_noise | {"C00": noise * truth.read_noise["C00"]},
        ptcTurnoff=dict.fromkeys(truth.gain, 100_000.0) | {"C00": turnoff},
        rawMeans={name: [50_000.0, 80_000.0, 120_000.0] for name in truth.gain},
    )


def failures(statistics: dict[str, Any]) -> list[str]:
    """Return what the operator reads of the detector."""
    merged = MergeDetectorsTask().run({"RXX_S00": statistics}).outputStats
    assert merged["SUCCESS"] == merged["RXX_S00"]["SUCCESS"]
    found: list[str] = merged["RXX_S00"].get("FAILURES", [])
    return found


@pytest.mark.parametrize(("values", "failed"), [
    ({}, []),
    ({"gain": 1.04, "noise": 0.96}, []),
    ({"gain": 1.06}, ["C00 PTC_GAIN"]),
    ({"gain": np.nan, "turnoff": np.nan}, ["C00 PTC_GAIN", "C00 PTC_TURNOFF"]),
    ({"noise": 0.94}, ["C00 PTC_NOISE"]),
    ({"turnoff": 50_000.0}, ["C00 PTC_TURNOFF"]),
])  # fmt: skip
def test_a_curve_is_held_against_nominal_values(
    ccd: CcdModel, raws: list[Any], values: dict[str, float], failed: list[str]
) -> None:
    assert failures(VerifyPtcTask().run(raws, curve(ccd, **values)).outputStats) == failed


def test_flats_below_the_turnoff_do_not_show_it(ccd: CcdModel, raws: list[Any]) -> None:
    faint = curve(ccd, turnoff=6000.0)
    faint.rawMeans["C00"] = [400.0, 6000.0]
    assert failures(VerifyPtcTask().run(raws, faint).outputStats) == []


def test_gains_are_medians_over_the_pairs_that_have_one(ccd: CcdModel, raws: list[Any]) -> None:
    pairs = [curve(ccd), curve(ccd, gain=1.3), curve(ccd), curve(ccd, gain=np.nan)]
    empty = PhotonTransferCurve(ptcFitType="DUMMY")
    statistics = VerifyGainTask().run(raws, [*pairs, empty]).outputStats
    assert failures(statistics) == []
    assert statistics["AMP"]["C00"]["GAIN_FROM_FLAT_PAIR"] == ccd.truth.gain["C00"]


@pytest.mark.parametrize(("values", "failed"), [
    ({"gain": 0.94}, ["C00 GAIN_FROM_FLAT_PAIR"]),
    ({"noise": 1.06}, ["C00 ISR_NOISE"]),
    ({"gain": np.nan}, ["C00 GAIN_FROM_FLAT_PAIR", "C00 ISR_NOISE"]),
])  # fmt: skip
def test_a_gain_is_held_against_the_nominal_one(
    ccd: CcdModel, raws: list[Any], values: dict[str, float], failed: list[str]
) -> None:
    assert failures(VerifyGainTask().run(raws, [curve(ccd, **values)]).outputStats) == failed


def test_without_a_pair_there_is_no_gain_to_verify(raws: list[Any]) -> None:
    with pytest.raises(ValueError, match="no gain to verify"):
        VerifyGainTask().run(raws, [PhotonTransferCurve(ptcFitType="DUMMY")])


class TestDefects:
    """An image before and after its defects are masked."""

    @pytest.fixture
    def unmasked(self, ccd: CcdModel) -> Exposure:
        pixels = np.random.default_rng(4).normal(0.0, 6.0, ccd.detector.shape).astype(np.float32)
        pixels[ccd.truth.hot] += 100.0
        return Exposure(pixels, ccd.detector.to_metadata() | {"OVERSCAN": 0})

    def verify(self, unmasked: Exposure, mask: np.ndarray) -> dict[str, Any]:
        masked = np.where(mask, np.float32(np.nan), unmasked.image.array)
        statistics: dict[str, Any] = (
            VerifyDefectsTask().run(Exposure(masked, unmasked.metadata), unmasked).outputStats
        )
        return statistics

    def test_an_image_is_better_without_them(self, ccd: CcdModel, unmasked: Exposure) -> None:
        statistics = self.verify(unmasked, ccd.truth.hot)
        assert failures(statistics) == []
        amp = statistics["AMP"]["C00"]
        assert amp["OUTLIERS"] == 0 < amp["UNMASKED_OUTLIERS"] == amp["DEFECT_PIXELS"]

    def test_pixels_that_do_not_stand_out_may_be_masked(self, ccd: CcdModel, unmasked: Exposure) -> None:
        assert (
            failures(self.verify(unmasked, np.random.default_rng(5).random(ccd.detector.shape) < 0.002)) == []
        )

    def test_a_mask_that_leaves_nothing_fails(self, ccd: CcdModel, unmasked: Exposure) -> None:
        mask = np.zeros(ccd.detector.shape, bool)
        mask[ccd.detector.amplifiers[2].section] = True
        assert failures(self.verify(unmasked, mask)) == [
            f"C02 {test}" for test in ("OUTLIERS", "STDEV", "MIN", "MAX")
        ]
