# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events and telemetry of another component."""

from __future__ import annotations

__all__ = ["RemoteEvent", "RemoteTelemetry"]

import asyncio
from typing import TYPE_CHECKING, Any

from .read_topic import ReadTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class RemoteEvent(ReadTopic):
    """An event of another component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the event, without prefix.
    max_history : `int`
        See `ReadTopic`.
    """

    _prefix = "evt_"

    def __init__(self, salinfo: SalInfo, name: str, max_history: int) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"{self._prefix}{name}", max_history=max_history)
        self._current_data: Any = None
        self._new_data_event = asyncio.Event()

    async def aget(self, timeout: float | None = None) -> Any:
        """Return the newest message; wait if none has arrived yet.

        The queue does not change.

        Parameters
        ----------
        timeout : `float`, optional
            Time limit (s).

        Returns
        -------
        data : `object`
            The message.

        Raises
        ------
        asyncio.TimeoutError
            If no message arrives in time.
        RuntimeError
            If the event has a callback or is not started.
        """
        self._assert_readable()
        if self._current_data is None:
            self._new_data_event.clear()
            await asyncio.wait_for(self._new_data_event.wait(), timeout=timeout)
        return self._current_data

    def flush(self) -> None:
        """Empty the queue.

        Raises
        ------
        RuntimeError
            If the event has a callback.
        """
        self._assert_no_callback()
        self._queue.clear()

    def get(self) -> Any:
        """Return the newest message, or `None`; the queue does not change.

        Returns
        -------
        data : `object` or `None`
            The message.

        Raises
        ------
        RuntimeError
            If the event is not started.
        """
        self.salinfo.assert_started()
        return self._current_data

    async def next(self, *, flush: bool, timeout: float | None = None) -> Any:
        """Remove the oldest message from the queue; wait if it is empty.

        Parameters
        ----------
        flush : `bool`
            Empty the queue first, to wait for a new message?
        timeout : `float`, optional
            Time limit (s).

        Returns
        -------
        data : `object`
            The message.

        Raises
        ------
        asyncio.TimeoutError
            If no message arrives in time.
        RuntimeError
            If the event has a callback or is not started.
        """
        self._assert_readable()
        if flush:
            self.flush()
        return await self._next(timeout)

    def queue_data(self, data: Any) -> None:
        """Add a message that has arrived.

        Parameters
        ----------
        data : `object`
            The message.
        """
        self._current_data = data
        super().queue_data(data)
        self._new_data_event.set()

    def _assert_no_callback(self) -> None:
        if self.callback is not None:
            raise RuntimeError("Not allowed because there is a callback function")

    def _assert_readable(self) -> None:
        self.salinfo.assert_started()
        self._assert_no_callback()


class RemoteTelemetry(RemoteEvent):
    """A telemetry topic of another component, of which none is kept.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the topic, without prefix.
    """

    _prefix = "tel_"

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo, name, max_history=0)
