# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests themselves stand on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from leaks import no_tasks_left
from lsst.ts.calibrationscripts.observatory import sal


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("provider", sal.SalProvider)
async def test_a_task_of_ours_that_is_left_is_found_on_either_sal(
    provider: sal.SalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sal, "provider", lambda: provider)
    task = None
    with pytest.raises(AssertionError, match="tasks left running"):
        async with no_tasks_left():
            task = asyncio.create_task(forever())
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_task_of_salobj_may_end_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sal, "provider", lambda: sal.SalProvider.SALOBJ)
    async with no_tasks_left():
        # The coroutine function is that of another package.
        task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_what_tests_record_can_be_written_as_junit_xml(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    # Otherwise record_property warns with --junitxml, and warnings are errors.
    assert request.config.getini("junit_family") == "xunit1"
