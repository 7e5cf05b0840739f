#!/usr/bin/env python
# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later

from lsst.ts.calibrationscripts.instruments import LSSTCOMCAM
from lsst.ts.calibrationscripts.launch import main

main(LSSTCOMCAM)
