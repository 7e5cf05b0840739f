# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of runs, read from their index when they are asked for."""

from __future__ import annotations

__all__ = ["IndexedHistory", "StoredValues", "by_group", "packed"]

import json
import math
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice

from ..trend import BAND_RUNS, Band, Group, History, Key, Kind, Points, Run, bands_of


def by_group(values: Mapping[Key, float]) -> dict[Group, dict[str, float]]:
    """Return values by group, and by amplifier."""
    found: dict[Group, dict[str, float]] = {}
    for key, value in values.items():
        found.setdefault(key.group, {})[key.amplifier] = value
    return found


def packed(values: Mapping[str, float]) -> bytes:
    """Return values as a row has them: little-endian, of 8 bytes each."""
    return struct.pack(f"<{len(values)}d", *values.values())


def _unpacked(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


class StoredValues(Mapping[Key, float]):
    """The values of a run, which are read when they are asked for."""

    def __init__(
        self, database: sqlite3.Connection, run: int, time: float, n_values: int, source: tuple[str, str]
    ) -> None:
        self._database = database
        self.run = run
        self._time = time
        self._n_values = n_values
        self._source = source

    @cached_property
    def _values(self) -> dict[Key, float]:
        rows = self._database.execute(
            "SELECT quantity, unit, detector, conditions, amplifiers, data FROM kind "
            "JOIN value ON value.kind = kind.id AND value.time = ? AND value.run = ? "
            "WHERE repo = ? AND instrument = ?",
            (self._time, self.run, *self._source),
        )
        return {
            Group(*group).key(amplifier): value
            for *group, amplifiers, data in rows
            for amplifier, value in zip(json.loads(amplifiers), _unpacked(data), strict=True)
        }

    def __getitem__(self, key: Key) -> float:
        return self._values[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def __len__(self) -> int:
        return self._n_values


class IndexedHistory(History):
    """Runs whose values are read from an index when they are asked for.

    Parameters
    ----------
    database : `sqlite3.Connection`
        The index.
    source : `tuple` [`str`, `str`]
        Repository and instrument of the runs.
    runs : `~collections.abc.Iterable` [`Run`]
        The runs, in order.
    """

    def __init__(self, database: sqlite3.Connection, source: tuple[str, str], runs: Iterable[Run]) -> None:
        super().__init__(runs)
        self._database = database
        self._source = source
        stored = [run.values for run in self.runs if isinstance(run.values, StoredValues)]
        self.numbers = {values.run for values in stored}
        self.extra = History(run for run in self.runs if not isinstance(run.values, StoredValues))

    def until(self, time: float, without: str | None = None) -> IndexedHistory:
        """Return the runs until a time (s), but for one of a name."""
        return self._of(run for run in self.runs if run.time <= time and run.name != without)

    def _of(self, runs: Iterable[Run]) -> IndexedHistory:
        return IndexedHistory(self._database, self._source, runs)

    @cached_property
    def _earlier(self) -> History:
        return self._of(self.runs[:-1])

    @cached_property
    def groups(self) -> dict[Group, list[tuple[int, tuple[str, ...]]]]:
        """The groups, each with its kinds in the index, and amplifiers."""
        found: dict[Group, list[tuple[int, tuple[str, ...]]]] = {}
        for number, *group, amplifiers in self._database.execute(
            "SELECT id, quantity, unit, detector, conditions, amplifiers FROM kind "
            "WHERE repo = ? AND instrument = ?",
            self._source,
        ):
            found.setdefault(Group(*group), []).append((number, tuple(json.loads(amplifiers))))
        return found | {group: found.get(group, []) for group in self.extra_keys}

    @cached_property
    def extra_keys(self) -> dict[Group, list[Key]]:
        """Keys of the values that are not in the index."""
        found: dict[Group, list[Key]] = {}
        for key in self.extra.series:
            found.setdefault(key.group, []).append(key)
        return found

    def rows(self, kind: int) -> Iterator[tuple[float, bytes]]:
        """Yield time (s) and data of the runs of a kind, the newest first."""
        last = self.runs[-1].time if self.runs else -math.inf
        for time, run, data in self._database.execute(
            "SELECT time, run, data FROM value WHERE kind = ? AND time <= ? ORDER BY time DESC, run DESC",
            (kind, last),
        ):
            if run in self.numbers:
                yield time, data

    def points(self, key: Key) -> Points:
        """Return time (s) and value of the runs that have one."""
        found = list(self.extra.series.get(key, ()))
        for kind, amplifiers in self.groups.get(key.group, ()):
            if key.amplifier in amplifiers:
                offset = 8 * amplifiers.index(key.amplifier)
                found += [(time, *struct.unpack_from("<d", data, offset)) for time, data in self.rows(kind)]
        return tuple(sorted(found))

    @cached_property
    def series(self) -> Mapping[Key, Points]:
        """Time (s) and value of all runs that have one, by key."""
        return _Series(self)

    @cached_property
    def bands(self) -> Mapping[Key, Band]:
        """The bands; see `History`."""
        return _Bands(self)

    @cached_property
    def kinds(self) -> Mapping[Kind, float]:
        """When each kind was measured last (s)."""
        found = dict(self.extra.kinds)
        for group, kinds in self.groups.items():
            for number, _ in kinds:
                time = next((time for time, _ in self.rows(number)), -math.inf)
                if time > found.get(group.kind, -math.inf):
                    found[group.kind] = time
        return found


class _Series(Mapping[Key, Points]):
    """The points of each key, which are read when they are asked for."""

    def __init__(self, history: IndexedHistory) -> None:
        self._history = history

    @cached_property
    def _keys(self) -> dict[Key, None]:
        history = self._history
        stored = {
            group.key(amplifier)
            for group, kinds in history.groups.items()
            for number, amplifiers in kinds
            if any(True for _ in history.rows(number))
            for amplifier in amplifiers
        }
        return dict.fromkeys(sorted(stored | set(history.extra.series)))

    def __getitem__(self, key: Key) -> Points:
        if found := self._history.points(key):
            return found
        raise KeyError(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class _Bands(Mapping[Key, Band]):
    """The bands, which are made by group when they are asked for."""

    def __init__(self, history: IndexedHistory) -> None:
        self._history = history
        self._known: dict[Group, dict[Key, Band]] = {}

    def _of(self, group: Group) -> dict[Key, Band]:
        if group not in self._known:
            self._known[group] = dict(bands_of(self._newest(group)))
        return self._known[group]

    def _newest(self, group: Group) -> dict[Key, Sequence[float]]:
        """Return the values that make the bands of a group."""
        history = self._history
        kinds, extra = history.groups.get(group, []), history.extra_keys.get(group, [])
        found: dict[Key, list[tuple[float, float]]] = {}
        for kind, amplifiers in kinds:
            rows = list(islice(history.rows(kind), BAND_RUNS))
            columns = zip(*(_unpacked(data) for _, data in rows), strict=True)
            values = dict(zip(map(group.key, amplifiers), columns, strict=bool(rows)))
            if len(kinds) == 1 and not extra:
                return dict(values)
            for key, column in values.items():
                points = zip((time for time, _ in rows), column, strict=True)
                found.setdefault(key, []).extend(points)
        for key in extra:
            found.setdefault(key, []).extend(history.extra.series[key])
        return {
            key: [value for _, value in sorted(points, reverse=True)[:BAND_RUNS]]
            for key, points in found.items()
        }

    def __getitem__(self, key: Key) -> Band:
        return self._of(key.group)[key]

    def __iter__(self) -> Iterator[Key]:
        for group in sorted(self._history.groups):
            yield from self._of(group)

    def __len__(self) -> int:
        return sum(len(self._of(group)) for group in self._history.groups)
