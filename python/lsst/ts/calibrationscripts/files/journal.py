# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a run, as a file."""

from __future__ import annotations

__all__ = ["FileJournal", "journal_folder", "load_record", "newest_run"]

import json
import os
import tempfile
from pathlib import Path

from ..codec import read_record, to_json
from ..ports import ObservatoryError
from ..record import RunRecord
from .atomic import replace_file

_SUFFIX = ".journal.json"
_MAX_NAMED_RUNS = 5


def journal_folder(journal_dir: str | None = None) -> Path:
    """Return the folder of journals.

    Parameters
    ----------
    journal_dir : `str`, optional
        The configuration's key of that name. By default the folder is in the
        user's state directory, as defined by the XDG Base Directory
        Specification.

    Returns
    -------
    folder : `pathlib.Path`
    """
    if journal_dir is not None:
        return Path(journal_dir).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "ts_calibrationscripts"


def newest_run(folder: Path) -> str | None:
    """Return the id of the run whose journal was written last.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.

    Returns
    -------
    run_id : `str` or `None`
        `None` if there is no journal.
    """
    runs = _runs(folder)
    return runs[0] if runs else None


def load_record(folder: Path, run_id: str) -> RunRecord:
    """Read the journal of an earlier run.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    run_id : `str`
        Which run.

    Returns
    -------
    record : `RunRecord`

    Raises
    ------
    LookupError
        If the journal does not exist or cannot be read. The message names
        the newest ones that exist.
    """
    try:
        return read_record((folder / f"{run_id}{_SUFFIX}").read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(_runs(folder)[:_MAX_NAMED_RUNS]) or "none"
        raise LookupError(f"no journal of it in {folder}; the newest there: {known}") from None
    except (OSError, ValueError) as error:
        raise LookupError(f"its journal in {folder} cannot be read: {error}") from error


def _runs(folder: Path) -> list[str]:
    """Return the ids of the runs in a folder, the newest first."""
    files = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.name.removesuffix(_SUFFIX) for file in files]


class FileJournal:
    """A `Journal` in one JSON file.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where journals are kept; it is made if it does not exist.
    run_id : `str`
        Id of the run.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._file = folder / f"{run_id}{_SUFFIX}"

    @property
    def path(self) -> str:
        """Path of the file."""
        return str(self._file)

    def check(self) -> tuple[str, ...]:
        """Return why it cannot be written, if so."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._file.parent):
                return ()
        except OSError as error:
            where = self._file.parent
            return (f"the journal cannot be written in {where}: {error.strerror}. Write another journal_dir",)

    def write(self, record: RunRecord) -> None:
        """Replace the record that was written before, as a whole.

        Parameters
        ----------
        record : `RunRecord`
            The record.

        Raises
        ------
        ObservatoryError
            If it cannot be written; the file is then as it was.
        """
        try:
            replace_file(self._file, json.dumps(to_json(record), indent=1))
        except OSError as error:
            raise ObservatoryError(f"the journal {self._file} cannot be written: {error.strerror}") from error
