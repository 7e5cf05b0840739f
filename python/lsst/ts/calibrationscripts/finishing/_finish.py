# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A released run, finished: from its lock to its report."""

from __future__ import annotations

__all__ = ["FinishError", "Finished", "Means", "finish"]

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ..butler.publishing import Copy
from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig, ConfigurationError, parse
from ..files.earlier_marks import MarksOfRuns
from ..files.journal import FileJournal, earlier_run, load_record, lock_earlier_run
from ..files.lock import Lock
from ..files.runs import load_document
from ..instruments import Instrument
from ..job_names import names_of
from ..offline import NoCamera, NoIngest, instrument_of, tai_now
from ..outcomes import Outcome, StageResult
from ..plan import RunPlan, make_plan
from ..ports import Notifier, ObservatoryError, Operator, World
from ..procedure import Procedure, is_left_running
from ..products import StageId
from ..record import RunRecord
from ..report import RunReport, resume_configuration
from ..reporting import publish_again, write_report
from ..threads import in_thread
from ._jobs import JobsAtWork, Listening
from ._merge import merged

Listen = Callable[[CalibrationConfig, Instrument], AbstractAsyncContextManager[Listening | None]]
"""Makes what hears of jobs where there is SAL."""

Notify = Callable[[CalibrationConfig], AbstractAsyncContextManager[Notifier | None]]
"""Makes what sends messages to persons, or says in a `ConfigurationError` why
it cannot."""


class FinishError(Exception):
    """A run cannot be finished; says why, and what to do."""


@dataclass(frozen=True)
class Finished:
    """What a run has come to."""

    report: RunReport
    page: Path | None = None
    """`None` if nothing was left to collect: then it was not written anew."""

    problems: tuple[str, ...] = ()
    """What differs from earlier runs, and what could not be written."""

    published: tuple[Copy, ...] = ()
    """Copies of the run's report that were brought up to date."""


class _Journal(FileJournal):
    """A journal that is written at once."""

    async def flush(self) -> None:
        """Do nothing: what is written is there at once."""


def _nothing(config: CalibrationConfig, instrument: Instrument) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def _nobody(config: CalibrationConfig) -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Means:
    """What a run is finished with, beside its files."""

    operator: Operator
    """Who gets its log."""

    listen: Listen = _nothing
    """Makes what hears of jobs; by default nothing does."""

    notify: Notify = _nobody
    """Makes what sends messages; by default nothing does."""

    addresses: Sequence[str] = ()
    """Who gets messages, as ``notify`` has it; by default that of the run, of
    which the journal has what is not secret."""


async def finish(folder: Path, run_id: str, means: Means) -> Finished:
    """Wait for the jobs of a released run, and collect what they made.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journal of the run is.
    run_id : `str`
        Which run.
    means : `Means`
        With what.

    Returns
    -------
    finished : `Finished`
        What it has come to. Its journal, JSON and page have it too.

    Raises
    ------
    FinishError
        If it cannot be finished. Nothing has been changed then.
    asyncio.CancelledError
        If it is interrupted. Jobs that have not ended are still to be
        collected.
    """
    try:
        lock = lock_earlier_run(folder, run_id)
    except LookupError as error:
        raise FinishError(f"{run_id}: {': '.join(map(str, error.args))}.") from error
    try:
        return await _finish(folder, run_id, lock, means)
    finally:
        lock.release()


async def _finish(folder: Path, run_id: str, lock: Lock, means: Means) -> Finished:
    try:
        record = load_record(folder, run_id)
    except LookupError as error:
        raise FinishError(f"{run_id}: {error}.") from error
    earlier = _earlier_report(folder, run_id)
    if not any(is_left_running(record, job.stage) for job in record.jobs):
        if record.config.get("release") and earlier is not None and not earlier.pending and record.jobs:
            return Finished(earlier)
        raise FinishError(_why_nothing(record, earlier))
    instrument = instrument_of(record)
    assert instrument is not None, "a run with jobs has an instrument"
    config = _config_of(record, instrument, means.addresses)
    plan = make_plan(config, instrument)
    _check_submitted(record, plan)
    chosen = _to_collect(record, plan)
    resumed = replace(record, resumed=record.resumed + 1)
    try:
        async with means.listen(config, instrument) as ocps, means.notify(config) as notifier:
            world = _world(folder, config, instrument, means.operator, ocps, _Journal(folder, run_id, lock))
            marks = MarksOfRuns(folder, run_id, instrument.name)
            world = replace(world, notifier=notifier, known_marks=marks.find)
            procedure = Procedure(config, plan.only_for(chosen), instrument, world, resumed)
            collected = await _collected(procedure)
    except ConfigurationError as error:
        raise FinishError(str(error)) from error
    report = merged(collected, plan, resumed, earlier)
    written = await in_thread(lambda: write_report(report, config.repo, folder))
    published = await publish_again(record.config, folder, run_id, "The report is written")
    problems = (*written.warnings, *written.problems, *published.warnings)
    return Finished(report, written.page, problems, published.copies)


async def _collected(procedure: Procedure) -> RunReport:
    try:
        await procedure.run()
    except ObservatoryError as error:
        # Else it is the end that the configuration asks for.
        if not procedure.report.stages:
            raise FinishError(f"{procedure.report.run_id}: {error}") from error
    return procedure.report


def _earlier_report(folder: Path, run_id: str) -> RunReport | None:
    try:
        document = load_document(folder, run_id)
    except LookupError:
        return None
    return None if document is None else document.report


def _why_nothing(record: RunRecord, earlier: RunReport | None) -> str:
    """Return why a run has nothing to collect, and what to do."""
    if earlier is not None and earlier.resume_command:
        how = f"'{earlier.resume_command}' resumes it."
    else:
        own = resume_configuration(record.run_id, record.config)
        how = f"The configuration '{own}' in the script queue resumes it."
    if not record.config.get("release"):
        return f"{record.run_id}: it was not released: its script waited for its jobs itself. {how}"
    if any(result.outcome is Outcome.ABORTED for result in record.stages) or not record.jobs:
        return f"{record.run_id}: it ended before it had submitted its jobs. {how}"
    return f"{record.run_id}: no job is left to collect. {how}"


def _config_of(record: RunRecord, instrument: Instrument, addresses: Sequence[str]) -> CalibrationConfig:
    text = yaml.safe_dump({"resume": record.run_id} | ({"notify": list(addresses)} if addresses else {}))
    try:
        return parse(text, instrument, lambda run_id, journal_dir: record.config)
    except ConfigurationError as error:
        raise FinishError(str(error)) from error


def _check_submitted(record: RunRecord, plan: RunPlan) -> None:
    """Refuse a run that has jobs to submit, which this cannot do."""

    def has_ended(result: StageResult | None) -> bool:
        return result is not None and result.outcome is not Outcome.ABORTED

    left = [
        stage.name
        for stage in plan.stages
        if stage.job and not is_left_running(record, stage.id) and not has_ended(record.result_of(stage.id))
    ]
    if left:
        own = resume_configuration(record.run_id, record.config)
        raise FinishError(
            f"{record.run_id}: it ended before all was submitted: {', '.join(left)}. The configuration "
            f"'{own}' in the script queue takes and submits the rest; finish it then."
        )


def _to_collect(record: RunRecord, plan: RunPlan) -> list[StageId]:
    """Return the stages whose results are read, also if that was done."""
    done = (Outcome.PASSED, Outcome.HELD)
    return [
        stage.id
        for stage in plan.stages
        if stage.job
        and (
            is_left_running(record, stage.id)
            or ((result := record.result_of(stage.id)) is not None and result.outcome in done)
        )
    ]


def _world(
    folder: Path,
    config: CalibrationConfig,
    instrument: Instrument,
    operator: Operator,
    ocps: Listening | None,
    journal: _Journal,
) -> World:
    return World(
        camera=NoCamera(),
        ingest=NoIngest(),
        jobs=JobsAtWork(names_of(config, folder), ocps),
        repository=ButlerRepository(config.repo, instrument, instrument.detector_ids(config.detectors)),
        operator=operator,
        journal=journal,
        group_id=lambda exposure: "",
        clock=tai_now,
        earlier_run=functools.partial(earlier_run, folder),
        frame_clock=tai_now,
    )
