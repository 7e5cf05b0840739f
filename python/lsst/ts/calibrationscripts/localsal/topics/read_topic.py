# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of topics that are read."""

from __future__ import annotations

__all__ = ["CallbackType", "ReadTopic"]

import asyncio
import collections
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..base import ExpectedError
from .base_topic import BaseTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo

QUEUE_LEN = 100
"""Number of messages that a topic queues; older ones are lost."""

CLOSE_TIMEOUT = 5.0
"""Time limit for cancelled callbacks to end (s)."""

CallbackType = Callable[[Any], Awaitable[None]]


class ReadTopic(BaseTopic):
    """A topic that is read, from a queue or by a callback.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    attr_name : `str`
        Name of the topic, with prefix.
    max_history : `int`
        Number of messages to read that were sent before the start. Any
        positive number reads the newest one.

    Attributes
    ----------
    allow_multiple_callbacks : `bool`
        Start a callback before the previous one has ended?

    Notes
    -----
    All readers of the next message wait for one future: the first message
    that arrives goes to all of them, and the timeout of one cancels the
    others.
    """

    def __init__(self, *, salinfo: SalInfo, attr_name: str, max_history: int) -> None:
        super().__init__(salinfo=salinfo, attr_name=attr_name)
        self.max_history = max_history
        self.allow_multiple_callbacks = False
        self._queue: collections.deque[Any] = collections.deque(maxlen=QUEUE_LEN)
        self._next_future: asyncio.Future[Any] | None = None
        self._callback: CallbackType | None = None
        self._callback_tasks: set[asyncio.Task[None]] = set()
        salinfo.add_reader(self)

    @property
    def callback(self) -> CallbackType | None:
        """Coroutine function to call with each message, or `None`.

        Setting it empties the queue and cancels the callbacks that run.
        """
        return self._callback

    @callback.setter
    def callback(self, func: CallbackType | None) -> None:
        self._cancel_callbacks()
        self._callback = func
        if func is not None:
            self._queue.clear()
            self._add_callback_task(self._callback_loop(func))

    def basic_close(self) -> None:
        """Cancel callbacks and readers that wait for a message."""
        self._callback = None
        self._cancel_callbacks()
        if self._next_future is not None:
            self._next_future.cancel()
        self._queue.clear()

    async def close(self) -> None:
        """Close, and wait until all callbacks have ended."""
        self.basic_close()
        tasks = self._callback_tasks - {asyncio.current_task()}
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
            if pending:
                self.log.warning(f"{self!r}: {len(pending)} callbacks did not end when cancelled")

    def queue_data(self, data: Any) -> None:
        """Add a message that has arrived.

        Parameters
        ----------
        data : `object`
            The message.
        """
        self._queue.append(data)
        if self._next_future is not None and not self._next_future.done():
            self._next_future.set_result(self._queue.popleft())

    async def _next(self, timeout: float | None = None) -> Any:
        if self._queue:
            return self._queue.popleft()
        if self._next_future is None or self._next_future.done():
            self._next_future = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._next_future, timeout=timeout)

    async def _callback_loop(self, func: CallbackType) -> None:
        while self._callback is func:
            data = await self._next()
            if self.allow_multiple_callbacks:
                self._add_callback_task(self._run_callback(func, data))
            else:
                await self._run_callback(func, data)

    async def _run_callback(self, func: CallbackType, data: Any) -> None:
        try:
            await func(data)
        except ExpectedError:
            # A callback ends this way where nothing is to be logged.
            pass
        except Exception:
            self.log.exception(f"Callback {func} failed with data={data}")

    def _add_callback_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._callback_tasks.add(task)
        task.add_done_callback(self._callback_tasks.discard)

    def _cancel_callbacks(self) -> None:
        for task in self._callback_tasks:
            task.cancel()
