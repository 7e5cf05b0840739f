# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, by its journal."""

from __future__ import annotations

__all__ = ["Progress", "progress_of"]

from collections import Counter
from dataclasses import dataclass

from ..outcomes import RunState, StageResult
from ..record import RunRecord


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: str
    reason: str
    running: bool

    frames: tuple[tuple[str, int], ...]
    """Frames that exist, by series."""

    jobs: tuple[tuple[str, str], ...]
    """Stage and id of each job that has not ended."""

    stages: tuple[StageResult, ...]
    """How stages ended."""


def progress_of(record: RunRecord) -> Progress:
    """Return how far a run is.

    Parameters
    ----------
    record : `RunRecord`
        Its journal.

    Returns
    -------
    progress : `Progress`
    """
    frames = Counter(frame.series.name for frame in record.frames if frame.exposure is not None)
    running = record.state is RunState.RUNNING
    return Progress(
        record.state.value,
        record.reason,
        running,
        tuple(frames.items()),
        tuple(
            (job.stage.name, job.job_id)
            for job in record.jobs
            if running and record.result_of(job.stage) is None
        ),
        record.stages,
    )
