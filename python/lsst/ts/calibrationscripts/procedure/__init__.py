# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify."""

from __future__ import annotations

__all__ = ["Procedure", "remaining"]

from ._procedure import Procedure
from ._remaining import remaining
