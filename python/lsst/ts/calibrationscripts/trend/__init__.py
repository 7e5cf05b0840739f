# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read noise, bias level, gain and defects over many runs.

What leaves the bands that earlier runs give is worth a warning. It decides
nothing.
"""

from __future__ import annotations

__all__ = [
    "BAND_RUNS",
    "BIAS_LEVEL",
    "DEFECT_AREA",
    "DEFECT_NUMBER",
    "GAIN",
    "MIN_RUNS",
    "QUANTITIES",
    "READ_NOISE",
    "WHOLE_DETECTOR",
    "Band",
    "Group",
    "History",
    "Key",
    "Kind",
    "Points",
    "Remark",
    "Run",
    "Source",
    "bands_of",
    "departures",
    "gain_conditions",
    "noise_conditions",
    "ordered",
    "outliers",
    "remarks",
    "source_of",
]

from ._history import BAND_RUNS, MIN_RUNS, Band, History, Points, bands_of, ordered
from ._records import (
    BIAS_LEVEL,
    DEFECT_AREA,
    DEFECT_NUMBER,
    GAIN,
    QUANTITIES,
    READ_NOISE,
    WHOLE_DETECTOR,
    Group,
    Key,
    Kind,
    Run,
    Source,
    gain_conditions,
    noise_conditions,
    source_of,
)
from ._remarks import Remark, departures, outliers, remarks
