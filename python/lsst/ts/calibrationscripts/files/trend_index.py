# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of thousands of runs, without reading the JSON of each again.

It is an index of the JSON that runs leave: a file that has changed is read
again.
"""

from __future__ import annotations

__all__ = ["NEWEST_RUNS", "DamagedIndexError", "TrendIndex"]

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from ..codec import FORMAT
from ..report import RunDocument
from ..trend import Group, Run, Source, ordered, source_of
from .database import open_index, prepare, remove_index
from .private import one_line
from .runs import documents_in, load_file
from .trend_values import IndexedHistory, StoredValues, by_group, packed

NEWEST_RUNS = 200
"""Runs that a script compares its own with, at most."""

_FILE = "trend.sqlite3"
_FORMAT = 1000 * FORMAT + 3
"""Number of the format. It changes with the tables, with the quantities that
are taken from the JSON, and with that of the JSON: then files can be read that
could not be read before."""

_TABLES = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, modified INTEGER NOT NULL, size INTEGER NOT NULL,
    problem TEXT NOT NULL, repo TEXT, instrument TEXT, name TEXT NOT NULL, time REAL,
    n_values INTEGER NOT NULL, jobs TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kind (
    id INTEGER PRIMARY KEY, repo TEXT NOT NULL, instrument TEXT NOT NULL, quantity TEXT NOT NULL,
    unit TEXT NOT NULL, detector INTEGER NOT NULL, conditions TEXT NOT NULL, amplifiers TEXT NOT NULL,
    UNIQUE (repo, instrument, quantity, unit, detector, conditions, amplifiers)
);
CREATE TABLE IF NOT EXISTS value (
    kind INTEGER NOT NULL, time REAL NOT NULL, run INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (kind, time, run)
) WITHOUT ROWID;
"""
"""A row of values has those of the amplifiers of a detector, in the order of
their kind."""

_CACHE = 16_000
"""What is kept of the index (kB)."""

_CHUNK = 20
"""Files that are read in one transaction."""


class DamagedIndexError(RuntimeError):
    """Values of runs cannot be read from an index; it is removed."""


class _File(NamedTuple):
    """A file as it is now."""

    path: Path
    modified: int
    size: int


class TrendIndex:
    """The values of the runs in a folder; it is a context manager.

    Where the index cannot be written, one in memory takes its place: then the
    newest runs are read alone. What damage is found when it is updated is
    repaired; what is found later ends in a `DamagedIndexError`.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their JSON.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_lasting = True
        self._unreadable: dict[str, str] = {}
        self.notes: list[str] = []
        """What makes it slower, or less complete, than it should be."""

    def __enter__(self) -> Self:
        # A folder that does not exist is not made by who looks into it.
        if not self._folder.is_dir():
            self._database = self._in_memory()
            return self
        self._open()
        return self

    def _open(self) -> None:
        try:
            self._database = open_index(self._folder / _FILE, _TABLES, _FORMAT)
        except (OSError, sqlite3.Error) as error:
            self._fall_back(error)
        self._database.isolation_level = None
        # A run has a value in each of many places: a chunk of them stays here
        # until it is written.
        self._database.execute(f"PRAGMA cache_size = -{_CACHE}")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._database.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            file = self._folder / _FILE
            remove_index(file)
            raise DamagedIndexError(
                f"the index {file} was damaged and is removed; the next use makes it anew"
            ) from error

    def update(self, newest: int | None = None, reading: Callable[[int, int], None] | None = None) -> int:
        """Read the files that are new or have changed.

        Parameters
        ----------
        newest : `int`, optional
            Only of so many files that were written last.
        reading : `~collections.abc.Callable`, optional
            Takes how many have been read, and how many are to be.

        Returns
        -------
        n_read : `int`
            How many they were.
        """
        try:
            return self._update(newest, reading)
        except sqlite3.OperationalError as error:
            self._database.close()
            self._fall_back(error)
        except sqlite3.DatabaseError:
            # It is damaged: it is made anew.
            self._database.close()
            with contextlib.suppress(OSError):
                remove_index(self._folder / _FILE)
            self._open()
        return self._update(newest, reading)

    def _fall_back(self, error: Exception) -> None:
        why = one_line(getattr(error, "strerror", None) or str(error))
        self.notes.append(
            f"the index {self._folder / _FILE} cannot be written: {why}. "
            f"Only the newest {NEWEST_RUNS} runs are read, each time"
        )
        self._database = self._in_memory()

    def _in_memory(self) -> sqlite3.Connection:
        self._is_lasting = False
        database = sqlite3.connect(":memory:", isolation_level=None)
        prepare(database, _TABLES, _FORMAT)
        return database

    def _update(self, newest: int | None, reading: Callable[[int, int], None] | None) -> int:
        if not self._is_lasting:
            newest = min(newest or NEWEST_RUNS, NEWEST_RUNS)
        files = [
            _File(path, status.st_mtime_ns, status.st_size) for path, status in documents_in(self._folder)
        ]
        known = {
            name: (modified, size)
            for name, modified, size in self._database.execute("SELECT file, modified, size FROM run")
        }
        gone = known.keys() - {file.path.name for file in files}
        if gone:
            with self._transaction():
                for name in gone:
                    self._forget(name)
        # The newest first: they are compared with the next run.
        files.sort(key=lambda file: (file.modified, file.path), reverse=True)
        changed = [file for file in files[:newest] if known.get(file.path.name) != (file.modified, file.size)]
        for i in range(0, len(changed), _CHUNK):
            if reading is not None:
                reading(i, len(changed))
            # They are read before others have to wait.
            chunk = [(file, *self._read(file.path)) for file in changed[i : i + _CHUNK]]
            with self._transaction():
                for file, document, problem in chunk:
                    self._forget(file.path.name)
                    self._note(file, document, problem)
        return len(changed)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        # Another process that writes waits from its beginning.
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:
            yield

    def _read(self, path: Path) -> tuple[RunDocument | None, str]:
        self._unreadable.pop(path.name, None)
        try:
            return load_file(path), ""
        except OSError as error:
            # It may be read next time, though it does not change.
            self._unreadable[path.name] = one_line(str(error))
            return None, ""
        except ValueError as error:
            return None, one_line(str(error))

    def _forget(self, name: str) -> None:
        found = self._database.execute(
            "SELECT id, repo, instrument, time FROM run WHERE file = ?", (name,)
        ).fetchone()
        if found is None:
            return
        run, *source, time = found
        self._database.execute(
            "DELETE FROM value WHERE kind IN (SELECT id FROM kind WHERE repo = ? AND instrument = ?) "
            "AND time = ? AND run = ?",
            (*source, time, run),
        )
        self._database.execute("DELETE FROM run WHERE id = ?", (run,))

    def _note(self, file: _File, document: RunDocument | None, problem: str) -> None:
        if file.path.name in self._unreadable:
            return
        run = Run.of(document) if document else None
        source = _stored(source_of(document)) if document else None
        jobs = [
            each.collection
            for each in (document.report.stages if document else ())
            if each.job_id and each.collection
        ]
        cursor = self._database.execute(
            "INSERT INTO run (file, modified, size, problem, repo, instrument, name, time, n_values, jobs) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(file.path.name, file.modified, file.size, problem, *(source or (None, None))),
                document.report.run_id if document else "",
                run.time if run else None,
                len(run.values) if run else 0,
                json.dumps(jobs),
            ),
        )
        if run is not None and source is not None:
            self._database.executemany(
                "INSERT INTO value VALUES (?, ?, ?, ?)",
                [
                    (self._kind(source, group, tuple(values)), run.time, cursor.lastrowid, packed(values))
                    for group, values in by_group(run.values).items()
                ],
            )

    def _kind(self, source: tuple[str, str], group: Group, amplifiers: tuple[str, ...]) -> int:
        what = (*source, *group, json.dumps(amplifiers))
        where = (
            "SELECT id FROM kind WHERE repo = ? AND instrument = ? AND quantity = ? AND unit = ? "
            "AND detector = ? AND conditions = ? AND amplifiers = ?"
        )
        found = self._database.execute(where, what).fetchone()
        if found is None:
            self._database.execute(
                "INSERT INTO kind (repo, instrument, quantity, unit, detector, conditions, amplifiers) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                what,
            )
            found = self._database.execute(where, what).fetchone()
        return int(found[0])

    def skipped(self) -> tuple[str, ...]:
        """Return the files that no run has left, and why; the newest first."""
        rows = self._database.execute(
            "SELECT file, problem FROM run WHERE problem != '' ORDER BY modified DESC, file DESC"
        )
        found = [*self._unreadable.items(), *rows]
        return tuple(f"{one_line(name, 100)}: {problem}" for name, problem in found)

    def newest_source(self, repo: str | None = None, instrument: str | None = None) -> Source | None:
        """Return whose the run is whose JSON was written last.

        Parameters
        ----------
        repo, instrument : `str`, optional
            If it is given, of the runs that have this one.

        Returns
        -------
        source : `Source` or `None`
            `None` if no run has them.
        """
        found = self._database.execute(
            "SELECT repo, instrument FROM run WHERE problem = '' AND repo = ifnull(?, repo) "
            "AND instrument = ifnull(?, instrument) ORDER BY modified DESC, file DESC LIMIT 1",
            (repo, instrument),
        ).fetchone()
        return Source(found[0] or None, found[1]) if found else None

    def count(self, source: Source) -> tuple[int, int, int]:
        """Return how many runs are those, of other cameras, elsewhere."""
        found = self._database.execute(
            "SELECT count(CASE WHEN repo = ?1 AND instrument = ?2 THEN 1 END), "
            "count(CASE WHEN repo = ?1 AND instrument != ?2 THEN 1 END), "
            "count(CASE WHEN repo != ?1 THEN 1 END) FROM run WHERE problem = ''",
            _stored(source),
        ).fetchone()
        same, other_cameras, elsewhere = map(int, found)
        return same, other_cameras, elsewhere

    def jobs(self, repo: str) -> set[str]:
        """Return the output collections of the jobs of the runs."""
        rows = self._database.execute("SELECT jobs FROM run WHERE repo = ?", (repo,))
        return {job for (text,) in rows for job in json.loads(text)}

    def history(self, source: Source, extra: Iterable[Run] = ()) -> IndexedHistory:
        """Return the runs of a camera on a repository that have values.

        Parameters
        ----------
        source : `Source`
            Which.
        extra : `~collections.abc.Iterable` [`Run`], optional
            Runs that have left no JSON.

        Returns
        -------
        history : `IndexedHistory`
            It is of use as long as the index is open.
        """
        rows = self._database.execute(
            "SELECT name, time, id, n_values FROM run WHERE repo = ? AND instrument = ? AND n_values > 0",
            _stored(source),
        )
        runs = [
            Run(name, time, StoredValues(self._database, number, time, n_values, _stored(source)))
            for name, time, number, n_values in rows
        ]
        return IndexedHistory(self._database, _stored(source), ordered([*runs, *extra]))


def _stored(source: Source) -> tuple[str, str]:
    """Return whose values there are, as the index has it."""
    return source.repo or "", source.instrument
