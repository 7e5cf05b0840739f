# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the journal of a run is, and that a write is whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.codec import change_text, record_text, to_json
from lsst.ts.calibrationscripts.files import journal as journal_module
from lsst.ts.calibrationscripts.files.index import RunIndex
from lsst.ts.calibrationscripts.files.journal import (
    FileJournal,
    journal_folder,
    load_record,
    newest_run,
    run_lock,
)
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.record import Frame, RunRecord, Span
from named import BIAS, stage

RUN_ID = "20261123T053300-100001"
BEGUN = RunRecord(RUN_ID, {"n_bias": 3, "repo": "/repo/LATISS"})
FIRST = 2026112300000


def file_in(folder: Path) -> Path:
    return folder / f"{RUN_ID}.journal.json"


def asked(record: RunRecord, number: int) -> RunRecord:
    return record.with_frame(Frame(BIAS, number, f"group#{number}"))


def taken(record: RunRecord, number: int) -> RunRecord:
    noted = record.with_frame(Frame(BIAS, number, f"group#{number}", FIRST + number))
    span = Span(stage("expose BIAS"), float(number), number + 1.0, f"BIAS {number}/9, 0 s")
    return replace(noted, timeline=(*record.timeline, span))


def ended(record: RunRecord, number: int) -> RunRecord:
    """A stage begins before its frames, and ends after them."""
    span = Span(stage("expose BIAS"), 0.0, 9.0, outcome=Outcome.PASSED)
    noted = record.with_result(StageResult(stage("verify BIAS"), Outcome.PASSED, f"{number}\n\u00e9"))
    return replace(noted, timeline=(span, *record.timeline))


def certified(record: RunRecord, number: int) -> RunRecord:
    one = Certification("bias", f"u/ocps/a{number}", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
    return replace(record, certifications=(*record.certifications, one), notified=("BIAS",))


STEPS: tuple[Callable[[RunRecord, int], RunRecord], ...] = (
    asked,
    taken,
    ended,
    certified,
    lambda record, number: record,
    lambda record, number: replace(record, frames=record.frames[1:], timeline=record.timeline[::-1]),
    lambda record, number: replace(record, stages=(), certifications=(), repeats=("again",)),
    lambda record, number: replace(record, config={"n_bias": number}, resumed=number, reason="{\n"),
    lambda record, number: replace(record, state=RunState.RUNNING),
    lambda record, number: replace(record, state=RunState.STOPPED, reason="by request"),
)


def test_the_folder_is_in_the_state_directory_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert journal_folder() == tmp_path / "ts_calibrationscripts"


def test_the_configuration_may_name_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert journal_folder("/scratch/journals") == Path("/scratch/journals")
    assert journal_folder("~/journals") == tmp_path / "journals"


def test_a_journal_is_read_back(tmp_path: Path) -> None:
    record = RunRecord("20261125T220000-1", {"n_bias": 3})
    FileJournal(tmp_path, record.run_id).write(record)
    assert newest_run(tmp_path) == record.run_id
    assert load_record(tmp_path, record.run_id) == record
    assert [file.name for file in tmp_path.iterdir()] == [f"{record.run_id}.journal.json"]


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "none", "run")
    with pytest.raises(ObservatoryError, match=r"the journal .*none/run.* cannot be written: No such file"):
        journal.write(RunRecord("run", {}))


def write_all(journal: FileJournal, *records: RunRecord) -> None:
    for record in records:
        journal.write(record)


def grown(n_frames: int) -> list[RunRecord]:
    """Return the records of a run that takes frames."""
    records = [BEGUN]
    for number in range(1, n_frames + 1):
        records.append(asked(records[-1], number))
        records.append(taken(records[-1], number))
    return records


@hypothesis.given(
    steps=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=12
    ),
    cut=st.floats(0, 1),
)
@hypothesis.settings(max_examples=50)
def test_whatever_is_written_by_whom_is_read_back_and_a_torn_write_was_none(
    steps: list[tuple[Callable[[RunRecord, int], RunRecord], int, int]], cut: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Given three that write one journal in any order, as a script, and
        # persons who decide meanwhile
        writers = [FileJournal(folder, RUN_ID) for _ in range(3)]
        file = file_in(folder)
        before, record, text = None, BEGUN, b""
        for step, number, writer in steps:
            before, record = record, step(record, number)
            text = file.read_bytes() if file.exists() else b""
            writers[writer].write(record)
            # Then each write is there
            assert load_record(folder, RUN_ID) == record
        # And when the last is killed at any byte, it is the one before
        whole = file.read_bytes()
        if text and whole.startswith(text) and len(whole) > len(text):
            end = len(text) + int(cut * (len(whole) - len(text)))
            os.truncate(file, end)
            assert load_record(folder, RUN_ID) == (record if end >= len(whole) - 1 else before)
        if record.state is not RunState.RUNNING:
            assert json.loads(whole) == to_json(record)


def test_a_write_that_is_torn_at_any_byte_is_as_if_it_had_not_happened(tmp_path: Path) -> None:
    *_, before, after = records = grown(2)
    write_all(FileJournal(tmp_path, RUN_ID), *records[:-1])
    file = file_in(tmp_path)
    text, line = file.read_bytes(), change_text(before, after, len(records) - 1).encode()
    # Given a process that is killed, or a computer that stops: then the disk
    # may have the length of the line, and not its bytes.
    for tail in (*(line[:n] for n in range(len(line) - 1)), line[:9] + b"\0" * 40, b"\0" * 40 + b"\n"):
        file.write_bytes(text + tail)
        assert load_record(tmp_path, RUN_ID) == before
    # When another process resumes the run
    FileJournal(tmp_path, RUN_ID).write(after)
    # Then nothing of that line is left
    assert load_record(tmp_path, RUN_ID) == after
    assert json.loads(file.read_text()) == to_json(after)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda lines: [*lines[:-2], lines[-2][:-20], lines[-1]], "line {} is damaged"),
        (lambda lines: [*lines[:-2], "", lines[-1]], "line {next} is not change 3 of the record"),
        (lambda lines: [*lines[:-2], lines[-1]], "line {} is not change 3 of the record"),
        (lambda lines: [*lines[:-2], lines[-3], *lines[-2:]], "line {} is not change 3 of the record"),
        (lambda lines: [*lines[:-2], "[]", lines[-1]], "line {} is not change 3 of the record"),
        (
            lambda lines: [*lines[:-2], lines[-2].replace('"to": 1', '"to": 9'), lines[-1]],
            "line {} is not change 3 of the record",
        ),
        (
            lambda lines: [*lines[:-2], lines[-2].replace('"frames"', '"config"'), lines[-1]],
            "line {} is not change 3 of the record",
        ),
        (lambda lines: [*lines[:3], "]", *lines[3:]], "not JSON: "),
    ],
    ids=["cut", "empty", "lost", "twice", "no change", "beyond its list", "of no list", "record"],
)
def test_a_line_that_is_damaged_before_the_last_is_an_error_that_names_it(
    damage: Callable[[list[str]], list[str]], why: str, tmp_path: Path
) -> None:
    # Given the record and four changes
    write_all(FileJournal(tmp_path, RUN_ID), *grown(2))
    file = file_in(tmp_path)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(damage(lines)) + "\n")
    with pytest.raises(LookupError) as refusal:
        load_record(tmp_path, RUN_ID)
    damaged = len(lines) - 1
    assert why.format(damaged, next=damaged + 1) in str(refusal.value)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process become larger, as if its disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_becomes_full_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    journal, records, file = FileJournal(tmp_path, RUN_ID), grown(3), file_in(tmp_path)
    write_all(journal, *records[:4])
    text = file.read_bytes()
    # Given space for a part of the line only
    with (
        largest_file(len(text) + 10),
        pytest.raises(ObservatoryError, match=r"the journal .* cannot be written: "),
    ):
        journal.write(records[4])
    # Then it has the record of before
    assert file.read_bytes() == text
    assert load_record(tmp_path, RUN_ID) == records[3]
    # And as soon as there is space, all that has come since
    for record in records[5:]:
        journal.write(record)
        assert load_record(tmp_path, RUN_ID) == record


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_disk_that_fails_leaves_the_record_of_before(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = run_lock(tmp_path, RUN_ID)
    lock.acquire()
    journal, records = FileJournal(tmp_path, RUN_ID, lock), grown(3)
    write_all(journal, *records[:4])
    text = file_in(tmp_path).read_bytes()
    write, n_calls = os.write, 0

    def failing(descriptor: int, *args: bytes) -> int:
        nonlocal n_calls
        n_calls += 1
        if call == "write" and n_calls == 1:
            return write(descriptor, args[0][:20])
        raise OSError(errno.EIO, "Input/output error")

    # Given a disk that can neither write nor shorten the file
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        patch.setattr(os, "ftruncate", failing)
        with pytest.raises(ObservatoryError, match="Input/output error"):
            journal.write(records[4])
    # Then a part of the line is there, or all of it if that is not known
    assert file_in(tmp_path).stat().st_size > len(text)
    assert load_record(tmp_path, RUN_ID) == records[3 if call == "write" else 4]
    # And the next write is the whole record
    journal.write(records[5])
    lock.release()
    assert json.loads(file_in(tmp_path).read_text()) == to_json(records[5])


def replaced(file: Path) -> None:
    FileJournal(file.parent, RUN_ID).write(BEGUN)


def edited(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"/repo/LATISS", b"/repo/latiss"))


def linked(file: Path) -> None:
    (kept := file.with_suffix(".kept")).unlink(missing_ok=True)
    kept.hardlink_to(file)


def link_elsewhere(file: Path) -> None:
    (victim := file.with_name("victim")).write_text("mine")
    file.unlink()
    file.symlink_to(victim)


def other_link(file: Path) -> None:
    """The journal itself, at another place."""
    file.symlink_to(file.rename(file.with_name("moved")))


@pytest.mark.parametrize("change", [replaced, edited, linked, link_elsewhere, other_link, Path.unlink])
def test_a_journal_that_others_have_changed_is_written_as_a_whole(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    journal, records, file = FileJournal(tmp_path, RUN_ID), grown(3), file_in(tmp_path)
    write_all(journal, *records[:4])
    # Given that others change or replace the file between two writes
    change(file)
    others = {path: path.read_bytes() for path in tmp_path.iterdir() if path != file and path.exists()}
    journal.write(records[4])
    # Then the file is one JSON of the record, and no other file has changed
    assert not file.is_symlink() and json.loads(file.read_text()) == to_json(records[4])
    assert {path: path.read_bytes() for path in others} == others
    # And changes are added to it again
    journal.write(records[5])
    assert load_record(tmp_path, RUN_ID) == records[5]
    assert file.read_text() == record_text(records[4]) + change_text(records[4], records[5], 1)


def test_a_run_that_has_ended_leaves_one_json(tmp_path: Path) -> None:
    journal, records, file = FileJournal(tmp_path, RUN_ID), grown(3), file_in(tmp_path)
    write_all(journal, *records)
    for state in (RunState.DONE, RunState.STOPPED, RunState.FAILED):
        journal.write(end := replace(records[-1], state=state))
        assert json.loads(file.read_text()) == to_json(end)
    # Also if something is noted after its end
    journal.write(end := replace(end, notified=("run",)))
    assert json.loads(file.read_text()) == to_json(end)


def test_many_changes_become_one_json_before_the_journal_is_too_large_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_MAX_CHANGES", 3_000)
    journal, sizes = FileJournal(tmp_path, RUN_ID), []
    for record in grown(60):
        journal.write(record)
        sizes.append(file_in(tmp_path).stat().st_size)
        assert sizes[-1] <= len(record_text(record)) + 3_000
        assert load_record(tmp_path, RUN_ID) == record
    assert sum(after < before for before, after in pairwise(sizes)) > 3


def test_each_write_is_seen_by_who_looks_for_journals_that_have_changed(tmp_path: Path) -> None:
    other = "20261123T060000-100002"
    FileJournal(tmp_path, other).write(RunRecord(other, {}))
    journal, index = FileJournal(tmp_path, RUN_ID), RunIndex(tmp_path, lambda record: 0)
    index.update()
    for record in grown(3):
        os.utime(tmp_path / f"{other}.journal.json")
        journal.write(record)
        assert index.update() >= 1
        assert newest_run(tmp_path) == index.lines()[0].run_id == RUN_ID
        n_taken = sum(frame.exposure is not None for frame in record.frames)
        assert index.lines()[0].n_frames == n_taken


WRITE_ON = f"""
import sys
from pathlib import Path
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.record import Frame, RunRecord
record, journal = RunRecord("{RUN_ID}", {{}}), FileJournal(Path(sys.argv[1]), "{RUN_ID}")
for number in range(1, 100_000):
    record = record.with_frame(Frame(Subject(Product.BIAS), number, f"group#{{number}}"))
    journal.write(record)
"""
"""A program that writes a journal until it is killed."""


def test_who_reads_while_a_process_writes_and_is_killed_finds_whole_records(tmp_path: Path) -> None:
    program = subprocess.Popen([sys.executable, "-c", WRITE_ON, str(tmp_path)])
    found: list[int] = []
    try:
        # When the journal is read again and again meanwhile
        while not found or found[-1] < 40:
            with suppress(LookupError) if newest_run(tmp_path) is None else nullcontext():
                found.append(len(load_record(tmp_path, RUN_ID).frames))
            assert program.poll() is None
    finally:
        program.kill()
        program.wait()
    record = load_record(tmp_path, RUN_ID)
    # Then each time it was a record that had been written, in their order
    assert found == sorted(found) and len(set(found)) > 3
    assert [frame.number for frame in record.frames] == list(range(1, len(record.frames) + 1))
    assert len(record.frames) >= found[-1]
