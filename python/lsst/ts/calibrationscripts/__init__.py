# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that take, process, verify and certify LATISS calibrations."""

from __future__ import annotations

__all__ = ["get_scripts_dir"]

from pathlib import Path


def get_scripts_dir() -> Path:
    """Return the folder of executables that a script queue can serve."""
    return Path(__file__).parent / "data" / "scripts"
