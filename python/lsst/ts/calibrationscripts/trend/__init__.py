# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read noise, bias level and gain over many runs.

What leaves the bands that earlier runs give is worth a warning. It decides
nothing.
"""

from __future__ import annotations

__all__ = [
    "BIAS_LEVEL",
    "GAIN",
    "MIN_RUNS",
    "QUANTITIES",
    "READ_NOISE",
    "Band",
    "History",
    "Key",
    "Run",
    "RunJson",
    "departures",
    "outliers",
    "repository",
    "trend_page",
    "warnings",
]

from ._model import (
    BIAS_LEVEL,
    GAIN,
    MIN_RUNS,
    QUANTITIES,
    READ_NOISE,
    Band,
    History,
    Key,
    Run,
    RunJson,
    departures,
    outliers,
    repository,
    warnings,
)
from ._page import trend_page
