# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run, kept up to date in its journal."""

from __future__ import annotations

__all__ = ["Recorder"]

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..outcomes import Certification, RunState, StageResult
from ..ports import Journal, ObservatoryError, Operator
from ..products import StageKind, Subject
from ..record import Frame, JobRecord, RunRecord, SoughtTime
from ..spoilt import SeriesJudgement
from ._timeline import Timeline


class Recorder:
    """Keeps the record of a run up to date, in the journal too.

    Parameters
    ----------
    record : `RunRecord`
        Where the run begins: empty, or what an earlier one has done.
    journal : `Journal`
        Where it is kept.
    operator : `Operator`
        Who gets a message, once, if it cannot be written.
    timeline : `Timeline`
        When things began and ended, which is noted with the rest.
    anew : `~collections.abc.Collection` [`Subject`], optional
        Products that are made anew. What was decided on them is of no account
        in this run; the journal has it so once the new job is submitted, as
        until then there is the earlier product alone.
    """

    def __init__(
        self,
        record: RunRecord,
        journal: Journal,
        operator: Operator,
        timeline: Timeline,
        anew: Collection[Subject] = (),
    ) -> None:
        self._decided = record.decisions
        self._to_make = set(anew)
        self.record = record.with_superseded(anew)
        self._journal = journal
        self._operator = operator
        self._timeline = timeline
        self._failed = False
        self._noted = False
        self.exists = bool(record.resumed)
        """Whether there is a journal."""

    def frame(self, frame: Frame) -> None:
        """Note that a frame is asked for, or which exposure it became."""
        self._write(self.record.with_frame(frame))

    def judgement(self, judgement: SeriesJudgement) -> None:
        """Note which frames of a series are spoilt."""
        self._write(self.record.with_judgement(judgement))

    def sought(self, sought: SoughtTime) -> None:
        """Note the exposure time that was found for a set of flats."""
        self._write(self.record.with_sought(sought))

    def job(self, job: JobRecord) -> None:
        """Note a stage's job; how the stage ended is no longer known."""
        if job.stage.kind is StageKind.GENERATE:
            self._to_make.discard(job.stage.subject)
        self._write(self.record.with_job(job))

    def result(self, result: StageResult) -> None:
        """Note how a stage ended."""
        self._write(self.record.with_result(result))

    def certifications(self, certifications: tuple[Certification, ...]) -> None:
        """Note what is certified, beside what earlier sessions have."""
        all_made = tuple(dict.fromkeys((*self.record.certifications, *certifications)))
        self._write(replace(self.record, certifications=all_made))

    def repeat(self, text: str) -> None:
        """Note and log that something is done again."""
        self._operator.warning(text)
        self._write(replace(self.record, repeats=(*self.record.repeats, text)))

    def notified(self, name: str) -> None:
        """Note that a message is sent about a product, or the run."""
        self._write(replace(self.record, notified=(*self.record.notified, name)))

    def begin(self, config: Mapping[str, Any]) -> None:
        """Note that the run begins or is resumed."""
        self._write(replace(self.record, config=config, state=RunState.RUNNING, reason=""))

    def end(self, state: RunState, reason: str) -> None:
        """Note how the run ended."""
        self._write(replace(self.record, state=state, reason=reason))

    async def flush(self) -> None:
        """Wait until the journal has all that was noted."""
        try:
            await self._journal.flush()
            self.exists = self.exists or self._noted
        except ObservatoryError as error:
            self._report(error)

    def _write(self, record: RunRecord) -> None:
        self.record = record = replace(record, timeline=self._timeline.spans)
        try:
            self._journal.write(self._still_decided(record))
            self._noted = True
        except ObservatoryError as error:
            self._report(error)

    def _still_decided(self, record: RunRecord) -> RunRecord:
        """Return it with what is decided on products not yet made anew."""
        if not self._to_make:
            return record
        both = zip(self._decided, record.decisions, strict=True)
        decisions = tuple(old if old.subject in self._to_make else new for old, new in both)
        return replace(record, decisions=decisions)

    def _report(self, error: ObservatoryError) -> None:
        # Frames are worth more than the journal: the run continues.
        if not self._failed:
            self._operator.error(f"{error}. The run continues; it cannot be resumed from here.")
        self._failed = True
