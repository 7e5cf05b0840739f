# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SAL script that all instruments' calibration scripts share."""

from __future__ import annotations

__all__ = ["BaseMakeCalibrations"]

import abc
import asyncio
import contextlib
import copy
import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig, ConfigurationError, load_schema, parse
from ..files.journal import FileJournal, default_journal_dir, load_record
from ..instruments import Instrument
from ..plan import PlannedExposure, RunPlan, make_plan
from ..ports import Camera, Ingest, JobService, ObservatoryError, Watcher, World
from ..procedure import Procedure
from ..record import RunRecord
from ..report import RunReport, itinerary
from ..threads import in_thread
from .errors import explain
from .reporting import write_report
from .sal import ScriptState, salobj

_REPORT_TIMEOUT = 90.0
"""Longest wait for the run's page: it reads the Butler for up to a minute,
and an observer's next script waits (s)."""

_REPORT_TIMEOUTS = {"STOPPED": 3.0}
"""Where an observer is waiting for the end (s)."""


class BaseMakeCalibrations(salobj.BaseScript, metaclass=abc.ABCMeta):
    """Take, process, verify and certify calibrations of an instrument.

    Subclasses say which instrument, and how to reach it.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    descr : `str`
        What it does, for the operator.
    """

    instrument: Instrument
    """The instrument; a class attribute of the subclass."""

    watcher: Watcher | None = None
    """Who looks on, such as a progress display."""

    def __init__(self, index: int, descr: str) -> None:
        super().__init__(index=index, descr=descr)
        self._config: CalibrationConfig | None = None
        self._plan: RunPlan | None = None
        self._procedure: Procedure | None = None
        self._journal: FileJournal | None = None
        self._record: RunRecord | None = None
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the configuration."""
        return load_schema(cls.instrument)

    @abc.abstractmethod
    async def start_remotes(self) -> None:
        """Connect to the components that the script commands."""

    @abc.abstractmethod
    def make_camera(self, config: CalibrationConfig) -> Camera:
        """Return the instrument as the procedure's camera."""

    @abc.abstractmethod
    def make_ingest(self, config: CalibrationConfig, repository: ButlerRepository) -> Ingest:
        """Return the way of the instrument's frames into the Butler."""

    @abc.abstractmethod
    def make_jobs(self, config: CalibrationConfig) -> JobService:
        """Return what runs the instrument's pipelines."""

    @property
    def report(self) -> RunReport | None:
        """What the run came to, once it has begun."""
        return None if self._procedure is None else self._procedure.report

    async def do_configure(self, data: Any) -> None:
        """Configure the script, or say all that is wrong at once.

        The schema's validator, which would come first otherwise, stops at
        the first problem, and knows neither the text nor the remedy.
        """
        self.assert_state("configure", [ScriptState.UNCONFIGURED])
        try:
            self._read(data.config)
        except ConfigurationError as error:
            self.log.error(str(error))
            await self.set_state(ScriptState.CONFIGURE_FAILED, reason=str(error))
            await self._exit()
            raise salobj.ExpectedError(str(error)) from None
        assert self._config is not None, "it has just been read"
        resolved = copy.copy(data)
        resolved.config = yaml.safe_dump(self._config.to_dict())
        await super().do_configure(resolved)

    def _read(self, text: str) -> None:
        """Take the configuration, or that of the run to be resumed."""
        found: dict[Path, RunRecord] = {}

        def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
            folder = _journal_folder(journal_dir)
            found[folder] = load_record(folder, run_id)
            return found[folder].config

        self._config = parse(text, self.instrument, earlier)
        if self._config.resume is None:
            folder = _journal_folder(self._config.journal_dir)
            now = datetime.datetime.now(datetime.UTC)
            self._record = RunRecord(f"{now:%Y%m%dT%H%M%S}-{self.salinfo.index}", {})
        else:
            ((folder, record),) = found.items()
            self._record = dataclasses.replace(record, resumed=record.resumed + 1)
        self._journal = FileJournal(folder, self._record.run_id)

    async def configure(self, config: Any) -> None:
        """Plan the run and connect to the observatory."""
        assert self._config is not None, "do_configure has parsed the configuration"
        self._plan = make_plan(self._config, self.instrument)
        assert self._record is not None, "do_configure has made it"
        now = datetime.datetime.now().astimezone()
        self.log.info(itinerary(self._config, self._plan, self.instrument, now))
        self.log.info(
            f"Run {self._record.run_id}. Should it end early, the configuration 'resume: "
            f"{self._record.run_id}' carries it on."
        )
        await self.start_remotes()

    def signal_handler(self) -> None:
        """Stop on SIGINT or SIGTERM as if told to, so that jobs are aborted.

        salobj's own handler leaves a run without a word to its jobs.
        """
        if self._procedure is None:
            if not self.done_task.done():
                super().signal_handler()
        elif self._stopping is None:
            self.log.info("Stopped by a termination signal.")
            self._stopping = asyncio.create_task(self.do_stop(None))

    def set_metadata(self, metadata: Any) -> None:
        """Tell the script queue how long the run takes, and what with."""
        assert self._config is not None and self._plan is not None, "configure comes first"
        metadata.duration = self._plan.duration
        metadata.nimages = len(self._plan.exposures)
        metadata.instrument = self.instrument.name
        used = [series.filter for series in self._config.series if series.filter is not None]
        metadata.filters = ",".join(map(str, dict.fromkeys(used)))

    def image_group_id(self, exposure: PlannedExposure) -> str:
        """Return the group id of a frame: the run's, and its place in it.

        Those of a block carry the block's id, as with the observatory's
        other scripts.
        """
        assert self._plan is not None, "configure comes first"
        base = f"{self.obs_id}_{self.salinfo.index}" if self.obs_id else str(self.group_id)
        return f"{base}#{self._plan.exposures.index(exposure) + 1}"

    async def run(self) -> None:
        """Run the procedure."""
        assert self._config is not None and self._plan is not None, "configure comes first"
        assert self._journal is not None and self._record is not None, "configure comes first"
        repository = ButlerRepository(
            self._config.repo, self.instrument, self.instrument.detector_ids(self._config.detectors)
        )
        world = World(
            camera=self.make_camera(self._config),
            ingest=self.make_ingest(self._config, repository),
            jobs=self.make_jobs(self._config),
            repository=repository,
            operator=_ScriptOperator(self),
            journal=self._journal,
            group_id=self.image_group_id,
            clock=_now,
            watcher=self.watcher,
        )
        self._procedure = Procedure(self._config, self._plan, self.instrument, world, self._record)
        try:
            await _see_through(asyncio.create_task(self._procedure.run()))
        except ObservatoryError as error:
            raise salobj.ExpectedError(str(error)) from error
        finally:
            await self._write_report(self._procedure.report, Path(self._journal.path).parent)

    async def _write_report(self, report: RunReport, folder: Path) -> None:
        """Leave the run's page and JSON beside its journal."""
        assert self._config is not None, "configure comes first"
        repo = self._config.repo
        timeout = _REPORT_TIMEOUTS.get(report.state, _REPORT_TIMEOUT)
        try:
            written = await asyncio.wait_for(in_thread(lambda: write_report(report, repo, folder)), timeout)
        except (TimeoutError, OSError) as error:
            self.log.warning(f"The run's report in {folder} is not complete: {explain(error)}")
            return
        for warning in written.warnings:
            self.log.warning(warning)
        self.log.info(f"Report: {written.page}")


def _journal_folder(journal_dir: str | None) -> Path:
    return default_journal_dir() if journal_dir is None else Path(journal_dir)


async def _see_through(work: asyncio.Task[None]) -> None:
    """Await a task; cancel it once, however often this is cancelled.

    Whoever presses stop again while jobs are being aborted must not keep the
    first stop from aborting them.
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
