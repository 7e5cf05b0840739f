# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job service of a run: that of a simulated one, and its site file."""

from __future__ import annotations

__all__ = ["site_findings", "with_job_service"]

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ._common import ExitCode, fail, within
from ._inputs import Configuration

if TYPE_CHECKING:
    from ..config import CalibrationConfig

_ONE_MACHINE = "lsst.ts.calibrationscripts.bps.one_machine.OneMachine"

_SITE_TIMEOUT = 10.0
"""Longest that a site file is looked for (s)."""


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
        compute = {"class": _ONE_MACHINE, "cores": cores, "retries": 1}
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


def site_findings(config: CalibrationConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with the site file of a configuration.

    Parameters
    ----------
    config : `CalibrationConfig`
        A valid configuration.

    Returns
    -------
    problems : `tuple` [`str`, ...]
        Why the script would refuse it.
    notices : `tuple` [`str`, ...]
        That it cannot be read here: the script's machine may have it.
    """
    if config.job_service != "bps" or config.bps_config is None:
        return (), ()
    from ..bps.site import SiteError, read_site

    path = Path(config.bps_config).expanduser()

    try:
        within(_SITE_TIMEOUT, lambda: path.open("rb").close())
    except (OSError, TimeoutError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it does not answer"
        return (), (f"bps_config: {path} is not checked, as it cannot be read here ({why}).",)
    try:
        read_site(path)
    except SiteError as error:
        return (str(error),), ()
    return (), ()
