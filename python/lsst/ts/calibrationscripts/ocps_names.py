# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the OCPS calls the results of a job."""

from __future__ import annotations

__all__ = ["OcpsNames"]


class OcpsNames:
    """Names that follow from the id of a job.

    Parameters
    ----------
    log_path : `str`
        Path of a job's log, with ``{job_id}`` for its id.
    """

    def __init__(self, log_path: str) -> None:
        self._log_path = log_path

    def collection(self, job_id: str) -> str:
        """Return the output collection of a job, chained to its inputs."""
        return f"u/ocps/{job_id}"

    def run_collection(self, job_id: str) -> str:
        """Return the RUN collection that holds a job's outputs alone."""
        return f"{self.collection(job_id)}/run"

    def log_path(self, job_id: str) -> str:
        """Return the path of a job's log."""
        return self._log_path.format(job_id=job_id)
