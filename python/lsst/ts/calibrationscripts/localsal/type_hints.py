# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types for annotations of messages, as in ``salobj.type_hints``."""

from __future__ import annotations

__all__ = ["AckCmdDataType", "BaseMsgType"]

from typing import Any

BaseMsgType = Any
"""A message: fields differ from topic to topic."""

AckCmdDataType = Any
"""A command acknowledgement."""
