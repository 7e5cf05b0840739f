# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command as the component that carries it out sees it."""

from __future__ import annotations

__all__ = ["ControllerCommand"]

import asyncio
from typing import TYPE_CHECKING, Any

from ..base import ExpectedError
from ..enums import SalRetCode
from .read_topic import ReadTopic
from .write_topic import WriteTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class AckCmdWriter(WriteTopic):
    """The acknowledgements of one command; the sender's number is kept."""

    def __init__(self, salinfo: SalInfo) -> None:
        super().__init__(salinfo=salinfo, attr_name="ack_ackcmd")

    def _next_seq_num(self) -> int:
        return int(self.data.private_seqNum)


class ControllerCommand(ReadTopic):
    """A command of this component.

    Parameters
    ----------
    salinfo : `SalInfo`
        The component.
    name : `str`
        Name of the command, without prefix.

    Notes
    -----
    The callback may return an acknowledgement, or `None` for COMPLETE. What
    it raises becomes one: ABORTED if it is cancelled, TIMEOUT for
    `asyncio.TimeoutError`, else FAILED. There is no CMD_ACK before it starts
    (salobj gave that up with RFC-831).
    """

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"cmd_{name}", max_history=0)
        self._ackcmd_writer = AckCmdWriter(salinfo)
        self._cmdtype = salinfo.command_names.index(name)

    async def ack(self, data: Any, ackcmd: Any) -> None:
        """Acknowledge a command.

        Parameters
        ----------
        data : `object`
            The command.
        ackcmd : `object`
            The acknowledgement, made by ``salinfo.make_ackcmd``.
        """
        await self._ackcmd_writer.set_write(
            private_seqNum=data.private_seqNum,
            origin=data.private_origin,
            identity=data.private_identity,
            cmdtype=self._cmdtype,
            ack=ackcmd.ack,
            error=ackcmd.error,
            result=ackcmd.result,
            timeout=ackcmd.timeout,
        )

    async def ack_in_progress(self, data: Any, timeout: float, result: str = "") -> None:
        """Say that the command is being carried out.

        Parameters
        ----------
        data : `object`
            The command.
        timeout : `float`
            Estimated time the command still takes (s); the sender waits as
            much longer.
        result : `str`, optional
            What to tell the sender.
        """
        ackcmd = self.salinfo.make_ackcmd(
            private_seqNum=data.private_seqNum,
            ack=SalRetCode.CMD_INPROGRESS,
            result=result,
            timeout=timeout,
        )
        await self.ack(data, ackcmd)

    async def next(self, *, timeout: float | None = None) -> Any:  # type: ignore[override]
        """Take the oldest command from the queue; wait if it is empty."""
        return await super().next(flush=False, timeout=timeout)

    async def _run_callback(self, data: Any) -> None:
        try:
            ackcmd = await self._call(data)
            if ackcmd is None:
                await self._ack_if_running(data, SalRetCode.CMD_COMPLETE, "Done")
            elif self.salinfo.running:
                await self.ack(data, ackcmd)
        except asyncio.CancelledError:
            await self._ack_if_running(data, SalRetCode.CMD_ABORTED, "Aborted")
        except TimeoutError:
            await self._ack_if_running(data, SalRetCode.CMD_TIMEOUT, "Timeout")
        except Exception as error:
            await self._ack_if_running(data, SalRetCode.CMD_FAILED, f"Failed: {error}")
            if not isinstance(error, ExpectedError):
                self.log.exception(f"Callback {self.callback} failed with data={data}")

    async def _ack_if_running(self, data: Any, code: SalRetCode, result: str) -> None:
        if not self.salinfo.running:
            self.log.warning(f"Cannot acknowledge {self.attr_name} with {code!r}; SalInfo is not running")
            return
        ackcmd = self.salinfo.make_ackcmd(
            private_seqNum=data.private_seqNum,
            ack=code,
            error=0 if code is SalRetCode.CMD_COMPLETE else 1,
            result=result,
        )
        await self.ack(data, ackcmd)
