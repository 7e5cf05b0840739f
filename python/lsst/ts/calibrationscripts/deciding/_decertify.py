# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certifications of an earlier run, undone and noted in its record."""

from __future__ import annotations

__all__ = ["Decertified", "decertify", "reach_of"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ..butler import decertifying
from ..butler.publishing import Copy
from ..decertification import Reach, RefusedError, built_on, choose
from ..files.journal import FileJournal
from ..files.lock import Lock
from ..files.runs import load_document
from ..offline import tai_now
from ..outcomes import RunState
from ..ports import ObservatoryError
from ..record import Decision, RunRecord
from ..report import RunDocument, RunReport
from ..reporting import publish_again, rewrite_report
from ._choice import Choice, DecisionError
from ._opening import locked, record_of
from ._replay import certified_with


@dataclass(frozen=True)
class Decertified:
    """What has been undone."""

    reaches: tuple[Reach, ...]
    """What it has changed, for each product."""

    decisions: tuple[Decision, ...]
    """As recorded, in the same order."""

    warnings: tuple[str, ...] = ()
    published: tuple[Copy, ...] = ()
    """Copies of the run's report that were brought up to date."""


class _EarlierRun(NamedTuple):
    """What an earlier run has left."""

    record: RunRecord
    document: RunDocument | None
    repo: str


async def reach_of(folder: Path, run_id: str, products: Sequence[str] = ()) -> tuple[Reach, ...]:
    """Return what undoing certifications of a run would change.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journal of the run is.
    run_id : `str`
        Which run.
    products : `~collections.abc.Sequence` [`str`], optional
        Names of products; all that is certified if there are none.

    Returns
    -------
    reaches : `tuple` [`Reach`, ...]
        One for each product. Those that others have changed have a problem.

    Raises
    ------
    DecisionError
        If there is nothing to undo.
    ObservatoryError
        If the repository cannot be read.
    """
    return await _reach(_load(folder, run_id), products)


async def decertify(folder: Path, run_id: str, choice: Choice) -> Decertified:
    """Undo certifications of a run: all that are chosen, or none.

    What is not certified any more, as where a process was killed before it
    could note what it had undone, is noted now.

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
    decertified : `Decertified`
        The run's journal, JSON and page have it too, and so have the copies
        of both where the run has published them.

    Raises
    ------
    DecisionError
        If it cannot be done. Nothing has been changed then.
    ObservatoryError
        If the repository cannot be changed, or the journal not be written.
    """
    with locked(folder, run_id, choice) as lock:
        run = _load(folder, run_id)
        undone = await _decertify(folder, run, choice, lock)
        # In the lock: an earlier decision must not overwrite a later one.
        published = await publish_again(run.record.config, folder, run_id, "The decision is made")
        warnings = (*undone.warnings, *published.warnings)
        return replace(undone, warnings=warnings, published=published.copies)


async def _decertify(folder: Path, run: _EarlierRun, choice: Choice, lock: Lock) -> Decertified:
    run_id = run.record.run_id
    journal = FileJournal(folder, run_id, lock)
    if problems := journal.check():
        raise DecisionError("; ".join(problems))
    reaches = await _reach(run, choice.products)
    try:
        gone = await decertifying.decertify(run.repo, [reach.undo for reach in reaches])
    except RefusedError as error:
        raise DecisionError(f"{run_id}: {error}.") from error
    now = tai_now()
    decisions = tuple(_decision(reach, choice, now, gone=reach.undo in gone) for reach in reaches)
    record = run.record
    for decision in decisions:
        record = record.with_decision(decision)
    try:
        # Last, since it can be made up for: what is undone is seen.
        journal.write(record)
    except ObservatoryError as error:
        again = "It is undone but not noted: give the command again when that is fixed"
        raise ObservatoryError(f"{run_id}: {error}. {again}.") from error
    if run.document is None:
        warnings: tuple[str, ...] = (f"the run has left no JSON and no page: noted in {journal.path} alone",)
    else:
        warnings = rewrite_report(folder, run_id, lambda report: _updated(report, record))
    return Decertified(reaches, decisions, (*certified_with(record), *warnings))


def _load(folder: Path, run_id: str) -> _EarlierRun:
    record = record_of(folder, run_id)
    try:
        document = load_document(folder, run_id)
    except LookupError as error:
        remedy = "Without that file, what is in the collections of the run's jobs is undone"
        raise DecisionError(f"{run_id}: {error}. {remedy}: move it away if that is what you want.") from error
    repo = record.config.get("repo")
    if not isinstance(repo, str) or not repo:
        raise DecisionError(f"{run_id}: its journal in {folder} does not say which repository it is about.")
    return _EarlierRun(record, document, repo)


async def _reach(run: _EarlierRun, products: Sequence[str]) -> tuple[Reach, ...]:
    report = run.document.report if run.document else RunReport(RunState.DONE)
    proofs = (*report.proofs, *report.earlier_proofs)
    try:
        undos = choose(run.record, proofs, products)
    except RefusedError as error:
        raise DecisionError(f"{error}.") from error
    reaches = await decertifying.read_reach(run.repo, undos)
    return tuple(
        replace(reach, built_on=built_on(run.record, proofs, reach.undo, undos)) for reach in reaches
    )


def _decision(reach: Reach, choice: Choice, now: float, *, gone: bool) -> Decision:
    n_collections = sum(len(route.collections) for route in reach.routes if route.instead)
    seen = (
        "it was not certified any more"
        if gone
        else f"{reach.exposures.count} exposure(s) found it through {n_collections} collection(s)"
    )
    undo = reach.undo
    return Decision(
        choice.kind, undo.subject, choice.who, now, choice.reason.strip(), seen, undo.certification
    )


def _updated(report: RunReport, record: RunRecord) -> RunReport:
    """Return the report of a run after a decision."""
    return replace(
        report,
        stages=tuple(record.result_of(result.stage) or result for result in report.stages),
        decisions=record.decisions,
    )
