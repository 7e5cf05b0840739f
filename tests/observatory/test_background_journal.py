# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that hangs stops neither the event loop nor the order of writes."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.observatory.journal import BackgroundJournal
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.record import RunRecord

TIMEOUT = 60.0
"""What a test waits for at most (s)."""


class SlowFile:
    """A file on a disk that hangs until it is released."""

    path = "/journal/run.json"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.written: list[str] = []

    def check(self) -> tuple[str, ...]:
        return ("the disk hangs",)

    def write(self, record: RunRecord) -> None:
        assert self.released.wait(TIMEOUT)
        if record.reason == "full":
            raise ObservatoryError("the disk is full")
        self.written.append(record.reason)


def record(reason: str) -> RunRecord:
    return RunRecord("run", {}, reason=reason)


async def test_the_event_loop_goes_on_while_the_disk_hangs() -> None:
    file = SlowFile()
    journal = BackgroundJournal(file)
    # When records are written to a disk that hangs
    for reason in ("first", "second", "third"):
        journal.write(record(reason))
    flush = asyncio.create_task(journal.flush())
    await asyncio.sleep(0.1)
    # Then other work goes on, and who needs them to be written waits
    assert not flush.done() and file.written == []
    file.released.set()
    await asyncio.wait_for(flush, TIMEOUT)
    # And they are written in their order, each of them.
    assert file.written == ["first", "second", "third"]
    assert (journal.path, journal.check()) == ("/journal/run.json", ("the disk hangs",))


async def test_a_record_that_comes_as_the_others_are_written_does_not_disturb_the_flush() -> None:
    file = SlowFile()
    journal = BackgroundJournal(file)
    journal.write(record("first"))
    # Given another that comes after the last was written, before who waits
    # for it runs again
    (writing,) = (task for task in asyncio.all_tasks() if task.get_name() == "journal")
    writing.add_done_callback(lambda _: journal.write(record("next")))
    flush = asyncio.create_task(journal.flush())
    file.released.set()
    # Then the flush ends as ever, and the other is written as well.
    await asyncio.wait_for(flush, TIMEOUT)
    await journal.flush()
    assert file.written == ["first", "next"]


async def test_a_write_that_fails_is_known_at_the_next_flush() -> None:
    file = SlowFile()
    file.released.set()
    journal = BackgroundJournal(file)
    for reason in ("first", "full", "third"):
        journal.write(record(reason))
    with pytest.raises(ObservatoryError, match="the disk is full"):
        await journal.flush()
    assert file.written == ["first", "third"]


async def test_a_disk_that_never_answers_is_given_up() -> None:
    file = SlowFile()
    journal = BackgroundJournal(file)
    journal.FLUSH_TIMEOUT = 0.1
    journal.write(record("first"))
    with pytest.raises(ObservatoryError, match=r"not written after 0\.1 s"):
        await journal.flush()
    file.released.set()
    journal.FLUSH_TIMEOUT = TIMEOUT
    await journal.flush()


async def test_what_is_flushed_is_on_the_disk(tmp_path: Path) -> None:
    journal = BackgroundJournal(FileJournal(tmp_path, "run"))
    await journal.flush()
    journal.write(record("first"))
    journal.write(record("last"))
    await journal.flush()
    assert load_record(tmp_path, "run").reason == "last"
