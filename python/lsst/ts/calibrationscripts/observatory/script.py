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
import functools
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..butler.generation import find_generation
from ..butler.installed_pipelines import PipelineFiles
from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig, ConfigurationError, load_schema, parse
from ..files.earlier_marks import MarksOfRuns
from ..files.journal import (
    FileJournal,
    claim_run,
    earlier_run,
    journal_folder,
    load_record,
    lock_earlier_run,
)
from ..files.lock import Lock
from ..instruments import Instrument
from ..offline import of_instrument
from ..outcomes import RunState
from ..plan import TAI_MINUS_UTC, PlannedExposure, RunPlan, make_plan
from ..ports import JournalFile, ObservatoryError, Watcher, World
from ..procedure import Procedure, check_without, remaining
from ..record import RunRecord
from ..report import RunReport, itinerary, resume_configuration
from ..reporting import warm_up
from ..threads import in_thread
from .camera import SalCamera
from .connection import Connection
from .control import Control
from .ending import ReportWriter, finish, write_in_thread, write_run_report
from .foresight import Foresight
from .jobs import check_site, make_jobs, uses_ocps
from .journal import BackgroundJournal
from .notifying import AppriseNotifier, check_addresses
from .oods import OodsIngest
from .operator import ScriptOperator
from .publishing import publish
from .sal import ScriptState, salobj
from .surroundings import needed_for, topics_of
from .versions import versions
from .watch import ComponentWatch

_CONFIGURE_TIMEOUT = 55.0
"""Longest that the script may take to be configured; the script queue allows
60 s (s)."""


@dataclass(frozen=True)
class _Request:
    """What the queue asks for."""

    config: CalibrationConfig

    record: RunRecord
    """What the run begins with."""

    folder: Path
    """Folder of the journals and reports."""

    lock: Lock
    """That of the run, from before its journal is read."""


class _Earlier(NamedTuple):
    """A run that is resumed."""

    folder: Path
    record: RunRecord
    lock: Lock


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

    make_journal: Callable[[Path, str, Lock], JournalFile] = FileJournal
    """Makes the journal of a run from its folder, the run's id and lock."""

    find_generation: Callable[[str], tuple[str, str]] | None = None
    """Finds the generation of the pipelines, as for `config.parse`; `None`
    for that of this installation."""

    frames_begin: datetime.datetime | None = None
    """When the camera's next frame is, with a time zone; `None` for now."""

    environment: Mapping[str, str] = os.environ
    """Environment variables, which say where the pipelines are."""

    resume_command: Callable[[str], str] = staticmethod(lambda run_id: "")
    """Returns the command of a shell that resumes a run, by its id; "" if a
    configuration does."""

    write_report: ReportWriter = staticmethod(write_in_thread)
    """Writes the report of the run."""

    planned_as: Instrument | None = None
    """The instrument, with what a frame or job of it takes; `None` for the
    real one."""

    _request: _Request | None = None
    """Set by `do_configure` before salobj calls `configure`."""

    _failure: Exception | None = None
    """What went wrong before that and is not for the observer to fix."""

    def __init__(self, index: int) -> None:
        super().__init__(
            index=index,
            descr=f"Take bias, dark and flat frames with {self.instrument.name}; verify them and, if asked "
            "to, make combined calibrations of them and certify what passed.",
        )
        self._configured_as: _Configured | None = None
        self._procedure: Procedure | None = None
        self._notifier: AppriseNotifier | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._handle_hangup()

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
        until = asyncio.get_running_loop().time() + _CONFIGURE_TIMEOUT
        try:
            # It may have to look into the repository.
            self._request = await in_thread(lambda: self._read(data.config))
            await self._prepare(self._request, until)
        except (ConfigurationError, ObservatoryError) as error:
            self.log.error(str(error))
            if self._request is not None:
                self._request.lock.release()
            await self.set_state(ScriptState.CONFIGURE_FAILED, reason=str(error))
            await self._exit()
            raise salobj.ExpectedError(str(error)) from None
        except Exception as error:
            if self._request is None:
                raise
            self._failure = error
        resolved = copy.copy(data)
        resolved.config = yaml.safe_dump(self._request.config.to_dict())
        try:
            await super().do_configure(resolved)
        except BaseException:
            self._request.lock.release()
            raise

    def _read(self, text: str) -> _Request:
        """Read the configuration; lock the run, and read it if resumed."""
        with contextlib.ExitStack() as unless_read:
            found: list[_Earlier] = []

            def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
                folder = journal_folder(journal_dir)
                lock = lock_earlier_run(folder, run_id)
                unless_read.callback(lock.release)
                record = of_instrument(load_record(folder, run_id), self.instrument)
                found.append(_Earlier(folder, record, lock))
                return found[0].record.config

            find = self.find_generation or (
                lambda repo: find_generation(repo, self.instrument, self.environment)
            )
            config = parse(text, self.instrument, earlier, find)
            check_addresses(config.notify)
            check_site(config)
            if found:
                check_without(config, found[0].record)
            unless_read.pop_all()
        if found:
            folder, record, lock = found[0]
            return _Request(config, replace(record, resumed=record.resumed + 1), folder, lock)
        now = datetime.datetime.now(datetime.UTC)
        folder = journal_folder(config.journal_dir)
        run_id, lock = claim_run(folder, f"{now:%Y%m%dT%H%M%S}-{self.salinfo.index}")
        return _Request(config, RunRecord(run_id, {}, instrument=self.instrument.name), folder, lock)

    async def configure(self, config: Any) -> None:
        """Do nothing more: the script is prepared before, or could not be."""
        if self._failure is not None:
            raise self._failure

    async def _prepare(self, request: _Request, until: float) -> None:
        """Plan the run, connect to the observatory, and look ahead."""
        now = datetime.datetime.now().astimezone()
        instrument = self.planned_as or self.instrument
        plan = make_plan(request.config, instrument, self.frames_begin or now)
        run_id = request.record.run_id
        left = remaining(plan, request.config, request.record)
        text = itinerary(request.config, left, instrument, now)
        if not left.exposures and not left.duration:
            text = f"Nothing is left of run {run_id}: its results are read again."
        elif request.record.resumed:
            text = f"What is left of run {run_id}: {text}"
        self.log.info(text)
        own = resume_configuration(run_id, request.config.to_dict())
        how = self.resume_command(run_id) or f"the configuration '{own}'"
        self.log.info(f"Run {run_id}. Once it has taken a frame, it can be resumed with {how}.")
        connection = Connection(
            self.make_control(), self.instrument, self.domain, ocps=uses_ocps(request.config)
        )
        needed = needed_for(self.instrument.name, request.config, left)
        connection.look_around(topics_of(needed), self.domain)
        self._configured_as = _Configured(**vars(request), plan=plan, connection=connection)
        await connection.start()
        foresight = Foresight(request.config, plan, instrument, request.record, self.log)
        await foresight.look(connection.control, self.environment, self._frame_time, until)
        connection.surroundings.preview(needed, self.log)

    async def close_tasks(self) -> None:
        """Close the remotes; salobj then closes the script itself."""
        await super().close_tasks()
        if self._configured_as is not None:
            await self._configured_as.connection.close()
        if self._request is not None and self._procedure is None:
            # A run that has begun releases it when its jobs are aborted.
            self._request.lock.release()

    def _handle_hangup(self) -> None:
        """Stop on SIGHUP too, as salobj stops on SIGINT and SIGTERM alone."""
        # What nohup started is to survive it.
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            return
        # As with those signals, only the main thread can handle it.
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.signal_handler)

    def signal_handler(self) -> None:
        """Stop on a signal as by a command, so that jobs are aborted.

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
        config = self._configured.config
        plan, record = self._configured.plan, self._configured.record
        left = remaining(plan, config, record)
        metadata.duration = left.duration
        metadata.nimages = len(left.exposures)
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
            The frame: one of the plan's, or a replacement of one.

        Returns
        -------
        group_id : `str`
        """
        base = f"{self.obs_id}_{self.salinfo.index}" if self.obs_id else str(self.group_id)
        places = [(planned.series, planned.number) for planned in self._configured.plan.exposures]
        if (exposure.series, exposure.number) in places:
            return f"{base}#{places.index((exposure.series, exposure.number)) + 1}"
        # It replaces a spoilt one: such frames follow the series.
        last = self._configured.plan.exposures_of(exposure.series)[-1].number
        return f"{base}#{places.index((exposure.series, last)) + 1}.{exposure.number - last}"

    async def run(self) -> None:
        """Run the procedure."""
        try:
            self._procedure = self._make_procedure()
            warming = asyncio.create_task(in_thread(warm_up)) if self._configured.config.release else None
            try:
                await finish(asyncio.create_task(self._procedure.run()))
            except ObservatoryError as error:
                raise salobj.ExpectedError(str(error)) from error
            finally:
                if warming is not None:
                    warming.cancel()
                if self._procedure.report.state is RunState.STOPPED:
                    # An observer waits for the end.
                    self._configured.connection.begin_close()
                config, folder = self._configured.config, self._configured.folder
                await write_run_report(
                    self._procedure.report, config.repo, folder, self.log, self.write_report
                )
                await publish(self, config.publish, folder)
        finally:
            if self._notifier is not None:
                self._notifier.close()
            # Before the final state: then the run can be resumed at once.
            self._configured.lock.release()

    def _make_procedure(self) -> Procedure:
        run, instrument = self._configured, self.instrument
        config, connection = run.config, run.connection
        detectors = instrument.detector_ids(config.detectors)
        repository = ButlerRepository(config.repo, instrument, detectors)
        self._notifier = AppriseNotifier(config.notify, self.log)
        watch = ComponentWatch(connection.remotes, report=self.log.warning)
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
            jobs=make_jobs(
                config, instrument, connection, watch, run.folder, run.record.run_id, self.environment
            ),
            repository=repository,
            operator=ScriptOperator(self.log, self.checkpoint, instrument.name),
            journal=BackgroundJournal(self.make_journal(run.folder, run.record.run_id, run.lock)),
            group_id=self.image_group_id,
            clock=_now,
            earlier_run=functools.partial(earlier_run, run.folder),
            frame_clock=self._frame_time,
            watcher=self.watcher,
            pipelines=PipelineFiles(self.environment),
            notifier=self._notifier,
            known_marks=MarksOfRuns(run.folder, run.record.run_id, instrument.name).find,
            surroundings=connection.surroundings,
            resume_command=self.resume_command(run.record.run_id),
        )
        procedure = Procedure(config, run.plan, instrument, world, run.record)
        procedure.report = replace(
            procedure.report,
            instrument=instrument.name,
            resumed=run.record.resumed,
            versions=versions(self.environment, config.pipeline_generation),
        )
        return procedure

    def _frame_time(self) -> float:
        """Return when a frame begins now: TAI, as a Unix timestamp (s)."""
        if self.frames_begin is None:
            return _now()
        return (self.frames_begin + TAI_MINUS_UTC).timestamp()


def _now() -> float:
    """Return the time: TAI, as a Unix timestamp (s)."""
    from astropy.time import Time

    return float(Time.now().unix_tai)
