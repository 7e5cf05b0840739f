# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a product is not certified, and what is nevertheless."""

from __future__ import annotations

__all__ = ["as_it_stands", "cause", "check", "made_with_refused", "with_earlier"]

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..instruments import same_filter
from ..outcomes import CERTIFIED_BEFORE, BadDetector, Outcome, StageResult, bad_detectors_text
from ..plan import RunPlan
from ..products import StageId, StageKind, Subject
from ..proof import NotProvenError, Proof
from ..record import DecisionKind, RunRecord
from ..report import decertify_command
from ..spoilt import Mark
from ._context import Context


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


async def check(
    context: Context, proof: Proof, marked: Mapping[Subject, Sequence[Mark]], *, asks: bool
) -> str:
    """Refuse a product that is proven, and is not to be certified.

    Frames that are known to be spoilt by now stay where something else is
    certified from them; and what was made with a product that a person has
    decided against stays as it is. What is certified itself, so and for these
    dates, is not made so by this.

    Parameters
    ----------
    context : `Context`
        The run.
    proof : `Proof`
        What is proven.
    marked : `~collections.abc.Mapping` [`Subject`, sequence of `Mark`]
        Marks of such frames, by series.
    asks : `bool`
        Whether a person is asked first, who hears of it.

    Returns
    -------
    doubt : `str`
        What a person should know, without a full stop; "" if nothing.

    Raises
    ------
    NotProvenError
        If it is one of these, or was certified for detectors that are left
        out now.
    ObservatoryError
        If the repository cannot be read.
    """
    subject, repository = proof.subject, context.world.repository
    made_by = context.plan.generation_of(subject)
    series = made_by.job.series if made_by is not None and made_by.job is not None else ()
    marks = [str(mark) for each in series for mark in marked.get(each, ())]
    doubt = made_with_refused(context.plan, subject, context.recorder.record)
    if (marks or doubt) and not await repository.is_certified(proof):
        if marks:
            raise NotProvenError(
                f"{subject} is not certified: it is made from frames that other runs have marked since, "
                f"which stay as long as something is certified from them: {'; '.join(marks)}"
            )
        if not asks:
            raise NotProvenError(f"{subject} is not certified: {doubt}")
    doubts = [doubt, "" if proof.verified else _held_before(context, subject, series)]
    if certified := await _certified_without(context, proof):
        one = len(certified) == 1
        raise NotProvenError(
            f"{subject} was certified by an earlier session for {'a detector' if one else 'detectors'} that "
            f"{'is' if one else 'are'} left out now: {bad_detectors_text(certified, proof.n_detectors)}"
        )
    return "; ".join(filter(None, doubts))


def _held_before(context: Context, subject: Subject, series: Sequence[Subject]) -> str:
    """Return that an earlier session has verified what is not verified now."""
    record, held = context.recorder.record, []
    for each in dict.fromkeys((subject, *series)):
        result = record.result_of(StageId(StageKind.VERIFY, each))
        verified = record.job_of(StageId(StageKind.VERIFY, each))
        made = record.job_of(StageId(StageKind.GENERATE, each))
        if result is None or result.outcome is not Outcome.HELD or verified is None or made is None:
            continue
        if verified.request.inputs[:1] == (context.world.jobs.collection(made.job_id),):
            held.append(f"{each} did not pass verification in an earlier session: {result.reason}")
    return "; ".join(held)


def made_with_refused(plan: RunPlan, subject: Subject, record: RunRecord) -> str:
    """Return with what a product was made that a person has decided against.

    Parameters
    ----------
    plan : `RunPlan`
        Says with what it was made.
    subject : `Subject`
        The product.
    record : `RunRecord`
        Has the decisions.

    Returns
    -------
    text : `str`
        Without a full stop; "" if there is nothing.
    """
    found: dict[Subject, str] = {}
    pending = [subject]
    while pending:
        made_by = plan.generation_of(pending.pop())
        for other in made_by.job.inputs_from if made_by is not None and made_by.job is not None else ():
            decision = record.decision_on(other.subject)
            if decision is not None and decision.result is not None:
                found[other.subject] = f"the {other.subject} that was {decision.text}"
            pending.append(other.subject)
    return f"it was made with {' and '.join(found.values())}" if found else ""


async def _certified_without(context: Context, proof: Proof) -> list[BadDetector]:
    """Return the detectors left out for which the same job's is certified."""
    made = proof.certification
    same = [
        each
        for each in dict.fromkeys((made, *context.recorder.record.certifications))
        if (each.dataset_type, each.source, each.collection)
        == (made.dataset_type, made.source, made.collection)
    ]
    found = set()
    for withheld in proof.withheld if context.recorder.record.resumed else ():
        others = tuple(each for each in (*proof.datasets, *proof.withheld) if each != withheld)
        for certification in same:
            alone = replace(proof, certification=certification, datasets=(withheld,), withheld=others)
            if await context.world.repository.is_certified(alone):
                found.add(withheld.detector)
    return [bad for bad in proof.left_out if bad.detector in found]


def as_it_stands(
    context: Context, result: StageResult, physical_filters: Mapping[Subject, str]
) -> StageResult:
    """Say what of a stage's product is certified, whatever it has ended by.

    Parameters
    ----------
    context : `Context`
        The run.
    result : `StageResult`
        How a stage ended.
    physical_filters : `~collections.abc.Mapping` [`Subject`, `str`]
        What flats were taken through.

    Returns
    -------
    result : `StageResult`
        See `with_earlier`.
    """
    subject = result.stage.subject
    generator = context.pipelines.generators.get(subject.product)
    if generator is None:
        return result
    product = generator.dataset_type, physical_filters.get(subject)
    return with_earlier(result, context.recorder.record, product, context.world.journal.path)


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
    remarks = (*result.remarks, text) if result.outcome is Outcome.WAITING else result.remarks
    return replace(result, reason="; ".join(filter(None, (result.reason, text))), remarks=remarks)


_NOT_CERTIFIED = (Outcome.HELD, Outcome.FAILED, Outcome.SKIPPED, Outcome.WAITING, Outcome.ABORTED)
