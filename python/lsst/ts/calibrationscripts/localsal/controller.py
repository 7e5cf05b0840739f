# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SAL component, as the program that is this component."""

from __future__ import annotations

__all__ = ["Controller"]

import asyncio
import types
from typing import Any, Self

from .base import ExpectedError
from .component_topics import ComponentTopics
from .domain import Domain
from .log_handler import SalLogHandler
from .salinfo import SalInfo
from .signals import ignore_signals
from .topics import ControllerCommand, ControllerEvent, ControllerTelemetry

SHUTDOWN_DELAY = 0.05
"""Time for remotes to read the last messages, before the domain closes (s).

salobj waits 1 s, as its messages cross a network.
"""


class Controller(ComponentTopics[ControllerCommand, ControllerEvent, ControllerTelemetry]):
    """Receives commands of a SAL component; writes events and telemetry.

    Parameters
    ----------
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index.
    do_callbacks : `bool`, optional
        Execute each command by the method ``do_<command>``?
    allow_missing_callbacks : `bool`, optional
        Let commands without a method fail, not the constructor?

    Raises
    ------
    TypeError
        If a command has no method, or a method no command.
    ValueError
        If the component is unknown, or an index is given and it has none.
    RuntimeError
        If ``LSST_TOPIC_SUBNAME`` is not set.

    Attributes
    ----------
    salinfo : `SalInfo`
        The connection of the component.
    log : `logging.Logger`
        A logger whose records become logMessage events.
    isopen : `bool`
        Is it open?
    start_task : `asyncio.Task`
        Done when `start` has ended.
    done_task : `asyncio.Future`
        Done when `close` has ended; with an exception if the start failed.
    """

    def __init__(
        self,
        name: str,
        index: int | None = None,
        *,
        do_callbacks: bool = False,
        allow_missing_callbacks: bool = False,
    ) -> None:
        self.isopen = False
        self.done_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._do_callbacks = do_callbacks
        self._close_task: asyncio.Task[None] | None = None
        domain = Domain()
        try:
            self.salinfo = SalInfo(domain, name, index)
            self.salinfo.identity = domain.default_identity = self.salinfo.name_index
            self.log = self.salinfo.log
            if do_callbacks:
                self._assert_do_methods_present(allow_missing_callbacks)
        except Exception:
            domain.basic_close()
            raise
        for cmd_name in self.salinfo.command_names:
            setattr(self, f"cmd_{cmd_name}", ControllerCommand(self.salinfo, cmd_name))
        for evt_name in self.salinfo.event_names:
            setattr(self, f"evt_{evt_name}", ControllerEvent(self.salinfo, evt_name))
        for tel_name in self.salinfo.telemetry_names:
            setattr(self, f"tel_{tel_name}", ControllerTelemetry(self.salinfo, tel_name))
        self._sal_log_handler = SalLogHandler(self)
        self.log.addHandler(self._sal_log_handler)
        self.isopen = True
        self.start_task = asyncio.get_running_loop().create_task(self._protected_start())

    @property
    def domain(self) -> Domain:
        """The domain of this controller and of its remotes."""
        return self.salinfo.domain

    async def start(self) -> None:
        """Start, when the remotes of this domain have started."""
        remotes = self.domain.salinfo_set - {self.salinfo}
        await asyncio.gather(*(salinfo.start_task for salinfo in remotes))
        await self.salinfo.start()
        if self._do_callbacks:
            for name in self.salinfo.command_names:
                command: ControllerCommand = getattr(self, f"cmd_{name}")
                command.callback = getattr(self, f"do_{name}", self._unsupported_cmd_callback)
        self._sal_log_handler.write_pre_start()

    async def start_phase2(self) -> None:
        """Finish the start, after `start` of all subclasses."""

    async def close(self, exception: Exception | None = None, cancel_start: bool = True) -> None:
        """Close; subclasses override `close_tasks` instead.

        The first call closes, and sets ``done_task``; others wait for it.

        Parameters
        ----------
        exception : `Exception`, optional
            The exception to set in ``done_task``.
        cancel_start : `bool`, optional
            Cancel the start, if it has not ended?
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
        """Stop background tasks; called first by `close`."""
        ignore_signals(self)

    def _close_later(self, exception: Exception | None = None) -> None:
        """Close when the present command has been acknowledged."""
        self._close_task = asyncio.get_running_loop().create_task(self.close(exception=exception))

    async def _protected_start(self) -> None:
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

    def _assert_do_methods_present(self, allow_missing: bool) -> None:
        commands = set(self.salinfo.command_names)
        methods = {name.removeprefix("do_") for name in dir(self) if name.startswith("do_")}
        problems = []
        missing = sorted(commands - methods)
        if missing and not allow_missing:
            problems.append("must add " + ", ".join(f"do_{name}" for name in missing) + " methods")
        if surplus := sorted(methods - commands):
            problems.append("must remove " + ", ".join(f"do_{name}" for name in surplus) + " methods")
        if problems:
            raise TypeError("This class " + " and ".join(problems))

    async def _unsupported_cmd_callback(self, data: Any) -> None:
        raise ExpectedError("This command is not supported")

    async def __aenter__(self) -> Self:
        await self.start_task
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
