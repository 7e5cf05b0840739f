# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of curves, without a repository."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.tasks.merge import MergeDetectorsTask
from lsst.ts.calibrationscripts.simulation.tasks.verify_products import VerifyPtcTask


class Raw:
    """A raw image in memory, whose header can be read."""

    def __init__(self, ccd: CcdModel) -> None:
        self._exposure = Exposure(np.zeros((1, 1)), ccd.detector.to_metadata())

    def get(self) -> Exposure:
        return self._exposure


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=3)


@pytest.fixture
def raws(ccd: CcdModel) -> list[Any]:
    return [Raw(ccd)]


def curve(
    ccd: CcdModel,
    gain: float = 1.0,
    noise: float = 1.0,
    turnoff: float = 80_000.0,
    a00: float = -1e-7,
    used: tuple[bool, ...] = (True, True, False),
) -> PhotonTransferCurve:
    """Make a curve; its first amplifier has so many times its values."""
    truth = ccd.truth
    return PhotonTransferCurve(
        ptcFitType="POLYNOMIAL",
        gain=truth.gain | {"C00": gain * truth.gain["C00"]},
        noise=truth.read_noise | {"C00": noise * truth.read_noise["C00"]},
        ptcTurnoff=dict.fromkeys(truth.gain, 100_000.0) | {"C00": turnoff},
        rawMeans={name: [50_000.0, 80_000.0, 120_000.0] for name in truth.gain},
        noiseList={name: [7.0, 9.0, 99.0] for name in truth.gain},
        expIdMask={name: [True, True, False] for name in truth.gain} | {"C00": list(used)},
        a00=dict.fromkeys(truth.gain, -1e-7) | {"C00": a00},
    )


def failures(statistics: dict[str, Any]) -> list[str]:
    """Return what the operator reads of the detector."""
    merged = MergeDetectorsTask().run({"RXX_S00": statistics}).outputStats
    assert merged["SUCCESS"] == merged["RXX_S00"]["SUCCESS"]
    found: list[str] = merged["RXX_S00"].get("FAILURES", [])
    return found


# As cp_verify does it: 5855743, verifyPtc.py.
@pytest.mark.parametrize(("values", "failed"), [
    ({}, []),
    ({"gain": 1.04, "noise": 0.96}, []),
    ({"gain": 1.06}, ["PTC_GAIN"]),
    ({"gain": np.nan, "turnoff": np.nan}, ["PTC_GAIN", "PTC_TURNOFF"]),
    ({"noise": 0.94}, ["PTC_NOISE"]),
    ({"turnoff": 50_000.0}, ["PTC_TURNOFF"]),
    ({"a00": -5e-6}, ["PTC_BFE_A00"]),
    ({"a00": 7e-7}, ["PTC_BFE_A00"]),
    ({"a00": np.nan}, ["PTC_BFE_A00"]),
    # One pair is left: its scatter is 0, and 0 / 0 is not a number.
    ({"used": (True, False, False)}, ["NOISE_SIGNAL_INDEPENDENCE"]),
    ({"used": (False, False, False)}, ["NOISE_SIGNAL_INDEPENDENCE"]),
    ({"used": (True, True, True)}, ["NOISE_SIGNAL_INDEPENDENCE"]),
])  # fmt: skip
def test_a_curve_is_compared_with_nominal_values(
    ccd: CcdModel, raws: list[Any], values: dict[str, Any], failed: list[str]
) -> None:
    found = failures(VerifyPtcTask().run(raws, curve(ccd, **values)).outputStats)
    assert found == [f"C00 {test}" for test in failed]


def test_flats_below_the_full_well_fail_the_turnoff(ccd: CcdModel, raws: list[Any]) -> None:
    # Given flats that are all faint, whose brightest is called the turn-off
    # (cp_pipe f029a3f2, cpPtcSolve.py),
    faint = curve(ccd, turnoff=6000.0)
    faint.rawMeans["C00"] = [400.0, 6000.0]
    # then it is compared with the required full well nevertheless.
    assert failures(VerifyPtcTask().run(raws, faint).outputStats) == ["C00 PTC_TURNOFF"]
