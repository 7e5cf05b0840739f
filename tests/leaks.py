# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check that nothing is left running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import lsst.ts.calibrationscripts
from lsst.ts.calibrationscripts.observatory import sal

_OURS = (Path(__file__).parent, Path(lsst.ts.calibrationscripts.__file__).parent)


@contextlib.asynccontextmanager
async def no_tasks_left() -> AsyncIterator[None]:
    """Fail where asyncio tasks are left running.

    On real salobj only those whose coroutine is of this package or of its
    tests: salobj leaves some of its own to end by themselves, and nothing
    shows which of its tasks that run a callback of ours are among them.
    """
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    leaked = {task for task in asyncio.all_tasks() - before if not task.done()}
    leaked.discard(asyncio.current_task())
    if sal.provider() is not sal.SalProvider.LOCAL:
        leaked = set(filter(_is_ours, leaked))
        if leaked:
            # What ends with a connection ends some moments after it.
            _, leaked = await asyncio.wait(leaked, timeout=2.0)
    assert not leaked, f"tasks left running: {leaked}"


def _is_ours(task: asyncio.Task[Any]) -> bool:
    """Return whether a task runs a coroutine function of this repository."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and any(Path(code.co_filename).is_relative_to(folder) for folder in _OURS)
