# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job service that a configuration asks for."""

from __future__ import annotations

__all__ = ["check_site", "make_jobs", "uses_ocps"]

from collections.abc import Mapping
from pathlib import Path

from ..config import CalibrationConfig
from ..instruments import Instrument
from ..ports import JobService
from .connection import Connection
from .ocps import OcpsJobs
from .watch import ComponentWatch


def uses_ocps(config: CalibrationConfig) -> bool:
    """Return whether a run needs the OCPS."""
    return config.job_service == "ocps"


def check_site(config: CalibrationConfig) -> None:
    """Read the file that names the batch system, if there is one.

    Parameters
    ----------
    config : `CalibrationConfig`
        The run.

    Raises
    ------
    ObservatoryError
        If it cannot be used.
    """
    if not uses_ocps(config):
        from ..bps.site import read_site

        read_site(_site_path(config))


def make_jobs(
    config: CalibrationConfig,
    instrument: Instrument,
    connection: Connection,
    watch: ComponentWatch,
    journals: Path,
    run_id: str,
    environment: Mapping[str, str],
) -> JobService:
    """Return what runs the jobs of a run.

    Parameters
    ----------
    config : `CalibrationConfig`
        The run.
    instrument : `Instrument`
        Its camera.
    connection : `Connection`
        The remotes, that of the OCPS among them if it is used.
    watch : `ComponentWatch`
        Watches them.
    journals : `pathlib.Path`
        Folder of the run's journal.
    run_id : `str`
        Id of the run.
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which say where the pipelines are.

    Returns
    -------
    jobs : `JobService`

    Raises
    ------
    ObservatoryError
        If the batch system is not known.
    """
    if connection.ocps is not None:
        return OcpsJobs(connection.ocps, watch, job_timeout=config.job_timeout, log_path=config.ocps_log_path)
    from ..bps.jobs import BpsJobs
    from ..bps.site import read_site

    return BpsJobs(
        read_site(_site_path(config)),
        repo=config.repo,
        raws=instrument.raw_collection,
        journals=journals,
        run_id=run_id,
        job_timeout=config.job_timeout,
        environment=environment,
    )


def _site_path(config: CalibrationConfig) -> Path:
    assert config.bps_config is not None, "the configuration has it with bps"
    return Path(config.bps_config).expanduser()
