# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gain from the noise of flats: of one pair, and of many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["AmpPair", "CurveFit", "fit_curve", "measure_pair"]

CLIP_SIGMA = 5.0
"""Pixels with larger differences are cosmic rays (standard deviations)."""

CLIP_ITERATIONS = 3
"""How often cosmic rays are searched for."""

OUTLIER_SIGMA = 5.0
"""A pair with a larger distance from the curve is not used for the fit."""

TURNOFF = 0.7
"""Above the turn-off, variance / mean is below this fraction of its value for
faint pairs: charge is lost or spreads, and the variance decreases."""

NONLINEARITY_SIGMA = 2e-7
"""Width of the prior on the non-linearity, about zero (1/electron). Faint
pairs alone do not determine it, nor the gain without it."""


@dataclass(frozen=True)
class AmpPair:
    """The result of an amplifier in a pair of flats.

    Parameters
    ----------
    mean : `float`
        Mean signal (ADU).
    variance : `float`
        Variance of the signal, half that of the difference (ADU^2).
    gain : `float`
        Gain (electron/ADU); NaN if the noise is not shot noise, as in
        saturated flats.
    gain_error : `float`
        Its standard error (electron/ADU).
    """

    mean: float
    variance: float
    gain: float
    gain_error: float


@dataclass(frozen=True)
class CurveFit:
    """A photon transfer curve.

    Parameters
    ----------
    gain : `float`
        Gain (electron/ADU); NaN without a usable pair.
    gain_error : `float`
        Its standard error (electron/ADU).
    nonlinearity : `float`
        Relative change of the variance with the signal (1/electron).
    turnoff : `float`
        Largest mean below the turn-off (ADU), also if it is an outlier.
    used : `numpy.ndarray`, (n,)
        Which pairs the fit used.
    coefficients : `tuple` [`float`, `float`, `float`]
        Those of the model, the variance (ADU^2) as a polynomial of the mean
        (ADU), the constant first.
    """

    gain: float
    gain_error: float
    nonlinearity: float
    turnoff: float
    used: np.ndarray
    coefficients: tuple[float, float, float]

    def variances(self, means: np.ndarray) -> np.ndarray:
        """Return what the model says of the variance.

        Parameters
        ----------
        means : `numpy.ndarray`, (n,)
            Mean signal of each pair (ADU).

        Returns
        -------
        variances : `numpy.ndarray`, (n,)
            Variance of each pair's signal (ADU^2).
        """
        return np.asarray(np.polynomial.polynomial.polyval(means, self.coefficients))


def measure_pair(first: np.ndarray, second: np.ndarray, read_noise: float) -> AmpPair:
    """Measure signal, variance and gain of an amplifier in a pair of flats.

    Parameters
    ----------
    first, second : `numpy.ndarray`, (ny, nx)
        The amplifier's pixels (ADU); NaN is left out.
    read_noise : `float`
        Read noise of a single image (ADU).

    Returns
    -------
    pair : `AmpPair`
        The result.

    Notes
    -----
    For shot noise, (I1 - I2)^2 / (I1 + I2) has the expectation 1 / gain.
    Read noise of variance s^2 adds 2 s^2 / (I1 + I2), which is subtracted.
    The second image is scaled to the first one's mean, because the lamp
    changes and the difference must contain only noise.
    """
    valid = np.isfinite(first) & np.isfinite(second)
    one, two = first[valid].astype(np.float64), second[valid].astype(np.float64)
    if not one.size or one.mean() <= 0 or two.mean() <= 0:
        return AmpPair(np.nan, np.nan, np.nan, np.nan)
    two *= one.mean() / two.mean()
    difference, total = one - two, one + two
    for _ in range(CLIP_ITERATIONS):
        inside = (np.abs(difference - difference.mean()) <= CLIP_SIGMA * difference.std()) & (total > 0)
        if inside.all():
            break
        difference, total = difference[inside], total[inside]
    square = difference**2
    inverse_gain = float((square / total).mean() - read_noise**2 * (2 / total).mean())
    gain = 1 / inverse_gain if inverse_gain > 0 else np.nan
    # The variance of n normal variates is known to sqrt(2 / n) of itself.
    return AmpPair(
        mean=float(total.mean() / 2),
        variance=float(square.mean() / 2),
        gain=gain,
        gain_error=gain * float(np.sqrt(2 / square.size)),
    )


def fit_curve(
    means: np.ndarray, variances: np.ndarray, relative_errors: np.ndarray, read_noise: float
) -> CurveFit:
    """Fit a photon transfer curve to flat pairs.

    Parameters
    ----------
    means : `numpy.ndarray`, (n,)
        Mean signal of each pair (ADU).
    variances : `numpy.ndarray`, (n,)
        Variance of each pair's signal (ADU^2).
    relative_errors : `numpy.ndarray`, (n,)
        Standard error of each variance, relative to it.
    read_noise : `float`
        Read noise (ADU).

    Returns
    -------
    fit : `CurveFit`
        The result.

    Notes
    -----
    The model is variance = read_noise^2 + mean / gain + a mean^2, the first
    terms of Astier et al. 2019 (A&A 629, A36), eq. 16; a is the
    non-linearity. A first fit with a robust loss finds the outliers. The
    second one does not use them.
    """
    from scipy.optimize import least_squares

    usable = np.isfinite(means) & np.isfinite(variances) & np.isfinite(relative_errors) & (means > 0)
    usable &= _below_turnoff(means, variances, usable)
    if not usable.any():
        return CurveFit(np.nan, np.nan, np.nan, np.nan, usable, (np.nan, np.nan, np.nan))
    errors = np.where(usable, variances * relative_errors, np.inf)

    def residuals(parameters: np.ndarray, used: np.ndarray) -> np.ndarray:
        inverse_gain, nonlinearity = parameters
        model = read_noise**2 + inverse_gain * means + nonlinearity * means**2
        return np.append(((variances - model) / errors)[used], nonlinearity / NONLINEARITY_SIGMA)

    start = [float(np.median((variances / means)[usable])), 0.0]
    options = {"x_scale": (start[0], NONLINEARITY_SIGMA)}
    robust = least_squares(residuals, start, args=(usable,), loss="cauchy", **options)
    distance = np.abs(residuals(robust.x, np.ones_like(usable))[:-1])
    scatter = 1.4826 * np.median(distance[usable])
    used = usable & (distance <= OUTLIER_SIGMA * max(1.0, scatter))
    fit = least_squares(residuals, robust.x, args=(used,), **options)
    inverse_gain, nonlinearity = fit.x
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    return CurveFit(
        gain=float(1 / inverse_gain),
        gain_error=float(np.sqrt(covariance[0, 0]) / inverse_gain**2),
        nonlinearity=float(nonlinearity),
        turnoff=float(means[usable].max()),
        used=used,
        coefficients=(read_noise**2, float(inverse_gain), float(nonlinearity)),
    )


def _below_turnoff(means: np.ndarray, variances: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return which pairs are fainter than the turn-off."""
    below = np.ones_like(usable)
    by_mean = [int(i) for i in np.argsort(means) if usable[i]]
    if by_mean:
        ratios = variances / means
        faint = np.median(ratios[by_mean[: (len(by_mean) + 1) // 2]])
        for i in reversed(by_mean):
            if ratios[i] >= TURNOFF * faint:
                break
            below[i] = False
    return below
