# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended, as the last lines of its log."""

from __future__ import annotations

__all__ = ["log_text", "summary_text"]

from collections.abc import Iterator

from ..outcomes import Certification, StageResult
from ._lines import WIDTH, fold, keep
from ._model import RunReport
from ._plain import certified_though_worse, conclusion
from ._spoilt import spoilt_text
from ._steps import NOTHING, next_steps, resumable

_BELOW = " " * 8
"""Before what does not fit beside the name of a stage."""


def summary_text(report: RunReport) -> str:
    """Return how every stage ended, what was certified, and what to do.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    text : `str`
    """
    lines = [f"{conclusion(report)}."]
    lines += _stage_lines(report)
    lines += map(_certified, report.certifications)
    lines += [f"{one.subject}: {one.text}." for one in certified_though_worse(report)]
    if not report.certifications and report.config.get("generate_calibrations"):
        lines.append("Nothing was certified now." if report.resumed else "Nothing was certified.")
    lines += [f"Decided: {each.subject} {each.text} ({each.date}, TAI)" for each in report.decisions]
    lines += filter(None, map(spoilt_text, report.judgements))
    lines += [f"Done again: {text}" for text in report.repeats]
    lines += _steps(report)
    if resumable(report):
        lines.append(keep(f"Journal: {report.journal}"))
    return fold("\n".join(lines))


def _stage_lines(report: RunReport) -> Iterator[str]:
    width = max((len(result.name) for result in report.stages), default=0)
    given, why = report.reason, "\n"
    for result in report.stages:
        # A cause that several stages share is given once.
        reason = "" if result.reason == given else result.reason.removesuffix(f": {why}")
        why = result.reason if not result.outcome.good else why
        given = result.reason if not result.outcome.good else given
        where = [result.collection] if result.collection else []
        if result.log and not result.outcome.good:
            where.append(keep(f"log {result.log}"))
        head = f"    {result.name:{width}}  {result.outcome:9}"
        line = f"{head}  {'; '.join(filter(None, (reason, *where)))}".rstrip()
        if len(line) <= WIDTH:
            yield line
        else:
            yield f"{head}  {reason}".rstrip()
            yield from (f"{_BELOW}{each}" for each in where)
        yield from _tail_lines(result, _BELOW)


def log_text(result: StageResult) -> str:
    """Return where the log of a job that failed is, and how it ends.

    Parameters
    ----------
    result : `StageResult`
        How its stage ended.

    Returns
    -------
    text : `str`
        What follows a sentence; "" if the stage had no job.
    """
    where = f" (log {result.log})" if result.log else ""
    return "\n".join([where, *_tail_lines(result, "")])


def _tail_lines(result: StageResult, margin: str) -> Iterator[str]:
    if result.log_tail:
        yield f"{margin}The last lines of its log:"
        yield from (f"{margin}    {line}" for line in result.log_tail)


def _certified(certification: Certification) -> str:
    return (
        f"Certified: {certification.dataset_type} from {certification.source} into "
        f"{certification.collection}, valid {certification.begin_date} to {certification.end_date}"
        + (f", {certification.physical_filter}." if certification.physical_filter else ".")
    )


def _steps(report: RunReport) -> Iterator[str]:
    """Yield what the observer should do now, if there is anything."""
    steps = list(next_steps(report))
    if report.complete and steps[0].startswith(NOTHING):
        return
    if len(steps) > 1:
        yield "What to do now:"
        yield from (f"  - {step}" for step in steps)
    else:
        yield from steps
