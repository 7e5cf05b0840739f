# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of earlier runs are compared without reading each again."""

from __future__ import annotations

import dataclasses
import io
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts import reporting
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.cli._report import open_trend
from lsst.ts.calibrationscripts.codec import write_document
from lsst.ts.calibrationscripts.files import database, trend_index, trend_values
from lsst.ts.calibrationscripts.files.trend_index import TrendIndex
from lsst.ts.calibrationscripts.outcomes import Gain
from lsst.ts.calibrationscripts.pages import trend_page
from lsst.ts.calibrationscripts.pages._trend_plot import thinned
from lsst.ts.calibrationscripts.report import RunDocument
from lsst.ts.calibrationscripts.reporting import unlike_earlier
from lsst.ts.calibrationscripts.trend import BAND_RUNS, History, Key, Run, Source, departures, remarks
from test_trend import AMPLIFIERS, C00, DAY, document_of

REPO = Source("/repo/LATISS", "LATISS")
INDEX = "trend.sqlite3"
NOISE = C00._replace(conditions="external verification, 3 frames, generation not known")


def with_gains(document: RunDocument, day: int) -> RunDocument:
    """Return a run with gains too; one amplifier has none each third day."""
    gains = tuple(
        Gain((1, 2), 5.0, 0, name, None if name == "C03" and day % 3 == 0 else 1.5 + day / 1000, 7.0)
        for name in AMPLIFIERS
    )
    return dataclasses.replace(document, report=dataclasses.replace(document.report, gains=gains))


DOCUMENTS = [with_gains(document_of(day), day) for day in range(8)]


def write(folder: Path, documents: list[RunDocument]) -> None:
    for document in documents:
        (folder / f"{document.report.run_id}.json").write_text(write_document(document))


def names(folder: Path) -> list[str]:
    """Return the runs that an index has now."""
    with TrendIndex(folder) as index:
        index.update()
        assert index.notes == []
        return [run.name for run in index.history(REPO).runs]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, DOCUMENTS)
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order."""
    found: list[str] = []
    real = trend_index.load_file

    def load(file: Path) -> RunDocument:
        found.append(file.name)
        return real(file)

    monkeypatch.setattr(trend_index, "load_file", load)
    return found


def test_the_index_gives_what_the_runs_themselves_give(folder: Path) -> None:
    # Given runs, and the same from their index
    runs = [run for document in DOCUMENTS if (run := Run.of(document))]
    expected = History.of(runs)
    with TrendIndex(folder) as index:
        index.update()
        found = index.history(REPO)
        # Then all that is made of them is equal
        assert [(run.name, run.time, dict(run.values)) for run in found.runs] == [
            (run.name, run.time, run.values) for run in runs
        ]
        assert list(found.series) == list(expected.series)
        assert dict(found.series) == expected.series
        assert dict(found.bands) == expected.bands and len(found.bands) == len(expected.bands)
        assert dict(found.kinds) == expected.kinds
        for earlier, newest in ((expected.earlier, runs[-1]), (found.earlier, found.runs[-1])):
            assert departures(earlier, newest) == departures(expected.earlier, runs[-1])
            assert remarks(earlier, newest) == remarks(expected.earlier, runs[-1])
        assert [len(run.values) for run in found.runs] == [len(run.values) for run in runs]


def test_on_a_terminal_the_first_look_says_how_many_runs_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screens = []
    for _ in range(2):
        screens.append(Terminal())
        monkeypatch.setattr(sys, "stderr", screens[-1])
        with open_trend(folder, None, None):
            pass
    # Given the first look, how far it is, and nothing of that stays
    first, second = (screen.getvalue() for screen in screens)
    assert first.startswith("\rReading runs, once: 0 of 8") and first.endswith("\r\x1b[K")
    # and the second one has nothing to read
    assert second == ""


def test_runs_of_the_repository_alone_are_beside_those_of_the_index(folder: Path) -> None:
    # Given two runs that have left no JSON, between the others and after them
    extra = [Run("u/ocps/a1", 2.5 * DAY, {C00: 6.0}), Run("u/ocps/a2", 20 * DAY, {C00: 6.6})]
    runs = [run for document in DOCUMENTS if (run := Run.of(document))]
    expected = History.of([*runs, *extra])
    with TrendIndex(folder) as index:
        index.update()
        found = index.history(REPO, extra)
        assert [run.name for run in found.runs] == [run.name for run in expected.runs]
        assert dict(found.series) == expected.series and dict(found.kinds) == expected.kinds
        assert dict(found.earlier.bands) == expected.earlier.bands


def test_a_file_is_read_once(folder: Path, read: list[str]) -> None:
    for _ in range(3):
        assert len(names(folder)) == len(DOCUMENTS)
    assert sorted(read) == sorted(f"{document.report.run_id}.json" for document in DOCUMENTS)


def test_what_has_changed_is_read_again_and_what_is_gone_is_forgotten(folder: Path, read: list[str]) -> None:
    names(folder)
    read.clear()
    # Given one run is written anew, one is gone, and one is damaged
    write(folder, [document_of(3, noise=9.0)])
    (folder / "run-04.json").unlink()
    (folder / "run-05.json").write_text("{")
    with TrendIndex(folder) as index:
        assert index.update() == 2 and sorted(read) == ["run-03.json", "run-05.json"]
        history = index.history(REPO)
        assert [run.name[-2:] for run in history.runs] == ["00", "01", "02", "03", "06", "07"]
        assert [value > 8 for _, value in history.series[NOISE]] == [False] * 3 + [True] + [False] * 2
        (skipped,) = index.skipped()
        assert skipped.startswith("run-05.json: not JSON")
    # And once it is whole, it is a run again
    write(folder, [DOCUMENTS[5]])
    assert "run-05" in names(folder)


def test_a_file_that_could_not_be_opened_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path) -> RunDocument:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(trend_index, "load_file", refuse)
        with TrendIndex(folder) as index:
            index.update()
            assert len(index.skipped()) == len(DOCUMENTS) and "Permission denied" in index.skipped()[0]
    assert len(names(folder)) == len(DOCUMENTS)


def delete(file: Path) -> None:
    file.unlink()


def overwrite(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)


def damage(file: Path) -> None:
    """Damage all but the first page, which has the tables."""
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (size - 4096))


def age(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()


@pytest.mark.parametrize("harm", [delete, overwrite, damage, age])
def test_an_index_that_is_lost_is_made_anew(
    folder: Path, read: list[str], harm: Callable[[Path], None]
) -> None:
    expected = names(folder)
    read.clear()
    harm(folder / INDEX)
    assert names(folder) == expected
    assert len(read) == len(DOCUMENTS)
    # And it lasts
    read.clear()
    assert names(folder) == expected and read == []


def test_without_an_index_the_newest_runs_are_read_and_that_is_said(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a place where no index can be written
    (folder / INDEX).symlink_to(folder / "elsewhere")
    now = document_of(9, noise=9.0)
    warnings, problems = unlike_earlier(now, folder)
    # Then the run is compared nevertheless
    assert warnings[0].startswith("Read noise is unlike earlier runs in 16 of 16 amplifiers")
    assert len(problems) == 1 and INDEX in problems[0] and "cannot be written" in problems[0]
    assert not (folder / "elsewhere").exists()
    # And the runs that are read are limited
    monkeypatch.setattr(trend_index, "NEWEST_RUNS", 2)
    read.clear()
    with TrendIndex(folder) as index:
        index.update()
        assert len(read) == 2 and "newest 2 runs" in index.notes[0]


def test_an_index_that_stays_locked_does_not_stop_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(folder)
    write(folder, [document_of(8)])
    monkeypatch.setattr(database, "_BUSY_TIMEOUT", 0.1)
    holder = sqlite3.connect(folder / INDEX)
    holder.execute("BEGIN IMMEDIATE")
    try:
        warnings, problems = unlike_earlier(document_of(9, noise=9.0), folder)
    finally:
        holder.close()
    assert len(warnings) == 1 and "locked" in problems[0]


def test_many_that_update_at_once_leave_each_run_once(folder: Path) -> None:
    errors: list[Exception] = []
    begin = threading.Barrier(4)

    def update() -> None:
        try:
            begin.wait(timeout=60)
            with TrendIndex(folder) as index:
                index.update()
                assert index.notes == []
        except Exception as error:  # noqa: BLE001 - it is looked at below
            errors.append(error)

    threads = [threading.Thread(target=update) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert errors == []
    with TrendIndex(folder) as index:
        assert index.update() == 0
        assert [run.name for run in index.history(REPO).runs] == [each.report.run_id for each in DOCUMENTS]
        assert all(len(points) <= len(DOCUMENTS) for points in index.history(REPO).series.values())


def test_a_script_reads_the_newest_runs_alone_and_the_command_all(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "NEWEST_RUNS", 3)
    for i, document in enumerate(DOCUMENTS):
        os.utime(folder / f"{document.report.run_id}.json", (1000 + i, 1000 + i))
    for _ in range(2):
        unlike_earlier(document_of(9), folder)
        assert sorted(read) == ["run-05.json", "run-06.json", "run-07.json"]
    assert len(names(folder)) == len(DOCUMENTS) and len(read) == len(DOCUMENTS)


def test_the_newest_runs_make_a_band_and_all_are_drawn() -> None:
    # Given a quantity that was another years ago
    key = Key("gain", "e-/ADU", 0, "C00")
    values = [1.0] * 300 + [2.0 + i % 2 / 100 for i in range(BAND_RUNS + 1)]
    history = History(Run(f"run {i}", i * DAY, {key: value}) for i, value in enumerate(values))
    assert history.earlier.bands[key].centre == pytest.approx(2.0, abs=0.02)
    # Then what was usual then is unusual now, and the page lists no more
    [remark] = remarks(history, Run("now", 600 * DAY, {key: 1.0}))
    assert remark.is_far
    page = trend_page(history)
    assert "trend of 501 runs" in page and "301 earlier runs are not listed." in page
    assert page.count("<tr><td") == 200


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with TrendIndex(tmp_path / "none") as index:
        assert index.update() == 0 and index.history(Source(None, "LATISS")).runs == () and index.notes == []
    assert not (tmp_path / "none").exists()


def test_of_thousands_of_runs_what_is_far_out_is_still_drawn() -> None:
    values = [float(i % 7) for i in range(5000)]
    values[1234], values[4321] = 99.0, -99.0
    kept = thinned(values)
    assert {1234, 4321, 4999} <= set(kept) and kept == sorted(kept) and len(kept) <= 401
    assert thinned(values[:400]) == list(range(400))


def test_damage_that_is_found_late_removes_the_index_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(folder)

    def fail(*args: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    # Given pages of values that are damaged, which an update does not read
    page = folder / "trend.html"
    command = ["trend", "--journals", str(folder), "-o", str(page)]
    with monkeypatch.context() as patched:
        patched.setattr(trend_values.IndexedHistory, "rows", fail)
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2 and "was damaged and is removed" in result.stderr
        assert "Traceback" not in result.stderr and not (folder / INDEX).exists()
    # Then the next use makes it anew
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0 and page.exists()


def test_runs_of_two_cameras_have_a_trend_each(folder: Path) -> None:
    # Given two cameras on one repository, whose detectors have the same ids
    def of_comcam(day: int, noise: float = 9.0) -> RunDocument:
        document = document_of(day, noise=noise)
        report = dataclasses.replace(
            document.report, run_id=f"comcam-{day:02}", instrument="LSSTComCam", config={"repo": REPO.repo}
        )
        return dataclasses.replace(document, report=report)

    write(folder, [of_comcam(day) for day in range(6)])
    # When each has another run, then it is compared with its own.
    assert unlike_earlier(document_of(9), folder) == ((), ())
    assert unlike_earlier(of_comcam(9), folder) == ((), ())
    (warning,), _ = unlike_earlier(of_comcam(9, noise=6.5), folder)
    assert warning.startswith("Read noise is unlike earlier runs in 16 of 16 amplifiers")
    with TrendIndex(folder) as index:
        index.update()
        comcam = Source(REPO.repo, "LSSTComCam")
        assert index.count(comcam) == (6, len(DOCUMENTS), 0)
        assert index.newest_source(instrument="LSSTComCam") == comcam
        history = index.history(comcam)
        assert {run.name[:6] for run in history.runs} == {"comcam"}
        assert all(8 < dict(run.values)[NOISE] < 10 for run in history.runs)
        assert all(8 < value < 10 for _, value in history.series[NOISE])


def test_the_command_shows_one_camera(folder: Path, tmp_path: Path) -> None:
    report = dataclasses.replace(document_of(9).report, run_id="other", instrument="LSSTComCam")
    write(folder, [dataclasses.replace(document_of(9), report=report)])
    os.utime(folder / "other.json", (1000, 1000))
    page = tmp_path / "trend.html"
    words = ["trend", "--journals", str(folder), "-o", str(page)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert "Runs of LATISS on the repository /repo/LATISS" in text
    assert "1 runs of other cameras are left out (--instrument)." in text
    result = CliRunner().invoke(main, [*words, "--instrument", "LSSTComCam"])
    assert result.exit_code == 0, result.output
    assert "trend of 1 runs" in page.read_text()
