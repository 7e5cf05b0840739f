# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is lost: retries, resumption, and what stays undone.

In a world of a few lines and in virtual time; that faults of the simulated
observatory end the same way is shown in test_faults.py.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState
from lsst.ts.calibrationscripts.ports import (
    CameraError,
    ExposureRecord,
    JobLostError,
    JobRefusedError,
    ObservatoryError,
    OutcomeError,
    PreconditionError,
)
from lsst.ts.calibrationscripts.report import RunReport
from virtual_time import virtually
from world import FIRST_FRAME, Killed, World

CHAIN = "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15}"
N_FRAMES = 8


def run(world: World, text: str, *, resume: bool = False) -> RunReport:
    """Run to the end, however that comes; see that no task is left."""

    async def work() -> RunReport:
        procedure = world.procedure(text, resume=resume)
        try:
            await procedure.run()
        except (ObservatoryError, Killed):
            pass
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
        return procedure.report

    return virtually(work())


def outcomes(report: RunReport) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in report.stages}


def raise_at(event: str, error: BaseException) -> Callable[[str], None]:
    """Let an event go wrong the first time that it comes."""
    left = [error]

    def strike(name: str) -> None:
        if name == event and left:
            raise left.pop()

    return strike


def test_a_curve_is_not_its_own_reference_once_it_is_certified() -> None:
    # Given a run that has certified a curve where its next job looks first
    world = World()
    text = (
        "{pipeline_generation: 2022, do_ptc: true, generate_calibrations: true, n_flat: 2, exp_times_flat: 1}"
    )
    assert outcomes(run(world, text))["certify PTC"] is Outcome.CERTIFIED
    # then a resume compares its gains with the same reference as before.
    assert [gain.reference for gain in run(world, text, resume=True).gains] == [1.25]


@pytest.mark.parametrize("event", ["taking DARK 3/4, 15 s", "DARK 3/4, 15 s"])
def test_a_camera_failure_costs_no_frame(event: str) -> None:
    # Given a camera that fails before, or just after, it has taken a frame
    world = World(on_event=raise_at(event, CameraError("shutter stuck")))
    assert run(world, CHAIN).state == "FAILED"
    # When the run is resumed
    report = run(world, CHAIN, resume=True)
    # Then it comes to its end, and every frame was taken once
    assert report.complete
    assert Counter(world.taken) == Counter(set(world.taken))
    assert len(world.taken) == N_FRAMES
    assert [c.dataset_type for c in report.certifications] == ["bias", "dark"]


def test_a_frame_that_was_asked_for_and_cannot_be_found_is_taken_again_and_told() -> None:
    world = World(on_event=raise_at("taking BIAS 2/4, 0 s", CameraError("shutter stuck")))
    run(world, CHAIN)
    report = run(world, CHAIN, resume=True)
    assert report.complete
    assert "BIAS 2/4, 0 s: asked for before the run was interrupted" in report.repeats[0]


def test_jobs_that_ended_well_are_not_run_again() -> None:
    world = World(exit_codes={"cpDark": 1})
    assert outcomes(run(world, CHAIN))["generate DARK"] is Outcome.FAILED
    report = run(world, CHAIN, resume=True)
    assert report.complete
    assert list(world.requests) == ["cpBias", "verifyBias", "cpDark", "cpDark-2", "verifyDark"]
    assert len(world.certified) == 2


def test_what_a_resumed_run_uses_again_keeps_its_time_in_the_timeline() -> None:
    # Given a run whose job of darks fails
    world = World(exit_codes={"cpDark": 1})
    before = run(world, CHAIN)
    assert outcomes(before)["generate DARK"] is Outcome.FAILED
    # When it is resumed
    world.exit_codes = {}
    after = run(world, CHAIN, resume=True)
    assert after.complete
    # Then what was done before is there once, with the time that it took
    failed = [span for span in before.timeline if span.stage.name == "generate DARK"]
    good = [span for span in before.timeline if span.outcome in (None, Outcome.PASSED, Outcome.CERTIFIED)]
    assert [span for span in after.timeline if span in good] == good
    names = Counter(span.name for span in after.timeline)
    assert {name: n for name, n in names.items() if n > 1} == {"generate DARK": 2}
    # and what was done now is beside it.
    assert set(failed) < set(after.timeline)


def test_a_resumed_verdict_is_judged_anew_from_the_same_job() -> None:
    world = World(failing_types=frozenset({"BIAS"}))
    assert outcomes(run(world, CHAIN))["verify BIAS"] is Outcome.HELD
    # When the observer puts up with it, as the procedure allows
    tolerant = CHAIN.replace("}", ", number_verification_tests_threshold_bias: 17}")
    report = run(world, tolerant, resume=True)
    assert report.complete
    assert "verifyBias-2" not in world.requests


@pytest.mark.parametrize(
    "error", [JobRefusedError("the OCPS is busy"), JobRefusedError("no acknowledgement")], ids=str
)
def test_a_refused_job_is_submitted_again_once(error: ObservatoryError) -> None:
    world = World(on_event=raise_at("submitting cpBias", error))
    report = run(world, CHAIN)
    assert report.complete
    assert report.repeats == (f"generate BIAS: {error}; submitted again",)


def test_a_job_that_is_refused_too_often_fails() -> None:
    def refuse(event: str) -> None:
        if event.startswith("submitting"):
            raise JobRefusedError("no")

    report = run(World(on_event=refuse), CHAIN)
    assert outcomes(report)["generate BIAS"] is Outcome.FAILED
    assert len(report.repeats) == 1
    assert run(World(on_event=refuse), CHAIN.replace("}", ", job_retries: 0}")).repeats == ()


def test_a_lost_result_is_no_loss_if_the_product_is_there() -> None:
    # Given a job that ends, and whose result is lost
    world = World(on_event=raise_at("end cpBias", JobLostError("no result")))
    report = run(world, CHAIN)
    assert report.complete and report.repeats == ()
    assert "cpBias-2" not in world.requests


def test_a_lost_job_is_aborted_and_submitted_again() -> None:
    world = World(on_event=raise_at("ending cpBias", JobLostError("OCPS:1 went to FAULT")))
    report = run(world, CHAIN)
    assert report.complete
    assert world.aborted == ["cpBias"]
    assert report.repeats == ("generate BIAS: OCPS:1 went to FAULT; submitted again",)


@pytest.mark.parametrize(
    "fail_on, state", [("[]", "DONE"), ("[verification]", "DONE"), ("[processing]", "FAILED")]
)
def test_bad_outcomes_fail_the_script_only_where_that_is_asked_for(fail_on: str, state: str) -> None:
    report = run(World(exit_codes={"cpBias": 1}), CHAIN.replace("}", f", fail_on: {fail_on}}}"))
    assert report.state == state
    assert outcomes(report)["generate BIAS"] is Outcome.FAILED


def test_a_held_calibration_can_fail_the_script() -> None:
    world = World(failing_types=frozenset({"BIAS"}))

    async def work() -> None:
        await world.procedure(CHAIN.replace("}", ", fail_on: [verification]}")).run()

    with pytest.raises(OutcomeError, match="verify BIAS: 3 of 3 exposures fail NOISE"):
        virtually(work())


TOGETHER = CHAIN.replace("}", ", certify: together}")


def test_what_somebody_has_undone_by_hand_is_not_certified_again_in_silence() -> None:
    world = World()
    text = "{script_mode: BIAS, n_bias: 3, generate_calibrations: true}"
    assert outcomes(run(world, text))["certify BIAS"] is Outcome.CERTIFIED
    world.certified.clear()
    report = run(world, "{resume: run}", resume=True)
    (repeat,) = report.repeats
    assert repeat.startswith("BIAS: an earlier session certified it, and it is not in LATISS/calib/daily")


def test_together_nothing_is_certified_unless_all_passed() -> None:
    world = World(failing_types=frozenset({"DARK"}))
    report = run(world, TOGETHER)
    assert world.certified == [] and report.certifications == ()
    assert outcomes(report)["certify BIAS"] is Outcome.SKIPPED
    assert outcomes(run(World(), TOGETHER))["certify DARK"] is Outcome.CERTIFIED


def test_together_a_dark_is_made_with_a_bias_that_is_not_certified_yet() -> None:
    world = World()
    run(world, TOGETHER)
    assert world.time_of("start cpDark") < world.time_of("certifying bias and dark")
    assert "-i u/ocps/cpBias,LATISS/calib " in world.requests["cpDark"].config


def test_together_a_certification_that_fails_fails_for_all() -> None:
    world = World(on_event=raise_at("certifying bias and dark", ObservatoryError("the disk is full")))
    report = run(world, TOGETHER)
    assert world.certified == [] and report.certifications == ()
    assert outcomes(report)["certify BIAS"] is Outcome.FAILED
    assert outcomes(report)["certify DARK"] is Outcome.FAILED
    assert run(world, TOGETHER, resume=True).complete
    assert len(world.certified) == 2


def taken_earlier(world: World, image_type: str, ids: range, exp_time: float = 5.0) -> None:
    for i in ids:
        record = ExposureRecord(
            image_type.lower(), exp_time, "empty_1~empty_1", "earlier", FIRST_FRAME, FIRST_FRAME + exp_time
        )
        world.exposures[i] = (image_type, record)


def test_frames_taken_earlier_are_processed_without_the_camera() -> None:
    # Given a camera that is off, and frames of last night
    world = World(setup_error=CameraError("no camera"))
    taken_earlier(world, "FLAT", range(2026112200001, 2026112200005))
    report = run(world, "exposures: {FLAT: [2026112200001, 2026112200002, 2026112200003, 2026112200004]}")
    assert report.complete and world.taken == []
    assert report.exposures["FLAT"] == tuple(range(2026112200001, 2026112200005))
    assert [gain.exposures for gain in report.gains] == [(2026112200001, 2026112200002)]


def test_exposures_that_are_unknown_or_of_another_type_are_told_before_anything_runs() -> None:
    world = World()
    taken_earlier(world, "DARK", range(2026112200001, 2026112200002))

    async def work() -> None:
        await world.procedure("exposures: {BIAS: [2026112200001, 2026112200002]}").run()

    with pytest.raises(PreconditionError) as error:
        virtually(work())
    assert error.value.problems == (
        "exposures: 2026112200002: not in the Butler",
        "exposures: 2026112200001: not BIAS frames",
    )


def faults_of(event: str) -> list[BaseException]:
    """Return what may go wrong at an event."""
    match event.split()[0]:
        case "taking" | "BIAS" | "DARK" | "FLAT":
            return [CameraError("fault")]
        case "submitting":
            return [JobRefusedError("refused")]
        case "ending" | "end":
            return [JobLostError("lost"), ObservatoryError("exit code 1")]
        case "certifying" | "certified":
            return [ObservatoryError("disk full")]
        case _:
            return []


def strike_at(world: World, moment: int, kind: int) -> Callable[[str], None]:
    """Let something go wrong at the moment-th event; kind 3 is a kill."""
    count = itertools.count(1)

    def strike(event: str) -> None:
        if next(count) == moment:
            faults = faults_of(event)
            if kind == 3 or not faults:
                world.kill()
            raise faults[kind % len(faults)]

    return strike


MODES = {
    "internal": CHAIN,
    "external": "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 15}",
    "together": TOGETHER,
    "flats": "{generate_calibrations: true, n_bias: 2, n_dark: 2, exp_times_dark: 5, n_flat: 2}",
}


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    mode=st.sampled_from(sorted(MODES)),
    moments=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), min_size=1, max_size=4),
)
def test_whatever_fails_and_however_often_nothing_is_lost(mode: str, moments: list[tuple[int, int]]) -> None:
    """Let runs fail at random moments, kill some, and carry them on."""
    world = World()
    for moment, kind in moments:
        world.on_event = strike_at(world, moment, kind)
        report = run(world, MODES[mode], resume=bool(world.journal))
        # No job is left running, but for one whose id a killed script had
        # no time to note.
        if world.killed:
            record = read_record(world.journal) if world.journal else None
            noted = {job.job_id for job in record.jobs} if record else set()
            world.running &= noted
        else:
            assert not world.running
        world.killed = False
        # Nothing is certified that should not be: each product once at most.
        assert len({c.dataset_type for c in world.certified}) == len(world.certified)
        if (
            mode == "together"
            and report.state is not RunState.UNSTARTED
            and not report.complete
            and not world.running
        ):
            assert len(world.certified) in (0, 2)
    world.on_event = None
    report = run(world, MODES[mode], resume=bool(world.journal))
    # Then the run comes to its end,
    assert report.complete, report
    # no frame was taken twice but those accounted for,
    again = Counter(world.taken) - Counter(set(world.taken))
    assert set(again) <= {text.partition(": ")[0] for text in report.repeats}
    planned = world.procedure(MODES[mode]).report.config
    assert sum(len(ids) for ids in report.exposures.values()) == len(set(world.taken)), planned
    # and its report is whole.
    assert len(report.certifications) == len(world.certified)


def interrupted(resumable: str) -> World:
    """Return a world whose run was killed while its first job ran."""
    world = World(resumable={resumable})
    world.on_event = lambda name: world.kill() if name == "ending cpBias" else None
    run(world, CHAIN)
    world.on_event, world.killed = None, False
    return world


def test_an_interrupted_job_is_continued_where_its_service_can() -> None:
    # Given a service that continues the job, no other one is submitted.
    world = interrupted("cpBias")
    report = run(world, CHAIN, resume=True)
    assert report.complete
    assert "cpBias-2" not in world.requests
    assert world.aborted == []


def test_a_job_that_is_continued_in_vain_is_submitted_again() -> None:
    world = interrupted("cpBias")
    world.exit_codes["cpBias"] = 1
    report = run(world, CHAIN, resume=True)
    assert report.complete
    assert "cpBias-2" in world.requests
