# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of remotes, limited to the topics of an intended usage."""

from __future__ import annotations

__all__ = ["RemoteGroup", "UsagesResources"]

import asyncio
import logging
import types
from collections.abc import Iterable
from typing import Any, Self

from .domain import Domain
from .enums import State
from .remote import Remote


class UsagesResources:
    """The components and topics that a usage needs.

    Parameters
    ----------
    components_attr : iterable of `str`
        The components, as attributes of ``rem`` such as "ocps_1".
    readonly : `bool`
        Does the usage send no commands? It has no effect, as in
        observatory-control, whose remotes always have commands.
    generics : iterable of `str`, optional
        Topics that every component has.
    **kwargs
        Topics of one component, by its attribute of ``rem``.

    Raises
    ------
    TypeError
        If topics are given for another component.
    """

    def __init__(
        self,
        components_attr: Iterable[str],
        readonly: bool,
        generics: Iterable[str] = (),
        **kwargs: Iterable[str],
    ) -> None:
        self.components_attr = frozenset(components_attr)
        self.readonly = readonly
        self.include = set(generics)
        for component, topics in kwargs.items():
            if component not in self.components_attr:
                raise TypeError(
                    f"Unexpected keyword argument {component}. "
                    f"Valid additional arguments are {self.components_attr}."
                )
            self.include.update(topics)


class RemoteGroup:
    """Remotes of several components that are used together.

    Parameters
    ----------
    components : `list` [`str`]
        SAL components, as "name" or "name:index".
    domain : `Domain`, optional
        The domain of the remotes; by default one of its own.
    log : `logging.Logger`, optional
        The parent of its logger.
    intended_usage : `int`, optional
        Bit mask of ``valid_use_cases``, which limits the components and
        topics that are read; by default all are.

    Attributes
    ----------
    rem : `types.SimpleNamespace`
        The remotes, by name in lower case ("OCPS:1" is ``ocps_1``); `None`
        for a component that the usage does not need.
    start_task : `asyncio.Future`
        Done when all remotes are started.
    fast_timeout, long_timeout, long_long_timeout : `float`
        Time limits (s).
    """

    def __init__(
        self,
        components: list[str],
        domain: Domain | None = None,
        log: logging.Logger | None = None,
        intended_usage: int | None = None,
    ) -> None:
        name = type(self).__name__
        self.log = logging.getLogger(name) if log is None else log.getChild(name)
        self.fast_timeout = 5.0
        self.long_timeout = 30.0
        self.long_long_timeout = 120.0
        self._components = {component.lower().replace(":", "_"): component for component in components}
        self._close_domain = domain is None
        self.domain = Domain() if domain is None else domain
        remotes = {attr: self._make_remote(attr, intended_usage) for attr in self._components}
        self.rem: Any = types.SimpleNamespace(**remotes)
        self._remotes = {attr: remote for attr, remote in remotes.items() if remote is not None}
        self.start_task: asyncio.Future[Any] = asyncio.gather(
            *(remote.start_task for remote in self._remotes.values())
        )

    @property
    def components_attr(self) -> list[str]:
        """The SAL components, as attributes of ``rem``."""
        return list(self._components)

    @property
    def valid_use_cases(self) -> Iterable[int]:
        """The usages of this class, to which subclasses add."""
        return ()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """The resources of each usage, to which subclasses add."""
        return {}

    async def assert_all_enabled(self, message: str = "") -> None:
        """Raise an exception if a component is not ENABLED.

        Parameters
        ----------
        message : `str`, optional
            Text to add to the error.

        Raises
        ------
        AssertionError
            If a component is not ENABLED.
        asyncio.TimeoutError
            If the state of a component is not known.
        """
        states = await asyncio.gather(*(self._get_state(component) for component in self._remotes))
        not_enabled = [
            component
            for component, state in zip(self._remotes, states, strict=True)
            if state != State.ENABLED
        ]
        if not_enabled:
            raise AssertionError(f"The following components are not enabled: {not_enabled}. {message}")

    async def close(self) -> None:
        """Close the remotes, and the domain if it is its own."""
        await asyncio.gather(*(remote.close() for remote in self._remotes.values()))
        if self._close_domain:
            await self.domain.close()

    async def _get_state(self, component: str) -> State:
        try:
            data = await self._remotes[component].evt_summaryState.aget(timeout=self.fast_timeout)
        except TimeoutError:
            raise TimeoutError(
                f"Timeout getting summary state for {component}. This usually means that no historical "
                "data is available. You might have to recycle the CSC state manually to recover from "
                "this condition."
            ) from None
        return State(data.summaryState)

    def _make_remote(self, attr: str, intended_usage: int | None) -> Remote | None:
        include: set[str] | None = None
        if intended_usage is not None:
            needed = [self.usages[usage] for usage in self.valid_use_cases if usage & intended_usage]
            if not any(attr in resources.components_attr for resources in needed):
                return None
            include = set().union(*(resources.include for resources in needed))
        name, _, index = self._components[attr].partition(":")
        return Remote(domain=self.domain, name=name, index=int(index or 0), include=include)

    async def __aenter__(self) -> Self:
        await self.start_task
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
