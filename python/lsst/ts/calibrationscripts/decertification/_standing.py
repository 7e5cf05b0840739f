# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collection still holds of a certification."""

from __future__ import annotations

__all__ = ["Standing", "Unit", "Valid", "iso", "make_standing"]

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..instruments import named_detectors
from ._choice import Undo

_NEVER = 4_102_444_800 * 10**9
"""Where the Butler's time ends: 2100-01-01 (TAI, as a Unix timestamp, ns)."""


@dataclass(frozen=True, order=True)
class Unit:
    """What a calibration is for."""

    detector: int

    physical_filter: str | None = None
    """`None` for what has no filter."""


@dataclass(frozen=True, order=True)
class Valid:
    """A dataset, and when a collection has it for its unit."""

    begin: int
    """TAI, as a Unix timestamp (ns)."""

    end: int
    """Exclusive, likewise (ns)."""

    run: str
    """RUN collection that it is in."""

    dataset: str
    """Its UUID."""

    def overlaps(self, begin: int, end: int) -> bool:
        """Return whether it is valid at some time of a range (ns)."""
        return self.begin < end and begin < self.end


@dataclass(frozen=True)
class Standing:
    """Whether a certification is still what the run has made."""

    gone: bool = False
    """Whether nothing of it is left."""

    problem: str = ""
    """What exists instead, if only a part of it is left; else ""."""


def make_standing(
    undo: Undo,
    datasets: Mapping[Unit, str],
    held: Mapping[Unit, Sequence[Valid]],
    begin: int,
    end: int,
) -> Standing:
    """Compare what a collection holds with what was certified into it.

    Parameters
    ----------
    undo : `Undo`
        The certification.
    datasets : `~collections.abc.Mapping` [`Unit`, `str`]
        UUIDs of what was certified.
    held : `~collections.abc.Mapping` [`Unit`, `~collections.abc.Sequence`]
        All that the collection has of these units.
    begin, end : `int`
        The validity range (TAI, as a Unix timestamp, ns).

    Returns
    -------
    standing : `Standing`
    """
    found = {
        unit: [
            valid for valid in held.get(unit, ()) if valid.dataset == dataset and valid.overlaps(begin, end)
        ]
        for unit, dataset in datasets.items()
    }
    if not any(found.values()):
        return Standing(gone=True)
    # Those of another certification need not all have been in this one.
    n_lost = 0 if undo.of_another else len(set(undo.datasets) - set(datasets.values()))
    exact = [[(valid.begin, valid.end) for valid in valids] == [(begin, end)] for valids in found.values()]
    if n_lost == 0 and all(exact):
        return Standing()
    return Standing(problem=_problem(undo, datasets, held, (begin, end), n_lost))


def _problem(
    undo: Undo,
    datasets: Mapping[Unit, str],
    held: Mapping[Unit, Sequence[Valid]],
    span: tuple[int, int],
    n_lost: int,
) -> str:
    """Return what exists instead of what was certified."""
    begin, end = span
    same: dict[tuple[str, ...], list[Unit]] = {}
    for unit, dataset in datasets.items():
        here = tuple(
            f"{iso(valid.begin)} to {iso(valid.end)} "
            + ("its own" if valid.dataset == dataset else f"that of {valid.run}")
            for valid in sorted(held.get(unit, ()))
            if valid.overlaps(begin, end)
        )
        same.setdefault(here, []).append(unit)
    groups = [
        f"detector {named_detectors(unit.detector for unit in units)} has {' and '.join(here) or 'none'}"
        for here, units in same.items()
    ]
    if n_lost:
        groups.append(f"{n_lost} of its datasets are not in the repository any more")
    certification = undo.certification
    return (
        f"{undo.subject}: the {certification.dataset_type} in {certification.collection} has been changed "
        f"since it was certified for {iso(begin)} to {iso(end)} (TAI): {'; '.join(groups)}. Nothing is "
        "undone, since what others have changed would be lost: correct it with the Butler's decertify"
    )


def iso(time: int) -> str:
    """Return a time as people read it; "ever" where it is unbounded.

    Parameters
    ----------
    time : `int`
        TAI, as a Unix timestamp (ns).
    """
    if not 0 < time < _NEVER:
        return "ever"
    return f"{datetime.datetime.fromtimestamp(time // 10**9, datetime.UTC):%Y-%m-%dT%H:%M:%S}"
