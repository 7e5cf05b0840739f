# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of another component."""

from __future__ import annotations

__all__ = ["CommandInfo", "RemoteCommand"]

import asyncio
import collections
import itertools
from typing import TYPE_CHECKING, Any

from ..base import AckError, AckTimeoutError
from ..enums import SalRetCode
from .write_topic import WriteTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo

DEFAULT_TIMEOUT = 60 * 60
"""Default time limit of a command (s)."""

FAILED_ACK_CODES = frozenset(
    {
        SalRetCode.CMD_ABORTED,
        SalRetCode.CMD_FAILED,
        SalRetCode.CMD_NOACK,
        SalRetCode.CMD_NOPERM,
        SalRetCode.CMD_STALLED,
        SalRetCode.CMD_TIMEOUT,
    }
)
DONE_ACK_CODES = FAILED_ACK_CODES | {SalRetCode.CMD_COMPLETE}

# All senders of this process have the same identity and process id, so only
# the number shows which of them sent a command.
_SEQ_NUMS = itertools.count(1)


class CommandInfo:
    """A command that was sent and has no final acknowledgement yet.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component that it was sent to.
    seq_num : `int`
        Sequence number of the command.
    wait_done : `bool`
        Wait for the final acknowledgement, not only for the next one?

    Attributes
    ----------
    is_done : `bool`
        Has the final acknowledgement arrived?
    """

    def __init__(self, salinfo: SalInfo, seq_num: int, wait_done: bool) -> None:
        self.salinfo = salinfo
        self.seq_num = seq_num
        self.wait_done = wait_done
        self.is_done = False
        self._ackcmds: collections.deque[Any] = collections.deque()
        self._arrival: asyncio.Future[None] | None = None
        self._last_ackcmd: Any = None

    def add_ackcmd(self, ackcmd: Any) -> None:
        """Add an acknowledgement that has arrived.

        Parameters
        ----------
        ackcmd : `object`
            The acknowledgement.
        """
        self.is_done = ackcmd.ack in DONE_ACK_CODES
        self._ackcmds.append(ackcmd)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def close(self) -> None:
        """Cancel the wait for an acknowledgement."""
        if self._arrival is not None:
            self._arrival.cancel()

    async def next_ackcmd(self, timeout: float) -> Any:
        """Wait for the next, or the final, acknowledgement.

        Parameters
        ----------
        timeout : `float`
            Time limit (s). While waiting for the final acknowledgement, an
            acknowledgement in progress extends the limit by its timeout.

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement does not arrive in time.
        """
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    ackcmd = await self._pop()
                    if not self.wait_done or ackcmd.ack in DONE_ACK_CODES:
                        break
                    if ackcmd.ack == SalRetCode.CMD_INPROGRESS:
                        deadline = limit.when()
                        assert deadline is not None
                        limit.reschedule(deadline + ackcmd.timeout)
        except TimeoutError:
            self.salinfo.remove_command(self.seq_num)
            last = self._last_ackcmd or self.salinfo.ackcmd_info.data_type(
                private_seqNum=self.seq_num,
                ack=SalRetCode.CMD_NOACK,
                result="No command acknowledgement seen",
            )
            raise AckTimeoutError(msg="Timed out waiting for command acknowledgement", ackcmd=last) from None
        if ackcmd.ack in FAILED_ACK_CODES:
            raise AckError(msg="Command failed", ackcmd=ackcmd)
        return ackcmd

    async def _pop(self) -> Any:
        while not self._ackcmds:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        self._last_ackcmd = self._ackcmds.popleft()
        return self._last_ackcmd


class RemoteCommand(WriteTopic):
    """A command of another component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the command, without prefix.
    """

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"cmd_{name}")
        salinfo.reads_ackcmds = True

    async def set_start(self, timeout: float = DEFAULT_TIMEOUT, wait_done: bool = True, **kwargs: Any) -> Any:
        """Set the fields of a new command and send it.

        Parameters
        ----------
        timeout, wait_done
            See `start`.
        **kwargs
            Field names and values.

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement does not arrive in time.
        AttributeError
            If the command has no field of a name.
        RuntimeError
            If the remote is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        self._data = self.DataType()
        self.set(**kwargs)
        return await self.start(timeout=timeout, wait_done=wait_done)

    async def start(self, *, timeout: float = DEFAULT_TIMEOUT, wait_done: bool = True) -> Any:
        """Send the command and wait for an acknowledgement.

        Parameters
        ----------
        timeout : `float`, optional
            Time limit (s) for the final acknowledgement or, without
            ``wait_done``, for the first. While waiting for the final one, an
            acknowledgement in progress extends the limit by its timeout.
        wait_done : `bool`, optional
            Wait for the final acknowledgement, not only for the first?

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement does not arrive in time.
        RuntimeError
            If the remote is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        message = self.write_soon()
        command = CommandInfo(self.salinfo, message.private_seqNum, wait_done)
        self.salinfo.add_command(command)
        return await command.next_ackcmd(timeout)

    async def next_ackcmd(self, ackcmd: Any, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Wait for the final acknowledgement of a command.

        Parameters
        ----------
        ackcmd : `object`
            The previous acknowledgement.
        timeout : `float`, optional
            Time limit (s); see `start`.

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement does not arrive in time.
        RuntimeError
            If the command is unknown, or its final acknowledgement has
            already arrived.
        """
        command = self.salinfo.get_command(ackcmd.private_seqNum)
        if command is None:
            raise RuntimeError(f"Command private_seqNum={ackcmd.private_seqNum} is unknown or finished")
        command.wait_done = True
        return await command.next_ackcmd(timeout)

    def _next_seq_num(self) -> int:
        return next(_SEQ_NUMS)
