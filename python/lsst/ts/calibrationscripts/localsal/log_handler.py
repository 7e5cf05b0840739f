# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log records as logMessage events."""

from __future__ import annotations

__all__ = ["SalLogHandler"]

import asyncio
import collections
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .controller import Controller

MAX_PRE_START_RECORDS = 10
"""Number of records kept until the controller has started."""

_FORMATTER = logging.Formatter()


class SalLogHandler(logging.Handler):
    """Writes log records as logMessage events of a controller.

    A record whose fields all equal those of the previous record is not
    written.

    Parameters
    ----------
    controller : `Controller`
        The controller.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller
        self._loop = asyncio.get_running_loop()
        self._pre_start: collections.deque[dict[str, Any]] = collections.deque(maxlen=MAX_PRE_START_RECORDS)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, at once or, from another thread, soon.

        Parameters
        ----------
        record : `logging.LogRecord`
            The record.
        """
        try:
            fields = {
                "name": record.name,
                "level": record.levelno,
                "message": record.getMessage(),
                "traceback": _FORMATTER.formatException(record.exc_info) if record.exc_info else "",
                "filePath": record.pathname,
                "functionName": record.funcName or "",
                "lineNumber": record.lineno,
                "process": record.process or 0,
            }
            try:
                in_loop = asyncio.get_running_loop() is self._loop
            except RuntimeError:
                in_loop = False
            if in_loop:
                self._write(fields)
            else:
                self._loop.call_soon_threadsafe(self._write, fields)
        except Exception:  # noqa: BLE001
            # As handlers of the logging package do: an error is reported on
            # stderr and does not stop the program.
            self.handleError(record)

    def write_pre_start(self) -> None:
        """Write the records kept since before the start."""
        while self._pre_start:
            self._write(self._pre_start.popleft())

    def _write(self, fields: dict[str, Any]) -> None:
        salinfo = self.controller.salinfo
        if not salinfo.started:
            self._pre_start.append(fields)
        elif salinfo.isopen and self.controller.evt_logMessage.set(**fields):
            self.controller.evt_logMessage.write_soon()
