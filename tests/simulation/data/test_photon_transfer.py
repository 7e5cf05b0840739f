# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains from flat pairs, and the curve through them."""

from __future__ import annotations

import numpy as np
import pytest
from lsst.ts.calibrationscripts.simulation.tasks.photon_transfer import (
    fit_curve,
    measure_pair,
)

GAIN, READ_NOISE, A00 = 1.25, 6.4, -2e-7


def flat(mean: float, seed: int) -> np.ndarray:
    """Make a flat (ADU) with the shot and read noise of the constants."""
    rng = np.random.default_rng(seed)
    return rng.poisson(mean * GAIN, (500, 500)) / GAIN + rng.normal(0, READ_NOISE, (500, 500))


def curve(means: np.ndarray, relative_error: float, seed: int = 0) -> np.ndarray:
    """Variances (ADU^2) of the model, with errors."""
    variances = READ_NOISE**2 + means / GAIN + A00 * means**2
    return variances * (1 + relative_error * np.random.default_rng(seed).standard_normal(means.shape))


@pytest.mark.parametrize("mean", [400.0, 6400.0, 60_000.0])
def test_a_pair_gives_the_gain(mean: float) -> None:
    pair = measure_pair(flat(mean, 1), flat(mean, 2), READ_NOISE)
    assert pair.mean == pytest.approx(mean, rel=0.001)
    assert pair.gain == pytest.approx(GAIN, abs=4 * pair.gain_error)
    assert pair.gain_error < 0.01


def test_without_its_correction_read_noise_would_spoil_a_faint_pair() -> None:
    assert measure_pair(flat(400.0, 1), flat(400.0, 2), 0.0).gain < 0.92 * GAIN


def test_a_pair_bears_a_lamp_that_changed_and_a_cosmic_ray() -> None:
    first, second = flat(6400.0, 1), flat(6400.0, 2) * 1.1
    first[10, 10:14] += 3000.0
    first[20, 20] = np.nan
    assert measure_pair(first, second, READ_NOISE).gain == pytest.approx(GAIN, rel=0.06)


@pytest.mark.parametrize("level", [np.nan, 0.0, 120_000.0])
def test_flats_without_shot_noise_give_no_gain(level: float) -> None:
    image = np.full((10, 10), level)
    assert np.isnan(measure_pair(image, image, READ_NOISE).gain)


def test_a_curve_gives_gain_and_nonlinearity() -> None:
    means = np.linspace(1000.0, 100_000.0, 20)
    fit = fit_curve(means, curve(means, 5e-4), np.full(20, 5e-4), READ_NOISE)
    assert fit.gain == pytest.approx(GAIN, abs=4 * fit.gain_error)
    assert fit.gain == pytest.approx(GAIN, rel=0.001)
    assert fit.nonlinearity == pytest.approx(A00, rel=0.1)
    assert fit.turnoff == means[-1]
    assert fit.used.all()


@pytest.mark.parametrize("outlier", [0, 3, 6])
def test_an_outlying_pair_is_left_out(outlier: int) -> None:
    means = np.linspace(5000.0, 35_000.0, 7)
    variances = curve(means, 0.005)
    variances[outlier] *= 1.5
    fit = fit_curve(means, variances, np.full(7, 0.005), READ_NOISE)
    assert np.flatnonzero(~fit.used).tolist() == [outlier]
    assert fit.gain == pytest.approx(GAIN, rel=0.01)
    # The brightest pair, though it is not used, shows no turn-off.
    assert fit.turnoff == means[-1]


def test_saturated_pairs_lie_beyond_the_turnoff() -> None:
    means = np.array([20e3, 40e3, 60e3, 80e3, 100e3, 120e3, 120e3])
    variances = curve(means, 0.002)
    variances[5:] = (2e4, 0.0)
    fit = fit_curve(means, variances, np.full(7, 0.002), READ_NOISE)
    assert fit.used.tolist() == [True] * 5 + [False] * 2
    assert fit.turnoff == 100e3
    assert fit.gain == pytest.approx(GAIN, rel=0.01)


def test_without_a_usable_pair_there_is_no_gain() -> None:
    fit = fit_curve(np.array([np.nan]), np.array([np.nan]), np.array([np.nan]), READ_NOISE)
    assert np.isnan(fit.gain)
    assert not fit.used.any()
