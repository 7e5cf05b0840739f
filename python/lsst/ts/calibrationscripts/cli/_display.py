# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands show in a terminal."""

from __future__ import annotations

__all__ = ["ProgressWatcher", "access_hint"]

import shlex
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..instruments import Instrument
from ..outcomes import Outcome
from ..plan import PlannedExposure, RunPlan, Stage
from ..products import StageId, StageKind
from ..report import RunReport
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


class ProgressWatcher:
    """Shows a line for each series and stage that runs, in a terminal only.

    Parameters
    ----------
    plan : `RunPlan`
        Plan of the run that is watched.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._lines: dict[StageId, TaskID] = {}
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:14}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[outcome]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def shows_stages(self) -> bool:
        """Whether there are progress lines, so that less needs printing."""
        return not self._progress.disable

    def print(self, text: str, *, error: bool) -> None:
        """Print above the progress lines."""
        if self.shows_stages:
            self._progress.console.print(text, highlight=False, markup=False)
        else:
            show(text, error=error)

    def started(self, stage: Stage) -> None:
        """Show that a stage has begun."""
        total = len(self._plan.exposures_of(stage.subject)) if stage.kind is StageKind.EXPOSE else None
        self._lines[stage.id] = self._progress.add_task(stage.name, total=total, outcome="")

    def taken(self, exposure: PlannedExposure) -> None:
        """Show that a frame has been taken."""
        self._progress.advance(self._lines[StageId(StageKind.EXPOSE, exposure.series)])

    def ended(self, stage: Stage, outcome: Outcome) -> None:
        """Show how a stage ended."""
        line = self._lines.get(stage.id)
        style = _STYLES.get(outcome, "red")
        shown = f"[{style}]{outcome}[/]"
        if line is None:
            self._lines[stage.id] = self._progress.add_task(stage.name, total=1, outcome=shown)
        elif stage.kind is StageKind.EXPOSE:
            self._progress.update(line, outcome=shown)
        else:
            self._progress.update(line, total=1, completed=1, outcome=shown)
