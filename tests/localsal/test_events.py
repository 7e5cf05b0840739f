# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events: queues, late joiners, callbacks, unchanged data."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
from lsst.ts.calibrationscripts.observatory.sal import salobj

TIMEOUT = 30.0
SHORT = 0.1


async def publish(ocps: Any, *job_ids: str) -> None:
    for job_id in job_ids:
        await ocps.evt_job_result.set_write(job_id=job_id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - a queue has no event to wait for
            await asyncio.sleep(0)


async def arrived(topic: Any, count: int) -> None:
    await until(lambda: topic.nqueued >= count)


async def test_events_queue_in_order_and_the_newest_is_at_hand(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    assert not topic.has_data
    assert topic.get() is None
    assert topic.get_oldest() is None
    await publish(ocps, "a", "b", "c")
    await arrived(topic, 3)
    assert topic.has_data
    assert (await topic.aget(timeout=TIMEOUT)).job_id == "c"
    assert topic.get().job_id == "c"
    assert topic.get_oldest().job_id == "a"
    assert (await topic.next(flush=False, timeout=TIMEOUT)).job_id == "b"
    topic.flush()
    assert topic.nqueued == 0
    assert topic.get().job_id == "c"


async def test_an_event_is_seen_on_a_later_turn_of_the_loop(
    only_local: None, ocps: Any, ocps_remote: Any
) -> None:
    ocps.evt_job_result.set(job_id="a")
    writing = asyncio.create_task(ocps.evt_job_result.write())
    assert not ocps_remote.evt_job_result.has_data
    await writing
    await asyncio.sleep(0)
    assert ocps_remote.evt_job_result.get().job_id == "a"


async def test_next_waits_for_a_new_event_when_told_to_flush(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    await publish(ocps, "old")
    await arrived(topic, 1)
    waiting = asyncio.create_task(topic.next(flush=True, timeout=TIMEOUT))
    await asyncio.sleep(0)
    await publish(ocps, "new")
    assert (await waiting).job_id == "new"


async def test_waiting_in_vain_times_out(ocps_remote: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await ocps_remote.evt_job_result.next(flush=False, timeout=SHORT)
    with pytest.raises(asyncio.TimeoutError):
        await ocps_remote.evt_job_result.aget(timeout=SHORT)


async def test_all_who_wait_get_the_same_event(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    waiting = [asyncio.create_task(topic.next(flush=False, timeout=TIMEOUT)) for _ in range(2)]
    await asyncio.sleep(0)
    await publish(ocps, "a")
    assert [(await task).job_id for task in waiting] == ["a", "a"]


async def test_the_timeout_of_one_waiter_cancels_the_other(ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    patient = asyncio.create_task(topic.next(flush=False, timeout=TIMEOUT))
    with pytest.raises(asyncio.TimeoutError):
        await topic.next(flush=False, timeout=SHORT)
    with pytest.raises(asyncio.CancelledError):
        await patient


async def test_a_full_queue_loses_the_oldest(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    await publish(ocps, *map(str, range(102)))
    await until(lambda: topic.has_data and topic.get().job_id == "101")
    assert topic.nqueued == 100
    assert topic.get_oldest().job_id == "2"


async def test_a_late_joiner_reads_the_newest_event(ocps: Any, domain: Any) -> None:
    await publish(ocps, "a", "b")
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        assert (await remote.evt_job_result.next(flush=False, timeout=TIMEOUT)).job_id == "b"
        assert remote.evt_job_result.nqueued == 0
    async with salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as remote:
        assert not remote.evt_job_result.has_data


async def test_history_is_kept_for_each_index(ocps: Any, make_ocps: Any, domain: Any) -> None:
    async with make_ocps(index=2) as other:
        await publish(other, "two")
        await publish(ocps, "one")
        async with salobj.Remote(domain, "OCPS", 2) as remote:
            assert (await remote.evt_job_result.aget(timeout=TIMEOUT)).job_id == "two"
        async with salobj.Remote(domain, "OCPS", 0) as remote:
            read = set()
            while (data := remote.evt_job_result.get_oldest()) is not None:
                read.add((data.salIndex, data.job_id))
    assert read == {(1, "one"), (2, "two")}


async def test_topics_of_another_name_are_not_seen(
    ocps: Any, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(ocps, "a")
    monkeypatch.setenv("LSST_TOPIC_SUBNAME", "")
    salobj.set_test_topic_subname(randomize=True)
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        assert not remote.evt_job_result.has_data
        await publish(ocps, "b")
        with pytest.raises(asyncio.TimeoutError):
            await remote.evt_job_result.next(flush=False, timeout=SHORT)


async def test_a_callback_gets_every_event_and_reserves_the_topic(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    read: asyncio.Queue[str] = asyncio.Queue()

    async def callback(data: Any) -> None:
        await read.put(data.job_id)

    topic.callback = callback
    await publish(ocps, "a", "b")
    async with asyncio.timeout(TIMEOUT):
        assert [await read.get() for _ in range(2)] == ["a", "b"]
    for forbidden in (topic.flush, topic.get_oldest):
        with pytest.raises(RuntimeError, match="callback"):
            forbidden()
    with pytest.raises(RuntimeError, match="callback"):
        await topic.next(flush=False)
    with pytest.raises(RuntimeError, match="callback"):
        await topic.aget()
    assert topic.get().job_id == "b"
    topic.callback = None
    await publish(ocps, "c")
    assert (await topic.next(flush=False, timeout=TIMEOUT)).job_id == "c"


async def test_a_callback_that_fails_is_logged_and_called_again(
    ocps: Any, ocps_remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    read: asyncio.Queue[str] = asyncio.Queue()

    async def callback(data: Any) -> None:
        await read.put(data.job_id)
        if data.job_id == "expected":
            raise salobj.ExpectedError("not worth a word")
        if data.job_id == "defect":
            raise ValueError("worth a word")

    ocps_remote.evt_job_result.callback = callback
    await publish(ocps, "expected", "defect", "good")
    async with asyncio.timeout(TIMEOUT):
        assert [await read.get() for _ in range(3)] == ["expected", "defect", "good"]
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 1
    assert failures[0].levelno == logging.ERROR


async def test_a_callback_should_be_asynchronous(ocps_remote: Any) -> None:
    with pytest.warns(DeprecationWarning, match="should be asynchronous"):
        ocps_remote.evt_job_result.callback = print
    with pytest.raises(TypeError, match="not callable"):
        ocps_remote.evt_job_result.callback = "print"


async def test_nothing_can_be_read_before_the_start_or_written_after_the_end(domain: Any, ocps: Any) -> None:
    remote = salobj.Remote(domain, "OCPS", 1, start=False)
    with pytest.raises(RuntimeError, match="Not started"):
        remote.evt_job_result.get()
    with pytest.raises(RuntimeError, match="Not started"):
        await remote.cmd_execute.set_start(pipeline="complete")
    await remote.start()
    assert remote.evt_job_result.get() is None
    await remote.close()
    await ocps.close()
    with pytest.raises(RuntimeError, match="No longer open"):
        await publish(ocps, "a")


async def test_unchanged_data_is_not_written_unless_forced(ocps: Any, ocps_remote: Any) -> None:
    event = ocps.evt_job_result
    results = [
        await event.set_write(job_id="a", exit_code=1),
        await event.set_write(job_id="a"),
        await event.set_write(job_id=None, exit_code=1),
        await event.set_write(job_id="a", force_output=True),
        await event.set_write(exit_code=2),
    ]
    assert [result.was_written for result in results] == [True, False, False, True, True]
    assert [result.did_change for result in results] == [True, False, False, False, True]
    await arrived(ocps_remote.evt_job_result, 3)
    assert results[-1].data.job_id == "a"


async def test_fields_are_checked(ocps: Any) -> None:
    with pytest.raises(AttributeError, match="no fields"):
        await ocps.evt_job_result.set_write(code=1)
    with pytest.raises((TypeError, ValueError)):
        await ocps.evt_job_result.set_write(exit_code="one")
    with pytest.raises(TypeError):
        ocps.evt_job_result.data = object()


async def test_the_reader_gets_a_message_of_its_own(ocps: Any, ocps_remote: Any, domain: Any) -> None:
    await publish(ocps, "a")
    async with salobj.Remote(domain, "OCPS", 1) as other:
        mine = await other.evt_job_result.aget(timeout=TIMEOUT)
        theirs = await ocps_remote.evt_job_result.aget(timeout=TIMEOUT)
        mine.job_id = "changed"
        assert theirs.job_id == ocps.evt_job_result.data.job_id == "a"
    assert theirs.private_identity == "OCPS:1"
    assert theirs.salIndex == 1
    assert theirs.private_origin == ocps.domain.origin
    assert theirs.private_rcvStamp >= theirs.private_sndStamp


async def test_not_a_number_equals_itself(topics: None, domain: Any) -> None:
    async with salobj.Controller("ATSpectrograph") as controller:
        event = controller.evt_reportedFilterPosition
        await event.set_write(focusOffset=math.nan, pointingOffsets=[math.nan, 0.1])
        result = await event.set_write(focusOffset=math.nan, pointingOffsets=[math.nan, 0.1])
        assert not result.was_written
        async with salobj.Remote(domain, "ATSpectrograph") as remote:
            data = await remote.evt_reportedFilterPosition.aget(timeout=TIMEOUT)
    # SAL sends a float as 32 bits.
    assert data.pointingOffsets[1] == pytest.approx(0.1, rel=1e-6)
    assert data.pointingOffsets[1] != 0.1


async def test_a_remote_is_checked_when_it_is_made(domain: Any) -> None:
    with pytest.raises(ValueError, match="include and exclude"):
        salobj.Remote(domain, "OCPS", 1, include=["job_result"], exclude=["heartbeat"])
    with pytest.raises(ValueError, match="not an indexed"):
        salobj.Remote(domain, "ATOODS", 1)
    with pytest.raises(ValueError, match="No such component"):
        salobj.Remote(domain, "NoSuchComponent")
    with pytest.raises(TypeError, match="domain"):
        salobj.Remote(None, "ATOODS")
    with pytest.raises(TypeError, match="index"):
        salobj.Remote(domain, "OCPS", "1")
    with pytest.raises((ValueError, RuntimeError)):
        salobj.Remote(domain, "OCPS", 1, evt_max_history=-1)
    async with salobj.Remote(domain, "OCPS", 1, exclude=["heartbeat"]) as remote:
        assert not hasattr(remote, "evt_heartbeat")
        assert hasattr(remote, "evt_job_result")
        with pytest.raises(RuntimeError, match="already called"):
            await remote.start()


async def test_a_topic_name_is_required(domain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSST_TOPIC_SUBNAME")
    with pytest.raises(RuntimeError, match="LSST_TOPIC_SUBNAME"):
        salobj.Remote(domain, "OCPS", 1)
