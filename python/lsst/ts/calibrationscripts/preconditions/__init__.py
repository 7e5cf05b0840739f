# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be so around a camera for its frames to be of use.

`preconditions_of` has them as data of a camera; `judge` compares them with
what was read.
"""

from __future__ import annotations

__all__ = [
    "Finding",
    "OneOf",
    "Precondition",
    "Reading",
    "Standing",
    "Within",
    "component_key",
    "judge",
    "preconditions_of",
    "way_out",
]

from ._cameras import preconditions_of
from ._judge import Finding, Reading, Standing, judge, way_out
from ._records import OneOf, Precondition, Within, component_key
