# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands show in a terminal."""

from __future__ import annotations

__all__ = ["ProgressWatcher", "access_hint", "closing_text"]

import datetime
import shlex
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ..instruments import Instrument
from ..outcomes import Outcome, RunState
from ..plan import PlannedExposure, RunPlan, Stage, time_left
from ..products import StageId, StageKind
from ..report import RunReport, conclusion, fold, fold_command, resumable
from ._common import show

_STYLES = {Outcome.PASSED: "green", Outcome.CERTIFIED: "bold green", Outcome.SKIPPED: "yellow"}


def access_hint(report: RunReport, repo: Path, instrument: Instrument) -> str | None:
    """Return a command that opens a calibration that was certified.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `pathlib.Path`
        Its Butler repository.
    instrument : `Instrument`
        Its instrument.

    Returns
    -------
    text : `str` or `None`
        `None` if nothing was certified, or all for dates without its frames.
    """
    proof = next((proof for proof in report.proofs if not proof.validity_warning), None)
    if proof is None:
        return None
    certification = proof.certification
    # One of its own frames: another may have another filter or date.
    exposure = proof.frames[-1].exposure
    detector = instrument.detector_ids(tuple(report.config["detectors"]))[0]
    data_id = f"instrument='{instrument.name}', detector={detector}, exposure={exposure}"
    return (
        f"Open the certified {certification.dataset_type}:\n"
        f'  {shlex.quote(sys.executable)} -c "from lsst.daf.butler import Butler; '
        f"print(Butler('{repo}', collections='{certification.collection}').get("
        f"'{certification.dataset_type}', {data_id}))\""
    )


def closing_text(report: RunReport, page: str = "", resume_command: tuple[str, ...] = ()) -> str:
    """Return the last lines that a terminal shows of a run.

    Parameters
    ----------
    report : `RunReport`
        The run.
    page : `str`, optional
        Path of its page; "" if there is none.
    resume_command : `tuple` [`str`, ...], optional
        Words of the command that resumes it.

    Returns
    -------
    text : `str`
        In colour; what prints it removes that where there is no terminal.
    """
    colour = "green" if report.complete else "yellow" if report.state is RunState.DONE else "red"
    # Why a script failed was said once already, at length.
    how = conclusion(report) if report.state is RunState.DONE else f"The script ended {report.state}"
    run = f"Run {report.run_id}: {how[:1].lower()}{how[1:]}." if report.run_id else f"{how}."
    lines = [click.style(fold(run), fg=colour, bold=True)]
    if page:
        lines.append(f"Report: {page}")
    if resume_command and resumable(report):
        lines += ["To resume it:", fold_command(resume_command)]
    return "\n".join(lines)


class _TimeLeft(ProgressColumn):
    """The time that the run as a whole will still take."""

    def __init__(self, watcher: ProgressWatcher) -> None:
        super().__init__()
        self._watcher = watcher

    def render(self, task: Task) -> Text:
        """Return what the row of the total shows."""
        if not task.fields.get("is_total"):
            return Text("")
        left = datetime.timedelta(seconds=round(self._watcher.time_left))
        return Text(f"about {left} left", style="progress.remaining")


class ProgressWatcher:
    """Shows a line for each series and stage that runs, in a terminal only.

    The first line is the run as a whole, with the time that is left.

    Parameters
    ----------
    plan : `RunPlan`
        Plan of the run that is watched.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._lines: dict[StageId, TaskID] = {}
        self._begun: dict[StageId, float] = {}
        self._ended: set[StageId] = set()
        self._taken: set[PlannedExposure] = set()
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:14}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[outcome]}"),
            _TimeLeft(self),
            console=console,
            # What is for a file, or a pipe, is not for the terminal.
            redirect_stdout=sys.stdout.isatty(),
            disable=not console.is_terminal,
        )
        self._total = self._progress.add_task("all stages", total=len(plan.stages), outcome="", is_total=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def covers_log(self) -> bool:
        """Whether progress lines show what the log has, but for its texts."""
        return not self._progress.disable and sys.stdout.isatty()

    @property
    def time_left(self) -> float:
        """How long the run will still take (s)."""
        now = time.monotonic()
        running = {stage: now - begun for stage, begun in tuple(self._begun.items())}
        return time_left(self._plan, running, self._ended, self._taken)

    def print(self, text: str, *, error: bool) -> None:
        """Print above the progress lines; all but errors goes to stdout."""
        if not self._progress.disable and (error or sys.stdout.isatty()):
            self._progress.console.print(fold(text), highlight=False, markup=False, soft_wrap=True)
        else:
            show(text, error=error)

    def started(self, stage: Stage) -> None:
        """Show that a stage has begun."""
        self._begun[stage.id] = time.monotonic()
        total = len(self._plan.exposures_of(stage.subject)) if stage.kind is StageKind.EXPOSE else None
        self._lines[stage.id] = self._progress.add_task(stage.name, total=total, outcome="")

    def taken(self, exposure: PlannedExposure) -> None:
        """Show that a frame has been taken."""
        self._taken.add(exposure)
        self._progress.advance(self._lines[StageId(StageKind.EXPOSE, exposure.series)])

    def ended(self, stage: Stage, outcome: Outcome) -> None:
        """Show how a stage ended."""
        self._ended.add(stage.id)
        self._progress.advance(self._total)
        line = self._lines.get(stage.id)
        style = _STYLES.get(outcome, "red")
        shown = f"[{style}]{outcome}[/]"
        if line is None:
            self._lines[stage.id] = self._progress.add_task(stage.name, total=1, outcome=shown)
        elif stage.kind is StageKind.EXPOSE:
            self._progress.update(line, outcome=shown)
        else:
            self._progress.update(line, total=1, completed=1, outcome=shown)
