# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations of LATISS, the imager of the Auxiliary Telescope."""

from __future__ import annotations

__all__ = ["MakeLatissCalibrations"]

from ..instruments import LATISS
from .latiss import CalibrationLatiss, CalibrationUsages
from .script import BaseMakeCalibrations


class MakeLatissCalibrations(BaseMakeCalibrations):
    """Take, process, verify and certify calibrations of LATISS.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    instrument = LATISS

    def make_control(self) -> CalibrationLatiss:
        """Return LATISS with the topics of calibrations."""
        return CalibrationLatiss(
            domain=self.domain, log=self.log, intended_usage=CalibrationUsages.Calibrations
        )
