# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long this process itself has been paused."""

from __future__ import annotations

__all__ = ["Pauses"]

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable

_TICK = 0.25
"""Time between two looks at the clock (s)."""

_SHORTEST = 1.0
"""A delay of the event loop that is a pause, not only a busy moment (s)."""

_WORTH_REPORTING = 5.0
"""A pause that the operator should know of (s)."""


class Pauses:
    """Measures the pauses of this process by the lag of its event loop.

    A process that was stopped (SIGSTOP), or whose disk or machine hung, finds
    every heartbeat late and every time limit over, though no component has
    failed. Its pauses are therefore left out where others are timed.

    The clock is looked at as long as this object exists: the event loop has
    no more than a weak reference to it.

    Parameters
    ----------
    report : `~collections.abc.Callable`, optional
        Called with a text after a pause of some seconds.
    """

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._report = report
        self._looked = self._loop.time()
        self._paused = 0.0
        self._timeouts: weakref.WeakSet[asyncio.Timeout] = weakref.WeakSet()
        self._loop.call_later(_TICK, _look, weakref.ref(self))

    def awake(self) -> float:
        """Return the time of the event loop, less that of all pauses (s)."""
        now = self._loop.time()
        return now - self._paused - self._pause_until(now)

    @contextlib.asynccontextmanager
    async def timeout(self, delay: float) -> AsyncIterator[None]:
        """Limit the time of what is awaited, not counting pauses.

        Parameters
        ----------
        delay : `float`
            Longest time (s).

        Raises
        ------
        TimeoutError
            If it takes longer.
        """
        async with asyncio.timeout(delay) as timeout:
            self._timeouts.add(timeout)
            yield

    def look(self) -> None:
        """Look at the clock; grant time limits the time of a pause."""
        now = self._loop.time()
        pause, self._looked = self._pause_until(now), now
        if not pause:
            return
        self._paused += pause
        # The timer of this look was due before those of all limits that the
        # pause has exceeded, so it also runs before them.
        for timeout in tuple(self._timeouts):
            when = timeout.when()
            if when is not None and not timeout.expired():
                timeout.reschedule(when + pause)
        if self._report is not None and pause >= _WORTH_REPORTING:
            self._report(
                f"This process was paused for {pause:.0f} s: it was stopped, or its machine or disk hung. "
                "No component is blamed for that time."
            )

    def _pause_until(self, now: float) -> float:
        """Return the pause since the last look, 0 if there was none (s)."""
        lag = now - self._looked - _TICK
        return lag if lag >= _SHORTEST else 0.0


def _look(reference: weakref.ref[Pauses]) -> None:
    pauses = reference()
    if pauses is not None:
        pauses.look()
        asyncio.get_running_loop().call_later(_TICK, _look, reference)
