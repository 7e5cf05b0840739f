# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commandable SAL components."""

from __future__ import annotations

__all__ = ["BaseCsc"]

import asyncio
from collections.abc import Collection
from typing import Any

from .base import ExpectedError
from .controller import Controller
from .enums import State
from .signals import handle_signals

HEARTBEAT_INTERVAL = 1.0
"""Time between heartbeats (s)."""

_STANDARD_COMMANDS = {State.STANDBY: (), State.DISABLED: ("start",), State.ENABLED: ("start", "enable")}
"""Commands from STANDBY to each initial state."""


class BaseCsc(Controller):
    """A CSC, with its summary state.

    Parameters
    ----------
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index.
    initial_state : `State`, optional
        Summary state after the start; by default STANDBY.
    allow_missing_callbacks : `bool`, optional
        See `Controller`.

    Raises
    ------
    TypeError
        If a command has no method, or a method no command.
    ValueError
        If a CSC cannot start in the initial state.
    RuntimeError
        If the class has no ``version``.

    Attributes
    ----------
    version : `str`
        Version of the CSC; a class attribute that subclasses must have.
    heartbeat_interval : `float`
        Time between heartbeats (s).
    """

    version: str

    def __init__(
        self,
        name: str,
        index: int | None = None,
        *,
        initial_state: State | int | None = None,
        allow_missing_callbacks: bool = False,
    ) -> None:
        if not hasattr(type(self), "version"):
            raise RuntimeError("Class variable `version` is required")
        initial_state = State.STANDBY if initial_state is None else State(initial_state)
        if initial_state not in _STANDARD_COMMANDS:
            raise ValueError(f"initial_state cannot be {initial_state.name}")
        self._initial_state = initial_state
        self._summary_state = State.STANDBY
        self._faulting = False
        self._heartbeat_task: asyncio.Task[None] | None = None
        self.heartbeat_interval = HEARTBEAT_INTERVAL
        super().__init__(
            name=name, index=index, do_callbacks=True, allow_missing_callbacks=allow_missing_callbacks
        )
        handle_signals(self, self.signal_handler)

    async def start(self) -> None:
        """Start, when the remotes of this domain have started."""
        await super().start()
        self._heartbeat_task = asyncio.get_running_loop().create_task(self._heartbeat_loop())

    async def start_phase2(self) -> None:
        """Report the summary state and change to the initial one."""
        await super().start_phase2()
        await self._report_summary_state()
        for command in _STANDARD_COMMANDS[self._initial_state]:
            data = getattr(self, f"cmd_{command}").DataType()
            await getattr(self, f"do_{command}")(data)

    async def close_tasks(self) -> None:
        """Stop the heartbeat."""
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
        await super().close_tasks()

    def signal_handler(self) -> None:
        """End on SIGINT or SIGTERM."""
        self.log.info("signal_handler")
        if not self.done_task.done():
            self.done_task.set_result(None)

    @property
    def summary_state(self) -> State:
        """The summary state."""
        return self._summary_state

    async def do_disable(self, data: Any) -> None:
        """Change from ENABLED to DISABLED."""
        await self._do_change_state("disable", {State.ENABLED}, State.DISABLED)

    async def do_enable(self, data: Any) -> None:
        """Change from DISABLED to ENABLED."""
        await self._do_change_state("enable", {State.DISABLED}, State.ENABLED)

    async def do_standby(self, data: Any) -> None:
        """Change from DISABLED or FAULT to STANDBY."""
        await self._do_change_state("standby", {State.DISABLED, State.FAULT}, State.STANDBY)

    async def do_start(self, data: Any) -> None:
        """Change from STANDBY to DISABLED."""
        await self._do_change_state("start", {State.STANDBY}, State.DISABLED)

    async def fault(self, code: int, report: str) -> None:
        """Change to FAULT and report why.

        Parameters
        ----------
        code : `int`
            Error code.
        report : `str`
            What is wrong.
        """
        if self._faulting:
            return
        self._faulting = True
        try:
            self._summary_state = State.FAULT
            await self.evt_errorCode.set_write(errorCode=code, errorReport=report, force_output=True)
            self.log.critical(f"Fault! errorCode={code}, errorReport={report!r}")
            await self._report_summary_state()
        finally:
            self._faulting = False

    def assert_enabled(self, action: str = "") -> None:
        """Raise an exception if the summary state is not ENABLED.

        Parameters
        ----------
        action : `str`, optional
            The action that is to be rejected.

        Raises
        ------
        ExpectedError
            If the summary state is not ENABLED.
        """
        if self.summary_state == State.ENABLED:
            return
        what = f"{action} not allowed" if action else "Not allowed"
        if self.summary_state == State.FAULT:
            error = self.evt_errorCode.data
            why = f"in Fault state: errorCode={error.errorCode}, errorReport={error.errorReport!r}"
        else:
            why = f"in state={self.summary_state!r}"
        raise ExpectedError(f"{what} {why}")

    async def _report_summary_state(self) -> None:
        await self.evt_summaryState.set_write(summaryState=self.summary_state)
        if self.summary_state is not State.FAULT:
            await self.evt_errorCode.set_write(errorCode=0, errorReport="")

    async def _do_change_state(self, cmd_name: str, allowed: Collection[State], new_state: State) -> None:
        if self.summary_state not in allowed:
            raise ExpectedError(f"{cmd_name} not allowed in state {self.summary_state!r}")
        self._summary_state = new_state
        await self._report_summary_state()

    async def _heartbeat_loop(self) -> None:
        while self.isopen:
            await self.evt_heartbeat.write()
            await asyncio.sleep(self.heartbeat_interval)
