# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commandable SAL components."""

from __future__ import annotations

__all__ = ["BaseCsc"]

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from .base import ExpectedError
from .controller import Controller
from .enums import State
from .signals import handle_signals

HEARTBEAT_INTERVAL = 1.0
"""Time between heartbeats (s)."""

_STANDARD_COMMANDS = {
    State.STANDBY: (),
    State.OFFLINE: ("exitControl",),
    State.DISABLED: ("start",),
    State.ENABLED: ("start", "enable"),
}
"""The way from STANDBY to an initial state."""


class BaseCsc(Controller):
    """A CSC, with its summary state.

    Parameters
    ----------
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index.
    initial_state : `State`, optional
        State to go to at the start; by default STANDBY.
    override : `str`, optional
        Configuration override file, if it passes through DISABLED then.
    simulation_mode : `int`, optional
        One of ``valid_simulation_modes``.
    allow_missing_callbacks, extra_commands
        See `Controller`.

    Raises
    ------
    ValueError
        If the initial state is FAULT or the simulation mode is invalid.
    RuntimeError
        If the class has no ``version``.

    Attributes
    ----------
    version : `str`
        Required of subclasses: their version.
    heartbeat_interval : `float`
        Time between heartbeats (s).
    """

    valid_simulation_modes: Sequence[int] = (0,)

    def __init__(
        self,
        name: str,
        index: int | None = None,
        *,
        initial_state: State | int | None = None,
        override: str = "",
        simulation_mode: int = 0,
        allow_missing_callbacks: bool = False,
        extra_commands: Iterable[str] = (),
    ) -> None:
        if not hasattr(type(self), "version"):
            raise RuntimeError("Class variable `version` is required")
        initial_state = State.STANDBY if initial_state is None else State(initial_state)
        if initial_state == State.FAULT:
            raise ValueError("initial_state cannot be FAULT")
        if simulation_mode not in self.valid_simulation_modes:
            raise ValueError(
                f"simulation_mode={simulation_mode} not in "
                f"valid_simulation_modes={self.valid_simulation_modes}"
            )
        self._override = override
        self._initial_state = initial_state
        self._summary_state = State.STANDBY
        self._faulting = False
        self._heartbeat_task: asyncio.Task[None] | None = None
        self.heartbeat_interval = HEARTBEAT_INTERVAL
        super().__init__(
            name=name,
            index=index,
            do_callbacks=True,
            allow_missing_callbacks=allow_missing_callbacks,
            extra_commands=extra_commands,
        )
        handle_signals(self, self.signal_handler)
        self.evt_simulationMode.set(mode=int(simulation_mode))
        self.evt_softwareVersions.set(cscVersion=self.version)

    async def start(self) -> None:
        """Finish construction and begin the heartbeat."""
        await super().start()
        self._heartbeat_task = asyncio.get_running_loop().create_task(self._heartbeat_loop())
        await self.evt_simulationMode.set_write(mode=self.simulation_mode, force_output=True)
        await self.evt_softwareVersions.write()

    async def start_phase2(self) -> None:
        """Report the summary state and go to the initial one."""
        await super().start_phase2()
        await self.handle_summary_state()
        await self._report_summary_state()
        command = ""
        try:
            for command in _STANDARD_COMMANDS[self._initial_state]:
                data = getattr(self, f"cmd_{command}").DataType()
                if command == "start":
                    data.configurationOverride = self._override
                await getattr(self, f"do_{command}")(data)
        except Exception:
            self.log.exception(f"Failed in start on state transition command {command}; continuing.")

    async def close_tasks(self) -> None:
        """Stop the heartbeat."""
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
        await super().close_tasks()

    def signal_handler(self) -> None:
        """Handle SIGINT and SIGTERM."""
        self.log.info("signal_handler")
        if not self.done_task.done():
            self.done_task.set_result(None)

    @property
    def simulation_mode(self) -> int:
        """The simulation mode."""
        return int(self.evt_simulationMode.data.mode)

    @property
    def summary_state(self) -> State:
        """The summary state."""
        return self._summary_state

    @property
    def disabled_or_enabled(self) -> bool:
        """Whether the summary state is DISABLED or ENABLED."""
        return self.summary_state in (State.DISABLED, State.ENABLED)

    async def do_disable(self, data: Any) -> None:
        """Go from ENABLED to DISABLED."""
        await self._do_change_state(data, "disable", [State.ENABLED], State.DISABLED)

    async def do_enable(self, data: Any) -> None:
        """Go from DISABLED to ENABLED."""
        await self._do_change_state(data, "enable", [State.DISABLED], State.ENABLED)

    async def do_exitControl(self, data: Any) -> None:  # noqa: N802
        """Go from STANDBY to OFFLINE and end."""
        await self._do_change_state(data, "exitControl", [State.STANDBY], State.OFFLINE)
        self._close_later()

    async def do_standby(self, data: Any) -> None:
        """Go from DISABLED or FAULT to STANDBY."""
        await self._do_change_state(data, "standby", [State.DISABLED, State.FAULT], State.STANDBY)

    async def do_start(self, data: Any) -> None:
        """Go from STANDBY to DISABLED."""
        await self._do_change_state(data, "start", [State.STANDBY], State.DISABLED)

    async def _hook(self, data: Any) -> None:
        """Do nothing before or after a change of state."""

    begin_disable = begin_enable = begin_standby = begin_start = _hook
    end_disable = end_enable = end_standby = end_start = _hook
    begin_exitControl = end_exitControl = _hook  # noqa: N815

    async def handle_summary_state(self) -> None:
        """Act on a new summary state; for subclasses."""

    async def fault(self, code: int | None, report: str, traceback: str = "") -> None:
        """Go to FAULT and say why.

        Parameters
        ----------
        code : `int` or `None`
            Error code; `None` writes no errorCode event.
        report : `str`
            What is wrong.
        traceback : `str`, optional
            Where it went wrong.
        """
        if self._faulting:
            return
        self._faulting = True
        try:
            self._summary_state = State.FAULT
            if code is not None:
                await self.evt_errorCode.set_write(
                    errorCode=code, errorReport=report, traceback=traceback, force_output=True
                )
                self.log.critical(f"Fault! errorCode={code}, errorReport={report!r}")
            await self._report_summary_state()
            await self.handle_summary_state()
        finally:
            self._faulting = False

    def assert_enabled(self, action: str = "") -> None:
        """Raise `ExpectedError` if the summary state is not ENABLED.

        Parameters
        ----------
        action : `str`, optional
            What is not to be done then.
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
            await self.evt_errorCode.set_write(errorCode=0, errorReport="", traceback="")

    async def _do_change_state(
        self, data: Any, cmd_name: str, allowed_curr_states: Sequence[State], new_state: State
    ) -> None:
        old_state = self.summary_state
        if old_state not in allowed_curr_states:
            raise ExpectedError(f"{cmd_name} not allowed in state {old_state!r}")
        hook = f"begin_{cmd_name}"
        try:
            await getattr(self, hook)(data)
            self._summary_state = new_state
            hook = f"end_{cmd_name}"
            await getattr(self, hook)(data)
        except Exception as error:
            self._summary_state = old_state
            message = f"{hook} failed; state is {old_state!r}"
            if isinstance(error, ExpectedError):
                self.log.error(f"{message}: {error}")
            else:
                self.log.exception(message)
            raise
        await self.handle_summary_state()
        await self._report_summary_state()

    async def _heartbeat_loop(self) -> None:
        while self.isopen:
            await self.evt_heartbeat.write()
            await asyncio.sleep(self.heartbeat_interval)
