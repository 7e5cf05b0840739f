# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reach of a decertification, as text and as JSON."""

from __future__ import annotations

__all__ = ["reach_json", "reach_text"]

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..instruments import named_detectors
from ._reach import Exposures, Instead, Reach, Route
from ._standing import iso

_WIDTH = 80
_MAX_NAMED_COLLECTIONS = 4


def reach_text(reach: Reach) -> str:
    """Return what undoing a certification changes, for people.

    Parameters
    ----------
    reach : `Reach`
        What it changes.

    Returns
    -------
    text : `str`
        Lines of 80 columns at most, unless a name is longer.
    """
    return "\n".join(_lines(reach))


def _lines(reach: Reach) -> Iterator[str]:
    certification = reach.undo.certification
    yield from _wrapped(
        f"{reach.undo.subject}: {certification.dataset_type} from {certification.source}, certified into "
        f"{certification.collection}, {_span(*reach.span)}, {_detectors(reach.detectors)}",
        0,
    )
    if reach.standing.problem:
        yield from _wrapped(reach.standing.problem, 2)
        return
    if reach.standing.gone:
        yield from _wrapped("It is not certified any more: there is nothing to undo.", 2)
        return
    yield from _wrapped(f"In that time: {_exposures(reach.exposures)}", 2)
    for route in reach.routes:
        yield from _wrapped(f"Through {_collections(route)}:", 2)
        if not route.instead:
            yield from _wrapped("another calibration is found before it: nothing changes", 6)
        for instead in route.instead:
            yield from _wrapped(_found(reach, route, instead), 6)
    if reach.built_on:
        names = ", ".join(reach.built_on)
        what = "was made with it, and stays" if len(reach.built_on) == 1 else "were made with it, and stay"
        yield from _wrapped(f"{names} of this run {what} certified: decertify that too, if it is bad.", 2)


def _found(reach: Reach, route: Route, instead: Instead) -> str:
    """Return what is found instead; what is the same for all is left out."""
    parts = [f"that of {instead.run}" if instead.run else "nothing"]
    if (instead.begin, instead.end) != reach.span:
        parts.append(_span(instead.begin, instead.end))
    if instead.physical_filter:
        parts.append(instead.physical_filter)
    if instead.detectors != reach.detectors:
        parts.append(_detectors(instead.detectors))
    parts.append(_exposures(instead.exposures))
    return "found instead: " + ", ".join(parts)


def _collections(route: Route) -> str:
    names = route.collections
    more = len(names) - _MAX_NAMED_COLLECTIONS
    return ", ".join(names[:_MAX_NAMED_COLLECTIONS]) + (f" and {more} more" if more > 0 else "")


def _span(begin: int, end: int) -> str:
    return f"valid {iso(begin)} to {iso(end)} (TAI)"


def _detectors(detectors: Sequence[int]) -> str:
    return f"detector{'' if len(detectors) == 1 else 's'} {named_detectors(detectors)}"


def _exposures(exposures: Exposures) -> str:
    if not exposures.count:
        return "no exposures"
    if exposures.count == 1:
        return f"1 exposure, {exposures.first}"
    return f"{exposures.count} exposures, {exposures.first} to {exposures.last}"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )


def reach_json(reach: Reach) -> dict[str, Any]:
    """Return what undoing a certification changes, as JSON has it.

    Parameters
    ----------
    reach : `Reach`
        What it changes.

    Returns
    -------
    data : `dict` [`str`, `Any`]
        Times are in ISO-8601 (TAI), "ever" where there is no bound.
    """
    subject = reach.undo.subject

    def instead(each: Instead) -> dict[str, Any]:
        return {**asdict(each), "begin": iso(each.begin), "end": iso(each.end)}

    return {
        "subject": subject.name,
        "product": subject.product.value,
        "part": subject.part,
        "certification": asdict(reach.undo.certification),
        "datasets": list(reach.undo.datasets),
        "gone": reach.standing.gone,
        "problem": reach.standing.problem,
        "detectors": list(reach.detectors),
        "exposures": asdict(reach.exposures),
        "built_on": list(reach.built_on),
        "routes": [
            {"collections": list(route.collections), "instead": [instead(each) for each in route.instead]}
            for route in reach.routes
        ],
    }
