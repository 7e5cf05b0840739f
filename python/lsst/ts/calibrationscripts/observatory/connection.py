# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remotes that a script commands the observatory with."""

from __future__ import annotations

__all__ = ["Connection"]

import asyncio
import logging
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from ..instruments import Instrument
from .control import Control
from .sal import salobj
from .surroundings import SalSurroundings

_START_TIMEOUT = 50.0
"""Longest wait for remotes; the script queue allows 60 s to configure (s)."""

_STARTED_TIMEOUT = 30.0
"""Longest wait for remotes that are starting when the script ends (s)."""

_CLOSE_TIMEOUT = 5.0
"""Longest wait for remotes to close (s)."""


class Connection:
    """The components of an instrument and its OCPS.

    Parameters
    ----------
    control : `Control`
        The instrument.
    instrument : `Instrument`
        What it is.
    domain : `salobj.Domain`
        Domain of the script.
    around : `~collections.abc.Mapping` [`str`, `~collections.abc.Collection`]
        Topics that are read of what is around the camera, by component.

    Attributes
    ----------
    control : `Control`
        The instrument.
    surroundings : `SalSurroundings`
        What is around the camera. Of its own components it has the remotes of
        the control, which reads these topics too.
    ocps : `salobj.Remote`
        The OCPS, with the topics that jobs need.
    """

    def __init__(
        self,
        control: Control,
        instrument: Instrument,
        domain: salobj.Domain,
        around: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self.control = control
        # observatory-control reports every step of every exposure.
        control.log.setLevel(logging.WARNING)
        self.ocps = salobj.Remote(
            domain=domain,
            name="OCPS",
            index=instrument.ocps_index,
            include=["summaryState", "errorCode", "heartbeat", "job_result"],
        )
        self._instrument = instrument
        self._own = {
            name: _read(name, topics, domain)
            for name, topics in around.items()
            if name not in instrument.components.names
        }
        self.surroundings = SalSurroundings(
            {name: self._own.get(name) or self.remote(name) for name in around}
        )
        self._starts: set[asyncio.Future[Any]] = {
            control.start_task,
            *(remote.start_task for remote in (self.ocps, *self._own.values())),
        }

    def remote(self, component: str) -> salobj.Remote:
        """Return the remote of a component of the instrument.

        Parameters
        ----------
        component : `str`
            Its SAL name, such as "ATOODS".

        Returns
        -------
        remote : `salobj.Remote`
        """
        remote: salobj.Remote = getattr(self.control.rem, component.lower())
        return remote

    @property
    def remotes(self) -> tuple[salobj.Remote, ...]:
        """The remotes of all components that a run depends on."""
        return (*map(self.remote, self._instrument.components.names), self.ocps)

    async def start(self) -> None:
        """Wait until all remotes have started.

        Raises
        ------
        salobj.ExpectedError
            If that takes too long. They are not cancelled; see `close`.
        """
        _, late = await asyncio.wait(self._starts, timeout=_START_TIMEOUT)
        if late:
            raise salobj.ExpectedError(
                f"{self._instrument.name} and {self._instrument.ocps} could not be reached within "
                f"{_START_TIMEOUT:g} s: the SAL network is slow or down. Try again."
            )
        await asyncio.gather(*self._starts)

    async def close(self) -> None:
        """Close the remotes together, within a limit.

        The domain would close them one after another, which takes salobj some
        seconds more. What takes longer here is left to the domain.
        """
        # Closing a remote that has not started never ends (salobj 8.2).
        await asyncio.wait(self._starts, timeout=_STARTED_TIMEOUT)
        remotes = (*self.remotes, *self._own.values())
        closing = [asyncio.create_task(remote.close()) for remote in remotes if remote.start_task.done()]
        if closing:
            closed, _ = await asyncio.wait(closing, timeout=_CLOSE_TIMEOUT)
            for task in closed:
                task.result()


def _read(component: str, topics: Collection[str], domain: salobj.Domain) -> salobj.Remote:
    """Return a remote that reads topics of a component."""
    name, _, index = component.partition(":")
    return salobj.Remote(domain=domain, name=name, index=int(index or 0), readonly=True, include=list(topics))
