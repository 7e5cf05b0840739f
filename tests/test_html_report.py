# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a run, as it opens from a disk."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import html.parser
import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler, CollectionType, DatasetType
from lsst.ts.calibrationscripts.butler.evidence import gather
from lsst.ts.calibrationscripts.butler.history import read_history
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import from_json, to_json
from lsst.ts.calibrationscripts.files.runs import documents_in
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, Instrument
from lsst.ts.calibrationscripts.judgement import Judgement
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
from lsst.ts.calibrationscripts.products import Subject
from lsst.ts.calibrationscripts.report import (
    Evidence,
    Limits,
    Place,
    RunDocument,
    RunReport,
    Span,
    Statistics,
    Thumbnail,
    next_steps,
    products,
)
from lsst.ts.calibrationscripts.reporting import write_report
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import (
    create_repository,
    read_focal_plane,
)
from lsst.ts.calibrationscripts.trend import BIAS_LEVEL, GAIN, READ_NOISE, Key
from lsst.ts.calibrationscripts.verification import judge
from lsst.utils.packages import Packages
from named import BIAS, DARK, FLAT, stage, subject
from test_proof import PROOF
from test_verification import AMPLIFIERS, failures, run_statistics

FIRST = 2026112300001
FAILED_FRAMES = 3


class Elements(html.parser.HTMLParser):
    """Everything in a document that matters to these tests."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[int] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(dict(attrs))


def title_of(document: str) -> str:
    found = re.search("<title>(.*?)</title>", document)
    assert found
    return found.group(1)


def page_of(report: RunReport, evidence: Evidence) -> str:
    return run_page(RunDocument(report, evidence))


def held_run(**changes: Any) -> RunReport:
    """Return the procedure's failing example: 3 biases that fail NOISE."""
    ids = tuple(FIRST + i for i in range(FAILED_FRAMES))
    because = "verify BIAS ended HELD: 3 of 3 exposures fail NOISE; at most 2 may fail"
    report = RunReport(
        state=RunState.DONE,
        run_id="20261123T180000-1",
        journal="/state/20261123T180000-1.journal.json",
        exposures={"BIAS": ids, "DARK": ()},
        discarded={"BIAS": ids[:1], "DARK": ()},
        stages=(
            StageResult(stage("expose BIAS"), Outcome.PASSED, "3 frames"),
            StageResult(
                stage("generate BIAS"),
                Outcome.PASSED,
                job_id="a1",
                collection="u/ocps/a1",
                log="/uws/a1/ocps.log",
            ),
            StageResult(
                stage("verify BIAS"),
                Outcome.HELD,
                "3 of 3 exposures fail NOISE; at most 2 may fail",
                job_id="b2",
                collection="u/ocps/b2",
                log="/uws/b2/ocps.log",
            ),
            StageResult(stage("certify BIAS"), Outcome.SKIPPED, because),
            StageResult(stage("generate DARK"), Outcome.SKIPPED, because),
        ),
        verdicts={BIAS: judge(run_statistics({i: failures("NOISE") for i in ids}), BIAS, n_detectors=1)},
        timeline=(
            Span(stage("expose BIAS"), 1.0, 3.0, "BIAS 1/3, 0 s"),
            Span(stage("expose BIAS"), 1.0, 9.0),
            Span(stage("verify BIAS"), 9.0, 30.0),
        ),
        config={"generate_calibrations": True, "repo": "/repo/LATISS", "pipeline_generation": "2022"},
    )
    return dataclasses.replace(report, **changes)


def passed_run() -> RunReport:
    ids = tuple(FIRST + i for i in range(20))
    return held_run(
        exposures={"BIAS": ids},
        stages=(
            StageResult(
                stage("verify BIAS"), Outcome.PASSED, "0 of 20 exposures failed", collection="u/ocps/b2"
            ),
            StageResult(stage("certify BIAS"), Outcome.CERTIFIED, collection="LATISS/calib/daily"),
            StageResult(stage("measure GAIN"), Outcome.PASSED),
        ),
        verdicts={BIAS: judge(run_statistics({i: [] for i in ids}), BIAS, n_detectors=1)},
        certifications=(
            Certification("bias", "u/ocps/a1", "LATISS/calib/daily", "2026-11-23", "2026-11-24"),
        ),
        gains=tuple(
            Gain((1, 2), 5.0, 0, amplifier, 1.2 + i / 100, 7.0, reference=1.2)
            for i, amplifier in enumerate(AMPLIFIERS)
        ),
    )


def evidence_of(
    instrument: Instrument = LATISS, subjects: tuple[Subject, ...] = (BIAS,), n_exposures: int = 3
) -> Evidence:
    chance = random.Random(1)  # noqa: S311 - only to look like noise
    places = tuple(Place(d.id, d.name, amplifier) for d in instrument.detectors for amplifier in AMPLIFIERS)

    def rows(centre: float, scatter: float) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(round(chance.gauss(centre, scatter), 4) for _ in places) for _ in range(n_exposures)
        )

    return Evidence(
        statistics=tuple(
            Statistics(
                subject,
                "ADU",
                tuple(FIRST + i for i in range(n_exposures)),
                places,
                {"MEAN": rows(0.0, 0.1), "NOISE": rows(5.4, 0.1), "CR_NOISE": rows(5.4, 0.1)},
                nominal_noise=tuple(6.6 for _ in places),
                level=tuple(chance.gauss(1000.0, 100.0) for _ in places),
            )
            for subject in subjects
        ),
        thumbnails=tuple(
            Thumbnail(
                subject,
                subject.name.lower(),
                detector.name,
                "u/ocps/a1/run",
                False,
                base64.b64encode(chance.randbytes(60_000)).decode(),
                256,
                250,
                -1.0,
                1.0,
            )
            for subject in subjects
            for detector in instrument.detectors[:8]
        ),
    )


# What it says


def test_the_first_screen_tells_each_product_and_what_to_do() -> None:
    # Given the procedure's failing example
    report = held_run()
    # Then each product is told in plain words
    told = {product.name: (product.word, product.text) for product in products(report)}
    assert told["BIAS"] == ("held", "3 of 3 exposures fail NOISE; at most 2 may fail")
    assert told["DARK"][0] == "not made"
    # and the remedy that the procedure gives comes first
    assert next_steps(report)[0].startswith("BIAS: take more frames, 20 rather than 3.")
    assert any("resume: 20261123T180000-1" in step for step in next_steps(report))
    document = page_of(report, Evidence())
    assert title_of(document) == "Run 20261123T180000-1: BIAS held, DARK not made"
    assert document.index("3 of 3 exposures fail NOISE") < document.index("<h2>Failed tests")


def test_a_passed_run_needs_nothing() -> None:
    report = passed_run()
    assert next_steps(report) == ("Nothing to do.",)
    assert [(p.name, p.word) for p in products(report)] == [("BIAS", "certified"), ("GAIN", "measured")]
    document = page_of(report, evidence_of())
    assert "No test failed on any of the 20 exposures." in document
    assert "resume" not in document


def test_failed_and_stopped_runs_name_log_cause_and_resume() -> None:
    failed = StageResult(
        stage("generate BIAS"), Outcome.FAILED, "job a1 ended with exit code 1", log="/uws/a1/ocps.log"
    )
    steps = next_steps(held_run(stages=(failed,), verdicts={}))
    assert steps[0] == "generate BIAS failed: read its log, /uws/a1/ocps.log."
    assert "frames that exist are not taken again" in steps[1]

    stopped = held_run(
        state=RunState.STOPPED,
        reason="stopped by the operator",
        stages=(StageResult(stage("expose BIAS"), Outcome.ABORTED, "stopped by the operator"),),
        verdicts={},
    )
    document = page_of(stopped, Evidence())
    assert "The script ended STOPPED: stopped by the operator." in document
    assert "resume: 20261123T180000-1" in document


def test_external_verification_speaks_of_no_certification() -> None:
    frames = held_run(config={"generate_calibrations": False})
    assert products(frames)[0].word == "did not pass"
    assert "differ from the reference calibrations" in next_steps(frames)[0]


def found_defects(n_detectors: int = 1, *, compared: bool = True) -> tuple[DetectorDefects, ...]:
    """Return defects of detectors, of which the last has changed most."""
    return tuple(
        DetectorDefects(
            detector,
            "9b1d",
            300 + detector,
            tuple(
                AmplifierDefects(name, 1_000_000, 1000, gained=20 + detector, lost=3)
                if compared
                else AmplifierDefects(name, 1_000_000, 1000)
                for name in AMPLIFIERS
            ),
            PreviousDefects("4c1a", "LATISS/calib/defects/20220101", 298) if compared else None,
        )
        for detector in range(n_detectors)
    )


def section(document: str, anchor: str) -> str:
    _, _, rest = document.partition(f'<section id="{anchor}" ')
    _, _, rest = rest.partition(">")
    return re.sub(r"<[^>]*>", " ", rest.partition("</section>")[0])


def cells(document: str) -> str:
    """Return a page whose cells of tables have no attributes."""
    return re.sub(r"<(t[dh]) [^>]*>", r"<\1>", document)


def test_defects_are_shown_with_what_they_were_compared_with() -> None:
    document = page_of(held_run(defects=found_defects()), Evidence())
    assert '<a href="#defects">Defects</a>' in document
    text = " ".join(section(document, "defects").split())
    assert "Detector 0: 300 boxes, 0.10% of the pixels (16000); 320 gained, 48 lost." in text
    assert "Compared with 298 boxes from LATISS/calib/defects/20220101 ." in text
    assert "C00 1000 0.10% 20 3" in text

    alone = section(page_of(held_run(defects=found_defects(compared=False)), Evidence()), "defects")
    assert "There is nothing earlier to compare with." in alone
    assert 'id="defects"' not in page_of(held_run(), Evidence())


def test_of_many_detectors_the_amplifiers_that_changed_most_are_shown() -> None:
    text = section(page_of(held_run(defects=found_defects(189)), Evidence()), "defects")
    assert f"The 64 amplifiers that changed most; the other {188 * 16 - 48} are in the run's JSON." in text
    rows = text.partition("Lost")[2].split()
    assert rows[:3] == ["188", "C00", "1000"]


def test_held_defects_say_what_to_do() -> None:
    reason = "GAINED (1); the first: detector 0 C00: 6000 of its 1000000 pixels were gained"
    stages = (
        StageResult(stage("generate DEFECTS"), Outcome.HELD, reason),
        StageResult(stage("certify DEFECTS"), Outcome.SKIPPED, f"generate DEFECTS ended HELD: {reason}"),
    )
    report = held_run(stages=stages, verdicts={}, config={}, defects=found_defects())
    assert [(each.name, each.word, each.text) for each in products(report)] == [("DEFECTS", "held", reason)]
    assert "write 'do_verify: false' when you resume" in next_steps(report)[0]


def test_a_certification_of_defects_shows_what_it_is_based_on() -> None:
    certification = Certification("defects", "u/ocps/d4", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
    judgement = Judgement((), passed=True, compared=True)
    proof = dataclasses.replace(
        PROOF,
        subject=subject("DEFECTS"),
        certification=certification,
        verification=None,
        judgement=judgement,
        defects=found_defects(),
    )
    document = page_of(held_run(certifications=(certification,), proofs=(proof,)), Evidence())
    found = "300 boxes, 0.10% of the pixels (16000); 320 gained, 48 lost"
    assert f"<td><span>against LATISS/calib/defects/20220101: {found}</span></td>" in cells(document)


def test_jobs_logs_collections_thresholds_and_configuration_are_there() -> None:
    document = page_of(held_run(repeats=("generate BIAS: lost; submitted again",)), evidence_of())
    for text in (
        "u/ocps/a1",
        "/uws/b2/ocps.log",
        "Nothing was certified.",
        "/state/20261123T180000-1.journal.json",
        "Done again: generate BIAS: lost; submitted again",
        "pipeline_generation",
        str(FIRST + 2),
    ):
        assert text in document
    row = "exposures that fail, of 3 \u2717 3 3"
    assert row in " ".join(section(document, "thresholds").split())


# How it is made


@pytest.mark.parametrize(
    "report", [held_run(), passed_run(), RunReport(state=RunState.FAILED, reason="no light")]
)
def test_nothing_is_fetched_and_nothing_runs(report: RunReport) -> None:
    document = page_of(report, evidence_of())
    elements = Elements(document)
    for tag, name, value in elements.attributes:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert value.startswith(("#", "data:image/png;base64,")), (tag, name, value[:60])
    for target in re.findall(r"url\(([^)]*)\)", document):
        assert target.strip("'\"").startswith(("#", "data:"))
    assert "@import" not in document
    assert "://" not in document


def test_every_picture_has_words_and_headings_are_in_order() -> None:
    elements = Elements(page_of(held_run(), evidence_of()))
    assert all(image["alt"] for image in elements.images)
    figures = [value for tag, name, value in elements.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(figures) >= 3 and all(figures)
    assert elements.headings[0] == 1 and elements.headings.count(1) == 1
    steps = zip(elements.headings, elements.headings[1:], strict=False)
    assert all(following <= heading + 1 for heading, following in steps)


def test_text_from_elsewhere_stays_text() -> None:
    trap = "<script>alert(1)</script>$x_"
    report = held_run(
        reason=trap,
        state=RunState.FAILED,
        notices=(trap,),
        config={"note": trap},
        timeline=(Span(stage("expose BIAS"), 1.0, 2.0, trap),),
    )
    assert "script" not in {
        tag for tag, _, _ in Elements(page_of(report, Evidence(notes=(trap,)))).attributes
    }
    assert "<script" not in page_of(report, Evidence(notes=(trap,)))


@pytest.mark.parametrize("args", [["plan", "--json"], ["schema"]])
def test_quick_commands_draw_nothing(args: list[str]) -> None:
    code = (
        "import sys, lsst.ts.calibrationscripts.report\n"
        "from lsst.ts.calibrationscripts.cli import main\n"
        f"main({args!r}, standalone_mode=False)\n"
        "heavy = {'matplotlib', 'jinja2', 'PIL', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_the_same_run_gives_the_same_page() -> None:
    assert page_of(held_run(), evidence_of()) == page_of(held_run(), evidence_of())


def test_the_daily_default_stays_small() -> None:
    evidence = evidence_of(subjects=(BIAS, DARK, FLAT), n_exposures=22)
    assert len(page_of(held_run(), evidence)) < 5_000_000
    assert len(json.dumps(to_json(evidence))) < 5_000_000


@pytest.mark.slow
def test_189_detectors_stay_below_20_megabytes() -> None:
    # Given LSSTCam, three types of 20 exposures, failures everywhere
    lsstcam = INSTRUMENTS["LSSTCam"]
    lsstcam = dataclasses.replace(lsstcam, detectors=lsstcam.detectors[:189])
    subjects = (BIAS, DARK, FLAT)
    evidence = evidence_of(lsstcam, subjects, n_exposures=20)
    found = [f"{d.name} {amplifier} NOISE" for d in lsstcam.detectors for amplifier in AMPLIFIERS]
    statistics = run_statistics({FIRST + i: found for i in range(20)})
    gains = tuple(
        Gain((pair, pair + 1), 5.0, d.id, amplifier, 1.2, 7.0, reference=1.2)
        for pair in range(0, 20, 2)
        for d in lsstcam.detectors
        for amplifier in AMPLIFIERS
    )
    report = held_run(
        verdicts={each: judge(statistics, each, n_detectors=189) for each in subjects}, gains=gains
    )
    document = page_of(report, evidence)
    assert len(document) < 20_000_000
    assert len(json.dumps(to_json(evidence))) < 20_000_000


def test_limits_are_those_of_cp_verify() -> None:
    # Given an amplifier of nominal noise 10
    places = (Place(0, "RXX_S00", "C00"),)
    values = {"MEAN": ((0.0,), (1.0,)), "NOISE": ((9.0,), (10.0,))}
    bias = Statistics(BIAS, "ADU", (1, 2), places, values, nominal_noise=(10.0,))
    noise, mean = bias.panels()
    # Then noise lies within 5 % of it, and the mean below the noise
    assert noise.limits == (Limits(9.5, 10.5),) and mean.limits == (Limits(-9.0, 9.0),)
    # but noise may be too low since 2023, and what is not known has no limit
    assert dataclasses.replace(bias, two_sided=False).noise_limits() == (Limits(None, 10.5),)
    assert dataclasses.replace(bias, nominal_noise=()).noise_limits() == (Limits(None, None),)
    # and a flat has no more than shot noise
    flat = Statistics(subject("FLAT SDSSr"), "ADU", (1,), places, {"MEAN": ((400.0,),), "NOISE": ((10.0,),)})
    assert flat.panels()[0].rows == ((0.5,),) and flat.panels()[0].limits == (Limits(None, 1.0),)


def test_evidence_survives_json() -> None:
    evidence = dataclasses.replace(evidence_of(), notes=("something",))
    data = json.loads(json.dumps(to_json(evidence), allow_nan=False))
    assert from_json(data, Evidence) == evidence


# What is read from the Butler


class VerifiedRun:
    """A repository in which three biases were combined and verified."""

    def __init__(self, folder: Path) -> None:
        from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrTask
        from lsst.ts.calibrationscripts.simulation.tasks.verify import VerifyReadNoiseTask

        self.repo = str(folder / "repo")
        create_repository(folder / "repo", LATISS, scale=16)
        ccd = read_focal_plane(folder / "repo", LATISS).ccds[0]
        self.exposures = []
        for i in range(FAILED_FRAMES):
            begin = Time(datetime.datetime(2026, 11, 23, 18, 0, 10 * i), scale="tai")
            header = RawHeader(LATISS, f"AT_O_20261123_{i + 1:06d}", "BIAS", 0.0, begin, begin)
            path = folder / f"{i}.fits"
            write_raw(path, ccd.expose("BIAS", 0.0, FIRST + i, "empty_1~empty_1"), header, ccd)
            self.exposures.append(ingest_raw(folder / "repo", path, LATISS))
        with Butler.from_config(self.repo, writeable=True) as butler:
            bias = butler.get("bias", instrument="LATISS", detector=0, collections="LATISS/calib/reference")
            isr = IsrTask(config=_only_bias(IsrTask.ConfigClass()))
            verified: dict[str, Any] = {"verifyBiasProc": {}, "verifyBiasDetStats": {}}
            for exposure in self.exposures:
                raw = butler.get(
                    "raw", instrument="LATISS", detector=0, exposure=exposure, collections="LATISS/raw/all"
                )
                corrected = isr.run(raw, bias=bias).outputExposure
                verified["verifyBiasProc"][exposure] = corrected
                verified["verifyBiasDetStats"][exposure] = VerifyReadNoiseTask().run(corrected).outputStats
            _put(butler, "a1", "bias", {"instrument", "detector"}, "CcdExposure", {None: bias})
            per_exposure = {"instrument", "detector", "exposure"}
            _put(butler, "b2", "verifyBiasProc", per_exposure, "CcdExposure", verified["verifyBiasProc"])
            _put(
                butler,
                "b2",
                "verifyBiasDetStats",
                per_exposure,
                "StructuredDataDict",
                verified["verifyBiasDetStats"],
            )
            curve = PhotonTransferCurve(ptcFitType="FLATPAIR", gain={"C00": 1.2, "C01": float("nan")})
            _put(butler, "c3", "cpPtcExtract", per_exposure, "CcdPhotonTransferCurve", {FIRST: curve})
            for job, cp_pipe in (("a1", "g1a2b+0f"), ("b2", "gf00d+7a")):
                packages = Packages({"cp_pipe": cp_pipe, "daf_butler": "30.0.3", "numpy": "2.2.6"})
                _put(butler, job, "packages", set(), "Packages", {None: packages})
        self.report = held_run(exposures={"BIAS": tuple(self.exposures)}, verdicts={})
        self.statistics = verified["verifyBiasDetStats"]


def _only_bias(config: Any) -> Any:
    config.doDark = config.doFlat = config.doDefect = False
    return config


def _put(
    butler: Butler, job: str, name: str, dimensions: set[str], storage: str, items: dict[Any, Any]
) -> None:
    """Store what a job made, in a chain as the OCPS names it."""
    chain, run = f"u/ocps/{job}", f"u/ocps/{job}/run"
    butler.registry.registerDatasetType(
        DatasetType(name, dimensions, storage, universe=butler.dimensions, isCalibration=name == "bias")
    )
    butler.collections.register(run)
    butler.collections.register(chain, CollectionType.CHAINED)
    butler.collections.redefine_chain(chain, [run, "LATISS/calib/reference"])
    for exposure, item in items.items():
        data_id = {"instrument": "LATISS", "detector": 0} | ({"exposure": exposure} if exposure else {})
        butler.put(item, name, data_id if dimensions else {}, run=run)


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifiedRun]:
    yield VerifiedRun(tmp_path_factory.mktemp("verified"))


def test_statistics_limits_and_levels_come_from_the_butler(verified: VerifiedRun) -> None:
    evidence = gather(verified.report, verified.repo)
    assert evidence.notes == ()
    bias = evidence.of(BIAS)
    assert bias is not None
    assert bias.exposures == tuple(verified.exposures) and len(bias.places) == 16
    measured = verified.statistics[FIRST]["AMP"]["C03"]["NOISE"]
    place = bias.places.index(Place(0, "RXX_S00", "C03"))
    assert bias.values["NOISE"][0][place] == pytest.approx(measured)
    # The limits are those that the pipeline held it against
    for i, exposure in enumerate(bias.exposures):
        for where, limit, noise in zip(
            bias.places, bias.noise_limits(), bias.values["NOISE"][i], strict=True
        ):
            assert noise is not None
            decided = verified.statistics[exposure]["VERIFY"]["AMP"][where.amplifier]["NOISE"]
            assert limit.hold(noise) == decided
    assert all(level is not None and level > 500 for level in bias.level)


def test_the_combined_image_is_small_and_stretched(verified: VerifiedRun) -> None:
    from PIL import Image

    (thumbnail,) = gather(verified.report, verified.repo).thumbnails
    assert (thumbnail.dataset_type, thumbnail.detector, thumbnail.reference) == ("bias", "RXX_S00", False)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail.png))) as picture:
        assert picture.size == (thumbnail.width, thumbnail.height) and picture.width <= 256
        darkest, brightest = picture.getextrema()
    assert (darkest, brightest) == (0, 255)


def test_external_verification_shows_the_reference(verified: VerifiedRun) -> None:
    stages = tuple(result for result in verified.report.stages if result.name != "generate BIAS")
    config = {"input_collections_verify_bias": "LATISS/calib"}
    (thumbnail,) = gather(
        dataclasses.replace(verified.report, stages=stages, config=config), verified.repo
    ).thumbnails
    assert thumbnail.reference


def test_what_cannot_be_read_is_told_and_spoils_nothing(verified: VerifiedRun, tmp_path: Path) -> None:
    elsewhere = gather(verified.report, str(tmp_path / "nothing"))
    assert len(elsewhere.notes) == 1 and "could not be read" in elsewhere.notes[0]
    lost = StageResult(stage("verify BIAS"), Outcome.HELD, collection="u/ocps/gone")
    partly = gather(dataclasses.replace(verified.report, stages=(lost,)), verified.repo)
    assert any("BIAS statistics could not be read" in note for note in partly.notes)


def test_limits_that_did_not_decide_are_not_shown(verified: VerifiedRun) -> None:
    # Given the other generation, whose limit of the noise has one side
    report = dataclasses.replace(verified.report, config={"pipeline_generation": "procedure"})
    stored = verified.statistics[FIRST]["VERIFY"]["AMP"]["C00"]["NOISE"]
    with Butler.from_config(verified.repo, writeable=True) as butler:
        entry = json.loads(json.dumps(verified.statistics[FIRST]))
        entry["VERIFY"]["AMP"]["C00"]["NOISE"] = not stored
        _put(
            butler,
            "d4",
            "verifyBiasDetStats",
            {"instrument", "detector", "exposure"},
            "StructuredDataDict",
            {FIRST: entry},
        )
        image = butler.get(
            "verifyBiasProc", instrument="LATISS", detector=0, exposure=FIRST, collections="u/ocps/b2/run"
        )
        _put(
            butler,
            "d4",
            "verifyBiasProc",
            {"instrument", "detector", "exposure"},
            "CcdExposure",
            {FIRST: image},
        )
    result = StageResult(stage("verify BIAS"), Outcome.HELD, collection="u/ocps/d4")
    evidence = gather(dataclasses.replace(report, stages=(result,)), verified.repo)
    (bias,) = evidence.statistics
    assert bias.nominal_noise == ()
    assert "the limits of the noise are not shown" in evidence.notes[0]


def test_versions_are_those_that_the_jobs_have_used(verified: VerifiedRun) -> None:
    # Given jobs that ran with other pipelines than those where the script is
    report = dataclasses.replace(
        verified.report, versions={"ts_calibrationscripts": "1.4.0", "cp_pipe": "elsewhere"}
    )
    # When the page is made
    evidence = gather(report, verified.repo)
    page = run_page(RunDocument(report, evidence))
    # Then it has what each job has left in its output run
    assert evidence.versions == {
        "cp_pipe": "g1a2b+0f (generate BIAS); gf00d+7a (verify BIAS)",
        "daf_butler": "30.0.3",
    }
    assert "<dd>ts_calibrationscripts 1.4.0</dd>" in page and "elsewhere" not in page
    assert "<dd>cp_pipe g1a2b+0f (generate BIAS); gf00d+7a (verify BIAS), daf_butler 30.0.3</dd>" in page
    # and jobs that have left nothing spoil nothing
    lost = StageResult(stage("verify BIAS"), Outcome.HELD, job_id="c3", collection="u/ocps/gone")
    assert gather(dataclasses.replace(report, stages=(lost,)), verified.repo).versions == {}


def test_no_time_leaves_out_what_is_slow(verified: VerifiedRun) -> None:
    evidence = gather(verified.report, verified.repo, time_limit=0.0)
    assert evidence.statistics[0].exposures == (FIRST,)
    assert any("1 of 3 exposures are shown" in note for note in evidence.notes)


# Files


def test_page_and_json_are_written_and_made_again(verified: VerifiedRun, tmp_path: Path) -> None:
    written = write_report(verified.report, verified.repo, tmp_path / "journal")
    assert written.page.name == "20261123T180000-1.html"
    document = written.page.read_text()
    data = json.loads(written.json.read_text())
    assert "data:image/png" in document and data["evidence"]["statistics"]
    # No half-written file is left, and a journal beside it is no run
    (tmp_path / "journal" / "20261123T180000-1.journal.json").write_text("{}")
    assert [file for file, _ in documents_in(tmp_path / "journal")] == [written.json]
    # The command makes the same page of the JSON alone, and with the Butler
    again = tmp_path / "again.html"
    assert calibscripts("report", written.json, "-o", again).exit_code == 0
    assert again.read_text() == document
    assert calibscripts("report", written.json, "-o", again, "--repo", verified.repo).exit_code == 0
    assert again.read_text() == document


def test_a_repository_that_is_gone_still_leaves_a_page(tmp_path: Path) -> None:
    written = write_report(held_run(), str(tmp_path / "gone"), tmp_path)
    assert "3 of 3 exposures fail NOISE" in written.page.read_text()
    assert "could not be read" in written.page.read_text()


def calibscripts(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.mark.parametrize("text", ["", "n_bias: 3", "[]", "{}", '{"state": "DONE"}', "3", '{"state": {}}'])
def test_what_is_no_runs_json_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    result = calibscripts("report", file, "-o", tmp_path / "run.html")
    assert result.exit_code == 2
    assert "JSON" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run.html").exists()


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(to_json(held_run())))
    result = calibscripts("report", file, "-o", tmp_path / "none" / "run.html")
    assert result.exit_code == 1 and "cannot be written" in result.stderr


def test_the_butlers_own_history_has_noise_level_and_gain(verified: VerifiedRun) -> None:
    runs = {run.name: run for run in read_history(verified.repo, "LATISS")}
    noise, gain = runs["u/ocps/b2/run"], runs["u/ocps/c3/run"]
    assert len(noise.values) == 32
    alike = "external verification, 3 frames, generation 2022"
    assert Key(READ_NOISE, "ADU", 0, "C00", alike) in noise.values
    assert Key(BIAS_LEVEL, "ADU", 0, "C00") in noise.values
    # A gain that could not be measured has no place in it
    alike = "empty_1~empty_1, 1 pair(s), generation 2022"
    assert gain.values == {Key(GAIN, "e-/ADU", 0, "C00", alike): 1.2}
    assert Time(noise.time, format="unix_tai").isot.startswith("2026-11-23T18:00:00")
    # What the run's own JSON tells is not told twice
    assert "u/ocps/b2/run" not in {run.name for run in read_history(verified.repo, "LATISS", ["u/ocps/b2"])}
