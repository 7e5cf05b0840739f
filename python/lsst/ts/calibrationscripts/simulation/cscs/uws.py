# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the mock OCPS, as the service behind the real one keeps them."""

from __future__ import annotations

__all__ = ["OcpsJob", "log_path", "now"]

import asyncio
import dataclasses
import datetime
import json
from pathlib import Path

from ..runner import PipetaskJob


def log_path(uws: Path, job_id: str = "{job_id}") -> Path:
    """Return where the log of a job is.

    Parameters
    ----------
    uws : `pathlib.Path`
        Folder of all jobs.
    job_id : `str`, optional
        The job; by default a placeholder.

    Returns
    -------
    path : `pathlib.Path`
    """
    return uws / "jobs" / job_id / "out" / "ocps.log"


@dataclasses.dataclass
class OcpsJob:
    """A job, as the UWS service reports it.

    Parameters
    ----------
    job_id : `str`
        Hexadecimal id.
    run_id : `str`
        Sequence number of the command that submitted it.
    folder : `pathlib.Path`
        Folder of the job, with ``job.json`` and ``out/ocps.log``.
    environment : `dict` [`str`, `str`]
        What the command requested.
    argv : `list` [`str`]
        Arguments of ``pipetask``.
    remark : `str`, optional
        Note of the OCPS about the arguments.
    disk_full : `bool`, optional
        Whether there is no space for the files that the job writes.
    """

    job_id: str
    run_id: str
    folder: Path
    environment: dict[str, str]
    argv: list[str]
    remark: str = ""
    disk_full: bool = False
    phase: str = "pending"
    created: datetime.datetime = dataclasses.field(default_factory=lambda: now())
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    exit_code: int | None = None
    aborted: bool = False
    submission: str = ""
    done: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    gone: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    """Set once an abort has deleted it, and that is published."""

    work: asyncio.Task[None] | None = None
    process: PipetaskJob | None = None

    @property
    def log(self) -> Path:
        """Log of the job."""
        return self.folder / "out" / "ocps.log"

    @property
    def scratch(self) -> Path:
        """Folder for temporary files, removed when the job ends."""
        return self.folder / "tmp"

    def to_json(self) -> str:
        """Return the job as JSON, in the form of the UWS service."""
        duration = None
        if self.started and self.ended:
            duration = (self.ended - self.started).total_seconds()
        results = [{"id": "out", "uri": self.log.parent.as_uri()}] if self.phase == "completed" else []
        return json.dumps(
            {
                "jobId": self.job_id,
                "runId": self.run_id,
                "phase": self.phase,
                "creationTime": _iso(self.created),
                "startTime": _iso(self.started),
                "endTime": _iso(self.ended),
                "executionDuration": duration,
                "parameters": {
                    "environment": [
                        {"name": name, "value": value} for name, value in self.environment.items()
                    ]
                },
                "results": results,
            }
        )

    def save(self) -> None:
        """Write ``job.json``, which is complete at all times."""
        draft = self.folder / "job.json.new"
        draft.write_text(self.to_json())
        draft.replace(self.folder / "job.json")

    def note(self, text: str) -> None:
        """Add a line to the log, as the OCPS."""
        with self.log.open("a") as log:
            log.write(f"OCPS: {text}\n")


def now() -> datetime.datetime:
    """Return the time, with its zone."""
    return datetime.datetime.now(datetime.UTC)


def _iso(time: datetime.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")
