# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of HTML, and their figures."""

from __future__ import annotations

__all__ = [
    "Picture",
    "curve_plot",
    "due_page",
    "gain_plot",
    "quantity_pictures",
    "run_page",
    "templates",
    "trend_page",
]

from ._curve_plot import curve_plot
from ._due import due_page
from ._figure import Picture
from ._plots import gain_plot
from ._render import templates
from ._run import run_page
from ._trend import quantity_pictures, trend_page
