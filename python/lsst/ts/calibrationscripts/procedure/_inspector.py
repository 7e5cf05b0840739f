# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are measured and judged before anything is made from them."""

from __future__ import annotations

__all__ = ["Inspector"]

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from ..instruments import ImageType
from ..outcomes import Outcome
from ..ports import ObservatoryError
from ..products import StageKind, Subject
from ..report import decertify_command, spoilt_text
from ..spoilt import FrameMeasure, Mark, MarkKind, SeriesJudgement, judge_frames, with_named
from ._context import Context
from ._frames import Frames
from ._remaking import with_exclusions

_log = logging.getLogger(__name__)

_MEASURE_TIMEOUT = 300.0
"""Longest that the frames of a series may be measured; 20 of LATISS take less
than half a minute. Processing waits for it (s)."""


class Inspector:
    """Finds the frames that are spoilt.

    Parameters
    ----------
    context : `Context`
        The run; its record has what an earlier one has found.
    """

    def __init__(self, context: Context) -> None:
        self._config = context.config
        self._plan = context.plan
        self._clock = context.world.clock
        self._journal = context.world.journal.path
        self._known_marks = context.world.known_marks
        self._repository = context.world.repository
        self._operator = context.world.operator
        self._recorder = context.recorder
        self._image_types = {series.subject: series.image_type for series in context.config.series}
        self._given = {series.subject for series in context.config.series if series.exposures}
        self.judgements: dict[Subject, SeriesJudgement] = {}
        """What is known of each series."""

        self.marked_since: dict[Subject, tuple[Mark, ...]] = {}
        """Marks of frames that stay, as something is certified from them,
        and that would be left out else."""

    async def inspect(self, series: Subject, frames: Frames, faults: Mapping[int, str]) -> SeriesJudgement:
        """Judge the frames of a series, and leave out those to leave out.

        What cannot be measured is a warning, and no more.

        Parameters
        ----------
        series : `Subject`
            Which series.
        frames : `Frames`
            Its frames, which are all in the Butler; it is noted in them
            which are left out.
        faults : `~collections.abc.Mapping` [`int`, `str`]
            How frames differ from what was asked for, by exposure id.

        Returns
        -------
        judgement : `SeriesJudgement`
        """
        ids = tuple(exposure_id for exposure_id, _ in frames.wanted)
        before = judgement = self._recorder.record.judgement_of(series)
        if judgement is None or judgement.judged != ids:
            if judgement is not None:
                self._operator.info(f"{series}: judged again, as it has other frames than before.")
            judgement = await self._judge(series, frames, faults)
            if before is not None:
                # What a person has said of a frame still holds.
                named = tuple(mark for mark in before.marks if mark.is_named)
                judgement = replace(judgement, marks=judgement.marks + named)
        elif series not in self.judgements:
            judgement = await self._with_marks_since(judgement)
        judgement = with_named(judgement, self._config.without, self._named)
        judgement = with_exclusions(self._config, judgement, ids)
        frames.excluded = judgement.excluded
        if judgement != self.judgements.get(series) and (text := spoilt_text(judgement)):
            self._operator.warning(text)
        self.judgements[series] = judgement
        self._recorder.judgement(judgement)
        return judgement

    async def _with_marks_since(self, judgement: SeriesJudgement) -> SeriesJudgement:
        """Add what other runs have noted since an earlier session judged.

        What is certified stays: it is said that it was made with such frames.
        """
        unmeasured: list[str] = []
        new = await self._noted_before(judgement.judged, judgement.marks, unmeasured)
        for text in unmeasured:
            self._operator.warning(f"{judgement.series}: {text}")
        certified = self._certified_from(judgement.series) if new else ()
        if not certified:
            return replace(judgement, marks=(*judgement.marks, *new))
        if self._config.spoilt_frames == "exclude":
            self.marked_since[judgement.series] = tuple(new)
        run_id = self._recorder.record.run_id
        self._operator.warning(
            f"{', '.join(certified)}: certified from frames that other runs have marked since: "
            f"{'; '.join(map(str, new))}. To undo that: "
            f"'{decertify_command(run_id, certified, self._journal)}'"
        )
        return judgement

    def _certified_from(self, series: Subject) -> tuple[str, ...]:
        """Return names of the products of a series that are certified."""
        certified = []
        for stage in self._plan.stages_of(StageKind.CERTIFY):
            result = self._recorder.record.result_of(stage.id)
            made_by = self._plan.generation_of(stage.subject)
            if result is None or result.outcome is not Outcome.CERTIFIED or made_by is None:
                continue
            if made_by.job is not None and series in made_by.job.series:
                certified.append(stage.subject.name)
        return tuple(certified)

    def _named(self, exposure_id: int) -> Mark:
        """Return the mark of a frame that a person wants left out."""
        text = self._config.without_reason or "no reason was given"
        return Mark(exposure_id, MarkKind.PERSON, text, by=self._config.without_by or "", time=self._clock())

    async def _judge(self, series: Subject, frames: Frames, faults: Mapping[int, str]) -> SeriesJudgement:
        ids = tuple(exposure_id for exposure_id, _ in frames.wanted)
        marks = [Mark(i, MarkKind.HEADER, faults[i]) for i in ids if i in faults]
        image_type = self._image_types[series]
        measures, unmeasured = await self._measure(frames, faults)
        try:
            marks += judge_frames(image_type, measures)
        except Exception as error:  # noqa: BLE001 - a defect of the judge must not cost the run
            _log.exception("Unexpected error in the judgement of %s", series)
            unmeasured.append(f"the frames were not judged: {type(error).__name__}: {error}")
        if series in self._given:
            marks += await self._noted_before(ids, marks, unmeasured)
        return SeriesJudgement(series, ids, tuple(marks), unmeasured=tuple(unmeasured))

    async def _noted_before(
        self, ids: Collection[int], marks: Collection[Mark], unmeasured: list[str]
    ) -> list[Mark]:
        """Return marks of earlier runs that these frames do not show."""
        if self._known_marks is None:
            return []
        try:
            known = await self._known_marks(ids)
        except ObservatoryError as error:
            unmeasured.append(str(error))
            return []
        own = {(mark.exposure, mark.kind) for mark in marks}
        return [mark for mark in known if mark.kind.needs_series and (mark.exposure, mark.kind) not in own]

    async def _measure(
        self, frames: Frames, faults: Mapping[int, str]
    ) -> tuple[list[FrameMeasure], list[str]]:
        """Measure frames one by one, while there is time."""
        measures: list[FrameMeasure] = []
        unmeasured: list[str] = []
        wanted = [(i, planned) for i, planned in frames.wanted if i not in faults]
        try:
            async with asyncio.timeout(_MEASURE_TIMEOUT):
                for exposure_id, planned in wanted:
                    exp_time = 0.0 if planned.image_type is ImageType.BIAS else planned.exp_time
                    try:
                        amplifiers = await self._repository.measure_raw(exposure_id)
                    except ObservatoryError as error:
                        unmeasured.append(str(error))
                    else:
                        measures.append(FrameMeasure(exposure_id, exp_time, amplifiers))
        except TimeoutError:
            unmeasured.append(
                f"only {len(measures)} of {len(wanted)} frames were measured within {_MEASURE_TIMEOUT:g} s"
            )
        return measures, unmeasured
