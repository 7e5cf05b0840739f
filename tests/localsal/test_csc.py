# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers and CSCs: commands, summary state, faults, the log."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from lsst.ts.calibrationscripts.observatory.sal import salobj

TIMEOUT = 30.0
State = salobj.State


class SmallCsc(salobj.BaseCsc):
    """A CSC with the commands that every CSC has, and no others."""

    version = "1.2"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("ATOODS", **kwargs)


async def test_a_csc_changes_state_by_command(topics: None, domain: Any) -> None:
    async with SmallCsc() as csc, salobj.Remote(domain, "ATOODS") as remote:
        states = [(await remote.evt_summaryState.next(flush=False, timeout=TIMEOUT)).summaryState]
        for command in ("start", "enable", "disable", "standby"):
            await getattr(remote, f"cmd_{command}").start(timeout=TIMEOUT)
            data = await remote.evt_summaryState.next(flush=False, timeout=TIMEOUT)
            states.append(data.summaryState)
        assert csc.summary_state == State.STANDBY
    assert states == [State.STANDBY, State.DISABLED, State.ENABLED, State.DISABLED, State.STANDBY]


async def test_a_csc_starts_in_its_initial_state(topics: None, domain: Any) -> None:
    async with SmallCsc(initial_state=State.ENABLED) as csc, salobj.Remote(domain, "ATOODS") as remote:
        assert csc.summary_state == State.ENABLED
        assert (await remote.evt_summaryState.aget(timeout=TIMEOUT)).summaryState == State.ENABLED


async def test_a_command_that_the_state_does_not_allow_is_rejected(topics: None, domain: Any) -> None:
    async with SmallCsc() as csc, salobj.Remote(domain, "ATOODS") as remote:
        with pytest.raises(salobj.AckError, match="enable not allowed in state"):
            await remote.cmd_enable.start(timeout=TIMEOUT)
        assert csc.summary_state == State.STANDBY


async def test_a_fault_says_why_and_standby_clears_it(ocps: Any, ocps_remote: Any) -> None:
    before = await ocps_remote.evt_errorCode.next(flush=False, timeout=TIMEOUT)
    assert before.errorCode == 0
    await ocps.fault(code=5, report="on fire")
    error = await ocps_remote.evt_errorCode.next(flush=False, timeout=TIMEOUT)
    assert (error.errorCode, error.errorReport) == (5, "on fire")
    async with asyncio.timeout(TIMEOUT):
        while (await ocps_remote.evt_summaryState.next(flush=False)).summaryState != State.FAULT:
            pass
    with pytest.raises(salobj.AckError, match=r"execute not allowed in Fault state: errorCode=5.*on fire"):
        await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
    await ocps_remote.cmd_standby.start(timeout=TIMEOUT)
    cleared = await ocps_remote.evt_errorCode.next(flush=False, timeout=TIMEOUT)
    assert cleared.errorCode == 0
    with pytest.raises(salobj.ExpectedError, match=r"Not allowed in state=<State\.STANDBY"):
        ocps.assert_enabled()


async def test_heartbeats_are_written_at_an_interval(ocps: Any, ocps_remote: Any) -> None:
    assert ocps.heartbeat_interval == 1
    ocps.heartbeat_interval = 0.05
    for _ in range(3):
        await ocps_remote.evt_heartbeat.next(flush=True, timeout=TIMEOUT)


async def test_every_command_needs_a_method(topics: None) -> None:
    class Incomplete(salobj.BaseCsc):
        version = "?"

    class Surplus(salobj.BaseCsc):
        version = "?"

        async def do_nothing(self, data: Any) -> None: ...

    class Unversioned(salobj.BaseCsc): ...

    with pytest.raises(TypeError, match="must add do_abort_job, do_execute methods"):
        Incomplete("OCPS", 1)
    with pytest.raises(TypeError, match="must remove do_nothing methods"):
        Surplus("ATOODS")
    with pytest.raises(RuntimeError, match="version"):
        Unversioned("ATOODS")
    with pytest.raises(ValueError, match="cannot be FAULT"):
        Surplus("ATOODS", initial_state=State.FAULT)


async def test_missing_methods_may_be_allowed(domain: Any) -> None:
    class Incomplete(salobj.BaseCsc):
        version = "?"

    async with (
        Incomplete("OCPS", 1, allow_missing_callbacks=True),
        salobj.Remote(domain, "OCPS", 1) as remote,
    ):
        with pytest.raises(salobj.AckError, match="not supported"):
            await remote.cmd_execute.start(timeout=TIMEOUT)


async def test_a_failed_start_closes_the_csc(topics: None) -> None:
    class Failing(SmallCsc):
        async def start(self) -> None:
            await super().start()
            raise salobj.ExpectedError("no hardware")

    csc = Failing()
    with pytest.raises(salobj.ExpectedError, match="no hardware"):
        await asyncio.wait_for(csc.done_task, timeout=TIMEOUT)
    assert not csc.isopen


async def test_closing_twice_waits_for_the_first(topics: None) -> None:
    csc = SmallCsc()
    await asyncio.gather(csc.close(), csc.close())
    assert csc.done_task.done()


async def warnings(remote: Any, count: int) -> list[Any]:
    """Read warnings and errors; salobj informs about itself meanwhile."""
    read: list[Any] = []
    async with asyncio.timeout(TIMEOUT):
        while len(read) < count:
            data = await remote.evt_logMessage.next(flush=False)
            if data.level >= logging.WARNING:
                read.append(data)
    return read


async def test_log_records_are_events_and_repetitions_are_not(ocps: Any, ocps_remote: Any) -> None:
    child = ocps.log.getChild("Part")
    for text in ("one", "one", "two", "one"):
        child.warning(text)
    try:
        raise ValueError("a defect")
    except ValueError:
        child.exception("failed")
    read = await warnings(ocps_remote, 4)
    assert [data.message for data in read] == ["one", "two", "one", "failed"]
    assert read[0].level == logging.WARNING
    assert read[0].name.endswith("OCPS.Part")
    assert read[0].functionName == "test_log_records_are_events_and_repetitions_are_not"
    assert read[0].traceback == ""
    assert "ValueError: a defect" in read[-1].traceback


async def test_threads_may_log(ocps: Any, ocps_remote: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, ocps.log.warning, "from a thread")
    assert (await warnings(ocps_remote, 1))[0].message == "from a thread"
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_signal_ends_every_controller(
    only_local: None, topics: None, make_ocps: Callable[..., Any]
) -> None:
    old_handler = signal.getsignal(signal.SIGTERM)
    async with make_ocps(1) as one, make_ocps(2) as two:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(one.done_task, two.done_task), timeout=TIMEOUT)
        await one.close()
        assert signal.getsignal(signal.SIGTERM) is not old_handler
    assert signal.getsignal(signal.SIGTERM) is old_handler


def test_outside_the_main_thread_there_are_no_signals(
    only_local: None, topics: None, make_ocps: Callable[..., Any]
) -> None:
    done = []

    async def command() -> None:
        async with make_ocps(1), salobj.Domain() as domain, salobj.Remote(domain, "OCPS", 1) as remote:
            await remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
            done.append(True)

    thread = threading.Thread(target=asyncio.run, args=(command(),))
    thread.start()
    thread.join(TIMEOUT)
    assert done == [True]


async def test_two_event_loops_can_exchange_commands(
    only_local: None, ocps_remote: Any, make_ocps: Callable[..., Any]
) -> None:
    asked = threading.Event()

    async def ask() -> Any:
        async with salobj.Domain() as domain, salobj.Remote(domain, "OCPS", 1) as remote:
            asked.set()
            return await remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)

    ackcmd = await asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(ask()))
    assert asked.is_set()
    assert ackcmd.ack == salobj.SalRetCode.CMD_COMPLETE
    await asyncio.get_running_loop().shutdown_default_executor()
