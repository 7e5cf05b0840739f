# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program sees of another SAL component."""

from __future__ import annotations

__all__ = ["Remote"]

import asyncio
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .domain import Domain
from .salinfo import SalInfo
from .topics import RemoteCommand, RemoteEvent


class Remote:
    """Commands for a SAL component, and its events.

    Parameters
    ----------
    domain : `Domain`
        What closes this object.
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index; 0 reads every index.
    readonly : `bool`, optional
        Leave out the commands?
    include : iterable of `str`, optional
        Names of the events to read, without prefix; others are ignored.
        All, by default.
    exclude : iterable of `str`, optional
        Names of the events not to read.
    evt_max_history : `int`, optional
        0 to ignore events from before the start.
    start : `bool`, optional
        Begin to read at once? Else call `start`.

    Raises
    ------
    ValueError
        If both ``include`` and ``exclude`` are given.

    Attributes
    ----------
    salinfo : `SalInfo`
        The component.
    start_task : `asyncio.Task`
        Done when reading has begun and history is read.
    cmd_... : `topics.RemoteCommand`
        The commands.
    evt_... : `topics.RemoteEvent`
        The events.
    """

    def __init__(
        self,
        domain: Domain,
        name: str,
        index: int | None = None,
        *,
        readonly: bool = False,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        evt_max_history: int = 1,
        start: bool = True,
    ) -> None:
        if include is not None and exclude is not None:
            raise ValueError("Cannot specify both include and exclude")
        self.salinfo = SalInfo(domain, name, index)
        wanted = set(self.salinfo.event_names if include is None else include) - set(exclude or ())
        try:
            for cmd_name in () if readonly else self.salinfo.command_names:
                setattr(self, f"cmd_{cmd_name}", RemoteCommand(self.salinfo, cmd_name))
            for evt_name in self.salinfo.event_names:
                if evt_name in wanted:
                    event = RemoteEvent(self.salinfo, evt_name, max_history=evt_max_history)
                    setattr(self, f"evt_{evt_name}", event)
        except Exception:
            self.salinfo.basic_close()
            raise
        self.start_called = start
        if start:
            self.start_task = asyncio.get_running_loop().create_task(self.start())

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    async def start(self) -> None:
        """Begin to read.

        Raises
        ------
        RuntimeError
            If started or closed already.
        """
        await self.salinfo.start()

    async def close(self) -> None:
        """Stop reading; may be called again."""
        if self.start_called:
            self.start_task.cancel()
        await self.salinfo.close()

    def __repr__(self) -> str:
        return f"Remote(name={self.salinfo.name}, index={self.salinfo.index})"

    async def __aenter__(self) -> Remote:
        if self.start_called:
            await self.start_task
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
