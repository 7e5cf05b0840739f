# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify."""

from __future__ import annotations

__all__ = [
    "Outlook",
    "Procedure",
    "Sources",
    "check_without",
    "is_left_running",
    "look_ahead",
    "made_with_refused",
    "refusal_to_replace",
    "remade",
    "remaining",
    "replaced",
    "with_earlier",
]

from ._looking_ahead import Outlook, Sources, look_ahead
from ._procedure import Procedure
from ._refusing import made_with_refused, with_earlier
from ._release import is_left_running
from ._remaining import remaining
from ._remaking import check_without, refusal_to_replace, remade, replaced
