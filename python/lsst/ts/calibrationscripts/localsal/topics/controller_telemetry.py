# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The telemetry of this component."""

from __future__ import annotations

__all__ = ["ControllerTelemetry"]

import asyncio
from typing import TYPE_CHECKING, Any

from .write_topic import WriteTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class ControllerTelemetry(WriteTopic):
    """A telemetry topic of this component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the topic, without prefix.
    """

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"tel_{name}")

    async def set_write(self, **kwargs: Any) -> None:
        """Set fields and write the message, changed or not.

        Parameters
        ----------
        **kwargs
            Field names and values; see `set`.

        Raises
        ------
        AttributeError
            If the topic has no field of a name.
        RuntimeError
            If the component is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        self.set(**kwargs)
        self.write_soon()
        # With a real broker, other tasks run while a message is sent.
        await asyncio.sleep(0)
