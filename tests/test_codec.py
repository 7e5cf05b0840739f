# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs leave as JSON is read back as it was, or refused with a reason."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from lsst.ts.calibrationscripts.codec import (
    FORMAT,
    FormatError,
    change_text,
    read_document,
    read_record,
    record_text,
    to_json,
    write_document,
)
from lsst.ts.calibrationscripts.instruments import ImageType
from lsst.ts.calibrationscripts.outcomes import Certification, Gain, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.record import Frame, JobRecord, RunRecord
from lsst.ts.calibrationscripts.report import Evidence, Place, RunDocument, RunReport, Span, Statistics
from lsst.ts.calibrationscripts.verification import judge
from named import BIAS, stage, subject
from virtual_time import virtually
from world import World

FLAT_R = subject("FLAT SDSSr_65mm~empty_1")
REQUEST = JobRequest(
    "cpBias.yaml", ("u/ocps/a1", "LATISS/calib"), ("-c", "a:b=1"), "LATISS", (0,), (2026112300001,), 4
)
HELD = StageResult(stage("verify BIAS"), Outcome.HELD, "3 of 3 exposures fail NOISE", "b2", "u/ocps/b2")
CERTIFICATION = Certification("bias", "u/ocps/a1", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
RECORD = RunRecord(
    "20261123T180000-1",
    {"n_bias": 3, "flat_sets": [{"filter": "SDSSr_65mm"}], "note": None},
    frames=(Frame(BIAS, 1, "group#1", 2026112300001), Frame(FLAT_R, 1, "group#2")),
    jobs=(
        JobRecord(stage("verify BIAS"), "b2", REQUEST),
        JobRecord(stage("generate FLAT SDSSr_65mm~empty_1"), "c3", REQUEST),
    ),
    stages=(HELD,),
    certifications=(CERTIFICATION,),
    resumed=1,
)
DOCUMENT = RunDocument(
    RunReport(
        state=RunState.DONE,
        exposures={ImageType.BIAS: (2026112300001,)},
        stages=(HELD,),
        verdicts={
            BIAS: judge({2026112300001: {"FAILURES": ["RXX_S00 C00 NOISE"]}}, BIAS, n_detectors=1),
            FLAT_R: judge({2026112300002: {"SUCCESS": True}}, FLAT_R, n_detectors=1),
        },
        certifications=(CERTIFICATION,),
        gains=(Gain((2026112300002, 2026112300003), 5.0, 0, "C00", None, 7.5),),
        timeline=(
            Span(stage("expose BIAS"), 1.0, 2.0, "BIAS 1/4, 0 s"),
            Span(stage("verify BIAS"), 2.0, 3.0),
        ),
    ),
    Evidence((Statistics(BIAS, "ADU", (1,), (Place(0, "RXX_S00", "C00"),), {"NOISE": ((5.5,),)}),)),
    ("Read noise is unlike earlier runs.",),
)


def test_a_journal_is_read_back_as_it_was() -> None:
    text = json.dumps(to_json(RECORD))
    assert read_record(text) == RECORD


def test_a_journal_is_read_back_with_the_changes_behind_it() -> None:
    # Given a record as it was written as a whole, and two lines behind it
    second = dataclasses.replace(RECORD, state=RunState.STOPPED, jobs=RECORD.jobs[1:], resumed=2)
    third = dataclasses.replace(second, frames=(*RECORD.frames, Frame(BIAS, 2, "group#3")), jobs=())
    lines = change_text(RECORD, second, 1), change_text(second, third, 2)
    # Then a line has what has changed, and nothing else
    assert json.loads(lines[0]) == {
        "change": 1,
        "set": {"state": "STOPPED", "resumed": 2},
        "lists": {"jobs": {"from": 0, "to": 1, "items": []}},
    }
    assert json.loads(lines[1])["lists"].keys() == {"frames", "jobs"}
    # However the record before them is written
    for text in (
        record_text(RECORD),
        json.dumps(to_json(RECORD), indent=1),
        f" {json.dumps(to_json(RECORD))}",
    ):
        assert read_record(f"{text}\n{lines[0]}") == second
        assert read_record(f"{text}\n{lines[0]}\n{lines[1].rstrip()}") == third


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"set": {"state": "ASLEEP"}}, r"\$\.state"),
        ({"lists": {"frames": {"from": 0, "to": 1, "items": [{}]}}}, r"\$\.frames\[0\]"),
        ({"lists": {"weather": {"from": 0, "to": 0, "items": []}}}, "line 2 is not change 1 of the record"),
        ({"set": []}, "line 2 is not change 1 of the record"),
    ],
)
def test_a_change_that_was_changed_is_refused_with_the_place(changed: dict[str, Any], message: str) -> None:
    line = json.dumps({"change": 1, "set": {}, "lists": {}} | changed)
    with pytest.raises(FormatError, match=message):
        read_record(f"{json.dumps(to_json(RECORD))}\n{line}\n")


def test_what_a_run_leaves_is_read_back_as_it_was() -> None:
    assert read_document(write_document(DOCUMENT)) == DOCUMENT
    # Without evidence too, as --json writes it
    assert read_document(json.dumps(to_json(DOCUMENT.report))) == RunDocument(DOCUMENT.report)


def test_what_a_real_run_leaves_is_read_back_with_its_proofs() -> None:
    # Given a run that certified what it made
    async def work() -> RunReport:
        procedure = World().procedure("{script_mode: BIAS_DARK, generate_calibrations: true}")
        await procedure.run()
        return procedure.report

    report = virtually(work())
    assert all(proof.verdicts for proof in report.proofs) and len(report.proofs) == 2
    # Then nothing of it is lost
    assert read_document(write_document(RunDocument(report))).report == report


def test_names_are_beside_what_identifies() -> None:
    data = to_json(RECORD)
    assert data["format"] == FORMAT
    assert data["jobs"][1] == {
        "name": "generate FLAT SDSSr_65mm~empty_1",
        "kind": "generate",
        "product": "FLAT",
        "part": "SDSSr_65mm~empty_1",
        "job_id": "c3",
        "request": {
            "pipeline": "cpBias.yaml",
            "inputs": ["u/ocps/a1", "LATISS/calib"],
            "options": ["-c", "a:b=1"],
            "instrument": "LATISS",
            "detectors": [0],
            "exposures": [2026112300001],
            "n_processes": 4,
            "products": [],
        },
        "submitted": None,
    }
    # A name that says something else changes nothing
    data["jobs"][1]["name"] = "verify DARK"
    assert read_record(json.dumps(data)) == RECORD


@pytest.mark.parametrize(
    "found, message",
    [
        (FORMAT + 1, "of a newer ts_calibrationscripts; this one reads format 1. Update"),
        (FORMAT - 1, "its format is 0; this ts_calibrationscripts reads format 1"),
        (None, "its format is none, of a version before formats were numbered"),
    ],
)
def test_another_format_is_refused_with_what_to_do(found: int | None, message: str) -> None:
    data = to_json(RECORD)
    del data["format"]
    if found is not None:
        data["format"] = found
    with pytest.raises(FormatError, match=message):
        read_record(json.dumps(data))


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("frames", 0, "exposure"), "2026112300001", r"expected.*int.*\$\.frames\[0\]\.exposure"),
        (("frames", 0, "number"), True, r"\$\.frames\[0\]\.number"),
        (("frames", 0, "product"), "LIGHT", r"\$\.frames\[0\]"),
        (("jobs", 0, "job_id"), 17, r"\$\.jobs\[0\]\.job_id"),
        (("stages", 0, "outcome"), "FINE", r"\$\.stages\[0\]\.outcome"),
        (("state",), "ASLEEP", r"\$\.state"),
        (("jobs",), {"verify BIAS": "b2"}, r"\$\.jobs"),
    ],
)
def test_a_journal_that_was_changed_is_refused_with_the_place(
    place: tuple[Any, ...], value: object, message: str
) -> None:
    data: Any = to_json(RECORD)
    *path, last = place
    inner = data
    for key in path:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(FormatError, match=message):
        read_record(json.dumps(data))


def test_fields_that_are_added_later_are_not_in_the_way() -> None:
    data = to_json(RECORD) | {"weather": "clear"}
    assert read_record(json.dumps(data)) == RECORD
