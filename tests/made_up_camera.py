# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up camera of two detectors with eight amplifiers each.

Its components have the names of LATISS's, so that it runs on ts_xml too.
"""

from __future__ import annotations

from lsst.ts.calibrationscripts.instruments import LATISS, Detector, Instrument

EIGHT = tuple(f"C0{column}" for column in range(8))

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
