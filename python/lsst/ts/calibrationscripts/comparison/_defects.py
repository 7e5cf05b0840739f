# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects, by what has become one."""

from __future__ import annotations

__all__ = ["compare_defects"]

import math
from collections.abc import Sequence

from ..outcomes import DetectorDefects
from ..products import Subject
from ._records import (
    TOLERANCES,
    AmplifierComparison,
    Better,
    Comparison,
    Quantity,
    Tolerances,
    judged,
    overall,
)


def compare_defects(
    subject: Subject, found: Sequence[DetectorDefects], tolerances: Tolerances = TOLERANCES
) -> Comparison:
    """Compare defects with those in use.

    Parameters
    ----------
    subject : `Subject`
        The product.
    found : `~collections.abc.Sequence` [`DetectorDefects`]
        The defects of each detector, with the earlier ones.
    tolerances : `Tolerances`, optional
        What matters.

    Returns
    -------
    comparison : `Comparison`
        What has become a defect is lost to science; what was one and is none
        is used, and nothing says that it is good. Both are worse, so defects
        are never better. Single pixels come and go with the noise: their
        number is known to its root.
    """
    compared = [one for one in found if one.previous is not None]
    if not compared:
        return Comparison(subject, Better.FIRST)
    amplifiers = []
    for detector in compared:
        for one in detector.amplifiers:
            if not one.n_pixels:
                continue
            changes = tuple(
                judged(
                    quantity,
                    0.0,
                    n / one.n_pixels,
                    math.sqrt(n + 1) / one.n_pixels,
                    tolerances.defects,
                    tolerances.sigma,
                )
                for quantity, n in ((Quantity.GAINED, one.gained or 0), (Quantity.LOST, one.lost or 0))
            )
            amplifiers.append(AmplifierComparison(detector.detector, one.amplifier, changes))
    better = overall(one.better for one in amplifiers)
    reference = ", ".join(dict.fromkeys(one.previous.run for one in compared if one.previous))
    return Comparison(subject, better, tuple(amplifiers), reference, (), "pixels gained and lost")
