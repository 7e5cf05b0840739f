# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has done so far, so that it can be resumed."""

from __future__ import annotations

__all__ = ["Decision", "DecisionKind", "Frame", "JobRecord", "RunRecord", "SoughtTime", "Span", "camera_of"]

import datetime
import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .instruments import LATISS
from .outcomes import Certification, Outcome, RunState, StageResult
from .plan import JobRequest
from .products import StageId, StageKind, Subject
from .spoilt import SeriesJudgement


@dataclass(frozen=True)
class Frame:
    """A frame, from the moment that the camera is asked for it."""

    series: Subject

    number: int
    """Place in its series, from 1; a trial flat has 0 or less."""

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

    submitted: float | None = field(default=None, compare=False)
    """When it was: TAI, as a Unix timestamp (s); `None` if that was not noted
    yet."""


@dataclass(frozen=True)
class SoughtTime:
    """The exposure time that was found for a set of flats."""

    series: Subject
    exp_time: float
    """Exposure time of each flat of the set (s)."""

    confirmed: bool
    """Whether a trial flat of this time had the level that is wanted."""


@dataclass(frozen=True)
class Span:
    """A stage, or a frame of it, in time."""

    stage: StageId

    begin: float
    """TAI, as a Unix timestamp (s)."""

    end: float
    """TAI, as a Unix timestamp (s)."""

    frame: str = ""
    """Label of the frame; "" for the stage as a whole."""

    outcome: Outcome | None = None
    """How the stage ended; `None` for a frame, or if it is not known."""

    @property
    def name(self) -> str:
        """What people read."""
        return self.frame or self.stage.name


class DecisionKind(enum.StrEnum):
    """What a person can decide about a product of a run."""

    ACCEPT = "accept"
    """Certify it."""

    REJECT = "reject"
    """Do not certify it."""

    DECERTIFY = "decertify"
    """Undo its certification."""

    @property
    def participle(self) -> str:
        """What has been done by it."""
        return {"accept": "accepted", "reject": "rejected", "decertify": "decertified"}[self.value]


@dataclass(frozen=True)
class Decision:
    """What a person has decided about a product of a run."""

    kind: DecisionKind
    subject: Subject
    """The product."""

    who: str
    """Name of the person."""

    time: float
    """When it was decided: TAI, as a Unix timestamp (s)."""

    reason: str
    """Why, in the person's words."""

    seen: str = ""
    """What was known of the product then: its verdict and comparison."""

    certification: Certification | None = None
    """What it is certified as, or was until then; `None` if rejected."""

    datasets: tuple[str, ...] = ()
    """UUIDs of the datasets that were accepted, in order."""

    superseded: bool = False
    """Whether other frames were asked for since: it is about a product that
    is made anew."""

    @property
    def date(self) -> str:
        """When it was decided (ISO-8601, TAI)."""
        return f"{datetime.datetime.fromtimestamp(self.time, datetime.UTC):%Y-%m-%dT%H:%M:%S}"

    @property
    def text(self) -> str:
        """Who decided what, and why, without a full stop."""
        since = " (made anew since)" if self.superseded else ""
        return f"{self.kind.participle} by {self.who}: {self.reason}{since}"

    @property
    def result(self) -> StageResult | None:
        """How the certification ended by it; `None` as long as it may be."""
        if self.kind is DecisionKind.ACCEPT:
            return None
        return StageResult(StageId(StageKind.CERTIFY, self.subject), Outcome.HELD, self.text)


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

    decisions: tuple[Decision, ...] = ()
    """What persons have decided, in order."""

    notified: tuple[str, ...] = ()
    """Names of the products that a message was sent about; "run" if one was
    about the run as a whole."""

    sought: tuple[SoughtTime, ...] = ()
    """The exposure time that was found for sets of flats."""

    resumed: int = 0
    """How often the run was resumed."""

    instrument: str = ""
    """Name of its instrument; "" in the records of earlier versions."""

    timeline: tuple[Span, ...] = ()
    """Frames and stages that have ended, of all its sessions."""

    def decision_on(self, subject: Subject) -> Decision | None:
        """Return the newest decision on the product as it is, if any."""
        found = (one for one in reversed(self.decisions) if one.subject == subject and not one.superseded)
        return next(found, None)

    def result_of(self, stage: StageId) -> StageResult | None:
        """Return how a stage ended, if it did."""
        return next((result for result in self.stages if result.stage == stage), None)

    def job_of(self, stage: StageId) -> JobRecord | None:
        """Return the newest job of a stage, if it had one."""
        return next((job for job in self.jobs if job.stage == stage), None)

    def judgement_of(self, series: Subject) -> SeriesJudgement | None:
        """Return what is known of the frames of a series, if anything."""
        return next((judgement for judgement in self.judgements if judgement.series == series), None)

    def waits(self, result: StageResult) -> bool:
        """Return whether what a stage is about waits for a person.

        Parameters
        ----------
        result : `StageResult`
            How the stage ended.

        Returns
        -------
        waits : `bool`
            Also of what was accepted, but could not be certified.
        """
        if result.stage.kind is not StageKind.CERTIFY or result.outcome is Outcome.CERTIFIED:
            return False
        decision = self.decision_on(result.stage.subject)
        if decision is None:
            return result.outcome is Outcome.WAITING
        return decision.kind is DecisionKind.ACCEPT

    def count_waiting(self) -> int:
        """Return how many products wait for a person."""
        return sum(map(self.waits, self.stages))

    def sought_of(self, series: Subject) -> SoughtTime | None:
        """Return the exposure time that was found for flats, if it was."""
        return next((sought for sought in self.sought if sought.series == series), None)

    def is_refused(self, subject: Subject) -> bool:
        """Return whether a person has decided against a product."""
        decision = self.decision_on(subject)
        return decision is not None and decision.result is not None

    def has_frame(self, series: Subject, number: int) -> bool:
        """Return whether a frame was asked for."""
        return self._index_of(series, number) is not None

    def with_frame(self, frame: Frame) -> RunRecord:
        """Note that a frame is asked for, or which exposure it became."""
        index = self._index_of(frame.series, frame.number)
        others = self.frames if index is None else (*self.frames[:index], *self.frames[index + 1 :])
        return replace(self, frames=(*others, frame))

    def _index_of(self, series: Subject, number: int) -> int | None:
        # The number tells most apart: there may be a thousand.
        numbers = (i for i, frame in enumerate(self.frames) if frame.number == number)
        return next((i for i in numbers if self.frames[i].series == series), None)

    def with_job(self, job: JobRecord) -> RunRecord:
        """Note a stage's job; how the stage ended is no longer known."""
        return replace(
            self,
            jobs=(*(other for other in self.jobs if other.stage != job.stage), job),
            stages=tuple(result for result in self.stages if result.stage != job.stage),
        )

    def with_decision(self, decision: Decision) -> RunRecord:
        """Note what a person has decided, and what ended by it."""
        noted = replace(self, decisions=(*self.decisions, decision))
        return noted.with_result(decision.result) if decision.result else noted

    def with_superseded(self, subjects: Collection[Subject]) -> RunRecord:
        """Note that products are made anew: nothing is decided on them."""
        decisions = tuple(
            replace(one, superseded=True) if one.subject in subjects else one for one in self.decisions
        )
        return replace(self, decisions=decisions)

    def with_judgement(self, judgement: SeriesJudgement) -> RunRecord:
        """Note which frames of a series are spoilt."""
        others = tuple(other for other in self.judgements if other.series != judgement.series)
        return replace(self, judgements=(*others, judgement))

    def with_sought(self, sought: SoughtTime) -> RunRecord:
        """Note the exposure time that was found for a set of flats."""
        others = tuple(other for other in self.sought if other.series != sought.series)
        return replace(self, sought=(*others, sought))

    def with_result(self, result: StageResult) -> RunRecord:
        """Note how a stage ended."""
        others = tuple(other for other in self.stages if other.stage != result.stage)
        return replace(self, stages=(*others, result))


def camera_of(recorded: str) -> str:
    """Return the name of the camera of a run.

    Parameters
    ----------
    recorded : `str`
        The instrument as the run has recorded it. Earlier versions did not,
        as they had one camera.

    Returns
    -------
    name : `str`
    """
    return recorded or LATISS.name
