# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pause of this process is its own: no component is blamed for it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.pauses import Pauses
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.ports import ComponentLostError
from lsst.ts.calibrationscripts.simulation.cscs import SimulatedCsc

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

PAUSE = 2.5
"""How long this process does nothing (s)."""


def pause(duration: float = PAUSE) -> None:
    """Stop the event loop, as SIGSTOP or a disk that hangs."""
    time.sleep(duration)


async def test_a_pause_does_not_count_as_time() -> None:
    pauses = Pauses()
    begin, awake = asyncio.get_running_loop().time(), pauses.awake()
    pause()
    # Neither before the clock was looked at again, nor after.
    assert pauses.awake() - awake < 0.5
    await asyncio.sleep(0.3)
    assert pauses.awake() - awake < 1.0
    assert asyncio.get_running_loop().time() - begin > PAUSE


async def test_busy_moments_are_not_pauses() -> None:
    pauses = Pauses()
    begin, awake = asyncio.get_running_loop().time(), pauses.awake()
    for _ in range(3):
        pause(0.5)
        await asyncio.sleep(0.3)
    passed = asyncio.get_running_loop().time() - begin
    assert pauses.awake() - awake == pytest.approx(passed, abs=0.01)


async def test_a_pause_extends_the_time_limits_of_others() -> None:
    pauses = Pauses()
    async with pauses.timeout(PAUSE - 0.5):
        await asyncio.sleep(0)
        pause()
        await asyncio.sleep(0.5)


async def test_a_time_limit_without_a_pause_is_kept() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMEOUT), Pauses().timeout(0.1):
            await asyncio.Event().wait()


async def test_a_long_pause_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsst.ts.calibrationscripts.observatory.pauses._WORTH_REPORTING", PAUSE - 1)
    texts: list[str] = []
    pauses = Pauses(texts.append)
    await asyncio.sleep(0.3)
    pause()
    await asyncio.sleep(0.3)
    (text,) = texts
    assert text.startswith("This process was paused for ") and "No component is blamed" in text
    assert pauses.awake() < asyncio.get_running_loop().time()


async def test_nothing_is_looked_at_for_what_is_gone() -> None:
    calls: list[str] = []
    pauses = Pauses(calls.append)
    pauses.look = lambda: calls.append("look")  # type: ignore[method-assign]
    await asyncio.sleep(0.3)
    assert calls
    del pauses
    gc.collect()
    calls.clear()
    await asyncio.sleep(0.6)
    assert calls == []


@pytest_asyncio.fixture
async def csc(topics: None) -> AsyncIterator[SimulatedCsc]:
    async with SimulatedCsc("ATHeaderService") as csc:
        yield csc


@pytest_asyncio.fixture
async def remote(domain: Any, csc: SimulatedCsc) -> AsyncIterator[Any]:
    topics = ["summaryState", "errorCode", "heartbeat"]
    async with salobj.Remote(domain, "ATHeaderService", include=topics) as remote:
        await remote.evt_summaryState.aget(timeout=TIMEOUT)
        await remote.evt_heartbeat.aget(timeout=TIMEOUT)
        yield remote


async def test_a_component_is_not_blamed_for_a_pause_of_this_process(remote: Any) -> None:
    # Given a component that is well, and less patience than the pause.
    watch = ComponentWatch([remote], heartbeat_timeout=PAUSE - 0.5)

    async def work() -> str:
        await asyncio.sleep(0.5)
        pause()
        await asyncio.sleep(1.0)
        return "done"

    # Then its work goes on to its end.
    assert await watch.guard("ATHeaderService", work()) == "done"


async def test_a_component_that_died_in_the_pause_is_still_found(remote: Any, csc: SimulatedCsc) -> None:
    csc.heartbeat_interval = TIMEOUT
    await remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    watch = ComponentWatch([remote], heartbeat_timeout=1.0)

    async def work() -> None:
        pause()
        await asyncio.Event().wait()

    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ComponentLostError, match="no heartbeat of ATHeaderService"):
            await watch.guard("ATHeaderService", work())


STOPPED = """
import asyncio
from lsst.ts.calibrationscripts.observatory import sal
sal.use(sal.SalProvider.LOCAL)
from lsst.ts.calibrationscripts.observatory.pauses import Pauses

async def main():
    pauses = Pauses()
    loop = asyncio.get_running_loop()
    begin, awake = loop.time(), pauses.awake()
    print("ready", flush=True)
    async with pauses.timeout(3.0):
        while loop.time() - begin < 4.0:
            await asyncio.sleep(0.1)
    print(f"{pauses.awake() - awake:.1f} of {loop.time() - begin:.1f}")

asyncio.run(main())
"""


def test_a_process_that_was_stopped_knows_it() -> None:
    # Given a process with a limit of 3 s that is stopped for 4 s.
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.5)
        os.kill(program.pid, signal.SIGSTOP)
        time.sleep(4.0)
        os.kill(program.pid, signal.SIGCONT)
        text, _ = program.communicate(timeout=TIMEOUT)
    # Then only the rest has counted.
    assert program.returncode == 0
    awake, passed = map(float, text.split(" of "))
    assert passed > 4.0 and awake < 3.0
