# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator reads."""

from __future__ import annotations

from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
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
from lsst.ts.calibrationscripts.pipelines import StatisticsKey
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.report import RunReport, defects_text, gains_text, summary_text, verdict_text
from lsst.ts.calibrationscripts.verification import judge
from named import stage
from test_verification import AMPLIFIERS, failures, run_statistics


def test_a_failed_bias_reads_as_in_the_procedure() -> None:
    # Given the procedure's failing example
    first = failures("NOISE") + failures("CR_NOISE", AMPLIFIERS[:8]) + failures("MEAN", AMPLIFIERS[:5])
    other = [*failures("NOISE"), "RXX_S00 C05 CR_NOISE"]
    statistics = run_statistics({2022092900001: first, 2022092900002: other, 2022092900003: other})
    text = verdict_text(
        judge(statistics, Subject(Product.BIAS), n_detectors=1),
        generation_collection="u/ocps/329cb5f2f9ab4e1ebacf1577435d2eed",
        verification_collection="u/ocps/5579591802f0470e88b7cdf6add8e1bf",
    )
    # Then the facts are those that the procedure shows
    assert text.startswith("BIAS calibration failed verification and will not be certified.\n")
    lines = [line.strip() for line in text.splitlines()]
    assert "2022092900001  2022092900002  2022092900003" in lines
    assert lines[lines.index("Exposure ID:  2022092900001") + 1 :][:3] == [
        "CR_NOISE: 8",
        "MEAN: 5",
        "NOISE: 16",
    ]
    # and exposures that are alike are told of once
    assert lines[lines.index("Exposure IDs:  2022092900002  2022092900003") + 1 :][:2] == [
        "CR_NOISE: 1",
        "NOISE: 16",
    ]
    assert "RXX_S00 C05 CR_NOISE" in lines
    for amplifier in AMPLIFIERS:
        assert f"RXX_S00 {amplifier} NOISE" in text
    for line in (
        "Acceptable maximum number of failures per detector per test type: 8",
        "Acceptable maximum number of failed detectors: 1",
        "Acceptable maximum number of failed tests per exposure: 8",
        "Acceptable maximum number of failed exposures: 3",
        "Final number of exposures that failed verification: 3",
        "Generation collection: u/ocps/329cb5f2f9ab4e1ebacf1577435d2eed",
        "Verification collection: u/ocps/5579591802f0470e88b7cdf6add8e1bf",
    ):
        assert line in lines


def test_a_pass_with_failures_says_both() -> None:
    statistics = run_statistics(
        {1: failures("CR_NOISE", AMPLIFIERS[:6]), **{exposure: [] for exposure in range(2, 21)}}
    )
    verdict = judge(statistics, Subject(Product.BIAS), n_detectors=1)
    text = verdict_text(verdict, generation_collection="u/ocps/a", verification_collection="u/ocps/b")
    assert " ".join(text.split()).startswith(
        "BIAS calibration passed the overall verification criteria and will be certified, "
        "but there are tests that did not pass:"
    )
    assert "No failures in the other 19 of 20 exposures." in text
    assert len(text.splitlines()) < 27


def test_nothing_is_called_certified_where_nothing_was_generated() -> None:
    for found in ([], failures("NOISE")):
        verdict = judge(run_statistics({1: found}), Subject(Product.FLAT), n_detectors=1)
        assert "certified" not in verdict_text(verdict, verification_collection="u/ocps/b")


def test_189_detectors_stay_readable() -> None:
    # Given LSSTCam with a bad detector, and a test that fails everywhere
    names = [each.name for each in INSTRUMENTS["LSSTCam"].detectors if each.ccd.purpose == "SCIENCE"]
    found = [f"{name} {amplifier} NOISE" for name in names for amplifier in AMPLIFIERS]
    found += [f"R22_S11 {amplifier} MEAN" for amplifier in AMPLIFIERS]
    statistics = run_statistics({exposure: found[: len(found) - exposure] for exposure in range(1, 21)})
    text = verdict_text(
        judge(statistics, Subject(Product.BIAS), n_detectors=189), verification_collection="u/ocps/b"
    )
    # Then it is counted, not listed
    assert "NOISE: 3024 in 189 detector(s), most in:" in text
    assert "and 181 more" in text
    assert len(text.splitlines()) < 270
    assert max(map(len, text.splitlines())) <= 80


def test_gains_are_told_per_pair_detector_and_amplifier() -> None:
    gains = tuple(
        Gain(pair, 5.0, 0, amplifier, 1.1 + i / 100, 7.0)
        for pair in ((11, 12), (13, 14))
        for i, amplifier in enumerate(AMPLIFIERS)
    )
    text = gains_text(gains)
    assert "Exposures 11 and 12, 5 s each" in text
    assert text.count("Detector 0, median 1.175") == 2
    assert "C00: 1.100  C01: 1.110" in text


def test_the_spread_over_pairs_and_the_difference_to_the_reference_are_told() -> None:
    gains = tuple(
        Gain(pair, 5.0, 0, "C00", gain, 7.0, reference=1.0) for pair, gain in (((1, 2), 1.0), ((3, 4), 1.1))
    )
    text = gains_text(gains)
    assert "Mean of 2 pair(s), +- their spread, and its difference to the reference ptc" in text
    assert "C00: 1.050 +- 0.071 (+5.0%)" in text


def test_a_pair_that_gives_no_gain_is_told_as_such() -> None:
    text = gains_text(
        (Gain((1, 2), 60.0, 0, "C00", None, 7.0), Gain((3, 4), 5.0, 0, "C00", 1.1, 7.0, reference=1.0))
    )
    assert "Detector 0, none could be measured" in text
    assert "C00: none" in text
    assert "C00: 1.100 (+10.0%)" in text


def test_defects_are_reported_with_what_changed() -> None:
    amplifiers = (AmplifierDefects("C00", 9000, 20, gained=5, lost=1), AmplifierDefects("C01", 1000, 10))
    before = PreviousDefects("4c1a", "LATISS/calib/defects/20220101", 11)
    text = defects_text((DetectorDefects(0, "9b1d", 12, amplifiers, before),))
    assert "Detector 0, 12 boxes, 0.30% of the pixels (30); 5 gained, 1 lost" in text
    assert "Compared with 11 boxes from LATISS/calib/defects/20220101" in text
    assert "C00: 20 (+5 -1)  C01: 10" in text
    alone = defects_text((DetectorDefects(0, "9b1d", 12, amplifiers),))
    assert "Compared" not in alone and "gained" not in alone


def test_a_ptc_that_failed_is_told_as_a_whole() -> None:
    found = [f"C{k:02o} PTC_GAIN" for k in range(16)]
    verdict = judge(
        {"RXX_S00": {"SUCCESS": False, "FAILURES": found}, "SUCCESS": False},
        Subject(Product.PTC),
        n_detectors=1,
        key=StatisticsKey.DETECTOR,
    )
    text = verdict_text(verdict, generation_collection="u/ocps/a", verification_collection="u/ocps/b")
    assert text.startswith("PTC failed verification.")
    assert "RXX_S00 C00 PTC_GAIN" in text
    assert "xposure" not in text.replace("per exposure, detector", "")


def test_the_summary_tells_how_each_stage_ended_and_where_to_look() -> None:
    report = RunReport(
        state=RunState.DONE,
        stages=(
            StageResult(
                stage("generate BIAS"), Outcome.PASSED, job_id="a", collection="u/ocps/a", log="/log/a"
            ),
            StageResult(
                stage("verify BIAS"), Outcome.HELD, "3 of 3", job_id="b", collection="u/ocps/b", log="/log/b"
            ),
        ),
        config={"generate_calibrations": True},
    )
    text = summary_text(report)
    assert "Not everything passed: 1 HELD." in text
    assert "verify BIAS    HELD       3 of 3; u/ocps/b; log /log/b" in text
    assert "/log/a" not in text
    assert "Nothing was certified." in text


def test_the_summary_names_what_was_certified() -> None:
    certification = Certification("bias", "u/ocps/a", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
    report = RunReport(
        state=RunState.DONE,
        stages=(StageResult(stage("certify BIAS"), Outcome.CERTIFIED),),
        certifications=(certification,),
        config={"generate_calibrations": True},
    )
    assert " ".join(summary_text(report).split()).endswith(
        "Certified: bias from u/ocps/a into LATISS/calib/daily, valid 2026-11-23 to 2026-11-24."
    )
