# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure in a world of a few lines, in virtual time."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

import pytest
from lsst.ts.calibrationscripts.codec import read_document, to_json
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import JobPlan, JobRequest
from lsst.ts.calibrationscripts.ports import (
    CameraError,
    IngestReport,
    ObservatoryError,
    PreconditionError,
)
from lsst.ts.calibrationscripts.report import RunReport
from virtual_time import virtually
from world import World

CHAIN = "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15}"


def run(world: World, text: str) -> RunReport:
    """Run a configuration; see that nothing is left running."""

    async def work() -> RunReport:
        procedure = world.procedure(text)
        try:
            await procedure.run()
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not world.running
        return procedure.report

    return virtually(work())


def outcomes(report: RunReport) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in report.stages}


def test_the_chain_ends_certified() -> None:
    world = World()
    report = run(world, CHAIN)
    assert report.state == "DONE" and report.complete
    assert outcomes(report) == {
        "expose BIAS": Outcome.PASSED,
        "expose DARK": Outcome.PASSED,
        "generate BIAS": Outcome.PASSED,
        "verify BIAS": Outcome.PASSED,
        "certify BIAS": Outcome.CERTIFIED,
        "generate DARK": Outcome.PASSED,
        "verify DARK": Outcome.PASSED,
        "certify DARK": Outcome.CERTIFIED,
    }
    # A dark is made only once the bias is certified.
    assert world.time_of("start cpDark") >= world.time_of("certified bias")
    assert [c.dataset_type for c in report.certifications] == ["bias", "dark"]
    assert report.certifications[0].source == "u/ocps/cpBias"
    # The discarded frame is taken and kept out of the jobs.
    assert len(report.exposures["BIAS"]) == 4
    assert str(report.discarded["BIAS"][0]) not in world.requests["cpBias"].data_query


def test_processing_runs_beside_the_next_exposures() -> None:
    world = World(job_times={"verifyBias": 30})
    run(world, "")
    assert world.time_of("end verifyBias") < world.time_of("DARK 23/23, 30 s")
    assert world.time_of("start verifyDark") < world.time_of("FLAT 21/21, 5 s")


def test_a_bias_that_fails_verification_holds_back_the_dark() -> None:
    # Given biases that all fail; the bias is judged while darks are taken
    world = World(failing_types=frozenset({"BIAS"}), job_times={"cpBias": 5, "verifyBias": 5})
    report = run(world, CHAIN)
    # Then the script is DONE, nothing is certified, and the cause is told
    assert report.state == "DONE" and not report.complete
    assert outcomes(report)["verify BIAS"] is Outcome.HELD
    for name in ("certify BIAS", "generate DARK", "verify DARK", "certify DARK"):
        result = next(result for result in report.stages if result.name == name)
        assert result.outcome is Outcome.SKIPPED
        assert "verify BIAS ended HELD: 3 of 3 exposures fail NOISE" in result.reason
    assert world.certified == []
    # and darks that nothing can use any more are not taken
    skipped = next(result for result in report.stages if result.name == "expose DARK")
    assert skipped.outcome is Outcome.SKIPPED and "1 of 4 frames taken" in skipped.reason
    assert any("failed verification and will not be certified." in text for _, text in world.log)


def test_external_verification_of_one_type_does_not_touch_the_others() -> None:
    world = World(failing_types=frozenset({"BIAS"}))
    report = run(world, "")
    assert outcomes(report)["verify BIAS"] is Outcome.HELD
    assert outcomes(report)["verify DARK"] is Outcome.PASSED
    assert outcomes(report)["measure GAIN"] is Outcome.PASSED
    assert len(world.taken) == 65
    assert not any("certified" in text for _, text in world.log)


def test_a_job_that_fails_is_an_outcome_with_its_log() -> None:
    world = World(exit_codes={"cpBias": 1})
    report = run(world, CHAIN)
    failed = next(result for result in report.stages if result.name == "generate BIAS")
    assert failed.outcome is Outcome.FAILED
    assert failed.reason == "job cpBias ended with exit code 1"
    assert (failed.job_id, failed.collection, failed.log) == ("cpBias", "u/ocps/cpBias", "/log/cpBias")
    assert outcomes(report)["certify DARK"] is Outcome.SKIPPED
    assert any(level == "error" and "/log/cpBias" in text for level, text in world.log)


@pytest.mark.parametrize("job", ["cpBias", "verifyBias"])
def test_a_job_that_drops_an_exposure_in_silence_is_found_out(job: str) -> None:
    world = World(dropped={job: {2026112300003}})
    report = run(world, CHAIN)
    failed = [result for result in report.stages if result.outcome is Outcome.FAILED]
    assert [result.job_id for result in failed] == [job]
    assert "left out 1 of 3 exposures without a message: 2026112300003" in failed[0].reason
    assert world.certified == []


def test_without_verification_the_report_says_so() -> None:
    report = run(World(), "{script_mode: BIAS, generate_calibrations: true, do_verify: false}")
    assert report.stages[-1].outcome is Outcome.CERTIFIED
    assert report.stages[-1].reason == "not verified: do_verify is False"


def test_a_certification_that_fails_is_an_outcome() -> None:
    world = World(certify_error=ObservatoryError("the disk is full"))
    report = run(world, CHAIN)
    assert outcomes(report)["certify BIAS"] is Outcome.FAILED
    assert outcomes(report)["generate DARK"] is Outcome.SKIPPED
    assert report.certifications == ()


@pytest.mark.parametrize(
    "ingest, text",
    [
        (IngestReport(missing=(2026112300002,)), "not in the Butler: exposure(s) 2026112300002"),
        (
            IngestReport(failures=((2026112300002, "status 1, bad header"),)),
            "could not ingest exposure 2026112300002: status 1, bad header",
        ),
    ],
)
def test_frames_that_are_not_ingested_are_named_and_not_processed(ingest: IngestReport, text: str) -> None:
    world = World(ingest=ingest)
    report = run(world, "")
    assert text in report.stages[0].reason
    assert outcomes(report)["expose BIAS"] is Outcome.FAILED
    assert outcomes(report)["verify BIAS"] is Outcome.SKIPPED
    assert outcomes(report)["verify DARK"] is Outcome.PASSED


def test_a_discarded_frame_that_is_not_ingested_does_no_harm() -> None:
    world = World(ingest=IngestReport(missing=(2026112300001,)))
    report = run(world, "script_mode: BIAS")
    assert report.complete
    assert any("discarded anyway" in text for level, text in world.log if level == "warning")


def test_all_that_stands_in_the_way_is_told_before_the_first_exposure() -> None:
    world = World(problems=("ATCamera is in FAULT", "LATISS/calib does not exist"))
    with pytest.raises(PreconditionError, match=r"(?s)FAULT.*does not exist"):
        run(world, "")
    assert world.taken == []


def test_pipelines_are_looked_at_before_the_first_exposure() -> None:
    class Pipelines:
        async def check(self, jobs: Sequence[JobPlan]) -> tuple[str, ...]:
            # Of all jobs of the plan, those that make and that verify.
            assert len(jobs) == 4
            return tuple(f"no task {job.options[1]}" for job in jobs if "isrr:x=1" in job.options)

    world = World(pipelines=Pipelines())
    text = 'script_mode: BIAS_DARK\ngenerate_calibrations: true\nconfig_options_dark: "-c isrr:x=1"'
    with pytest.raises(PreconditionError, match=r"^no task isrr:x=1$"):
        run(world, text)
    assert world.taken == []
    # Where they are nowhere to be read, nothing is said of them.
    assert run(World(), text).complete


def test_the_pipelines_of_jobs_that_are_done_are_not_looked_at() -> None:
    looked_at: list[int] = []

    class Pipelines:
        async def check(self, jobs: Sequence[JobPlan]) -> tuple[str, ...]:
            looked_at.append(len(jobs))
            return ()

    world = World(pipelines=Pipelines())
    text = "{script_mode: BIAS, generate_calibrations: true}"
    assert run(world, text).complete
    virtually(world.procedure(text, resume=True).run())
    assert looked_at == [2, 0]


def test_a_camera_failure_fails_the_run_and_aborts_its_jobs() -> None:
    # Given a camera that fails on the third dark while biases are verified
    world = World(exposure_error=("DARK 3/", CameraError("shutter stuck")), job_times={"verifyBias": 1000})
    with pytest.raises(CameraError, match="shutter stuck"):
        run(world, "")
    assert world.aborted == ["verifyBias"]


def test_a_stop_leaves_no_job_and_a_whole_report() -> None:
    async def work() -> tuple[World, RunReport]:
        world = World(job_times={"verifyBias": 1000})
        procedure = world.procedure("")
        task = asyncio.create_task(procedure.run())
        world.on_checkpoint = lambda name: task.cancel() if name.startswith("FLAT 2/") else None
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return world, procedure.report

    world, report = virtually(work())
    assert report.state == "STOPPED"
    assert world.aborted == ["verifyBias"] or "verifyBias" in world.aborted
    assert not world.running
    assert outcomes(report)["verify FLAT"] is Outcome.ABORTED
    assert len(report.exposures["DARK"]) == 23
    assert read_document(json.dumps(to_json(report))).report == report


class _Silent(World):
    """A job service that acknowledges no abort, and no job but the first."""

    async def submit(self, request: JobRequest) -> str:
        if self.requests:
            self.note("unanswered")
            await asyncio.sleep(3600)
        return await super().submit(request)

    async def abort(self, job_id: str) -> None:
        self.note(f"aborting {job_id}")
        await asyncio.sleep(3600)


def test_a_stop_ends_though_neither_jobs_nor_camera_answer() -> None:
    """The script queue gives a script 11 s, of which this is 5 (ts_scriptqueue
    688c7ad, script_queue.py: do_stopScripts)."""

    async def work() -> tuple[_Silent, RunReport, float]:
        # Given a job that runs, one that is not acknowledged, and a flat
        # whose shutter is open
        world = _Silent(job_times={"verifyBias": 1000})
        text = (
            "{n_dark: 3, exp_times_dark: 5, n_flat: 3, exp_times_flat: 300, do_gain_from_flat_pairs: false}"
        )
        procedure = world.procedure(text)
        task = asyncio.create_task(procedure.run())
        stopped_at = 0.0

        def stop(event: str) -> None:
            nonlocal stopped_at
            if event == "unanswered":
                stopped_at = asyncio.get_running_loop().time() + 30
                asyncio.get_running_loop().call_at(stopped_at, task.cancel)

        world.on_event = stop
        with pytest.raises(asyncio.CancelledError):
            await task
        took = asyncio.get_running_loop().time() - stopped_at
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return world, procedure.report, took

    world, report, took = virtually(work())
    assert took == pytest.approx(5, abs=0.1)
    assert report.state == "STOPPED"
    # Then the abort was asked for at once, and what may still run is named
    errors = [text for kind, text in world.log if kind == "error"]
    assert errors == [
        "No time left to abort job(s) verifyBias and 1 that the job service has not acknowledged: what the "
        "job service did not answer may still run."
    ]


def test_a_stop_does_not_wait_for_a_journal_whose_disk_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> tuple[World, float]:
        world = World()
        procedure = world.procedure("{script_mode: BIAS, n_bias: 3}")
        task = asyncio.create_task(procedure.run())
        stopped_at = 0.0

        async def hang() -> None:
            await asyncio.sleep(3600)

        def stop(name: str) -> None:
            nonlocal stopped_at
            if name == "BIAS 2/4, 0 s":
                monkeypatch.setattr(procedure._recorder._journal, "flush", hang)
                stopped_at = asyncio.get_running_loop().time()
                task.cancel()

        world.on_checkpoint = stop
        with pytest.raises(asyncio.CancelledError):
            await task
        return world, asyncio.get_running_loop().time() - stopped_at

    world, took = virtually(work())
    assert took < 2
    assert ("error", "The journal /journal/run.json is not written: its disk hangs.") in world.log


def test_a_stop_during_a_certification_waits_for_it() -> None:
    async def work() -> tuple[World, RunReport]:
        world = World()
        procedure = world.procedure("{script_mode: BIAS, generate_calibrations: true, n_bias: 3}")
        task = asyncio.create_task(procedure.run())
        world.on_event = lambda event: task.cancel() if event == "certifying bias" else None
        with pytest.raises(asyncio.CancelledError):
            await task
        return world, procedure.report

    world, report = virtually(work())
    assert len(world.certified) == 1
    assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED
    assert len(report.certifications) == 1


def test_a_journal_that_fails_after_a_certification_leaves_the_run_done() -> None:
    world = World()

    def fill_the_disk(event: str) -> None:
        if event == "writing the journal" and world.certified:
            raise ObservatoryError("the journal cannot be written: No space left on device")

    world.on_event = fill_the_disk
    report = run(world, CHAIN)
    assert report.state == "DONE" and report.complete
    assert len(report.certifications) == 2
    # That is said once, with what it means.
    (error,) = [text for kind, text in world.log if kind == "error"]
    assert error.endswith("No space left on device. The run continues; it cannot be resumed from here.")


def test_checkpoints_say_what_is_done_and_how_far() -> None:
    world = World()
    run(world, "")
    assert "DARK 7/23, 15 s" in world.checkpoints
    assert world.checkpoints[-1] == "Processing, 7/7 stages ended"


def test_checkpoints_say_how_long_it_takes_once_all_frames_are_taken() -> None:
    world = World()
    run(world, "")
    shown = [name for name in world.checkpoints if name.startswith("Processing, ")]
    lefts = []
    for name in shown[:-1]:
        found = re.fullmatch(r"Processing, \d/7 stages ended, about (\d):(\d\d):(\d\d) left", name)
        assert found, name
        hours, minutes, seconds = map(int, found.groups())
        lefts.append(3600 * hours + 60 * minutes + seconds)
    assert len(lefts) > 1 and sorted(lefts, reverse=True) == lefts and lefts[-1] > 0
    # What one pauses or stops at is the name of a frame, without it.
    assert not [name for name in world.checkpoints if "left" in name and name not in shown]


def test_gains_are_reported_per_pair_and_amplifier() -> None:
    world = World()
    report = run(world, "{script_mode: FLAT, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}")
    assert [(gain.exposures, gain.exp_time) for gain in report.gains] == [
        ((2026112300002, 2026112300003), 1.0),
        ((2026112300004, 2026112300005), 2.0),
    ]
    assert any("C00: 1.200" in text for _, text in world.log)


TWO_SETS = """
generate_calibrations: true
n_bias: 3
n_dark: 3
exp_times_dark: 5
flat_sets:
  - {filter: SDSSr_65mm, grating: empty_1, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}
  - {filter: empty_1, grating: SDSSy_65mm, n_flat: 3, exp_times_flat: 5}
"""


def test_every_flat_set_is_taken_through_its_own_filter_and_grating() -> None:
    world = World()
    report = run(world, TWO_SETS)
    assert report.complete
    r, y = "FLAT SDSSr_65mm~empty_1", "FLAT empty_1~SDSSy_65mm"
    assert world.time_of(f"set up {y}") == world.time_of(f"{r} 5/5, 2 s")
    assert [(c.dataset_type, c.physical_filter) for c in report.certifications] == [
        ("bias", None),
        ("dark", None),
        ("flat", "SDSSr_65mm~empty_1"),
        ("flat", "empty_1~SDSSy_65mm"),
    ]
    assert {subject.name for subject in report.verdicts} == {"BIAS", "DARK", r, y}
    # Exposures are told by image type, gains of each set's own pairs.
    assert len(report.exposures["FLAT"]) == 5 + 4
    assert [gain.exposures for gain in report.gains] == [
        (2026112300010, 2026112300011),
        (2026112300012, 2026112300013),
        (2026112300015, 2026112300016),
    ]
    assert all(gain.reference == 1.25 for gain in report.gains)


def test_a_ptc_is_certified_without_verification_where_there_is_none() -> None:
    text = "{pipeline_generation: 2022, do_ptc: true, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}"
    report = run(World(), text)
    certified = next(result for result in report.stages if result.name == "certify PTC")
    assert certified.reason == "not verified itself, only its frames"
    assert len(report.gains) == 2


def test_current_pipelines_verify_a_ptc_before_it_is_certified() -> None:
    text = "{pipeline_generation: current, do_ptc: true, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}"
    held = run(World(failing_types=frozenset({"PTC"})), text)
    assert outcomes(held)["verify PTC"] is Outcome.HELD
    assert outcomes(held)["certify PTC"] is Outcome.SKIPPED
    assert outcomes(run(World(), text))["certify PTC"] is Outcome.CERTIFIED


def test_flats_are_pairs_by_the_times_that_their_shutter_was_open() -> None:
    # Given a camera whose exposure time in the Butler is SHUTTIME (obs_lsst
    # 0e84d755, LsstCamTranslator.to_exposure_time), and two flats whose times
    # differ by 6 ms then, of which cp_pipe makes no pair
    text = "{script_mode: FLAT, n_flat: 4, exp_times_flat: [5, 5, 6, 6]}"
    shutter = {"FLAT 2/5, 5 s": 5.004, "FLAT 3/5, 5 s": 4.998, "FLAT 4/5, 6 s": 6.002}
    headers = {label: {"exp_time": exp_time} for label, exp_time in shutter.items()}
    report = run(World(headers=headers), text)
    # then a gain is waited for of the others alone.
    assert outcomes(report)["measure GAIN"] is Outcome.PASSED
    assert [(gain.exposures[0] % 10, gain.exp_time) for gain in report.gains] == [(4, 6.002)]


def test_gains_that_differ_from_the_reference_are_held() -> None:
    # Given pairs whose gain is 20 % off that of the reference ptc
    world = World(gain=1.5)
    text = "{script_mode: FLAT, n_flat: 4, exp_times_flat: [1, 1, 2, 2]%s}"
    held = run(world, text % "")
    assert outcomes(held)["measure GAIN"] is Outcome.HELD
    assert "DIFFERENCE (1)" in held.stages[-1].reason
    # then the observer may still want them without verification.
    assert outcomes(run(World(gain=1.5), text % ", do_verify: false"))["measure GAIN"] is Outcome.PASSED
