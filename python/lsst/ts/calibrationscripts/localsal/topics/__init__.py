# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics: the commands, events and acknowledgements of a SAL component."""

from .base_topic import BaseTopic
from .controller_command import ControllerCommand
from .controller_event import ControllerEvent
from .read_topic import ReadTopic
from .remote_command import CommandInfo, RemoteCommand
from .remote_event import RemoteEvent
from .write_topic import SetWriteResult, WriteTopic

__all__ = [
    "BaseTopic",
    "CommandInfo",
    "ControllerCommand",
    "ControllerEvent",
    "ReadTopic",
    "RemoteCommand",
    "RemoteEvent",
    "SetWriteResult",
    "WriteTopic",
]
