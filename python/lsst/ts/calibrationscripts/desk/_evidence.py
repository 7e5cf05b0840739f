# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is known of a product, in the order in which a person looks."""

from __future__ import annotations

__all__ = ["FrameRow", "MapRow", "NumberRow", "ProductEvidence", "evidence_of"]

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ..comparison import Comparison
from ..deciding import WaitingProduct
from ..outcomes import StageResult
from ..pages import Picture, gain_plot
from ..products import Product, StageKind, Subject
from ..record import Decision, RunRecord
from ..report import Limits, Place, RunDocument, Statistics
from ..verification import Verdict

_MAX_ROWS = 200
"""Amplifiers in a table; those that fail come first."""

_IMAGES = (Product.BIAS, Product.DARK, Product.FLAT, Product.DEFECTS)


@dataclass(frozen=True)
class NumberRow:
    """What was measured of an amplifier."""

    place: Place
    n_failed: int
    """Exposures in which a test of it failed."""

    values: tuple[tuple[str, Limits, bool], ...]
    """The median over the exposures, the limits, and whether these hold it,
    by panel."""


@dataclass(frozen=True)
class MapRow:
    """Which tests of an amplifier failed."""

    detector: int | None
    name: str
    """Of the detector."""

    amplifier: str
    cells: tuple[str, ...]
    """By exposure: the tests that failed; "" if none."""


@dataclass(frozen=True)
class FrameRow:
    """A frame that a product is about."""

    exposure: int
    discarded: bool
    n_failed: int
    """Tests that failed."""

    marks: tuple[str, ...]
    """Why it is spoilt; none if it is not."""


@dataclass(frozen=True)
class ProductEvidence:
    """All that is known of a product."""

    @property
    def source(self) -> str:
        """Output collection of the job that has made it; "" if none."""
        made = (result for result in self.stages if result.stage.kind is StageKind.GENERATE)
        return next((result.collection or "" for result in made), "")

    run_id: str
    subject: Subject
    stages: tuple[StageResult, ...]
    waiting: WaitingProduct | None
    decisions: tuple[Decision, ...]
    verdict: Verdict | None
    comparison: Comparison | None
    detectors: tuple[tuple[int, str], ...]
    """Ids and names of detectors that have images; none if it is not one."""

    number_titles: tuple[str, ...]
    numbers: tuple[NumberRow, ...]
    n_numbers_left_out: int
    exposures: tuple[int, ...]
    """Columns of the map of failed tests."""

    failures: tuple[MapRow, ...]
    frames: tuple[FrameRow, ...]
    curves: tuple[int, ...]
    """Ids of detectors that have photon transfer curves."""

    gains: Picture | None
    notes: tuple[str, ...]

    def frame(self, exposure: int) -> FrameRow | None:
        """Return a frame, if the product is about it."""
        return next((row for row in self.frames if row.exposure == exposure), None)

    def failed(self, exposure: int, detector: int) -> tuple[tuple[str, str], ...]:
        """Return amplifiers of a frame with the tests that failed."""
        if exposure not in self.exposures:
            return ()
        column = self.exposures.index(exposure)
        mine = (row for row in self.failures if row.detector == detector)
        return tuple((row.amplifier, row.cells[column]) for row in mine if row.cells[column])

    def beside(self, exposure: int) -> tuple[int | None, int | None]:
        """Return the frames before and after one that can be opened."""
        ids = [row.exposure for row in self.frames if not row.discarded]
        if exposure not in ids:
            return None, None
        i = ids.index(exposure)
        return ids[i - 1] if i else None, ids[i + 1] if i + 1 < len(ids) else None


def evidence_of(
    record: RunRecord, document: RunDocument | None, subject: Subject, waiting: WaitingProduct | None
) -> ProductEvidence:
    """Collect what is known of a product.

    Parameters
    ----------
    record : `RunRecord`
        The run.
    document : `RunDocument` or `None`
        Its JSON, if it has left one.
    subject : `Subject`
        The product.
    waiting : `WaitingProduct` or `None`
        What a person can decide about, if anything.

    Returns
    -------
    evidence : `ProductEvidence`
    """
    verdict = document.report.verdicts.get(subject) if document else None
    measured = document.evidence.of(subject) if document and document.evidence else None
    places = measured.places if measured else ()
    numbers = sorted(_numbers(measured, verdict), key=lambda row: -row.n_failed) if measured else []
    detectors = dict.fromkeys((place.detector, place.name) for place in places)
    if document and subject.product is Product.DEFECTS:
        detectors = dict.fromkeys((one.detector, f"{one.detector}") for one in document.report.defects)
    return ProductEvidence(
        record.run_id,
        subject,
        tuple(result for result in record.stages if result.stage.subject == subject),
        waiting,
        tuple(decision for decision in record.decisions if decision.subject == subject),
        verdict,
        next((one for one in document.report.comparisons if one.subject == subject), None)
        if document
        else None,
        tuple(detectors) if subject.product in _IMAGES else (),
        tuple(panel.title for panel in measured.panels()) if measured else (),
        tuple(numbers[:_MAX_ROWS]),
        max(0, len(numbers) - _MAX_ROWS),
        tuple(one.exposure for one in verdict.results if one.exposure is not None) if verdict else (),
        tuple(_map(verdict, places))[:_MAX_ROWS] if verdict else (),
        tuple(_frames(record, document, subject, verdict)) if document else (),
        tuple(dict.fromkeys(gain.detector for gain in document.report.gains))
        if document and subject.product is Product.PTC
        else (),
        gain_plot(document.report.gains)
        if document and subject.product in (Product.PTC, Product.GAIN)
        else None,
        document.evidence.notes if document and document.evidence else ("The run has left no JSON yet.",),
    )


def _numbers(measured: Statistics, verdict: Verdict | None) -> Iterator[NumberRow]:
    failed: defaultdict[tuple[str, str], set[int | None]] = defaultdict(set)
    for result in verdict.results if verdict else ():
        for failure in result.failures:
            failed[failure.detector, failure.amplifier].add(result.exposure)
    panels = measured.panels()
    for column, place in enumerate(measured.places):
        values = []
        for panel in panels:
            known = sorted(value for row in panel.rows if (value := row[column]) is not None)
            limits = panel.limits[column]
            if known:
                median = known[len(known) // 2]
                values.append((_fixed(median), limits, limits.hold(median)))
            else:
                values.append(("none", limits, limits == (None, None)))
        yield NumberRow(place, len(failed[place.name, place.amplifier]), tuple(values))


def _fixed(value: float) -> str:
    """Return a value with four digits, but not more than four decimals."""
    before = math.floor(math.log10(abs(value))) if value else -1
    return f"{value:.{min(4, max(0, 3 - before))}f}"


def _map(verdict: Verdict, places: tuple[Place, ...]) -> Iterator[MapRow]:
    ids = {place.name: place.detector for place in places}
    cells: dict[tuple[str, str], dict[int, list[str]]] = {}
    for column, result in enumerate(verdict.results):
        for failure in result.failures:
            row = cells.setdefault((failure.detector, failure.amplifier), {})
            row.setdefault(column, []).append(failure.test)
    for (name, amplifier), row in sorted(cells.items()):
        texts = tuple(", ".join(row.get(column, ())) for column in range(len(verdict.results)))
        yield MapRow(ids.get(name), name, amplifier, texts)


def _frames(
    record: RunRecord, document: RunDocument, subject: Subject, verdict: Verdict | None
) -> Iterator[FrameRow]:
    results = {result.exposure: result for result in (verdict.results if verdict else ())}
    marks = [mark for judgement in record.judgements for mark in judgement.marks]
    report = document.report
    used = [set(proof_frames) for proof_frames in _frames_of_proofs(document, subject)]
    discarded = {exposure for ids in report.discarded.values() for exposure in ids}
    for image_type, ids in report.exposures.items():
        for exposure in ids:
            is_used = any(exposure in frames for frames in used) or exposure in results
            if is_used or (image_type == subject.product and exposure in discarded):
                n_failed = len(results[exposure].failures) if exposure in results else 0
                mine = [mark for mark in marks if mark.exposure == exposure]
                texts = tuple(f"{mark.kind}: {mark.found}" for mark in mine)
                yield FrameRow(exposure, exposure in discarded, n_failed, texts)


def _frames_of_proofs(document: RunDocument, subject: Subject) -> Iterator[tuple[int, ...]]:
    for proof in (*document.report.waiting, *document.report.proofs):
        if proof.subject == subject:
            yield proof.verified_exposures
