# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run made a calibration, its verdict, and who certified it."""

from __future__ import annotations

__all__ = ["Origin", "origin_of", "origins"]

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..proof import Proof
from ..record import DecisionKind, RunRecord
from ..report import RunDocument
from ._findings import Finding


@dataclass(frozen=True)
class Origin:
    """What a run has recorded of a calibration that it certified."""

    run_id: str
    verdict: str
    certified_by: str

    dataset_type: str
    source: str
    """The job's output collection."""

    collection: str
    """CALIBRATION collection."""

    datasets: frozenset[str] = frozenset()
    """UUIDs of what was certified; none if the run has left no proof."""

    made: float | None = None
    """When its last frame ended: TAI, as a Unix timestamp (s)."""

    def has(self, finding: Finding) -> bool:
        """Return whether a calibration that was found is the run's."""
        if finding.dataset_type != self.dataset_type:
            return False
        if self.datasets:
            return self.datasets.issuperset(finding.datasets)
        return finding.run == self.source or finding.run.startswith(f"{self.source}/")


def origins(record: RunRecord, document: RunDocument | None) -> Iterator[Origin]:
    """Yield what a run has recorded of what it certified.

    Parameters
    ----------
    record : `RunRecord`
        Its journal.
    document : `RunDocument` or `None`
        Its JSON, if it has left one.

    Yields
    ------
    origin : `Origin`
    """
    report = None if document is None else document.report
    known = () if report is None else (*report.earlier_proofs, *report.proofs)
    proofs = {_key(each): each for each in known}
    for certification in record.certifications:
        proof = proofs.get((certification.dataset_type, certification.source, certification.physical_filter))
        yield Origin(
            record.run_id,
            "not known: the run has left no JSON" if proof is None else _verdict(proof),
            _certifier(record, certification.dataset_type, certification.source),
            certification.dataset_type,
            certification.source,
            certification.collection,
            frozenset() if proof is None else frozenset(proof.dataset_ids),
            None if proof is None or not proof.frames else proof.end,
        )


def origin_of(finding: Finding, known: Iterable[Origin]) -> Origin | None:
    """Return which run made what was found; `None` if that is not known."""
    made = [origin for origin in known if origin.has(finding)]
    here = [origin for origin in made if origin.collection == finding.collection]
    return next(iter(here or made), None)


def _key(proof: Proof) -> tuple[str, str, str | None]:
    certification = proof.certification
    return certification.dataset_type, certification.source, certification.physical_filter


def _verdict(proof: Proof) -> str:
    if not proof.verified:
        return proof.remark or "not verified"
    n_failed = sum(len(verdict.failed) for verdict in proof.verdicts if verdict.of_exposures)
    n_all = sum(len(verdict.results) for verdict in proof.verdicts if verdict.of_exposures)
    counts = f"passed, {n_failed} of {n_all} exposures failed" if n_all else "passed"
    return f"{counts}; {proof.remark}" if proof.remark else counts


def _certifier(record: RunRecord, dataset_type: str, source: str) -> str:
    for decision in reversed(record.decisions):
        accepted = decision.certification
        if (
            decision.kind is DecisionKind.ACCEPT
            and accepted is not None
            and (accepted.dataset_type, accepted.source) == (dataset_type, source)
        ):
            return decision.who
    program = record.config.get("program")
    return f"run {record.run_id}" + (f" ({program})" if program else "")
