# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due, as text and as JSON."""

from __future__ import annotations

__all__ = ["conclusion", "due_json", "due_text", "exposures_text", "heading", "spoilt_heading"]

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..decertification import iso
from ..instruments import named_detectors
from ._findings import State
from ._report import DueReport, Judged

_WIDTH = 80

_MAX_SHOWN = 4
"""Results for one type and filter that are shown in full."""

_MAX_MARKS = 8
"""Marks of spoilt frames that are shown."""


def due_text(report: DueReport) -> str:
    """Return what is due, for people.

    Parameters
    ----------
    report : `DueReport`
        What is due.

    Returns
    -------
    text : `str`
        Lines of 80 columns at most, unless a name is longer.
    """
    return "\n".join(_lines(report))


def heading(report: DueReport) -> str:
    """Return what was looked up, and where."""
    return (
        f"{report.instrument}: {exposures_text(report.exposures)}, "
        f"look-ups through {', '.join(report.searched)} in {report.repo}"
    )


def conclusion(report: DueReport) -> str:
    """Return in one sentence, without its full stop, what is due."""
    names = dict.fromkeys(judged.finding.name for judged in report.due)
    return f"Due: {', '.join(names)}" if names else "Nothing is due"


def exposures_text(exposures: Sequence[int]) -> str:
    """Return how many exposures there are, and which."""
    if not exposures:
        return "no exposures"
    if len(exposures) == 1:
        return f"1 exposure, {exposures[0]}"
    return f"{len(exposures)} exposures, {exposures[0]} to {exposures[-1]}"


def _lines(report: DueReport) -> Iterator[str]:
    yield from _wrapped(f"{heading(report)}.", 0)
    for name, same in itertools.groupby(report.judged, key=lambda judged: judged.finding.name):
        yield name
        yield from _of_name(list(same))
    yield from _spoilt(report)
    yield from _wrapped(f"{conclusion(report)}.", 0)
    for number, proposal in enumerate(report.proposals, 1):
        which = f" {number} of {len(report.proposals)}" if len(report.proposals) > 1 else ""
        yield ""
        yield f"Configuration{which} for the script queue:"
        yield ""
        yield proposal.text.rstrip()
    for remark in report.remarks:
        yield ""
        yield from _wrapped(remark.text, 0)
        yield from _continued(remark.command)


def spoilt_heading(report: DueReport) -> str:
    """Return how many of the exposures are spoilt; "" if none is known."""
    n = len({mark.exposure for mark in report.marks})
    return f"{n} of the exposures {'is' if n == 1 else 'are'} known to be spoilt" if n else ""


def _spoilt(report: DueReport) -> Iterator[str]:
    if heading := spoilt_heading(report):
        yield f"{heading}:"
    for mark in report.marks[:_MAX_MARKS]:
        yield from _wrapped(f"{mark.exposure} {mark.kind}: {mark.found}", 2)
    if n := len(report.marks[_MAX_MARKS:]):
        yield f"  and {n} more marks; --html and --json show them"


def _of_name(results: Sequence[Judged]) -> Iterator[str]:
    """Yield what is said of one type and filter; the newest is shown."""
    good = [judged for judged in results if not judged.due]
    due = [judged for judged in results if judged.due]
    for same, what in ((good, "found"), (due, "due")):
        hidden = same[: -_MAX_SHOWN + 1] if len(same) > _MAX_SHOWN else []
        if hidden:
            exposures = {one for judged in hidden for one in judged.finding.exposures}
            ages = [judged.age for judged in hidden if judged.age is not None]
            oldest = f", up to {max(ages):.1f} days old" if ages else ""
            yield from _wrapped(
                f"{len(hidden)} other results, {what}: {len(exposures)} exposures{oldest}; --html and --json "
                "show them",
                2,
                "! " if same is due else "  ",
            )
        for judged in same[len(hidden) :]:
            yield from _of(judged)


def _of(judged: Judged) -> Iterator[str]:
    finding = judged.finding
    mark = "! " if judged.due else "  "
    plural = "" if len(finding.detectors) == 1 else "s"
    detectors = f"detector{plural} {named_detectors(finding.detectors)}"
    when = "from now on" if finding.is_outlook else exposures_text(finding.exposures)
    yield from _wrapped(f"{finding.state}: {when}, {detectors}", 2, mark)
    if judged.due:
        yield from _wrapped(f"due: {judged.due}", 4)
    if finding.state is State.FOUND and finding.valid is not None:
        begin, end = map(iso, finding.valid)
        yield from _wrapped(f"{finding.run} in {finding.collection}, valid {begin} to {end} (TAI)", 4)
        age = "age not known" if judged.age is None else f"{judged.age:.1f} days old"
        origin = f"verdict: {judged.verdict}; certified: {judged.certified_by}"
        yield from _wrapped(f"{age}; {origin if judged.origin else judged.certified_by}", 4)


def _continued(command: str) -> list[str]:
    """Return a command in lines that a shell takes as one."""
    lines = textwrap.wrap(
        command, _WIDTH - 2, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return [*(f"{line} \\" for line in lines[:-1]), *lines[-1:]]


def _wrapped(text: str, indent: int, mark: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=mark or " " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def due_json(report: DueReport) -> dict[str, Any]:
    """Return what is due, as JSON has it.

    Parameters
    ----------
    report : `DueReport`
        What is due.

    Returns
    -------
    data : `dict` [`str`, `Any`]
        Times are in ISO-8601 (TAI), "ever" where there is no bound.
    """
    return {
        "due": bool(report.due),
        "instrument": report.instrument,
        "repo": report.repo,
        "collections": list(report.searched),
        "exposures": list(report.exposures),
        "time": report.time,
        "policy": {
            **report.policy.ages,
            "ahead": report.policy.ahead,
            "ignore": sorted(report.policy.ignored),
        },
        "spoilt": [
            {"exposure": mark.exposure, "kind": mark.kind.value, "text": mark.text, "run_id": mark.run}
            for mark in report.marks
        ],
        "findings": [_finding(judged) for judged in report.judged],
        "configurations": [asdict(proposal) for proposal in report.proposals],
        "remarks": [asdict(remark) for remark in report.remarks],
    }


def _finding(judged: Judged) -> dict[str, Any]:
    finding = judged.finding
    origin = judged.origin
    return {
        "dataset_type": finding.dataset_type,
        "physical_filter": finding.physical_filter,
        "state": finding.state.value,
        "due": judged.due,
        "detectors": list(finding.detectors),
        "exposures": list(finding.exposures),
        "collection": finding.collection,
        "run": finding.run,
        "valid": None if finding.valid is None else [iso(time) for time in finding.valid],
        "datasets": list(finding.datasets),
        "age": judged.age,
        "run_id": None if origin is None else origin.run_id,
        "verdict": judged.verdict,
        "certified_by": judged.certified_by,
    }
