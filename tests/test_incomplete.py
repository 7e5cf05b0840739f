# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bad detector of nine: all is held, or the rest is certified.

In both cases the detector is named with its cause, and counted.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.butler._certifying import advice_by_hand
from lsst.ts.calibrationscripts.codec import from_json, read_record, to_json
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCOMCAM
from lsst.ts.calibrationscripts.outcomes import BadDetector, Cause, Outcome, StageResult, bad_detectors_text
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.proof import NotProvenError, Proof, prove
from lsst.ts.calibrationscripts.record import Decision, DecisionKind
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, conclusion, next_steps, summary_text
from named import BIAS, DARK, stage
from test_resume import outcomes, raise_at, run
from world import World

TEXT = (
    "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15, "
    "incomplete: %s}"
)
HOLD, REST = TEXT % "hold", TEXT % "certify_rest"
ALL = LSSTCOMCAM.detector_ids()
BAD = 4
NAME = LSSTCOMCAM.detectors[BAD].name
OTHERS = tuple(detector for detector in ALL if detector != BAD)


def comcam(**changes: Any) -> World:
    return World(instrument=LSSTCOMCAM, **changes)


def result(report: RunReport, name: str) -> StageResult:
    return next(each for each in report.stages if each.name == name)


def bad(found: StageResult) -> list[tuple[int, str, Cause]]:
    return [(each.detector, each.name, each.cause) for each in found.bad_detectors]


KINDS = {
    # A frame that never came of one detector
    "a frame lost": (
        {"not_ingested": {BAD: {"BIAS 3/4, 0 s"}}},
        "expose BIAS",
        Cause.NOT_INGESTED,
        Outcome.FAILED,
    ),
    "all frames lost": (
        {"not_ingested": {BAD: {f"BIAS {i}/4, 0 s" for i in range(1, 5)}}},
        "expose BIAS",
        Cause.NOT_INGESTED,
        Outcome.FAILED,
    ),
    # A job that makes nothing of it, and says so or not
    "not made": ({"not_processed": {"cpBias": {BAD}}}, "generate BIAS", Cause.NOT_MADE, Outcome.FAILED),
    "job failed": (
        {"not_processed": {"cpBias": {BAD}}, "exit_codes": {"cpBias": 1}},
        "generate BIAS",
        Cause.NOT_MADE,
        Outcome.FAILED,
    ),
    "not verified": (
        {"not_processed": {"verifyBias": {BAD}}},
        "verify BIAS",
        Cause.NOT_VERIFIED,
        Outcome.FAILED,
    ),
    # A job whose steps for all detectors, as the normalization of flats and
    # the merge of statistics, are not done once a quantum of one has failed:
    # pipe_base 9ee302d8, mp_graph_executor.py
    "job blocked": ({"blocked": {"cpBias": {BAD}}}, "generate BIAS", Cause.NOT_MADE, Outcome.FAILED),
    "verification blocked": (
        {"blocked": {"verifyBias": {BAD}}},
        "verify BIAS",
        Cause.NOT_VERIFIED,
        Outcome.FAILED,
    ),
    # Verification that fails for it alone: its run would pass by majority
    "noisy": ({"noisy": {"BIAS": {BAD}}}, "verify BIAS", Cause.FAILED, Outcome.HELD),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def faults_of(kind: str) -> dict[str, Any]:
    return KINDS[kind][0]


@kinds
def test_a_bad_detector_holds_the_product_and_is_named_with_the_remedy(kind: str) -> None:
    faults, where, cause, outcome = KINDS[kind]
    world = comcam(**faults)
    report = run(world, HOLD)
    # Then nothing is certified, for a reason that names it and what to do
    found = result(report, where)
    assert found.outcome is outcome and bad(found) == [(BAD, NAME, cause)]
    assert f"1 of 9 detectors: {NAME}" in found.reason
    assert "'incomplete: certify_rest'" in found.reason
    assert not world.certified and not report.complete
    assert outcomes(report)["certify BIAS"] is Outcome.SKIPPED
    (step, *_) = next_steps(report)
    assert f"1 of 9 detectors: {NAME}" in step and "{resume: run, incomplete: certify_rest}" in step
    # And the log says so too
    assert any(NAME in text for kind_of_log, text in world.log if kind_of_log in ("error", "warning"))


@kinds
def test_the_rest_is_certified_down_the_chain_where_the_observer_wants_it(kind: str) -> None:
    faults, where, cause, _ = KINDS[kind]
    world = comcam(**faults)
    report = run(world, REST)
    # Then bias and dark are certified for the others, with proof of each
    assert outcomes(report)["certify BIAS"] is outcomes(report)["certify DARK"] is Outcome.CERTIFIED
    for proof in world.proofs:
        assert proof.detectors == OTHERS
        assert [(each.detector, each.cause, each.stage) for each in proof.left_out] == [(BAD, cause, where)]
        assert [verdict.n_detectors for verdict in proof.verdicts] == [8]
    # And no job for darks is about the bad one
    assert world.requests["cpDark"].detectors == world.requests["verifyDark"].detectors == OTHERS
    assert len(world.requests["cpDark"].products) == len(OTHERS)
    # And the run is not a plain pass
    assert bad(result(report, "certify DARK")) == [(BAD, NAME, cause)]
    assert f"without 1 of 9 detectors: {NAME}" in result(report, "certify BIAS").reason
    assert not report.complete
    assert next_steps(report) == (
        f"Left out: 1 of 9 detectors: {NAME}. Once the cause is fixed, a run with 'detectors: [{BAD}]' in "
        "place of 'incomplete' makes what is missing, from the same frames if 'exposures' names them.",
    )
    assert conclusion(report) == (
        f"Everything passed, but not for all detectors: {NAME} is left out (incomplete: certify_rest)"
    )


def test_a_job_that_one_detector_has_blocked_is_run_once_more_without_it() -> None:
    world = comcam(blocked={"cpBias": {BAD}, "verifyDark": {BAD, 7}})
    report = run(world, REST)
    # Then the first jobs were given all, and the next the others
    assert world.requests["cpBias"].detectors == ALL
    assert world.requests["cpBias-2"].detectors == world.requests["verifyDark"].detectors == OTHERS
    assert world.requests["verifyDark-2"].detectors == tuple(each for each in OTHERS if each != 7)
    assert "verifyDark-3" not in world.requests
    # And it is said that, and why
    (text, _) = report.repeats
    assert text.startswith("generate BIAS: its job made nothing; submitted again without 1 of 9 detectors")
    # And the next session does nothing again
    n_jobs = len(world.requests)
    again = run(world, REST, resume=True)
    assert len(world.requests) == n_jobs
    assert outcomes(again)["certify DARK"] is Outcome.CERTIFIED


def test_a_job_that_was_cut_off_is_not_the_fault_of_detectors() -> None:
    # Given a job that has failed before it got to five of nine
    world = comcam(blocked={"cpBias": set(ALL[4:])})
    found = result(run(world, REST), "generate BIAS")
    assert found.outcome is Outcome.FAILED
    assert "From 5 bad detectors on nothing is certified for the rest" in found.reason
    assert "cpBias-2" not in world.requests


def test_a_bad_detector_that_the_job_has_made_is_withheld() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    run(world, REST)
    proof = next(proof for proof in world.proofs if proof.subject == BIAS)
    assert [each.detector for each in proof.withheld] == [BAD]
    # What was verified is what is certified and what is withheld
    assert proof.verification is not None
    assert sorted(proof.verification.request.products) == sorted(
        each.id for each in (*proof.datasets, *proof.withheld)
    )


def test_a_detector_that_fails_later_is_left_out_from_there_on() -> None:
    world = comcam(noisy={"BIAS": {1}, "DARK": {7}})
    report = run(world, REST)
    by_subject = {proof.subject: proof for proof in world.proofs}
    assert by_subject[BIAS].detectors == tuple(each for each in ALL if each != 1)
    assert by_subject[DARK].detectors == tuple(each for each in ALL if each not in (1, 7))
    assert [each.stage for each in by_subject[DARK].left_out] == ["verify BIAS", "verify DARK"]
    assert [each.detector for each in result(report, "certify DARK").bad_detectors] == [1, 7]


def test_a_majority_of_bad_detectors_is_not_the_fault_of_detectors() -> None:
    world = comcam(not_processed={"cpBias": set(ALL[:5])})
    report = run(world, REST)
    found = result(report, "generate BIAS")
    assert found.outcome is Outcome.FAILED and not world.certified
    assert "5 of 9 detectors" in found.reason
    assert "From 5 bad detectors on nothing is certified for the rest" in found.reason


def test_a_frame_that_came_for_no_detector_is_lost_as_before() -> None:
    world = comcam(not_ingested={each: {"BIAS 3/4, 0 s"} for each in ALL})
    report = run(world, REST)
    found = result(report, "expose BIAS")
    assert found.reason == "not in the Butler: exposure(s) 2026112300003"
    assert found.missing == (2026112300003,) and not found.bad_detectors


def test_a_frame_that_is_discarded_may_be_missing() -> None:
    world = comcam(not_ingested={BAD: {"BIAS 1/4, 0 s"}})
    assert run(world, HOLD).complete


def test_the_rest_is_certified_together_or_waits_for_a_person() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, REST.replace("}", ", certify: together}"))
    assert len(world.certified) == 2 and not report.complete
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, REST.replace("}", ", certify: ask}"))
    waiting = result(report, "certify BIAS")
    assert waiting.outcome is Outcome.WAITING and bad(waiting) == [(BAD, NAME, Cause.FAILED)]
    # Then its remarks name it
    assert any(
        f"without 1 of 9 detectors: {NAME}: NOISE on 16 amplifiers" in text for text in waiting.remarks
    )


FLATS = (
    "{script_mode: FLAT, n_flat: 2, exp_times_flat: 5, filter: r_03, do_verify: %s, incomplete: %s, "
    "detectors: %s}"
)


@pytest.mark.parametrize(
    ("incomplete", "outcome"), [("hold", Outcome.HELD), ("certify_rest", Outcome.PASSED)]
)
def test_a_detector_without_gains_is_bad(incomplete: str, outcome: Outcome) -> None:
    # Given two detectors, of which the first alone gives gains
    report = run(comcam(), FLATS % ("true", incomplete, [0, 1]))
    measured = result(report, "measure GAIN")
    assert measured.outcome is outcome
    assert bad(measured) == [(1, LSSTCOMCAM.detectors[1].name, Cause.FAILED)]


@pytest.mark.parametrize("incomplete", ["hold", "certify_rest"])
def test_nothing_is_judged_where_nothing_is_verified(incomplete: str) -> None:
    report = run(comcam(), FLATS % ("false", incomplete, []))
    assert result(report, "measure GAIN").outcome is Outcome.PASSED
    assert not [each for each in report.stages if each.bad_detectors]


def test_a_failure_of_the_oods_is_said_with_its_description() -> None:
    frames = {f"BIAS {i}/4, 0 s" for i in range(1, 5)}
    world = comcam(not_ingested={BAD: frames, 5: {"BIAS 2/4, 0 s"}}, refused={BAD: "status 1, disk full"})
    report = run(world, HOLD)
    assert result(report, "expose BIAS").reason.startswith(
        f"2 of 9 detectors: {NAME}: the OODS could not ingest exposures 2026112300002, 2026112300003, "
        "2026112300004: status 1, disk full; R22_S12: not in the Butler: exposure 2026112300002. With"
    )
    assert result(report, "expose BIAS").missing == (2026112300002, 2026112300003, 2026112300004)


def test_a_detector_without_the_bias_that_darks_need_is_left_out_from_the_start() -> None:
    # Given a bias of an earlier run that one detector lacks
    text = "{script_mode: DARK, generate_calibrations: true, n_dark: 3, exp_times_dark: 15, incomplete: %s}"
    world = comcam(unavailable=frozenset({"bias"}))
    report = run(world, text % "hold")
    # Then no frame is taken, and the remedy is said
    assert not world.taken and "bias: none for detector 0 in" in report.reason
    assert "or write incomplete: certify_rest to go on with the other detectors" in report.reason
    # When the rest is wanted
    report = run(world, text % "certify_rest")
    # Then the darks are those of the others
    first = LSSTCOMCAM.detectors[0].name
    assert bad(result(report, "certify DARK")) == [(0, first, Cause.NO_CALIBRATION)]
    assert world.proofs[0].detectors == ALL[1:] == world.requests["cpDark"].detectors
    assert f"without 1 of 9 detectors: {first}: no bias is valid for its frames" in report.stages[0].reason


def test_no_command_is_proposed_that_would_certify_the_bad_one() -> None:
    assert "butler certify-calibrations" in advice_by_hand("/repo", [dataclasses.replace(PROOF, left_out=())])
    assert advice_by_hand("/repo", [PROOF]).startswith("To certify later, resume the run")


# Resumed


@kinds
def test_a_run_that_is_held_is_resumed_with_the_rest(kind: str) -> None:
    world = comcam(**KINDS[kind][0])
    run(world, HOLD)
    requests = set(world.requests)
    n_taken = len(world.taken)
    report = run(world, REST, resume=True)
    assert outcomes(report)["certify DARK"] is Outcome.CERTIFIED
    assert [proof.detectors for proof in world.proofs] == [OTHERS, OTHERS]
    # And what exists is not made again
    assert not [label for label in world.taken[n_taken:] if label.startswith("BIAS")]
    again = [job for job in world.requests if "-" in job]
    assert requests <= set(world.requests) and (not again or "blocked" in faults_of(kind))
    assert all(world.requests[job].detectors in (ALL, OTHERS) for job in again)


@kinds
def test_a_resumed_run_leaves_the_same_detectors_out_and_repeats_nothing(kind: str) -> None:
    faults, *_ = KINDS[kind]
    world = comcam(**faults, on_event=raise_at("submitting cpDark", OSError("the process ends")))
    run(world, REST)
    requests = set(world.requests)
    # Given that the frame, or the product, comes after all
    world.not_ingested = {}
    world.on_event = None
    report = run(world, REST, resume=True)
    assert outcomes(report)["certify DARK"] is Outcome.CERTIFIED
    assert [proof.detectors for proof in world.proofs][-1] == OTHERS
    assert not {job for job in set(world.requests) - requests if "Bias" in job}


def test_a_run_that_is_resumed_without_the_bad_one_is_about_the_others() -> None:
    world = comcam(**KINDS["not made"][0])
    run(world, REST)
    text = REST.replace("}", f", detectors: {list(OTHERS)}, certify_calib_end_date: '2049-01-01'}}")
    report = run(world, text, resume=True)
    assert report.complete and not world.proofs[-1].left_out


@pytest.mark.parametrize("incomplete", ["hold", "certify_rest"])
def test_leaving_out_the_frame_that_never_came_gives_the_detector_back(incomplete: str) -> None:
    # Given a frame that one detector lacks, in a run that certified nothing
    text = (TEXT % incomplete).replace("n_bias: 3", "n_bias: 4").replace("}", ", certify: ask%s}")
    world = comcam(not_ingested={BAD: {"BIAS 3/5, 0 s"}})
    run(world, text % "")
    # When the frame is left out, of which the others have no need either
    report = run(world, "{resume: run, without: [2026112300003]}", resume=True)
    # Then nothing is missing
    assert report.complete
    assert [proof.detectors for proof in report.waiting] == [ALL, ALL]


def test_what_a_person_accepts_is_certified_for_the_rest() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    text = REST.replace("}", ", certify: ask}")
    report = run(world, text)
    accepted = Decision(
        DecisionKind.ACCEPT,
        BIAS,
        "ann",
        1.0,
        "good enough",
        "",
        report.waiting[0].certification,
        report.waiting[0].dataset_ids,
    )
    world.journal = json.dumps(to_json(read_record(world.journal).with_decision(accepted)))
    report = run(world, text, resume=True)
    assert [proof.detectors for proof in world.proofs] == [OTHERS]
    assert result(report, "certify BIAS").reason == (
        f"without 1 of 9 detectors: {NAME}: NOISE on 16 amplifiers in 3 of 3 exposures; "
        "accepted by ann: good enough"
    )


def test_a_retaken_frame_does_not_lose_the_bad_one() -> None:
    # Given a spoilt frame, for which another is taken once the series is there
    world = comcam(**KINDS["a frame lost"][0], spoilt={"BIAS 4/4, 0 s": {"noise": 600.0}})
    report = run(world, REST.replace("}", ", spoilt_frames: exclude, retakes: 1}"))
    assert "BIAS 5/5, 0 s" in world.taken
    assert bad(result(report, "expose BIAS")) == [(BAD, NAME, Cause.NOT_INGESTED)]
    assert world.proofs[0].detectors == OTHERS


def test_a_message_is_sent_of_what_is_certified_in_part() -> None:
    world = comcam(noisy={"BIAS": {BAD}}, notifies=True)
    run(world, REST)
    titles = [title for title, _ in world.messages]
    assert titles == ["LSSTComCam BIAS: CERTIFIED in part", "LSSTComCam DARK: CERTIFIED in part"]
    assert all(NAME in text for _, text in world.messages)


def test_what_goes_on_without_a_detector_is_a_warning() -> None:
    world = comcam(**KINDS["a frame lost"][0])
    run(world, REST)
    (line,) = (each for each in world.log if each[1].startswith("expose BIAS: PASSED"))
    assert line[0] == "warning" and NAME in line[1]


def test_the_journal_and_the_report_keep_who_is_left_out() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, REST)
    record = read_record(world.journal)
    assert [each.name for each in record.result_of(stage("certify BIAS")).bad_detectors] == [NAME]  # type: ignore[union-attr]
    data = to_json(report)
    (certified,) = (each for each in data["stages"] if each["name"] == "certify BIAS")
    assert certified["bad_detectors"] == [
        {
            "raft": "R22",
            "detector": BAD,
            "name": NAME,
            "cause": "failed",
            "text": "NOISE on 16 amplifiers in 3 of 3 exposures",
            "stage": "verify BIAS",
        }
    ]
    assert from_json({k: v for k, v in data.items() if k != "format"}, RunReport) == report


def test_a_run_of_one_detector_says_nothing_of_detectors() -> None:
    world = World()
    report = run(world, HOLD)
    assert report.complete
    text = str(to_json(report))
    assert "bad_detectors" not in text and "left_out" not in text and "withheld" not in text


def test_one_detector_has_no_rest() -> None:
    with pytest.raises(ConfigurationError, match="'certify_rest': the run is about detector 0 alone"):
        parse("incomplete: certify_rest", LATISS)
    with pytest.raises(ConfigurationError, match=r"about detector 4 alone.*leave incomplete out"):
        parse("{incomplete: certify_rest, detectors: [4]}", LSSTCOMCAM)
    assert parse("{incomplete: certify_rest, detectors: [4, 5]}", LSSTCOMCAM).incomplete == "certify_rest"


# Texts


def test_many_bad_detectors_are_folded() -> None:
    many = [
        BadDetector(i, f"R{i // 9:02d}_S{i % 9:02d}", Cause.NOT_MADE, "no bias", "generate BIAS")
        for i in range(60)
    ]
    text = bad_detectors_text(many, 189)
    assert text.startswith("60 of 189 detectors: R00_S00, R00_S01, ") and text.endswith("; and 52 more")
    assert text.count("no bias") == 1


def test_the_verdict_names_the_bad_one_and_lists_nothing_of_it() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    run(world, HOLD)
    (text,) = (text for _, text in world.log if text.startswith("BIAS calibration"))
    assert text.startswith("BIAS calibration failed verification and will not be certified.\n")
    assert (
        f"1 of 9 detectors fails by itself:\n    {NAME}: NOISE on 16 amplifiers in 3 of 3 exposures" in text
    )
    assert "C00 NOISE" not in text


def test_the_verdict_of_the_rest_says_for_how_many() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, REST)
    (text,) = (text for _, text in world.log if text.startswith("BIAS calibration"))
    assert "and will be certified" in text and "for 8 of 9 detectors" in text
    assert f"certify BIAS   CERTIFIED  without 1 of 9 detectors: {NAME}" in summary_text(report)


# What is certified, and what is left out, are all


def proven() -> Proof:
    world = comcam(noisy={"BIAS": {BAD}})
    run(world, REST)
    return world.proofs[0]


PROOF = proven()


@given(left_out=st.sets(st.sampled_from(ALL)), certified=st.sets(st.sampled_from(ALL)))
def test_no_detector_is_lost_in_a_count(left_out: set[int], certified: set[int]) -> None:
    # Given any claim of what is certified and left out
    everything = {each.detector: each for each in (*PROOF.datasets, *PROOF.withheld)}
    claim = dataclasses.replace(
        PROOF,
        datasets=tuple(everything[each] for each in sorted(certified)),
        withheld=tuple(everything[each] for each in sorted(left_out)),
        left_out=tuple(
            BadDetector(each, LSSTCOMCAM.detectors[each].name, Cause.FAILED, "bad", "verify BIAS")
            for each in sorted(left_out)
        ),
        verdicts=tuple(dataclasses.replace(each, n_detectors=len(certified)) for each in PROOF.verdicts),
    )
    # Then it is proven if each detector is either of them
    right = bool(certified) and certified | left_out == set(ALL) and not certified & left_out
    if right:
        assert prove(claim, detectors=ALL, needed=(BIAS,)) is claim
    else:
        with pytest.raises(NotProvenError):
            prove(claim, detectors=ALL, needed=(BIAS,))


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"left_out": ()}, r"has bias of detectors \[0, 1, 2, 3, 5, 6, 7, 8\], not of \[0, 1, 2, 3, 4"),
        ({"withheld": ()}, "compared the frames with another bias"),
        ({"left_out": PROOF.left_out * 2}, "are left out, which are not different ones"),
        (
            {"withheld": (dataclasses.replace(PROOF.withheld[0], detector=3),)},
            "withheld of detectors that are not",
        ),
    ],
)
def test_a_proof_of_the_rest_is_as_strict(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(NotProvenError, match=fault):
        prove(dataclasses.replace(PROOF, **change), detectors=ALL, needed=(BIAS,))


def test_a_detector_that_fails_by_itself_is_not_certified() -> None:
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, HOLD)
    whole = report.verdicts[BIAS]
    assert whole.passed
    claim = dataclasses.replace(
        PROOF, verdicts=(whole,), left_out=(), withheld=(), datasets=(*PROOF.datasets, *PROOF.withheld)
    )
    with pytest.raises(NotProvenError, match=f"BIAS did not pass verification for {NAME}"):
        prove(claim, detectors=ALL, needed=(BIAS,))


@pytest.mark.parametrize(("text", "word"), [(HOLD, "held"), (REST, "certified in part")])
def test_the_page_names_the_bad_detector_and_why(text: str, word: str) -> None:
    page = run_page(RunDocument(run(comcam(noisy={"BIAS": {BAD}}), text)))
    assert word in page
    assert f"1 of 9 detectors: {NAME}: NOISE on 16 amplifiers in 3 of 3 exposures" in page
    # And nothing is said of the others
    assert "fewer than fail it" not in page
