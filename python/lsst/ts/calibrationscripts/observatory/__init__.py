# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure's ports, answered by the observatory over SAL."""
