# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: taken, or found, and waited for until they are in the Butler."""

from __future__ import annotations

__all__ = ["Exposer"]

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ..config import Series
from ..instruments import ImageType
from ..plan import PlannedExposure, Stage
from ..ports import ExposureRecord, ObservatoryError
from ..products import StageId, StageKind, Subject
from ..record import Frame
from ..spoilt import SeriesJudgement
from ..wheels import physical_filter
from ._context import Context
from ._faults import fault_of, fault_of_identity, ingest_problems
from ._frames import EarlierFrames, Frames, listed
from ._ingested import without_bad_detectors
from ._inspector import Inspector
from ._light import Light
from ._release import releases
from ._remaining import time_of
from ._surroundings import Gate

_LOG_INTERVAL = 5.0
"""Shortest time between two lines about frames (s)."""

_FRAME_GRACE = 3.0
"""How long a stop waits for a frame under way, so as to learn its id (s)."""


class Exposer:
    """Gets the frames of every series.

    They come from the camera; from an earlier run that this one resumes; or
    from the configuration, which may name exposures.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._config = context.config
        by_subject = {series.subject: series for series in context.config.series}
        exposed = [stage.subject for stage in context.plan.stages_of(StageKind.EXPOSE)]
        self.series = tuple(by_subject[subject] for subject in exposed)
        """What the plan has frames of, in the order in which it is taken."""

        self._world = context.world
        self._recorder = context.recorder
        self.earlier = EarlierFrames(context)
        """Those that need not be taken."""
        self._releases = releases(context.config, context.plan, context.recorder.record)
        self._sought: Series | None = None
        self._unlogged: list[tuple[PlannedExposure, int]] = []
        self._logged_at = 0.0
        self.frames = {series.subject: Frames() for series in self.series}
        """The frames so far, by series."""

        self.inspector = Inspector(context)
        """Knows which frames are spoilt."""

        self._gate = Gate(context)
        self.light = Light(context)
        """Looks at the level of flats."""

        self.stopped_at: float | None = None
        """When a stop found a frame under way, by the event loop (s)."""

        self.missing: dict[Subject, tuple[int, ...]] = {}
        """Frames that are wanted and not in the Butler, by series."""

        self.records: dict[int, ExposureRecord] = {}
        """What the Butler says of the frames that are in it."""

        self.physical_filters: dict[Subject, str] = {}
        """What each series of flats is taken through, once checked."""

    @property
    def judgements(self) -> tuple[SeriesJudgement, ...]:
        """What is known of each series that was judged, in their order."""
        judged = self.inspector.judgements
        return tuple(judged[series.subject] for series in self.series if series.subject in judged)

    async def check(self) -> tuple[str, ...]:
        """Return what prevents it from getting the frames, if anything."""
        problems = await self.earlier.find()
        if left := [series for series in self.series if not self.earlier.all_taken(series)]:
            problems += await self._gate.problems(left)
        if problems:
            return problems
        try:
            return await self.check_filters()
        except ObservatoryError as error:
            return (str(error),)

    async def check_filters(self) -> tuple[str, ...]:
        """Find out what flats are taken through; return what is wrong with it.

        Raises
        ------
        ObservatoryError
            If that is not known.
        """
        for series in self._flats:
            self.physical_filters[series.subject] = await self._physical_filter(series)
        if len(set(self.physical_filters.values())) < len(self.physical_filters):
            named = {series.name: name for series, name in self.physical_filters.items()}
            wheels = " and ".join(self._context.instrument.wheels)
            return (f"flat_sets: two sets are of the same {wheels}: {named}",)
        return ()

    @property
    def _flats(self) -> tuple[Series, ...]:
        return tuple(series for series in self.series if series.image_type is ImageType.FLAT)

    async def _physical_filter(self, series: Series) -> str:
        if not self.earlier.all_taken(series):
            return await self._world.camera.physical_filter(series)
        if named := physical_filter(series, self._context.instrument, None):
            # A header may be wrong, which is for that frame to say.
            return named
        records = await self._world.repository.exposure_records(self.earlier.ids_of(series.subject)[:1])
        return next((record.physical_filter for record in records.values()), "")

    async def times(self) -> dict[Subject, tuple[tuple[float, float], ...]]:
        """Return when frames of each series begin and end.

        Returns
        -------
        times : `dict` [`Subject`, `tuple` [`tuple` [`float`, `float`], ...]]
            TAI, as Unix timestamps (s): of each frame that exists, and of
            the beginning and the end of those that are to be taken.
        """
        records = await self._world.repository.exposure_records(self.earlier.ids)
        begin = self._world.frame_clock()
        times = {}
        for stage in self._context.plan.stages_of(StageKind.EXPOSE):
            series = self._series_of(stage)
            ids = self.earlier.ids_of(series.subject)
            of_series = [(records[i].begin, records[i].end) for i in ids if i in records]
            if left := self.earlier.left(series):
                end = begin + time_of(left)
                of_series += [(begin, begin), (end, end)]
                begin = end
            times[series.subject] = tuple(of_series)
        return times

    def _series_of(self, stage: Stage) -> Series:
        return next(series for series in self.series if series.subject == stage.subject)

    async def set_up_early(self) -> None:
        """Select the first filter at once: a stuck wheel costs no frames."""
        for series in self._flats[:1]:
            if not self.earlier.all_taken(series):
                await self._world.camera.set_up(series)

    async def expose(self, stage: Stage, useless: Callable[[], str | None]) -> str | None:
        """Get the frames of a series.

        Parameters
        ----------
        stage : `Stage`
            Which series.
        useless : callable
            Returns why nothing can use its frames any more, if that is so.

        Returns
        -------
        cause : `str` or `None`
            Why not all of its frames were taken.

        Raises
        ------
        CameraError
            If they cannot be taken.
        LightError
            If the first flat has a level that the observer does not accept.
        SurroundingsError
            If its preconditions are not met.
        """
        series = self._series_of(stage)
        frames = self.frames[series.subject]
        frames.taken.extend(self.earlier.given(series.subject))
        if cause := await self._seek(series, frames, useless):
            return cause
        is_ready = self._sought is series
        for exposure in self.earlier.planned(series.subject):
            exposure_id = self.earlier.id_of(exposure)
            if exposure_id is None:
                if cause := useless():
                    return cause
                if not is_ready:
                    await self._gate.set_up(series)
                    is_ready = True
                await self._world.operator.checkpoint(exposure.label)
                exposure_id = await self._take(exposure, frames)
                self._log(exposure, exposure_id)
                if series.image_type is ImageType.FLAT and exposure.number == 1:
                    await self.light.look(series, exposure_id, exposure.exp_time)
                await asyncio.sleep(self._config.wait_between_exposures)
            else:
                frames.taken.append((exposure_id, exposure))
            if self._world.watcher:
                self._world.watcher.taken(exposure)
        frames.taken.extend(self.earlier.replacements(series.subject))
        if self._config.retakes and not series.exposures:
            await self._replace_spoilt(series, frames, useless)
        return None

    async def _replace_spoilt(
        self, series: Series, frames: Frames, useless: Callable[[], str | None]
    ) -> None:
        """Take frames again that are spoilt, as many as may be.

        The camera waits until the series is ingested and judged.
        """
        n_planned = len(self._context.plan.exposures_of(series.subject))
        n_left = self._config.retakes - (len(frames.taken) - n_planned)
        if n_left <= 0 or await self.wait_for_ingest(series.subject):
            return
        spoilt = set(self.inspector.judgements[series.subject].spoilt) - set(self._config.without)
        numbers = {planned.number for _, planned in frames.taken}
        replaced = {
            frame.replaces
            for frame in self._recorder.record.frames
            if frame.series == series.subject and frame.number in numbers
        }
        for exposure_id, planned in frames.wanted:
            if exposure_id not in spoilt or planned.number > n_planned or planned.number in replaced:
                continue
            if n_left == 0 or useless():
                return
            if series.image_type is ImageType.FLAT:
                await self._world.camera.set_up(series)
            exposure = planned.replacement(len(frames.taken) + 1)
            self._recorder.repeat(f"{planned.label}: exposure {exposure_id} is spoilt; taken again")
            await self._world.operator.checkpoint(exposure.label)
            self._log(exposure, await self._take(exposure, frames, replaces=planned.number))
            await asyncio.sleep(self._config.wait_between_exposures)
            n_left -= 1

    def _log(self, exposure: PlannedExposure, exposure_id: int) -> None:
        """Log frames, several in a line if they come quickly."""
        now = asyncio.get_running_loop().time()
        self._unlogged.append((exposure, exposure_id))
        if now < self._logged_at + _LOG_INTERVAL and exposure.number < exposure.series_length:
            return
        first = self._unlogged[0][0].number
        several = len(self._unlogged) > 1
        which = f"{exposure.series} {first} to {exposure.number}" if several else exposure.label
        ids = listed([i for _, i in self._unlogged])
        self._world.operator.info(f"{which}: exposure{'s' if several else ''} {ids}")
        self._unlogged.clear()
        self._logged_at = now

    async def _seek(self, series: Series, frames: Frames, useless: Callable[[], str | None]) -> str | None:
        """Find the exposure time of a set of flats, if that is wanted.

        Returns
        -------
        cause : `str` or `None`
            Why nothing can use the set any more, if that is so.
        """
        wanted, record = self._config.flat_counts, self._recorder.record
        trials = self._context.plan.trials_of(series.subject)
        known = record.sought_of(series.subject)
        is_begun = len(self.earlier.left(series)) < len(self.earlier.planned(series.subject))
        if wanted is None or not trials or known or is_begun:
            # Frames of a set that has begun have the time that it began with.
            found = [(self.earlier.id_of(planned), planned) for planned in trials]
            frames.trials.extend((i, planned) for i, planned in found if i is not None)
            frames.sought = None if known is None else known.exp_time
            return None
        if cause := useless():
            return cause
        await self._gate.set_up(series)
        self._sought = series

        async def take(place: int, exp_time: float) -> int:
            planned = replace(trials[place - 1], exp_time=exp_time)
            exposure_id = self.earlier.id_of(planned)
            if exposure_id is not None:
                frames.trials.append((exposure_id, planned))
                self._world.ingest.expect(exposure_id)
                return exposure_id
            await self._world.operator.checkpoint(planned.label)
            exposure_id = await self._take(planned, frames)
            await asyncio.sleep(self._config.wait_between_exposures)
            return exposure_id

        frames.sought = (await self.light.seek(series, wanted, take)).exp_time
        return None

    async def _take(self, exposure: PlannedExposure, frames: Frames, *, replaces: int | None = None) -> int:
        frame = Frame(exposure.series, exposure.number, self._world.group_id(exposure), replaces=replaces)
        self._note_retake(exposure)
        self._recorder.frame(frame)
        await self._recorder.flush()
        self._context.timeline.begin(_stage_of(exposure), exposure.label)
        take = asyncio.create_task(self._world.camera.take(exposure, frame.group_id))
        try:
            exposure_id = await asyncio.shield(take)
        except asyncio.CancelledError:
            # The camera completes the frame in any case.
            self.stopped_at = asyncio.get_running_loop().time()
            done, _ = await asyncio.wait({take}, timeout=_FRAME_GRACE)
            if done and not take.cancelled() and take.exception() is None:
                self._keep(exposure, frame, take.result(), frames)
            take.cancel()
            await asyncio.gather(take, return_exceptions=True)
            raise
        self._keep(exposure, frame, exposure_id, frames)
        return exposure_id

    def _keep(self, exposure: PlannedExposure, frame: Frame, exposure_id: int, frames: Frames) -> None:
        self._context.timeline.end(_stage_of(exposure), exposure.label)
        (frames.trials if exposure.trial else frames.taken).append((exposure_id, exposure))
        self._world.ingest.expect(exposure_id)
        self._recorder.frame(replace(frame, exposure=exposure_id))

    def _note_retake(self, exposure: PlannedExposure) -> None:
        """Note that a frame was asked for before, but cannot be found."""
        if self._recorder.record.has_frame(exposure.series, exposure.number):
            self._recorder.repeat(
                f"{exposure.label}: asked for before the run was interrupted, but not in the Butler; "
                "taken again"
            )

    async def wait_for_ingest(self, series: Subject) -> tuple[str, ...]:
        """Wait until the frames of a series are in the Butler; judge them.

        Parameters
        ----------
        series : `Subject`
            Which series.

        Returns
        -------
        problems : `tuple` [`str`, ...]
            What is not in it, and why; and what cannot be used.
        """
        frames, operator = self.frames[series], self._world.operator
        incomplete = self._context.incomplete
        stage = next(
            each for each in self._context.plan.stages_of(StageKind.EXPOSE) if each.subject == series
        )
        incomplete.leave_out_again(stage)
        detectors = incomplete.left_of(stage)
        old = [i for i in frames.ids if i in self.earlier.ids]
        there = await self._world.repository.raws(old)
        present = {i for i in old if all((i, detector) in there for detector in detectors)}
        for exposure_id in set(old) - present - set(self._config.without):
            self._world.ingest.expect(exposure_id)
        # What a person wants left out need not be there.
        left_out = set(self._config.without)
        report = await self._world.ingest.wait([i for i in frames.ids if i not in present | left_out])
        for exposure_id in report.late:
            operator.warning(f"Exposure {exposure_id} is in the Butler, but the OODS never reported it.")
        discarded = set(frames.discarded)
        others, lacking = without_bad_detectors(incomplete, stage, report, discarded)
        report = report if lacking else others
        absent = {i for i, _ in report.failures} | set(report.missing)
        self.missing[series] = tuple(sorted(absent - discarded))
        for lost in sorted(discarded & absent):
            operator.warning(f"Exposure {lost}, which is discarded anyway, was not ingested.")
        if problems := (*lacking, *ingest_problems(others, discarded)):
            return problems
        faults = await self._check_records(series)
        frames.excluded = tuple(i for i, _ in frames.wanted if i in left_out)
        if not self._releases:
            await self.inspector.inspect(series, frames, faults)
        return tuple(
            f"exposure {exposure_id} {fault}"
            for exposure_id, fault in faults.items()
            if exposure_id not in frames.excluded
        )

    async def _check_records(self, series: Subject) -> dict[int, str]:
        """Compare what the Butler says of a series with what was planned.

        A wheel may have moved between two sessions, a header may be wrong, a
        journal may have been changed, and another program may have taken
        frames meanwhile, one of which the camera named.
        """
        frames = self.frames[series]
        records = dict(await self._world.repository.exposure_records(frames.ids))
        self.records.update(records)
        groups = {frame.exposure: frame.group_id for frame in self._recorder.record.frames}
        faults, discarded = {}, set(frames.discarded)
        for exposure_id, planned in frames.taken:
            record = records.get(exposure_id)
            fault = (
                "is not in the Butler"
                if record is None
                else fault_of(planned, record, self.physical_filters.get(series, ""))
                or fault_of_identity(exposure_id, record, groups.get(exposure_id))
            )
            if fault is None:
                continue
            if exposure_id in discarded:
                self._world.operator.warning(f"Exposure {exposure_id}, which is discarded anyway, {fault}.")
            else:
                faults[exposure_id] = fault
        return faults


def _stage_of(exposure: PlannedExposure) -> StageId:
    return StageId(StageKind.EXPOSE, exposure.series)
