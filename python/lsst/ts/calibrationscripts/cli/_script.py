# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an instrument's script and show it in a terminal.

Imported once it is decided where SAL comes from.
"""

from __future__ import annotations

__all__ = ["run_on_sal"]

import datetime
import logging
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import click

from ..config import CalibrationConfig
from ..files.journal import FileJournal
from ..files.lock import Lock
from ..instruments import Instrument
from ..observatory.ending import REPORT_WRITTEN
from ..observatory.queue import (
    FINAL_STATES,
    LogMessage,
    QueueHooks,
    ScriptResult,
    next_group_id,
    run_script,
)
from ..observatory.script import BaseMakeCalibrations
from ..observatory.scripts import script_class
from ..outcomes import RunState
from ..plan import make_plan
from ..ports import JournalFile
from ..report import NOT_BEGUN, RunReport, fold
from ._common import show as show_line
from ._display import ProgressWatcher, closing_text
from ._program import program_loop


async def run_on_sal(
    text: str,
    config: CalibrationConfig,
    instrument: Instrument,
    make_journal: Callable[[Path, str, Lock], JournalFile] = FileJournal,
    frames_begin: datetime.datetime | None = None,
    find_generation: Callable[[str], tuple[str, str]] | None = None,
    environment: Mapping[str, str] = os.environ,
    planned_as: Instrument | None = None,
    resume_command: Callable[[str], tuple[str, ...]] = lambda run_id: (),
) -> RunReport:
    """Run a configuration as the script queue would.

    Parameters
    ----------
    text : `str`
        The configuration (YAML), known to be valid.
    config : `CalibrationConfig`
        The same, parsed, with that of the run that it resumes, if any.
    instrument : `Instrument`
        The instrument, which has a script.
    make_journal : `~collections.abc.Callable`, optional
        Makes the journal from its folder, the run's id and lock.
    frames_begin : `datetime.datetime`, optional
        When the camera's next frame is, if not now.
    find_generation : `~collections.abc.Callable`, optional
        Finds the generation of the pipelines, if not that of this
        installation; see `config.parse`.
    environment : `~collections.abc.Mapping` [`str`, `str`], optional
        Environment variables, which say where the pipelines are.
    planned_as : `Instrument`, optional
        The instrument, with what a frame or job of it takes, if that is not
        what the real one takes.
    resume_command : `~collections.abc.Callable`, optional
        Returns the words of the command that resumes a run, by its id; none
        if a configuration does.

    Returns
    -------
    report : `RunReport`
    """
    plan = make_plan(config, planned_as or instrument)
    make = script_class(instrument)
    scripts: list[BaseMakeCalibrations] = []
    page = ""
    errors: list[str] = []

    with ProgressWatcher(plan) as watcher:

        def make_script(index: int) -> BaseMakeCalibrations:
            script = make(index=index)
            script.watcher = watcher
            script.make_journal = make_journal
            script.frames_begin = frames_begin
            script.find_generation = find_generation
            script.environment = environment
            script.planned_as = planned_as
            script.resume_command = lambda run_id: shlex.join(resume_command(run_id))
            scripts.append(script)
            program_loop().script = script
            return script

        def show(message: LogMessage) -> None:
            nonlocal page
            if message.text.startswith("Setting final state"):
                return  # salobj's own; the summary says the same
            if message.text.startswith(REPORT_WRITTEN):
                page = message.text.removeprefix(REPORT_WRITTEN)
                return  # shown at the very end
            if watcher.covers_log and message.level < logging.WARNING and "\n" not in message.text:
                return
            if is_error := message.level >= logging.ERROR:
                errors.append(message.text)
            watcher.print(message.text, error=is_error)

        result = await run_script(
            make_script,
            text,
            group_id=next_group_id(),
            timeout=2 * plan.duration + config.job_timeout * len(plan.stages),
            hooks=QueueHooks(on_message=show),
        )
    is_said = bool(result.reason) and any(result.reason in text for text in errors)
    return _ended(result, scripts[0].report, config, page, resume_command, reason_is_said=is_said)


def _ended(
    result: ScriptResult,
    report: RunReport | None,
    config: CalibrationConfig,
    page: str,
    resume_command: Callable[[str], tuple[str, ...]],
    *,
    reason_is_said: bool,
) -> RunReport:
    """Print how a script has ended; return what is known of its run."""
    if report is None or report.state is RunState.UNSTARTED:
        why = "." if reason_is_said else f": {result.reason}"
        show_line(fold(f"The script ended {result.state}{why}"), error=True)
        if page:
            show_line(f"Report: {page}")
        if report is None and result.state == RunState.CONFIGURE_FAILED:
            click.echo(NOT_BEGUN, err=True)
        return RunReport(state=RunState(result.state), reason=result.reason, config=config.to_dict())
    if result.state in FINAL_STATES and result.state != report.state:
        # What the shell gets is how the script ended, whatever it came to.
        report = replace(report, state=RunState(result.state), reason=result.reason)
    show_line(closing_text(report, page, resume_command(report.run_id)))
    return report
