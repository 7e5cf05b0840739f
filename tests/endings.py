# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as they can end, each with what its page shows.

Nothing here was measured: the statistics are noise of the size that LATISS
has. ``python tests/endings.py FOLDER`` writes the page of each.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, ImageType
from lsst.ts.calibrationscripts.outcomes import (
    AmplifierDefects,
    Certification,
    DetectorDefects,
    Gain,
    Outcome,
    PreviousDefects,
    RunState,
    StageResult,
)
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.proof import FrameRecord, ProductRecord, Proof
from lsst.ts.calibrationscripts.record import JobRecord
from lsst.ts.calibrationscripts.report import (
    Area,
    CurvePoints,
    DetectorCurves,
    Evidence,
    Place,
    RunDocument,
    RunReport,
    Span,
    Statistics,
    Thumbnail,
    held_reason,
)
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from lsst.ts.calibrationscripts.verification import judge
from named import BIAS, DARK, FLAT, stage, subject

NIGHT = 2026112300000
BEGIN = 1_795_456_800.0
"""2026-11-23 18:00:00, as a Unix timestamp (s)."""

DETECTOR = LATISS.detectors[0]
AMPLIFIERS = DETECTOR.amplifiers
FILTERS = ("SDSSg_65mm~empty_1", "SDSSr_65mm~empty_1", "SDSSi_65mm~empty_1", "empty_1~SDSSy_65mm")
VERSIONS = {
    "ts_calibrationscripts": "1.4.0",
    "pipeline generation": "current",
    "cp_pipe": "g1a2b3c4d5e+0f",
    "cp_verify": "gf00dfeed12+7a",
    "daf_butler": "30.0.3",
}
REQUEST = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), (NIGHT + 1,))


def ids(first: int, n: int) -> tuple[int, ...]:
    return tuple(NIGHT + first + i for i in range(n))


def failed_tests(test: str, amplifiers: Sequence[str] = AMPLIFIERS) -> list[str]:
    return [f"{DETECTOR.name} {amplifier} {test}" for amplifier in amplifiers]


def ended(name: str, outcome: Outcome = Outcome.PASSED, reason: str = "", number: int = 0) -> StageResult:
    """Return how a stage ended; with a number it had a job."""
    if not number:
        return StageResult(stage(name), outcome, reason)
    job = f"{number:032x}"
    return StageResult(
        stage(name), outcome, reason, job, f"u/ocps/{job}", f"/scratch/uws/jobs/{job}/out/ocps.log"
    )


def config(text: str = "") -> dict[str, object]:
    written = (
        "repo: /repo/LATISS\npipeline_generation: current\nprogram: BLOCK-295\nreason: daily_calibrations\n"
    )
    return parse(written + text, LATISS).to_dict()


def proof_of(certification: Certification, about: Subject) -> Proof:
    made = JobRecord(stage(f"generate {about.name}"), "a1", REQUEST)
    return Proof(
        about,
        certification,
        datasets=(ProductRecord("5f2b", 0, None, f"{certification.source}/run"),),
        frames=(FrameRecord(NIGHT + 1, "BIAS", "empty~empty", BEGIN, BEGIN),),
        generation=made,
        verification=JobRecord(stage(f"verify {about.name}"), "b2", REQUEST),
        verdicts=(judge({NIGHT + 1: {"SUCCESS": True}}, about, n_detectors=1),),
        searched=(f"{certification.source}/run", "LATISS/calib"),
    )


def certified(about: Subject, number: int) -> tuple[Certification, Proof]:
    made = Certification(
        about.product.value.lower(),
        f"u/ocps/{number:032x}",
        "LATISS/calib/daily/calib.2026NOV23.1",
        "2026-11-23T12:00:00",
        "2026-11-24T12:00:00",
        about.part or None,
    )
    return made, proof_of(made, about)


def timeline(stages: Sequence[StageResult], begin: float = BEGIN, frames: int = 0) -> tuple[Span, ...]:
    """Return stages one after the other, the first ones with frames."""
    spans, now = [], begin
    for result in stages:
        if result.outcome is Outcome.SKIPPED:
            continue
        length = 140.0 if result.job_id else 4.0 * frames + 2
        spans.append(Span(result.stage, now, now + length, outcome=result.outcome))
        if result.stage.kind.value == "expose":
            for i in range(frames):
                label = f"{result.stage.subject.name} {i + 1}/{frames}"
                spans.append(Span(result.stage, now + 4 * i, now + 4 * i + 2, label))
        now += length + 1
    return tuple(sorted(spans, key=lambda span: span.begin))


# What is seen


def statistics_of(about: Subject, exposures: Sequence[int], noisy: Sequence[str] = ()) -> Statistics:
    chance = random.Random(about.name)  # noqa: S311 - only to look like noise
    places = tuple(Place(DETECTOR.id, DETECTOR.name, amplifier) for amplifier in AMPLIFIERS)
    is_flat = about.product is Product.FLAT
    mean, noise = (21_000.0, 130.0) if is_flat else (0.0, 6.6)

    def rows(centre: float, scatter: float, extra: float = 0.0) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(
                round(chance.gauss(centre + (extra if place.amplifier in noisy else 0.0), scatter), 4)
                for place in places
            )
            for _ in exposures
        )

    return Statistics(
        about,
        "ADU",
        tuple(exposures),
        places,
        {
            "MEAN": rows(mean, 60.0 if is_flat else 0.1),
            "NOISE": rows(noise, 0.06, extra=30.0 if is_flat else 1.2),
        },
        nominal_noise=() if is_flat else tuple(6.6 for _ in places),
        level=tuple(chance.gauss(1000.0, 100.0) for _ in places),
        scatter=tuple(0.011 for _ in exposures) if is_flat else (),
    )


def areas() -> tuple[Area, ...]:
    """Return where the amplifiers of a CCD of LSST are."""
    return tuple(Area(name, int(name[2]) / 8, int(name[1]) / 2, 0.125, 0.5) for name in AMPLIFIERS)


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def image_of(about: Subject, noisy: Sequence[str] = ()) -> Thumbnail:
    chance = np.random.default_rng(len(about.name))
    pixels = np.zeros((125, 128))
    for i, name in enumerate(AMPLIFIERS):
        x, y = 16 * int(name[2]), 62 * int(name[1])
        spread = 60 if name in noisy else 14
        pixels[y : y + 63, x : x + 16] = chance.normal(110 + 7 * (i % 5), spread, (63, 16))[: 125 - y]
    return Thumbnail(
        about,
        about.product.value.lower(),
        DETECTOR.name,
        "u/ocps/0000000000000000000000000000000a/run",
        False,
        _png(pixels.clip(0, 255).astype(np.uint8)),
        128,
        125,
        -1.4,
        2.1,
        areas=areas(),
    )


def defect_map() -> Thumbnail:
    chance = np.random.default_rng(3)
    pixels = np.full((250, 256, 3), 238, np.uint8)
    for colour, n in (((90, 90, 90), 260), ((213, 94, 0), 30), ((0, 114, 178), 8)):
        pixels[chance.integers(0, 250, n), chance.integers(0, 256, n)] = colour
    pixels[20:125, 70] = (90, 90, 90)
    return dataclasses.replace(image_of(subject("DEFECTS")), png=_png(pixels), width=256, height=250)


def curves() -> tuple[DetectorCurves, ...]:
    def curve(i: int, amplifier: str) -> CurvePoints:
        chance = random.Random(i)  # noqa: S311 - only to look like noise
        gain = 1.2 + 0.01 * i
        means = tuple(6000.0 * k for k in range(1, 13))
        variances = tuple(
            (mean / gain * (1 - 1.5e-6 * mean) + 30 if mean < 66_000 else 0.6 * mean / gain)
            * chance.gauss(1, 0.004)
            for mean in means
        )
        return CurvePoints(amplifier, means, variances, tuple(mean < 66_000 for mean in means), gain)

    return (DetectorCurves(DETECTOR.name, tuple(curve(i, name) for i, name in enumerate(AMPLIFIERS))),)


def gains_of(first: int, part: str = "", *, n_pairs: int = 2, centre: float = 1.2) -> Iterator[Gain]:
    chance = random.Random(first)  # noqa: S311 - only to look like noise
    for pair in range(n_pairs):
        for i, amplifier in enumerate(AMPLIFIERS):
            gain = round(centre + 0.01 * i + chance.gauss(0, 0.004), 4)
            exposures = (NIGHT + first + 2 * pair, NIGHT + first + 2 * pair + 1)
            yield Gain(exposures, 5.0, 0, amplifier, gain, 6.8, reference=1.2 + 0.01 * i, part=part)


def defects() -> DetectorDefects:
    return DetectorDefects(
        0,
        "9b1d",
        312,
        tuple(
            AmplifierDefects(name, 1_000_000, 880 + 20 * i, gained=2 * i, lost=3)
            for i, name in enumerate(AMPLIFIERS)
        ),
        PreviousDefects("4c1a", "LATISS/calib/defects/20220101", 298),
    )


# How runs end


def passed() -> RunDocument:
    """Daily calibrations: bias and dark certified, one spoilt frame."""
    exposures = {ImageType.BIAS: ids(1, 20), ImageType.DARK: ids(21, 20)}
    stages = (
        ended("expose BIAS", reason="20 frames, 1 left out as spoilt"),
        ended("expose DARK", reason="20 frames"),
        ended("generate BIAS", number=10),
        ended("verify BIAS", reason="0 of 18 exposures failed", number=11),
        ended("certify BIAS", Outcome.CERTIFIED),
        ended("generate DARK", number=12),
        ended("verify DARK", reason="0 of 20 exposures failed", number=13),
        ended("certify DARK", Outcome.CERTIFIED),
    )
    stages = tuple(
        dataclasses.replace(one, collection="LATISS/calib/daily/calib.2026NOV23.1")
        if one.outcome is Outcome.CERTIFIED
        else one
        for one in stages
    )
    made = [certified(BIAS, 10), certified(DARK, 12)]
    mark = Mark(NIGHT + 2, MarkKind.SETTLING, "level 31 ADU above the others; at most 5 ADU", ())
    report = RunReport(
        RunState.DONE,
        run_id="20261123T180000-100042",
        journal="/state/20261123T180000-100042.journal.json",
        instrument="LATISS",
        versions=VERSIONS,
        exposures=exposures,
        discarded={ImageType.BIAS: ids(1, 1)},
        stages=stages,
        verdicts={
            BIAS: judge({i: {"SUCCESS": True} for i in ids(3, 18)}, BIAS, n_detectors=1),
            DARK: judge({i: {"SUCCESS": True} for i in ids(21, 20)}, DARK, n_detectors=1),
        },
        certifications=tuple(one for one, _ in made),
        proofs=tuple(proof for _, proof in made),
        judgements=(SeriesJudgement(BIAS, ids(2, 19), (mark,), ids(2, 1)),),
        timeline=timeline(stages, frames=20),
        config=config(
            "generate_calibrations: true\ncalib_collection: LATISS/calib/daily/calib.2026NOV23.1\n"
            'certify_calib_begin_date: "2026-11-23T12:00:00"\ncertify_calib_end_date: "2026-11-24T12:00:00"\n'
        ),
        notices=("The exposures of FLAT are not taken: script_mode is BIAS_DARK.",),
    )
    evidence = Evidence(
        (statistics_of(BIAS, ids(3, 18)), statistics_of(DARK, ids(21, 20))), (image_of(BIAS), image_of(DARK))
    )
    return RunDocument(report, evidence)


def warned() -> RunDocument:
    """The same, but something is unlike earlier runs."""
    return dataclasses.replace(
        passed(),
        trend=(
            "Read noise of detector 0 C07 is 6.90 ADU; in 12 earlier runs it was 6.60 +- 0.05 ADU (6 sigma).",
        ),
    )


def held() -> RunDocument:
    """Three biases of which all fail, so that no dark can be made."""
    exposures = ids(2, 3)
    noisy = AMPLIFIERS[:9]
    found = {
        i: {"FAILURES": failed_tests("NOISE", noisy) + failed_tests("MEAN", AMPLIFIERS[:2])}
        for i in exposures
    }
    verdict = judge({**found, exposures[0]: {"FAILURES": failed_tests("NOISE")}}, BIAS, n_detectors=1)
    why = held_reason(verdict)
    because = f"verify BIAS ended HELD: {why}"
    stages = (
        ended("expose BIAS", reason="4 frames"),
        ended("expose DARK", reason="4 frames"),
        ended("generate BIAS", number=10),
        ended("verify BIAS", Outcome.HELD, why, number=11),
        *(
            ended(name, Outcome.SKIPPED, because)
            for name in ("certify BIAS", "generate DARK", "verify DARK", "certify DARK")
        ),
    )
    report = dataclasses.replace(
        passed().report,
        exposures={ImageType.BIAS: ids(1, 4), ImageType.DARK: ids(5, 4)},
        stages=stages,
        verdicts={BIAS: verdict},
        certifications=(),
        proofs=(),
        judgements=(),
        timeline=timeline(stages, frames=4),
        notices=(),
    )
    evidence = Evidence((statistics_of(BIAS, exposures, noisy),), (image_of(BIAS, noisy),))
    return RunDocument(report, evidence)


def failed_script() -> RunDocument:
    """The camera goes to fault after the biases were certified."""
    before = passed().report
    cause = (
        "ATCamera is in state FAULT, error 5: readout failed: no data from the REB. Recover it, then resume "
        "the run"
    )
    stages = (
        *before.stages[:1],
        *before.stages[2:5],
        ended("expose DARK", Outcome.FAILED, cause),
        *(ended(name, Outcome.ABORTED, cause) for name in ("generate DARK", "verify DARK", "certify DARK")),
    )
    report = dataclasses.replace(
        before,
        state=RunState.FAILED,
        reason=cause,
        exposures={ImageType.BIAS: ids(1, 20), ImageType.DARK: ids(21, 3)},
        stages=stages,
        verdicts={BIAS: before.verdicts[BIAS]},
        certifications=before.certifications[:1],
        proofs=before.proofs[:1],
        timeline=timeline(stages[:5], frames=20),
    )
    return RunDocument(report, Evidence((statistics_of(BIAS, ids(3, 18)),), (image_of(BIAS),)))


def failed_job() -> RunDocument:
    """The job that makes the bias fails."""
    why = (
        "job 0000000000000000000000000000000a ended with exit code 1: RuntimeError: Input and output "
        "dimensions do not match"
    )
    because = f"generate BIAS ended FAILED: {why}"
    stages = (
        ended("expose BIAS", reason="20 frames"),
        ended("expose DARK", reason="20 frames"),
        ended("generate BIAS", Outcome.FAILED, why, number=10),
        *(
            ended(name, Outcome.SKIPPED, because)
            for name in ("verify BIAS", "certify BIAS", "generate DARK", "verify DARK", "certify DARK")
        ),
    )
    report = dataclasses.replace(
        passed().report,
        stages=stages,
        verdicts={},
        certifications=(),
        proofs=(),
        judgements=(),
        timeline=timeline(stages, frames=20),
        repeats=("generate BIAS: the OCPS has lost job 9; submitted again",),
    )
    return RunDocument(report, Evidence())


def ptc_and_defects() -> RunDocument:
    """Flats for a photon transfer curve, and defects."""
    before = passed().report
    about = subject("DEFECTS"), subject("PTC")
    made = [
        *zip(before.certifications, before.proofs, strict=True),
        *(certified(one, 14 + i) for i, one in enumerate(about)),
    ]
    stages = (
        *before.stages[:2],
        ended("expose FLAT", reason="14 frames"),
        *before.stages[2:],
        ended(
            "generate DEFECTS",
            reason="312 boxes, 0.10% of the pixels (16480); 240 gained, 48 lost",
            number=14,
        ),
        dataclasses.replace(
            ended("certify DEFECTS", Outcome.CERTIFIED), collection="LATISS/calib/daily/calib.2026NOV23.1"
        ),
        ended("generate PTC", number=15),
        ended("verify PTC", number=16),
        dataclasses.replace(
            ended("certify PTC", Outcome.CERTIFIED), collection="LATISS/calib/daily/calib.2026NOV23.1"
        ),
    )
    report = dataclasses.replace(
        before,
        exposures={**before.exposures, ImageType.FLAT: ids(41, 14)},
        stages=stages,
        certifications=tuple(one for one, _ in made),
        proofs=tuple(proof for _, proof in made),
        gains=tuple(gains_of(41, n_pairs=7)),
        notices=(),
        defects=(defects(),),
        timeline=timeline(stages, frames=14),
        config={**before.config, "do_defects": True, "do_ptc": True, "n_flat": 14},
    )
    evidence = Evidence(
        (statistics_of(BIAS, ids(3, 18)), statistics_of(DARK, ids(21, 20))),
        (image_of(BIAS), image_of(DARK), image_of(FLAT), defect_map()),
        curves=curves(),
    )
    return RunDocument(report, evidence)


def four_filters() -> RunDocument:
    """Flats through four filters, of which one does not pass."""
    stages: list[StageResult] = []
    verdicts, gains, measured = {}, [], []
    for i, part in enumerate(FILTERS):
        flat = Subject(Product.FLAT, part)
        exposures = ids(1 + 10 * i, 10)
        bad = i == 2
        found = {
            each: {"FAILURES": failed_tests("NOISE", AMPLIFIERS[: 9 + i])}
            if bad and each % 3
            else {"SUCCESS": True}
            for each in exposures
        }
        verdicts[flat] = judge(found, flat, n_detectors=1)
        why = "7 of 10 exposures fail NOISE; at most 5 may fail"
        stages += [
            ended(f"expose FLAT {part}", reason="10 frames"),
            ended(
                f"verify FLAT {part}",
                Outcome.HELD if bad else Outcome.PASSED,
                why if bad else "0 of 10 exposures failed",
                number=20 + i,
            ),
            ended(f"measure GAIN {part}", number=30 + i),
        ]
        gains += gains_of(1 + 10 * i, part, centre=1.2 + 0.02 * i)
        measured.append(statistics_of(flat, exposures, AMPLIFIERS[:9] if bad else ()))
    text = "flat_sets:\n" + "".join(
        f"  - {{filter: {part.split('~')[0]}, grating: {part.split('~')[1]}}}\n" for part in FILTERS
    )
    report = dataclasses.replace(
        passed().report,
        exposures={ImageType.FLAT: ids(1, 40)},
        discarded={},
        stages=tuple(stages),
        verdicts=verdicts,
        certifications=(),
        proofs=(),
        judgements=(),
        gains=tuple(gains),
        timeline=timeline(stages, frames=10),
        config=config(f"script_mode: FLAT\n{text}"),
        notices=(),
    )
    return RunDocument(report, Evidence(tuple(measured), tuple(image_of(each) for each in verdicts)))


def resumed() -> RunDocument:
    """A run that was stopped in the darks, and resumed next morning."""
    document = passed()
    stages = document.report.stages
    first = timeline(
        (*stages[:1], *stages[2:5], dataclasses.replace(stages[1], outcome=Outcome.ABORTED)), frames=20
    )
    second = timeline((stages[1], *stages[5:]), BEGIN + 47_000, frames=12)
    third = timeline(stages[6:], BEGIN + 61_000)
    report = dataclasses.replace(document.report, resumed=2, timeline=(*first, *second, *third))
    return dataclasses.replace(document, report=report)


def several_detectors() -> RunDocument:
    """A photon transfer curve and biases of nine detectors of ComCam."""
    detectors = INSTRUMENTS["LSSTComCam"].detectors
    bias = subject("BIAS")
    exposures = ids(1, 40)
    found = {i: {"FAILURES": [f"{detectors[4].name} {a} NOISE" for a in AMPLIFIERS[:9]]} for i in exposures}
    places = tuple(Place(d.id, d.name, amplifier) for d in detectors for amplifier in d.amplifiers)
    chance = random.Random(9)  # noqa: S311 - only to look like noise
    rows = {
        test: tuple(tuple(round(chance.gauss(mean, 0.1), 4) for _ in places) for _ in range(5))
        for test, mean in (("MEAN", 0.0), ("NOISE", 6.6))
    }
    report = dataclasses.replace(
        passed().report,
        instrument="LSSTComCam",
        exposures={ImageType.BIAS: exposures},
        stages=(
            ended("verify BIAS", Outcome.HELD, "40 of 40 exposures fail NOISE", number=11),
            ended("generate PTC", number=15),
        ),
        verdicts={bias: judge(found, bias, n_detectors=len(detectors))},
        certifications=(),
        proofs=(),
        judgements=(),
        discarded={},
        timeline=(),
        gains=tuple(
            Gain((NIGHT + 1, NIGHT + 2), 5.0, d.id, a, 1.5, 6.8, reference=1.5)
            for d in detectors
            for a in d.amplifiers
        ),
    )
    measured = Statistics(bias, "ADU", exposures[:5], places, rows, nominal_noise=tuple(6.6 for _ in places))
    (drawn,) = curves()
    names = [one.name for one in detectors]
    evidence = Evidence(
        (measured,),
        curves=(dataclasses.replace(drawn, detector=names[4], curves=drawn.curves[:2]),),
        left_out={"curves": tuple(name for name in names if name != names[4])},
        versions={"cp_pipe": "g1a2b3c4d5e+0f (generate PTC); gf00d+7a (verify BIAS)"},
    )
    return RunDocument(report, evidence)


def stopped() -> RunDocument:
    """A run that was stopped before its first frame."""
    reason = "stopped by the operator"
    stages = tuple(
        ended(name, Outcome.ABORTED, reason) for name in ("expose BIAS", "generate BIAS", "verify BIAS")
    )
    report = dataclasses.replace(
        passed().report,
        state=RunState.STOPPED,
        reason=reason,
        exposures={},
        stages=stages,
        verdicts={},
        certifications=(),
        proofs=(),
        judgements=(),
        timeline=(),
    )
    return RunDocument(report)


ENDINGS = {
    "passed": passed,
    "warned": warned,
    "held": held,
    "failed_script": failed_script,
    "failed_job": failed_job,
    "ptc_and_defects": ptc_and_defects,
    "four_filters": four_filters,
    "resumed": resumed,
    "several_detectors": several_detectors,
    "stopped": stopped,
}
"""By name, what makes each."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in ENDINGS.items():
        (folder / f"{name}.html").write_text(run_page(make()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
