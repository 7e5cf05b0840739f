# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether flats have a usable level, and the exposure time that gives one."""

from __future__ import annotations

__all__ = ["GiveUp", "LightLevel", "Take", "Trial", "Try", "next_step"]

from ._level import LightLevel
from ._search import GiveUp, Take, Trial, Try, next_step
