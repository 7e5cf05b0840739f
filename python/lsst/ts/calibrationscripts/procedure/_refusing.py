# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a product is not certified, and what is nevertheless."""

from __future__ import annotations

__all__ = ["cause", "check_marks", "with_earlier"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..instruments import same_filter
from ..outcomes import CERTIFIED_BEFORE, Outcome, StageResult
from ..products import StageId, StageKind, Subject
from ..proof import NotProvenError
from ..record import DecisionKind, RunRecord
from ..report import decertify_command
from ..spoilt import Mark


def cause(result: StageResult) -> str:
    """Return why a stage that did not succeed prevents others from running.

    Parameters
    ----------
    result : `StageResult`
        How it ended.

    Returns
    -------
    cause : `str`
    """
    if result.outcome is Outcome.SKIPPED:
        return result.reason
    return f"{result.name} ended {result.outcome}: {result.reason}"


def check_marks(
    subject: Subject, series: Iterable[Subject], marked: Mapping[Subject, Sequence[Mark]], record: RunRecord
) -> None:
    """Refuse a product of frames that are known to be spoilt by now.

    Such frames stay where something else is certified from them. What is
    certified itself is not made so by this.

    Parameters
    ----------
    subject : `Subject`
        The product.
    series : `~collections.abc.Iterable` [`Subject`]
        What it is made from.
    marked : `~collections.abc.Mapping` [`Subject`, sequence of `Mark`]
        Marks of such frames, by series.
    record : `RunRecord`
        The run.

    Raises
    ------
    NotProvenError
        If there are such frames.
    """
    marks = [str(mark) for each in series for mark in marked.get(each, ())]
    before = record.result_of(StageId(StageKind.CERTIFY, subject))
    if marks and (before is None or before.outcome is not Outcome.CERTIFIED):
        raise NotProvenError(
            f"{subject} is not certified: it is made from frames that other runs have marked since, which "
            f"stay as long as something is certified from them: {'; '.join(marks)}"
        )


def with_earlier(
    result: StageResult, record: RunRecord, product: tuple[str, str | None], journal: str
) -> StageResult:
    """Say that what a run does not certify now is certified by an earlier one.

    Limits may have changed since, or frames have been left out: what was
    certified stays until a person undoes it.

    Parameters
    ----------
    result : `StageResult`
        How a stage ended.
    record : `RunRecord`
        The run, with what its earlier sessions have certified.
    product : `tuple` [`str`, `str` or `None`]
        Its dataset type, and the physical filter that it is for.
    journal : `str`
        Path of its journal.

    Returns
    -------
    result : `StageResult`
        The same, if that is not so.
    """
    subject = result.stage.subject
    if result.stage.kind is not StageKind.CERTIFY or result.outcome not in _NOT_CERTIFIED:
        return result
    dataset_type, physical_filter = product
    undone = {
        each.certification
        for each in record.decisions
        if each.kind is DecisionKind.DECERTIFY and each.subject == subject
    }
    earlier = [
        each
        for each in record.certifications
        if each.dataset_type == dataset_type
        and each not in undone
        and same_filter(each.physical_filter or physical_filter or "", physical_filter or "")
    ]
    if not earlier:
        return result
    where = " and ".join(dict.fromkeys(f"{each.source} into {each.collection}" for each in earlier))
    undo = decertify_command(record.run_id, [subject.name], journal)
    text = f"{CERTIFIED_BEFORE}, from {where}, and that stays: '{undo}' undoes it"
    return replace(result, reason="; ".join(filter(None, (result.reason, text))))


_NOT_CERTIFIED = (Outcome.HELD, Outcome.FAILED, Outcome.SKIPPED)
