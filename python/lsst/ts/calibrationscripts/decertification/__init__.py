# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certifications of a run can be undone, and what that changes."""

from __future__ import annotations

__all__ = [
    "Exposure",
    "Exposures",
    "Instead",
    "Reach",
    "RefusedError",
    "Route",
    "Standing",
    "Undo",
    "Unit",
    "Valid",
    "built_on",
    "choose",
    "iso",
    "make_routes",
    "make_standing",
    "reach_json",
    "reach_text",
]

from ._choice import RefusedError, Undo, built_on, choose
from ._reach import Exposure, Exposures, Instead, Reach, Route, make_routes
from ._standing import Standing, Unit, Valid, iso, make_standing
from ._text import reach_json, reach_text
