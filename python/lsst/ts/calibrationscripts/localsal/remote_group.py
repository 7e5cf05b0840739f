# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of remotes, limited to the topics that a use needs."""

from __future__ import annotations

__all__ = ["RemoteGroup", "Usages", "UsagesResources"]

import asyncio
import logging
import types
from collections.abc import Iterable, Iterator
from typing import Any, Self

from .base import name_to_name_index
from .domain import Domain
from .enums import State
from .remote import Remote


class Usages:
    """What a `RemoteGroup` may be used for; a bit mask."""

    All = 0
    StateTransition = 1
    MonitorState = 1 << 1
    MonitorHeartBeat = 1 << 2
    CheckSimulationMode = 1 << 3
    CheckSoftwareVersions = 1 << 4
    DryTest = 1 << 5

    def __iter__(self) -> Iterator[int]:
        return iter(
            [
                self.All,
                self.StateTransition,
                self.MonitorState,
                self.MonitorHeartBeat,
                self.CheckSimulationMode,
                self.CheckSoftwareVersions,
                self.DryTest,
            ]
        )


class UsagesResources:
    """The components and topics that a use needs.

    Parameters
    ----------
    components_attr : iterable of `str`
        Names of the components as attributes, e.g. "ocps_1".
    readonly : `bool`
        Does it send no commands?
    generics : iterable of `str`, optional
        Topics that every component has.
    **kwargs
        Topics of single components, by the component's attribute name.

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


_STATE_TRANSITION = (
    "start",
    "enable",
    "disable",
    "standby",
    "exitControl",
    "enterControl",
    "summaryState",
    "configurationsAvailable",
)


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
        Bit mask of ``valid_use_cases``, which limits what is loaded. By
        default all topics are.
    concurrent_operation : `bool`, optional
        Accepted for observatory-control; nothing here is sequential.

    Attributes
    ----------
    rem : `types.SimpleNamespace`
        The remotes, by name in lower case ("OCPS:1" is ``ocps_1``); `None`
        for those not needed.
    check : `types.SimpleNamespace`
        For each, whether it takes part in checks.
    start_task : `asyncio.Future` or `None`
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
        concurrent_operation: bool = True,
    ) -> None:
        name = type(self).__name__
        self.log = logging.getLogger(name) if log is None else log.getChild(name)
        self.fast_timeout = 5.0
        self.long_timeout = 30.0
        self.long_long_timeout = 120.0
        self._components = {component: self._as_attr(component) for component in components}
        self._close_domain = domain is None
        self.domain = Domain() if domain is None else domain
        self._usages: dict[int, UsagesResources] | None = None
        self.rem = types.SimpleNamespace()
        for component, attr in self._components.items():
            setattr(self.rem, attr, self._make_remote(component, attr, intended_usage))
        remotes = {attr: getattr(self.rem, attr) for attr in self.components_attr}
        self.check = types.SimpleNamespace(**{attr: remote is not None for attr, remote in remotes.items()})
        start_tasks = [remote.start_task for remote in remotes.values() if remote is not None]
        self.start_task = asyncio.gather(*start_tasks) if start_tasks else None

    @property
    def components(self) -> list[str]:
        """The SAL components, as "name" or "name:index"."""
        return list(self._components)

    @property
    def components_attr(self) -> list[str]:
        """The SAL components, as attributes of ``rem``."""
        return list(self._components.values())

    @property
    def valid_use_cases(self) -> Usages:
        """The usages of this class; for subclasses."""
        return Usages()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """What each usage needs; subclasses add to it."""
        if self._usages is None:
            cases = self.valid_use_cases
            topics: dict[int, tuple[str, ...]] = {
                cases.All: (*_STATE_TRANSITION, "heartbeat", "simulationMode", "softwareVersions"),
                cases.StateTransition: _STATE_TRANSITION,
                cases.MonitorState: ("summaryState",),
                cases.MonitorHeartBeat: ("heartbeat",),
                cases.CheckSimulationMode: ("simulationMode",),
                cases.CheckSoftwareVersions: ("softwareVersions",),
            }
            self._usages = {
                usage: UsagesResources(
                    components_attr=self.components_attr,
                    readonly=usage not in (cases.All, cases.StateTransition),
                    generics=generics,
                )
                for usage, generics in topics.items()
            }
            self._usages[cases.DryTest] = UsagesResources(components_attr=(), readonly=True)
        return self._usages

    def get_required_resources(self, component: str, intended_usage: int | None) -> Any:
        """Return what a component needs for some usages.

        Parameters
        ----------
        component : `str`
            The component, as attribute of ``rem``.
        intended_usage : `int` or `None`
            See `RemoteGroup`.

        Returns
        -------
        resources : `types.SimpleNamespace`
            ``add_this`` (is it needed?), ``readonly`` and ``include`` (names
            of topics; `None` for all).

        Raises
        ------
        KeyError
            If the component is not of this group.
        """
        if component not in self.components_attr:
            raise KeyError(
                f"Component {component} not in the list of components. Must be one of {self.components_attr}."
            )
        cases = self.valid_use_cases
        if intended_usage is None:
            return types.SimpleNamespace(add_this=True, readonly=False, include=None)
        if intended_usage == cases.All:
            return types.SimpleNamespace(
                add_this=True, readonly=False, include=sorted(self.usages[cases.All].include)
            )
        wanted = [self.usages[usage] for usage in cases if usage & intended_usage]
        # As in observatory-control, whose remotes always have commands.
        return types.SimpleNamespace(
            add_this=any(component in resources.components_attr for resources in wanted),
            readonly=False,
            include=sorted(set().union(*(resources.include for resources in wanted))),
        )

    def components_to_check(self) -> list[str]:
        """Return the components, as attributes, that are checked."""
        return [attr for attr in self.components_attr if getattr(self.check, attr)]

    def disable_checks_for_components(self, components: list[str]) -> None:
        """Leave components out of checks; names of others are ignored.

        Parameters
        ----------
        components : `list` [`str`]
            Names, as components or as attributes.
        """
        for component in components:
            attr = self._as_attr(component)
            if attr in self.components_attr:
                setattr(self.check, attr, False)
            else:
                self.log.warning(
                    f"Component {attr} (referred to as {component!r}) not in CSC Group. "
                    f"Must be one of {self.components} or {self.components_attr}. Ignoring."
                )

    async def get_state(self, component: str, ignore_timeout: bool = False) -> State | None:
        """Return the summary state of a component.

        Parameters
        ----------
        component : `str`
            The component, as attribute of ``rem``.
        ignore_timeout : `bool`, optional
            Return `None` if the state is not known?

        Raises
        ------
        asyncio.TimeoutError
            If the state is not known.
        """
        try:
            data = await getattr(self.rem, component).evt_summaryState.aget(timeout=self.fast_timeout)
        except TimeoutError:
            if ignore_timeout:
                return None
            raise TimeoutError(
                f"Timeout getting summary state for {component}. This usually means that no historical "
                "data is available. You might have to recycle the CSC state manually to recover from "
                "this condition."
            ) from None
        return State(data.summaryState)

    async def assert_all_enabled(self, message: str = "") -> None:
        """Raise `AssertionError` if a checked component is not ENABLED.

        Parameters
        ----------
        message : `str`, optional
            What to add to the error.
        """
        components = self.components_to_check()
        states = await asyncio.gather(*(self.get_state(component) for component in components))
        not_enabled = [
            component for component, state in zip(components, states, strict=True) if state != State.ENABLED
        ]
        if not_enabled:
            raise AssertionError(f"The following components are not enabled: {not_enabled}. {message}")

    async def close(self) -> None:
        """Close the remotes, and the domain if it is its own."""
        remotes = [getattr(self.rem, attr) for attr in self.components_attr]
        await asyncio.gather(*(remote.close() for remote in remotes if remote is not None))
        if self._close_domain:
            await self.domain.close()

    @staticmethod
    def _as_attr(component: str) -> str:
        return component.lower().replace(":", "_")

    def _make_remote(self, component: str, attr: str, intended_usage: int | None) -> Remote | None:
        resources = self.get_required_resources(attr, intended_usage)
        if not resources.add_this:
            return None
        name, index = name_to_name_index(component)
        return Remote(
            domain=self.domain,
            name=name,
            index=index,
            readonly=resources.readonly,
            include=resources.include,
        )

    async def __aenter__(self) -> Self:
        if self.start_task is not None:
            await self.start_task
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close()
