# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics: the commands, events and telemetry of a SAL component."""

from .controller_command import ControllerCommand
from .controller_event import ControllerEvent
from .controller_telemetry import ControllerTelemetry
from .remote_command import RemoteCommand
from .remote_event import RemoteEvent, RemoteTelemetry

__all__ = [
    "ControllerCommand",
    "ControllerEvent",
    "ControllerTelemetry",
    "RemoteCommand",
    "RemoteEvent",
    "RemoteTelemetry",
]
