# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topics: the commands and events of a SAL component."""

from .controller_command import ControllerCommand
from .controller_event import ControllerEvent
from .remote_command import RemoteCommand
from .remote_event import RemoteEvent

__all__ = ["ControllerCommand", "ControllerEvent", "RemoteCommand", "RemoteEvent"]
