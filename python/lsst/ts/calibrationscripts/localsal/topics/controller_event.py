# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event as its writer sees it."""

from __future__ import annotations

__all__ = ["ControllerEvent"]

from typing import TYPE_CHECKING

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
