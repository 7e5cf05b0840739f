# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the job service of a run calls the results of a job."""

from __future__ import annotations

__all__ = ["BpsNames", "JobNames", "names_of"]

from pathlib import PurePath
from typing import Protocol

from .config import CalibrationConfig
from .ocps_names import OcpsNames


class JobNames(Protocol):
    """Names that follow from the id of a job."""

    def collection(self, job_id: str) -> str:
        """Return the output collection of a job, chained to its inputs."""

    def run_collection(self, job_id: str) -> str:
        """Return the RUN collection that holds a job's outputs alone."""

    def log_path(self, job_id: str) -> str:
        """Return the path of a job's log."""


class BpsNames:
    """Names that follow from the id of a job which bps runs.

    Parameters
    ----------
    journals : `pathlib.PurePath`
        Folder of the run's journal.
    """

    def __init__(self, journals: PurePath) -> None:
        self._journals = journals

    def collection(self, job_id: str) -> str:
        """Return the output collection of a job, chained to its inputs."""
        return f"u/bps/{job_id}"

    def run_collection(self, job_id: str) -> str:
        """Return the RUN collection that holds a job's outputs alone."""
        return f"{self.collection(job_id)}/run"

    def submit_folder(self, job_id: str) -> str:
        """Return the path of the folder of all that bps writes for a job."""
        return str(self._journals / "bps" / job_id)

    def log_path(self, job_id: str) -> str:
        """Return the path of a job's log: what bps itself says."""
        return str(PurePath(self.submit_folder(job_id), "bps.log"))


def names_of(config: CalibrationConfig, journals: PurePath) -> JobNames:
    """Return the names that a run's jobs give to what they leave.

    Parameters
    ----------
    config : `CalibrationConfig`
        The run's configuration, which says what runs its jobs.
    journals : `pathlib.PurePath`
        Folder of the run's journal.

    Returns
    -------
    names : `JobNames`
    """
    return BpsNames(journals) if config.job_service == "bps" else OcpsNames(config.ocps_log_path)
