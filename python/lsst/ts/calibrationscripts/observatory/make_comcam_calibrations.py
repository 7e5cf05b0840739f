# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations of ComCam, the commissioning camera."""

from __future__ import annotations

__all__ = ["MakeComCamCalibrations"]

from ..instruments import LSSTCOMCAM
from .comcam import CalibrationComCam, CalibrationComCamUsages
from .script import BaseMakeCalibrations


class MakeComCamCalibrations(BaseMakeCalibrations):
    """Take, process, verify and certify calibrations of LSSTComCam.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    instrument = LSSTCOMCAM

    def make_control(self) -> CalibrationComCam:
        """Return LSSTComCam with the topics of calibrations."""
        return CalibrationComCam(
            domain=self.domain, log=self.log, intended_usage=CalibrationComCamUsages.Calibrations
        )
