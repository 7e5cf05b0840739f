# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer curves with the model that was fitted to them.

The fields are those of ``PhotonTransferCurveDataset`` (lsst/ip_isr d2a69bfd,
``ptcDataset.py``), as ``cpPtcSolve.py`` fills them (lsst/cp_pipe f029a3f2).
Its ``evalPtcModel`` is not used: it takes gains that may have been adjusted
since the fit, and older ones have none.
"""

from __future__ import annotations

__all__ = ["points_of"]

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..report import CurvePoints


def points_of(curve: Any, amplifier: str) -> CurvePoints:
    """Return the points of an amplifier, and what its model says of them.

    Parameters
    ----------
    curve : `lsst.ip.isr.PhotonTransferCurveDataset`
        The dataset.
    amplifier : `str`
        Name of the amplifier.

    Returns
    -------
    points : `CurvePoints`
        The model of pairs that the fit has used is that of the dataset; for
        the others it is evaluated, if the dataset has what that needs.
    """
    means = _row(curve.rawMeans[amplifier])
    variances = _row(curve.rawVars[amplifier])
    final, final_model = (
        _of_pairs(curve, name, amplifier, means) for name in ("finalVars", "finalModelVars")
    )
    everywhere = _evaluated(curve, amplifier, means)
    gain = float(curve.gain[amplifier])
    return CurvePoints(
        amplifier,
        means,
        tuple(map(_first_number, final, variances)),
        tuple(map(bool, curve.expIdMask[amplifier])),
        gain,
        model=tuple(map(_first_number, final_model, everywhere)),
        fit=str(curve.ptcFitType),
        fitted_gain=float(_of(curve, "gainUnadjusted", amplifier, gain)),
        turnoff=float(_of(curve, "ptcTurnoff", amplifier, math.nan)),
    )


def _row(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values))


def _of(curve: Any, field: str, amplifier: str, default: Any) -> Any:
    """Return a field of an amplifier, which older datasets may not have."""
    by_amplifier: Mapping[str, Any] = getattr(curve, field, {})
    return by_amplifier.get(amplifier, default)


def _of_pairs(curve: Any, field: str, amplifier: str, means: Sequence[float]) -> tuple[float, ...]:
    """Return a value of each pair; NaN if there are none, or others."""
    values = _row(_of(curve, field, amplifier, ()))
    return values if len(values) == len(means) else (math.nan,) * len(means)


def _first_number(first: float, second: float) -> float:
    return first if math.isfinite(first) else second


def _evaluated(curve: Any, amplifier: str, means: Sequence[float]) -> tuple[float, ...]:
    """Return the variance that the model says for each mean, used or not."""
    fit = str(curve.ptcFitType)
    if fit.startswith("FULLCOVARIANCE"):
        # cp_pipe evaluates this one everywhere, and keeps no parameters.
        covariances = _of(curve, "covariancesModel", amplifier, ())
        if len(covariances) == len(means):
            return tuple(float(matrix[0][0]) for matrix in covariances)
    model = _MODELS.get(fit)
    parameters = _row(_of(curve, "ptcFitPars", amplifier, ()))
    if model is None or not parameters or not all(map(math.isfinite, parameters)):
        return (math.nan,) * len(means)
    return tuple(model(parameters, mean) for mean in means)


def _exponential(parameters: Sequence[float], mean: float) -> float:
    """Return equation 16 of Astier et al. 2019 (A&A 629, A36)."""
    if len(parameters) != 3:
        return math.nan
    a00, gain, noise_squared = parameters
    exponent = 2 * a00 * gain * mean
    try:
        # Its limit for a small exponent is the mean.
        signal = mean * math.expm1(exponent) / exponent if exponent else mean
        return signal / gain + noise_squared / gain**2
    except (OverflowError, ZeroDivisionError):
        return math.nan


def _polynomial(parameters: Sequence[float], mean: float) -> float:
    return sum(coefficient * mean**power for power, coefficient in enumerate(parameters))


_MODELS: Mapping[str, Callable[[Sequence[float], float], float]] = {
    "EXPAPPROXIMATION": _exponential,
    "POLYNOMIAL": _polynomial,
}
