# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SAL script that the calibration scripts of all instruments share."""

from __future__ import annotations

__all__ = ["BaseMakeCalibrations"]

import abc
import asyncio
import contextlib
import copy
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ..butler.generation import find_generation
from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig, ConfigurationError, load_schema, parse
from ..files.journal import FileJournal, journal_folder, load_record
from ..instruments import Instrument
from ..outcomes import RunState
from ..plan import PlannedExposure, RunPlan, make_plan
from ..ports import Journal, ObservatoryError, Watcher, World
from ..procedure import Procedure
from ..record import RunRecord
from ..report import RunReport, itinerary
from ..threads import in_thread
from .camera import SalCamera
from .connection import Connection
from .control import Control
from .errors import explain
from .ocps import OcpsJobs
from .oods import OodsIngest
from .reporting import write_report
from .sal import ScriptState, salobj
from .watch import ComponentWatch

_REPORT_TIMEOUT = 90.0
"""Longest wait for the run's page: it reads the Butler for up to a minute,
and an observer's next script waits (s)."""

_REPORT_TIMEOUTS = {RunState.STOPPED: 3.0}
"""Where an observer is waiting for the end (s)."""


@dataclass(frozen=True)
class _Request:
    """What the queue asks for."""

    config: CalibrationConfig

    record: RunRecord
    """What the run begins with."""

    folder: Path
    """Folder of the journals and reports."""


@dataclass(frozen=True)
class _Configured(_Request):
    """What a script knows once it is configured."""

    plan: RunPlan

    connection: Connection
    """The remotes, which are starting or have started."""


class BaseMakeCalibrations(salobj.BaseScript, metaclass=abc.ABCMeta):
    """Take, process, verify and certify calibrations of an instrument.

    A subclass has the class attribute ``instrument`` and `make_control`.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    instrument: Instrument
    """The instrument; a class attribute of the subclass."""

    watcher: Watcher | None = None
    """What follows the run, such as a progress display."""

    make_journal: Callable[[Path, str], Journal] = FileJournal
    """Makes the journal of a run from its folder and the run's id."""

    _request: _Request
    """Set by `do_configure` before salobj calls `configure`."""

    def __init__(self, index: int) -> None:
        super().__init__(
            index=index,
            descr=f"Take bias, dark and flat frames with {self.instrument.name}; verify them and, if asked "
            "to, make combined calibrations of them and certify what passed.",
        )
        self._configured_as: _Configured | None = None
        self._procedure: Procedure | None = None
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the configuration."""
        return load_schema(cls.instrument)

    @abc.abstractmethod
    def make_control(self) -> Control:
        """Return the instrument, with remotes in the script's domain."""

    @property
    def report(self) -> RunReport | None:
        """The report of the run; `None` before it begins."""
        return None if self._procedure is None else self._procedure.report

    @property
    def _configured(self) -> _Configured:
        assert self._configured_as is not None, "configure comes first"
        return self._configured_as

    async def do_configure(self, data: Any) -> None:
        """Configure the script, or report all that is wrong at once.

        The schema's validator, which would come first otherwise, stops at
        the first problem, and knows neither the text nor the remedy.
        """
        self.assert_state("configure", [ScriptState.UNCONFIGURED])
        try:
            # It may have to look into the repository.
            self._request = await in_thread(lambda: self._read(data.config))
        except ConfigurationError as error:
            self.log.error(str(error))
            await self.set_state(ScriptState.CONFIGURE_FAILED, reason=str(error))
            await self._exit()
            raise salobj.ExpectedError(str(error)) from None
        resolved = copy.copy(data)
        resolved.config = yaml.safe_dump(self._request.config.to_dict())
        await super().do_configure(resolved)

    def _read(self, text: str) -> _Request:
        """Read the configuration, and the journal of a run to be resumed."""
        found: list[tuple[Path, RunRecord]] = []

        def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
            folder = journal_folder(journal_dir)
            found.append((folder, load_record(folder, run_id)))
            return found[0][1].config

        config = parse(text, self.instrument, earlier, lambda repo: find_generation(repo, self.instrument))
        if found:
            folder, record = found[0]
            return _Request(config, replace(record, resumed=record.resumed + 1), folder)
        now = datetime.datetime.now(datetime.UTC)
        record = RunRecord(f"{now:%Y%m%dT%H%M%S}-{self.salinfo.index}", {})
        return _Request(config, record, journal_folder(config.journal_dir))

    async def configure(self, config: Any) -> None:
        """Plan the run and connect to the observatory."""
        request = self._request
        plan = make_plan(request.config, self.instrument)
        now = datetime.datetime.now().astimezone()
        self.log.info(itinerary(request.config, plan, self.instrument, now))
        run_id = request.record.run_id
        self.log.info(f"Run {run_id}. If it ends early, the configuration 'resume: {run_id}' resumes it.")
        connection = Connection(self.make_control(), self.instrument, self.domain)
        self._configured_as = _Configured(**vars(request), plan=plan, connection=connection)
        await connection.start()

    async def close_tasks(self) -> None:
        """Let remotes that are still starting finish first."""
        await super().close_tasks()
        if self._configured_as is not None:
            await self._configured_as.connection.wait_started()

    def signal_handler(self) -> None:
        """Stop on SIGINT or SIGTERM as by a command, so that jobs are aborted.

        salobj's own handler ends the script without aborting its jobs.
        """
        if self._procedure is None:
            if not self.done_task.done():
                super().signal_handler()
        elif self._stopping is None:
            self.log.info("Stopped by a termination signal.")
            self._stopping = asyncio.create_task(self.do_stop(None))

    def set_metadata(self, metadata: Any) -> None:
        """Set what the script queue shows: duration, images, filters."""
        config, plan = self._configured.config, self._configured.plan
        metadata.duration = plan.duration
        metadata.nimages = len(plan.exposures)
        metadata.instrument = self.instrument.name
        used = [series.filter for series in config.series if series.filter is not None]
        metadata.filters = ",".join(map(str, dict.fromkeys(used)))

    def image_group_id(self, exposure: PlannedExposure) -> str:
        """Return the group id of a frame: the run's, and its place in it.

        That of a frame in a block has the block's id, as with the
        observatory's other scripts.

        Parameters
        ----------
        exposure : `PlannedExposure`
            The frame, one of the plan's.

        Returns
        -------
        group_id : `str`
        """
        base = f"{self.obs_id}_{self.salinfo.index}" if self.obs_id else str(self.group_id)
        return f"{base}#{self._configured.plan.exposures.index(exposure) + 1}"

    async def run(self) -> None:
        """Run the procedure."""
        self._procedure = self._make_procedure()
        try:
            await _finish(asyncio.create_task(self._procedure.run()))
        except ObservatoryError as error:
            raise salobj.ExpectedError(str(error)) from error
        finally:
            await self._write_report(self._procedure.report)

    def _make_procedure(self) -> Procedure:
        run, instrument = self._configured, self.instrument
        config, connection = run.config, run.connection
        detectors = instrument.detector_ids(config.detectors)
        repository = ButlerRepository(config.repo, instrument, detectors)
        watch = ComponentWatch(connection.remotes)
        world = World(
            camera=SalCamera(connection.control, instrument, config, watch),
            ingest=OodsIngest(
                connection.remote(instrument.components.oods),
                repository,
                instrument,
                detectors,
                config.oods_timeout,
                watch,
            ),
            jobs=OcpsJobs(
                connection.ocps, watch, job_timeout=config.job_timeout, log_path=config.ocps_log_path
            ),
            repository=repository,
            operator=_ScriptOperator(self),
            journal=self.make_journal(run.folder, run.record.run_id),
            group_id=self.image_group_id,
            clock=_now,
            watcher=self.watcher,
        )
        return Procedure(config, run.plan, instrument, world, run.record)

    async def _write_report(self, report: RunReport) -> None:
        """Write the run's page and JSON beside its journal."""
        repo, folder = self._configured.config.repo, self._configured.folder
        timeout = _REPORT_TIMEOUTS.get(report.state, _REPORT_TIMEOUT)
        try:
            written = await asyncio.wait_for(in_thread(lambda: write_report(report, repo, folder)), timeout)
        except (TimeoutError, OSError) as error:
            self.log.warning(f"The run's report in {folder} is not complete: {explain(error)}")
            return
        for warning in written.warnings:
            self.log.warning(warning)
        self.log.info(f"Report: {written.page}")


async def _finish(work: asyncio.Task[None]) -> None:
    """Await a task; cancel it once, however often this is cancelled.

    A second stop must not keep the first one from aborting jobs.
    """
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        work.cancel()
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        await work
        raise


def _now() -> float:
    """Return the time: TAI, as a Unix timestamp (s)."""
    from astropy.time import Time

    return float(Time.now().unix_tai)


class _ScriptOperator:
    """The operator, who reads the script's log and checkpoints."""

    def __init__(self, script: BaseMakeCalibrations) -> None:
        self.info = script.log.info
        self.warning = script.log.warning
        self.error = script.log.error
        self.checkpoint = script.checkpoint
