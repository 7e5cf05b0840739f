# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A topic that is read."""

from __future__ import annotations

__all__ = ["CallbackType", "ReadTopic"]

import asyncio
import collections
import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..base import ExpectedError
from .base_topic import BaseTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo

QUEUE_LEN = 100
"""Number of messages a topic keeps for ``next``; older ones are lost."""

CLOSE_TIMEOUT = 5.0
"""Time that cancelled callbacks have to end (s)."""

CallbackType = Callable[[Any], Any]


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

    Raises
    ------
    ValueError
        If ``max_history`` is negative, or above 1 for all indices.

    Attributes
    ----------
    allow_multiple_callbacks : `bool`
        Start a callback though the previous one still runs?

    Notes
    -----
    All who wait in `next` wait for one future: the first message that
    arrives goes to all of them, and the timeout of one cancels the others.
    """

    def __init__(self, *, salinfo: SalInfo, attr_name: str, max_history: int) -> None:
        super().__init__(salinfo=salinfo, attr_name=attr_name)
        if max_history < 0:
            raise ValueError(f"max_history={max_history} must be >= 0")
        if salinfo.indexed and salinfo.index == 0 and max_history > 1:
            raise ValueError(
                f"max_history={max_history} must be 0 or 1 for an indexed component read with index=0"
            )
        self.isopen = True
        self.allow_multiple_callbacks = False
        self._max_history = max_history
        self._queue: collections.deque[Any] = collections.deque(maxlen=QUEUE_LEN)
        self._current_data: Any = None
        self._next_future: asyncio.Future[Any] | None = None
        self._new_data_event = asyncio.Event()
        self._callback: CallbackType | None = None
        self._callback_tasks: set[asyncio.Task[None]] = set()
        salinfo.add_reader(self)

    @property
    def callback(self) -> CallbackType | None:
        """Asynchronous function called with each message, or `None`.

        Setting it empties the queue and cancels calls that still run.

        Raises
        ------
        TypeError
            If it is set to what cannot be called.
        """
        return self._callback

    @callback.setter
    def callback(self, func: CallbackType | None) -> None:
        if func is not None:
            if not callable(func):
                raise TypeError(f"callback {func} not callable")
            if not inspect.iscoroutinefunction(func) and not inspect.iscoroutinefunction(
                getattr(func, "__call__", None)  # noqa: B004
            ):
                warnings.warn(
                    f"callback {func} should be asynchronous", category=DeprecationWarning, stacklevel=2
                )
        self._cancel_callbacks()
        self._callback = func
        if func is not None:
            self._queue.clear()
            self._add_callback_task(self._callback_loop(func))

    @property
    def has_callback(self) -> bool:
        """Whether there is a callback."""
        return self._callback is not None

    @property
    def has_data(self) -> bool:
        """Whether any message has been seen.

        Raises
        ------
        RuntimeError
            If not started.
        """
        self.salinfo.assert_started()
        return self._current_data is not None

    @property
    def nqueued(self) -> int:
        """Number of messages in the queue."""
        return len(self._queue)

    @property
    def max_history(self) -> int:
        """Number of messages to read from before the start."""
        return self._max_history

    def basic_close(self) -> None:
        """Cancel what waits for a message and what handles one."""
        self.isopen = False
        self._callback = None
        self._cancel_callbacks()
        if self._next_future is not None:
            self._next_future.cancel()
        self._queue.clear()

    async def close(self) -> None:
        """Close, and wait until no callback runs any more."""
        self.basic_close()
        tasks = self._callback_tasks - {asyncio.current_task()}
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
            if pending:
                self.log.warning(f"{self!r}: {len(pending)} callbacks did not end when cancelled")

    async def aget(self, timeout: float | None = None) -> Any:
        """Return the newest message; wait for one if none was ever seen.

        The queue is left as it is.

        Parameters
        ----------
        timeout : `float`, optional
            Time limit (s).

        Raises
        ------
        asyncio.TimeoutError
            If no message comes in time.
        RuntimeError
            If there is a callback, or this is not started.
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
            If there is a callback.
        """
        self._assert_no_callback()
        self._queue.clear()

    def get(self) -> Any:
        """Return the newest message, or `None`; leave the queue as it is.

        Raises
        ------
        RuntimeError
            If not started.
        """
        self.salinfo.assert_started()
        return self._current_data

    def get_oldest(self) -> Any:
        """Take the oldest message from the queue; `None` if it is empty.

        Raises
        ------
        RuntimeError
            If there is a callback, or this is not started.
        """
        self._assert_readable()
        return self._queue.popleft() if self._queue else None

    async def next(self, *, flush: bool, timeout: float | None = None) -> Any:
        """Take the oldest message from the queue; wait if it is empty.

        Parameters
        ----------
        flush : `bool`
            Empty the queue first, so that only a new message counts?
        timeout : `float`, optional
            Time limit (s).

        Raises
        ------
        asyncio.TimeoutError
            If no message comes in time.
        RuntimeError
            If there is a callback, or this is not started.
        """
        self._assert_readable()
        if flush:
            self.flush()
        return await self._next(timeout)

    def queue_data(self, data: Any) -> None:
        """Take in a message that arrived."""
        self._queue.append(data)
        self._current_data = data
        if self._next_future is not None and not self._next_future.done():
            self._next_future.set_result(self._queue.popleft())
        self._new_data_event.set()

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
                self._add_callback_task(self._run_callback(data))
            else:
                await self._run_callback(data)

    async def _call(self, data: Any) -> Any:
        assert self._callback is not None
        result = self._callback(data)
        return await result if inspect.isawaitable(result) else result

    async def _run_callback(self, data: Any) -> None:
        try:
            await self._call(data)
        except ExpectedError:
            # A callback's way to end without a word in the log.
            pass
        except Exception:
            self.log.exception(f"Callback {self.callback} failed with data={data}")

    def _add_callback_task(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._callback_tasks.add(task)
        task.add_done_callback(self._callback_tasks.discard)

    def _cancel_callbacks(self) -> None:
        for task in self._callback_tasks:
            task.cancel()

    def _assert_no_callback(self) -> None:
        if self.has_callback:
            raise RuntimeError("Not allowed because there is a callback function")

    def _assert_readable(self) -> None:
        self.salinfo.assert_started()
        self._assert_no_callback()
