# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what a component reports."""

from __future__ import annotations

import asyncio
from typing import Any

TIMEOUT = 30.0


async def reported(event: Any, **expected: Any) -> None:
    """Read an event until it says this, maybe after an acknowledgement."""
    data = await event.aget(timeout=TIMEOUT)
    async with asyncio.timeout(TIMEOUT):
        while {name: getattr(data, name) for name in expected} != expected:
            data = await event.next(flush=False)
