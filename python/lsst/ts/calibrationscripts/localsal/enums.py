# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enumerations of SAL and of the Script component.

Names and values are those of ``lsst.ts.xml.sal_enums`` and
``lsst.ts.xml.enums.Script``.
"""

from __future__ import annotations

__all__ = ["MetadataCoordSys", "MetadataDome", "MetadataRotSys", "SalRetCode", "ScriptState", "State"]

import enum


class SalRetCode(enum.IntEnum):
    """Codes of a command acknowledgement."""

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


class MetadataCoordSys(enum.IntEnum):
    """Field ``coordinateSystem`` of the script's metadata event."""

    NONE = 1
    ICRS = 2
    OBSERVED = 3
    MOUNT = 4


class MetadataRotSys(enum.IntEnum):
    """Field ``rotationSystem`` of the script's metadata event."""

    NONE = 1
    SKY = 2
    HORIZON = 3
    MOUNT = 4


class MetadataDome(enum.IntEnum):
    """Field ``dome`` of the script's metadata event."""

    CLOSED = 1
    OPEN = 2
    EITHER = 3
