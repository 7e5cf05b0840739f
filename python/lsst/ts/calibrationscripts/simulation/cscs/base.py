# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the mock CSCs have in common."""

from __future__ import annotations

__all__ = ["Interceptor", "SimulatedCsc", "step"]

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from ...observatory.sal import salobj

Interceptor = Callable[..., Awaitable[Any]]
"""Replaces a step: called with a callable ``proceed`` that takes the original
step, and with the arguments of the step."""

_Csc = TypeVar("_Csc", bound="SimulatedCsc")
_P = ParamSpec("_P")
_T = TypeVar("_T")


def step(
    method: Callable[Concatenate[_Csc, _P], Awaitable[_T]],
) -> Callable[Concatenate[_Csc, _P], Coroutine[Any, Any, _T]]:
    """Make a method of a `SimulatedCsc` one that can be intercepted.

    Parameters
    ----------
    method : callable
        The coroutine function.

    Returns
    -------
    call : callable
        The same, through the interceptors; see `SimulatedCsc.intercept`.
    """
    name = method.__name__

    @functools.wraps(method)
    async def call(self: _Csc, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        proceed: Callable[..., Awaitable[_T]] = functools.partial(method, self)
        for interceptor in self.interceptors[name]:
            proceed = functools.partial(interceptor, proceed)
        return await proceed(*args, **kwargs)

    return call


class SimulatedCsc(salobj.BaseCsc):
    """A CSC that starts ENABLED and has only some of its commands.

    Parameters
    ----------
    name : `str`
        SAL component name.
    index : `int`, optional
        SAL index; 0 for a component without one.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    version = "simulated"
    valid_simulation_modes = (0,)

    def __init__(self, name: str, index: int = 0, *, initial_state: Any = None) -> None:
        self.interceptors: defaultdict[str, list[Interceptor]] = defaultdict(list)
        self._later: set[asyncio.Task[Any]] = set()
        super().__init__(
            name=name,
            index=index,
            initial_state=salobj.State.ENABLED if initial_state is None else initial_state,
            allow_missing_callbacks=True,
        )

    @property
    def enabled(self) -> bool:
        """Whether the summary state is ENABLED."""
        return bool(self.summary_state == salobj.State.ENABLED)

    def intercept(self, name: str, interceptor: Interceptor) -> None:
        """Have something done in place of a step, or before or after it.

        Parameters
        ----------
        name : `str`
            Name of a method marked as `step`.
        interceptor : callable
            Called instead. The last one that was added is called first.
        """
        self.interceptors[name].append(interceptor)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have something done in the background, until the CSC closes."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def fall_silent(self, command: str) -> None:
        """Behave like a CSC whose process died: no heartbeat, no answer.

        Parameters
        ----------
        command : `str`
            Name of the command that is running. Neither it nor this method
            returns.
        """
        # The present pause of the loop ends with one more heartbeat.
        self.heartbeat_interval = float("inf")
        for name in self.salinfo.command_names:
            # A new callback would abort, and answer, the running command.
            if name != command:
                getattr(self, f"cmd_{name}").callback = _never
        await _never(None)

    async def close_tasks(self) -> None:
        """Cancel what is being done in the background."""
        await super().close_tasks()
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)


async def _never(data: Any) -> None:
    await asyncio.Event().wait()
