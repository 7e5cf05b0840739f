# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the journal of a run is, and that it is written as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsst.ts.calibrationscripts.files.journal import FileJournal, journal_folder, load_record, newest_run
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.record import RunRecord


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
