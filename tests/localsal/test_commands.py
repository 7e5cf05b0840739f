# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and their acknowledgements."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsst.ts.calibrationscripts.observatory.sal import salobj

TIMEOUT = 30.0
SHORT = 0.1


async def test_a_command_that_works_is_acknowledged_complete(ocps_remote: Any) -> None:
    ackcmd = await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
    assert ackcmd.ack == salobj.SalRetCode.CMD_COMPLETE


@pytest.mark.parametrize(
    ("pipeline", "code", "result"),
    [
        ("refuse", salobj.SalRetCode.CMD_FAILED, "Failed: unknown pipeline"),
        ("crash", salobj.SalRetCode.CMD_FAILED, "Failed: a defect"),
        ("time_out", salobj.SalRetCode.CMD_TIMEOUT, "Timeout"),
        ("cancel", salobj.SalRetCode.CMD_ABORTED, "Aborted"),
    ],
)
async def test_what_a_command_raises_reaches_its_sender(
    ocps_remote: Any, pipeline: str, code: Any, result: str
) -> None:
    with pytest.raises(salobj.AckError) as failure:
        await ocps_remote.cmd_execute.set_start(pipeline=pipeline, timeout=TIMEOUT)
    assert not isinstance(failure.value, salobj.AckTimeoutError)
    assert failure.value.ackcmd.ack == code
    assert failure.value.ackcmd.error != 0
    assert failure.value.ackcmd.result == result
    assert result in str(failure.value)
    # The component still accepts commands.
    assert (await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)).error == 0


async def test_without_a_component_there_is_no_acknowledgement(domain: Any) -> None:
    async with salobj.Remote(domain, "OCPS", 2) as remote:
        with pytest.raises(salobj.AckTimeoutError) as failure:
            await remote.cmd_execute.set_start(timeout=SHORT)
    assert failure.value.ackcmd.ack == salobj.SalRetCode.CMD_NOACK


async def test_the_first_acknowledgement_is_the_handlers_own_in_progress(ocps: Any, ocps_remote: Any) -> None:
    ackcmd = await ocps_remote.cmd_execute.set_start(pipeline="job", wait_done=False, timeout=TIMEOUT)
    assert ackcmd.ack == salobj.SalRetCode.CMD_INPROGRESS
    assert ackcmd.result == '{"job_id": "1"}'
    done = asyncio.create_task(ocps_remote.cmd_execute.next_ackcmd(ackcmd, timeout=TIMEOUT))
    await asyncio.sleep(0)
    ocps.release.set()
    assert (await done).ack == salobj.SalRetCode.CMD_COMPLETE


async def test_in_progress_extends_the_time_limit(ocps: Any, ocps_remote: Any) -> None:
    running = asyncio.create_task(ocps_remote.cmd_execute.set_start(pipeline="job", timeout=5 * SHORT))
    await asyncio.sleep(6 * SHORT)
    assert not running.done()
    ocps.release.set()
    assert (await running).ack == salobj.SalRetCode.CMD_COMPLETE


async def test_a_late_acknowledgement_shows_the_last_one_seen(ocps: Any, ocps_remote: Any) -> None:
    first = await ocps_remote.cmd_execute.set_start(pipeline="job", wait_done=False, timeout=TIMEOUT)
    with pytest.raises(salobj.AckTimeoutError) as failure:
        await ocps_remote.cmd_execute.next_ackcmd(first, timeout=SHORT)
    assert failure.value.ackcmd.ack == salobj.SalRetCode.CMD_INPROGRESS
    with pytest.raises(RuntimeError, match="unknown or finished"):
        await ocps_remote.cmd_execute.next_ackcmd(first, timeout=SHORT)
    ocps.release.set()


async def test_a_finished_command_is_unknown(ocps_remote: Any) -> None:
    ackcmd = await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
    with pytest.raises(RuntimeError, match="unknown or finished"):
        await ocps_remote.cmd_execute.next_ackcmd(ackcmd, timeout=SHORT)


async def test_commands_of_one_kind_run_one_after_the_other(ocps: Any, ocps_remote: Any) -> None:
    first = asyncio.create_task(ocps_remote.cmd_execute.set_start(pipeline="wait", timeout=TIMEOUT))
    # Kafka may deliver two commands that are sent together in either order.
    await asyncio.wait_for(ocps.waiting.wait(), timeout=TIMEOUT)
    second = asyncio.create_task(ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT))
    await asyncio.sleep(SHORT)
    assert ocps.executed == ["wait"]
    ocps.release.set()
    await asyncio.gather(first, second)
    assert ocps.executed == ["wait", "complete"]


async def test_commands_run_at_once_where_that_is_allowed(ocps: Any, ocps_remote: Any) -> None:
    ocps.cmd_execute.allow_multiple_callbacks = True
    first = asyncio.create_task(ocps_remote.cmd_execute.set_start(pipeline="wait", timeout=TIMEOUT))
    await asyncio.wait_for(ocps.waiting.wait(), timeout=TIMEOUT)
    await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
    assert not first.done()
    ocps.release.set()
    await first


async def test_each_sender_gets_its_own_acknowledgements(ocps: Any, ocps_remote: Any) -> None:
    async with salobj.Domain() as other_domain, salobj.Remote(other_domain, "OCPS", 1) as other:
        with pytest.raises(salobj.AckError):
            await other.cmd_execute.set_start(pipeline="refuse", timeout=TIMEOUT)
        ackcmd = await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
        assert ackcmd.ack == salobj.SalRetCode.CMD_COMPLETE


async def test_a_command_reaches_only_its_index(ocps: Any, ocps_remote: Any, make_ocps: Any) -> None:
    async with make_ocps(index=2) as other:
        await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
        assert (ocps.executed, other.executed) == (["complete"], [])


async def test_each_command_starts_without_the_fields_of_the_last(ocps: Any, ocps_remote: Any) -> None:
    await ocps_remote.cmd_execute.set_start(pipeline="complete", version="v1", timeout=TIMEOUT)
    await ocps_remote.cmd_execute.set_start(pipeline="complete", timeout=TIMEOUT)
    assert ocps_remote.cmd_execute.data.version == ""
    assert ocps.executed == ["complete", "complete"]


async def test_wrong_fields_and_types_are_rejected(ocps_remote: Any) -> None:
    with pytest.raises(AttributeError, match="no fields"):
        await ocps_remote.cmd_execute.set_start(pipelin="complete")
    with pytest.raises((TypeError, ValueError)):
        await ocps_remote.cmd_execute.set_start(pipeline=3, timeout=SHORT)


async def test_closing_ends_the_wait_for_an_acknowledgement(ocps: Any, domain: Any) -> None:
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        waiting = asyncio.create_task(remote.cmd_execute.set_start(pipeline="wait", timeout=TIMEOUT))
        await asyncio.wait_for(ocps.waiting.wait(), timeout=TIMEOUT)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(RuntimeError, match="No longer open"):
        await remote.cmd_execute.set_start(pipeline="complete")
    ocps.release.set()


async def test_a_read_only_remote_has_no_commands(domain: Any) -> None:
    async with salobj.Remote(domain, "OCPS", 1, readonly=True, include=["job_result", "unknown"]) as remote:
        names = [name for name in dir(remote) if name.startswith(("cmd_", "evt_"))]
    assert names == ["evt_job_result"]
