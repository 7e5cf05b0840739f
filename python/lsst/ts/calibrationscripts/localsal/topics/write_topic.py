# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A topic that is written."""

from __future__ import annotations

__all__ = ["SetWriteResult", "WriteTopic"]

import asyncio
import copy
import dataclasses
from typing import TYPE_CHECKING, Any

from ..base import TAI_MINUS_UTC, current_tai
from .base_topic import BaseTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


@dataclasses.dataclass
class SetWriteResult:
    """What `WriteTopic.set_write` did."""

    did_change: bool
    """Did a field change?"""

    was_written: bool
    """Was the message written?"""

    data: Any
    """A copy of the message."""


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

    Attributes
    ----------
    default_force_output : `bool`
        Does `set_write` write also what has not changed?
    """

    def __init__(self, *, salinfo: SalInfo, attr_name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=attr_name)
        self.default_force_output = not attr_name.startswith("evt_")
        self._data = self.DataType()
        self._has_data = False
        self._seq_num = 0

    @property
    def data(self) -> Any:
        """The message, as set so far.

        Raises
        ------
        TypeError
            If it is set to another type than `DataType`.
        """
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        if not isinstance(data, self.DataType):
            raise TypeError(f"data={data!r} must be an instance of {self.DataType}")
        self._data = data
        self._has_data = True

    @property
    def has_data(self) -> bool:
        """Whether any field has been set."""
        return self._has_data

    def set(self, **kwargs: Any) -> bool:
        """Set fields of the message.

        Parameters
        ----------
        **kwargs
            Field names and values; `None` leaves a field as it is.

        Returns
        -------
        did_change : `bool`
            Did a field change, or is this the first call?

        Raises
        ------
        AttributeError
            If there is no such field.
        TypeError
            If a value cannot be compared with the present one.
        """
        fields = dict(vars(self.data))
        unknown = kwargs.keys() - fields.keys()
        if unknown:
            raise AttributeError(f"{self.attr_name} has no fields {sorted(unknown)}")
        did_change = not self.has_data
        for name, value in kwargs.items():
            if value is None:
                continue
            try:
                did_change |= not _is_same(fields[name], value)
            except (TypeError, ValueError) as error:
                raise TypeError(f"Cannot set {self.attr_name}.{name}={value!r}; wrong type.") from error
            fields[name] = value
        self.data = self.DataType(**fields)
        return did_change

    async def set_write(self, *, force_output: bool | None = None, **kwargs: Any) -> SetWriteResult:
        """Set fields, and write the message if one changed.

        Parameters
        ----------
        force_output : `bool`, optional
            Write in any case? By default commands are and events are not.
        **kwargs
            As for `set`.

        Returns
        -------
        result : `SetWriteResult`
            What was done.
        """
        did_change = self.set(**kwargs)
        do_write = did_change or (self.default_force_output if force_output is None else force_output)
        data = await self.write() if do_write else self.data
        return SetWriteResult(did_change=did_change, was_written=do_write, data=data)

    async def write(self) -> Any:
        """Write the message.

        Returns
        -------
        data : `object`
            A copy of what was written.

        Raises
        ------
        RuntimeError
            If not running.
        TypeError
            If a field holds a value of a wrong type.
        """
        data = self.write_soon()
        # Others run while a message is on its way to a real broker.
        await asyncio.sleep(0)
        return data

    def write_soon(self) -> Any:
        """Write the message without waiting; see `write`."""
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
