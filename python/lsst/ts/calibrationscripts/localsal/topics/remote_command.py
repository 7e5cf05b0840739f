# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command as its sender sees it."""

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
"""Time limit for a command (s)."""

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

# All senders of this process share the identity user@host and the process id,
# so a number tells which of them a command came from.
_SEQ_NUMS = itertools.count(1)


class CommandInfo:
    """A command that was sent and has had no final acknowledgement.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component it was sent to.
    seq_num : `int`
        The command's number.
    wait_done : `bool`
        Wait for the final acknowledgement, not just the next?
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
        """Take in an acknowledgement."""
        self.is_done = ackcmd.ack in DONE_ACK_CODES
        self._ackcmds.append(ackcmd)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def close(self) -> None:
        """Cancel whoever waits for an acknowledgement."""
        if self._arrival is not None:
            self._arrival.cancel()

    async def next_ackcmd(self, timeout: float) -> Any:
        """Wait for the next acknowledgement that counts.

        Parameters
        ----------
        timeout : `float`
            Time limit (s). While waiting for the final acknowledgement, one
            in progress extends it by its own timeout.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement is late.
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
            last = self._last_ackcmd or self.salinfo.make_ackcmd(
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
    """A command for another component.

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

    def set(self, **kwargs: Any) -> bool:
        """Make a new message and set fields of it; see `WriteTopic.set`."""
        self.data = self.DataType()
        return super().set(**kwargs)

    async def set_start(self, timeout: float = DEFAULT_TIMEOUT, wait_done: bool = True, **kwargs: Any) -> Any:
        """Set the fields of a new command and send it; see `start`."""
        self.set(**kwargs)
        return await self.start(timeout=timeout, wait_done=wait_done)

    async def start(self, data: Any = None, timeout: float = DEFAULT_TIMEOUT, wait_done: bool = True) -> Any:
        """Send the command and wait for an acknowledgement.

        Parameters
        ----------
        data : `object`, optional
            The command; by default what was `set`.
        timeout : `float`, optional
            Time limit (s), for the whole command or, without ``wait_done``,
            for the first acknowledgement. While waiting for the final one,
            one in progress extends it by its own timeout.
        wait_done : `bool`, optional
            Wait for the final acknowledgement, not just the first?

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement is late.
        RuntimeError
            If not running.
        """
        self.salinfo.assert_running()
        if data is not None:
            self.data = data
        message = self._prepare_data_to_write()
        command = CommandInfo(self.salinfo, message.private_seqNum, wait_done)
        self.salinfo.write(self.topic_info, message)
        self.salinfo.add_command(command)
        return await command.next_ackcmd(timeout)

    async def next_ackcmd(self, ackcmd: Any, timeout: float = DEFAULT_TIMEOUT, wait_done: bool = True) -> Any:
        """Wait for another acknowledgement of a command.

        Parameters
        ----------
        ackcmd : `object`
            The previous acknowledgement.
        timeout, wait_done
            As for `start`.

        Returns
        -------
        ackcmd : `object`
            The acknowledgement.

        Raises
        ------
        AckError
            If the command failed.
        AckTimeoutError
            If the acknowledgement is late.
        RuntimeError
            If the command is unknown, or its final acknowledgement has
            arrived already.
        """
        command = self.salinfo.get_command(ackcmd.private_seqNum)
        if command is None:
            raise RuntimeError(f"Command private_seqNum={ackcmd.private_seqNum} is unknown or finished")
        command.wait_done = wait_done
        return await command.next_ackcmd(timeout)

    async def set_write(self, *, force_output: bool | None = None, **kwargs: Any) -> Any:
        """Not for commands."""
        raise NotImplementedError("Call set_start instead")

    async def write(self) -> Any:
        """Not for commands."""
        raise NotImplementedError("Call start instead")

    def _next_seq_num(self) -> int:
        return next(_SEQ_NUMS)
