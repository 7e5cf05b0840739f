# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of HTML, and their figures."""

from __future__ import annotations

__all__ = ["run_page", "trend_page"]

from ._run import run_page
from ._trend import trend_page
