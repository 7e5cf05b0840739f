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
import warnings
from collections.abc import Sequence
from typing import Any

import yaml

from .base import ExpectedError, current_tai
from .controller import Controller
from .enums import MetadataCoordSys, MetadataDome, MetadataRotSys, ScriptState
from .signals import handle_signals

HEARTBEAT_INTERVAL = 5.0
"""Time between heartbeats (s)."""

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
        What the script does, in short.
    help : `str`, optional
        What the script does, at length.

    Raises
    ------
    ValueError
        If the index is 0, to which every script would listen.

    Attributes
    ----------
    done_task : `asyncio.Future`
        Done when the script has ended.
    timestamps : `dict` [`ScriptState`, `float`]
        When each state began (TAI unix time, s).
    """

    def __init__(self, index: int, descr: str, help: str = "") -> None:
        if index == 0:
            raise ValueError("index must be nonzero")
        schema = self.get_schema()
        if schema is None:
            self.config_validator = None
        else:
            # It takes a tenth of a second to import.
            from .validator import DefaultingValidator

            self.config_validator = DefaultingValidator(schema)
        self._run_task: asyncio.Task[None] | None = None
        self._pause_future: asyncio.Future[None] | None = None
        self._heartbeat_task: asyncio.Task[None] | None = None
        self._sub_group_id = 0
        self._is_exiting = False
        self.num_checkpoints = 0
        self.last_checkpoint = ""
        self.timestamps: dict[ScriptState, float] = {}
        super().__init__("Script", index, do_callbacks=True)
        handle_signals(self, self.signal_handler)
        self.evt_description.set(classname=type(self).__name__, description=str(descr), help=str(help))

    @classmethod
    @abc.abstractmethod
    def get_schema(cls) -> dict[str, Any] | None:
        """Return the schema of the configuration; `None` if there is none."""

    @abc.abstractmethod
    async def configure(self, config: types.SimpleNamespace) -> None:
        """Take the configuration, validated and with defaults."""

    @abc.abstractmethod
    def set_metadata(self, metadata: Any) -> None:
        """Set fields of the metadata event, once configured."""

    @abc.abstractmethod
    async def run(self) -> None:
        """Do what the script is for."""

    async def cleanup(self) -> None:
        """Tidy up after `run`, however it ended."""

    async def start(self) -> None:
        """Finish construction: the script is UNCONFIGURED then."""
        await super().start()
        self._heartbeat_task = asyncio.get_running_loop().create_task(self._heartbeat_loop())
        remotes = [salinfo for salinfo in self.domain.salinfo_set if salinfo is not self.salinfo]
        await asyncio.gather(*(salinfo.start_task for salinfo in remotes))
        await self.evt_state.set_write(state=ScriptState.UNCONFIGURED)
        names = sorted({f"{salinfo.name}:{salinfo.index}" for salinfo in remotes})
        await self.evt_description.set_write(remotes=",".join(names), force_output=True)

    @classmethod
    def make_from_cmd_line(cls, **kwargs: Any) -> Any:
        """Make a script from the command line; `None` for ``--schema``.

        Parameters
        ----------
        **kwargs
            Arguments of the constructor other than ``index``.

        Raises
        ------
        RuntimeError
            If ``index`` is among them.
        """
        if "index" in kwargs:
            raise RuntimeError(f"index must not appear in kwargs={kwargs}")
        parser = argparse.ArgumentParser(f"Run {cls.__name__} from the command line")
        parser.add_argument("index", type=int, help="Index of the Script component; unique among scripts")
        parser.add_argument(
            "--schema", action="store_true", help="Print the schema of the configuration and quit"
        )
        args = parser.parse_args()
        if not args.schema:
            return cls(index=args.index, **kwargs)
        schema = cls.get_schema()
        if schema is not None:
            print(yaml.safe_dump(schema))
        return None

    @classmethod
    async def amain(cls, **kwargs: Any) -> None:
        """Run a script from the command line.

        Exits with code 1 unless the script ends DONE or STOPPED.

        Parameters
        ----------
        **kwargs
            Arguments of the constructor other than ``index``.
        """
        script = cls.make_from_cmd_line(**kwargs)
        if script is None:
            return
        try:
            await script.done_task
            await script.close()
        except Exception as error:  # noqa: BLE001
            if script.state.state != ScriptState.FAILED:
                warnings.warn(
                    f"Script {cls.__name__} failed in cleanup with {error!r}, "
                    f"but final state {script.state.state!r} != FAILED",
                    RuntimeWarning,
                    stacklevel=2,
                )
            sys.exit(1)
        if script.state.state not in {ScriptState.DONE, ScriptState.STOPPED}:
            sys.exit(1)

    def signal_handler(self) -> None:
        """Handle SIGINT and SIGTERM."""
        self.log.info("Handling termination signal.")
        if not self.done_task.done():
            self.done_task.set_result(None)

    @property
    def checkpoints(self) -> Any:
        """Regular expressions ``pause`` and ``stop`` for checkpoints."""
        return self.evt_checkpoints.data

    @property
    def group_id(self) -> str:
        """The group id, or ""."""
        return str(self.evt_state.data.groupId)

    @property
    def obs_id(self) -> str:
        """The block id, or ""."""
        return str(self.evt_state.data.blockId)

    @obs_id.setter
    def obs_id(self, value: str) -> None:
        message = f"obs_id is set by the configure command; {value=} is ignored"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        self.log.warning(message)

    @property
    def state(self) -> Any:
        """The state event: ``state``, ``reason``, ``lastCheckpoint``..."""
        return self.evt_state.data

    @property
    def state_name(self) -> str:
        """The name of the present state."""
        try:
            return ScriptState(self.state.state).name
        except ValueError:
            return f"UNKNOWN({self.state.state})"

    async def set_state(
        self,
        state: ScriptState | int | None = None,
        reason: str | None = None,
        keep_old_reason: bool = False,
        force_output: bool = False,
    ) -> None:
        """Set the state of the script.

        Parameters
        ----------
        state : `ScriptState`, optional
            The new state; by default the present one.
        reason : `str`, optional
            Why it changes.
        keep_old_reason : `bool`, optional
            Append the reason to the present one?
        force_output : `bool`, optional
            Write the event even if nothing changed?
        """
        if state is not None:
            state = ScriptState(state)
            self.timestamps[state] = current_tai()
        if keep_old_reason and reason is not None and self.state.reason:
            reason = f"{self.state.reason}; {reason}"
        await self.evt_state.set_write(
            state=state,
            reason=reason,
            lastCheckpoint=self.last_checkpoint,
            numCheckpoints=self.num_checkpoints,
            force_output=force_output,
        )

    async def checkpoint(self, name: str = "") -> None:
        """Pause or stop here, if that was asked for.

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
                f"checkpoint error: state={self.state_name} instead of RUNNING; "
                "did you call checkpoint from somewhere other than `run`?"
            )
        if self._run_task is None:
            raise RuntimeError("checkpoint error: state is RUNNING but no run_task")
        if self._run_task.done():
            raise RuntimeError("checkpoint error: state is RUNNING but run_task is done")
        self.num_checkpoints += 1
        self.last_checkpoint = name
        if re.fullmatch(self.checkpoints.stop, name):
            await self.set_state(ScriptState.STOPPING)
            raise asyncio.CancelledError(
                f"stop by request: checkpoint {name} matches {self.checkpoints.stop}"
            )
        if re.fullmatch(self.checkpoints.pause, name):
            self._pause_future = asyncio.get_running_loop().create_future()
            await self.set_state(ScriptState.PAUSED)
            await self._pause_future
            await self.set_state(ScriptState.RUNNING)
        else:
            await self.set_state(force_output=True)
            await asyncio.sleep(0.001)

    async def close_tasks(self) -> None:
        """Stop the heartbeat, and the run if it is not over."""
        self._is_exiting = True
        await super().close_tasks()
        for task in (self._heartbeat_task, self._run_task, self._pause_future):
            if task is not None:
                task.cancel()

    def assert_state(self, action: str, states: Sequence[ScriptState]) -> None:
        """Raise `ExpectedError` if an action is not allowed now.

        Parameters
        ----------
        action : `str`
            The action.
        states : sequence of `ScriptState`
            The states that allow it.
        """
        if self._is_exiting:
            raise ExpectedError(f"Cannot {action}: script is exiting")
        if self.state.state not in states:
            names = ", ".join(state.name for state in states)
            raise ExpectedError(f"Cannot {action}: state={self.state_name} instead of {names}")

    async def do_configure(self, data: Any) -> None:
        """Configure the script."""
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
        await self._set_checkpoints(pause=data.pauseCheckpoint, stop=data.stopCheckpoint)
        if data.logLevel != 0:
            self.log.setLevel(data.logLevel)
            await self.put_log_level()
        self.evt_metadata.set(
            coordinateSystem=MetadataCoordSys.NONE,
            rotationSystem=MetadataRotSys.NONE,
            filters="",
            dome=MetadataDome.EITHER,
            duration=0,
        )
        self.set_metadata(metadata=self.evt_metadata.data)
        self.evt_state.set(blockId=data.blockId)
        await self.evt_metadata.write()
        await self.set_state(ScriptState.CONFIGURED)
        await asyncio.sleep(0.001)

    async def do_run(self, data: Any) -> None:
        """Run the script to its end."""
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
        """Resume a paused script."""
        self.assert_state("resume", [ScriptState.PAUSED])
        if self._pause_future is not None and not self._pause_future.done():
            self._pause_future.set_result(None)

    async def do_setCheckpoints(self, data: Any) -> None:  # noqa: N802
        """Set where to pause and stop."""
        self.assert_state(
            "setCheckpoints",
            [ScriptState.UNCONFIGURED, ScriptState.CONFIGURED, ScriptState.RUNNING, ScriptState.PAUSED],
        )
        await self._set_checkpoints(pause=data.pause, stop=data.stop)

    async def do_setGroupId(self, data: Any) -> None:  # noqa: N802
        """Set the group id."""
        self.assert_state("setGroupId", [ScriptState.CONFIGURED])
        await self.evt_state.set_write(groupId=data.groupId, force_output=True)
        self._sub_group_id = 0

    async def do_stop(self, data: Any) -> None:
        """Stop the script."""
        if self._is_exiting:
            return
        if self._run_task is not None and not self._run_task.done():
            self._run_task.cancel()
        else:
            await self.set_state(ScriptState.STOPPING)
            await self._exit()

    def next_supplemented_group_id(self) -> str:
        """Return the group id with a number appended.

        Raises
        ------
        RuntimeError
            If there is no group id.
        """
        if not self.group_id:
            raise RuntimeError("No group ID")
        self._sub_group_id += 1
        return f"{self.group_id}#{self._sub_group_id}"

    def _parse_config(self, text: str) -> types.SimpleNamespace:
        if self.config_validator is None:
            if text:
                raise RuntimeError(f"This script has no configuration so config={text} must be empty.")
            return types.SimpleNamespace()
        config = yaml.safe_load(text) if text else {}
        if config:
            # The script queue keeps its own notes there.
            config.pop("metadata", None)
        return types.SimpleNamespace(**self.config_validator.validate(config))

    async def _set_checkpoints(self, *, pause: str, stop: str) -> None:
        for name, pattern in (("pause", pause), ("stop", stop)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ExpectedError(f"{name}={pattern!r} not a valid regex: {error}") from error
        await self.evt_checkpoints.set_write(pause=pause, stop=stop, force_output=True)

    async def _heartbeat_loop(self) -> None:
        while self.isopen:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            await self.evt_heartbeat.write()

    async def _exit(self) -> None:
        """Clean up, if the script ran, and end in a final state."""
        if self._is_exiting:
            return
        self._is_exiting = True
        failure = None
        try:
            if self._run_task is not None:
                await self.cleanup()
            reason = None
            final_state = _FINAL_STATES.get(self.state.state)
            if final_state is None:
                reason = f"unexpected state for _exit {self.state_name}"
                final_state = ScriptState.FAILED
            self.log.info(f"Setting final state to {final_state!r}")
            await self.set_state(final_state, reason=reason, keep_old_reason=True)
        except Exception as error:
            if not isinstance(error, ExpectedError):
                self.log.exception("Error in run")
            await self.set_state(ScriptState.FAILED, reason=f"failed in _exit: {error}", keep_old_reason=True)
            failure = error
        self._close_later(failure)
