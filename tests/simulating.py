# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""``calibscripts simulate`` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_LIMIT = 3000.0
"""What a test waits for at most (s): the machine may be busy."""

DAY_OF_COMCAM = {
    # Today's verification fails the flats of any two detectors: their levels
    # must agree within 0.05 ADU.
    "pipeline_generation": "2022",
    "n_bias": 3,
    "n_dark": 3,
    "exp_times_dark": 5,
    "n_flat": 3,
    "exp_times_flat": 5,
    "filter": "i_06",
    "generate_calibrations": True,
    "do_gain_from_flat_pairs": False,
    # None of so few frames can fail: too little noise is left of each.
    "number_verification_tests_threshold_bias": 29,
    "number_verification_tests_threshold_dark": 29,
    "oods_timeout": 600,
    "calib_collection": "LSSTComCam/calib/daily",
}
"""Bias, dark and flat of nine detectors, which all pass."""


def start(folder: Path, *args: object, config: Mapping[str, Any] | None = None) -> subprocess.Popen[str]:
    """Start the command; its work folder is ``w`` in the folder."""
    files = []
    if config is not None:
        files = [folder / "config.yaml"]
        files[0].write_text(yaml.safe_dump(dict(config)))
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()", "simulate"]
    words = [*files, "--workdir", folder / "w", "--time-scale", 0.005, *args]
    return subprocess.Popen(
        command + [str(word) for word in words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def simulate(folder: Path, *args: object, config: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Run the command; return its exit code and what it says."""
    with start(folder, *args, config=config) as process:
        try:
            text, _ = process.communicate(timeout=_LIMIT)
        finally:
            if process.poll() is None:
                process.kill()
    return process.returncode, text
