# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of photon transfer curves."""

from __future__ import annotations

__all__ = ["points_of"]

from typing import Any

from ..report import CurvePoints


def points_of(curve: Any, amplifier: str) -> CurvePoints:
    """Return the photon transfer curve of an amplifier.

    Parameters
    ----------
    curve : `lsst.ip.isr.PhotonTransferCurveDataset`
        The curves of a detector, or what has the same attributes.
    amplifier : `str`
        Its name.

    Returns
    -------
    points : `CurvePoints`
    """
    return CurvePoints(
        amplifier,
        tuple(map(float, curve.rawMeans[amplifier])),
        tuple(map(float, curve.rawVars[amplifier])),
        tuple(map(bool, curve.expIdMask[amplifier])),
        float(curve.gain[amplifier]),
    )
