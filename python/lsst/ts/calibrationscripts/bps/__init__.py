# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second job service: lsst.ctrl.bps on a batch system."""
