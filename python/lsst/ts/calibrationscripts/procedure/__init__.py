# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify."""

from __future__ import annotations

__all__ = ["Procedure", "check_without", "refusal_to_replace", "remade", "remaining", "replaced"]

from ._procedure import Procedure
from ._remaining import remaining
from ._remaking import check_without, refusal_to_replace, remade, replaced
