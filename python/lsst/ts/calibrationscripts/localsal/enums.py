# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enumerations of SAL and of the Script component.

Names and values are those of ``lsst.ts.xml.sal_enums`` and
``lsst.ts.xml.enums.Script``.
"""

from __future__ import annotations

__all__ = ["SalRetCode", "ScriptState", "State"]

import enum


class SalRetCode(enum.IntEnum):
    """Field ``ack`` of a command acknowledgement."""

    CMD_ACK = 300
    CMD_INPROGRESS = 301
    CMD_STALLED = 302
    CMD_COMPLETE = 303
    CMD_NOPERM = -300
    CMD_NOACK = -301
    CMD_FAILED = -302
    CMD_ABORTED = -303
    CMD_TIMEOUT = -304


class State(enum.IntEnum):
    """Summary state of a CSC."""

    OFFLINE = 4
    STANDBY = 5
    DISABLED = 1
    ENABLED = 2
    FAULT = 3


class ScriptState(enum.IntEnum):
    """State of a SAL script."""

    UNKNOWN = 0
    UNCONFIGURED = 1
    CONFIGURED = 2
    RUNNING = 3
    PAUSED = 4
    ENDING = 5
    STOPPING = 6
    FAILING = 7
    DONE = 8
    STOPPED = 9
    FAILED = 10
    CONFIGURE_FAILED = 11
