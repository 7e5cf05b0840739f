# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look-ups of calibrations in memory, as the Butler makes them."""

from __future__ import annotations

__all__ = ["Ambiguous", "Place", "Search", "Stock"]

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..decertification import Unit, Valid

Held = Mapping[str, Mapping[Unit, Sequence[Valid]]]
"""What collections have of a dataset type, by their names."""


class Place(NamedTuple):
    """Where a look-up finds something."""

    collection: int
    """Number of the collection among those that are searched."""

    number: int
    """Number of the validity range in it, in order of time."""


class Ambiguous(NamedTuple):
    """Where several validity ranges of one collection fit.

    The Butler raises ``CalibrationLookupError`` then.
    """

    collection: int
    """Number of the collection."""

    number: int
    """Number of the first of the ranges."""


@dataclass(frozen=True)
class Stock:
    """What is searched, and what it has."""

    collections: tuple[str, ...]
    """Collections without children, in the order in which they are searched;
    the first that has something wins."""

    held: Mapping[str, Held] = field(default_factory=dict)
    """What they have, by dataset type."""

    timeless: frozenset[str] = frozenset()
    """Those of them that have no validity ranges: RUN and TAGGED ones."""

    filtered: frozenset[str] = frozenset({"flat"})
    """Dataset types that have a physical filter."""

    taken: frozenset[str] = frozenset()
    """Names that a new collection cannot have."""

    chain: str | None = None
    """What is searched first, if it is a chain."""


class Search:
    """Look-ups of one dataset type.

    Parameters
    ----------
    stock : `Stock`
        What is searched.
    dataset_type : `str`
        What is looked up.
    """

    def __init__(self, stock: Stock, dataset_type: str) -> None:
        self.collections = stock.collections
        held = stock.held.get(dataset_type, {})
        self._timeless = [name in stock.timeless for name in stock.collections]
        self._held = [held.get(name, {}) for name in stock.collections]
        self._valids: dict[Unit, tuple[tuple[Valid, ...], ...]] = {}

    def valids(self, unit: Unit) -> tuple[tuple[Valid, ...], ...]:
        """Return what each collection has for a unit, in order of time."""
        if unit not in self._valids:
            self._valids[unit] = tuple(tuple(sorted(held.get(unit, ()))) for held in self._held)
        return self._valids[unit]

    def groups(self, units: Sequence[Unit]) -> list[list[Unit]]:
        """Group units for which there is something at the same times.

        What is found for one of a group is at the same place for the others,
        so that a camera of 189 detectors needs few look-ups.
        """
        same: dict[tuple[tuple[tuple[int, int], ...], ...], list[Unit]] = {}
        for unit in units:
            profile = tuple(
                tuple((valid.begin, valid.end) for valid in valids) for valids in self.valids(unit)
            )
            same.setdefault(profile, []).append(unit)
        return list(same.values())

    def look_up(
        self, unit: Unit, times: Sequence[tuple[int, int] | None]
    ) -> Iterator[Place | Ambiguous | None]:
        """Look up for many times, as ``Butler.find_dataset`` does.

        Parameters
        ----------
        unit : `Unit`
            Detector and, where the dataset type has one, physical filter.
        times : `~collections.abc.Sequence`
            Beginnings and ends, exclusive (TAI, as Unix timestamps, ns);
            `None` where they are not known: then only what is valid at all
            times is found.

        Yields
        ------
        place : `Place`, `Ambiguous` or `None`
            `None` if nothing is found.
        """
        all_ranges = [
            (number, timeless, [valid.begin for valid in valids], [valid.end for valid in valids])
            for number, (timeless, valids) in enumerate(zip(self._timeless, self.valids(unit), strict=True))
            if valids
        ]
        for time in times:
            yield _first(all_ranges, time)

    def at(self, unit: Unit, place: Place) -> Valid:
        """Return what is at a place."""
        return self.valids(unit)[place.collection][place.number]


def _first(
    all_ranges: Sequence[tuple[int, bool, Sequence[int], Sequence[int]]], time: tuple[int, int] | None
) -> Place | Ambiguous | None:
    for number, timeless, begins, ends in all_ranges:
        if timeless:
            return Place(number, 0)
        if time is None:
            continue
        # Those of a unit in one collection never overlap each other.
        first = bisect_right(ends, time[0])
        if first == len(ends) or begins[first] >= time[1]:
            continue
        if first + 1 < len(begins) and begins[first + 1] < time[1]:
            return Ambiguous(number, first)
        return Place(number, first)
    return None
