# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as a page of HTML that needs nothing else."""

from __future__ import annotations

__all__ = ["run_page"]

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from ..outcomes import DetectorDefects, Gain, RunState, by_amplifier
from ..products import Product
from ..proof import Proof
from ..report import (
    SCATTER_TOLERANCE,
    Evidence,
    Panel,
    Place,
    RunDocument,
    RunReport,
    Statistics,
    conclusion,
    defects_found,
    next_steps,
    products,
    spoilt_headline,
)
from ..spoilt import SeriesJudgement
from ..verification import Verdict
from ._curve_plot import curve_plot
from ._facts import banner, cards, configuration, exposure_rows, facts, stage_rows
from ._figure import Picture
from ._image import image_picture
from ._plots import failure_map, gain_plot, panel_plot
from ._render import render
from ._timeline import timeline_of

_MAX_ROWS = 64
_DETECTOR_AND_TEST = attrgetter("detector", "test")

_SECTIONS = {
    "failures": "Failed tests",
    "spoilt": "Spoilt frames",
    "statistics": "Noise and mean",
    "gains": "Gains",
    "curves": "Photon transfer curves",
    "defects": "Defects",
    "comparisons": "Compared with those in use",
    "images": "Images",
    "timeline": "Timeline",
    "thresholds": "Thresholds",
    "stages": "Stages, jobs and logs",
    "certifications": "Certified",
    "decisions": "Decisions",
    "exposures": "Exposures",
    "remarks": "Remarks",
    "configuration": "Configuration",
}
"""Anchors and names of the sections, in order. Those with nothing to show
are left out."""


def run_page(document: RunDocument) -> str:
    """Show a run as a page of HTML.

    Parameters
    ----------
    document : `RunDocument`
        The run, with the statistics and pictures that have been read.

    Returns
    -------
    html : `str`
        A page that refers to no other file.
    """
    report = document.report
    parts = _parts(document)
    defect_rows = sorted(_defect_rows(report.defects), key=lambda row: row.order)
    return render(
        "report.html.j2",
        report=report,
        title=_title(report),
        banner=banner(report),
        facts=facts(report, document.evidence.versions if document.evidence else {}),
        cards=cards(report),
        steps=next_steps(report, document.trend),
        trend=document.trend,
        sections=[(anchor, name) for anchor, name in _SECTIONS.items() if parts.get(anchor, True)],
        parts=parts,
        scatter_tolerance=SCATTER_TOLERANCE,
        defect_rows=defect_rows[:_MAX_ROWS],
        n_defects_left_out=max(0, len(defect_rows) - _MAX_ROWS),
        certified=list(zip(report.certifications, map(_proven, report.proofs), strict=False))
        or [(certification, "") for certification in report.certifications],
        configuration=configuration(report),
    )


def _parts(document: RunDocument) -> dict[str, Any]:
    """Return what each section shows; what is empty has none."""
    report, evidence = document.report, document.evidence or Evidence()
    images = [
        (image, image_picture(image, report.verdicts.get(image.subject))) for image in evidence.thumbnails
    ]
    return {
        "failures": [
            (verdict, failure_map(verdict, measured.places if (measured := evidence.of(subject)) else ()))
            for subject, verdict in report.verdicts.items()
        ],
        "spoilt": list(_spoilt(report)),
        "statistics": [
            (each, list(_panels(each, report.verdicts.get(each.subject)))) for each in evidence.statistics
        ],
        "gains": list(_gains_by_part(report.gains)),
        "curves": [(each.detector, curve_plot(each.curves)) for each in evidence.curves],
        "left_out": evidence.left_out,
        "defects": [(each, defects_found((each,))) for each in report.defects],
        "defect_maps": [each for each in images if each[0].subject.product is Product.DEFECTS],
        "comparisons": report.comparisons,
        "images": [each for each in images if each[0].subject.product is not Product.DEFECTS],
        "timeline": timeline_of(report),
        "thresholds": [
            (verdict.name, list(_threshold_rows(verdict))) for verdict in report.verdicts.values()
        ],
        "stages": stage_rows(report),
        "decisions": report.decisions,
        "exposures": exposure_rows(report),
        "remarks": [
            *(f"Done again: {text}" for text in report.repeats),
            *report.notices,
            *evidence.notes,
        ],
    }


def _spoilt(report: RunReport) -> Iterator[tuple[str, SeriesJudgement]]:
    """Yield the series of which there is something to say."""
    for judgement in report.judgements:
        if judgement.marks or judgement.unmeasured:
            yield spoilt_headline(judgement), judgement


def _title(report: RunReport) -> str:
    each = ", ".join(f"{product.name} {product.word}" for product in products(report))
    outcome = each if report.state is RunState.DONE and each else conclusion(report)
    return f"Run {report.run_id}: {outcome}" if report.run_id else outcome


def _panels(measured: Statistics, verdict: Verdict | None) -> Iterator[Picture]:
    failures = {result.exposure: result.failures for result in (verdict.results if verdict else ())}
    by_name = {(place.name, place.amplifier): place for place in measured.places}

    def failed(panel: Panel, exposure: int) -> set[Place]:
        return {
            by_name[detector, amplifier]
            for detector, amplifier, test in failures.get(exposure, ())
            if test == panel.test and (detector, amplifier) in by_name
        }

    for panel in measured.panels():
        marked = [failed(panel, exposure) for exposure in measured.exposures]
        yield panel_plot(panel, measured.subject.name, measured.places, marked)


class _Gains(NamedTuple):
    """The gains from the flats of a filter."""

    part: str
    picture: Picture | None
    rows: list[_GainRow]
    n_left_out: int

    several: bool
    """Whether they are of several detectors."""


def _gains_by_part(gains: Sequence[Gain]) -> Iterator[_Gains]:
    for part in dict.fromkeys(gain.part for gain in gains):
        mine = [gain for gain in gains if gain.part == part]
        rows = sorted(_gain_rows(mine), key=lambda row: row.order)
        picture = gain_plot(mine, part)
        if picture:
            several = len({gain.detector for gain in mine}) > 1
            yield _Gains(part, picture, rows[:_MAX_ROWS], max(0, len(rows) - _MAX_ROWS), several)


class _GainRow(NamedTuple):
    """An amplifier's line in the table of gains."""

    order: tuple[float, int, str]
    detector: int
    amplifier: str
    mean: str
    spread: str
    reference: str
    difference: str


def _gain_rows(gains: Sequence[Gain]) -> Iterator[_GainRow]:
    amplifiers = by_amplifier(gains)
    # A short table stays in the order of amplifiers.
    sort = len(amplifiers) > _MAX_ROWS
    for each in amplifiers:
        yield _GainRow(
            order=(-abs(each.difference or 0.0) if sort else 0.0, each.detector, each.amplifier),
            detector=each.detector,
            amplifier=each.amplifier,
            mean="none" if each.mean is None else f"{each.mean:.3f}",
            spread="" if each.spread is None else f"{each.spread:.3f}",
            reference=f"{each.reference:.3f}" if each.reference else "",
            difference="" if each.difference is None else f"{each.difference:+z.1%}",
        )


class _DefectRow(NamedTuple):
    """An amplifier's line in the table of defects."""

    order: tuple[int, int, str]
    detector: int
    amplifier: str
    area: int
    fraction: str
    gained: str
    lost: str


def _defect_rows(defects: Sequence[DetectorDefects]) -> Iterator[_DefectRow]:
    # A short table stays in the order of amplifiers.
    sort = sum(len(one.amplifiers) for one in defects) > _MAX_ROWS
    for one in defects:
        for each in one.amplifiers:
            change = each.area if each.gained is None or each.lost is None else each.gained + each.lost
            yield _DefectRow(
                order=(-change if sort else 0, one.detector, each.amplifier),
                detector=one.detector,
                amplifier=each.amplifier,
                area=each.area,
                fraction=f"{each.area / each.n_pixels:.2%}" if each.n_pixels else "",
                gained="" if each.gained is None else str(each.gained),
                lost="" if each.lost is None else str(each.lost),
            )


class _ThresholdRow(NamedTuple):
    """A threshold and what was compared with it."""

    what: str
    found: int
    threshold: int


def _threshold_rows(verdict: Verdict) -> Iterator[_ThresholdRow]:
    thresholds = verdict.thresholds
    per_detector = [Counter(map(_DETECTOR_AND_TEST, result.failures)) for result in verdict.results]
    most = max((max(counts.values()) for counts in per_detector if counts), default=0)
    n_detectors = [
        Counter(test for (_, test), count in counts.items() if count >= thresholds.failures_to_fail_detector)
        for counts in per_detector
    ]
    worst = max((count for result in verdict.results for count in result.counts.values()), default=0)
    yield _ThresholdRow(
        "most failures of one test type in a detector", most, thresholds.failures_to_fail_detector
    )
    yield _ThresholdRow(
        "most detectors that reach that, in one exposure",
        max((max(counts.values()) for counts in n_detectors if counts), default=0),
        thresholds.detectors_to_fail,
    )
    yield _ThresholdRow(
        f"most failures of one test type in {'an exposure' if verdict.of_exposures else 'all'}",
        worst,
        thresholds.failures_to_fail_exposure,
    )
    if verdict.of_exposures:
        yield _ThresholdRow(
            f"exposures that fail, of {len(verdict.results)}",
            len(verdict.failed),
            thresholds.exposures_to_fail,
        )


def _proven(proof: Proof) -> str:
    """Return what a certification is based on."""
    if proof.verification is None:
        compared = f"against {proof.reference}: {defects_found(proof.defects)}" if proof.reference else ""
        return "; ".join(filter(None, (compared, proof.remark)))
    job = f"job {proof.verification.job_id}"
    own = next((verdict for verdict in proof.verdicts if verdict.subject == proof.subject), None)
    if own is None or not own.of_exposures:
        return f"as a whole, {job}: passed"
    n_frames = len(own.results)
    frames = f"{n_frames} frame{'' if n_frames == 1 else 's'}" + (
        f", {n} of them held out," if (n := len(proof.held_out)) else ""
    )
    return f"{frames} against {proof.reference}, {job}: {len(own.failed)} failed"
