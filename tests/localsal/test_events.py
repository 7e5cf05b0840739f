# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events: queues, history, callbacks, unchanged data."""

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


async def arrived(topic: Any, job_id: str) -> None:
    await until(lambda: (data := topic.get()) is not None and data.job_id == job_id)


async def assert_empty(topic: Any) -> None:
    """Assert that the queue of a topic is empty.

    The failed wait cancels all others of the topic, and costs `SHORT`.
    """
    with pytest.raises(asyncio.TimeoutError):
        await topic.next(flush=False, timeout=SHORT)


async def test_events_queue_in_order_and_the_newest_can_be_read_again(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    assert topic.get() is None
    await publish(ocps, "a", "b", "c")
    await arrived(topic, "c")
    assert (await topic.aget(timeout=TIMEOUT)).job_id == "c"
    assert topic.get().job_id == "c"
    assert (await topic.next(flush=False, timeout=TIMEOUT)).job_id == "a"
    assert (await topic.next(flush=False, timeout=TIMEOUT)).job_id == "b"
    topic.flush()
    await assert_empty(topic)
    assert topic.get().job_id == "c"


async def test_an_event_is_seen_on_a_later_turn_of_the_loop(
    only_local: None, ocps: Any, ocps_remote: Any
) -> None:
    ocps.evt_job_result.set(job_id="a")
    writing = asyncio.create_task(ocps.evt_job_result.write())
    assert ocps_remote.evt_job_result.get() is None
    await writing
    await asyncio.sleep(0)
    assert ocps_remote.evt_job_result.get().job_id == "a"


async def test_next_waits_for_a_new_event_when_asked_to_flush(ocps: Any, ocps_remote: Any) -> None:
    topic = ocps_remote.evt_job_result
    await publish(ocps, "old")
    await arrived(topic, "old")
    waiting = asyncio.create_task(topic.next(flush=True, timeout=TIMEOUT))
    await asyncio.sleep(0)
    await publish(ocps, "new")
    assert (await waiting).job_id == "new"


async def test_a_wait_without_an_event_times_out(ocps_remote: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await ocps_remote.evt_job_result.next(flush=False, timeout=SHORT)
    with pytest.raises(asyncio.TimeoutError):
        await ocps_remote.evt_job_result.aget(timeout=SHORT)


async def test_all_that_wait_get_the_same_event(ocps: Any, ocps_remote: Any) -> None:
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
    await arrived(topic, "101")
    read = [(await topic.next(flush=False, timeout=TIMEOUT)).job_id for _ in range(100)]
    assert read == [str(number) for number in range(2, 102)]
    await assert_empty(topic)


async def test_a_remote_that_starts_later_reads_the_newest_event(ocps: Any, domain: Any) -> None:
    await publish(ocps, "a", "b")
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        assert (await remote.evt_job_result.next(flush=False, timeout=TIMEOUT)).job_id == "b"
        await assert_empty(remote.evt_job_result)
    async with salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as remote:
        assert remote.evt_job_result.get() is None


async def test_history_is_kept_for_each_index(ocps: Any, make_ocps: Any, domain: Any) -> None:
    async with make_ocps(index=2) as other:
        await publish(other, "two")
        await publish(ocps, "one")
        async with salobj.Remote(domain, "OCPS", 2) as remote:
            assert (await remote.evt_job_result.aget(timeout=TIMEOUT)).job_id == "two"
        async with salobj.Remote(domain, "OCPS", 0) as remote:
            read = [await remote.evt_job_result.next(flush=False, timeout=TIMEOUT) for _ in range(2)]
    assert {(data.salIndex, data.job_id) for data in read} == {(1, "one"), (2, "two")}


async def test_topics_of_another_name_are_not_seen(
    ocps: Any, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(ocps, "a")
    monkeypatch.setenv("LSST_TOPIC_SUBNAME", "")
    salobj.set_test_topic_subname(randomize=True)
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        assert remote.evt_job_result.get() is None
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
    with pytest.raises(RuntimeError, match="callback"):
        topic.flush()
    with pytest.raises(RuntimeError, match="callback"):
        await topic.next(flush=False)
    with pytest.raises(RuntimeError, match="callback"):
        await topic.aget()
    assert topic.get().job_id == "b"
    topic.callback = None
    await publish(ocps, "c")
    assert (await topic.next(flush=False, timeout=TIMEOUT)).job_id == "c"


async def test_a_callback_gets_every_event_of_a_burst(ocps: Any, ocps_remote: Any) -> None:
    # Given three times as many events at once as a queue keeps, to a client
    # that was busy,
    heard: list[str] = []

    async def hear(data: Any) -> None:
        heard.append(data.job_id)

    ocps_remote.evt_job_result.callback = hear
    await asyncio.gather(*(ocps.evt_job_result.set_write(job_id=str(i)) for i in range(300)))
    # then the callback hears of each, in order.
    async with asyncio.timeout(60):
        while len(heard) < 300:  # noqa: ASYNC110 - what is counted sets no event
            await asyncio.sleep(0)
    assert heard == [str(i) for i in range(300)]


async def test_a_callback_that_fails_is_logged_and_called_again(
    ocps: Any, ocps_remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    read: asyncio.Queue[str] = asyncio.Queue()

    async def callback(data: Any) -> None:
        await read.put(data.job_id)
        if data.job_id == "expected":
            raise salobj.ExpectedError("not to be logged")
        if data.job_id == "defect":
            raise ValueError("to be logged")

    ocps_remote.evt_job_result.callback = callback
    await publish(ocps, "expected", "defect", "good")
    async with asyncio.timeout(TIMEOUT):
        assert [await read.get() for _ in range(3)] == ["expected", "defect", "good"]
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 1
    assert failures[0].levelno == logging.ERROR


async def test_nothing_can_be_read_before_the_start_or_written_after_the_end(domain: Any, ocps: Any) -> None:
    remote = salobj.Remote(domain, "OCPS", 1)
    with pytest.raises(RuntimeError, match="Not started"):
        remote.evt_job_result.get()
    with pytest.raises(RuntimeError, match="Not started"):
        await remote.cmd_execute.set_start(pipeline="complete")
    await remote.start_task
    assert remote.evt_job_result.get() is None
    await remote.close()
    await ocps.close()
    with pytest.raises(RuntimeError, match="No longer open"):
        await publish(ocps, "a")


async def test_unchanged_data_is_not_written_unless_forced(ocps: Any, ocps_remote: Any) -> None:
    event = ocps.evt_job_result
    await event.set_write(job_id="a", exit_code=1)
    await event.set_write(job_id="a")
    await event.set_write(job_id=None, exit_code=1)
    await event.set_write(job_id="a", force_output=True)
    await event.set_write(exit_code=2)
    read = [await ocps_remote.evt_job_result.next(flush=False, timeout=TIMEOUT) for _ in range(3)]
    assert [(data.job_id, data.exit_code) for data in read] == [("a", 1), ("a", 1), ("a", 2)]
    await assert_empty(ocps_remote.evt_job_result)


async def test_fields_are_checked(ocps: Any) -> None:
    with pytest.raises(AttributeError, match="no fields"):
        await ocps.evt_job_result.set_write(code=1)
    with pytest.raises((TypeError, ValueError)):
        await ocps.evt_job_result.set_write(exit_code="one")


async def test_the_reader_gets_its_own_copy_of_a_message(ocps: Any, ocps_remote: Any, domain: Any) -> None:
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
    async with (
        salobj.Controller("ATSpectrograph") as controller,
        salobj.Remote(domain, "ATSpectrograph", include=["reportedFilterPosition"]) as remote,
    ):
        for _ in range(2):
            await controller.evt_reportedFilterPosition.set_write(
                focusOffset=math.nan, pointingOffsets=[math.nan, 0.1]
            )
        data = await remote.evt_reportedFilterPosition.next(flush=False, timeout=TIMEOUT)
        await assert_empty(remote.evt_reportedFilterPosition)
    # SAL sends a float as 32 bits.
    assert data.pointingOffsets[1] == pytest.approx(0.1, rel=1e-6)
    assert data.pointingOffsets[1] != 0.1


async def test_a_remote_is_checked_when_it_is_made(domain: Any) -> None:
    with pytest.raises(ValueError, match="not an indexed"):
        salobj.Remote(domain, "ATOODS", 1)
    with pytest.raises(ValueError, match="No such component"):
        salobj.Remote(domain, "NoSuchComponent")


async def test_a_topic_name_is_required(domain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSST_TOPIC_SUBNAME")
    with pytest.raises(RuntimeError, match="LSST_TOPIC_SUBNAME"):
        salobj.Remote(domain, "OCPS", 1)
