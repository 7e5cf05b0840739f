# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is certified that was not verified.

Each test is named after what it protects. What the Butler itself has to do
for it is shown in observatory/test_repository.py; whatever happens before, in
test_proof_sequences.py.
"""

from __future__ import annotations

import dataclasses
import html
import json
from typing import Any

import pytest
from lsst.ts.calibrationscripts.codec import from_json, read_record, to_json
from lsst.ts.calibrationscripts.decertification import choose
from lsst.ts.calibrationscripts.judgement import Fault, Judgement
from lsst.ts.calibrationscripts.outcomes import Certification, DetectorDefects, Outcome, PreviousDefects
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.proof import FrameRecord, NotProvenError, ProductRecord, Proof, prove
from lsst.ts.calibrationscripts.record import JobRecord
from lsst.ts.calibrationscripts.report import RunDocument, products, summary_text
from lsst.ts.calibrationscripts.verification import judge
from named import BIAS, DARK, stage, unfolded
from test_resume import outcomes, raise_at, run
from world import FIRST_FRAME, World

FRAMES = (2026112300002, 2026112300003)
REQUEST = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), FRAMES)
MADE = JobRecord(stage("generate BIAS"), "a1", REQUEST)
VERIFIED = JobRecord(
    stage("verify BIAS"),
    "b2",
    dataclasses.replace(
        REQUEST,
        pipeline="verifyBias.yaml",
        inputs=("u/ocps/a1", "LATISS/calib"),
        products=("5f2b",),
    ),
)
CLEAN: dict[Any, Any] = {exposure: {"SUCCESS": True} for exposure in FRAMES}
FAILING = {"SUCCESS": False, "FAILURES": [f"RXX_S00 C0{i} NOISE" for i in range(8)]}
PROOF = Proof(
    BIAS,
    Certification("bias", "u/ocps/a1", "LATISS/calib/daily", "2026-11-23", "2026-11-24T12:00:00"),
    datasets=(ProductRecord("5f2b", 0, None, "u/ocps/a1/run", FIRST_FRAME + 60),),
    frames=tuple(
        FrameRecord(exposure, "BIAS", "empty~empty", FIRST_FRAME + i, FIRST_FRAME + i)
        for i, exposure in enumerate(FRAMES)
    ),
    generation=MADE,
    verification=VERIFIED,
    verdicts=(judge(CLEAN, BIAS, n_detectors=1),),
    searched=("u/ocps/a1/run", "LATISS/calib/reference"),
    verified_since=FIRST_FRAME + 90,
)


def asked(job: JobRecord, **changes: Any) -> JobRecord:
    return dataclasses.replace(job, request=dataclasses.replace(job.request, **changes))


def test_what_agrees_is_proven() -> None:
    assert prove(PROOF, detectors=(0,), needed=(BIAS,)) is PROOF
    assert PROOF.verified and PROOF.reference == "u/ocps/a1"


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"verdicts": ()}, "BIAS was not verified"),
        (
            {"verdicts": (judge(dict.fromkeys(FRAMES, FAILING), BIAS, n_detectors=1),)},
            "BIAS did not pass verification",
        ),
        ({"verdicts": (judge({FRAMES[0]: {"SUCCESS": True}}, BIAS, n_detectors=1),)}, "with all of its"),
        ({"verdicts": (judge(CLEAN | {1: {"SUCCESS": True}}, BIAS, n_detectors=1),)}, "with other frames"),
        ({"datasets": ()}, r"has bias of detectors \[\], not of \[0\]"),
        ({"datasets": (*PROOF.datasets, ProductRecord("6e", 0, None))}, r"of detectors \[0, 0\]"),
        ({"datasets": (ProductRecord("5f2b", 0, "SDSSr~empty"),)}, "is for filter SDSSr~empty"),
        ({"frames": ()}, "no frame is known"),
        ({"generation": asked(MADE, exposures=(1, 2))}, "made it with other frames"),
        (
            {
                "frames": (*PROOF.frames, PROOF.frames[0]),
                "generation": asked(MADE, exposures=(*FRAMES, FRAMES[0])),
            },
            "with a frame that is there twice: 2026112300002",
        ),
        (
            {"datasets": (dataclasses.replace(PROOF.datasets[0], id="6e01"),)},
            "job b2 compared the frames with another bias than u/ocps/a1 has now",
        ),
        (
            {"searched": ("LATISS/calib/reference",)},
            "job b2 searched LATISS/calib/reference, says the Butler, not u/ocps/a1",
        ),
        (
            {"datasets": (dataclasses.replace(PROOF.datasets[0], written=FIRST_FRAME + 91),)},
            "job b2 wrote its results from 2026-11-23T14:01:30 TAI, says the Butler, and the bias of "
            "detector 0 was written at 2026-11-23T14:01:31 TAI, not before them",
        ),
        (
            {"datasets": (dataclasses.replace(PROOF.datasets[0], written=None),)},
            "the bias of detector 0 was written at a time that is not known",
        ),
        ({"verified_since": None}, "job b2 wrote its results at a time that is not known"),
        (
            {"found_before": ("LATISS/calib/reference",)},
            "job b2 found bias in LATISS/calib/reference, which it searched before u/ocps/a1",
        ),
        ({"generation": asked(MADE, detectors=(1,))}, "made other detectors"),
        ({"verification": asked(VERIFIED, exposures=FRAMES[:1])}, "verified it with other frames"),
        (
            {"verification": asked(VERIFIED, inputs=("LATISS/calib",))},
            "compared the frames with LATISS/calib, not with what job a1 made",
        ),
    ],
)
def test_what_does_not_agree_is_refused_with_the_reason(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(NotProvenError, match=fault):
        prove(dataclasses.replace(PROOF, **changes), detectors=(0,), needed=(BIAS,))


def test_all_that_is_missing_is_said_at_once() -> None:
    nothing = dataclasses.replace(PROOF, datasets=(), verdicts=())
    with pytest.raises(NotProvenError, match=r"BIAS is not certified: .*; BIAS was not verified"):
        prove(nothing, detectors=(0,), needed=(BIAS,))


# A validity range that does not hold the frames


def test_a_range_that_does_not_hold_the_frames_is_warned_of_with_one_that_does() -> None:
    assert PROOF.validity_warning == ""
    # Given the procedure's day-to-next-day dates, and a Chilean night
    night = tuple(
        dataclasses.replace(frame, begin=FIRST_FRAME + 12 * 3600, end=FIRST_FRAME + 12 * 3600 + 30)
        for frame in PROOF.frames
    )
    dates = dataclasses.replace(PROOF.certification, end_date="2026-11-24")
    warning = dataclasses.replace(PROOF, frames=night, certification=dates).validity_warning
    assert "2026-11-24T02:00:00 to 2026-11-24T02:00:30" in warning
    # Then the observing day holds them
    assert "The range 2026-11-23T12:00:00 to 2026-11-24T12:00:00 holds them" in warning


def test_the_warning_is_logged_when_it_is_certified() -> None:
    world = World()
    dates = "certify_calib_begin_date: 2022-11-04, certify_calib_end_date: 2022-11-05"
    report = run(world, f"{{script_mode: BIAS, n_bias: 3, generate_calibrations: true, {dates}}}")
    assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED
    assert any(
        "does not hold the frames it was made from" in text for kind, text in world.log if kind == "warning"
    )


# Resumed runs

EXTERNAL = "{script_mode: BIAS, n_bias: 3, generate_calibrations: %s}"


def test_a_verification_against_another_reference_is_not_used_again() -> None:
    # Given a run that passed against the reference calibrations
    world = World()
    assert run(world, EXTERNAL % "false").complete
    # When it is resumed with calibrations to be made, against which it fails
    world.failing_types = frozenset({"BIAS"})
    report = run(world, EXTERNAL % "true", resume=True)
    # Then it is verified against them
    assert outcomes(report)["verify BIAS"] is Outcome.HELD
    assert outcomes(report)["certify BIAS"] is Outcome.SKIPPED and not world.certified
    assert world.requests["verifyBias-2"].inputs[0] == "u/ocps/cpBias"
    assert "verify BIAS: job verifyBias was asked for something else; submitted again" in report.repeats


def test_a_job_with_other_options_is_not_used_again_and_the_configuration_is_true() -> None:
    world = World()
    text = "{script_mode: BIAS, n_bias: 3, generate_calibrations: true%s}"
    assert run(world, text % "").complete
    report = run(world, text % ", config_options_bias: '-c cpBiasIsr:doLinearize=False'", resume=True)
    assert world.requests["cpBias-2"].options == ("-c", "cpBiasIsr:doLinearize=False")
    assert report.config["config_options_bias"] == "-c cpBiasIsr:doLinearize=False"
    # What it is verified against is new, so that it is verified again
    assert world.requests["verifyBias-2"].inputs[0] == "u/ocps/cpBias-2"
    assert world.proofs[-1].generation.job_id == "cpBias-2"


def test_more_processes_make_no_other_job() -> None:
    world = World()
    text = "{script_mode: BIAS, n_bias: 3, generate_calibrations: true, n_processes: %d}"
    assert run(world, text % 4).complete
    assert run(world, text % 2, resume=True).complete
    assert set(world.requests) == {"cpBias", "verifyBias"}


def test_a_product_that_is_gone_is_made_again() -> None:
    world = World()
    assert run(world, EXTERNAL % "true").complete
    world.complete.discard("cpBias")
    report = run(world, EXTERNAL % "true", resume=True)
    assert "cpBias-2" in world.requests
    assert any("job cpBias has lost its bias for detector 0" in text for text in report.repeats)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (", do_verify: false", ""),
        (", number_verification_tests_threshold_bias: 17", ""),
    ],
)
def test_what_an_earlier_session_certified_is_said_where_it_does_not_pass_now(
    before: str, after: str
) -> None:
    # Given a bias that was certified, though it is noisy
    world = World(failing_types=frozenset({"BIAS"}))
    text = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 5, generate_calibrations: true%s}"
    assert outcomes(run(world, text % before))["certify BIAS"] is Outcome.CERTIFIED
    # When the run is resumed with limits that it does not pass
    report = run(world, text % after, resume=True)
    assert outcomes(report)["certify BIAS"] is Outcome.SKIPPED
    # Then it is not silent on what is in the Butler, nor forgets it
    reason = next(result.reason for result in report.stages if result.name == "certify BIAS")
    assert (
        "; an earlier session has certified it, from u/ocps/cpBias into LATISS/calib/daily, and that stays: "
        "'calibscripts decertify run BIAS --reason TEXT"
    ) in reason
    assert reason.partition("an earlier session")[2] in unfolded(summary_text(report))
    assert [each.dataset_type for each in read_record(world.journal).certifications] == ["bias", "dark"]
    # and the page does not say that nothing is certified, or not made.
    dark = next(one for one in products(report) if one.name == "DARK")
    assert dark.word == "not made again" and dark.text.endswith("has certified stays certified")
    page = unfolded(html.unescape(run_page(RunDocument(report))))
    assert "Nothing was certified now." in page and "DARK: an earlier session has certified it" in page
    # What the run proposes to undo it is not refused, though it has no proof.
    assert [undo.subject for undo in choose(read_record(world.journal), report.proofs, ["DARK"])] == [DARK]
    # And a further session says so too
    again = run(world, text % after, resume=True)
    assert "an earlier session has certified it" in next(
        result.reason for result in again.stages if result.name == "certify BIAS"
    )


# Frames that are not what the plan says

FLATS = "{script_mode: FLAT, n_flat: 4, exp_times_flat: 5, filter: SDSSr_65mm, grating: empty_1}"


def changed_record(world: World, exposure: int, **changes: Any) -> None:
    label, record = world.exposures[exposure]
    world.exposures[exposure] = (label, dataclasses.replace(record, **changes))


def test_a_wheel_that_moved_between_two_sessions_makes_no_flat() -> None:
    # Given a run whose camera failed between two flats
    world = World(on_event=raise_at("taking FLAT 3/5, 5 s", ObservatoryError("camera")))
    run(world, FLATS)
    world.on_event = None
    # When the earlier ones turn out to be of another filter
    for exposure in list(world.exposures):
        changed_record(world, exposure, physical_filter="SDSSg_65mm~empty_1")
    report = run(world, FLATS, resume=True)
    # Then no job sees them
    assert outcomes(report)["expose FLAT"] is Outcome.FAILED
    assert "was taken through SDSSg_65mm~empty_1, says the Butler, not through SDSSr_65mm~empty_1" in (
        report.stages[0].reason
    )
    assert not world.requests


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"image_type": "DARK"}, "is a DARK in the Butler, not a BIAS"),
        ({"exp_time": 30.0}, "has 30 s in the Butler, not 0 s"),
    ],
)
def test_a_frame_whose_header_says_otherwise_is_in_no_job(change: dict[str, Any], fault: str) -> None:
    world = World()
    world.on_event = lambda event: (
        event == "BIAS 3/4, 0 s"
        and changed_record(  # type: ignore[assignment]
            world, 2026112300003, **change
        )
    )
    report = run(world, EXTERNAL % "true")
    assert f"exposure 2026112300003 {fault}" in report.stages[0].reason
    assert not world.requests and not world.certified


def test_a_frame_that_another_program_took_is_in_no_job() -> None:
    # Given a camera that names the bias of another script, taken meanwhile
    world = World()
    world.on_event = lambda event: (
        event == "BIAS 3/4, 0 s" and changed_record(world, 2026112300003, group="2026-11-23T14:00:09.000#1")  # type: ignore[assignment]
    )
    report = run(world, EXTERNAL % "true")
    assert "exposure 2026112300003 is of group 2026-11-23T14:00:09.000#1 in the Butler, not of " in (
        report.stages[0].reason
    )
    assert not world.requests and not world.certified


@pytest.mark.parametrize("job", ["cpBias", "verifyBias"])
@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        ("others", "the job has used 1 exposures that it was not given: 2026112200001"),
        ("nothing", "nothing shows which exposures the job has used: the repository knows no "),
    ],
)
def test_what_was_made_from_other_frames_too_is_not_certified(job: str, seen: str, fault: str) -> None:
    world = World()
    exposures_with = world.repository.exposures_with

    async def look(dataset_type: str, collection: str) -> frozenset[tuple[int, int]] | None:
        found = await exposures_with(dataset_type, collection)
        if found is None or job not in collection:
            return found
        return None if seen == "nothing" else found | {(2026112200001, 0)}

    world.repository.exposures_with = look  # type: ignore[method-assign]
    report = run(world, EXTERNAL % "true")
    failed = next(result for result in report.stages if result.outcome is Outcome.FAILED)
    assert failed.job_id == job and fault in failed.reason
    assert not world.certified


def test_a_verification_of_another_detector_proves_nothing() -> None:
    # Given run statistics by detector, of one that the run is not about
    world = World()
    statistics = world.repository.statistics

    async def read(dataset_type: str, collection: str, physical_filter: str | None = None) -> Any:
        found = await statistics(dataset_type, collection, physical_filter)
        return {"R22_S11": {"SUCCESS": True}, "SUCCESS": True} if "RXX_S00" in found else found

    world.repository.statistics = read  # type: ignore[method-assign]
    report = run(world, "{do_ptc: true, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}")
    assert outcomes(report)["verify PTC"] is Outcome.FAILED
    assert outcomes(report)["certify PTC"] is Outcome.SKIPPED
    failed = next(result for result in report.stages if result.name == "verify PTC")
    assert "the run statistics have no result of it" in failed.reason


def test_a_header_that_is_wrong_does_not_stand_in_the_way_of_other_flats() -> None:
    # Given two sets of flats, of which the header of a first flat names the
    # other filter
    sets = "[{filter: SDSSr_65mm, grating: empty_1}, {filter: SDSSg_65mm, grating: empty_1}]"
    text = f"{{script_mode: FLAT, n_flat: 3, n_discard_flat: 0, exp_times_flat: 5, flat_sets: {sets}}}"
    world = World()
    assert run(world, text).complete
    wrong = next(i for i, (label, _) in world.exposures.items() if label.startswith("FLAT SDSSg"))
    changed_record(world, wrong, physical_filter="SDSSr_65mm~empty_1")
    # When the run is resumed, then the set with the wrong header fails alone
    report = run(world, text, resume=True)
    ended = outcomes(report)
    assert ended["expose FLAT SDSSr_65mm~empty_1"] is Outcome.PASSED
    assert ended["expose FLAT SDSSg_65mm~empty_1"] is Outcome.FAILED
    assert any(f"exposure {wrong} was taken through SDSSr_65mm" in one.reason for one in report.stages)


def test_frames_that_are_swapped_in_a_journal_are_in_no_job() -> None:
    world = World(on_event=raise_at("taking DARK 4/4, 5 s", ObservatoryError("camera")))
    text = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 5, generate_calibrations: true}"
    run(world, text)
    world.on_event = None
    # Given a journal in which a bias and a dark have each other's id
    frames = list(read_record(world.journal).frames)
    i, j = (
        next(k for k, frame in enumerate(frames) if (frame.series.name, frame.number) == wanted)
        for wanted in (("BIAS", 3), ("DARK", 3))
    )
    frames[i], frames[j] = (
        dataclasses.replace(frames[i], exposure=frames[j].exposure),
        dataclasses.replace(frames[j], exposure=frames[i].exposure),
    )
    world.journal = json.dumps(to_json(dataclasses.replace(read_record(world.journal), frames=tuple(frames))))
    done = set(world.certified)
    report = run(world, text, resume=True)
    assert outcomes(report)["expose BIAS"] is Outcome.FAILED
    assert outcomes(report)["expose DARK"] is Outcome.FAILED
    assert set(world.certified) == done


# What is built on frames


@pytest.mark.parametrize("product", ["PTC", "DEFECTS"])
def test_what_is_built_on_frames_that_were_held_is_not_certified(product: str) -> None:
    text = "{do_ptc: true, do_defects: true, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}"
    report = run(World(failing_types=frozenset({"FLAT"})), text)
    assert outcomes(report)["verify FLAT"] is Outcome.HELD
    assert outcomes(report)[f"generate {product}"] is Outcome.PASSED
    assert outcomes(report)[f"certify {product}"] is Outcome.SKIPPED
    assert outcomes(run(World(), text))[f"certify {product}"] is Outcome.CERTIFIED


# Defects, which are judged by themselves

DEFECTS = "{pipeline_generation: %s, do_defects: true, n_bias: 3, n_dark: 3, exp_times_dark: 5, n_flat: 3%s}"
SPOILT = 6000
"""Pixels of an amplifier of a million; 5000 are still right."""

DEFECTS_PROOF = dataclasses.replace(
    PROOF,
    subject=Subject(Product.DEFECTS),
    certification=dataclasses.replace(PROOF.certification, dataset_type="defects"),
    verification=None,
    judgement=Judgement((), passed=True, compared=True),
    defects=(DetectorDefects(0, "5f2b", 10, (), PreviousDefects("4c1a", "LATISS/calib/run", 9)),),
)


def test_defects_that_were_judged_are_proven_with_what_they_were_compared_with() -> None:
    assert prove(DEFECTS_PROOF, detectors=(0,), needed=(BIAS,)) is DEFECTS_PROOF
    assert DEFECTS_PROOF.reference == "LATISS/calib/run"
    assert DEFECTS_PROOF.remark == ""
    assert from_json(to_json(DEFECTS_PROOF), Proof) == DEFECTS_PROOF


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"judgement": None}, "DEFECTS was not judged by itself"),
        (
            {"judgement": Judgement((Fault(0, "NONE", "there are none"),), False, True)},
            r"DEFECTS did not pass: NONE \(1\); the first: there are none",
        ),
        ({"defects": ()}, "other datasets were judged than those in u/ocps/a1"),
        ({"datasets": (ProductRecord("77", 0, None),)}, "other datasets were judged"),
    ],
)
def test_defects_that_were_not_judged_are_refused(changes: dict[str, Any], fault: str) -> None:
    refused = dataclasses.replace(DEFECTS_PROOF, **changes)
    with pytest.raises(NotProvenError, match=fault):
        prove(refused, detectors=(0,), needed=(BIAS,))
    # An observer who wants no verification needs no judgement.
    if "judgement" in changes:
        assert prove(refused, detectors=(0,), needed=()) is refused


@pytest.mark.parametrize("generation", ["current", "2022"])
def test_defects_that_are_not_right_are_held_and_not_certified(generation: str) -> None:
    # Given frames that pass, and an amplifier with a new region
    world = World(gained_defects=SPOILT)
    report = run(world, DEFECTS % (generation, ""))
    assert outcomes(report)["verify FLAT"] is Outcome.PASSED
    assert outcomes(report)["generate DEFECTS"] is Outcome.HELD
    assert outcomes(report)["certify DEFECTS"] is Outcome.SKIPPED
    reason = next(result.reason for result in report.stages if result.name == "generate DEFECTS")
    assert reason.startswith("GAINED (1), CHANGE (1); the first: detector 0 C00: 6000 of its 1000000 pixels")
    assert "defects" not in {each.dataset_type for each in world.certified}
    # Then what would apply them is not made either.
    text = DEFECTS % (generation, ", generate_calibrations: true, do_ptc: true, exp_times_flat: [1, 1, 2]")
    certified = {each.dataset_type for each in run(World(gained_defects=SPOILT), text).certifications}
    assert "ptc" not in certified and "defects" not in certified


@pytest.mark.parametrize("generation", ["current", "2022"])
def test_a_certification_of_defects_carries_judgement_and_reference(generation: str) -> None:
    world = World()
    report = run(world, DEFECTS % (generation, ""))
    assert outcomes(report)["generate DEFECTS"] is Outcome.PASSED
    (proof,) = (each for each in world.proofs if each.subject.product is Product.DEFECTS)
    assert proof.judgement is not None and proof.judgement.passed and proof.judgement.compared
    (judged,) = proof.defects
    assert judged.dataset == proof.datasets[0].id
    assert judged.previous is not None and judged.previous.run == "LATISS/calib/run"
    assert report.defects == proof.defects
    assert any("C00: 1012 (+12 -0)" in text for _, text in world.log)


def test_without_verification_defects_are_certified_and_said_not_to_be_verified() -> None:
    world = World(gained_defects=SPOILT)
    report = run(world, DEFECTS % ("current", ", do_verify: false"))
    (proof,) = report.proofs
    assert proof.judgement is None and proof.remark == "not verified: do_verify is False"
    # What changed is reported nevertheless.
    assert report.defects[0].gained == SPOILT


def test_a_resumed_run_judges_the_defects_again() -> None:
    # Given a run that ended HELD
    world = World(gained_defects=SPOILT)
    text = DEFECTS % ("current", "")
    run(world, text)
    assert outcomes(run(world, text, resume=True))["generate DEFECTS"] is Outcome.HELD
    assert not world.certified
    # When its earlier defects have been replaced by some that are like its own
    world.gained_defects = 12
    report = run(world, text, resume=True)
    # Then the same job's defects pass
    assert outcomes(report)["certify DEFECTS"] is Outcome.CERTIFIED
    assert "cpDefects-2" not in world.requests


def test_a_judgement_of_an_interrupted_run_is_not_relied_on() -> None:
    # Given a run that ended before it certified what had passed
    world = World(on_event=raise_at("certifying defects", ObservatoryError("the repository")))
    text = DEFECTS % ("current", "")
    assert outcomes(run(world, text))["generate DEFECTS"] is Outcome.PASSED
    assert not world.certified
    # When its datasets are no longer what they were
    world.on_event = None
    world.gained_defects = SPOILT
    report = run(world, text, resume=True)
    assert outcomes(report)["generate DEFECTS"] is Outcome.HELD
    assert not world.certified


# Jobs


@pytest.mark.parametrize("job", ["cpBias", "verifyBias"])
def test_a_job_that_ends_well_and_makes_nothing_has_failed_at_once(job: str) -> None:
    world = World(fruitless={job})
    report = run(world, EXTERNAL % "true")
    failed = next(result for result in report.stages if result.outcome is Outcome.FAILED)
    assert f"job {job} ended with exit code 0, but u/ocps/{job}/run has no" in failed.reason
    assert not world.certified
    # A retry submits it anew
    assert run(world, EXTERNAL % "true", resume=True).complete
    assert f"{job}-2" in world.requests


def test_a_gain_is_wanted_of_every_pair() -> None:
    wanted = []
    world = World()
    missing = world.repository.missing

    async def note(each: Any, run_collection: str) -> tuple[str, ...]:
        wanted.append(each)
        return await missing(each, run_collection)

    world.repository.missing = note  # type: ignore[method-assign]
    run(world, "{script_mode: FLAT, n_flat: 4, exp_times_flat: [1, 1, 2, 2], do_verify: false}")
    ids = [2026112300002, 2026112300003, 2026112300004, 2026112300005]
    (gain,) = (each for each in wanted if each.dataset_type == "cpPtcPartial")
    assert gain.exposures == (tuple(ids[:2]), tuple(ids[2:]))


# What the record says


def test_a_certification_carries_its_evidence() -> None:
    world = World()
    report = run(world, EXTERNAL % "true")
    (proof,) = report.proofs
    assert proof.certification == report.certifications[0]
    assert [frame.exposure for frame in proof.frames] == [2026112300002, 2026112300003, 2026112300004]
    assert {frame.image_type for frame in proof.frames} == {"BIAS"}
    assert proof.verification is not None and proof.verdicts[0].passed
    assert to_json(report)["proofs"][0]["subject"] == "BIAS"


def test_do_verify_false_is_the_observers_choice_and_said_so() -> None:
    report = run(World(), "{script_mode: BIAS, n_bias: 3, generate_calibrations: true, do_verify: false}")
    assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED
    assert report.stages[-1].reason == "not verified: do_verify is False"
    assert not report.proofs[0].verified and report.proofs[0].reference is None


def test_what_did_not_pass_before_is_said_where_it_is_certified_unverified() -> None:
    # Given a bias that was held, and an observer who wants it nevertheless
    world = World(failing_types=frozenset({"BIAS"}))
    text = "{script_mode: BIAS, n_bias: 3, generate_calibrations: true%s}"
    assert outcomes(run(world, text % ""))["verify BIAS"] is Outcome.HELD
    report = run(world, text % ", do_verify: false", resume=True)
    # Then it is said where it is certified
    assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED
    assert report.stages[-1].reason.startswith(
        "not verified: do_verify is False; BIAS did not pass verification in an earlier session: 3 of 3 "
        "exposures fail NOISE"
    )
    # But once another is made, that says nothing of it
    text = "{resume: run, config_options_bias: '-c cpBiasIsr:doDefect=False'}"
    report = run(world, text, resume=True)
    assert report.stages[-1].reason.startswith("not verified: do_verify is False")
    assert "did not pass" not in report.stages[-1].reason


def test_certified_together_nothing_is_if_one_is_not_proven() -> None:
    world = World()
    products = world.repository.products

    async def of_another_detector(dataset_type: str, run_collection: str) -> tuple[ProductRecord, ...]:
        found = await products(dataset_type, run_collection)
        wrong = tuple(dataclasses.replace(each, detector=5) for each in found)
        return wrong if dataset_type == "dark" else found

    world.repository.products = of_another_detector  # type: ignore[method-assign]
    text = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 5, generate_calibrations: true%s}"
    report = run(world, text % ", certify: together")
    assert {outcomes(report)[f"certify {each}"] for each in ("BIAS", "DARK")} == {Outcome.FAILED}
    assert not world.certified
    assert all("has dark of detectors [5], not of [0]" in result.reason for result in report.stages[-2:])
