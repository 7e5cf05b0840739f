# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository: calibrations, evidence on runs, and history.

Beside `lsst.ts.calibrationscripts.simulation` the only room that imports
`lsst.daf.butler`.
"""
