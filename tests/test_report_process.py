# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, written by a process of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from lsst.ts.calibrationscripts import report_process
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.runs import load_document
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory.ending import write_in_thread
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.report_process import write_in_process
from lsst.ts.calibrationscripts.reporting import UNREAD

RUN_ID = "20261125T150000-7"
TIMEOUT = 300.0


def a_report() -> RunReport:
    return RunReport(
        RunState.DONE,
        run_id=RUN_ID,
        exposures={"BIAS": (2026112500001,)},
        config=parse("", LATISS).to_dict() | {"repo": "/repo/LATISS"},
    )


async def test_it_writes_what_a_thread_writes(tmp_path: Path) -> None:
    # Given a run, and a repository that is gone
    gone = str(tmp_path / "gone")
    # when its report is written in both ways,
    in_thread = await write_in_thread(a_report(), gone, tmp_path / "thread")
    in_process = await write_in_process(a_report(), gone, tmp_path / "process")
    # then files, warnings and problems are the same.
    assert in_process.page == tmp_path / "process" / f"{RUN_ID}.html"
    assert in_process.problems == in_thread.problems
    assert in_process.warnings == in_thread.warnings
    for one, other in ((in_thread.page, in_process.page), (in_thread.json, in_process.json)):
        assert other.read_text(encoding="utf-8") == one.read_text(encoding="utf-8")


async def test_a_report_that_is_given_up_ends_its_process(tmp_path: Path) -> None:
    # Given a repository whose configuration never comes
    repo = tmp_path / "repo"
    repo.mkdir()
    os.mkfifo(repo / "butler.yaml")
    # A server of other tests may be a child too.
    others = psutil.Process().children()
    writing = asyncio.create_task(write_in_process(a_report(), str(repo), tmp_path / "runs"))
    # when the first page is there, and the report is given up,
    async with asyncio.timeout(TIMEOUT):
        while not (tmp_path / "runs" / f"{RUN_ID}.html").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert psutil.Process().children() != others
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    # then the process has ended, and what the run knows is written.
    assert psutil.Process().children() == others
    document = load_document(tmp_path / "runs", RUN_ID)
    assert document is not None
    assert document.evidence.notes == (UNREAD,)


async def test_a_process_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an installation that lacks the module
    monkeypatch.setattr(report_process, "__name__", "lsst.ts.calibrationscripts.gone")
    # when the report is written, then it fails with what the process wrote
    with pytest.raises(RuntimeError, match=r"writes it ended with code 1: .* No module named .*gone"):
        await write_in_process(a_report(), str(tmp_path / "gone"), tmp_path)
    # and the JSON exists nevertheless.
    assert load_document(tmp_path, RUN_ID) is not None


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        await write_in_process(a_report(), str(tmp_path / "gone"), tmp_path / "file" / "runs")
