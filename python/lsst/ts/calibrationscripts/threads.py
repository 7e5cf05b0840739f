# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads for what blocks."""

from __future__ import annotations

__all__ = ["in_thread"]

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(action: Callable[[], T]) -> T:
    """Run an action in a thread that does not keep the process from ending.

    Those of asyncio do: for minutes, where one waits for a lock.

    Parameters
    ----------
    action : callable
        What to run. Cancelling this coroutine does not end it.

    Returns
    -------
    result
        What the action returns; what it raises is raised here.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(settling: Callable[[Any], None], value: Any) -> None:
        if not ended.done():
            settling(value)

    def run() -> None:
        end: tuple[Callable[[Any], None], Any]
        try:
            end = ended.set_result, action()
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            end = ended.set_exception, error
        # If the loop is closed, the result is no longer waited for.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *end)

    threading.Thread(target=run, daemon=True).start()
    return await ended
