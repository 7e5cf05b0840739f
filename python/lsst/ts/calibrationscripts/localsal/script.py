# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""SAL scripts."""

from __future__ import annotations

__all__ = ["BaseScript"]

import abc
import argparse
import asyncio
import re
import sys
import types
from collections.abc import Sequence
from typing import Any

import yaml

from .base import ExpectedError
from .controller import Controller
from .enums import ScriptState
from .signals import handle_signals

_FINAL_STATES = {
    ScriptState.ENDING: ScriptState.DONE,
    ScriptState.STOPPING: ScriptState.STOPPED,
    ScriptState.FAILING: ScriptState.FAILED,
    ScriptState.CONFIGURE_FAILED: ScriptState.CONFIGURE_FAILED,
}


class BaseScript(Controller, abc.ABC):
    """A SAL script: it is configured, runs once and ends.

    Parameters
    ----------
    index : `int`
        Index of the Script component; not 0.
    descr : `str`
        Short description of the script.

    Raises
    ------
    ValueError
        If the index is 0, which would receive the commands of every script.

    Attributes
    ----------
    done_task : `asyncio.Future`
        Done when the script has ended.
    """

    def __init__(self, index: int, descr: str) -> None:
        if index == 0:
            raise ValueError("index must be nonzero")
        # It takes a tenth of a second to import.
        from .validator import DefaultingValidator

        self._validator = DefaultingValidator(self.get_schema())
        self._run_task: asyncio.Task[None] | None = None
        self._pause_future: asyncio.Future[None] | None = None
        self._pause_pattern = self._stop_pattern = ""
        self._is_exiting = False
        self._num_checkpoints = 0
        self._last_checkpoint = ""
        super().__init__("Script", index, do_callbacks=True)
        handle_signals(self, self.signal_handler)
        self.evt_description.set(classname=type(self).__name__, description=str(descr))

    @classmethod
    @abc.abstractmethod
    def get_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the configuration."""

    @abc.abstractmethod
    async def configure(self, config: types.SimpleNamespace) -> None:
        """Configure the script.

        Parameters
        ----------
        config : `types.SimpleNamespace`
            The configuration, validated and with defaults.
        """

    @abc.abstractmethod
    def set_metadata(self, metadata: Any) -> None:
        """Set fields of the metadata event, after `configure`.

        Parameters
        ----------
        metadata : `object`
            The data of the event.
        """

    @abc.abstractmethod
    async def run(self) -> None:
        """Run the script."""

    async def start(self) -> None:
        """Start; the script is UNCONFIGURED then."""
        await super().start()
        await self.evt_state.set_write(state=ScriptState.UNCONFIGURED)
        await self.evt_description.write()

    @classmethod
    async def amain(cls) -> None:
        """Run a script from the command line, which gives its index.

        Exits with code 1 unless the script ends DONE or STOPPED.
        """
        parser = argparse.ArgumentParser(f"Run {cls.__name__} from the command line")
        parser.add_argument("index", type=int, help="Index of the Script component; unique among scripts")
        # Subclasses have constructors of their own, which take the index.
        script: BaseScript = cls(index=parser.parse_args().index)  # type: ignore[call-arg]
        try:
            await script.done_task
            await script.close()
        except Exception:  # noqa: BLE001 - it has been logged, or is the end of the script
            sys.exit(1)
        if script.state.state not in {ScriptState.DONE, ScriptState.STOPPED}:
            sys.exit(1)

    def signal_handler(self) -> None:
        """End on SIGINT or SIGTERM."""
        self.log.info("Handling termination signal.")
        if not self.done_task.done():
            self.done_task.set_result(None)

    @property
    def group_id(self) -> str:
        """The group id; "" if none is set."""
        return str(self.evt_state.data.groupId)

    @property
    def obs_id(self) -> str:
        """The id of the observing block; "" if there is none."""
        return str(self.evt_state.data.blockId)

    @property
    def state(self) -> Any:
        """The data of the state event, with field ``state`` and others."""
        return self.evt_state.data

    async def set_state(
        self, state: ScriptState | None = None, reason: str | None = None, force_output: bool = False
    ) -> None:
        """Set the state of the script.

        Parameters
        ----------
        state : `ScriptState`, optional
            The new state; by default the present one.
        reason : `str`, optional
            The reason of the change.
        force_output : `bool`, optional
            Write the event even if nothing has changed?
        """
        await self.evt_state.set_write(
            state=state,
            reason=reason,
            lastCheckpoint=self._last_checkpoint,
            numCheckpoints=self._num_checkpoints,
            force_output=force_output,
        )

    async def checkpoint(self, name: str = "") -> None:
        """Pause or stop here, if the configure command requests it.

        Parameters
        ----------
        name : `str`, optional
            Name of the checkpoint.

        Raises
        ------
        RuntimeError
            If the script is not RUNNING.
        asyncio.CancelledError
            If the script is to stop here.
        """
        if self.state.state != ScriptState.RUNNING:
            raise RuntimeError(
                f"checkpoint error: state={self._state_name} instead of RUNNING; "
                "did you call checkpoint from somewhere other than `run`?"
            )
        self._num_checkpoints += 1
        self._last_checkpoint = name
        if re.fullmatch(self._stop_pattern, name):
            await self.set_state(ScriptState.STOPPING)
            raise asyncio.CancelledError(f"stop by request: checkpoint {name} matches {self._stop_pattern}")
        if re.fullmatch(self._pause_pattern, name):
            self._pause_future = asyncio.get_running_loop().create_future()
            await self.set_state(ScriptState.PAUSED)
            await self._pause_future
            await self.set_state(ScriptState.RUNNING)
        else:
            await self.set_state(force_output=True)
            await asyncio.sleep(0.001)

    async def close_tasks(self) -> None:
        """Stop the run, if it has not ended."""
        self._is_exiting = True
        await super().close_tasks()
        for task in (self._run_task, self._pause_future):
            if task is not None:
                task.cancel()

    def assert_state(self, action: str, states: Sequence[ScriptState]) -> None:
        """Raise an exception if an action is not allowed now.

        Parameters
        ----------
        action : `str`
            The action.
        states : sequence of `ScriptState`
            The states that allow it.

        Raises
        ------
        ExpectedError
            If the script is in another state, or is exiting.
        """
        if self._is_exiting:
            raise ExpectedError(f"Cannot {action}: script is exiting")
        if self.state.state not in states:
            names = ", ".join(state.name for state in states)
            raise ExpectedError(f"Cannot {action}: state={self._state_name} instead of {names}")

    async def do_configure(self, data: Any) -> None:
        """Configure the script.

        Parameters
        ----------
        data : `object`
            The command.

        Raises
        ------
        ExpectedError
            If the configuration or a checkpoint pattern is invalid.
        """
        self.assert_state("configure", [ScriptState.UNCONFIGURED])
        try:
            await self.configure(self._parse_config(data.config))
        except Exception as error:
            short = f"config({data.config}) failed"
            message = f"{short}: {error}"
            self.log.exception(short)
            await self.set_state(ScriptState.CONFIGURE_FAILED, reason=message)
            await self._exit()
            raise ExpectedError(message) from error
        for name, pattern in (("pause", data.pauseCheckpoint), ("stop", data.stopCheckpoint)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ExpectedError(f"{name}={pattern!r} not a valid regex: {error}") from error
        self._pause_pattern, self._stop_pattern = data.pauseCheckpoint, data.stopCheckpoint
        if data.logLevel != 0:
            self.log.setLevel(data.logLevel)
        self.set_metadata(metadata=self.evt_metadata.data)
        self.evt_state.set(blockId=data.blockId)
        await self.evt_metadata.write()
        await self.set_state(ScriptState.CONFIGURED)
        await asyncio.sleep(0.001)

    async def do_run(self, data: Any) -> None:
        """Run the script to its end.

        Parameters
        ----------
        data : `object`
            The command.

        Raises
        ------
        ExpectedError
            If the script is not CONFIGURED or has no group id.
        """
        self.assert_state("run", [ScriptState.CONFIGURED])
        if not self.group_id:
            raise ExpectedError("Group ID not set")
        try:
            await self.set_state(ScriptState.RUNNING)
            self._run_task = asyncio.get_running_loop().create_task(self.run())
            await self._run_task
            await self.set_state(ScriptState.ENDING)
        except asyncio.CancelledError:
            if self.state.state != ScriptState.STOPPING:
                await self.set_state(ScriptState.STOPPING)
        except Exception as error:
            if not isinstance(error, ExpectedError):
                self.log.exception("Error in run")
            await self.set_state(ScriptState.FAILING, reason=f"Error in run: {error}")
        await asyncio.sleep(0.001)
        await self._exit()

    async def do_resume(self, data: Any) -> None:
        """Resume a paused script.

        Parameters
        ----------
        data : `object`
            The command.

        Raises
        ------
        ExpectedError
            If the script is not PAUSED.
        """
        self.assert_state("resume", [ScriptState.PAUSED])
        if self._pause_future is not None and not self._pause_future.done():
            self._pause_future.set_result(None)

    async def do_setGroupId(self, data: Any) -> None:  # noqa: N802
        """Set the group id.

        Parameters
        ----------
        data : `object`
            The command.

        Raises
        ------
        ExpectedError
            If the script is not CONFIGURED.
        """
        self.assert_state("setGroupId", [ScriptState.CONFIGURED])
        await self.evt_state.set_write(groupId=data.groupId, force_output=True)

    async def do_stop(self, data: Any) -> None:
        """Stop the script, in any state.

        Parameters
        ----------
        data : `object`
            The command.
        """
        if self._is_exiting:
            return
        if self._run_task is not None and not self._run_task.done():
            self._run_task.cancel()
        else:
            await self.set_state(ScriptState.STOPPING)
            await self._exit()

    @property
    def _state_name(self) -> str:
        return ScriptState(self.state.state).name

    def _parse_config(self, text: str) -> types.SimpleNamespace:
        config = yaml.safe_load(text) if text else {}
        if config:
            # The script queue stores its own values there.
            config.pop("metadata", None)
        return types.SimpleNamespace(**self._validator.validate(config))

    async def _exit(self) -> None:
        """Change to the final state and close."""
        if self._is_exiting:
            return
        self._is_exiting = True
        final_state = _FINAL_STATES[self.state.state]
        self.log.info(f"Setting final state to {final_state!r}")
        await self.set_state(final_state)
        self._close_later()
