# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run looks up what earlier runs have noted of its frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lsst.ts.calibrationscripts.files import earlier_marks
from lsst.ts.calibrationscripts.files.earlier_marks import MarksOfRuns
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from named import DARK

DARK_ID = 2026112300011


async def test_marks_of_other_runs_are_found_but_not_its_own(tmp_path: Path) -> None:
    for run_id, kind in (("a", MarkKind.NOISE), ("b", MarkKind.PERSON)):
        judgement = SeriesJudgement(DARK, (DARK_ID,), (Mark(DARK_ID, kind, "x"),))
        FileJournal(tmp_path, run_id).write(RunRecord(run_id, {}).with_judgement(judgement))

    found = await MarksOfRuns(tmp_path, "b", "LATISS").find([DARK_ID])
    assert [(mark.kind, mark.run) for mark in found] == [(MarkKind.NOISE, "a")]


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the disk hang until the test has ended."""
    ended = threading.Event()

    def hang(*args: Any, **keywords: Any) -> tuple[Mark, ...]:
        ended.wait(60)
        return ()

    monkeypatch.setattr(earlier_marks, "known_marks", hang)
    monkeypatch.setattr(MarksOfRuns, "TIMEOUT", 0.05)
    yield
    ended.set()


@pytest.mark.usefixtures("hanging")
async def test_a_disk_that_hangs_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ObservatoryError, match=r"could not be read: that took more than 0.05 s"):
        await MarksOfRuns(tmp_path, "b", "LATISS").find([DARK_ID])


async def test_a_folder_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **keywords: Any) -> tuple[Mark, ...]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(earlier_marks, "known_marks", refuse)
    with pytest.raises(ObservatoryError, match="could not be read: Permission denied"):
        await MarksOfRuns(tmp_path, "b", "LATISS").find([DARK_ID])
