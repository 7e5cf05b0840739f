# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of files that are beside them: databases that can be lost.

An index holds nothing that the files do not: it is made anew when it is
missing, damaged or of another format.
"""

from __future__ import annotations

__all__ = ["open_index", "remove_index"]

import itertools
import os
import sqlite3
from pathlib import Path

from .private import file_mode

_BUSY_TIMEOUT = 10.0
"""Longest wait for another program that writes the index (s)."""


def open_index(file: Path, tables: str, number: int) -> sqlite3.Connection:
    """Open an index, and make it if there is none that can be used.

    Parameters
    ----------
    file : `pathlib.Path`
        The database. Its folder is made if it does not exist.
    tables : `str`
        SQL that makes its tables, without a transaction.
    number : `int`
        Number of its format, which changes with the tables.

    Returns
    -------
    database : `sqlite3.Connection`
        The caller closes it.

    Raises
    ------
    OSError, sqlite3.Error
        If it cannot be written.
    """
    for attempt in itertools.count():
        database = _open(file)
        try:
            usable = prepare(database, tables, number)
        except sqlite3.OperationalError:
            # It is locked, or its disk is full: it is not damaged.
            database.close()
            raise
        except sqlite3.DatabaseError:
            usable = False
        if usable:
            return database
        database.close()
        if attempt:
            raise sqlite3.DatabaseError("it cannot be made anew")
        remove_index(file)
    raise AssertionError("numbers do not end")


def remove_index(file: Path) -> None:
    """Remove a database that is damaged, with what belongs to it.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    for suffix in ("", "-wal", "-shm"):
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = file_mode(file.parent)
    descriptor = os.open(file, flags, mode)
    try:
        # The mask of this process takes nothing from the group of a new one.
        if os.fstat(descriptor).st_size == 0:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return sqlite3.connect(file, timeout=_BUSY_TIMEOUT)


def prepare(database: sqlite3.Connection, tables: str, number: int) -> bool:
    """Return whether an index can be used; make its tables if it is new."""
    (found,) = database.execute("PRAGMA user_version").fetchone()
    if found == 0 and not database.execute("SELECT name FROM sqlite_master").fetchall():
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN; {tables} PRAGMA user_version = {number}; COMMIT;")
        return True
    return int(found) == number
