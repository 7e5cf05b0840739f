# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Termination signals for all controllers of an event loop."""

from __future__ import annotations

__all__ = ["handle_signals", "ignore_signals"]

import asyncio
import signal
import weakref
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_Handlers = dict[int, Callable[[], None]]
_handlers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Handlers] = weakref.WeakKeyDictionary()


def handle_signals(owner: object, handler: Callable[[], None]) -> None:
    """Call a function on SIGINT and SIGTERM.

    With salobj a program has one controller. Here a program may have several,
    so the handlers of all of them are called. Outside the main thread, where
    an event loop accepts no signal handlers, nothing is done.

    Parameters
    ----------
    owner : `object`
        The owner of the handler.
    handler : callable
        The function, called in the running event loop.
    """
    loop = asyncio.get_running_loop()
    handlers = _handlers.setdefault(loop, {})
    try:
        for number in SIGNALS:
            loop.add_signal_handler(number, _handle, handlers)
    except (NotImplementedError, RuntimeError, ValueError):
        return
    handlers[id(owner)] = handler


def ignore_signals(owner: object) -> None:
    """Undo `handle_signals`; the last owner restores Python's handlers.

    Parameters
    ----------
    owner : `object`
        The owner of the handler.
    """
    loop = asyncio.get_running_loop()
    handlers = _handlers.get(loop, {})
    if handlers.pop(id(owner), None) is not None and not handlers:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _handle(handlers: _Handlers) -> None:
    for handler in tuple(handlers.values()):
        handler()
