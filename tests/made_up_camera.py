# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera that does not exist: all that a further instrument takes.

Its components have the names of those of LATISS, which ts_xml has too.
"""

from __future__ import annotations

from lsst.ts.calibrationscripts.instruments import LATISS, Detector, Instrument
from lsst.ts.calibrationscripts.observatory.latiss import CalibrationLatiss, CalibrationUsages
from lsst.ts.calibrationscripts.observatory.script import BaseMakeCalibrations

EIGHT = tuple(f"C0{i}" for i in range(8))
DUO = Instrument(
    name="Duo",
    detectors=(Detector(0, "R00_S00", EIGHT), Detector(1, "R00_S01", EIGHT)),
    components=LATISS.components,
    ocps_index=1,
    image_prefix="AT",
    wheels=("filter",),
    pipelines_folder="LATISS",
    repo="/repo/Duo",
)


class MakeDuoCalibrations(BaseMakeCalibrations):
    """Take, process, verify and certify calibrations of Duo."""

    instrument = DUO

    def make_control(self) -> CalibrationLatiss:
        """Return Duo, which observatory-control reaches as it does LATISS."""
        return CalibrationLatiss(
            domain=self.domain, log=self.log, intended_usage=CalibrationUsages.Calibrations
        )
