# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a run, as a file."""

from __future__ import annotations

__all__ = ["FileJournal", "default_journal_dir", "load_record", "newest_run"]

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from ..codec import read_record, to_json
from ..ports import ObservatoryError
from ..record import RunRecord

_SUFFIX = ".journal.json"
_MAX_NAMED_RUNS = 5


def default_journal_dir() -> Path:
    """Return the folder for journals in the user's state directory.

    Returns
    -------
    folder : `pathlib.Path`
        As the XDG Base Directory Specification has it.
    """
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "ts_calibrationscripts"


def newest_run(folder: Path) -> str | None:
    """Return the id of the run that was written last, if there is one."""
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
        If there is no such journal, or it cannot be read; says which there
        are.
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
        Where journals are kept; made when absent.
    run_id : `str`
        The run.
    """

    on_write: ClassVar[Callable[[int], None] | None] = None
    """Called before each write takes effect, with its number from 1."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._file = folder / f"{run_id}{_SUFFIX}"
        self._n_writes = 0

    @property
    def path(self) -> str:
        """Where a person finds it."""
        return str(self._file)

    def check(self) -> tuple[str, ...]:
        """Return what keeps it from being written, if anything."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._file.parent):
                return ()
        except OSError as error:
            where = self._file.parent
            return (f"the journal cannot be written in {where}: {error.strerror}. Write another journal_dir",)

    def write(self, record: RunRecord) -> None:
        """Replace what was written before; all of it or nothing."""
        self._n_writes += 1
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            with new.open("w", encoding="utf-8") as stream:
                json.dump(to_json(record), stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            if FileJournal.on_write is not None:
                FileJournal.on_write(self._n_writes)
            new.replace(self._file)
        except OSError as error:
            raise ObservatoryError(f"the journal {self._file} cannot be written: {error.strerror}") from error
