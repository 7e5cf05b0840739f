# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: taken, taken over from before, and seen into the Butler."""

from __future__ import annotations

__all__ = ["Exposer", "Frames"]

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..config import CalibrationConfig, Series
from ..instruments import ImageType, Instrument
from ..light import LightLevel
from ..plan import PlannedExposure, RunPlan, Stage
from ..ports import (
    CalibrationRepository,
    Camera,
    Ingest,
    IngestReport,
    LightError,
    ObservatoryError,
    Operator,
    Watcher,
)
from ..record import Frame, Recorder
from ._timeline import Timeline

_TELL_INTERVAL = 5.0
"""Shortest time between two lines that tell of frames (s)."""

_FRAME_GRACE = 3.0
"""What a stop waits for a frame under way, so as to learn its id (s)."""


@dataclass
class Frames:
    """The frames that a series has."""

    taken: list[tuple[int, PlannedExposure]] = field(default_factory=list)

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(exposure_id for exposure_id, _ in self.taken)

    @property
    def discarded(self) -> tuple[int, ...]:
        """Those that are not to be processed."""
        return tuple(exposure_id for exposure_id, planned in self.taken if planned.discard)

    @property
    def kept(self) -> tuple[int, ...]:
        """Those that are to be processed."""
        return tuple(exposure_id for exposure_id, planned in self.taken if not planned.discard)

    @property
    def kept_exp_times(self) -> tuple[float, ...]:
        """Exposure times of those that are to be processed (s)."""
        return tuple(planned.exp_time for _, planned in self.taken if not planned.discard)


class Exposer:
    """Gets the frames of every series.

    They come from the camera; from an earlier run that this one carries on;
    or from the configuration, which may name exposures.

    Parameters
    ----------
    config, plan, instrument
        What is to be taken.
    camera, ingest, repository, operator, watcher
        The world; see `lsst.ts.calibrationscripts.ports`.
    recorder : `Recorder`
        Where frames are noted, and found if an earlier run noted them.
    group_id : callable
        Returns the group id of a frame.
    timeline : `Timeline`
        Where frames are noted with their time.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        plan: RunPlan,
        instrument: Instrument,
        *,
        camera: Camera,
        ingest: Ingest,
        repository: CalibrationRepository,
        operator: Operator,
        watcher: Watcher | None,
        recorder: Recorder,
        group_id: Callable[[PlannedExposure], str],
        timeline: Timeline,
    ) -> None:
        self._config = config
        self._plan = plan
        self._detectors = instrument.detector_ids(config.detectors)
        self._camera = camera
        self._ingest = ingest
        self._repository = repository
        self._operator = operator
        self._watcher = watcher
        self._recorder = recorder
        self._group_id = group_id
        self._timeline = timeline
        self._untold: list[tuple[PlannedExposure, int]] = []
        self._told_at = 0.0
        self._given: dict[str, list[tuple[int, PlannedExposure]]] = {}
        self._from_before: dict[tuple[str, int], int] = {}
        self.frames = {series.name: Frames() for series in config.series}
        """The frames so far, by the name of their series."""

        self.tasks: set[asyncio.Task[LightLevel | None]] = set()
        """Looks at the light that nothing waits for."""

        self.physical_filters: dict[str, str] = {}
        """What each series of flats is taken through, once checked."""

    async def check(self) -> tuple[str, ...]:
        """Return what keeps the frames from being had, if anything."""
        await self._find_frames_from_before()
        problems = await self._check_given()
        if self._needs_camera:
            problems += await self._camera.check()
        if problems:
            return problems
        try:
            for series in self._flats:
                self.physical_filters[series.name] = await self._physical_filter(series)
        except ObservatoryError as error:
            return (str(error),)
        if len(set(self.physical_filters.values())) < len(self.physical_filters):
            return (f"flat_sets: two sets are of the same filter and grating: {self.physical_filters}",)
        return ()

    @property
    def _flats(self) -> tuple[Series, ...]:
        return tuple(series for series in self._config.series if series.image_type is ImageType.FLAT)

    @property
    def _needs_camera(self) -> bool:
        return any(self._missing(series) for series in self._config.series)

    def _missing(self, series: Series) -> bool:
        """Tell whether the camera has to take frames of a series."""
        planned = self._plan.exposures_of(series.name)
        return any((series.name, exposure.number) not in self._from_before for exposure in planned)

    async def _find_frames_from_before(self) -> None:
        """Learn the ids of frames that an earlier run asked for."""
        for frame in self._recorder.record.frames:
            exposure_id = frame.exposure
            if exposure_id is None:
                exposure_id = await self._repository.exposure_of_group(frame.group_id)
            if exposure_id is not None:
                self._from_before[frame.series, frame.number] = exposure_id

    async def _check_given(self) -> tuple[str, ...]:
        """Look up the exposures that the configuration names."""
        problems: list[str] = []
        for series in self._config.series:
            if not series.exposures:
                continue
            records = await self._repository.exposure_records(series.exposures)
            lost = [str(i) for i in series.exposures if i not in records]
            if lost:
                problems.append(f"exposures: {', '.join(lost)}: not in the Butler")
            wrong = [str(i) for i, r in records.items() if r.image_type.upper() != series.image_type]
            if wrong:
                problems.append(f"exposures: {', '.join(wrong)}: no {series.image_type} frames")
            filters = sorted({r.physical_filter for r in records.values()})
            if series.image_type is ImageType.FLAT and len(filters) > 1:
                several = ", ".join(filters)
                problems.append(f"exposures: flats of several filters, {several}; give those of one")
            self._given[series.name] = [
                (
                    i,
                    PlannedExposure(
                        series.image_type, series.name, records[i].exp_time, False, number, series.n
                    ),
                )
                for number, i in enumerate(series.exposures, start=1)
                if i in records
            ]
        return tuple(problems)

    async def _physical_filter(self, series: Series) -> str:
        if self._missing(series):
            return await self._camera.physical_filter(series)
        ids = [i for i, _ in self._given.get(series.name, [])]
        ids += [i for (name, _), i in self._from_before.items() if name == series.name]
        records = await self._repository.exposure_records(ids[:1])
        return next((record.physical_filter for record in records.values()), "")

    async def set_up_early(self) -> None:
        """Select the first filter at once: a stuck wheel costs no frames."""
        for series in self._flats[:1]:
            if self._missing(series):
                await self._camera.set_up(series)

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
        """
        series = next(series for series in self._config.series if series.name == stage.subject)
        frames = self.frames[series.name]
        frames.taken.extend(self._given.get(series.name, []))
        is_set_up = series.image_type is not ImageType.FLAT
        for exposure in self._plan.exposures_of(series.name):
            exposure_id = self._from_before.get((series.name, exposure.number))
            if exposure_id is None:
                if cause := useless():
                    return cause
                if not is_set_up:
                    await self._camera.set_up(series)
                    is_set_up = True
                await self._operator.checkpoint(exposure.label)
                exposure_id = await self._take(exposure, frames)
                self._tell(exposure, exposure_id)
                if series.image_type is ImageType.FLAT and exposure.number == 1:
                    await self._look_at_light(series, exposure_id, exposure.exp_time)
                await asyncio.sleep(self._config.wait_between_exposures)
            else:
                frames.taken.append((exposure_id, exposure))
            if self._watcher:
                self._watcher.taken(exposure)
        return None

    def _tell(self, exposure: PlannedExposure, exposure_id: int) -> None:
        """Tell of frames, several at a time if they come quickly."""
        now = asyncio.get_running_loop().time()
        self._untold.append((exposure, exposure_id))
        if now < self._told_at + _TELL_INTERVAL and exposure.number < exposure.series_length:
            return
        first = self._untold[0][0].number
        which = (
            exposure.label if len(self._untold) == 1 else f"{exposure.series} {first} to {exposure.number}"
        )
        plural = "s" if len(self._untold) > 1 else ""
        self._operator.info(f"{which}: exposure{plural} {', '.join(str(i) for _, i in self._untold)}")
        self._untold.clear()
        self._told_at = now

    async def _look_at_light(self, series: Series, exposure_id: int, exp_time: float) -> None:
        """Tell the level of the first flat, or give the set up for it."""
        look = asyncio.create_task(self._light_level(series, exposure_id, exp_time))
        if self._config.flat_counts_min is None and self._config.flat_counts_max is None:
            self.tasks.add(look)
            look.add_done_callback(self.tasks.discard)
            return
        try:
            level = await look
        finally:
            look.cancel()
        if level is not None and not level.acceptable:
            raise LightError(f"{level.text} The rest of the set is not taken")

    async def _light_level(self, series: Series, exposure_id: int, exp_time: float) -> LightLevel | None:
        await self._ingest.wait([exposure_id])
        try:
            counts = await self._repository.raw_level(exposure_id)
        except ObservatoryError as error:
            self._operator.warning(f"{series.name}: the level of the first flat is not known: {error}")
            return None
        level = LightLevel(
            series.name,
            exposure_id,
            exp_time,
            counts,
            self._config.flat_counts_min,
            self._config.flat_counts_max,
        )
        if level.acceptable:
            (self._operator.info if level.usable else self._operator.warning)(level.text)
        return level

    async def _take(self, exposure: PlannedExposure, frames: Frames) -> int:
        group_id = self._group_id(exposure)
        self._account_for_retake(exposure)
        self._recorder.frame(Frame(exposure.series, exposure.number, group_id))
        self._timeline.begin(exposure.label)
        take = asyncio.create_task(self._camera.take(exposure, group_id))
        try:
            exposure_id = await asyncio.shield(take)
        except asyncio.CancelledError:
            # The camera ends the frame all the same.
            done, _ = await asyncio.wait({take}, timeout=_FRAME_GRACE)
            if done and not take.cancelled() and take.exception() is None:
                self._keep(exposure, group_id, take.result(), frames)
            take.cancel()
            await asyncio.gather(take, return_exceptions=True)
            raise
        self._keep(exposure, group_id, exposure_id, frames)
        return exposure_id

    def _keep(self, exposure: PlannedExposure, group_id: str, exposure_id: int, frames: Frames) -> None:
        self._timeline.end(exposure.label)
        frames.taken.append((exposure_id, exposure))
        self._ingest.expect(exposure_id)
        self._recorder.frame(Frame(exposure.series, exposure.number, group_id, exposure_id))

    def _account_for_retake(self, exposure: PlannedExposure) -> None:
        """Tell if a frame was asked for before, but cannot be found."""
        asked = {(frame.series, frame.number) for frame in self._recorder.record.frames}
        if (exposure.series, exposure.number) in asked:
            self._recorder.repeat(
                f"{exposure.label}: asked for before the run was interrupted, but not in the Butler; "
                "taken again"
            )

    async def see_ingested(self, stage: Stage) -> tuple[str, ...]:
        """Wait until the frames of a series are in the Butler.

        Returns
        -------
        problems : `tuple` [`str`, ...]
            What is not in it, and why.
        """
        frames = self.frames[stage.subject]
        old = [i for i in frames.ids if i in self._old_ids]
        there = await self._repository.raws(old)
        present = {i for i in old if all((i, detector) in there for detector in self._detectors)}
        for exposure_id in set(old) - present:
            self._ingest.expect(exposure_id)
        report = await self._ingest.wait([i for i in frames.ids if i not in present])
        for exposure_id in report.late:
            self._operator.warning(f"Exposure {exposure_id} is in the Butler, though the OODS never said so.")
        discarded = set(frames.discarded)
        for lost in sorted(discarded & ({i for i, _ in report.failures} | set(report.missing))):
            self._operator.warning(f"Exposure {lost}, which is discarded anyway, was not ingested.")
        return _ingest_problems(report, discarded)

    @property
    def _old_ids(self) -> set[int]:
        given = {i for frames in self._given.values() for i, _ in frames}
        return given | set(self._from_before.values())


def _ingest_problems(report: IngestReport, discarded: set[int]) -> tuple[str, ...]:
    problems = [
        f"the OODS could not ingest exposure {exposure_id}: {description}"
        for exposure_id, description in report.failures
        if exposure_id not in discarded
    ]
    missing = [exposure_id for exposure_id in report.missing if exposure_id not in discarded]
    if missing:
        ids = ", ".join(map(str, missing))
        remark = f" ({report.remark})" if report.remark else ""
        problems.append(f"not in the Butler: exposure(s) {ids}{remark}; resume the run once they are")
    return tuple(problems)


def raise_if_dropped(exposures: Sequence[int], seen: Sequence[int]) -> None:
    """Tell of exposures that a job left out.

    Parameters
    ----------
    exposures, seen : `~collections.abc.Sequence` [`int`]
        What the job was given, and what it used.

    Raises
    ------
    ObservatoryError
        If it used less.
    """
    dropped = sorted(set(exposures) - set(seen))
    if dropped:
        raise ObservatoryError(
            f"the job left out {len(dropped)} of {len(exposures)} exposures without a word: "
            + ", ".join(map(str, dropped))
        )
