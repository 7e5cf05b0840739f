# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run whose jobs were left to themselves, finished without an observatory.

The run is resumed with the frames and jobs of its record. Whether a job has
ended is learned from what is there without SAL: its product in the Butler
and, if it can be read, its log.
"""

from __future__ import annotations

__all__ = ["FinishError", "Finished", "JobsAtWork", "Listening", "Means", "finish"]

from ._finish import Finished, FinishError, Means, finish
from ._jobs import JobsAtWork, Listening
