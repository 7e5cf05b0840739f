# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a SAL script as the ATQueue does: load, configure, group id, run."""

from __future__ import annotations

__all__ = ["FINAL_STATES", "LogMessage", "QueuedScript", "ScriptResult", "run_script"]

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .sal import ScriptState, salobj

CONFIGURE_TIMEOUT = 60.0
"""Time that the queue gives a script to be configured (second)."""

GROUP_ID_TIMEOUT = 5.0
"""Time that the queue gives a script to take its group id (second)."""

STOP_TIMEOUT = 30.0
"""Time that a script has to end once it has been told to stop (second)."""

FINAL_STATES = frozenset({"DONE", "STOPPED", "FAILED", "CONFIGURE_FAILED"})
"""States that a script does not leave."""

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

_indices = itertools.count(100_000)


@dataclass(frozen=True)
class LogMessage:
    """One ``logMessage`` of a script."""

    level: int
    """Level, as in `logging`."""

    text: str
    traceback: str = ""

    @property
    def level_name(self) -> str:
        """Name of the level, such as WARNING."""
        return logging.getLevelName(self.level)


@dataclass(frozen=True)
class ScriptResult:
    """What a script published from its loading to its end."""

    state: str
    """Last state; one of `FINAL_STATES` unless the script hung."""

    reason: str
    """Why it is in that state, blank if all went well."""

    states: tuple[str, ...]
    """States in the order in which they were entered."""

    checkpoints: tuple[str, ...]
    """Names of the checkpoints that were passed."""

    duration: float | None
    """Estimated duration (second), `None` if never configured."""

    metadata: Any
    """Data of the ``metadata`` event, `None` if never configured."""

    messages: tuple[LogMessage, ...]
    """Log messages."""

    timed_out: bool = False
    """Whether the script had to be stopped for its duration."""


class QueuedScript:
    """A script, and the queue's side of the talk with it.

    Used as an asynchronous context manager: entering loads the script,
    leaving ends it, whatever it is doing.

    Parameters
    ----------
    script_class : callable
        Class of the script, or anything else that makes one from the keyword
        argument ``index``.
    index : `int`, optional
        SAL index; by default one that this process has not used yet.
    on_message : callable, optional
        Called with each `LogMessage` as it comes.
    on_checkpoint : callable, optional
        Called with the name of each checkpoint as it is reached.
    """

    def __init__(
        self,
        script_class: Callable[..., Any],
        *,
        index: int | None = None,
        on_message: Callable[[LogMessage], None] | None = None,
        on_checkpoint: Callable[[str], None] | None = None,
    ) -> None:
        self.index = next(_indices) if index is None else index
        self._remote: salobj.Remote | None = None
        self.script: Any = None
        """The script itself, for those who test it."""
        self._script_class = script_class
        self._on_message = on_message
        self._on_checkpoint = on_checkpoint
        self._states: list[str] = []
        self._reason = ""
        self._checkpoints: list[str] = []
        self._messages: list[LogMessage] = []
        self._metadata: Any = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> QueuedScript:
        self._domain = salobj.Domain()
        try:
            # Listening before the script speaks, without what an earlier
            # script of the same index has said.
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
        """End the script and the talk with it."""
        starts = [part.start_task for part in (self._remote, self.script) if part is not None]
        try:
            if starts:
                # What is starting cannot be closed in good order.
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
        """Name of the last state heard of, blank before the first."""
        return self._states[-1] if self._states else ""

    async def configure(
        self,
        config: str,
        *,
        pause_checkpoint: str = "",
        stop_checkpoint: str = "",
        block_id: str = "",
        log_level: int = 0,
    ) -> None:
        """Configure the script.

        Parameters
        ----------
        config : `str`
            Configuration (YAML).
        pause_checkpoint, stop_checkpoint : `str`, optional
            Regular expression of the checkpoints to pause or stop at.
        block_id : `str`, optional
            Observing block that the script belongs to.
        log_level : `int`, optional
            Lowest level to log, as in `logging`; 0 for the script's own.

        Raises
        ------
        lsst.ts.salobj.AckError
            If the script refuses; its state is then CONFIGURE_FAILED.
        TimeoutError
            If it does not say that it is configured, and for how long.
        """
        await self.remote.cmd_configure.set_start(
            config=config,
            pauseCheckpoint=pause_checkpoint,
            stopCheckpoint=stop_checkpoint,
            blockId=block_id,
            logLevel=log_level,
            timeout=CONFIGURE_TIMEOUT,
        )
        await self.wait_for("CONFIGURED", timeout=CONFIGURE_TIMEOUT)
        # Written before that state, it may yet be heard after it.
        async with asyncio.timeout(CONFIGURE_TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: self._metadata is not None)

    async def run(
        self,
        group_id: str,
        *,
        timeout: float,
        on_paused: Callable[[QueuedScript], Awaitable[None]] | None = None,
    ) -> None:
        """Give the script its group id and run it to its end.

        Parameters
        ----------
        group_id : `str`
            Group id of its exposures.
        timeout : `float`
            Longest that it may run, pauses included (second).
        on_paused : callable, optional
            Awaited with this object each time that the script is PAUSED; it
            may `resume` or `stop` it. By default it stays paused.

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
        end = asyncio.create_task(self._attend(on_paused, timeout))
        try:
            async with asyncio.timeout(timeout):
                # A command that was refused never leads to a state.
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

    async def _attend(
        self, on_paused: Callable[[QueuedScript], Awaitable[None]] | None, timeout: float
    ) -> None:
        """See the script through its pauses to its end."""
        pauses = 0
        if on_paused is not None:
            # Counted, as it may have gone on to the next one meanwhile.
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
        """Let a paused script go on."""
        await self.remote.cmd_resume.start(timeout=STOP_TIMEOUT)

    async def stop(self) -> None:
        """Tell the script to stop; `wait_for` its end."""
        await self.remote.cmd_stop.start(timeout=STOP_TIMEOUT)

    async def wait_for(self, *states: str, timeout: float) -> str:
        """Wait until the script is in one of some states.

        Parameters
        ----------
        *states : `str`
            Names, such as "PAUSED".
        timeout : `float`
            Longest wait (second).

        Returns
        -------
        state : `str`
            The one that it is in.

        Raises
        ------
        TimeoutError
            If it takes longer; the message tells where the script is.
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
        """Return what has been heard so far."""
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
            if self._on_checkpoint is not None:
                self._on_checkpoint(data.lastCheckpoint)
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
        if self._on_message is not None:
            self._on_message(message)


async def _end_of(start: asyncio.Future[None]) -> None:
    """Await a start that is not to be cancelled halfway."""
    await asyncio.wait({start})
    start.result()


async def run_script(
    script_class: Callable[..., Any],
    config: str,
    *,
    group_id: str,
    timeout: float,
    pause_checkpoint: str = "",
    stop_checkpoint: str = "",
    block_id: str = "",
    log_level: int = 0,
    index: int | None = None,
    on_message: Callable[[LogMessage], None] | None = None,
    on_checkpoint: Callable[[str], None] | None = None,
    on_paused: Callable[[QueuedScript], Awaitable[None]] | None = None,
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
        Longest that it may run (second). A script that takes longer is told
        to stop, and ended if it does not.
    pause_checkpoint, stop_checkpoint : `str`, optional
        Regular expression of the checkpoints to pause or stop at.
    block_id : `str`, optional
        Observing block that the script belongs to.
    log_level : `int`, optional
        Lowest level to log, as in `logging`; 0 for the script's own.
    index : `int`, optional
        SAL index; by default one that this process has not used yet.
    on_message, on_checkpoint : callable, optional
        Called with each `LogMessage`, and with each checkpoint's name.
    on_paused : callable, optional
        Awaited with the `QueuedScript` each time that it is PAUSED; may
        resume or stop it. By default it stays paused.

    Returns
    -------
    result : `ScriptResult`
        How it ended and what it said. A configuration that the script
        refuses and a script that fails are results, not exceptions.

    Raises
    ------
    lsst.ts.salobj.AckError
        If a command fails though the script is fit for it.
    """
    queued = QueuedScript(script_class, index=index, on_message=on_message, on_checkpoint=on_checkpoint)
    async with queued:
        try:
            await queued.configure(
                config,
                pause_checkpoint=pause_checkpoint,
                stop_checkpoint=stop_checkpoint,
                block_id=block_id,
                log_level=log_level,
            )
        except salobj.AckError:
            await queued.wait_for("CONFIGURE_FAILED", timeout=STOP_TIMEOUT)
            return await _finish(queued)
        try:
            await queued.run(group_id, timeout=timeout, on_paused=on_paused)
        except TimeoutError:
            return await _give_up(queued)
        return await _finish(queued)


async def _finish(queued: QueuedScript) -> ScriptResult:
    # The last log messages may follow the final state. What went wrong at
    # the very end, if anything, is in the reason of that state.
    await asyncio.wait({queued.script.done_task}, timeout=STOP_TIMEOUT)
    return queued.result()


async def _give_up(queued: QueuedScript) -> ScriptResult:
    try:
        await queued.stop()
        await queued.wait_for(*FINAL_STATES, timeout=STOP_TIMEOUT)
    except (salobj.AckError, TimeoutError):
        logging.getLogger(__name__).warning("Script %d does not stop: it is ended.", queued.index)
    return queued.result(timed_out=True)
