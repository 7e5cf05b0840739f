# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing BLOCKs of the Scheduler, as far as their scripts are ours."""

from __future__ import annotations

__all__ = [
    "Block",
    "BlockError",
    "BlockScript",
    "configuration",
    "is_block",
    "notices",
    "read_block",
    "read_values",
    "variables",
]

from ._model import Block, BlockError, BlockScript
from ._read import is_block, read_block
from ._variables import configuration, notices, read_values, variables
