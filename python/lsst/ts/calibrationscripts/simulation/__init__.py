# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observatory without a telescope: CSCs, a CCD, a Butler, pipelines."""
