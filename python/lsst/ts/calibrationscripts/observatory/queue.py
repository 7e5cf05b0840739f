# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a SAL script as the ATQueue does: load, configure, group id, run."""

from __future__ import annotations

__all__ = [
    "FINAL_STATES",
    "LogMessage",
    "QueueHooks",
    "QueueOptions",
    "QueuedScript",
    "ScriptResult",
    "next_group_id",
    "run_script",
]

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from .queue_types import FINAL_STATES, LogMessage, QueueHooks, QueueOptions, ScriptResult
from .sal import ScriptState, salobj

_log = logging.getLogger(__name__)

CONFIGURE_TIMEOUT = 60.0
"""Time that the queue gives a script to be configured (s)."""

GROUP_ID_TIMEOUT = 5.0
"""Time that the queue gives a script to take its group id (s)."""

STOP_TIMEOUT = 30.0
"""Time that a script has to end after the command to stop (s)."""

_TOPICS = (
    "configure",
    "setGroupId",
    "run",
    "resume",
    "stop",
    "state",
    "metadata",
    "logMessage",
)

_INDICES = range(1, 100_000)
"""Indices of scripts that no queue runs; those from 100000 are the queues'."""

_taken: set[int] = set()
"""Those that scripts of this process have had."""


class QueuedScript:
    """A script that is led through its states as the queue does it.

    It is an asynchronous context manager: entering loads the script, leaving
    ends it, whatever it is doing.

    Parameters
    ----------
    script_class : callable
        Class of the script, or anything else that makes one from the keyword
        argument ``index``.
    hooks : `QueueHooks`, optional
        What is called meanwhile.
    """

    def __init__(
        self,
        script_class: Callable[..., Any],
        hooks: QueueHooks | None = None,
    ) -> None:
        self.index = _free_index()
        """SAL index, which no other script of this process has had."""
        self._remote: salobj.Remote | None = None
        self.script: Any = None
        """The script itself, for tests."""
        self._script_class = script_class
        self._hooks = hooks or QueueHooks()
        self._states: list[str] = []
        self._reason = ""
        self._checkpoints: list[str] = []
        self._messages: list[LogMessage] = []
        self._metadata: Any = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> QueuedScript:
        self._domain = salobj.Domain()
        try:
            # The remote listens before the script starts, and without the
            # history of an earlier script of the same index.
            self._remote = salobj.Remote(
                self._domain, "Script", self.index, include=_TOPICS, evt_max_history=0
            )
            self.remote.evt_state.callback = self._hear_state
            self.remote.evt_metadata.callback = self._hear_metadata
            self.remote.evt_logMessage.callback = self._hear_message
            await _end_of(self.remote.start_task)
            self.script = self._script_class(index=self.index)
            await _end_of(self.script.start_task)
            await self.wait_for("UNCONFIGURED", timeout=CONFIGURE_TIMEOUT)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the script and close the remote."""
        starts = [part.start_task for part in (self._remote, self.script) if part is not None]
        try:
            if starts:
                # salobj cannot close what has not started.
                await asyncio.wait(starts, timeout=CONFIGURE_TIMEOUT)
            if self.script is not None:
                await self.script.close()
        finally:
            await self._domain.close()

    @property
    def remote(self) -> salobj.Remote:
        """The remote of the script, from the start of the context on."""
        assert self._remote is not None, "__aenter__ comes first"
        return self._remote

    @property
    def state(self) -> str:
        """Name of the last state received, blank before the first."""
        return self._states[-1] if self._states else ""

    async def configure(self, config: str, options: QueueOptions | None = None) -> None:
        """Configure the script.

        Parameters
        ----------
        config : `str`
            Configuration (YAML).
        options : `QueueOptions`, optional
            What goes with it.

        Raises
        ------
        lsst.ts.salobj.AckError
            If the script refuses; its state is then CONFIGURE_FAILED.
        TimeoutError
            If it does not report that it is configured, or its metadata.
        """
        options = options or QueueOptions()
        await self.remote.cmd_configure.set_start(
            config=config,
            pauseCheckpoint=options.pause_checkpoint,
            stopCheckpoint=options.stop_checkpoint,
            blockId=options.block_id,
            logLevel=options.log_level,
            timeout=CONFIGURE_TIMEOUT,
        )
        await self.wait_for("CONFIGURED", timeout=CONFIGURE_TIMEOUT)
        # The metadata are written before that state but may arrive later.
        async with asyncio.timeout(CONFIGURE_TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: self._metadata is not None)

    async def run(self, group_id: str, *, timeout: float) -> None:
        """Give the script its group id and run it to its end.

        Parameters
        ----------
        group_id : `str`
            Group id of its exposures.
        timeout : `float`
            Longest that it may run, pauses included (s).

        Raises
        ------
        TimeoutError
            If it runs for longer.
        lsst.ts.salobj.AckError
            If it refuses to run.

        Notes
        -----
        The command ``run`` is acknowledged as complete by a script that
        FAILED too, so its end is taken from the state.
        """
        await self.remote.cmd_setGroupId.set_start(groupId=group_id, timeout=GROUP_ID_TIMEOUT)
        command = asyncio.create_task(self.remote.cmd_run.start(timeout=timeout + STOP_TIMEOUT))
        end = asyncio.create_task(self._wait_for_end(timeout))
        try:
            async with asyncio.timeout(timeout):
                # A command that is refused changes no state.
                await asyncio.wait({command, end}, return_when=asyncio.FIRST_COMPLETED)
                if command.done():
                    command.result()
                await end
        except TimeoutError as error:
            raise TimeoutError(f"Script {self.index} is {self.state} after {timeout:g} s.") from error
        finally:
            for task in (command, end):
                task.cancel()
            await asyncio.gather(command, end, return_exceptions=True)

    async def _wait_for_end(self, timeout: float) -> None:
        """Wait until the script ends; call the hook at its pauses."""
        pauses = 0
        on_paused = self._hooks.on_paused
        if on_paused is not None:
            # Counted, as the next pause may begin before the hook returns.
            while await self._paused_again(pauses, timeout):
                pauses += 1
                await on_paused(self)
        await self.wait_for(*FINAL_STATES, timeout=timeout)

    async def _paused_again(self, pauses: int, timeout: float) -> bool:
        """Wait for a further pause, or the end; return whether it paused."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(
                lambda: self._states.count("PAUSED") > pauses or self.state in FINAL_STATES
            )
        return self.state not in FINAL_STATES

    async def resume(self) -> None:
        """Resume a paused script."""
        await self.remote.cmd_resume.start(timeout=STOP_TIMEOUT)

    async def stop(self) -> None:
        """Command the script to stop; `wait_for` its end."""
        await self.remote.cmd_stop.start(timeout=STOP_TIMEOUT)

    async def wait_for(self, *states: str, timeout: float) -> str:
        """Wait until the script is in one of some states.

        Parameters
        ----------
        *states : `str`
            Names, such as "PAUSED".
        timeout : `float`
            Longest wait (s).

        Returns
        -------
        state : `str`
            The state that it is in.

        Raises
        ------
        TimeoutError
            If it takes longer; the message names the state of the script.
        """
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self.state in states)
        except TimeoutError:
            raise TimeoutError(
                f"Script {self.index} is {self.state or 'silent'} after {timeout:g} s "
                f"instead of {', '.join(sorted(states))}."
            ) from None
        return self.state

    def result(self, *, timed_out: bool = False) -> ScriptResult:
        """Return what the script has published so far."""
        return ScriptResult(
            state=self.state,
            reason=self._reason,
            states=tuple(self._states),
            checkpoints=tuple(self._checkpoints),
            duration=None if self._metadata is None else self._metadata.duration,
            metadata=self._metadata,
            messages=tuple(self._messages),
            timed_out=timed_out,
        )

    async def _hear_state(self, data: Any) -> None:
        name = ScriptState(data.state).name
        # Every checkpoint is a state event too, often of the same state.
        for _ in range(len(self._checkpoints), data.numCheckpoints):
            self._checkpoints.append(data.lastCheckpoint)
            if self._hooks.on_checkpoint is not None:
                self._hooks.on_checkpoint(data.lastCheckpoint)
        async with self._changed:
            self._reason = data.reason
            if name != self.state:
                self._states.append(name)
            self._changed.notify_all()

    async def _hear_metadata(self, data: Any) -> None:
        async with self._changed:
            self._metadata = data
            self._changed.notify_all()

    async def _hear_message(self, data: Any) -> None:
        message = LogMessage(data.level, data.message, data.traceback)
        self._messages.append(message)
        if self._hooks.on_message is None:
            return
        try:
            self._hooks.on_message(message)
        except Exception:  # noqa: BLE001 - whatever a hook raises, the script goes its way
            # salobj would log it in the script's name: the message of that
            # would fail too, and so on without end.
            self._hooks = replace(self._hooks, on_message=None)
            _log.exception("Messages of script %d are no longer passed on", self.index)


def _free_index() -> int:
    """Return an index by chance, as ``run_one_script`` of ts_scriptqueue.

    Two processes would hear each other's scripts if both counted from the
    same number.
    """
    # The shared generator may have been seeded.
    index = random.SystemRandom().choice([index for index in _INDICES if index not in _taken])
    _taken.add(index)
    return index


def next_group_id() -> str:
    """Return the group id of a script that runs now, as the queue makes it.

    Returns
    -------
    group_id : `str`
        The time: TAI, in ISO format without a time zone.
    """
    from astropy.time import Time

    return str(Time.now().tai.isot)


async def _end_of(start: asyncio.Future[None]) -> None:
    """Await a start, which must not be cancelled before its end."""
    await asyncio.wait({start})
    start.result()


async def run_script(
    script_class: Callable[..., Any],
    config: str,
    *,
    group_id: str,
    timeout: float,
    options: QueueOptions | None = None,
    hooks: QueueHooks | None = None,
) -> ScriptResult:
    """Run a script from its loading to its end.

    Parameters
    ----------
    script_class : callable
        Class of the script, or anything else that makes one from the keyword
        argument ``index``.
    config : `str`
        Configuration (YAML).
    group_id : `str`
        Group id of its exposures.
    timeout : `float`
        Longest that it may run (s). A script that takes longer is stopped,
        and ended if it does not stop.
    options : `QueueOptions`, optional
        What goes with the configuration.
    hooks : `QueueHooks`, optional
        What is called meanwhile.

    Returns
    -------
    result : `ScriptResult`
        How it ended and what it published. A configuration that the script
        refuses and a script that fails are results, not exceptions.

    Raises
    ------
    lsst.ts.salobj.AckError
        If a command fails that the script's state allows.
    """
    async with QueuedScript(script_class, hooks=hooks) as queued:
        try:
            await queued.configure(config, options)
        except salobj.AckError:
            await queued.wait_for("CONFIGURE_FAILED", timeout=STOP_TIMEOUT)
            return await _finish(queued)
        try:
            await queued.run(group_id, timeout=timeout)
        except TimeoutError:
            return await _give_up(queued)
        return await _finish(queued)


async def _finish(queued: QueuedScript) -> ScriptResult:
    # The last log messages may follow the final state. An error at the very
    # end is in the reason of that state.
    await asyncio.wait({queued.script.done_task}, timeout=STOP_TIMEOUT)
    return queued.result()


async def _give_up(queued: QueuedScript) -> ScriptResult:
    try:
        await queued.stop()
        await queued.wait_for(*FINAL_STATES, timeout=STOP_TIMEOUT)
    except (salobj.AckError, TimeoutError):
        _log.warning("Script %d does not stop; it is ended.", queued.index)
    return queued.result(timed_out=True)
