# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a run are in files beside its JSON, and in its page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from endings import image_of
from lsst.ts.calibrationscripts import reporting
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document, write_document
from lsst.ts.calibrationscripts.files.journal import claim_run
from lsst.ts.calibrationscripts.files.pictures import with_pictures
from lsst.ts.calibrationscripts.files.private import file_mode
from lsst.ts.calibrationscripts.files.runs import load_document
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.report import Evidence, Replaced, RunDocument, RunReport
from lsst.ts.calibrationscripts.reporting import rewrite_report, write_report
from named import BIAS, subject

RUN_ID = "20261125T120000-1"
OLD, DIFFERENCE = (image_of(BIAS, [name]).png for name in ("C01", "C02"))
OTHER = image_of(subject("DARK"), ["C03"])
IMAGE = replace(image_of(BIAS), replaced=Replaced("old/run", OLD, DIFFERENCE, 1.5))
EVIDENCE = Evidence(thumbnails=(IMAGE, OTHER))
EMBEDDED = "data:image/png;base64,"


def a_report(folder: Path, **changes: object) -> RunReport:
    journal = str(folder / f"{RUN_ID}.journal.json")
    return replace(RunReport(RunState.DONE, run_id=RUN_ID, journal=journal), **changes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a run leaves whose repository has pictures."""
    monkeypatch.setattr(reporting, "gather", lambda *args, **settings: EVIDENCE)
    place = tmp_path / "journals"
    written = write_report(a_report(place), "/repo", place)
    assert written.problems == ()
    return place


def pictures_in(folder: Path) -> set[bytes]:
    return {file.read_bytes() for file in (folder / f"{RUN_ID}.files").iterdir()}


def expected() -> set[bytes]:
    return {base64.b64decode(text) for text in (IMAGE.png, OLD, DIFFERENCE, OTHER.png)}


def page_again(file: Path, tmp_path: Path) -> str:
    page = tmp_path / "elsewhere" / "again.html"
    page.parent.mkdir(exist_ok=True)
    result = CliRunner().invoke(main, ["report", str(file), "-o", str(page)])
    assert result.exit_code == 0, result.stderr
    return page.read_text()


def test_the_json_names_pictures_that_are_beside_it_and_the_page_has_them(folder: Path) -> None:
    text = (folder / f"{RUN_ID}.json").read_text()
    assert pictures_in(folder) == expected() and len(expected()) == 4
    assert IMAGE.png not in text and OLD not in text and text.count('"png": ""') == 3
    # And the page needs no other file
    page = (folder / f"{RUN_ID}.html").read_text()
    assert page.count(EMBEDDED) >= 4 and ".files" not in page


def test_the_files_are_their_users(folder: Path) -> None:
    own = folder / f"{RUN_ID}.files"
    assert own.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in own.iterdir()} == {0o600}


def test_the_files_of_a_shared_folder_are_its_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "gather", lambda *args, **settings: EVIDENCE)
    tmp_path.chmod(0o770)
    write_report(a_report(tmp_path), "/repo", tmp_path)
    own = tmp_path / f"{RUN_ID}.files"
    assert own.stat().st_mode & 0o777 == 0o770
    assert {file.stat().st_mode & 0o777 for file in own.iterdir()} == {0o660} == {file_mode(own)}


def test_the_page_is_made_again_wherever_it_is_written(folder: Path, tmp_path: Path) -> None:
    assert page_again(folder / f"{RUN_ID}.json", tmp_path) == (folder / f"{RUN_ID}.html").read_text()
    # And of a copy of the JSON alone, with those beside the journal
    copy = tmp_path / "copy.json"
    copy.write_bytes((folder / f"{RUN_ID}.json").read_bytes())
    assert page_again(copy, tmp_path) == (folder / f"{RUN_ID}.html").read_text()


def test_json_of_before_has_its_pictures_and_is_moved_once_it_is_written_again(
    folder: Path, tmp_path: Path
) -> None:
    # Given what a run of before has left: pictures in its JSON, no folder
    before = tmp_path / "before"
    before.mkdir()
    text = write_document(RunDocument(a_report(before), EVIDENCE))
    data = json.loads(text)
    for image in data["evidence"]["thumbnails"]:
        del image["file"]
    (before / f"{RUN_ID}.json").write_text(json.dumps(data))
    assert read_document(json.dumps(data)).evidence == EVIDENCE
    assert page_again(before / f"{RUN_ID}.json", tmp_path).count(EMBEDDED) >= 4
    # When a person decides about it, so that it is written again
    assert rewrite_report(before, RUN_ID, lambda report: replace(report, notices=("decided",))) == ()
    # Then it is as that of now
    assert pictures_in(before) == expected()
    assert (before / f"{RUN_ID}.html").read_text().count(EMBEDDED) >= 4
    assert IMAGE.png not in (before / f"{RUN_ID}.json").read_text()


def test_what_is_written_again_keeps_its_pictures(folder: Path) -> None:
    before = (folder / f"{RUN_ID}.html").read_text()
    times = {file: file.stat().st_mtime_ns for file in (folder / f"{RUN_ID}.files").iterdir()}
    assert rewrite_report(folder, RUN_ID, lambda report: report) == ()
    assert (folder / f"{RUN_ID}.html").read_text() == before
    assert {file: file.stat().st_mtime_ns for file in (folder / f"{RUN_ID}.files").iterdir()} == times


def test_pictures_that_a_resumed_run_makes_anew_replace_those_of_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "gather", lambda *args, **settings: Evidence(thumbnails=(OTHER,)))
    (folder / f"{RUN_ID}.files" / f"{'0' * 32}.png.new").write_bytes(b"left by a process that was killed")
    write_report(a_report(folder), "/repo", folder)
    assert pictures_in(folder) == {base64.b64decode(OTHER.png)}


def test_pictures_are_on_the_disk_before_the_json_that_names_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a disk that is full when the JSON is to be written
    def no_space(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reporting, "gather", lambda *args, **settings: Evidence(thumbnails=(OTHER,)))
    monkeypatch.setattr(reporting, "replace_file", no_space)
    write_report(a_report(folder), "/repo", folder)
    # Then the JSON of before still has all of its pictures
    document = load_document(folder, RUN_ID)
    assert document is not None and document.evidence is not None
    assert [image.png for image in with_pictures(document.evidence, folder, RUN_ID).thumbnails] == [
        IMAGE.png,
        OTHER.png,
    ]


def damage(own: Path) -> None:
    for file in own.iterdir():
        file.write_bytes(b"no picture")


def link(own: Path) -> None:
    own.rename(own.with_name("moved"))
    own.symlink_to(own.with_name("moved"))


def remove(own: Path) -> None:
    own.rename(own.with_name("moved"))


@pytest.mark.parametrize("harm", [damage, link, remove])
def test_pictures_that_are_missing_are_said_and_nothing_else_is(
    folder: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(folder / f"{RUN_ID}.files")
    page = page_again(folder / f"{RUN_ID}.json", tmp_path)
    assert "Not shown: 4 pictures, whose files are missing" in page and EMBEDDED not in page


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "a.png", "x" * 32 + ".png"])
def test_a_json_cannot_name_another_file(folder: Path, name: str) -> None:
    file = folder / f"{RUN_ID}.json"
    data = json.loads(file.read_text())
    data["evidence"]["thumbnails"][0]["file"] = name
    file.write_text(json.dumps(data))
    with pytest.raises(LookupError, match="is not the name of a picture"):
        load_document(folder, RUN_ID)


def test_a_new_run_does_not_take_the_pictures_of_another(tmp_path: Path) -> None:
    (tmp_path / f"{RUN_ID}.files").mkdir()
    run_id, lock = claim_run(tmp_path, RUN_ID)
    lock.release()
    assert run_id == f"{RUN_ID}-2"
