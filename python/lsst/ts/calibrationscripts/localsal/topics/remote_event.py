# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event as its reader sees it."""

from __future__ import annotations

__all__ = ["RemoteEvent"]

from typing import TYPE_CHECKING

from .read_topic import ReadTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class RemoteEvent(ReadTopic):
    """An event of another component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the event, without prefix.
    max_history : `int`, optional
        See `ReadTopic`.
    """

    def __init__(self, salinfo: SalInfo, name: str, max_history: int = 1) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"evt_{name}", max_history=max_history)
