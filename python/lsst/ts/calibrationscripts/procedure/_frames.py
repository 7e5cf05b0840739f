# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a run, and those that exist before it takes any."""

from __future__ import annotations

__all__ = ["EarlierFrames", "Frames", "listed"]

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ..config import Series
from ..instruments import ImageType
from ..plan import PlannedExposure
from ..ports import ExposureRecord
from ..products import Subject
from ._context import Context
from ._remaking import problems_of_named


@dataclass
class Frames:
    """The frames that a series has."""

    taken: list[tuple[int, PlannedExposure]] = field(default_factory=list)

    trials: list[tuple[int, PlannedExposure]] = field(default_factory=list)
    """Trial flats, which are no part of it."""

    sought: float | None = None
    """Exposure time that was found by them (s)."""

    excluded: tuple[int, ...] = ()
    """Those that are spoilt, and are not to be processed for that."""

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them, trial flats included."""
        return tuple(exposure_id for exposure_id, _ in (*self.trials, *self.taken))

    @property
    def discarded(self) -> tuple[int, ...]:
        """Those that are not to be processed."""
        return tuple(i for i, planned in (*self.trials, *self.taken) if planned.discard)

    @property
    def text(self) -> str:
        """How many there are and, if it was found, their exposure time."""
        if self.sought is None:
            return f"{len(self.taken)} frames"
        return f"{len(self.taken)} frames of {self.sought:g} s, found by {len(self.trials)} trial flat(s)"

    @property
    def wanted(self) -> tuple[tuple[int, PlannedExposure], ...]:
        """Those that are to be processed unless they are spoilt."""
        return tuple((exposure_id, planned) for exposure_id, planned in self.taken if not planned.discard)

    @property
    def kept(self) -> tuple[int, ...]:
        """Those that are to be processed."""
        return tuple(exposure_id for exposure_id, _ in self.wanted if exposure_id not in self.excluded)

    def measured(self, records: Mapping[int, ExposureRecord]) -> list[tuple[int, float]]:
        """Return what jobs see: ids in order, and exposure times.

        Those of LSSTCam are how long the shutter was open, which decides
        which flats are pairs (obs_lsst 0e84d755, translators/lsstCam.py).

        Parameters
        ----------
        records : `~collections.abc.Mapping` [`int`, `ExposureRecord`]
            What the Butler says of the exposures.
        """
        kept = set(self.kept)
        return sorted(
            (exposure_id, records[exposure_id].exp_time if exposure_id in records else planned.exp_time)
            for exposure_id, planned in self.wanted
            if exposure_id in kept
        )


class EarlierFrames:
    """Frames that need not be taken.

    They are from the run that is resumed, or the configuration names them.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._given: dict[Subject, list[tuple[int, PlannedExposure]]] = {}
        self._resumed: dict[tuple[Subject, int], int] = {}

    async def find(self) -> tuple[str, ...]:
        """Look them up.

        Returns
        -------
        problems : `tuple` [`str`, ...]
            What is wrong with those that the configuration names.
        """
        repository = self._context.world.repository
        for frame in self._context.recorder.record.frames:
            exposure_id = frame.exposure
            if exposure_id is None:
                exposure_id = await repository.exposure_of_group(frame.group_id)
            if exposure_id is not None:
                self._resumed[frame.series, frame.number] = exposure_id
        problems = [f"without: {text}" for text in problems_of_named(self._context.config, self._resumed)]
        for series in self._context.config.series:
            if series.exposures:
                problems += await self._find_given(series, series.exposures)
        return tuple(problems)

    async def _find_given(self, series: Series, exposures: Collection[int]) -> list[str]:
        """Look up the exposures that the configuration names."""
        records = await self._context.world.repository.exposure_records(exposures)
        problems = []
        if lost := [str(i) for i in exposures if i not in records]:
            problems.append(f"exposures: {', '.join(lost)}: not in the Butler")
        if wrong := [str(i) for i, r in records.items() if r.image_type.upper() != series.image_type]:
            problems.append(f"exposures: {', '.join(wrong)}: not {series.image_type} frames")
        filters = sorted({record.physical_filter for record in records.values()})
        if series.image_type is ImageType.FLAT and len(filters) > 1:
            several = ", ".join(filters)
            problems.append(f"exposures: flats of several filters, {several}; give those of one")
        self._given[series.subject] = [
            (
                i,
                PlannedExposure(
                    series.image_type, series.subject, records[i].exp_time, False, number, series.n
                ),
            )
            for number, i in enumerate(exposures, start=1)
            if i in records
        ]
        return problems

    def given(self, series: Subject) -> list[tuple[int, PlannedExposure]]:
        """Return the frames of a series that the configuration names."""
        return self._given.get(series, [])

    @property
    def given_exp_times(self) -> dict[int, float]:
        """Exposure times (s) of those that the configuration names, by id."""
        return {i: planned.exp_time for frames in self._given.values() for i, planned in frames}

    def id_of(self, exposure: PlannedExposure) -> int | None:
        """Return the id of a planned frame, if an earlier run has taken it."""
        return self._resumed.get((exposure.series, exposure.number))

    def replacements(self, series: Subject) -> list[tuple[int, PlannedExposure]]:
        """Return the frames that an earlier run took for spoilt ones."""
        planned = {exposure.number: exposure for exposure in self.planned(series)}
        return [
            (self._resumed[series, frame.number], planned[frame.replaces].replacement(frame.number))
            for frame in self._context.recorder.record.frames
            if frame.series == series
            and frame.replaces in planned
            and (series, frame.number) in self._resumed
        ]

    def planned(self, series: Subject) -> tuple[PlannedExposure, ...]:
        """Return the frames of a series, with the time that was found."""
        planned = self._context.plan.exposures_of(series)
        sought = self._context.recorder.record.sought_of(series)
        if sought is None:
            return planned
        return tuple(replace(exposure, exp_time=sought.exp_time) for exposure in planned)

    def all_taken(self, series: Series) -> bool:
        """Return whether the camera has no frame of a series to take."""
        return not self.left(series)

    def ids_of(self, series: Subject) -> list[int]:
        """Return the ids of the frames of a series."""
        ids = [i for i, _ in self.given(series)]
        return ids + [i for (subject, _), i in self._resumed.items() if subject == series]

    def left(self, series: Series) -> tuple[PlannedExposure, ...]:
        """Return the frames of a series that the camera has to take."""
        planned = self._context.plan.exposures_of(series.subject)
        return tuple(exposure for exposure in planned if self.id_of(exposure) is None)

    @property
    def ids(self) -> set[int]:
        """The ids of all of them."""
        return {i for frames in self._given.values() for i, _ in frames} | set(self._resumed.values())


def listed(ids: list[int]) -> str:
    """Return exposure ids for one line, many in succession by their ends."""
    if len(ids) > 3 and ids == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]} to {ids[-1]}"
    return ", ".join(map(str, ids))
