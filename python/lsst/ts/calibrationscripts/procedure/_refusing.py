# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a product is not certified, and what is nevertheless."""

from __future__ import annotations

__all__ = ["cause", "with_earlier"]

from dataclasses import replace

from ..instruments import same_filter
from ..outcomes import Outcome, StageResult
from ..products import StageKind
from ..record import DecisionKind, RunRecord
from ..report import decertify_command


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
    text = f"an earlier session has certified it, from {where}, and that stays: '{undo}' undoes it"
    return replace(result, reason="; ".join(filter(None, (result.reason, text))))


_NOT_CERTIFIED = (Outcome.HELD, Outcome.FAILED, Outcome.SKIPPED)
