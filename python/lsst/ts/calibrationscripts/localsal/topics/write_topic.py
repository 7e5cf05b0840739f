# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of topics that are written."""

from __future__ import annotations

__all__ = ["WriteTopic"]

import copy
from typing import TYPE_CHECKING, Any

from ..base import TAI_MINUS_UTC, current_tai
from .base_topic import BaseTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    # A NaN differs from itself.
    return bool(old == new or (old != old and new != new))


class WriteTopic(BaseTopic):
    """A topic that is written.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    attr_name : `str`
        Name of the topic, with prefix.
    """

    def __init__(self, *, salinfo: SalInfo, attr_name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=attr_name)
        self._data = self.DataType()
        self._is_set = False
        self._seq_num = 0

    @property
    def data(self) -> Any:
        """The message with the values set so far."""
        return self._data

    def set(self, **kwargs: Any) -> bool:
        """Set fields of the message.

        Parameters
        ----------
        **kwargs
            Field names and values; `None` does not change a field.

        Returns
        -------
        did_change : `bool`
            Has a field changed, or is this the first call?

        Raises
        ------
        AttributeError
            If the topic has no field of a name.
        """
        fields = dict(vars(self.data))
        unknown = kwargs.keys() - fields.keys()
        if unknown:
            raise AttributeError(f"{self.attr_name} has no fields {sorted(unknown)}")
        new = {name: value for name, value in kwargs.items() if value is not None}
        did_change = not (self._is_set and all(_is_same(fields[name], new[name]) for name in new))
        self._data = self.DataType(**fields | new)
        self._is_set = True
        return did_change

    def write_soon(self) -> Any:
        """Write the message without waiting.

        Returns
        -------
        data : `object`
            A copy of the message.

        Raises
        ------
        RuntimeError
            If the component is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        self.salinfo.assert_running()
        data = self._prepare_data_to_write()
        self.salinfo.write(self.topic_info, data)
        return data

    def _next_seq_num(self) -> int:
        self._seq_num += 1
        return self._seq_num

    def _prepare_data_to_write(self) -> Any:
        """Set the private fields and return a copy of the message."""
        tai = current_tai()
        data = self.data
        data.private_sndStamp = data.private_kafkaStamp = tai
        data.private_efdStamp = tai - TAI_MINUS_UTC
        data.private_origin = self.salinfo.domain.origin
        data.private_identity = self.salinfo.identity
        data.private_seqNum = self._next_seq_num()
        if self.salinfo.index != 0:
            data.salIndex = self.salinfo.index
        return copy.copy(data)
