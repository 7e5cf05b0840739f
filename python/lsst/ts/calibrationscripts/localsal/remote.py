# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another SAL component, as a program commands and reads it."""

from __future__ import annotations

__all__ = ["Remote"]

import asyncio
import types
from collections.abc import Iterable

from .component_topics import ComponentTopics
from .domain import Domain
from .salinfo import SalInfo
from .topics import RemoteCommand, RemoteEvent, RemoteTelemetry


class Remote(ComponentTopics[RemoteCommand, RemoteEvent, RemoteTelemetry]):
    """The commands, events and telemetry of another SAL component.

    Parameters
    ----------
    domain : `Domain`
        The owner, which closes this object.
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index; 0 reads every index.
    readonly : `bool`, optional
        Omit the commands?
    include : iterable of `str`, optional
        Names of the events and telemetry to read, without prefix; by default
        all. Unknown names are ignored.
    evt_max_history : `int`, optional
        0 to ignore events from before the start.

    Raises
    ------
    ValueError
        If the component is unknown, or an index is given and it has none.
    RuntimeError
        If ``LSST_TOPIC_SUBNAME`` is not set.

    Attributes
    ----------
    salinfo : `SalInfo`
        The connection to the component.
    start_task : `asyncio.Task`
        Done when events are read and the newest kept ones have been.
    """

    def __init__(
        self,
        domain: Domain,
        name: str,
        index: int | None = None,
        *,
        readonly: bool = False,
        include: Iterable[str] | None = None,
        evt_max_history: int = 1,
    ) -> None:
        self.salinfo = SalInfo(domain, name, index)
        names = (*self.salinfo.event_names, *self.salinfo.telemetry_names)
        wanted = frozenset(names if include is None else include)
        for cmd_name in () if readonly else self.salinfo.command_names:
            setattr(self, f"cmd_{cmd_name}", RemoteCommand(self.salinfo, cmd_name))
        for evt_name in self.salinfo.event_names:
            if evt_name in wanted:
                event = RemoteEvent(self.salinfo, evt_name, max_history=evt_max_history)
                setattr(self, f"evt_{evt_name}", event)
        for tel_name in self.salinfo.telemetry_names:
            if tel_name in wanted:
                setattr(self, f"tel_{tel_name}", RemoteTelemetry(self.salinfo, tel_name))
        self.start_task = asyncio.get_running_loop().create_task(self.salinfo.start())

    async def close(self) -> None:
        """Stop reading; a second call has no effect."""
        self.start_task.cancel()
        await self.salinfo.close()

    async def __aenter__(self) -> Remote:
        await self.start_task
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
