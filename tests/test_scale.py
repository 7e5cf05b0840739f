# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grows with detectors and exposures grows no faster than it must."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lsst.ts.calibrationscripts import codec
from lsst.ts.calibrationscripts.codec import (
    change_text,
    read_document,
    read_record,
    record_text,
    to_json,
    write_document,
)
from lsst.ts.calibrationscripts.files import journal as journals
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.files.private import read_text
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.record import Frame, RunRecord, Span
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, verdict_text
from lsst.ts.calibrationscripts.verification import FailedTest, StatisticsError, Verdict, judge
from named import BIAS, stage

N_EXPOSURES = 10
LSSTCAM = INSTRUMENTS["LSSTCam"].detectors
AMPLIFIERS = [(detector.name, name) for detector in LSSTCAM for name in detector.amplifiers]


def judged(n_exposures: int) -> Verdict:
    """Return the verdict on a camera all of whose amplifiers fail."""
    # Each exposure has texts of its own, as the Butler reads them.
    statistics = {
        2026112500001 + i: {"FAILURES": [f"{detector} {name} NOISE" for detector, name in AMPLIFIERS]}
        for i in range(n_exposures)
    }
    return judge(statistics, BIAS, n_detectors=len(LSSTCAM))


def test_a_failure_of_many_exposures_is_kept_once() -> None:
    # Given every amplifier of a large camera fails in each exposure
    verdict = judged(N_EXPOSURES)
    # Then their failures are the same objects, also when they are read back
    document = RunDocument(RunReport(RunState.DONE, run_id="run-1", verdicts={BIAS: verdict}))
    read = read_document(write_document(document))
    assert read == document
    for one in (verdict, read.report.verdicts[BIAS]):
        assert len({id(failure) for result in one.results for failure in result.failures}) == len(AMPLIFIERS)


def test_one_more_exposure_takes_little_more_than_a_pointer_a_failure() -> None:
    judged(1)
    tracemalloc.start()
    verdict = judged(N_EXPOSURES)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / sum(len(result.failures) for result in verdict.results) < 16


def test_a_failure_reads_and_sorts_as_its_parts() -> None:
    whole, detector, amplifier = map(FailedTest.parse, ("SUM", "R01_S00 MEAN", " R01_S00  C00 NOISE"))
    assert sorted([amplifier, detector, whole]) == [whole, detector, amplifier]
    assert [str(each) for each in (whole, detector, amplifier)] == [
        "SUM",
        "R01_S00 MEAN",
        "R01_S00 C00 NOISE",
    ]
    for _ in range(2):
        with pytest.raises(StatisticsError, match="blank"):
            FailedTest.parse(" ")


def test_the_text_of_a_verdict_is_as_long_for_many_exposures_as_for_few() -> None:
    n_lines = [len(verdict_text(judged(n)).splitlines()) for n in (2, N_EXPOSURES)]
    assert n_lines[1] < n_lines[0] + N_EXPOSURES


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("[" * 100 + "]" * 100, False),
        ("[" * 101 + "]" * 101, True),
        ('["' + "[" * 500 + '"]', False),
        (r'["\"' + "{" * 500 + r'\\", ' + "{" * 99, False),
        (r'["\\", ' + "{" * 100, True),
        ('["not ended ' + "[" * 500, False),
    ],
)
def test_only_brackets_outside_of_texts_count(tmp_path: Path, text: str, is_refused: bool) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    if is_refused:
        with pytest.raises(ValueError, match="brackets"):
            read_text(file)
    else:
        assert read_text(file) == text


class Counted:
    """A converter that counts what it is given."""

    def __init__(self, converter: Any) -> None:
        self.converter = converter
        self.n_items = 0

    def unstructure(self, item: Any) -> Any:
        self.n_items += 1
        return self.converter.unstructure(item)


def steps(n_frames: int) -> Iterator[RunRecord]:
    """Yield the record of a run as it grows: two frames are under way."""
    record = RunRecord("run-1", {"n_bias": n_frames})
    for i in range(n_frames):
        record = record.with_frame(Frame(BIAS, i + 1, f"group#{i + 1}"))
        yield record
        if i:
            span = Span(stage("expose BIAS"), float(i), i + 1.0, f"BIAS {i}")
            taken = Frame(BIAS, i, f"group#{i}", 2026112500000 + i)
            record = replace(record.with_frame(taken), timeline=(*record.timeline, span))
            yield record


def test_a_step_of_a_long_run_turns_only_what_is_new_into_text(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(codec._CONVERTER)
    monkeypatch.setattr(codec, "_CONVERTER", counted)
    numbers = []
    for before, record in pairwise(steps(300)):
        counted.n_items = 0
        change_text(before, record, 1)
        numbers.append(counted.n_items)
    # Then it is a span, and the frames that are or were under way
    assert max(numbers) <= 4


def test_a_write_of_a_long_journal_adds_as_many_bytes_as_that_of_a_short_one(tmp_path: Path) -> None:
    # Given a run that has written its journal as a whole once
    journal, file = FileJournal(tmp_path, "run-1"), tmp_path / "run-1.journal.json"
    records = steps(150)
    journal.write(next(records))
    before = file.stat()
    added = []
    for record in records:
        journal.write(record)
        after = file.stat()
        added.append(after.st_size - before.st_size)
        before = after
    # Then each later write has added its line to that file
    assert min(added) > 0
    assert max(added[-50:]) <= max(added[:50]) + 20
    # Also that of a stage, which began before all that is in the timeline
    span = Span(stage("expose BIAS"), 0.0, 150.0, outcome=Outcome.PASSED)
    journal.write(record := replace(record, timeline=(span, *record.timeline)))
    assert file.stat().st_size - after.st_size <= max(added)
    assert load_record(tmp_path, "run-1") == record


def test_the_changes_of_a_thousand_frames_are_far_from_the_largest_journal() -> None:
    size = sum(len(change_text(before, record, 1999)) for before, record in pairwise(steps(1000)))
    assert size < journals._MAX_CHANGES / 2 < journals._MAX_BYTES / 4


def test_a_record_is_written_as_it_is_whatever_was_written_before() -> None:
    # Given one journal, and steps that add, replace and remove in any order
    chance = random.Random(3)  # noqa: S311 - only to look like chance
    record = RunRecord("run-1", {"n_bias": 3})
    text = record_text(record)
    for i in range(1, 301):
        before, number = record, chance.randrange(8)
        match chance.randrange(6):
            case 0 | 1:
                record = record.with_frame(Frame(BIAS, number, f"group#{i}", 2026112500000 + i))
            case 2:
                outcome = chance.choice((Outcome.PASSED, Outcome.HELD))
                subject = chance.choice(("expose BIAS", "verify BIAS"))
                record = record.with_result(StageResult(stage(subject), outcome, f"{i}\n\u00e9"))
            case 3:
                span = Span(stage("expose BIAS"), float(number), 9.0)
                record = replace(
                    record, timeline=tuple(sorted((*record.timeline, span), key=lambda x: x.begin))
                )
            case 4:
                record = replace(record, frames=record.frames[1:], repeats=(*record.repeats, f"again {i}"))
            case _:
                record = replace(record, state=RunState.STOPPED, reason=str(i), config={"n_bias": i})
        assert json.loads(record_text(record)) == to_json(record)
        text += change_text(before, record, i)
        assert read_record(text) == record
    # And as before, when a journal was written as one text
    assert read_record(json.dumps(to_json(record), indent=1)) == record


def test_a_journal_that_is_written_again_is_whole_and_private(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, "run-1")
    for record in steps(5):
        journal.write(record)
        assert load_record(tmp_path, "run-1") == record
    # And another process that has read it goes on with it
    after = record.with_frame(Frame(BIAS, 9, "group#9"))
    FileJournal(tmp_path, "run-1").write(after)
    assert load_record(tmp_path, "run-1") == after
