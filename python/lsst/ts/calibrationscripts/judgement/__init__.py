# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges products by themselves: gains and defects.

No verification of cp_verify can pass for them. So they are judged here, each
by itself and by an earlier one.
"""

from __future__ import annotations

__all__ = [
    "DEFECT_LIMITS",
    "GAIN_LIMITS",
    "Box",
    "DefectLimits",
    "Fault",
    "GainLimits",
    "Judgement",
    "judge_defects",
    "judge_gains",
    "measure_defects",
]

from ._area import Box, measure_defects
from ._defects import DEFECT_LIMITS, DefectLimits, judge_defects
from ._gains import GAIN_LIMITS, GainLimits, judge_gains
from ._records import Fault, Judgement
