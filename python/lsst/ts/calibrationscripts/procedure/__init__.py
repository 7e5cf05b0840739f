# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify."""

from __future__ import annotations

__all__ = ["Outlook", "Procedure", "Sources", "look_ahead", "remaining"]

from ._looking_ahead import Outlook, Sources, look_ahead
from ._procedure import Procedure
from ._remaining import remaining
