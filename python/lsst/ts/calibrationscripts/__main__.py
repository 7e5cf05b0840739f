# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lsst.ts.calibrationscripts`` is the command ``calibscripts``."""

from .cli import main

main()
