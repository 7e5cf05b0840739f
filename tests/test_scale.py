# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grows with detectors and exposures grows no faster than it must."""

from __future__ import annotations

import tracemalloc

import pytest
from lsst.ts.calibrationscripts.codec import read_document, write_document
from lsst.ts.calibrationscripts.files.private import read_text
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, verdict_text
from lsst.ts.calibrationscripts.verification import FailedTest, StatisticsError, Verdict, judge
from named import BIAS

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
def test_only_brackets_outside_of_texts_count(tmp_path, text: str, is_refused: bool) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    if is_refused:
        with pytest.raises(ValueError, match="brackets"):
            read_text(file)
    else:
        assert read_text(file) == text
