# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to."""

from __future__ import annotations

__all__ = ["RunDocument", "RunReport", "Span"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..comparison import Comparison
from ..instruments import ImageType
from ..outcomes import Certification, DetectorDefects, Gain, Outcome, RunState, StageResult
from ..products import Subject
from ..proof import Proof
from ..record import Decision, Span
from ..spoilt import SeriesJudgement
from ..verification import Verdict
from ._evidence import Evidence


@dataclass(frozen=True)
class RunReport:
    """Everything that a run came to."""

    state: RunState
    """How its script ended."""

    reason: str = ""
    """Why it did not end DONE."""

    run_id: str = ""
    """By which another run can resume it."""

    journal: str = ""
    """Path of its journal; "" if there is none."""

    resume_command: str = ""
    """Command of a shell that resumes it; "" if a configuration does."""

    instrument: str = ""
    """Name of the instrument, if it is known."""

    resumed: int = 0
    """How often it was resumed."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of what it was made with, by name, as far as known."""

    exposures: Mapping[ImageType, tuple[int, ...]] = field(default_factory=dict)
    """Ids of all frames taken."""

    discarded: Mapping[ImageType, tuple[int, ...]] = field(default_factory=dict)
    """Those of them that were not to be processed."""

    stages: tuple[StageResult, ...] = ()
    verdicts: Mapping[Subject, Verdict] = field(default_factory=dict)
    certifications: tuple[Certification, ...] = ()
    proofs: tuple[Proof, ...] = ()
    """What proves that they could be made, in the same order."""

    earlier_proofs: tuple[Proof, ...] = ()
    """Of what earlier sessions of the run have certified otherwise, as their
    reports had them. It is certified unless it was undone since."""

    waiting: tuple[Proof, ...] = ()
    """Of what waits for a person to accept it."""

    comparisons: tuple[Comparison, ...] = ()
    """How products compare with those in use."""

    decisions: tuple[Decision, ...] = ()
    """What persons have decided about its products, in order."""

    gains: tuple[Gain, ...] = ()
    defects: tuple[DetectorDefects, ...] = ()

    judgements: tuple[SeriesJudgement, ...] = ()
    """Which frames are spoilt, for each series that was judged."""

    timeline: tuple[Span, ...] = ()
    """Frames and stages of all sessions, in the order in which they began."""

    repeats: tuple[str, ...] = ()
    """What was done again, and why."""

    config: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[StageResult, ...]:
        """Stages whose jobs are left to themselves."""
        return tuple(result for result in self.stages if result.outcome is Outcome.PENDING)

    @property
    def rest_only(self) -> tuple[StageResult, ...]:
        """Stages that went on without bad detectors."""
        return tuple(result for result in self.stages if result.outcome.good and result.bad_detectors)

    @property
    def complete(self) -> bool:
        """Whether all that was asked for passed or was certified.

        Not if that is so for some detectors only.
        """
        good = all(result.outcome.good for result in self.stages)
        return self.state is RunState.DONE and good and not self.rest_only


@dataclass(frozen=True)
class RunDocument:
    """What a run leaves as JSON."""

    report: RunReport

    evidence: Evidence | None = None
    """Statistics and pictures, if they have been read."""

    trend: tuple[str, ...] = ()
    """What is unlike earlier runs."""
