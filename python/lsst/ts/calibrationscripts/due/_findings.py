# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exposures find when calibrations are looked up for them."""

from __future__ import annotations

__all__ = ["DAY", "Finding", "State", "Taken", "find", "newest"]

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..decertification import Unit
from ._policy import PRODUCTS, Policy
from ._search import Ambiguous, Place, Search, Stock

DAY = 86_400 * 10**9
"""(ns)"""

_UP_TO = {"bias": ("bias",), "dark": ("bias", "dark", "defects", "ptc")}
"""What is applied to calibration frames, by their type; all to others."""


class State(enum.StrEnum):
    """What came of a look-up."""

    FOUND = "FOUND"
    MISSING = "MISSING"
    """There is none, for no time."""

    EXPIRED = "EXPIRED"
    """The validity of the last one had ended before the exposure."""

    LATER = "LATER"
    """The first one is valid only after the exposure."""

    UNTIMED = "UNTIMED"
    """The repository does not know when the exposure was taken."""

    AMBIGUOUS = "AMBIGUOUS"
    """Several validity ranges of one collection fit: the look-up fails."""


@dataclass(frozen=True)
class Taken:
    """An exposure that was taken."""

    id: int
    time: tuple[int, int] | None
    """Beginning and end, exclusive (TAI, as Unix timestamps, ns); `None` if
    the repository does not know them."""

    physical_filter: str
    observation_type: str
    """As the repository has it, such as ``dark`` or ``science``."""

    def needs(self, dataset_type: str) -> bool:
        """Return whether such a calibration is applied to it."""
        return dataset_type in _UP_TO.get(self.observation_type.casefold(), PRODUCTS)


@dataclass(frozen=True)
class Finding:
    """What some exposures find, for some detectors."""

    dataset_type: str
    physical_filter: str | None
    """`None` for what has no filter."""

    state: State
    detectors: tuple[int, ...]

    exposures: tuple[int, ...]
    """Their ids, in order of time; none if it is about the time to come."""

    time: tuple[int, int]
    """Beginning of the first exposure and of the last, or the time to come
    (TAI, as Unix timestamps, ns)."""

    collection: str = ""
    """Where it is; "" if there is none."""

    run: str = ""
    """RUN collection that it is in."""

    valid: tuple[int, int] | None = None
    """Validity range of what is found; of the one that has ended, or that
    begins later; of the first of several that fit (ns)."""

    datasets: tuple[str, ...] = ()
    """UUIDs of what is found, in order of the detectors."""

    @property
    def is_outlook(self) -> bool:
        """Whether it is about the time to come."""
        return not self.exposures

    @property
    def what(self) -> tuple[str, str | None, State, str]:
        """What it has in common with others of the same cause."""
        return self.dataset_type, self.physical_filter, self.state, self.run

    @property
    def name(self) -> str:
        """What people read."""
        return f"{self.dataset_type} {self.physical_filter or ''}".rstrip()


class _Outcome(NamedTuple):
    """What came of a look-up, and of what this is said."""

    state: State
    place: Place | None


@dataclass(frozen=True)
class _Kind:
    """What look-ups of several detectors and exposures have in common."""

    state: State
    collection: str = ""
    run: str = ""
    valid: tuple[int, int] | None = None


def newest(exposures: Sequence[Taken]) -> int:
    """Return when the last exposure ended (ns); 0 if that is not known."""
    return max((taken.time[1] for taken in exposures if taken.time), default=0)


def find(
    stock: Stock, exposures: Sequence[Taken], detectors: Sequence[int], policy: Policy, now: int
) -> tuple[Finding, ...]:
    """Look up what exposures need, and what is there for the time to come.

    Parameters
    ----------
    stock : `Stock`
        What is searched.
    exposures : `~collections.abc.Sequence` [`Taken`]
        What it is looked up for.
    detectors : `~collections.abc.Sequence` [`int`]
        Ids of the detectors.
    policy : `Policy`
        What is looked up, and how far ahead.
    now : `int`
        The time (TAI, as a Unix timestamp, ns).

    Returns
    -------
    findings : `tuple` [`Finding`, ...]
        In order of the dataset types, filters and times. What is found by
        the same exposures is one of them.
    """
    ahead = max(now, newest(exposures)) + round(policy.ahead * DAY)
    ordered = sorted(exposures, key=lambda taken: (taken.time or (0, 0), taken.id))
    found: list[Finding] = []
    for dataset_type in policy.dataset_types:
        search = Search(stock, dataset_type)
        wanted = [taken for taken in ordered if taken.needs(dataset_type)]
        if dataset_type not in stock.filtered:
            parts: dict[str | None, list[Taken]] = {None: wanted} if wanted else {}
        else:
            parts = {}
            for taken in wanted:
                parts.setdefault(taken.physical_filter, []).append(taken)
        for physical_filter in sorted(parts, key=str):
            units = [Unit(detector, physical_filter) for detector in detectors]
            wanted = parts[physical_filter]
            found += _look_up(
                search, dataset_type, units, [each.time for each in wanted], [each.id for each in wanted]
            )
            found += _look_up(search, dataset_type, units, [(ahead, ahead + 1)])
    return tuple(found)


def _look_up(
    search: Search,
    dataset_type: str,
    units: Sequence[Unit],
    times: Sequence[tuple[int, int] | None],
    ids: Sequence[int] = (),
) -> Iterator[Finding]:
    """Yield what is found at times, for detectors that need the same."""
    same: dict[tuple[_Kind, tuple[int, ...]], dict[int, str]] = {}
    for group in search.groups(units):
        by_outcome: dict[_Outcome, list[int]] = {}
        for number, outcome in enumerate(_outcomes(search, group[0], times)):
            by_outcome.setdefault(outcome, []).append(number)
        for outcome, numbers in by_outcome.items():
            for unit in group:
                kind, dataset = _kind(search, unit, outcome)
                same.setdefault((kind, tuple(numbers)), {})[unit.detector] = dataset
    for (kind, chosen), datasets in sorted(same.items(), key=lambda each: (each[0][1], str(each[0][0]))):
        begins = [time[0] for number in chosen if (time := times[number]) is not None] or [0]
        detectors = tuple(sorted(datasets))
        yield Finding(
            dataset_type,
            units[0].physical_filter,
            kind.state,
            detectors,
            tuple(ids[number] for number in chosen) if ids else (),
            (begins[0], begins[-1]),
            kind.collection,
            kind.run,
            kind.valid,
            tuple(datasets[each] for each in detectors) if kind.state is State.FOUND else (),
        )


def _outcomes(search: Search, unit: Unit, times: Sequence[tuple[int, int] | None]) -> Iterator[_Outcome]:
    places = None
    for time, place in zip(times, search.look_up(unit, times), strict=True):
        if isinstance(place, Place):
            yield _Outcome(State.FOUND, place)
        elif isinstance(place, Ambiguous):
            yield _Outcome(State.AMBIGUOUS, Place(*place))
        else:
            if places is None:
                places = [
                    (valid.begin, valid.end, Place(i, j))
                    for i, valids in enumerate(search.valids(unit))
                    for j, valid in enumerate(valids)
                ]
            yield _nearest(places, time)


def _nearest(places: Sequence[tuple[int, int, Place]], time: tuple[int, int] | None) -> _Outcome:
    """Return what was valid before a time, or else what is after it."""
    if time is None:
        return _Outcome(State.UNTIMED, None)
    if not places:
        return _Outcome(State.MISSING, None)
    if ended := [(end, place) for _, end, place in places if end <= time[0]]:
        return _Outcome(State.EXPIRED, max(ended)[1])
    return _Outcome(State.LATER, min((begin, place) for begin, _, place in places)[1])


def _kind(search: Search, unit: Unit, outcome: _Outcome) -> tuple[_Kind, str]:
    """Return what an outcome is for a detector, and the dataset's UUID."""
    if outcome.place is None:
        return _Kind(outcome.state), ""
    valid = search.at(unit, outcome.place)
    collection = search.collections[outcome.place.collection]
    return _Kind(outcome.state, collection, valid.run, (valid.begin, valid.end)), valid.dataset
