# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read noise, bias level and gain over many runs.

What leaves the bands that earlier runs give is worth a warning. It decides
nothing.
"""

from __future__ import annotations

__all__ = [
    "BAND_RUNS",
    "BIAS_LEVEL",
    "GAIN",
    "MIN_RUNS",
    "QUANTITIES",
    "READ_NOISE",
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
    GAIN,
    QUANTITIES,
    READ_NOISE,
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
