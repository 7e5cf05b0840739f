# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that collects what a released run has left: finish."""

from __future__ import annotations

__all__ = ["finish"]

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._common import ExitCode, fail, require_subname, show
from ._results import exit_code, result_to, to_run_json
from .deciding import journals_option
from .runs import json_option

if TYPE_CHECKING:
    from ..config import CalibrationConfig
    from ..ports import Notifier

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


class _ToTerminal(logging.Handler):
    """A log that is printed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        show(record.getMessage())


def _notify_by(
    given: tuple[str, ...],
) -> Callable[[CalibrationConfig], AbstractAsyncContextManager[Notifier | None]]:
    """Return what makes the sender of messages of a run.

    Parameters
    ----------
    given : `tuple` [`str`, ...]
        The addresses of the command; if there are none, those of the run
        that can be used are.
    """

    @contextlib.asynccontextmanager
    async def notify(config: CalibrationConfig) -> AsyncIterator[Notifier | None]:
        from ..config import ConfigurationError, is_masked
        from ..observatory.notifying import AppriseNotifier, check_addresses
        from ..report import fold
        from ..threads import in_thread

        if secret := [address for address in config.notify if is_masked(address)]:
            text = f"No messages go to {', '.join(secret)}: the journal does not keep what may be secret. "
            show(fold(f"{text}--notify ADDRESS sends them."))
        try:
            await in_thread(lambda: check_addresses(config.notify))
        except ConfigurationError as error:
            if given:
                raise
            show(fold(f"No messages are sent. {error}"))
            yield None
            return
        log = logging.Logger("messages", logging.INFO)
        log.addHandler(_ToTerminal())
        notifier = AppriseNotifier(config.notify, log)
        try:
            yield notifier
            await notifier.settle()
        finally:
            notifier.close()

    return notify


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
@click.option(
    "--notify",
    "addresses",
    metavar="ADDRESS",
    multiple=True,
    help="Who gets a message about what is held or failed, as the key 'notify' has it, such as the path of "
    "a configuration file of apprise. It may be given several times.  [default: that of the run]",
)
@json_option
def finish(
    run_id: str, journals: Path | None, addresses: tuple[str, ...], *, ocps: bool, json_file: Path | None
) -> None:
    """Collect the verdicts of RUN, which had 'release: true'.

    It waits for the jobs of RUN, and writes its report as if the script had
    waited. A job has ended when its product is in the Butler; it has failed
    when its log says so, or after the job_timeout since its submission. SAL
    and the camera are not needed. Ctrl-C ends the wait: the jobs run on, and
    the command can be given again. The Watcher hears of verdicts from scripts
    alone: if it is to, resume RUN in the script queue instead.
    """
    from ..files.journal import journal_file, journal_folder
    from ..finishing import FinishError, Means
    from ..finishing import finish as collect
    from ..observatory import sal
    from ..ports import ObservatoryError
    from ..report import finish_command, fold

    if ocps:
        try:
            from ..observatory.listening import listen_to_ocps
        except sal.SalNotInstalledError as error:
            fail(f"{error} Or leave --ocps out.", ExitCode.SCRIPT_FAILED)
        require_subname()
    folder = journals or journal_folder()
    journal = "" if journals is None else str(journal_file(folder, run_id))
    with result_to(json_file) as write:
        means = Means(_Terminal(), notify=_notify_by(addresses), addresses=addresses)
        work = collect(folder, run_id, replace(means, listen=listen_to_ocps) if ocps else means)
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
            show(fold(problem))
        if finished.page is None:
            from ..report import summary_text

            show(f"Nothing is left to collect of {run_id}. It ended so:\n{summary_text(finished.report)}")
        else:
            show(f"Report: {finished.page}")
        for copy in finished.published:
            show(f"Published: {copy.url}")
        write(to_run_json(finished.report))
    sys.exit(exit_code(finished.report))
