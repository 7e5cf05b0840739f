# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository: the only room that imports `lsst.daf.butler`."""
