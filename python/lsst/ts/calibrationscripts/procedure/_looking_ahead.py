# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run will look up and check first, looked at some time before."""

from __future__ import annotations

__all__ = ["Outlook", "Sources", "look_ahead"]

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ..config import CalibrationConfig, Series
from ..forecast import MissingCalibration
from ..instruments import ImageType, Instrument
from ..plan import RunPlan
from ..ports import (
    CalibrationRepository,
    Camera,
    CameraError,
    Ingest,
    JobService,
    Journal,
    ObservatoryError,
    Operator,
    Pipelines,
    World,
)
from ..record import RunRecord
from ..wheels import physical_filter, unknown_settings
from ._context import Context
from ._exposer import Exposer
from ._incomplete import Incomplete
from ._jobs import JobRunner
from ._preconditions import Preconditions
from ._processing import Processing
from ._recorder import Recorder
from ._remaking import remade
from ._timeline import Timeline


@dataclass(frozen=True)
class Sources:
    """Where to look."""

    repository: CalibrationRepository

    pipelines: Pipelines | None
    """`None` if they are nowhere to be read."""

    wheel_names: Mapping[str, Sequence[str]] | None
    """What is in each wheel, by slot; `None` if that is not known."""

    collection: Callable[[str], str]
    """Returns the output collection of a job; see `JobService`."""

    frame_clock: Callable[[], float]
    """Returns when a frame would begin that is taken now; see `World`."""

    journal: str = ""
    """Path of the run's journal, as commands have to name its folder."""


@dataclass(frozen=True)
class Outlook:
    """What was seen."""

    refused: tuple[str, ...] = ()
    """Why the run would not begin, whatever the state of components."""

    missing: tuple[MissingCalibration, ...] = ()
    """Calibrations that jobs would not find."""

    exp_times: Mapping[int, float] = field(default_factory=dict)
    """Exposure times (s) of exposures that the configuration names."""


async def look_ahead(
    config: CalibrationConfig, plan: RunPlan, instrument: Instrument, record: RunRecord, sources: Sources
) -> Outlook:
    """Look at what a run will check before it begins.

    Components of SAL are left out: they may be ENABLED later.

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
    sources : `Sources`
        Where to look.

    Returns
    -------
    outlook : `Outlook`
    """
    context = _context(config, plan, instrument, record, sources)
    exposer = Exposer(context)
    checks = Preconditions(context, exposer, Processing(context, exposer, JobRunner(context)))
    missing: tuple[MissingCalibration, ...] = ()
    try:
        problems = await exposer.earlier.find()
        flats = [series for series in config.series if series.image_type is ImageType.FLAT]
        if sources.wheel_names is not None and config.exposures is None:
            problems += tuple(
                problem
                for series in flats
                for problem in unknown_settings(series, instrument, sources.wheel_names)
            )
        if not problems:
            # Not an error before the run: a wheel may yet be turned.
            with contextlib.suppress(CameraError):
                problems += await exposer.check_filters()
        problems += (*await checks.of_pipelines(), *await checks.of_repository(ahead=True))
        if not problems:
            missing = await checks.missing()
    except ObservatoryError as error:
        problems = await checks.of_repository(ahead=True) or (str(error),)
    return Outlook(tuple(dict.fromkeys(problems)), missing, exposer.earlier.given_exp_times)


def _context(
    config: CalibrationConfig, plan: RunPlan, instrument: Instrument, record: RunRecord, sources: Sources
) -> Context:
    """Return the run with a world of which only a part is there."""
    operator, journal = cast(Operator, None), cast(Journal, _Unwritten(sources.journal))
    world = World(
        camera=cast(Camera, _Wheels(instrument, sources.wheel_names)),
        ingest=cast(Ingest, None),
        jobs=cast(JobService, _Collections(sources.collection)),
        repository=sources.repository,
        operator=operator,
        journal=journal,
        group_id=lambda exposure: "",
        clock=sources.frame_clock,
        earlier_run=cast(Callable[[str], Awaitable[RunRecord]], None),
        frame_clock=sources.frame_clock,
        pipelines=sources.pipelines,
    )
    timeline = Timeline(sources.frame_clock)
    anew = {stage.subject for stage in remade(plan, config, record)}
    recorder = Recorder(record, journal, operator, timeline, anew)
    incomplete = Incomplete(config, plan, instrument, record)
    return Context(config, plan, instrument, world, recorder, timeline, incomplete)


@dataclass(frozen=True)
class _Wheels:
    """The part of a `Camera` that knows what flats are taken through."""

    instrument: Instrument
    names: Mapping[str, Sequence[str]] | None

    async def physical_filter(self, series: Series) -> str:
        name = physical_filter(series, self.instrument, self.names)
        if name is None:
            raise CameraError(f"{series.name}: it is not known what it is taken through")
        return name


@dataclass(frozen=True)
class _Unwritten:
    """The part of a `Journal` that says where it is."""

    path: str


@dataclass(frozen=True)
class _Collections:
    """The part of a `JobService` that names what jobs have made."""

    collection: Callable[[str], str]
