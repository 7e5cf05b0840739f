# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest configurations that close a gap."""

from __future__ import annotations

__all__ = ["Proposal", "Remark", "Setting", "propose"]

import datetime
import itertools
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..decertification import Unit
from ..instruments import Instrument, same_filter
from ._findings import Finding, State
from ._gaps import Gap, gaps, noon_before
from ._policy import Policy
from ._search import Stock

_EPOCH = datetime.datetime(1970, 1, 1)
_NAME = re.compile(r"[\w.+-]{1,100}", re.ASCII)

_MODES = {
    frozenset({"bias"}): "BIAS",
    frozenset({"dark"}): "DARK",
    frozenset({"flat"}): "FLAT",
    frozenset({"bias", "dark"}): "BIAS_DARK",
}
_ALL = "BIAS_DARK_FLAT"
_FROM_ALL_FRAMES = {"defects", "ptc"}

_MAX_SETS = 12
"""Sets of flats that a configuration may have."""

_RAMP = [5, 5, 10, 10, 15, 15, 20, 20, 25, 25, 30, 30, 35, 35]
"""Exposure times of flats for a photon transfer curve (s)."""

_WIDTH = 78

_LONG_JOB = 7200
"""Time limit of the jobs that make such a curve (s)."""


@dataclass(frozen=True)
class Proposal:
    """A configuration that can be queued."""

    text: str
    """YAML."""

    closes: tuple[str, ...]
    """What is not due any more once it has ended well."""

    collection: str
    """CALIBRATION collection that it certifies into."""


@dataclass(frozen=True)
class Remark:
    """What a configuration cannot do."""

    text: str

    command: str = ""
    """For a shell, that does it; "" if none does."""


@dataclass(frozen=True)
class Setting:
    """What is asked, of which repository."""

    instrument: Instrument
    repo: str
    searched: tuple[str, ...]
    """Collections as they were given."""

    policy: Policy

    flat_times: Mapping[str, float] = field(default_factory=dict)
    """Exposure time of flats (s), by physical filter, where it is known."""

    @property
    def daily(self) -> str:
        """Beginning of the names that are certified into by custom."""
        return f"{self.instrument.calib_collection}/daily"


@dataclass(frozen=True)
class _Wanted:
    """What is to be made, for when and for which detectors."""

    gap: Gap

    @property
    def mode(self) -> str:
        """The script mode that takes all frames it needs."""
        types = self.gap.types
        return _ALL if types & _FROM_ALL_FRAMES else _MODES.get(types, _ALL)

    @property
    def generates(self) -> bool:
        """Whether bias, dark or flat is to be made."""
        return not self.gap.types <= _FROM_ALL_FRAMES

    @property
    def made(self) -> frozenset[str]:
        """All dataset types that are certified."""
        frames = {name.lower() for name in self.mode.split("_")} if self.generates else set()
        return frozenset(frames) | (self.gap.types & _FROM_ALL_FRAMES)


def propose(
    due: Sequence[Finding], setting: Setting, stock: Stock, now: int
) -> tuple[tuple[Proposal, ...], tuple[Remark, ...]]:
    """Return configurations that close a gap.

    Parameters
    ----------
    due : `~collections.abc.Sequence` [`Finding`]
        What is due, of exposures and of the time to come.
    setting : `Setting`
        What was asked.
    stock : `Stock`
        What was searched.
    now : `int`
        From when on it must be there (TAI, as a Unix timestamp, ns).

    Returns
    -------
    proposals : `tuple` [`Proposal`, ...]
        To be queued in this order; more than one if a configuration cannot
        have all filters, or not all is lacking for the same days.
    remarks : `tuple` [`Remark`, ...]
        What a configuration cannot do.
    """
    # No validity range holds an exposure without a time.
    due = [each for each in due if each.state is not State.UNTIMED]
    if not due:
        return (), ()
    if setting.instrument.schema is None:
        without = f"There is no script for {setting.instrument.name} yet: no configuration is proposed."
        return (), (Remark(without),)
    wheels = " and ".join(setting.instrument.wheels)
    names = dict.fromkeys(each.physical_filter for each in due if each.physical_filter is not None)
    filters = [name for name in names if _wheels(setting.instrument, name) is not None]
    remarks = [
        Remark(f"No configuration can set {name}: this does not name what is in {wheels}.")
        for name in names
        if name not in filters
    ]
    settable = [each for each in due if each.physical_filter is None or each.physical_filter in filters]
    proposals: list[Proposal] = []
    planned = _Planned(setting, stock, now)
    for gap in gaps(settable, setting.policy, now):
        wanted = _Wanted(gap)
        collection = planned.collection_for(wanted)
        if collection not in stock.collections and collection not in (each.collection for each in proposals):
            remarks.append(_not_searched(collection, setting, stock))
        proposals += _proposals(wanted, collection, setting, planned)
    return tuple(proposals), tuple(remarks)


class _Planned:
    """Where what is proposed is certified into.

    Parameters
    ----------
    setting : `Setting`
        What was asked.
    stock : `Stock`
        What was searched.
    now : `int`
        The time (TAI, as a Unix timestamp, ns).
    """

    def __init__(self, setting: Setting, stock: Stock, now: int) -> None:
        self._daily = setting.daily
        self._stock = stock
        self._now = now
        self._taken: list[tuple[str, _Wanted]] = []
        self._searched = setting.searched
        self._fresh: list[str] = []

    def collection_for(self, wanted: _Wanted) -> str:
        """Return what it is certified into, and keep that in mind."""
        searched = _searched_collection(wanted, self._daily, self._stock, self._is_taken)
        date = f"{_EPOCH + datetime.timedelta(seconds=noon_before(self._now) // 10**9):%Y%b%d}".upper()
        names = (f"{self._daily}/calib.{date}.{number}" for number in itertools.count(1))
        collection = searched or next(
            name for name in names if name not in self._stock.taken and not self._is_taken(name, wanted)
        )
        self._taken.append((collection, wanted))
        return collection

    def inputs(self) -> tuple[str, ...]:
        """Return where jobs of the next configuration look."""
        return (*self._fresh, *self._searched)

    def add_inputs(self, wanted: _Wanted, collection: str) -> None:
        """Let jobs of further configurations find what this one makes."""
        is_needed = wanted.gap.lasts and wanted.gap.types & {"bias", "dark"}
        if is_needed and collection not in (*self._stock.collections, *self._fresh):
            self._fresh.append(collection)

    def _is_taken(self, collection: str, wanted: _Wanted) -> bool:
        return any(
            name == collection
            and other.made & wanted.made
            and other.gap.begin < wanted.gap.end
            and wanted.gap.begin < other.gap.end
            for name, other in self._taken
        )


def _date(time: int) -> str:
    return (_EPOCH + datetime.timedelta(seconds=time // 10**9)).isoformat()


def _is_name(text: str) -> bool:
    """Return whether a configuration can name this; digits are a slot."""
    return bool(_NAME.fullmatch(text)) and not text.isdecimal() and text.lower() not in ("none", "unknown")


def _wheels(instrument: Instrument, physical_filter: str) -> dict[str, str] | None:
    """Return what is in each wheel for a filter; `None` if it is not known."""
    if not instrument.wheels:
        return {}
    names = physical_filter.split("~")
    if len(names) != len(instrument.wheels) or not all(map(_is_name, names)):
        return None
    # The Butler leaves the number of an empty slot out.
    known = [name for example in instrument.flat_examples or () for name in example]
    return {
        wheel: next((each for each in known if name == "empty" and same_filter(each, name)), name)
        for wheel, name in zip(instrument.wheels, names, strict=True)
    }


def _searched_collection(
    wanted: _Wanted, daily: str, stock: Stock, is_taken: Callable[[str, _Wanted], bool]
) -> str | None:
    """Return what can be certified into and is searched, if there is any."""
    # What is found now must not be found before what is new.
    found = [each.collection for each in wanted.gap.due if each.state in (State.FOUND, State.AMBIGUOUS)]
    before = min(map(stock.collections.index, found), default=len(stock.collections))
    for name in stock.collections[:before]:
        customary = name == daily or name.startswith(f"{daily}/")
        is_free = name not in stock.timeless and not is_taken(name, wanted)
        if customary and is_free and not _conflicts(name, wanted, stock):
            return name
    return None


def _conflicts(collection: str, wanted: _Wanted, stock: Stock) -> bool:
    """Return whether something is certified for that time already."""
    for dataset_type in wanted.made:
        held = stock.held.get(dataset_type, {}).get(collection, {})
        units = [unit for unit in held if unit.detector in wanted.gap.detectors]
        # Without a filter due, flats are taken through whatever is set.
        if dataset_type in stock.filtered and wanted.gap.filters:
            units = [unit for unit in units if _is_any(unit, wanted.gap.filters)]
        if any(valid.overlaps(wanted.gap.begin, wanted.gap.end) for unit in units for valid in held[unit]):
            return True
    return False


def _is_any(unit: Unit, filters: Sequence[str]) -> bool:
    return any(same_filter(unit.physical_filter or "", name) for name in filters)


def _not_searched(collection: str, setting: Setting, stock: Stock) -> Remark:
    text = f"{collection} is new, and nothing searches it yet. Once it is certified into, "
    if stock.chain is None:
        return Remark(f"{text}give --collections {','.join((collection, *setting.searched))}")
    command = ("butler", "collection-chain", "--mode", "prepend", setting.repo, stock.chain, collection)
    return Remark(f"{text}put it first in the chain:", shlex.join(command))


def _proposals(wanted: _Wanted, collection: str, setting: Setting, planned: _Planned) -> Iterator[Proposal]:
    """Yield a configuration, and others for filters that do not fit in."""
    size = _MAX_SETS if setting.instrument.wheels_turn else 1
    all_filters = wanted.gap.filters
    chunks = [all_filters[i : i + size] for i in range(0, max(1, len(all_filters)), size)]
    for number, filters in enumerate(chunks):
        first = number == 0
        mode = wanted.mode if first else "FLAT"
        types = wanted.gap.types if first else frozenset({"flat"})
        values = dict(_values(wanted, mode, types, filters, setting))
        values |= dict(_inputs(mode, types, planned.inputs(), setting))
        planned.add_inputs(wanted, collection)
        values["calib_collection"] = collection
        values["certify_calib_begin_date"] = _date(wanted.gap.begin)
        values["certify_calib_end_date"] = _date(wanted.gap.end)
        values["reason"] = "calibrations_due"
        closes = tuple(
            name
            for dataset_type in sorted(types)
            for name in (
                [f"flat {each}" for each in filters] if dataset_type == "flat" and filters else [dataset_type]
            )
        )
        comments = _comments(values, closes, filters, setting, lasts=wanted.gap.lasts)
        yield Proposal(_yaml(values, comments), closes, collection)


def _values(
    wanted: _Wanted, mode: str, types: frozenset[str], filters: Sequence[str], setting: Setting
) -> Iterator[tuple[str, Any]]:
    """Yield what is taken, and what is made of it."""
    yield "script_mode", mode
    if wanted.generates:
        yield "generate_calibrations", True
    if wanted.gap.detectors != tuple(sorted(detector.id for detector in setting.instrument.detectors)):
        yield "detectors", list(wanted.gap.detectors)
    ramp: dict[str, Any] = {"n_flat": len(_RAMP), "exp_times_flat": _RAMP} if "ptc" in types else {}
    sets = [_flat_set(each, setting) for each in filters] or [{}]
    sets[0] |= ramp
    if len(sets) > 1:
        yield "flat_sets", sets
    else:
        yield from sets[0].items()
    if "defects" in types:
        yield "do_defects", True
    if "ptc" in types:
        yield "do_ptc", True
        yield "job_timeout", _LONG_JOB


def _flat_set(physical_filter: str, setting: Setting) -> dict[str, Any]:
    """Return how the flats of a filter are taken."""
    wheels = dict(_wheels(setting.instrument, physical_filter) or {})
    if (time := setting.flat_times.get(physical_filter)) is None:
        return wheels
    return wheels | {"exp_times_flat": int(time) if time.is_integer() else time}


def _inputs(
    mode: str, types: frozenset[str], searched: Sequence[str], setting: Setting
) -> Iterator[tuple[str, str]]:
    """Yield where jobs look, if that is not where they look by default."""
    if setting.repo != setting.instrument.repo:
        yield "repo", setting.repo
    if tuple(searched) == (setting.instrument.calib_collection,):
        return
    names = [name.lower() for name in mode.split("_")]
    for name in names:
        # Defects may be made with a bias and dark of their own.
        if not types <= {"ptc"}:
            yield f"input_collections_{name}", ",".join(searched)
        yield f"input_collections_verify_{name}", ",".join(searched)
    if "defects" in types:
        yield "input_collections_defects", ",".join(searched)
    if "flat" in names:
        # Gains are measured on flats in any case.
        yield "input_collections_ptc", ",".join(searched)


def _comments(
    values: Mapping[str, Any],
    closes: Sequence[str],
    filters: Sequence[str],
    setting: Setting,
    *,
    lasts: bool,
) -> Iterator[str]:
    """Yield what a person should know who queues a configuration."""
    yield f"Closes: {', '.join(closes)}."
    if not lasts:
        yield (
            "It is for the days below alone, so that other exposures find what they find now. Its own "
            "frames are of another day, as the forecast remarks."
        )
    if filters and not setting.instrument.wheels_turn:
        yield f"First put {filters[0]} into the light path: the run does not change the filter."
    sets = values.get("flat_sets", [values])
    if "n_flat" in sets[0]:
        yield "The brightest pair of flats should be close to saturation."
    of_sets = list(zip(filters, sets, strict=bool(filters)))
    if any("exp_times_flat" in each and "n_flat" not in each for _, each in of_sets):
        yield "Flats have the exposure time of the newest ones through their filter."
    if unknown := [name for name, each in of_sets if "exp_times_flat" not in each]:
        yield f"How long flats through {', '.join(unknown)} have to be is not known: theirs is the default."


def _yaml(values: dict[str, Any], comments: Iterator[str]) -> str:
    lines = [
        line
        for comment in comments
        for line in textwrap.wrap(
            comment,
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
    for key, value in values.items():
        # A mapping of scalars only would be one line.
        style = None if isinstance(value, list) else False
        lines.append(
            yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=_WIDTH).rstrip()
        )
    return "\n".join(lines) + "\n"
