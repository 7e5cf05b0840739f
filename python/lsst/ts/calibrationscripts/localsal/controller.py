# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SAL component as the program sees it that is this component."""

from __future__ import annotations

__all__ = ["Controller"]

import asyncio
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .base import ExpectedError
from .domain import Domain
from .log_handler import SalLogHandler
from .salinfo import SalInfo
from .signals import ignore_signals
from .topics import ControllerCommand, ControllerEvent

SHUTDOWN_DELAY = 0.05
"""Time (s) that remotes have to read the last messages before a controller's
domain closes. salobj allows 1 s for messages that cross a network."""


class Controller:
    """Receives a SAL component's commands and writes its events.

    Parameters
    ----------
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index.
    do_callbacks : `bool`, optional
        Carry out each command by the method ``do_<command>``?
    write_only : `bool`, optional
        Leave out the commands?
    allow_missing_callbacks : `bool`, optional
        Let commands without a method fail, rather than the constructor?
    extra_commands : iterable of `str`, optional
        Commands that may have a method though the interface lacks them.

    Raises
    ------
    ValueError
        If the flags contradict each other.
    TypeError
        If a command has no method, or a method no command.

    Attributes
    ----------
    salinfo : `SalInfo`
        The component.
    log : `logging.Logger`
        Its records become logMessage events.
    isopen : `bool`
        Is it open?
    start_task : `asyncio.Task`
        Done when `start` is.
    done_task : `asyncio.Future`
        Done when `close` is; with an exception if the start failed.
    cmd_... : `topics.ControllerCommand`
        The commands.
    evt_... : `topics.ControllerEvent`
        The events.
    """

    def __init__(
        self,
        name: str,
        index: int | None = None,
        *,
        do_callbacks: bool = False,
        write_only: bool = False,
        allow_missing_callbacks: bool = False,
        extra_commands: Iterable[str] = (),
    ) -> None:
        if do_callbacks and write_only:
            raise ValueError("Cannot specify do_callbacks and write_only both true")
        if allow_missing_callbacks and not do_callbacks:
            raise ValueError("allow_missing_callbacks true requires do_callbacks true")
        self.isopen = False
        self.start_called = False
        self.done_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._do_callbacks = do_callbacks
        self._close_task: asyncio.Task[None] | None = None
        domain = Domain()
        try:
            self.salinfo = SalInfo(domain, name, index)
            self.salinfo.identity = domain.default_identity = self.salinfo.name_index
            self.log = self.salinfo.log
            if do_callbacks:
                self._assert_do_methods_present(allow_missing_callbacks, frozenset(extra_commands))
            if not write_only:
                for cmd_name in self.salinfo.command_names:
                    setattr(self, f"cmd_{cmd_name}", ControllerCommand(self.salinfo, cmd_name))
            for evt_name in self.salinfo.event_names:
                setattr(self, f"evt_{evt_name}", ControllerEvent(self.salinfo, evt_name))
        except Exception:
            domain.basic_close()
            raise
        self._sal_log_handler = SalLogHandler(self)
        self.log.addHandler(self._sal_log_handler)
        self.isopen = True
        self.start_task = asyncio.get_running_loop().create_task(self._protected_start())

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def domain(self) -> Domain:
        """The domain of this controller and of its remotes."""
        return self.salinfo.domain

    async def start(self) -> None:
        """Finish construction, once the remotes of this domain are started."""
        # Let the remotes begin to start.
        await asyncio.sleep(0)
        remotes = [salinfo for salinfo in self.domain.salinfo_set if salinfo.start_called]
        await asyncio.gather(*(salinfo.start_task for salinfo in remotes))
        await self.salinfo.start()
        if self._do_callbacks:
            for name in self.salinfo.command_names:
                command: ControllerCommand = getattr(self, f"cmd_{name}")
                command.callback = getattr(self, f"do_{name}", self._unsupported_cmd_callback)
        self._sal_log_handler.write_pre_start()
        await self.put_log_level()

    async def start_phase2(self) -> None:
        """Do what is left to do after `start`."""

    async def close(self, exception: Exception | None = None, cancel_start: bool = True) -> None:
        """Stop; subclasses override `close_tasks` instead.

        The first call closes, and sets ``done_task``; others wait for it.

        Parameters
        ----------
        exception : `Exception`, optional
            Why it stops, for ``done_task``.
        cancel_start : `bool`, optional
            Cancel the start, if it is not done?
        """
        if not hasattr(self, "start_task"):
            return
        if cancel_start and not self.start_task.done():
            self.start_task.cancel()
        if not self.isopen:
            await asyncio.wait([self.done_task])
            return
        self.isopen = False
        try:
            await self.close_tasks()
        except Exception:
            self.log.exception("Controller.close_tasks failed; close continues")
        try:
            self.log.removeHandler(self._sal_log_handler)
            self._sal_log_handler.close()
            await asyncio.sleep(SHUTDOWN_DELAY)
            await self.domain.close()
        except asyncio.CancelledError:
            self.domain.basic_close()
        except Exception:
            self.domain.basic_close()
            self.log.exception("Controller.close failed near the end; close continues")
        finally:
            if not self.done_task.done():
                if exception is not None:
                    self.done_task.set_exception(exception)
                else:
                    self.done_task.set_result(None)

    async def close_tasks(self) -> None:
        """Stop background tasks; the first part of `close`."""
        ignore_signals(self)

    async def do_setLogLevel(self, data: Any) -> None:  # noqa: N802
        """Set the level of the log."""
        self.log.setLevel(data.level)
        await self.put_log_level()

    async def put_log_level(self) -> None:
        """Write the logLevel event."""
        await self.evt_logLevel.set_write(level=self.log.getEffectiveLevel())

    def _close_later(self, exception: Exception | None = None) -> None:
        """Close, from a command that is yet to be acknowledged."""
        self._close_task = asyncio.get_running_loop().create_task(self.close(exception=exception))

    async def _protected_start(self) -> None:
        self.start_called = True
        try:
            await self.start()
            await self.start_phase2()
        except asyncio.CancelledError:
            self.log.warning("start canceled")
        except ExpectedError as error:
            self.log.error(f"start failed: {error}")
            await self.close(exception=error, cancel_start=False)
        except Exception as error:
            self.log.exception(f"start failed: {error!r}")
            await self.close(exception=error, cancel_start=False)

    def _assert_do_methods_present(self, allow_missing: bool, extra_commands: frozenset[str]) -> None:
        commands = set(self.salinfo.command_names)
        methods = {name.removeprefix("do_") for name in dir(self) if name.startswith("do_")}
        problems = []
        missing = sorted(commands - methods)
        if missing and not allow_missing:
            problems.append("must add " + ", ".join(f"do_{name}" for name in missing) + " methods")
        if surplus := sorted(methods - commands - extra_commands):
            problems.append("must remove " + ", ".join(f"do_{name}" for name in surplus) + " methods")
        if problems:
            raise TypeError("This class " + " and ".join(problems))

    async def _unsupported_cmd_callback(self, data: Any) -> None:
        raise ExpectedError("This command is not supported")

    async def __aenter__(self) -> Any:
        await self.start_task
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
