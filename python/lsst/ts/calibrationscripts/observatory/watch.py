# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the components that a run depends on are alive."""

from __future__ import annotations

__all__ = ["HEARTBEAT_TIMEOUT", "ComponentWatch"]

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..ports import ComponentLostError
from .pauses import Pauses
from .sal import salobj

HEARTBEAT_TIMEOUT = 15.0
"""Silence after which a component counts as lost (s).

A heartbeat comes each second. A pause of a few seconds is a busy host or a
slow network; one of this length is neither, and still short against the
minutes that a command may take before its own time limit ends it.
"""

_CANCEL_TIMEOUT = 5.0
"""What work may take to end once it is cancelled (s)."""

_REASON_TIMEOUT = 2.0
"""How long after a fault its reason, a topic of its own, may come (s)."""

T = TypeVar("T")


@dataclass
class _Component:
    remote: salobj.Remote
    heard: float
    """When the last heartbeat came, by the clock of `Pauses.awake` (s)."""

    heartbeat: Any = None


class ComponentWatch:
    """Reports whether components are ENABLED and alive, and guards work.

    While work goes on, the newest message of each topic is read a few times a
    second. With neither a task nor a callback, nothing of this can be left
    over, and other readers of the topics are not disturbed: a callback on
    summaryState would make the checks of observatory-control raise, and two
    that wait for the next message of a topic disturb each other.

    While this process is paused it hears nothing: that time is not silence.

    Parameters
    ----------
    remotes : `~collections.abc.Iterable` [`salobj.Remote`]
        The components, with the events summaryState, errorCode and
        heartbeat. They are called as in SAL: "ATCamera", "OCPS:1".
    heartbeat_timeout : `float`, optional
        Silence after which a component counts as lost (s).
    report : `~collections.abc.Callable`, optional
        Called with a text after a long pause of this process.
    """

    POLL_INTERVAL = 0.25
    """Time between two readings (s)."""

    def __init__(
        self,
        remotes: Iterable[salobj.Remote],
        heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._pauses = Pauses(report)
        now = self._pauses.awake()
        self._components = {remote.salinfo.name_index: _Component(remote, now) for remote in remotes}
        self._heartbeat_timeout = heartbeat_timeout

    def timeout(self, delay: float) -> AbstractAsyncContextManager[None]:
        """Limit the time of what is awaited, not counting pauses.

        Parameters
        ----------
        delay : `float`
            Longest time (s); `TimeoutError` is raised after it.
        """
        return self._pauses.timeout(delay)

    def describe(self, component: str) -> str:
        """Return what is wrong with a component, "" if nothing is.

        Parameters
        ----------
        component : `str`
            Its SAL name.

        Returns
        -------
        text : `str`
            Such as "ATCamera went to FAULT (error 5510: shutter stuck)" or
            "no heartbeat of OCPS:1 for 15 s".
        """
        watched = self._components[component]
        silence = self._listen(watched)
        state = self._state(component)
        if state not in (None, salobj.State.ENABLED):
            if state != salobj.State.FAULT or self._is_unexplained(component):
                return f"{component} went to {state.name}"
            error = watched.remote.evt_errorCode.get()
            return f"{component} went to FAULT (error {error.errorCode}: {error.errorReport})"
        if silence > self._heartbeat_timeout:
            return f"no heartbeat of {component} for {silence:.0f} s"
        return ""

    async def check(self, components: Iterable[str]) -> tuple[str, ...]:
        """Return what is wrong with components.

        A component that seems to be silent gets the time of a few heartbeats:
        what is known of it may be from before this process began.

        Parameters
        ----------
        components : `~collections.abc.Iterable` [`str`]
            Their SAL names.
        """
        suspects = [name for name in components if self.describe(name)]
        patience = min(5.0, self._heartbeat_timeout)
        await asyncio.gather(*(self.wait_enabled(name, patience) for name in suspects))
        return tuple(text for name in suspects if (text := self.describe(name)))

    async def guard(self, component: str, work: Coroutine[Any, Any, T]) -> T:
        """Await work, but not beyond the loss of a component.

        Parameters
        ----------
        component : `str`
            The component that the work depends on.
        work : coroutine
            What to await; it is cancelled if this is, or on the loss.

        Returns
        -------
        result : object
            What the work returned.

        Raises
        ------
        ComponentLostError
            If the component left ENABLED or its heartbeat stopped.
        """

        def give_up(text: str) -> None:
            raise ComponentLostError(text)

        try:
            return await self._accompany(component, work, give_up)
        except ComponentLostError as lost:
            raise ComponentLostError(await self.explain(component) or str(lost)) from None

    async def explain(self, component: str) -> str:
        """Return what is wrong with a component, with the cause of a fault.

        Unlike `describe`, it waits a moment for that cause.

        Parameters
        ----------
        component : `str`
            Its SAL name.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REASON_TIMEOUT):
                while self._is_unexplained(component):  # noqa: ASYNC110 - no one sets it
                    await asyncio.sleep(self.POLL_INTERVAL)
        return self.describe(component)

    async def observe(self, component: str, work: Coroutine[Any, Any, T]) -> tuple[T, str]:
        """Await work; return the first trouble of a component meanwhile.

        Parameters
        ----------
        component : `str`
            The component that is watched.
        work : coroutine
            What to await; it is cancelled if this is.

        Returns
        -------
        result : object
            What the work returned.
        text : `str`
            The first trouble that the component was in; "" if in none.
        """
        first = ""

        def note(text: str) -> None:
            nonlocal first
            # The reason of a fault may come after the fault.
            if text.startswith(first):
                first = text

        result = await self._accompany(component, work, note)
        return result, first

    async def wait_enabled(self, component: str, timeout: float) -> bool:
        """Wait until a component is ENABLED and alive.

        Parameters
        ----------
        component : `str`
            Its SAL name.
        timeout : `float`
            Longest wait (s).

        Returns
        -------
        enabled : `bool`
            Whether it is. If so, a heartbeat has come since the call: an
            earlier one may be the last of a component that died.
        """
        heartbeat = self._components[component].remote.evt_heartbeat
        before = heartbeat.get()
        try:
            async with asyncio.timeout(timeout):
                while self.describe(component) or heartbeat.get() is before:  # noqa: ASYNC110 - no one sets it
                    await asyncio.sleep(self.POLL_INTERVAL)
        except TimeoutError:
            return False
        return True

    async def _accompany(
        self, component: str, work: Coroutine[Any, Any, T], trouble: Callable[[str], None]
    ) -> T:
        task = asyncio.create_task(work)
        try:
            while not task.done():
                if text := self.describe(component):
                    trouble(text)
                await asyncio.wait({task}, timeout=self.POLL_INTERVAL)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_TIMEOUT)
            if task.done() and not task.cancelled():
                # The loss is reported; any other error follows from it.
                task.exception()

    def _state(self, component: str) -> salobj.State | None:
        """Return the summary state, `None` if it is not known."""
        event = self._components[component].remote.evt_summaryState.get()
        return None if event is None else salobj.State(event.summaryState)

    def _is_unexplained(self, component: str) -> bool:
        """Return whether it is in FAULT and has not reported why."""
        error = self._components[component].remote.evt_errorCode.get()
        return self._state(component) == salobj.State.FAULT and (error is None or error.errorCode == 0)

    def _listen(self, watched: _Component) -> float:
        """Return how long a component has been silent (s)."""
        now = self._pauses.awake()
        heartbeat = watched.remote.evt_heartbeat.get()
        if heartbeat is not watched.heartbeat:
            # The first may be history, kept since the component died.
            is_first = watched.heartbeat is None
            age = heartbeat.private_rcvStamp - heartbeat.private_sndStamp if is_first else 0.0
            watched.heartbeat, watched.heard = heartbeat, now - max(0.0, age)
        return now - watched.heard
