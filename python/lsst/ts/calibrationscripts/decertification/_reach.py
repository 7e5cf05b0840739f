# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What look-ups find once a certification is undone."""

from __future__ import annotations

__all__ = ["Exposure", "Exposures", "Instead", "Reach", "Route", "make_routes"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ._choice import Undo
from ._standing import Standing, Unit, Valid

Span = tuple[int, int]
"""Beginning and end, exclusive (TAI, as Unix timestamps, ns)."""

Held = Mapping[str, Mapping[Unit, Sequence[Valid]]]
"""What collections hold, by their names."""

Sources = tuple[tuple[int, int, str], ...]
"""Beginning, end and RUN collection of datasets of one collection, cut to the
validity range."""


@dataclass(frozen=True)
class Exposure:
    """An exposure in time."""

    id: int
    begin: int
    """TAI, as a Unix timestamp (ns)."""

    end: int
    """Likewise (ns)."""

    physical_filter: str


@dataclass(frozen=True)
class Exposures:
    """How many exposures there are, and which."""

    count: int = 0
    first: int | None = None
    last: int | None = None

    @classmethod
    def of(cls, exposures: Iterable[Exposure]) -> Exposures:
        """Count exposures.

        Parameters
        ----------
        exposures : `~collections.abc.Iterable` [`Exposure`]
        """
        ids = [exposure.id for exposure in exposures]
        return cls(len(ids), min(ids), max(ids)) if ids else cls()


@dataclass(frozen=True)
class Instead:
    """What is found instead, by which detectors and when."""

    begin: int
    """TAI, as a Unix timestamp (ns)."""

    end: int
    """Exclusive, likewise (ns)."""

    run: str | None
    """RUN collection of what is found; `None` if nothing is."""

    detectors: tuple[int, ...]

    physical_filter: str | None

    exposures: Exposures
    """Those that this is about."""


@dataclass(frozen=True)
class Route:
    """Collections through which the same is found."""

    collections: tuple[str, ...]

    instead: tuple[Instead, ...]
    """Empty if another calibration is found before it, so that undoing it
    changes nothing there."""


@dataclass(frozen=True)
class Reach:
    """What undoing a certification changes."""

    undo: Undo

    standing: Standing

    span: Span
    """The validity range."""

    detectors: tuple[int, ...] = ()

    exposures: Exposures = Exposures()
    """Those in the validity range that it is for."""

    routes: tuple[Route, ...] = ()

    built_on: tuple[str, ...] = ()
    """Products of the run that were made with it, and stay certified."""


def make_routes(
    collection: str,
    chains: Mapping[str, Sequence[str]],
    held: Held,
    datasets: Mapping[Unit, str],
    span: Span,
    exposures: Sequence[Exposure],
) -> tuple[Route, ...]:
    """Return what look-ups find instead, through every collection.

    Parameters
    ----------
    collection : `str`
        CALIBRATION collection that was certified into.
    chains : `~collections.abc.Mapping` [`str`, `~collections.abc.Sequence`]
        All collections through which that one is searched, itself included,
        each with those that are searched through it, in order.
    held : `~collections.abc.Mapping`
        What each of these has of the dataset type.
    datasets : `~collections.abc.Mapping` [`Unit`, `str`]
        UUIDs of what was certified.
    span : `tuple` [`int`, `int`]
        The validity range (TAI, as Unix timestamps, ns).
    exposures : `~collections.abc.Sequence` [`Exposure`]
        Those in the range.

    Returns
    -------
    routes : `tuple` [`Route`, ...]
        Collections through which the same is found are one of them. As a
        look-up is for an exposure, a dataset that is in a RUN or TAGGED
        collection is found at all times.
    """
    count = _Counter(exposures)
    by_finding: dict[tuple[Instead, ...], list[str]] = {}
    for name, members in chains.items():
        place = members.index(collection)
        # Many detectors have the same history.
        same: dict[tuple[str | None, tuple[Sources, ...], tuple[Sources, ...]], list[int]] = {}
        for unit, dataset in datasets.items():
            first = tuple(filter(None, (_sources(held, each, unit, span) for each in members[:place])))
            later = tuple(
                filter(None, (_sources(held, each, unit, span, dataset) for each in members[place:]))
            )
            same.setdefault((unit.physical_filter, first, later), []).append(unit.detector)
        finding = tuple(
            Instead(
                *part, tuple(sorted(detectors)), physical_filter, count(part[0], part[1], physical_filter)
            )
            for (physical_filter, first, later), detectors in same.items()
            for part in _parts(span, first, later)
        )
        by_finding.setdefault(finding, []).append(name)
    return tuple(Route(tuple(names), finding) for finding, names in by_finding.items())


class _Counter:
    """Counts the exposures of a time, once for each time and filter."""

    def __init__(self, exposures: Sequence[Exposure]) -> None:
        self._exposures = exposures
        self._known: dict[tuple[int, int, str | None], Exposures] = {}

    def __call__(self, begin: int, end: int, physical_filter: str | None) -> Exposures:
        key = (begin, end, physical_filter)
        if key not in self._known:
            self._known[key] = Exposures.of(
                each
                for each in self._exposures
                if each.begin < end and begin < each.end and physical_filter in (None, each.physical_filter)
            )
        return self._known[key]


def _sources(held: Held, collection: str, unit: Unit, span: Span, but: str = "") -> Sources:
    """Return what a collection has for a unit in the range, but for one."""
    begin, end = span
    return tuple(
        (max(valid.begin, begin), min(valid.end, end), valid.run)
        for valid in sorted(held.get(collection, {}).get(unit, ()))
        if valid.overlaps(begin, end) and not (valid.dataset == but and (valid.begin, valid.end) == span)
    )


def _parts(
    span: Span, first: Sequence[Sources], later: Sequence[Sources]
) -> Iterator[tuple[int, int, str | None]]:
    """Yield what is found instead: beginning, end and RUN collection."""
    left = [span]
    for sources in first:
        for begin, end, _ in sources:
            left = _without(left, begin, end)
    found: list[tuple[int, int, str | None]] = []
    for sources in later:
        for begin, end, run in sources:
            found += [(max(a, begin), min(b, end), run) for a, b in left if a < end and begin < b]
        for begin, end, _ in sources:
            left = _without(left, begin, end)
    found += [(begin, end, None) for begin, end in left]
    yield from _joined(sorted(found, key=lambda part: part[0]))


def _without(spans: Sequence[Span], begin: int, end: int) -> list[Span]:
    """Return what is left of spans without a time."""
    pieces = (piece for a, b in spans for piece in ((a, min(b, begin)), (max(a, end), b)))
    return [(a, b) for a, b in pieces if a < b]


def _joined(parts: Iterable[tuple[int, int, str | None]]) -> Iterator[tuple[int, int, str | None]]:
    """Yield parts; those that follow each other from one run as one."""
    last: tuple[int, int, str | None] | None = None
    for begin, end, run in parts:
        if last is not None and last[2] == run and last[1] == begin:
            last = (last[0], end, run)
            continue
        if last is not None:
            yield last
        last = (begin, end, run)
    if last is not None:
        yield last
