# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of topics."""

from __future__ import annotations

__all__ = ["BaseTopic"]

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class BaseTopic:
    """A topic of a SAL component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    attr_name : `str`
        Name of the topic, with prefix ``cmd_``, ``evt_`` or ``ack_``.
    """

    def __init__(self, *, salinfo: SalInfo, attr_name: str) -> None:
        self.salinfo = salinfo
        self.topic_info = salinfo.component_info.topics[attr_name]
        self.log = salinfo.log.getChild(self.name)

    @property
    def attr_name(self) -> str:
        """The name with prefix, such as "evt_summaryState"."""
        return self.topic_info.attr_name

    @property
    def name(self) -> str:
        """The name without prefix, such as "summaryState"."""
        return self.attr_name.partition("_")[2]

    @property
    def DataType(self) -> type[Any]:  # noqa: N802
        """The dataclass of the messages of this topic."""
        return self.topic_info.data_type

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.salinfo.name}, {self.salinfo.index}, {self.attr_name})"
