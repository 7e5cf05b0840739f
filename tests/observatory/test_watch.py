# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of a component ends the wait for it at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.ports import ComponentLostError
from lsst.ts.calibrationscripts.simulation.cscs import SimulatedCsc

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

SHORT = 0.5
"""Silence after which a component is lost, where a test is about that (s)."""

TOPICS = ["summaryState", "errorCode", "heartbeat"]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ComponentWatch, "POLL_INTERVAL", 0.02)


@pytest_asyncio.fixture
async def csc(topics: None) -> AsyncIterator[SimulatedCsc]:
    async with SimulatedCsc("ATHeaderService") as csc:
        yield csc


@pytest_asyncio.fixture
async def remote(domain: Any, csc: SimulatedCsc) -> AsyncIterator[Any]:
    async with salobj.Remote(domain, "ATHeaderService", include=TOPICS) as remote:
        await remote.evt_summaryState.aget(timeout=TIMEOUT)
        await remote.evt_heartbeat.aget(timeout=TIMEOUT)
        yield remote


class Work:
    """Something to wait for, which notes how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.end = ""

    async def do(self) -> str:
        self.begun.set()
        try:
            await asyncio.wait_for(self.may_end.wait(), TIMEOUT)
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise
        self.end = "done"
        return "result"


def fall_silent(csc: Any) -> None:
    # The pause that the loop is in ends with one more heartbeat.
    csc.heartbeat_interval = TIMEOUT


async def test_a_component_that_is_well_has_nothing_to_tell(remote: Any) -> None:
    watch = ComponentWatch([remote])
    assert watch.describe("ATHeaderService") == ""
    assert await watch.check(["ATHeaderService"]) == ()


async def test_work_ends_as_it_would_alone(remote: Any) -> None:
    watch = ComponentWatch([remote])
    work = Work()
    work.may_end.set()
    assert await watch.guard("ATHeaderService", work.do()) == "result"

    async def fail() -> None:
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        await watch.guard("ATHeaderService", fail())


async def test_a_fault_ends_the_wait_and_the_work(csc: SimulatedCsc, remote: Any) -> None:
    watch = ComponentWatch([remote])
    work = Work()
    guarded = asyncio.create_task(watch.guard("ATHeaderService", work.do()))
    await work.begun.wait()
    await csc.fault(code=5510, report="shutter stuck")
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ComponentLostError) as error:
            await guarded
    assert str(error.value) == "ATHeaderService went to FAULT (error 5510: shutter stuck)"
    assert work.end == "cancelled"


async def test_who_is_lost_already_is_not_asked_for_work(csc: SimulatedCsc, remote: Any) -> None:
    watch = ComponentWatch([remote])
    await leave_enabled(remote)
    work = Work()
    with pytest.raises(ComponentLostError, match="ATHeaderService went to DISABLED"):
        await watch.guard("ATHeaderService", work.do())
    assert not work.begun.is_set()


async def test_silence_ends_the_wait_and_the_work(csc: SimulatedCsc, remote: Any) -> None:
    # Given a component that dies in silence: its last state is ENABLED.
    fall_silent(csc)
    await remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    watch = ComponentWatch([remote], heartbeat_timeout=SHORT)
    work = Work()
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(ComponentLostError, match=r"no heartbeat of ATHeaderService for \d+ s"):
            await watch.guard("ATHeaderService", work.do())
    assert work.end == "cancelled"


async def test_heartbeats_keep_the_wait_going(csc: SimulatedCsc, remote: Any) -> None:
    csc.heartbeat_interval = SHORT / 10
    await remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    watch = ComponentWatch([remote], heartbeat_timeout=SHORT)
    guarded = asyncio.create_task(watch.guard("ATHeaderService", (work := Work()).do()))
    # After more of them than would fit into the silence that is allowed.
    for _ in range(20):
        await remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    work.may_end.set()
    assert await guarded == "result"


async def test_a_stop_reaches_the_work(remote: Any) -> None:
    work = Work()
    guarded = asyncio.create_task(ComponentWatch([remote]).guard("ATHeaderService", work.do()))
    await work.begun.wait()
    guarded.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarded
    assert work.end == "cancelled"


async def test_who_only_looks_on_learns_what_happened_meanwhile(csc: SimulatedCsc, remote: Any) -> None:
    watch = ComponentWatch([remote])
    watched = asyncio.create_task(watch.observe("ATHeaderService", (work := Work()).do()))
    # Given a component that left ENABLED and is back before the work ends.
    await leave_enabled(remote)
    await asyncio.sleep(10 * ComponentWatch.POLL_INTERVAL)
    await remote.cmd_enable.start(timeout=TIMEOUT)
    work.may_end.set()
    assert await watched == ("result", "ATHeaderService went to DISABLED")


async def test_a_component_may_come_back(csc: SimulatedCsc, remote: Any) -> None:
    watch = ComponentWatch([remote])
    await leave_enabled(remote)
    assert not await watch.wait_enabled("ATHeaderService", timeout=0.1)
    waiting = asyncio.create_task(watch.wait_enabled("ATHeaderService", timeout=TIMEOUT))
    await remote.cmd_enable.start(timeout=TIMEOUT)
    assert await waiting


async def test_only_a_new_heartbeat_shows_that_it_is_back(csc: SimulatedCsc, remote: Any) -> None:
    # Given one whose heartbeat came a moment ago, and stops.
    fall_silent(csc)
    await remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    watch = ComponentWatch([remote])
    assert watch.describe("ATHeaderService") == ""
    assert not await watch.wait_enabled("ATHeaderService", timeout=SHORT)


async def test_history_does_not_pass_for_a_heartbeat(csc: SimulatedCsc, domain: Any) -> None:
    # Given a component that died before anybody asked for it.
    fall_silent(csc)
    async with salobj.Remote(domain, "ATHeaderService", include=TOPICS) as witness:
        await witness.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
    await asyncio.sleep(SHORT)
    async with salobj.Remote(domain, "ATHeaderService", include=TOPICS) as remote:
        await remote.evt_summaryState.aget(timeout=TIMEOUT)
        watch = ComponentWatch([remote], heartbeat_timeout=SHORT / 2)
        assert "no heartbeat" in watch.describe("ATHeaderService")
        (problem,) = await watch.check(["ATHeaderService"])
        assert problem.startswith("no heartbeat of ATHeaderService for ")


async def test_a_component_that_never_was_there_is_silent(domain: Any) -> None:
    async with salobj.Remote(domain, "OCPS", 1, include=TOPICS) as remote:
        watch = ComponentWatch([remote], heartbeat_timeout=0.1)
        assert not await watch.wait_enabled("OCPS:1", timeout=0.2)
        assert watch.describe("OCPS:1").startswith("no heartbeat of OCPS:1 for ")


async def leave_enabled(remote: Any) -> None:
    await remote.cmd_disable.start(timeout=TIMEOUT)
    async with asyncio.timeout(TIMEOUT):
        while remote.evt_summaryState.get().summaryState != salobj.State.DISABLED:
            await remote.evt_summaryState.next(flush=False, timeout=TIMEOUT)
