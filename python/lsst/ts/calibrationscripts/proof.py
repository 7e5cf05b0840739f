# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that a product may be certified.

Nothing is certified but by a `Proof`, and `prove` alone makes one. It is
given what the run has recorded, and refuses what does not agree.
"""

from __future__ import annotations

__all__ = ["FrameRecord", "NotProvenError", "ProductRecord", "Proof", "accepted", "prove"]

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .instruments import same_filter
from .judgement import Judgement
from .outcomes import BadDetector, Certification, DetectorDefects, bad_detectors_text
from .products import Subject
from .record import Decision, DecisionKind, JobRecord
from .verification import Verdict

_DAY = 86_400.0
_NOON = 43_200.0
"""Observing days change at 12 h (s)."""


class NotProvenError(ValueError):
    """It is not proven that a product may be certified; says why."""

    error_type = "not_proven"


@dataclass(frozen=True)
class FrameRecord:
    """What the Butler says of a frame that a product was made from."""

    exposure: int
    image_type: str
    physical_filter: str

    begin: float
    """When it began: TAI, as a Unix timestamp (s)."""

    end: float
    """When it ended, likewise (s)."""


@dataclass(frozen=True)
class ProductRecord:
    """What the Butler says of a dataset that a job has made."""

    id: str
    """The dataset's UUID."""

    detector: int
    physical_filter: str | None
    """What it is for; `None` for what has no filter."""

    run: str = ""
    """RUN collection that it is in."""

    written: float | None = None
    """When it was put into the repository: TAI, as a Unix timestamp (s)."""


@dataclass(frozen=True)
class Proof:
    """That a product of a run may be certified, and why."""

    subject: Subject

    certification: Certification

    datasets: tuple[ProductRecord, ...]
    """The very datasets to certify, one for each detector that is not left
    out."""

    frames: tuple[FrameRecord, ...]
    """What they were made from."""

    generation: JobRecord
    """The job that made them."""

    verification: JobRecord | None
    """The job that verified them; `None` if none is for this product."""

    verdicts: tuple[Verdict, ...]
    """All passed: that on the product, and those on its frames. Empty where
    the observer asked for no verification."""

    held_out: tuple[FrameRecord, ...] = ()
    """Frames that were verified with those, and that they were not made
    from."""

    judgement: Judgement | None = None
    """On the product by itself, if it is judged so; passed. `None` where the
    observer asked for no verification."""

    defects: tuple[DetectorDefects, ...] = ()
    """What was judged, with the earlier ones that it was compared with."""

    searched: tuple[str, ...] = ()
    """Collections that the verification job searched, in order, as the Butler
    has them."""

    found_before: tuple[str, ...] = ()
    """Of these, where it found such datasets before those of the product."""

    verified_since: float | None = None
    """When the first of what the verification job made was put into the
    repository: TAI, as a Unix timestamp (s)."""

    decision: Decision | None = None
    """Who accepted it; `None` where no person had to."""

    left_out: tuple[BadDetector, ...] = ()
    """Detectors that it is not certified for, and why."""

    withheld: tuple[ProductRecord, ...] = ()
    """What the job has made of those nevertheless; not to be certified."""

    @property
    def detectors(self) -> tuple[int, ...]:
        """Ids of the detectors that it is certified for, in order."""
        return tuple(sorted(dataset.detector for dataset in self.datasets))

    @property
    def n_detectors(self) -> int:
        """How many detectors the run is about."""
        return len(self.datasets) + len(self.left_out)

    @property
    def dataset_ids(self) -> tuple[str, ...]:
        """UUIDs of the datasets, in order."""
        return tuple(sorted(dataset.id for dataset in self.datasets))

    @property
    def verified_exposures(self) -> tuple[int, ...]:
        """Ids of the frames that were to be verified."""
        return tuple(frame.exposure for frame in (*self.frames, *self.held_out))

    @property
    def verified(self) -> bool:
        """Whether anything was verified."""
        return bool(self.verdicts)

    @property
    def remark(self) -> str:
        """What is missing of it, and what was not verified; "" if nothing."""
        without = f"without {bad_detectors_text(self.left_out, self.n_detectors)}" if self.left_out else ""
        return "; ".join(filter(None, (without, self._unverified)))

    @property
    def _unverified(self) -> str:
        if not self.verified:
            return "not verified: do_verify is False"
        if self.judgement is not None:
            return self.judgement.reason
        return "" if self.verification is not None else "not verified itself, only its frames"

    @property
    def reference(self) -> str | None:
        """What frames or defects were compared with; `None` if nothing."""
        if self.verification is not None:
            return self.certification.source
        runs = dict.fromkeys(each.previous.run for each in self.defects if each.previous is not None)
        return ", ".join(runs) or None

    @property
    def validity_warning(self) -> str:
        """What is wrong with the validity range; "" if it holds the frames."""
        valid_from, valid_to = map(_timestamp, (self.certification.begin_date, self.certification.end_date))
        if valid_from <= self.begin and self.end <= valid_to:
            return ""
        return (
            f"{self.subject}: the validity range, {self.certification.begin_date} to "
            f"{self.certification.end_date} (TAI), does not hold the frames it was made from, "
            f"{_iso(self.begin)} to {_iso(self.end)}: a look-up for these frames will not find it. The range "
            f"{_noon_before(self.begin)} to {_noon_after(self.end)} holds them"
        )

    @property
    def begin(self) -> float:
        """When the first frame began: TAI, as a Unix timestamp (s)."""
        return min(frame.begin for frame in self.frames)

    @property
    def end(self) -> float:
        """When the last frame ended, likewise (s)."""
        return max(frame.end for frame in self.frames)


def _timestamp(date: str) -> float:
    return datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC).timestamp()


def _iso(timestamp: float) -> str:
    return f"{datetime.datetime.fromtimestamp(timestamp, datetime.UTC):%Y-%m-%dT%H:%M:%S}"


def _noon_before(timestamp: float) -> str:
    """Return the beginning of an observing day (TAI, to a minute)."""
    return _iso((timestamp - _NOON) // _DAY * _DAY + _NOON)


def _noon_after(timestamp: float) -> str:
    return _iso(-((_NOON - timestamp) // _DAY) * _DAY + _NOON)


def prove(proof: Proof, *, detectors: Sequence[int], needed: Sequence[Subject]) -> Proof:
    """Check a proof.

    Parameters
    ----------
    proof : `Proof`
        What is to be proven, and by what.
    detectors : `~collections.abc.Sequence` [`int`]
        Ids of the detectors that the run is about.
    needed : `~collections.abc.Sequence` [`Subject`]
        Whose verdicts the product needs; none where the observer asked for
        no verification.

    Returns
    -------
    proof : `Proof`
        The same.

    Raises
    ------
    NotProvenError
        If it proves too little; says everything that is missing.
    """
    certified = sorted(set(detectors) - {bad.detector for bad in proof.left_out})
    faults = [
        *_faults_of_count(proof, detectors),
        *_faults_of_datasets(proof, certified),
        *_faults_of_jobs(proof, detectors, certified),
        *_faults_of_reference(proof),
        *_faults_of_verdicts(proof, needed, len(certified)),
        *(_faults_of_judgement(proof) if needed and proof.subject.product.is_judged_itself else ()),
    ]
    if faults:
        raise NotProvenError(f"{proof.subject} is not certified: {'; '.join(faults)}")
    return proof


def accepted(proof: Proof, decision: Decision) -> Proof:
    """Add to a proof that a person has accepted the product.

    Parameters
    ----------
    proof : `Proof`
        What is proven.
    decision : `Decision`
        The newest on the product.

    Returns
    -------
    proof : `Proof`
        With the decision.

    Raises
    ------
    NotProvenError
        If it is not an acceptance, or one of something else.
    """
    if decision.kind is not DecisionKind.ACCEPT:
        raise NotProvenError(f"{proof.subject} is not certified: {decision.text}")
    if decision.datasets and decision.datasets != proof.dataset_ids:
        raise NotProvenError(
            f"{proof.subject} is not certified: it was made anew since {decision.who} accepted it"
        )
    if decision.subject != proof.subject or decision.certification != proof.certification:
        raise NotProvenError(
            f"{proof.subject} is not certified: {decision.who} accepted something else, "
            f"{decision.certification}, not {proof.certification}"
        )
    return replace(proof, decision=decision)


def _faults_of_count(proof: Proof, detectors: Sequence[int]) -> list[str]:
    """Return whether a detector is neither certified nor left out.

    Each is one or the other: the rest is seen by the datasets.
    """
    left_out = sorted(bad.detector for bad in proof.left_out)
    faults = []
    if len(set(left_out)) < len(left_out) or not set(left_out) <= set(detectors):
        faults.append(
            f"detectors {left_out} are left out, which are not different ones of {sorted(detectors)}"
        )
    if not set(detectors) - set(left_out):
        faults.append("no detector is left that it could be certified for")
    if not {dataset.detector for dataset in proof.withheld} <= set(left_out):
        faults.append("datasets are withheld of detectors that are not left out")
    return faults


def _faults_of_datasets(proof: Proof, detectors: Sequence[int]) -> list[str]:
    dataset_type, source = proof.certification.dataset_type, proof.certification.source
    faults = []
    made = sorted(dataset.detector for dataset in proof.datasets)
    if made != sorted(detectors):
        faults.append(f"{source} has {dataset_type} of detectors {made}, not of {sorted(detectors)}")
    wanted = proof.certification.physical_filter
    for dataset in proof.datasets:
        if dataset.physical_filter is not None and not same_filter(dataset.physical_filter, wanted or ""):
            faults.append(
                f"{dataset_type} of detector {dataset.detector} is for filter {dataset.physical_filter}, "
                f"the frames were taken through {wanted}"
            )
    return faults


def _faults_of_jobs(proof: Proof, detectors: Sequence[int], certified: Sequence[int]) -> list[str]:
    faults = []
    frames = sorted(frame.exposure for frame in proof.frames)
    verified = sorted(proof.verified_exposures)
    if not frames:
        faults.append("no frame is known that it was made from")
    if twice := sorted({exposure for exposure in verified if verified.count(exposure) > 1}):
        faults.append(f"it was made with a frame that is there twice: {', '.join(map(str, twice))}")
    jobs = (("made", proof.generation, frames), ("verified", proof.verification, verified))
    for what, job, expected in jobs:
        if job is None:
            continue
        if sorted(job.request.exposures) != expected:
            faults.append(f"job {job.job_id} {what} it with other frames than those of the run")
        # Those that are left out may have been bad before the job, or by it.
        asked = sorted(job.request.detectors)
        if len(set(asked)) < len(asked) or not set(certified) <= set(asked) <= set(detectors):
            faults.append(f"job {job.job_id} {what} other detectors than those of the run")
    verification = proof.verification
    if verification is not None and verification.request.inputs[:1] != (proof.certification.source,):
        faults.append(
            f"job {verification.job_id} compared the frames with {verification.request.inputs[0]}, not with "
            f"what job {proof.generation.job_id} made"
        )
    return faults


def _faults_of_reference(proof: Proof) -> list[str]:
    """Return how the verification's reference is not what is certified.

    The journal says what the job was asked for, the Butler where it looked,
    and that what it looked for was there.
    """
    verification = proof.verification
    if verification is None:
        return []
    faults = []
    asked = verification.request.detectors
    compared = [*proof.datasets, *(each for each in proof.withheld if each.detector in asked)]
    if sorted(verification.request.products) != sorted(dataset.id for dataset in compared):
        faults.append(
            f"job {verification.job_id} compared the frames with another {proof.certification.dataset_type} "
            f"than {proof.certification.source} has now"
        )
    if not {dataset.run for dataset in proof.datasets} <= set(proof.searched):
        faults.append(
            f"job {verification.job_id} searched {', '.join(proof.searched) or 'nothing'}, says the Butler, "
            f"not {proof.certification.source}"
        )
    if proof.found_before:
        faults.append(
            f"job {verification.job_id} found {proof.certification.dataset_type} in "
            f"{', '.join(proof.found_before)}, which it searched before {proof.certification.source}"
        )
    since = proof.verified_since
    newer = [each for each in compared if since is None or each.written is None or each.written > since]
    if newer:
        faults.append(
            f"job {verification.job_id} wrote its results {_when('from', since)}, says the Butler, and the "
            f"{proof.certification.dataset_type} of detector {newer[0].detector} was written "
            f"{_when('at', newer[0].written)}, not before them"
        )
    return faults


def _when(word: str, timestamp: float | None) -> str:
    return "at a time that is not known" if timestamp is None else f"{word} {_iso(timestamp)} TAI"


def _faults_of_verdicts(proof: Proof, needed: Sequence[Subject], n_detectors: int) -> list[str]:
    verdicts = {verdict.subject: verdict for verdict in proof.verdicts}
    faults = [f"{subject} was not verified" for subject in needed if subject not in verdicts]
    faults += [
        f"{verdict.subject} did not pass verification" for verdict in proof.verdicts if not verdict.passed
    ]
    for verdict in proof.verdicts:
        if verdict.n_detectors != n_detectors:
            faults.append(
                f"{verdict.subject} was verified for {verdict.n_detectors} detectors, not {n_detectors}"
            )
        if verdict.failing_detectors:
            bad = ", ".join(each.name for each in verdict.failing_detectors)
            faults.append(f"{verdict.subject} did not pass verification for {bad}")
    known = set(proof.verified_exposures)
    for verdict in proof.verdicts:
        judged = {result.exposure for result in verdict.results}
        if verdict.of_exposures and not judged <= known:
            faults.append(f"{verdict.subject} was verified with other frames")
    if proof.verification is not None and proof.subject in verdicts:
        verdict = verdicts[proof.subject]
        if verdict.of_exposures and {result.exposure for result in verdict.results} != known:
            faults.append(f"{proof.subject} was not verified with all of its frames")
    return faults


def _faults_of_judgement(proof: Proof) -> list[str]:
    if proof.judgement is None:
        return [f"{proof.subject} was not judged by itself"]
    faults = [] if proof.judgement.passed else [f"{proof.subject} did not pass: {proof.judgement.reason}"]
    if {each.dataset for each in proof.defects} != {dataset.id for dataset in proof.datasets}:
        faults.append(f"other datasets were judged than those in {proof.certification.source}")
    return faults
