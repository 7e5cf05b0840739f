# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script finds out of its run when it is configured."""

from __future__ import annotations

__all__ = ["Foresight"]

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from ..butler.installed_pipelines import PipelineFiles
from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig
from ..files.journal import journal_file, journal_folder
from ..forecast import Facts, Forecast, make_forecast
from ..instruments import Instrument
from ..job_names import names_of
from ..plan import TAI_MINUS_UTC, RunPlan
from ..ports import PreconditionError
from ..procedure import Outlook, Sources, look_ahead, remaining
from ..record import RunRecord
from ..threads import in_thread
from ..wheels import selected
from .control import Control
from .errors import SAL_ERRORS
from .in_beam import not_in_place

_LOOK_TIMEOUT = 30.0
"""Longest look at the repository; the run looks again, with more time (s)."""


class Foresight:
    """Looks at what the run will check, and makes its forecast.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose frames are taken.
    record : `RunRecord`
        What an earlier run of that id has done.
    log : `logging.Logger`
        The script's.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        plan: RunPlan,
        instrument: Instrument,
        record: RunRecord,
        log: logging.Logger,
    ) -> None:
        self._config = config
        self._plan = plan
        self._instrument = instrument
        self._record = record
        self._log = log

    async def look(
        self,
        control: Control,
        environment: Mapping[str, str],
        frame_clock: Callable[[], float],
        until: float,
    ) -> None:
        """Refuse what the run would refuse, and log the forecast.

        Parameters
        ----------
        control : `Control`
            The instrument, whose remotes have started. Its components may be
            in any state.
        environment : `~collections.abc.Mapping` [`str`, `str`]
            Environment variables, which say where the pipelines are.
        frame_clock : callable
            Returns when a frame would begin that is taken now: TAI, as a
            Unix timestamp (s).
        until : `float`
            When it must have ended, by the clock of the event loop (s).

        Raises
        ------
        PreconditionError
            If the run would not begin, or the configuration's ``strict``
            refuses it for its forecast.
        """
        repository = ButlerRepository(
            self._config.repo, self._instrument, self._instrument.detector_ids(self._config.detectors)
        )
        timeout = max(min(_LOOK_TIMEOUT, until - asyncio.get_running_loop().time()), 0.0)
        outlook, free_space, unknown = Outlook(), None, ""
        try:
            async with asyncio.timeout(timeout):
                sources = Sources(
                    repository,
                    PipelineFiles(environment),
                    await self._wheel_names(control),
                    names_of(self._config, PurePath()).collection,
                    frame_clock,
                    str(journal_file(journal_folder(self._config.journal_dir), self._record.run_id)),
                )
                outlook = await look_ahead(self._config, self._plan, self._instrument, self._record, sources)
                if not outlook.refused:
                    with contextlib.suppress(FileNotFoundError, PermissionError):
                        free_space = await in_thread(repository.free_space)
                for text in await self._to_change(control, sources.wheel_names):
                    # A script before this one may change it.
                    self._log.warning(f"Forecast: {text}")
        except TimeoutError:
            unknown = f"{self._config.repo} did not answer within {timeout:.0f} s; the run looks again"
        if outlook.refused:
            raise PreconditionError(outlook.refused)
        begin = datetime.datetime.fromtimestamp(frame_clock(), datetime.UTC) - TAI_MINUS_UTC
        facts = Facts(
            begin=begin,
            left=remaining(self._plan, self._config, self._record),
            missing=outlook.missing,
            exp_times=outlook.exp_times,
            free_space=free_space,
            unknown=(unknown,) if unknown else (),
        )
        self._tell(make_forecast(self._config, self._plan, self._instrument, facts))

    async def _wheel_names(self, control: Control) -> Mapping[str, Sequence[str]] | None:
        """Return what is in each wheel, if that is reported."""
        if not self._instrument.wheels:
            return {}
        try:
            return await control.wheel_names()
        except SAL_ERRORS:
            # What reports it may not run yet; the run needs it.
            return None

    async def _to_change(
        self, control: Control, names: Mapping[str, Sequence[str]] | None
    ) -> tuple[str, ...]:
        """Return what has to be in place before the run, and is not."""
        if self._instrument.wheels_turn or not names or self._config.exposures is not None:
            return ()
        flats = [series for series in self._config.series if selected(series, self._instrument)]
        return await not_in_place(control, self._instrument, flats, names)

    def _tell(self, forecast: Forecast) -> None:
        if objections := forecast.objections(strict=self._config.strict):
            raise PreconditionError(objections)
        for finding in forecast.failures:
            self._log.warning(f"Forecast: {finding.text}")
        for finding in forecast.findings:
            # Those that are among the notices have been logged with the plan.
            if not finding.fails and finding.notice not in self._plan.notices:
                self._log.info(f"Forecast: {finding.text}")
        for text in forecast.unknown:
            self._log.warning(f"Forecast: not looked at: {text}")
