# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that collects what a released run has left: finish."""

from __future__ import annotations

__all__ = ["finish"]

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from ._common import ExitCode, fail, require_subname, show
from ._results import exit_code, result_to, to_run_json
from .deciding import journals_option
from .runs import json_option

T = TypeVar("T")


class _Terminal:
    """An operator who reads a terminal."""

    def info(self, text: str) -> None:
        """Print what happens."""
        show(text)

    def warning(self, text: str) -> None:
        """Print what the operator should look at."""
        show(text)

    def error(self, text: str) -> None:
        """Print what failed."""
        show(text, error=True)

    def verdict(self, text: str, *, passed: bool) -> None:
        """Print whether a product passed verification."""
        show(text)

    async def checkpoint(self, name: str) -> None:
        """Do nothing: Ctrl-C is heard at any time."""


async def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or until a signal cancels it in good order."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What nohup started is to survive SIGHUP.
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


@click.command()
@click.argument("run_id", metavar="RUN")
@journals_option
@click.option(
    "--ocps",
    is_flag=True,
    help="Listen to the OCPS too, where SAL is: a job that fails from now on is noticed at once, and one "
    "that takes too long is aborted.",
)
@json_option
def finish(run_id: str, journals: Path | None, *, ocps: bool, json_file: Path | None) -> None:
    """Collect the verdicts of RUN, which had 'release: true'.

    It waits for the jobs of RUN, and writes its report as if the script had
    waited. A job has ended when its product is in the Butler; it has failed
    when its log says so, or after the job_timeout since its submission. SAL
    and the camera are not needed. Ctrl-C ends the wait: the jobs run on, and
    the command can be given again.
    """
    from ..files.journal import journal_file, journal_folder
    from ..finishing import FinishError
    from ..finishing import finish as collect
    from ..observatory import sal
    from ..ports import ObservatoryError
    from ..report import finish_command

    if ocps:
        try:
            from ..observatory.listening import listen_to_ocps
        except sal.SalNotInstalledError as error:
            fail(f"{error} Or leave --ocps out.", ExitCode.SCRIPT_FAILED)
        require_subname()
    folder = journals or journal_folder()
    journal = "" if journals is None else str(journal_file(folder, run_id))
    with result_to(json_file) as write:
        work = collect(folder, run_id, _Terminal(), *((listen_to_ocps,) if ocps else ()))
        try:
            finished = asyncio.run(_until_signal(work))
        except (FinishError, ObservatoryError) as error:
            fail(str(error), ExitCode.INVALID)
        except asyncio.CancelledError:
            fail(
                f"Interrupted. The jobs run on: '{finish_command(run_id, journal)}' waits for them again.",
                ExitCode.SCRIPT_FAILED,
            )
        for problem in finished.problems:
            show(problem)
        if finished.page is None:
            from ..report import summary_text

            show(f"Nothing is left to collect of {run_id}. It ended so:\n{summary_text(finished.report)}")
        else:
            show(f"Report: {finished.page}")
        write(to_run_json(finished.report))
    sys.exit(exit_code(finished.report))
