# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations of LSSTCam, the camera of the Simonyi telescope."""

from __future__ import annotations

__all__ = ["MakeLSSTCamCalibrations"]

from ..instruments import LSSTCAM
from .lsstcam import CalibrationLSSTCam, CalibrationLSSTCamUsages
from .script import BaseMakeCalibrations


class MakeLSSTCamCalibrations(BaseMakeCalibrations):
    """Take, process, verify and certify calibrations of LSSTCam.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    instrument = LSSTCAM

    def make_control(self) -> CalibrationLSSTCam:
        """Return LSSTCam with the topics of calibrations."""
        return CalibrationLSSTCam(
            domain=self.domain, log=self.log, intended_usage=CalibrationLSSTCamUsages.Calibrations
        )
