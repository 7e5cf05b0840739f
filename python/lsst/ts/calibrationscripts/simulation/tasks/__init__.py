# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""PipelineTasks in numpy, for the pipelines of the simulated observatory."""
