# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs are left to themselves, and their results are collected later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCOMCAM
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import IngestReport, JobLostError, JobResult, ObservatoryError
from lsst.ts.calibrationscripts.report import RunReport, next_steps, summary_text
from named import unfolded
from test_procedure import outcomes
from virtual_time import virtually
from world import Killed, World

ATTACHED = "{script_mode: BIAS_DARK_FLAT, n_bias: 3, n_dark: 3, exp_times_dark: 5, n_flat: 2%s}"
RELEASED = ATTACHED % ", release: true"
JOBS = {"verify BIAS", "verify DARK", "verify FLAT", "measure GAIN"}


class Later(World):
    """A world whose jobs run on when the run has ended."""

    stop_listening: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lost: set[str] = set()

    def end_jobs(self, *job_ids: str) -> None:
        """Let jobs make their products, and report nothing."""
        for job_id in job_ids or tuple(self.running):
            self.running.discard(job_id)
            self.complete.add(job_id)

    async def result(self, job_id: str) -> JobResult:
        if self.stop_listening:
            await asyncio.Event().wait()
        if job_id in self.lost:
            raise JobLostError(f"the OCPS lost job {job_id}")
        return await super().result(job_id)


def session(world: World, text: str = RELEASED, *, resume: bool = False) -> RunReport:
    """Run a session, however it ends; see that no task is left."""

    async def work() -> RunReport:
        procedure = world.procedure(text, resume=resume)
        try:
            await procedure.run()
        except (ObservatoryError, Killed, asyncio.CancelledError):
            pass
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
        return procedure.report

    return virtually(work())


def comparable(report: RunReport) -> object:
    """Return what must not depend on when results were collected."""
    # Jobs of a later session have other times, and ids in another order.
    stages = {
        result.stage: (result.outcome, result.reason, result.job_id, result.collection)
        for result in report.stages
    }
    return (
        report.state,
        report.complete,
        stages,
        report.exposures,
        report.discarded,
        report.verdicts,
        report.gains,
        report.judgements,
        report.repeats,
    )


def test_the_session_ends_once_its_jobs_are_submitted() -> None:
    world = Later()
    report = session(world)
    # Then no time has passed since the last frame
    last_frame = max(time for time, event in world.events if event.startswith("FLAT"))
    assert max(time for time, _ in world.events) - last_frame < 5
    # and every job was submitted, runs on, and is said to be pending
    assert len(world.running) == len(world.requests) == len(JOBS)
    assert not world.aborted
    assert {name for name, outcome in outcomes(report).items() if outcome is Outcome.PENDING} == JOBS
    assert report.state == "DONE" and not report.complete


def test_a_lost_frame_is_in_no_job_that_is_left_to_itself() -> None:
    # Given a released run that lacks a frame, and is resumed without it
    lost = 2026112300003
    world = Later(ingest=IngestReport(missing=(lost,)))
    text = RELEASED.replace("n_bias: 3", "n_bias: 5")
    assert outcomes(session(world, text))["expose BIAS"] is Outcome.FAILED
    pending = session(world, f"{{resume: run, without: [{lost}]}}", resume=True)
    assert outcomes(pending)["verify BIAS"] is Outcome.PENDING
    assert not [each for each in world.requests.values() if str(lost) in each.data_query]
    # Then its results are collected, and no other job is run.
    n_jobs = len(world.requests)
    world.end_jobs()
    collected = session(world, "{resume: run}", resume=True)
    assert collected.complete and len(world.requests) == n_jobs
    assert sorted(len(verdict.results) for verdict in collected.verdicts.values()) == [2, 3, 4]


def test_the_end_says_what_collects_the_results() -> None:
    report = session(Later())
    text = unfolded(summary_text(report))
    assert text.startswith(
        "Everything is taken, and 4 job(s) are submitted; their results are still to come."
    )
    assert "calibscripts finish run" in text and "'resume: run'" in text
    assert [step for step in next_steps(report) if "calibscripts finish run" in step]
    assert "Nothing to do" not in " ".join(next_steps(report))


@pytest.mark.parametrize("failing", [frozenset(), frozenset({"DARK"})], ids=["passed", "held"])
def test_a_resumed_session_gives_the_report_of_an_attached_one(failing: frozenset[str]) -> None:
    attached = session(World(failing_types=failing), ATTACHED % "")
    world = Later(failing_types=failing)
    session(world)
    n_frames, n_jobs = len(world.taken), len(world.requests)
    collected = session(world, resume=True)
    assert comparable(collected) == comparable(attached)
    # and nothing was done twice
    assert (len(world.taken), len(world.requests)) == (n_frames, n_jobs)


def test_products_that_came_while_nobody_listened_are_collected() -> None:
    # Given that all jobs but one ended before the collection, one during it
    world = Later()
    session(world)
    world.stop_listening = True
    (last,) = {job for job in world.running if "verifyFlat" in job}
    world.end_jobs(*(world.running - {last}))

    async def work() -> RunReport:
        procedure = world.procedure(RELEASED, resume=True)
        asyncio.get_running_loop().call_later(700, world.end_jobs, last)
        await procedure.run()
        return procedure.report

    report = virtually(work())
    assert report.complete and outcomes(report)["verify FLAT"] is Outcome.PASSED


def test_a_job_that_failed_meanwhile_is_the_outcome_of_its_stage_alone() -> None:
    world = Later()
    session(world)
    (dark,) = {job for job in world.running if "Dark" in job}
    world.exit_codes[dark] = 1
    report = session(world, resume=True)
    failed = next(result for result in report.stages if result.name == "verify DARK")
    assert failed.outcome is Outcome.FAILED and failed.reason == f"job {dark} ended with exit code 1"
    assert failed.job_id == dark and failed.log
    assert outcomes(report)["verify BIAS"] is Outcome.PASSED
    assert len(world.requests) == len(JOBS)


def test_a_job_without_end_fails_by_the_time_since_its_submission() -> None:
    # Given a job that hangs, and a collection that begins late
    world = Later()
    session(world, RELEASED.replace("}", ", job_timeout: 600}"))
    world.stop_listening = True
    (bias,) = {job for job in world.running if "Bias" in job}
    world.end_jobs(*(world.running - {bias}))
    begun = world.time_of(f"start {bias}")

    async def work() -> tuple[RunReport, float]:
        # The clock of another loop begins at 0.
        await asyncio.sleep(begun + 500)
        procedure = world.procedure(RELEASED.replace("}", ", job_timeout: 600}"), resume=True)
        await procedure.run()
        return procedure.report, world.now()

    report, end = virtually(work())
    failed = next(result for result in report.stages if result.name == "verify BIAS")
    assert failed.outcome is Outcome.FAILED and failed.error_type == "job_timeout"
    assert "within 600 s (configuration key 'job_timeout')" in failed.reason
    assert end - begun == pytest.approx(600, abs=11)
    assert bias in world.aborted


def test_a_job_that_the_service_lost_is_submitted_again_and_waited_for() -> None:
    world = Later()
    session(world)
    (bias,) = {job for job in world.running if "Bias" in job}

    world.lost.add(bias)
    report = session(world, resume=True)
    assert report.complete
    assert f"verify BIAS: the OCPS lost job {bias}; submitted again" in report.repeats


@pytest.mark.parametrize(
    "last", ["start verifyBias", "writing the journal", "DARK 2/4, 5 s", "FLAT 3/3, 5 s"]
)
def test_a_session_that_was_killed_is_completed_without_doing_anything_twice(last: str) -> None:
    world = Later()

    def kill(event: str) -> None:
        if event == last and not (event.startswith("writing") and len(world.requests) < len(JOBS)):
            world.on_event = None
            world.kill()

    world.on_event = kill
    session(world)
    assert world.killed
    world.killed = False
    session(world, resume=True)
    report = session(world, resume=True)
    assert report.complete
    assert len(world.taken) == len(set(world.taken))
    # An id that was not noted belongs to a job that nothing can know: that of
    # each of the two that the flats begin.
    assert len(world.requests) <= len(JOBS) + 2


def test_a_collection_that_is_stopped_leaves_the_jobs_pending() -> None:
    world = Later()
    session(world)

    async def work() -> RunReport:
        procedure = world.procedure(RELEASED, resume=True)
        task = asyncio.create_task(procedure.run())
        await asyncio.sleep(20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return procedure.report

    report = virtually(work())
    assert not world.aborted
    assert {name for name, outcome in outcomes(report).items() if outcome is Outcome.PENDING} == JOBS
    assert session(world, resume=True).complete


def test_a_stop_while_frames_are_taken_leaves_submitted_jobs_running() -> None:
    world = Later()

    async def work() -> RunReport:
        procedure = world.procedure(RELEASED)
        task = asyncio.create_task(procedure.run())
        # The biases are taken, and their job is submitted.
        await asyncio.sleep(15)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return procedure.report

    report = virtually(work())
    assert outcomes(report)["verify BIAS"] is Outcome.PENDING
    assert outcomes(report)["verify FLAT"] is Outcome.ABORTED
    assert len(world.running) == 1 and not world.aborted


def test_frames_are_inspected_when_results_are_collected() -> None:
    world = Later(spoilt={"BIAS 3/4, 0 s": {"noise": 60.0}})
    report = session(world)
    assert not world.measured and not report.judgements
    report = session(world, resume=True)
    (bias,) = (one for one in report.judgements if one.series.name == "BIAS")
    assert bias.spoilt


def test_a_journal_of_a_run_before_release_is_read() -> None:
    world = World()
    session(world, ATTACHED % "")
    record = read_record(world.journal)
    data = to_json(record)
    for job in data["jobs"]:
        del job["submitted"]
    read = read_record(json.dumps(data))
    assert read == record and read.jobs[0].submitted is None
    assert replace(read.jobs[0], submitted=1.0) == record.jobs[0]


def problems(text: str) -> Iterator[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, LATISS)
    yield from (str(problem) for problem in caught.value.problems if problem.key == "release")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("generate_calibrations: true", "generate_calibrations makes calibrations"),
        ("do_defects: true", "do_defects makes calibrations"),
        ("do_verify: false", "there is no verification whose result could be collected"),
        ("spoilt_frames: exclude", "measures all frames before the jobs begin"),
    ],
)
def test_what_must_wait_for_its_jobs_is_refused(text: str, why: str) -> None:
    (problem,) = problems(f"release: true\n{text}\n")
    assert why in problem and "write" in problem


def test_the_plan_announces_the_time_of_the_script_not_that_of_its_jobs() -> None:
    attached, released = (make_plan(parse(text, LATISS), LATISS) for text in (ATTACHED % "", RELEASED))
    assert released.duration < attached.duration - 60
    assert any("calibscripts finish" in notice for notice in released.notices)


def test_a_released_job_that_a_bad_detector_has_blocked_is_submitted_again_without_it() -> None:
    # Given a job that was left to itself, and fails for one of nine detectors
    world = Later(instrument=LSSTCOMCAM, blocked={"verifyBias": {4}})
    text = "{script_mode: BIAS, n_bias: 3, incomplete: certify_rest%s}"
    assert outcomes(session(world, text % ", release: true"))["verify BIAS"] is Outcome.PENDING
    # when its result is collected,
    report = session(world, "{resume: run, release: false}", resume=True)
    # then the others are verified, and what has ended is not aborted.
    assert outcomes(report)["verify BIAS"] is Outcome.PASSED
    assert world.requests["verifyBias-2"].detectors == (0, 1, 2, 3, 5, 6, 7, 8)
    assert not world.aborted
    (text,) = report.repeats
    assert text.startswith("verify BIAS: its job made nothing; submitted again without 1 of 9 detectors")
    assert [each.detector for each in report.stages[-1].bad_detectors] == [4]
