# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has done so far, so that it can be resumed."""

from __future__ import annotations

__all__ = ["Frame", "JobRecord", "RunRecord"]

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .outcomes import Certification, RunState, StageResult
from .plan import JobRequest
from .products import StageId, Subject
from .spoilt import SeriesJudgement


@dataclass(frozen=True)
class Frame:
    """A frame, from the moment that the camera is asked for it."""

    series: Subject

    number: int
    """Place in its series, from 1."""

    group_id: str
    """Its own group id, by which the Butler identifies it."""

    exposure: int | None = None
    """Exposure id; `None` as long as it is not known."""

    replaces: int | None = None
    """Place of the spoilt frame that it was taken for, if it was."""


@dataclass(frozen=True)
class JobRecord:
    """The newest job of a stage."""

    stage: StageId
    job_id: str

    request: JobRequest
    """What it was asked for, as a whole."""


@dataclass(frozen=True)
class RunRecord:
    """The record of a run, as its journal keeps it.

    The methods return a record in which something more is noted.
    """

    run_id: str
    config: Mapping[str, Any]

    state: RunState = RunState.RUNNING
    reason: str = ""
    frames: tuple[Frame, ...] = ()
    jobs: tuple[JobRecord, ...] = ()
    stages: tuple[StageResult, ...] = ()
    """How stages ended."""

    certifications: tuple[Certification, ...] = ()
    judgements: tuple[SeriesJudgement, ...] = ()
    """Which frames are spoilt, by series."""

    repeats: tuple[str, ...] = ()
    """What was done again, and why."""

    resumed: int = 0
    """How often the run was resumed."""

    def result_of(self, stage: StageId) -> StageResult | None:
        """Return how a stage ended, if it did."""
        return next((result for result in self.stages if result.stage == stage), None)

    def job_of(self, stage: StageId) -> JobRecord | None:
        """Return the newest job of a stage, if it had one."""
        return next((job for job in self.jobs if job.stage == stage), None)

    def judgement_of(self, series: Subject) -> SeriesJudgement | None:
        """Return what is known of the frames of a series, if anything."""
        return next((judgement for judgement in self.judgements if judgement.series == series), None)

    def with_frame(self, frame: Frame) -> RunRecord:
        """Note that a frame is asked for, or which exposure it became."""
        others = tuple(
            other for other in self.frames if (other.series, other.number) != (frame.series, frame.number)
        )
        return replace(self, frames=(*others, frame))

    def with_job(self, job: JobRecord) -> RunRecord:
        """Note a stage's job; how the stage ended is no longer known."""
        return replace(
            self,
            jobs=(*(other for other in self.jobs if other.stage != job.stage), job),
            stages=tuple(result for result in self.stages if result.stage != job.stage),
        )

    def with_judgement(self, judgement: SeriesJudgement) -> RunRecord:
        """Note which frames of a series are spoilt."""
        others = tuple(other for other in self.judgements if other.series != judgement.series)
        return replace(self, judgements=(*others, judgement))

    def with_result(self, result: StageResult) -> RunRecord:
        """Note how a stage ended."""
        others = tuple(other for other in self.stages if other.stage != result.stage)
        return replace(self, stages=(*others, result))
