# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remotes that a script commands the observatory with."""

from __future__ import annotations

__all__ = ["Connection"]

import asyncio
import logging
from collections.abc import Collection, Mapping
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
    """The components of an instrument and, if it is used, its OCPS.

    Parameters
    ----------
    control : `Control`
        The instrument.
    instrument : `Instrument`
        What it is.
    domain : `salobj.Domain`
        Domain of the script.
    ocps : `bool`
        Whether the OCPS runs the jobs.

    Attributes
    ----------
    control : `Control`
        The instrument.
    ocps : `salobj.Remote` or `None`
        The OCPS, with the topics that jobs need.
    """

    def __init__(
        self, control: Control, instrument: Instrument, domain: salobj.Domain, *, ocps: bool
    ) -> None:
        self.control = control
        # observatory-control reports every step of every exposure.
        control.log.setLevel(logging.WARNING)
        self.ocps = (
            salobj.Remote(
                domain=domain,
                name="OCPS",
                index=instrument.ocps_index,
                include=["summaryState", "errorCode", "heartbeat", "job_result"],
            )
            if ocps
            else None
        )
        self._instrument = instrument
        self._starts: set[asyncio.Future[Any]] = {
            remote.start_task for remote in (control, self.ocps) if remote is not None
        }

    _beside: tuple[salobj.Remote, ...] = ()
    _closing: asyncio.Task[None] | None = None

    surroundings: SalSurroundings
    """What is around the camera, once `look_around` was called."""

    def look_around(self, around: Mapping[str, Collection[str]], domain: salobj.Domain) -> None:
        """Read what is around the camera too.

        Called before `start`. The instrument's own components have remotes,
        which read these topics as well.

        Parameters
        ----------
        around : `~collections.abc.Mapping`
            Topics without prefix, by SAL name of their component.
        domain : `salobj.Domain`
            Domain of the script.
        """
        remotes: dict[str, salobj.Remote] = {}
        for component, topics in around.items():
            if component in self._instrument.components.names:
                remotes[component] = self.remote(component)
                continue
            name, _, index = component.partition(":")
            remotes[component] = salobj.Remote(
                domain=domain, name=name, index=int(index or 0), readonly=True, include=list(topics)
            )
            self._beside += (remotes[component],)
        self._starts |= {remote.start_task for remote in self._beside}
        self.surroundings = SalSurroundings(remotes)

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
        components = map(self.remote, self._instrument.components.names)
        return (*components, *([self.ocps] if self.ocps is not None else []))

    async def start(self) -> None:
        """Wait until all remotes have started.

        Raises
        ------
        salobj.ExpectedError
            If that takes too long. They are not cancelled; see `close`.
        """
        _, late = await asyncio.wait(self._starts, timeout=_START_TIMEOUT)
        if late:
            ocps = f" and {self._instrument.ocps}" if self.ocps is not None else ""
            raise salobj.ExpectedError(
                f"{self._instrument.name}{ocps} could not be reached within "
                f"{_START_TIMEOUT:g} s: the SAL network is slow or down. Try again."
            )
        await asyncio.gather(*self._starts)

    def begin_close(self) -> None:
        """Begin to close the remotes, which nothing needs any more."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="closing remotes")

    async def close(self) -> None:
        """Close the remotes together, within a limit.

        The domain would close them one after another, which takes salobj some
        seconds more. What takes longer here is left to the domain.
        """
        self.begin_close()
        assert self._closing is not None, "it has begun"
        await self._closing

    async def _close(self) -> None:
        # Closing a remote that has not started never ends (salobj 8.2).
        await asyncio.wait(self._starts, timeout=_STARTED_TIMEOUT)
        remotes = (*self.remotes, *self._beside)
        closing = [asyncio.create_task(remote.close()) for remote in remotes if remote.start_task.done()]
        if closing:
            closed, _ = await asyncio.wait(closing, timeout=_CLOSE_TIMEOUT)
            for task in closed:
                task.result()
