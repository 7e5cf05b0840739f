# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certifications of a run are to be undone, after its record."""

from __future__ import annotations

__all__ = ["RefusedError", "Undo", "built_on", "choose"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..outcomes import Certification
from ..pipelines import pipelines_of
from ..products import StageKind, Subject
from ..proof import Proof
from ..record import Decision, DecisionKind, RunRecord


class RefusedError(ValueError):
    """A certification cannot be undone; says why."""


@dataclass(frozen=True)
class Undo:
    """A certification that is to be undone."""

    subject: Subject

    certification: Certification

    datasets: tuple[str, ...] = ()
    """UUIDs of the very datasets that were certified. None where the run has
    left no proof: then they are what is in the RUN collection of its job."""

    of_another: bool = field(default=False, compare=False)
    """Whether the run has left no proof of this very certification, so that
    the datasets are those of another from the same job. Either may be without
    some detectors."""


def choose(record: RunRecord, proofs: Sequence[Proof], wanted: Sequence[str] = ()) -> tuple[Undo, ...]:
    """Return which certifications of a run are to be undone.

    Parameters
    ----------
    record : `RunRecord`
        The run.
    proofs : `~collections.abc.Sequence` [`Proof`]
        What has proven its certifications, as far as that is known.
    wanted : `~collections.abc.Sequence` [`str`], optional
        Products, such as ``BIAS`` or ``FLAT SDSSr_65mm~empty_1``; ``FLAT``
        alone means all flats. By default all that is certified.

    Returns
    -------
    undos : `tuple` [`Undo`, ...]
        In the order in which they were certified.

    Raises
    ------
    RefusedError
        If the run has not certified it, if it is undone already, or if the
        record cannot be that of the run.
    """
    made = [_undo(record, proofs, certification) for certification in record.certifications]
    if not made:
        raise RefusedError(
            f"run {record.run_id} has certified nothing. If its process was killed, resume it: what it has "
            "certified is then in its journal"
        )
    names = [name.strip().casefold() for name in wanted]
    known = {name for undo in made for name in _names(undo)}
    if unknown := [text for text, name in zip(wanted, names, strict=True) if name not in known]:
        certified = ", ".join(dict.fromkeys(undo.subject.name for undo in made))
        raise RefusedError(
            f"run {record.run_id} has not certified {', '.join(unknown)}. It has certified: {certified}"
        )
    chosen = [undo for undo in made if not names or not _names(undo).isdisjoint(names)]
    undone = {undo: decision for undo in chosen if (decision := _undone(record, undo))}
    left = tuple(undo for undo in chosen if undo not in undone)
    again = [name for name in names if all(name not in _names(undo) for undo in left)]
    if again or not left:
        raise RefusedError("; ".join(_refusals(undone)))
    return left


def built_on(
    record: RunRecord, proofs: Sequence[Proof], undo: Undo, chosen: Sequence[Undo]
) -> tuple[str, ...]:
    """Return what was made with a product and stays certified.

    Parameters
    ----------
    record : `RunRecord`
        The run.
    proofs : `~collections.abc.Sequence` [`Proof`]
        What has proven its certifications, as far as that is known.
    undo : `Undo`
        The product.
    chosen : `~collections.abc.Sequence` [`Undo`]
        All that is to be undone.

    Returns
    -------
    names : `tuple` [`str`, ...]
        Of products of the same run.
    """
    generators = pipelines_of(record.config).generators
    others = (_undo(record, proofs, certification) for certification in record.certifications)
    return tuple(
        other.subject.name
        for other in others
        if other not in chosen
        and not _undone(record, other)
        and undo.subject.product in generators[other.subject.product].corrections
    )


def _names(undo: Undo) -> set[str]:
    """Return by which names a person can choose it."""
    return {undo.subject.name.casefold(), undo.subject.product.casefold()}


def _undo(record: RunRecord, proofs: Sequence[Proof], certification: Certification) -> Undo:
    # Each session leaves the proofs of what it has certified itself.
    for proof in sorted(proofs, key=lambda each: each.certification != certification):
        if _source(proof.certification) == _source(certification):
            ids = tuple(dataset.id for dataset in proof.datasets)
            return Undo(proof.subject, certification, ids, proof.certification != certification)
    for result in record.stages:
        if result.stage.kind is StageKind.GENERATE and result.collection == certification.source:
            return Undo(result.stage.subject, certification, of_another=True)
    for job in record.jobs:
        # Where the run was resumed since, the stage may not have been begun.
        if job.stage.kind is StageKind.GENERATE and certification.source.rpartition("/")[2] == job.job_id:
            return Undo(job.stage.subject, certification, of_another=True)
    raise RefusedError(
        f"{certification.dataset_type} was certified from {certification.source}, which no job of run "
        f"{record.run_id} has made"
    )


def _source(certification: Certification) -> tuple[str, str, str | None]:
    return certification.dataset_type, certification.source, certification.physical_filter


def _undone(record: RunRecord, undo: Undo) -> Decision | None:
    """Return the decision by which it is undone already, if it is."""
    newest = next(
        (
            decision
            for decision in reversed(record.decisions)
            if decision.subject == undo.subject and decision.certification == undo.certification
        ),
        None,
    )
    return newest if newest is not None and newest.kind is DecisionKind.DECERTIFY else None


def _refusals(undone: dict[Undo, Decision]) -> Iterator[str]:
    for undo, decision in undone.items():
        yield f"{undo.subject} was {decision.text} ({decision.date}, TAI)"
