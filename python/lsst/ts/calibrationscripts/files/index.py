# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index of the runs in a folder, so that ten thousand are listed at once.

It holds nothing that the journals do not: it is made anew when it is missing,
damaged or of another format, and a journal that has changed is read again.
"""

from __future__ import annotations

__all__ = ["RunIndex", "RunLine"]

import contextlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..codec import from_json, to_json
from ..outcomes import Outcome
from ..record import RunRecord, camera_of
from ..spoilt import Mark
from .database import open_index
from .journal import journals_in, load_record

_FILE = "runs.sqlite3"
_FORMAT = 3
"""Number of the format; it changes with the tables, `RunLine` and `Mark`."""

_TABLES = """
CREATE TABLE IF NOT EXISTS run (
    run_id TEXT PRIMARY KEY, modified INTEGER NOT NULL, size INTEGER NOT NULL,
    state TEXT NOT NULL, n_frames INTEGER NOT NULL, n_waiting INTEGER NOT NULL, outcomes TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS run_modified ON run (modified);
CREATE INDEX IF NOT EXISTS run_waiting ON run (n_waiting);
CREATE TABLE IF NOT EXISTS mark (
    run_id TEXT NOT NULL, instrument TEXT NOT NULL, exposure INTEGER NOT NULL, mark TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS mark_run ON mark (run_id);
CREATE INDEX IF NOT EXISTS mark_exposure ON mark (exposure);
"""

_CHUNK = 200
"""Journals that are read in one transaction."""


@dataclass(frozen=True)
class RunLine:
    """What a list shows of a run."""

    run_id: str
    modified: float
    """When its journal was written last (Unix timestamp, s)."""

    state: str
    """Its `RunState`; ``UNREADABLE`` if its journal cannot be read."""

    n_frames: int
    n_waiting: int
    """Products that wait for a person."""

    outcomes: tuple[tuple[str, str], ...]
    """Name and outcome of the last stage of each product."""


class RunIndex:
    """Runs of a folder, without reading every journal each time.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    count_waiting : `~collections.abc.Callable`, optional
        Takes a record, returns how many of its products wait for a person.
    """

    def __init__(
        self, folder: Path, count_waiting: Callable[[RunRecord], int] = RunRecord.count_waiting
    ) -> None:
        self._folder = folder
        self._count_waiting = count_waiting

    def update(self, reading: Callable[[int, int], None] | None = None) -> int:
        """Read the journals that are new or have changed.

        Parameters
        ----------
        reading : `~collections.abc.Callable`, optional
            Takes how many have been read, and how many are to be.

        Returns
        -------
        n_read : `int`
            How many they were.

        Raises
        ------
        OSError, sqlite3.Error
            If the index cannot be written.
        """
        with self._connection() as database:
            known = {
                run_id: (modified, size)
                for run_id, modified, size in database.execute("SELECT run_id, modified, size FROM run")
            }
            found = {
                run_id: (status.st_mtime_ns, status.st_size) for run_id, status in journals_in(self._folder)
            }
            gone = [(run_id,) for run_id in known.keys() - found.keys()]
            with database:
                database.executemany("DELETE FROM run WHERE run_id = ?", gone)
                database.executemany("DELETE FROM mark WHERE run_id = ?", gone)
            changed = [run_id for run_id, state in found.items() if known.get(run_id) != state]
            # The newest first: they are what one wants to see meanwhile.
            changed.sort(key=lambda run_id: found[run_id], reverse=True)
            for i in range(0, len(changed), _CHUNK):
                if reading is not None:
                    reading(i, len(changed))
                chunk = [(run_id, self._load(run_id)) for run_id in changed[i : i + _CHUNK]]
                rows = [self._row(run_id, *found[run_id], record) for run_id, record in chunk]
                with database:
                    database.executemany("INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                    database.executemany("DELETE FROM mark WHERE run_id = ?", [(each,) for each, _ in chunk])
                    database.executemany(
                        "INSERT INTO mark VALUES (?, ?, ?, ?)",
                        [(run_id, *row) for run_id, record in chunk for row in _marks_of(record)],
                    )
        return len(changed)

    def _load(self, run_id: str) -> RunRecord | None:
        try:
            return load_record(self._folder, run_id)
        except LookupError:
            return None

    def _row(self, run_id: str, modified: int, size: int, record: RunRecord | None) -> tuple[object, ...]:
        if record is None:
            return run_id, modified, size, "UNREADABLE", 0, 0, "[]"
        outcomes: dict[str, Outcome] = {}
        for result in record.stages:
            outcomes[result.stage.subject.name] = result.outcome
        n_frames = sum(frame.exposure is not None for frame in record.frames)
        return (
            *(run_id, modified, size, record.state.value, n_frames, self._count_waiting(record)),
            json.dumps([(name, outcome.value) for name, outcome in outcomes.items()]),
        )

    def lines(self, *, waiting: bool = False, limit: int = 50, offset: int = 0) -> list[RunLine]:
        """Return runs, the newest first.

        Parameters
        ----------
        waiting : `bool`, optional
            Only those with something that waits.
        limit, offset : `int`, optional
            How many, -1 for all, and how many to leave out before them.

        Returns
        -------
        lines : `list` [`RunLine`]
        """
        where = "WHERE n_waiting > 0" if waiting else ""
        with self._connection() as database:
            rows = database.execute(
                f"SELECT run_id, modified, state, n_frames, n_waiting, outcomes FROM run {where} "  # noqa: S608
                "ORDER BY modified DESC, run_id DESC LIMIT ? OFFSET ?",
                (limit, offset),
            ).fetchall()
        return [_line(row) for row in rows]

    def marks(self, exposures: Collection[int], instrument: str) -> list[tuple[str, Mark]]:
        """Return what the journals have noted of exposures.

        Parameters
        ----------
        exposures : collection of `int`
            Exposure ids.
        instrument : `str`
            Name of the camera that has taken them.

        Returns
        -------
        marks : `list` [`tuple` [`str`, `Mark`]]
            Each with the id of the run whose journal has it; those of the
            journal that was written last first.
        """
        found: list[tuple[int, str, Mark]] = []
        with self._connection() as database:
            for exposure in exposures:
                rows = database.execute(
                    "SELECT modified, run_id, mark FROM mark JOIN run USING (run_id) WHERE exposure = ? "
                    "AND instrument = ?",
                    (exposure, instrument),
                )
                found += [
                    (modified, run_id, from_json(json.loads(text), Mark)) for modified, run_id, text in rows
                ]
        found.sort(key=lambda row: row[:2], reverse=True)
        return [(run_id, mark) for _, run_id, mark in found]

    def run_ids(self) -> frozenset[str]:
        """Return the ids of the runs that are known."""
        with self._connection() as database:
            return frozenset(run_id for (run_id,) in database.execute("SELECT run_id FROM run"))

    def count(self) -> int:
        """Return how many runs are known."""
        with self._connection() as database:
            (number,) = database.execute("SELECT count(*) FROM run").fetchone()
        return int(number)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(open_index(self._folder / _FILE, _TABLES, _FORMAT)) as database:
            yield database


def _marks_of(record: RunRecord | None) -> Iterator[tuple[str, int, str]]:
    """Yield camera and exposure id of each mark of a run, and the mark."""
    if record is None:
        return
    for judgement in record.judgements:
        for mark in judgement.marks:
            yield camera_of(record.instrument), mark.exposure, json.dumps(to_json(mark))


def _line(row: Sequence[str]) -> RunLine:
    run_id, modified, state, n_frames, n_waiting, outcomes = row
    return RunLine(
        run_id,
        int(modified) / 1e9,
        state,
        int(n_frames),
        int(n_waiting),
        tuple((str(name), str(outcome)) for name, outcome in json.loads(outcomes)),
    )
