# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check that nothing is left running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lsst.ts.calibrationscripts.observatory import sal


@contextlib.asynccontextmanager
async def no_tasks_left() -> AsyncIterator[None]:
    """Fail where asyncio tasks are left running.

    Not on real salobj, which leaves its own to end by themselves.
    """
    before = asyncio.all_tasks()
    yield
    if sal.provider() is not sal.SalProvider.LOCAL:
        return
    for _ in range(3):
        await asyncio.sleep(0)
    leaked = {task for task in asyncio.all_tasks() - before if not task.done()}
    leaked.discard(asyncio.current_task())
    assert not leaked, f"tasks left running: {leaked}"
