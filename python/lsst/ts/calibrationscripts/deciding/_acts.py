# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decision does, in the Butler and in the record of the run."""

from __future__ import annotations

__all__ = ["Decided", "decide"]

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..butler.publishing import Copy
from ..files.journal import FileJournal
from ..files.lock import Lock
from ..files.runs import load_document
from ..offline import tai_now
from ..outcomes import Outcome, StageResult
from ..pipelines import pipelines_of
from ..ports import ObservatoryError
from ..procedure import with_earlier
from ..products import StageId, StageKind, Subject
from ..proof import Proof, accepted
from ..record import Decision, DecisionKind, RunRecord
from ..report import RunReport
from ..reporting import publish_again, rewrite_report
from ._choice import Choice, DecisionError
from ._opening import locked, record_of
from ._replay import Replay, certified_with
from ._waiting import seen_of, waiting_of


@dataclass(frozen=True)
class Decided:
    """What has come of a decision."""

    results: tuple[StageResult, ...]
    """How the certification of each product ended."""

    warnings: tuple[str, ...] = ()
    published: tuple[Copy, ...] = ()
    """Copies of the run's report that were brought up to date."""

    @property
    def done(self) -> bool:
        """Whether it has been carried out for every product."""
        return all(result.outcome in (Outcome.CERTIFIED, Outcome.HELD) for result in self.results)


async def decide(folder: Path, run_id: str, choice: Choice) -> Decided:
    """Accept or reject products of a run that wait.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journal of the run is.
    run_id : `str`
        Which run.
    choice : `Choice`
        What is decided.

    Returns
    -------
    decided : `Decided`
        What has come of it. The run's journal, JSON and page have it too, and
        so have the copies of both where the run has published them.

    Raises
    ------
    DecisionError
        If it cannot be made. Nothing has been changed then.
    """
    with locked(folder, run_id, choice) as lock:
        record = record_of(folder, run_id)
        decided = await _decide(folder, record, choice, lock)
        # In the lock: an earlier decision must not overwrite a later one.
        published = await publish_again(record.config, folder, run_id, "The decision is made")
        warnings = (*decided.warnings, *published.warnings)
        return replace(decided, warnings=warnings, published=published.copies)


async def _decide(folder: Path, record: RunRecord, choice: Choice, lock: Lock) -> Decided:
    run_id = record.run_id
    subjects = _chosen(record, choice.products)
    journal = FileJournal(folder, run_id, lock)
    now = tai_now()
    if choice.kind is DecisionKind.ACCEPT:
        return await _accept(folder, record, subjects, choice, now, journal)
    for subject in subjects:
        before = record.decision_on(subject)
        if before is not None and before.kind is DecisionKind.ACCEPT:
            raise DecisionError(
                f"{run_id}: {subject} was {before.text}, and may be certified. Accept it again to complete "
                "that; calibscripts decertify undoes it then."
            )
        record = record.with_decision(_decision(record, subject, choice, now))
        rejected = record.result_of(StageId(StageKind.CERTIFY, subject))
        assert rejected is not None, "a rejection ends the stage"
        product = _product_of(record, subject)
        record = record.with_result(with_earlier(rejected, record, product, journal.path))
    _write(journal, record)
    warnings = rewrite_report(folder, run_id, lambda report: _updated(report, record, ()))
    return Decided(_results(record, subjects), (*certified_with(record), *warnings))


async def _accept(
    folder: Path,
    record: RunRecord,
    subjects: Sequence[Subject],
    choice: Choice,
    now: float,
    journal: FileJournal,
) -> Decided:
    replay = Replay(folder, record, choice)
    proofs = await replay.proofs(subjects)
    _check_looked_at(folder, record.run_id, choice, proofs)
    before = await replay.taken_effect(proofs)
    noted = replace(record, certifications=(*record.certifications, *before))
    for proof in proofs:
        decision = _decision(record, proof.subject, choice, now, proof)
        noted = noted.with_decision(decision)
    # First, so that whatever happens it is known who wanted it.
    _write(journal, noted)
    decisions = {decision.subject: decision for decision in noted.decisions}
    agreed = [accepted(proof, decisions[proof.subject]) for proof in proofs]
    try:
        await replay.certify(agreed)
    except ObservatoryError as error:
        outcome, reason = Outcome.FAILED, str(error)
        agreed = []
    else:
        outcome, reason = Outcome.CERTIFIED, ""
    for proof in proofs:
        decision = decisions[proof.subject]
        text = reason or "; ".join(filter(None, (proof.remark, decision.text)))
        stage = StageId(StageKind.CERTIFY, proof.subject)
        collection = proof.certification.collection
        result = StageResult(stage, outcome, text, collection=collection)
        noted = noted.with_result(result.with_bad(proof.left_out, proof.n_detectors))
    certifications = dict.fromkeys((*noted.certifications, *(proof.certification for proof in agreed)))
    noted = replace(noted, certifications=tuple(certifications))
    warnings = [
        *replay.warnings,
        *(
            f"It is certified as it was accepted before, too: {each.dataset_type} into {each.collection} for "
            f"{each.begin_date} to {each.end_date}."
            for each in before
        ),
    ]
    try:
        _write(journal, noted)
    except DecisionError as error:
        # What is in the Butler is, whatever the journal says.
        warnings.append(f"{error} It does not say how this ended: give the command again later.")
    warnings += rewrite_report(folder, record.run_id, lambda report: _updated(report, noted, agreed))
    return Decided(_results(noted, subjects), tuple(warnings))


def _check_looked_at(folder: Path, run_id: str, choice: Choice, proofs: Sequence[Proof]) -> None:
    """Refuse products that were made anew since they were looked at."""
    looked_at: dict[Subject, tuple[str, ...]] = {}
    with contextlib.suppress(LookupError, OSError, ValueError):
        document = load_document(folder, run_id)
        waiting = document.report.waiting if document else ()
        looked_at = {proof.subject: proof.dataset_ids for proof in waiting}
    for proof in proofs:
        source = proof.certification.source
        is_other = choice.source is not None and choice.source != source
        if is_other or looked_at.get(proof.subject, proof.dataset_ids) != proof.dataset_ids:
            raise DecisionError(
                f"{run_id}: {proof.subject} was made anew, in {source}, since it was looked at. Look at it "
                "again."
            )


def _results(record: RunRecord, subjects: Sequence[Subject]) -> tuple[StageResult, ...]:
    results = (record.result_of(StageId(StageKind.CERTIFY, subject)) for subject in subjects)
    return tuple(result for result in results if result is not None)


def _chosen(record: RunRecord, names: Sequence[str]) -> tuple[Subject, ...]:
    """Return the products that are decided about."""
    waiting = [product.subject for product in waiting_of(record, 0.0)]
    if not names and waiting:
        return tuple(waiting)
    chosen: dict[Subject, None] = {}
    for name in names:
        wanted = name.upper()
        found = [subject for subject in waiting if wanted in (subject.name.upper(), subject.product.value)]
        if not found:
            raise DecisionError(f"{record.run_id}: {_why_not(record, name)}{_what_waits(waiting)}")
        chosen |= dict.fromkeys(found)
    if not chosen:
        raise DecisionError(f"{record.run_id}: nothing waits for a decision.")
    return tuple(chosen)


def _why_not(record: RunRecord, name: str) -> str:
    """Return why a product does not wait for a decision."""
    for result in record.stages:
        subject = result.stage.subject
        if result.stage.kind is StageKind.CERTIFY and name.upper() in (subject.name.upper(), subject.product):
            decision = record.decision_on(subject)
            how = (
                decision.text
                if decision
                else f"{result.outcome}" + f", {result.reason}" * bool(result.reason)
            )
            return f"{subject} does not wait for a decision: it was {how}."
    return f"{name!r} is not one of its products to certify."


def _product_of(record: RunRecord, subject: Subject) -> tuple[str, str | None]:
    """Return dataset type and physical filter of a product."""
    pipelines = pipelines_of(record.config)
    dataset_type = pipelines.generators[subject.product].dataset_type
    filters = (each.physical_filter for each in record.certifications if each.dataset_type == dataset_type)
    return dataset_type, subject.part or next(filters, None)


def _what_waits(waiting: Sequence[Subject]) -> str:
    return f" What waits: {', '.join(subject.name for subject in waiting) or 'nothing'}."


def _decision(
    record: RunRecord, subject: Subject, choice: Choice, now: float, proof: Proof | None = None
) -> Decision:
    return Decision(
        choice.kind,
        subject,
        choice.who,
        now,
        choice.reason.strip(),
        seen_of(record, subject),
        None if proof is None else proof.certification,
        () if proof is None else proof.dataset_ids,
    )


def _write(journal: FileJournal, record: RunRecord) -> None:
    try:
        journal.write(record)
    except ObservatoryError as error:
        raise DecisionError(f"{error}.") from error


def _updated(report: RunReport, record: RunRecord, certified: Sequence[Proof]) -> RunReport:
    """Return the report of a run after a decision."""
    new = [proof.certification for proof in certified]
    return replace(
        report,
        stages=tuple(record.result_of(result.stage) or result for result in report.stages),
        # One that is accepted again, to complete that, is there once.
        certifications=(*(each for each in report.certifications if each not in new), *new),
        proofs=(*(proof for proof in report.proofs if proof.certification not in new), *certified),
        waiting=tuple(proof for proof in report.waiting if record.decision_on(proof.subject) is None),
        decisions=record.decisions,
    )
