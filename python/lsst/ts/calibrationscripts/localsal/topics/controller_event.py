# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of this component."""

from __future__ import annotations

__all__ = ["ControllerEvent"]

import asyncio
from typing import TYPE_CHECKING, Any

from .write_topic import WriteTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class ControllerEvent(WriteTopic):
    """An event of this component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the event, without prefix.
    """

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"evt_{name}")

    async def set_write(self, *, force_output: bool = False, **kwargs: Any) -> None:
        """Set fields, and write the message if a field has changed.

        Parameters
        ----------
        force_output : `bool`, optional
            Write the message even if no field has changed?
        **kwargs
            Field names and values; see `set`.

        Raises
        ------
        AttributeError
            If the event has no field of a name.
        RuntimeError
            If the component is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        if self.set(**kwargs) or force_output:
            await self.write()

    async def write(self) -> None:
        """Write the message.

        Raises
        ------
        RuntimeError
            If the component is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        self.write_soon()
        # With a real broker, other tasks run while a message is sent.
        await asyncio.sleep(0)
