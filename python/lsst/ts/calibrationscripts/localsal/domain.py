# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of all SAL objects of one program."""

from __future__ import annotations

__all__ = ["Domain"]

import asyncio
import os
import types
from typing import TYPE_CHECKING

from .base import get_user_host

if TYPE_CHECKING:
    from .salinfo import SalInfo


class Domain:
    """The SAL components of one program, which are closed together.

    Attributes
    ----------
    origin : `int`
        Process id; field ``private_origin`` of each message written.
    default_identity : `str`
        Field ``private_identity`` of each message written: ``user@host``, or
        the name of the `Controller` that owns the domain.
    isopen : `bool`
        Is the domain open?
    done_task : `asyncio.Future`
        Done when `close` has ended.
    """

    def __init__(self) -> None:
        self.isopen = True
        self.default_identity = get_user_host()
        self.done_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.origin = os.getpid()
        self._salinfo_set: set[SalInfo] = set()

    @property
    def salinfo_set(self) -> set[SalInfo]:
        """The open `SalInfo` objects of this domain."""
        return self._salinfo_set

    def add_salinfo(self, salinfo: SalInfo) -> None:
        """Add a `SalInfo`, to be closed with the domain."""
        self._salinfo_set.add(salinfo)

    def remove_salinfo(self, salinfo: SalInfo) -> None:
        """Remove a `SalInfo` that is closed."""
        self._salinfo_set.discard(salinfo)

    def basic_close(self) -> None:
        """Close without waiting, after a constructor has failed."""
        while self._salinfo_set:
            self._salinfo_set.pop().basic_close()

    async def close(self) -> None:
        """Close all components; a second call waits for the first."""
        if not self.isopen:
            await self.done_task
            return
        self.isopen = False
        while self._salinfo_set:
            await self._salinfo_set.pop().close()
        self.done_task.set_result(None)

    async def __aenter__(self) -> Domain:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.close()
