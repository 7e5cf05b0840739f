# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to everything that a run will do."""

from __future__ import annotations

__all__ = [
    "TAI_MINUS_UTC",
    "JobPlan",
    "JobRequest",
    "PlannedExposure",
    "Prerequisite",
    "RunPlan",
    "Stage",
    "count_moves",
    "disk_needed",
    "least_moves",
    "make_plan",
    "observing_day_of",
    "prerequisites",
    "time_left",
    "validity_notices",
]

from ._disk import disk_needed
from ._left import time_left
from ._planner import make_plan
from ._prerequisites import Prerequisite, prerequisites
from ._records import JobPlan, JobRequest, PlannedExposure, RunPlan, Stage
from ._validity import TAI_MINUS_UTC, observing_day_of, validity_notices
from ._wheels import count_moves, least_moves
