# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains relative to each other, without a repository.

As cp_pipe f029a3f2 has them, cpPtcAdjustGainRatios.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.tasks.gain_ratios import AdjustGainRatiosTask
from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrTask


@dataclass
class Handle:
    """A corrected flat in memory."""

    dataId: dict[str, int]  # noqa: N815 - as the Butler calls it
    exposure: Exposure

    def get(self) -> Exposure:
        return self.exposure


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=3)


def flat(ccd: CcdModel, exposure_id: int, exp_time: float) -> Handle:
    header = ccd.detector.to_metadata() | {"DARKTIME": exp_time, "EXPTIME": exp_time, "IMGTYPE": "FLAT"}
    raw = Exposure(ccd.expose("FLAT", exp_time, exposure_id), header)
    return Handle({"exposure": exposure_id}, IsrTask().run(raw).outputExposure)


def curve(ccd: CcdModel, errors: np.ndarray, means: dict[int, float]) -> PhotonTransferCurve:
    """Make a curve whose gains have these relative errors."""
    names = list(ccd.truth.gain)
    gains = np.array(list(ccd.truth.gain.values())) * (1 + errors)
    return PhotonTransferCurve(
        ptcFitType="POLYNOMIAL",
        gain=dict(zip(names, gains.tolist(), strict=True)),
        inputExpIdPairs={name: [(first, first + 1) for first in means] for name in names},
        rawMeans={name: list(means.values()) for name in names},
    )


def errors_of(ccd: CcdModel, ptc: PhotonTransferCurve) -> np.ndarray:
    return np.array([ptc.gain[name] / gain - 1 for name, gain in ccd.truth.gain.items()])


def test_steps_in_a_flat_give_the_ratios_of_the_gains(ccd: CcdModel) -> None:
    # Given gains that are wrong by 2 %, each in its own way,
    errors = 0.02 * np.random.default_rng(7).standard_normal(16)
    before = curve(ccd, errors, {1: 10_000.0})
    # when they are adjusted until a flat that is darker at its edges has no
    # steps,
    after = AdjustGainRatiosTask().run([flat(ccd, 1, 2.6)], before).output_ptc
    # then all have the error of their median: their ratios are true.
    left = errors_of(ccd, after)
    assert np.std(left) < 0.002 < np.std(errors)
    assert np.median(list(after.gain.values())) == pytest.approx(
        np.median(list(before.gain.values())), rel=0.02
    )
    # The curve that was given is as it was.
    np.testing.assert_allclose(errors_of(ccd, before), errors)


def test_only_the_first_flats_of_pairs_of_medium_signal_are_used(ccd: CcdModel) -> None:
    # Given a flat of each pair that is used, and others that have other steps,
    wrong = flat(ccd, 1, 2.6)
    wrong.exposure.image.array[ccd.detector.amplifiers[0].section] *= 2.0
    others = [Handle({"exposure": exposure_id}, wrong.exposure) for exposure_id in (2, 3, 5)]
    means = {1: 10_000.0, 3: 20_001.0, 5: 999.0}
    after = (
        AdjustGainRatiosTask().run([flat(ccd, 1, 2.6), *others], curve(ccd, np.zeros(16), means)).output_ptc
    )
    # then these change nothing.
    assert np.abs(errors_of(ccd, after)).max() < 0.005


def test_without_a_flat_of_medium_signal_no_gain_is_left(ccd: CcdModel) -> None:
    before = curve(ccd, np.zeros(16), {1: 25_000.0})
    after = AdjustGainRatiosTask().run([flat(ccd, 1, 6.5)], before).output_ptc
    assert np.isnan(list(after.gain.values())).all()
