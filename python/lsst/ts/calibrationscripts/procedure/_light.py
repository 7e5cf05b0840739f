# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much light flats get: looked at, and sought."""

from __future__ import annotations

__all__ = ["Light"]

import asyncio
from collections.abc import Awaitable, Callable

from ..config import Series
from ..light import GiveUp, LightLevel, Take, Trial, next_step
from ..ports import LightError, ObservatoryError
from ..record import SoughtTime
from ._context import Context

TakeTrial = Callable[[int, float], Awaitable[int]]
"""Takes a trial flat, by its place from 1 and its exposure time (s), or finds
it; returns its exposure id."""

_Limits = tuple[float | None, float | None]


class Light:
    """Measures flats as soon as they are in the Butler.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._config = context.config
        self._instrument = context.instrument
        self._world = context.world
        self._recorder = context.recorder
        self.tasks: set[asyncio.Task[LightLevel | None]] = set()
        """Looks that nothing waits for."""

    async def look(self, series: Series, exposure_id: int, exp_time: float) -> None:
        """Log the level of the first flat, or refuse the set for it.

        Parameters
        ----------
        series : `Series`
            The set.
        exposure_id : `int`
            Its first flat.
        exp_time : `float`
            Exposure time of that (s).

        Raises
        ------
        LightError
            If its level is not accepted.
        """
        limits = self._limits(series)
        look = asyncio.create_task(self._level(series, exposure_id, exp_time, limits))
        if limits == (None, None):
            self.tasks.add(look)
            look.add_done_callback(self.tasks.discard)
            return
        try:
            level = await look
        finally:
            look.cancel()
        if level is not None and not level.acceptable:
            raise LightError(f"{level.text} The rest of the set is not taken")

    def _limits(self, series: Series) -> _Limits:
        """Return the levels outside which a set is not taken."""
        sought = self._recorder.record.sought_of(series.subject)
        if sought is not None and not sought.confirmed and self._config.flat_counts is not None:
            return self._config.flat_counts
        return self._config.flat_counts_min, self._config.flat_counts_max

    async def _level(
        self, series: Series, exposure_id: int, exp_time: float, limits: _Limits
    ) -> LightLevel | None:
        operator = self._world.operator
        await self._world.ingest.wait([exposure_id])
        try:
            counts = await self._world.repository.raw_level(exposure_id)
        except ObservatoryError as error:
            operator.warning(f"{series.name}: the level of the first flat is not known: {error}")
            return None
        level = LightLevel(
            series.name,
            exposure_id,
            exp_time,
            counts,
            usable_range=self._instrument.usable_counts,
            saturated_counts=self._instrument.saturated_counts,
            minimum=limits[0],
            maximum=limits[1],
            exp_times=series.exp_times,
        )
        if level.acceptable:
            (operator.info if level.usable else operator.warning)(level.text)
        return level

    async def seek(self, series: Series, wanted: tuple[float, float], take: TakeTrial) -> SoughtTime:
        """Find the exposure time of a set by trial flats.

        Parameters
        ----------
        series : `Series`
            The set.
        wanted : `tuple` [`float`, `float`]
            Lowest and highest level (ADU above bias).
        take : `~collections.abc.Callable`
            Takes a trial flat, or finds one of an earlier session.

        Returns
        -------
        sought : `SoughtTime`
            It is in the journal too.

        Raises
        ------
        LightError
            If no exposure time would do, or none is found.
        """
        trials: list[Trial] = []
        while True:
            step = next_step(series.exp_times[0], wanted, self._instrument.saturated_counts, trials)
            match step:
                case Take():
                    sought = SoughtTime(series.subject, step.exp_time, step.confirmed)
                    self._recorder.sought(sought)
                    self._world.operator.info(f"{series.name}: taken with {step.exp_time:g} s.")
                    return sought
                case GiveUp():
                    raise LightError(f"{series.name}: {step.cause} No flat of the set is taken")
            exposure_id = await take(len(trials) + 1, step.exp_time)
            counts = await self._measure(series, exposure_id)
            trials.append(Trial(exposure_id, step.exp_time, counts))
            self._world.operator.info(
                f"{series.name}: trial flat, exposure {exposure_id}, has {counts:,.0f} counts in "
                f"{step.exp_time:g} s; {wanted[0]:,.0f} to {wanted[1]:,.0f} are wanted."
            )

    async def _measure(self, series: Series, exposure_id: int) -> float:
        await self._world.ingest.wait([exposure_id])
        try:
            return await self._world.repository.raw_level(exposure_id)
        except ObservatoryError as error:
            raise LightError(
                f"{series.name}: the level of the trial flat, exposure {exposure_id}, is not known: {error}. "
                "No flat of the set is taken"
            ) from error
