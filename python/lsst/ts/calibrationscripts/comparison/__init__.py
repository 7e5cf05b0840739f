# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new calibration is better than the one in use.

Both are applied to the same frames, none of which went into the new one.
What is left of each frame, amplifier by amplifier, is compared frame by
frame: whatever the frames themselves do is the same for both.
"""

from __future__ import annotations

__all__ = [
    "TOLERANCES",
    "AmplifierComparison",
    "AmplifierResiduals",
    "Better",
    "Change",
    "Comparison",
    "CurveFit",
    "Quantity",
    "Residual",
    "Tolerances",
    "compare_curves",
    "compare_defects",
    "compare_images",
]

from ._curves import CurveFit, compare_curves
from ._defects import compare_defects
from ._images import AmplifierResiduals, Residual, compare_images
from ._records import TOLERANCES, AmplifierComparison, Better, Change, Comparison, Quantity, Tolerances
