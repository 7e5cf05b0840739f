# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of this component."""

from __future__ import annotations

__all__ = ["ControllerCommand"]

import asyncio
from typing import TYPE_CHECKING, Any

from ..base import ExpectedError
from ..enums import SalRetCode
from .read_topic import CallbackType, ReadTopic
from .write_topic import WriteTopic

if TYPE_CHECKING:
    from ..salinfo import SalInfo


class _AckCmdWriter(WriteTopic):
    """Acknowledgements, with the sequence number of their command."""

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
    The command is acknowledged as COMPLETE when the callback has ended, as
    ABORTED if it was cancelled, as TIMEOUT if it raised
    `asyncio.TimeoutError`, and as FAILED if it raised another exception.
    There is no CMD_ACK before the start (salobj has none since RFC-831).
    """

    def __init__(self, salinfo: SalInfo, name: str) -> None:
        super().__init__(salinfo=salinfo, attr_name=f"cmd_{name}", max_history=0)
        self._ackcmd_writer = _AckCmdWriter(salinfo)
        self._cmdtype = salinfo.command_names.index(name)

    async def ack_in_progress(self, data: Any, timeout: float, result: str = "") -> None:
        """Acknowledge a command as being in progress.

        Parameters
        ----------
        data : `object`
            The command.
        timeout : `float`
            Estimated time until the command ends (s). The time limit of the
            sender is extended by as much.
        result : `str`, optional
            Message for the sender.

        Raises
        ------
        RuntimeError
            If the component is not started, or closed.
        """
        await self._ack(data, SalRetCode.CMD_INPROGRESS, result, timeout=timeout)

    async def _run_callback(self, func: CallbackType, data: Any) -> None:
        try:
            await func(data)
            await self._ack_if_running(data, SalRetCode.CMD_COMPLETE, "Done")
        except asyncio.CancelledError:
            await self._ack_if_running(data, SalRetCode.CMD_ABORTED, "Aborted")
        except TimeoutError:
            await self._ack_if_running(data, SalRetCode.CMD_TIMEOUT, "Timeout")
        except Exception as error:
            await self._ack_if_running(data, SalRetCode.CMD_FAILED, f"Failed: {error}")
            if not isinstance(error, ExpectedError):
                self.log.exception(f"Callback {func} failed with data={data}")

    async def _ack_if_running(self, data: Any, code: SalRetCode, result: str) -> None:
        if not self.salinfo.running:
            self.log.warning(f"Cannot acknowledge {self.attr_name} with {code!r}; SalInfo is not running")
            return
        await self._ack(data, code, result, error=0 if code is SalRetCode.CMD_COMPLETE else 1)

    async def _ack(
        self, data: Any, code: SalRetCode, result: str, *, error: int = 0, timeout: float = 0.0
    ) -> None:
        self._ackcmd_writer.set(
            private_seqNum=data.private_seqNum,
            origin=data.private_origin,
            identity=data.private_identity,
            cmdtype=self._cmdtype,
            ack=code,
            error=error,
            result=result,
            timeout=timeout,
        )
        self._ackcmd_writer.write_soon()
        # With a real broker, other tasks run while a message is sent.
        await asyncio.sleep(0)
