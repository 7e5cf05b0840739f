# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of many SAL components, and what signals do to it."""

from __future__ import annotations

__all__ = ["program_loop", "run_program", "run_until_signal"]

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from ..observatory.script import BaseMakeCalibrations
from ..outcomes import RunState
from ..report import RunReport
from ._common import show

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_STOPPING = "Stopping: the frame under way is completed, and jobs are aborted. This takes up to 11 s."
_ENDING = "Stopping."

T = TypeVar("T")


class ProgramLoop(asyncio.SelectorEventLoop):
    """An event loop in which the program alone handles signals.

    Every SAL component installs handlers of signals that end it at once. Here
    components are parts of one program, which may have jobs to abort first.
    """

    script: BaseMakeCalibrations | None = None
    """The script that a signal stops; before it runs, a signal cancels the
    main task."""

    _stopped = False

    def stop_on_signals(self) -> None:
        """Let the signals stop the script, or else the running task."""
        task = asyncio.current_task()
        assert task is not None

        def stop() -> None:
            runs = self.script is not None and self.script.report is not None
            if self._stopped:
                show("Stopping already: a moment, please.", error=True)
            else:
                show(_STOPPING if runs else _ENDING, error=True)
            self._stopped = True
            if runs and self.script is not None:
                self.script.signal_handler()
            elif not task.cancelling():
                # A second cancellation would interrupt the clean-up.
                task.cancel()

        for number in _SIGNALS:
            # What nohup started is to survive SIGHUP.
            if signal.getsignal(number) is not signal.SIG_IGN:
                super().add_signal_handler(number, stop)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        """Ignore the handlers of components."""

    def remove_signal_handler(self, sig: int) -> bool:
        """Ignore the handlers of components."""
        return False

    def close(self) -> None:
        """Close the loop and restore the signals."""
        for number in _SIGNALS:
            super().remove_signal_handler(number)
        super().close()


def program_loop() -> ProgramLoop:
    """Return the running loop, which is that of `run_program`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ProgramLoop), "run_program runs this"
    return loop


def run_program(work: Coroutine[Any, Any, RunReport]) -> RunReport:
    """Run to the end; SIGINT, SIGTERM and SIGHUP stop it in good order.

    Parameters
    ----------
    work : coroutine
        `run_on_sal` or `run_simulated`.

    Returns
    -------
    report : `RunReport`
    """
    report = run_until_signal(work)
    if report is not None:
        return report
    reason = "interrupted before the script ran"
    click.echo(reason.capitalize() + ".", err=True)
    return RunReport(state=RunState.STOPPED, reason=reason)


def run_until_signal(work: Coroutine[Any, Any, T]) -> T | None:
    """Run to the end, or until a signal has stopped it in good order.

    Parameters
    ----------
    work : coroutine
        What to run. A signal cancels it, unless it runs a script, which then
        stops.

    Returns
    -------
    result : object or `None`
        What it returns; `None` if it was cancelled.
    """

    async def program() -> T:
        program_loop().stop_on_signals()
        return await work

    try:
        with asyncio.Runner(loop_factory=ProgramLoop) as runner:
            return runner.run(program())
    except asyncio.CancelledError:
        return None
