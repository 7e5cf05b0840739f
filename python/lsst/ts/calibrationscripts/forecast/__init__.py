# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How stages of a run must end, where that can be known before it begins."""

from __future__ import annotations

__all__ = [
    "Facts",
    "Finding",
    "Forecast",
    "Kind",
    "Level",
    "MissingCalibration",
    "forecast_text",
    "make_forecast",
]

from ._forecast import make_forecast
from ._records import Facts, Finding, Forecast, Kind, Level, MissingCalibration
from ._text import forecast_text
