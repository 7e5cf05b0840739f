# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify."""

from __future__ import annotations

__all__ = ["Procedure", "is_left_running", "remaining"]

from ._procedure import Procedure
from ._release import is_left_running
from ._remaining import remaining
