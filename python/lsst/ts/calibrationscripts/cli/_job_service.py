# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job service of a simulated run."""

from __future__ import annotations

__all__ = ["with_job_service"]

import math
import os
from dataclasses import replace
from pathlib import Path

import yaml

from ._common import ExitCode, fail
from ._inputs import Configuration


def with_job_service(given: Configuration, job_service: str, workdir: Path) -> Configuration:
    """Return a configuration with the job service of the command line.

    Parameters
    ----------
    given : `Configuration`
        A valid configuration.
    job_service : `str`
        ``ocps`` or ``bps``. With bps, all cores of this machine are used
        through Parsl, unless the configuration names a batch system.
    workdir : `pathlib.Path`
        Work folder of the observatory, which gets the file that says so.

    Returns
    -------
    configuration : `Configuration`
    """
    values = yaml.safe_load(given.text) or {}
    values["job_service"] = job_service
    if job_service == "bps":
        # The start of a process takes longer than the simulated frames.
        values.setdefault("n_processes", 1)
    if job_service == "bps" and values.get("bps_config") is None:
        # All of what a job starts may have been killed with a worker: once
        # more, before the job fails.
        cores = os.cpu_count() or 1
        compute = {"class": "lsst.ctrl.bps.parsl.sites.Local", "cores": cores, "retries": 1}
        n_detectors = len(values.get("detectors") or given.instrument.detector_ids())
        site = {
            "wmsServiceClass": "lsst.ctrl.bps.parsl.ParslService",
            "computeSite": "simulated",
            "site": {"simulated": compute},
            "detectorsPerProcess": math.ceil(n_detectors / (2 * cores)),
        }
        path = workdir.absolute() / "bps-site.yaml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(site, sort_keys=False))
        except OSError as error:
            fail(
                f"{error.filename} cannot be used: {error.strerror}. Name another work folder (--workdir).",
                ExitCode.INVALID,
            )
        values["bps_config"] = str(path)
    return replace(given, text=yaml.safe_dump(values, sort_keys=False))
