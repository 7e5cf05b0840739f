# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decision brings the published copies of a run's report up to date."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from lsst.ts.calibrationscripts import reporting
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import write_document
from lsst.ts.calibrationscripts.deciding import Choice, Decided, decide
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.observatory.decide_calibrations import DecideCalibrations
from lsst.ts.calibrationscripts.observatory.queue import run_script
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.record import DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from named import stage

RUN = "20261125T180000-1"
REASON = "a light leak behind the shutter"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where a run publishes, with copies of its report."""
    return tmp_path / "published"


@pytest.fixture
def journals(tmp_path: Path, place: Path) -> Path:
    """Leave a run whose bias waits, and which was published."""
    folder = tmp_path / "journals"
    leave(folder, str(place))
    place.mkdir()
    for kind in ("html", "json"):
        (place / f"{RUN}.{kind}").write_text("of before the decision")
    return folder


def leave(folder: Path, place: str | None) -> None:
    folder.mkdir(exist_ok=True)
    waiting = (StageResult.waiting(stage("certify BIAS"), ()),)
    config = {"publish": place}
    FileJournal(folder, RUN).write(RunRecord(RUN, config, state=RunState.DONE, stages=waiting))
    report = RunReport(RunState.DONE, run_id=RUN, stages=waiting, config=config)
    (folder / f"{RUN}.json").write_text(write_document(RunDocument(report)), encoding="utf-8")


async def reject(folder: Path) -> Decided:
    return await decide(folder, RUN, Choice(DecisionKind.REJECT, "ann", REASON))


def spoil(place: Path) -> None:
    """Make a place one that is not a folder any more."""
    for copy in place.iterdir():
        copy.unlink()
    place.rmdir()
    place.write_text("a file")


def outcome(folder: Path) -> Outcome | None:
    result = load_record(folder, RUN).result_of(stage("certify BIAS"))
    return None if result is None else result.outcome


async def test_both_copies_have_the_decision(journals: Path, place: Path) -> None:
    decided = await reject(journals)
    assert decided.warnings == ()
    for kind in ("html", "json"):
        copy = place / f"{RUN}.{kind}"
        assert REASON in copy.read_text(encoding="utf-8")
        assert copy.read_bytes() == (journals / copy.name).read_bytes()
        assert copy.as_uri() in [each.url for each in decided.published]


async def test_a_run_that_was_not_published_stays_so(tmp_path: Path) -> None:
    leave(tmp_path / "journals", None)
    decided = await reject(tmp_path / "journals")
    assert decided.published == () and decided.warnings == ()


async def test_a_place_that_refuses_is_named_and_the_decision_stays(journals: Path, place: Path) -> None:
    spoil(place)
    decided = await reject(journals)
    # Then what failed is a warning with the address, and with what to do
    (warning,) = decided.warnings
    assert f"the copies of the run's report in {place} are not brought up to date" in warning
    assert f"Copy {journals / RUN}.html and .json there" in warning
    assert decided.done and outcome(journals) is Outcome.HELD


async def test_a_place_that_hangs_is_given_up(journals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(reporting, "copy_run", lambda place, folder, run_id: released.wait(100))
    monkeypatch.setattr(reporting, "_COPY_TIMEOUT", 0.1)
    decided = await reject(journals)
    released.set()
    assert "no answer within 0.1 s" in decided.warnings[0]
    assert outcome(journals) is Outcome.HELD


def test_the_command_names_the_addresses(journals: Path, place: Path) -> None:
    args = ["decide", RUN, "reject", "--journals", str(journals), "--reason", REASON]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    for kind in ("html", "json"):
        assert f"Published: {(place / f'{RUN}.{kind}').as_uri()}" in result.output


async def test_the_script_announces_the_copies(topics: Any, journals: Path, place: Path) -> None:
    config = {"run": RUN, "journal_dir": str(journals), "reject": ["BIAS"], "reason": REASON}
    result = await run_script(
        DecideCalibrations, yaml.safe_dump(config), group_id="2026-11-26T00:00:00", timeout=100.0
    )
    assert result.state == "DONE"
    texts = [message.text for message in result.messages]
    assert f"Published: {(place / f'{RUN}.html').as_uri()}" in texts
    assert REASON in (place / f"{RUN}.html").read_text(encoding="utf-8")
