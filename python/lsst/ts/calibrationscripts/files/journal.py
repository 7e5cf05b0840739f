# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a run, as a file."""

from __future__ import annotations

__all__ = [
    "SUFFIX",
    "FileJournal",
    "claim_run",
    "journal_file",
    "journal_folder",
    "journals_in",
    "load_record",
    "lock_earlier_run",
    "newest_run",
    "run_lock",
    "runs_in",
    "written_at",
]

import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..codec import change_text, read_record, record_text
from ..outcomes import RunState
from ..ports import ObservatoryError
from ..record import RunRecord
from ..threads import in_thread
from .atomic import FileState, append_to_file, replace_file
from .contents import check_record, is_run_id
from .lock import Lock, LockedError
from .private import files_in, make_folder, one_line, read_text

SUFFIX = ".journal.json"
"""Of the names of journals."""

_MAX_NAMED_RUNS = 5
_MAX_BYTES = 16 * 2**20

_MAX_CHANGES = 4 * 2**20
"""Longest text of changes behind a record (byte): those of 3,000 frames."""


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
    return next((run_id for run_id, _ in runs_in(folder)), None)


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
    file = _file_of(folder, run_id)
    try:
        record = read_record(read_text(file, max_bytes=_MAX_BYTES))
        check_record(record, run_id)
        return record
    except FileNotFoundError:
        raise _unknown(folder) from None
    except (OSError, ValueError) as error:
        raise LookupError(f"its journal in {folder} cannot be read: {one_line(str(error))}") from error


async def earlier_run(folder: Path, run_id: str) -> RunRecord:
    """Return the record of another run, without stopping the event loop.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where journals are.
    run_id : `str`
        Id of the run.

    Returns
    -------
    record : `RunRecord`

    Raises
    ------
    ObservatoryError
        If there is none that can be read.
    """
    try:
        return await in_thread(lambda: load_record(folder, run_id))
    except LookupError as error:
        raise ObservatoryError(f"run {run_id}: {error.args[0]}") from error


def written_at(folder: Path, run_id: str) -> float:
    """Return when the journal of a run was written last.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    run_id : `str`
        Which run.

    Returns
    -------
    time : `float`
        Unix timestamp (s).

    Raises
    ------
    LookupError
        If there is none.
    """
    try:
        return _file_of(folder, run_id).lstat().st_mtime
    except FileNotFoundError:
        raise _unknown(folder) from None


def _file_of(folder: Path, run_id: str) -> Path:
    """Return the journal of a run, whose id may be any text."""
    if not is_run_id(run_id):
        raise LookupError(f"{one_line(run_id, 80)!r} is not the id of a run")
    return journal_file(folder, run_id)


def _unknown(folder: Path) -> LookupError:
    known = ", ".join(run_id for run_id, _ in runs_in(folder)[:_MAX_NAMED_RUNS]) or "none"
    return LookupError(f"no journal of it in {folder}; the newest there: {known}")


def journal_file(folder: Path, run_id: str) -> Path:
    """Return where the journal of a run is.

    Parameters
    ----------
    folder : `pathlib.Path`
        Folder of the journals.
    run_id : `str`
        The run.

    Returns
    -------
    file : `pathlib.Path`
    """
    return folder / f"{run_id}{SUFFIX}"


def journals_in(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the journals in a folder, in any order.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where they are.

    Yields
    ------
    run_id : `str`
        Id of the run.
    status : `os.stat_result`
        That of the file.
    """
    for file, status in files_in(folder, f"*{SUFFIX}"):
        run_id = file.name.removesuffix(SUFFIX)
        if stat.S_ISREG(status.st_mode) and is_run_id(run_id):
            yield run_id, status


def runs_in(folder: Path) -> list[tuple[str, float]]:
    """Return which runs have left a journal in a folder.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.

    Returns
    -------
    runs : `list` [`tuple`]
        Their ids, and when each journal was written last (Unix timestamp,
        s); the newest first.
    """
    found = [(status.st_mtime, run_id) for run_id, status in journals_in(folder)]
    return [(run_id, modified) for modified, run_id in sorted(found, reverse=True)]


def run_lock(folder: Path, run_id: str) -> Lock:
    """Return the lock of a run, which is not held yet.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where its journal is.
    run_id : `str`
        Which run.

    Returns
    -------
    lock : `Lock`
        A process that writes the journal holds it.
    """
    return Lock(folder / f"{run_id}.lock")


def lock_earlier_run(folder: Path, run_id: str) -> Lock:
    """Lock an earlier run, so that its journal stays as it will be read.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    run_id : `str`
        Which run.

    Returns
    -------
    lock : `Lock`
        The lock, held.

    Raises
    ------
    LookupError
        If the run does not exist, if it is running, or if it cannot be locked;
        says why and, as second argument, what to do.
    """
    if not os.path.lexists(_file_of(folder, run_id)):
        raise _unknown(folder)
    lock = run_lock(folder, run_id)
    try:
        lock.acquire()
    except LockedError as error:
        raise LookupError(f"that run is running: {error}", "wait for its end, or stop it first") from None
    except OSError as error:
        raise LookupError(
            f"that run cannot be locked in {folder}: {error.strerror}", "allow this user to write there"
        ) from error
    return lock


def claim_run(folder: Path, run_id: str) -> tuple[str, Lock]:
    """Find an id for a new run that no other run has, and lock the run.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    run_id : `str`
        The id that it is to have.

    Returns
    -------
    run_id : `str`
        That id or, if there is such a run already, with ``-2``, ``-3``...
    lock : `Lock`
        Its lock. It is held, unless nothing can be written into the folder:
        then `FileJournal.check` says why.
    """
    for number in itertools.count(1):
        own = run_id if number == 1 else f"{run_id}-{number}"
        lock = run_lock(folder, own)
        try:
            make_folder(folder)
            lock.acquire()
        except LockedError:
            continue
        except OSError:
            return own, lock
        if not any(
            os.path.lexists(folder / f"{own}{suffix}") for suffix in (SUFFIX, ".json", ".html", ".files")
        ):
            return own, lock
        lock.release()
    raise AssertionError("numbers do not end")


@dataclass(frozen=True)
class _Written:
    """What a process has written into a journal."""

    record: RunRecord
    state: FileState
    size: int
    """That of the record as it was written as a whole (byte)."""

    n_changes: int = 0
    """How many changes are behind it."""


class FileJournal:
    """A `Journal` in one file.

    The first record that it writes replaces the file, as one JSON. Each later
    one adds a line with what has changed, so that it costs the same for a run
    of any length. A run that ends leaves one JSON.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where journals are kept; it is made if it does not exist.
    run_id : `str`
        Id of the run.
    lock : `Lock`, optional
        The lock of the run, which the caller holds and releases. By default
        it is taken for each write.
    """

    def __init__(self, folder: Path, run_id: str, lock: Lock | None = None) -> None:
        self._file = journal_file(folder, run_id)
        self._lock = lock or run_lock(folder, run_id)
        self._written: _Written | None = None
        """`None` if the next record replaces the file."""

    @property
    def path(self) -> str:
        """Path of the file."""
        return str(self._file)

    def check(self) -> tuple[str, ...]:
        """Return why it cannot be written, if so."""
        where = self._file.parent
        try:
            make_folder(where)
            with tempfile.TemporaryFile(dir=where), self._lock.taken():
                return ()
        except LockedError as error:
            return (f"the journal {self._file} is written by {error}. Wait for its end, or stop it",)
        except OSError as error:
            return (f"the journal cannot be written in {where}: {error.strerror}. Write another journal_dir",)

    def write(self, record: RunRecord) -> None:
        """Write a record in place of the one before, all of it or nothing.

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
            with self._lock.taken():
                # Whatever fails, the next one replaces the file.
                written, self._written = self._written, None
                self._written = self._append(record, written) or self._replace(record)
        except LockedError as error:
            raise ObservatoryError(f"the journal {self._file} is written by {error}") from error
        except OSError as error:
            raise ObservatoryError(f"the journal {self._file} cannot be written: {error.strerror}") from error

    def _replace(self, record: RunRecord) -> _Written:
        """Replace the file."""
        state = replace_file(self._file, record_text(record))
        return _Written(record, state, state.size)

    def _append(self, record: RunRecord, before: _Written | None) -> _Written | None:
        """Add what has changed to the file.

        `None` if it is to be replaced: others have changed it meanwhile, the
        run has ended, or the changes become long.
        """
        if before is None or record.state is not RunState.RUNNING:
            return None
        number = before.n_changes + 1
        line = change_text(before.record, record, number).encode()
        if before.state.size + len(line) - before.size > _MAX_CHANGES:
            return None
        state = append_to_file(self._file, line, before.state)
        return None if state is None else _Written(record, state, before.size, number)
