# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forecast of a plan, for commands that do not run it."""

from __future__ import annotations

__all__ = ["forecast_of", "show_forecast"]

import contextlib
import datetime
import os
from collections.abc import Collection
from pathlib import PurePath

from ..config import CalibrationConfig
from ..forecast import Facts, Forecast, forecast_text, make_forecast
from ..instruments import Instrument
from ..plan import TAI_MINUS_UTC, RunPlan
from ..report import WIDTH
from ._common import show, within

_LOOK_TIMEOUT = 30.0
"""Longest look at the repository (s)."""


def forecast_of(
    config: CalibrationConfig, plan: RunPlan, instrument: Instrument, begin: datetime.datetime
) -> Forecast:
    """Return the forecast of a plan.

    The repository is looked at if it is here; nothing is written into it.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose frames are taken.
    begin : `datetime.datetime`
        When the run would begin, with a time zone.

    Returns
    -------
    forecast : `Forecast`
    """
    if config.resume is not None:
        # What that run has is not known here.
        return Forecast((), (f"what run {config.resume} has left to do; the script looks at it",))
    return make_forecast(config, plan, instrument, _facts(config, plan, instrument, begin))


def show_forecast(forecast: Forecast, said: Collection[str] = (), of: str = "") -> None:
    """Print a forecast.

    Parameters
    ----------
    forecast : `Forecast`
        The forecast.
    said : collection of `str`
        Notices that are shown beside it.
    of : `str`, optional
        Whose it is, if there are several.
    """
    show(forecast_text(forecast, WIDTH, said, of))


def _facts(
    config: CalibrationConfig, plan: RunPlan, instrument: Instrument, begin: datetime.datetime
) -> Facts:
    """Look at the repository, if it is here."""
    from ..butler.generation import may_exist

    if not may_exist(config.repo):
        return Facts(begin=begin, unknown=(f"{config.repo}, which is not here; the script looks at it",))
    from ..butler.installed_pipelines import PipelineFiles
    from ..butler.repository import ButlerRepository
    from ..job_names import names_of
    from ..procedure import Sources, look_ahead
    from ..record import RunRecord

    # Who may write there is for the script's own account to see.
    detectors = instrument.detector_ids(config.detectors)
    repository = ButlerRepository(config.repo, instrument, detectors, writes=False)
    first = (begin.astimezone(datetime.UTC) + TAI_MINUS_UTC).timestamp()
    sources = Sources(
        repository,
        PipelineFiles(os.environ),
        None,
        names_of(config, PurePath()).collection,
        lambda: first,
    )

    def look() -> Facts:
        import asyncio

        outlook = asyncio.run(look_ahead(config, plan, instrument, RunRecord("", {}), sources))
        free_space = None
        if not outlook.refused:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                free_space = repository.free_space()
        return Facts(
            begin=begin,
            refused=outlook.refused,
            missing=outlook.missing,
            exp_times=outlook.exp_times,
            free_space=free_space,
        )

    try:
        return within(_LOOK_TIMEOUT, look)
    except TimeoutError:
        unknown = f"{config.repo}, which did not answer within {_LOOK_TIMEOUT:g} s"
        return Facts(begin=begin, unknown=(unknown,))
