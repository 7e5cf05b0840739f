# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all SAL objects of one program share."""

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
        Process id: field ``private_origin`` of messages that are written.
    default_identity : `str`
        Identity of what is constructed with this domain: ``user@host``, or
        the name of the `Controller` that owns the domain.
    user_host : `str`
        ``user@host``.
    isopen : `bool`
        Is the domain open?
    done_task : `asyncio.Future`
        Done when `close` is.
    """

    def __init__(self) -> None:
        self.isopen = True
        self.user_host = get_user_host()
        self.default_identity = self.user_host
        self.done_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.origin = os.getpid()
        self._salinfo_set: set[SalInfo] = set()

    @property
    def salinfo_set(self) -> set[SalInfo]:
        """The open `SalInfo` objects of this domain."""
        return self._salinfo_set

    def add_salinfo(self, salinfo: SalInfo) -> None:
        """Register a `SalInfo`, to be closed with the domain."""
        self._salinfo_set.add(salinfo)

    def remove_salinfo(self, salinfo: SalInfo) -> None:
        """Forget a `SalInfo`."""
        self._salinfo_set.discard(salinfo)

    def basic_close(self) -> None:
        """Close without waiting, where a constructor failed."""
        while self._salinfo_set:
            self._salinfo_set.pop().basic_close()

    async def close(self) -> None:
        """Close all that was made with this domain; may be called again."""
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
