# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a series are spoilt, before anything is made from them."""

from __future__ import annotations

__all__ = [
    "FRAME_LIMITS",
    "MIN_FRAMES",
    "AmplifierMeasure",
    "FrameLimits",
    "FrameMeasure",
    "Mark",
    "MarkKind",
    "SeriesJudgement",
    "judge_frames",
    "leave_out",
    "with_named",
]

from ._judge import judge_frames
from ._quantities import FRAME_LIMITS, FrameLimits
from ._records import (
    MIN_FRAMES,
    AmplifierMeasure,
    FrameMeasure,
    Mark,
    MarkKind,
    SeriesJudgement,
    leave_out,
    with_named,
)
