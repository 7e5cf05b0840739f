# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of spoilt frames in a run, in a world of a few lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.codec import read_document, read_record, write_document
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.ports import IngestReport, ObservatoryError
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, conclusion, next_steps, summary_text
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind
from named import BIAS, DARK, unfolded
from test_resume import outcomes, raise_at, run
from virtual_time import virtually
from world import Killed, World

CHAIN = (
    "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 6, n_dark: 6, exp_times_dark: 15, "
    "spoilt_frames: %s}"
)
LEAK: dict[str, Any] = {"level": 50.0}
SPOILT = {"DARK 4/7, 15 s": LEAK, "BIAS 3/7, 0 s": {"saturated": 0.4}}
BAD_BIAS, BAD_DARK = 2026112300003, 2026112300011


def exposures_of(world: World, job_id: str) -> list[int]:
    return [int(text) for text in re.findall(r"\d{13}", world.requests[job_id].data_query)]


def of_level(world: World, level: str) -> str:
    return "\n".join(text for kind, text in world.log if kind == level)


def test_by_default_a_spoilt_frame_is_named_and_used() -> None:
    world = World(spoilt=SPOILT)
    report = run(world, CHAIN % "report")

    assert report.complete
    assert BAD_BIAS in exposures_of(world, "cpBias") and BAD_DARK in exposures_of(world, "cpDark")
    assert (
        "DARK: 1 of 6 frames is spoilt and used; 'spoilt_frames: exclude' leaves such frames "
        f"out:\n    exposure {BAD_DARK} LIGHT_LEAK: level 50 ADU, which is not within 1.2 of 1 ADU in "
        "detector 0 C00"
    ) in of_level(world, "warning")
    assert "; 2 spoilt frame(s), of which 0 left out" in conclusion(report)
    # And the observer is asked to look at them
    assert [step.partition(":")[0] for step in next_steps(report)] == ["BIAS", "DARK"]


def test_nothing_is_made_from_frames_that_are_left_out() -> None:
    world = World(spoilt=SPOILT)
    report = run(world, CHAIN % "exclude")

    # Then every job of the series is without them, and the rest is certified
    assert report.complete
    for job_id, bad in (("cpBias", BAD_BIAS), ("verifyBias", BAD_BIAS), ("cpDark", BAD_DARK)):
        assert bad not in exposures_of(world, job_id) and len(exposures_of(world, job_id)) == 5
    assert [len(proof.frames) for proof in world.proofs] == [5, 5]
    # And no other frame was taken for them
    assert len(world.taken) == 14


def everything_said(world: World, report: RunReport) -> dict[str, str]:
    return {
        "log": of_level(world, "warning"),
        "summary": summary_text(report),
        "page": run_page(RunDocument(report)),
        "json": write_document(RunDocument(report)),
        "journal": world.journal,
    }


def test_what_is_left_out_is_said_everywhere() -> None:
    world = World(spoilt=SPOILT)
    report = run(world, CHAIN % "exclude")

    for text in everything_said(world, report).values():
        assert str(BAD_DARK) in text and "LIGHT_LEAK" in text and "SATURATED" in text
    assert "left out of everything that is made" in of_level(world, "warning")
    assert "of which 2 left out" in conclusion(report)
    assert next_steps(report) == ("Nothing to do.",)
    expose = next(result for result in report.stages if result.name == "expose DARK")
    assert expose.reason == "7 frames, 1 left out as spoilt"
    # And programs get it back as it was
    assert read_document(write_document(RunDocument(report))).report == report
    record = read_record(world.journal)
    judgement = record.judgement_of(DARK)
    assert judgement is not None and judgement.excluded == (BAD_DARK,)
    assert judgement.marks[0].kind is MarkKind.LIGHT_LEAK


def test_a_good_run_says_nothing_of_spoilt_frames() -> None:
    world = World()
    report = run(world, CHAIN % "exclude")

    assert [judgement.marks for judgement in report.judgements] == [(), ()]
    for text in (*everything_said(world, report).values(), conclusion(report)):
        assert "spoilt frame" not in text.lower() and "left out" not in text
    # And discarded frames are not looked at
    assert "BIAS 1/7, 0 s" not in world.measured and len(world.measured) == 12


def test_too_few_frames_are_never_left() -> None:
    # Given three darks, of which one has light
    world = World(spoilt={"DARK 3/4, 15 s": LEAK})
    report = run(world, CHAIN.replace("n_dark: 6", "n_dark: 3") % "exclude")

    assert len(exposures_of(world, "cpDark")) == 3
    why = "DARK: 1 of 3 frames are spoilt: only 2 would be left, and at least 3 are needed, so all are used"
    assert why in of_level(world, "warning") and why in unfolded(summary_text(report))


@pytest.mark.parametrize("mode", ["report", "exclude"])
def test_frames_that_cannot_be_measured_cost_a_warning_and_no_more(mode: str) -> None:
    world = World(spoilt=SPOILT, unreadable={"DARK 5/7, 15 s"})
    report = run(world, CHAIN % mode)

    # Then the others are judged nevertheless
    assert report.complete
    assert "DARK: not known whether it is spoilt: could not measure" in of_level(world, "warning")
    assert "OSError: bad block" in unfolded(summary_text(report))
    assert [mark.exposure for mark in report.judgements[1].marks] == [BAD_DARK]


def test_a_defect_of_the_judge_costs_a_warning_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr("lsst.ts.calibrationscripts.procedure._inspector.judge_frames", fail)
    world = World()

    assert run(world, CHAIN % "exclude").complete
    assert "the frames were not judged: ZeroDivisionError: of nothing" in of_level(world, "warning")


def test_measuring_that_takes_too_long_is_given_up() -> None:
    world = World(measure_time=110)
    report = run(world, CHAIN % "exclude")

    assert report.complete
    assert "only 2 of 6 frames were measured within 300 s" in of_level(world, "warning")


WRONG = {"DARK 4/7, 15 s": {"exp_time": 30.0}}


def test_a_wrong_header_fails_its_series_unless_such_frames_are_left_out() -> None:
    said = f"exposure {BAD_DARK} has 30 s in the Butler, not 15 s"
    world = World(headers=WRONG)
    report = run(world, CHAIN % "report")
    assert outcomes(report)["expose DARK"] is Outcome.FAILED
    assert said in unfolded(summary_text(report))

    world = World(headers=WRONG)
    report = run(world, CHAIN % "exclude")
    assert report.complete
    assert f"exposure {BAD_DARK} HEADER: has 30 s in the Butler, not 15 s" in unfolded(summary_text(report))
    assert BAD_DARK not in exposures_of(world, "cpDark")


def test_frames_that_are_not_what_was_asked_for_are_not_called_used() -> None:
    world = World(headers=WRONG)
    report = run(world, CHAIN % "report")

    said = everything_said(world, report)
    for text in (said["log"], unfolded(said["summary"]), said["page"]):
        assert "DARK: 1 of 6 frames is not what was asked for, and nothing is made of the series" in text
        assert "spoilt and used" not in text and "They were used" not in text
    # And there is one step for it, which helps
    steps = [step for step in next_steps(report) if "DARK" in step]
    assert len(steps) == 1 and f"Write 'without: [{BAD_DARK}]' when you resume" in steps[0]
    again = world.procedure(f"resume: run\nwithout: [{BAD_DARK}]", resume=True)
    virtually(again.run())
    assert again.report.complete


def test_frames_of_several_series_are_left_out_by_one_line() -> None:
    # Given two series, one with a lost frame, one with a wrong one
    lost = 2026112300003
    world = World(headers=WRONG, ingest=IngestReport(missing=(lost,)))
    report = run(world, "{script_mode: BIAS_DARK, n_bias: 6, n_dark: 6, exp_times_dark: 15}")
    written = {text for step in next_steps(report) for text in re.findall(r"'(without: \[.*?\])'", step)}
    # Then what both steps propose is the same line, and leaves out both
    assert written == {f"without: [{lost}, {BAD_DARK}]"}
    again = world.procedure(f"resume: run\n{written.pop()}", resume=True)
    virtually(again.run())
    assert again.report.complete


def test_a_wrong_header_is_never_used_though_too_few_frames_are_left() -> None:
    world = World(headers={"DARK 3/4, 15 s": {"exp_time": 30.0}})
    report = run(world, CHAIN.replace("n_dark: 6", "n_dark: 3") % "exclude")

    assert outcomes(report)["expose DARK"] is Outcome.FAILED
    assert "cpDark" not in world.requests


# Retakes


def test_frames_are_taken_again_only_as_often_as_allowed() -> None:
    # Given three spoilt darks, of which two may be taken again
    spoilt = {f"DARK {i}/9, 15 s": LEAK for i in (3, 4, 6)}
    world = World(spoilt=spoilt)
    report = run(world, CHAIN.replace("n_dark: 6", "n_dark: 8") % "exclude, retakes: 2")

    # Then two follow the series at once, and are processed
    assert world.taken[-2:] == ["DARK 10/10, 15 s", "DARK 11/11, 15 s"]
    assert len(exposures_of(world, "cpDark")) == 7
    assert report.repeats == (
        "DARK 3/9, 15 s: exposure 2026112300010 is spoilt; taken again",
        "DARK 4/9, 15 s: exposure 2026112300011 is spoilt; taken again",
    )
    assert report.complete and len(report.judgements[1].judged) == 10


def test_a_replacement_may_be_spoilt_and_is_not_taken_again() -> None:
    world = World(spoilt={"DARK 4/7, 15 s": LEAK, "DARK 8/8, 15 s": LEAK})
    report = run(world, CHAIN % "exclude, retakes: 3")

    assert len(world.taken) == 15
    assert report.judgements[1].excluded == (BAD_DARK, 2026112300015)


def test_no_frame_is_taken_again_for_good_ones() -> None:
    world = World()
    run(world, CHAIN % "exclude, retakes: 3")

    assert len(world.taken) == 14


# Resuming


def test_a_resumed_run_keeps_the_marks_and_measures_nothing_again() -> None:
    # Given a run that failed after its frames were judged
    world = World(spoilt=SPOILT, exit_codes={"cpDark": 1})
    assert not run(world, CHAIN % "exclude").complete
    measured = list(world.measured)

    # When it is resumed, and the frames would be judged otherwise now
    world.spoilt = {}
    report = run(world, CHAIN % "exclude", resume=True)

    # Then they are the same frames as before, and jobs that ended well stay
    assert report.complete and world.measured == measured
    assert list(world.requests) == ["cpBias", "verifyBias", "cpDark", "cpDark-2", "verifyDark"]
    assert BAD_DARK not in exposures_of(world, "cpDark-2")
    assert BAD_DARK in [mark.exposure for mark in report.judgements[1].marks]


def test_a_resumed_run_does_not_certify_frames_that_others_have_marked_since() -> None:
    # Given a run that ended before it certified its biases, from all of them
    world = World(on_event=raise_at("certifying bias", ObservatoryError("the repository")))
    text = "{script_mode: BIAS, generate_calibrations: true, n_bias: 6, spoilt_frames: exclude}"
    assert not run(world, text).complete and BAD_BIAS in exposures_of(world, "cpBias")

    # When a person marks one in another run before it is resumed
    world.on_event, measured = None, list(world.measured)
    world.noted = (Mark(BAD_BIAS, MarkKind.PERSON, "a lamp was on", by="ann", run="other"),)
    report = run(world, text, resume=True)

    # Then the bias is made anew without it
    assert report.complete and world.measured == measured
    assert BAD_BIAS not in exposures_of(world, "cpBias-2")
    (proof,) = report.proofs
    assert proof.generation.job_id == "cpBias-2" and BAD_BIAS not in proof.verified_exposures
    assert "a lamp was on (left out by ann) (noted by run other)" in of_level(world, "warning")
    # And a further session finds nothing new
    requests = list(world.requests)
    assert run(world, text, resume=True).complete and list(world.requests) == requests


def test_what_is_certified_is_not_made_anew_for_a_mark_of_others() -> None:
    world = World(exit_codes={"cpDark": 1})
    assert outcomes(run(world, CHAIN % "exclude"))["certify BIAS"] is Outcome.CERTIFIED
    world.exit_codes = {}
    world.noted = (Mark(BAD_BIAS, MarkKind.PERSON, "a lamp was on", by="ann", run="other"),)
    report = run(world, CHAIN % "exclude", resume=True)

    assert report.complete and "cpBias-2" not in world.requests
    assert (
        "BIAS: certified from frames that other runs have marked since: exposure 2026112300003 PERSON: "
        "a lamp was on (left out by ann) (noted by run other). To undo that: 'calibscripts decertify "
    ) in of_level(world, "warning")


def test_what_is_certified_is_not_certified_elsewhere_once_others_have_marked_its_frames() -> None:
    world = World()
    text = "{script_mode: BIAS, generate_calibrations: true, n_bias: 6, spoilt_frames: exclude}"
    assert run(world, text).complete
    world.noted = (Mark(BAD_BIAS, MarkKind.PERSON, "a lamp was on", by="ann", run="other"),)
    report = run(world, "{resume: run, calib_collection: LATISS/calib/other}", resume=True)

    # Then it is not made so by an earlier certification for something else
    assert outcomes(report)["certify BIAS"] is Outcome.FAILED
    assert [each.collection for each in world.certified] == ["LATISS/calib/daily"]
    (result,) = (result for result in report.stages if result.name == "certify BIAS")
    assert "it is made from frames that other runs have marked since" in result.reason


def test_what_is_made_beside_something_certified_is_not_certified_from_marked_frames() -> None:
    # Given flats that are certified, and a curve of these that is not
    text = (
        "{generate_calibrations: true, do_ptc: true, spoilt_frames: exclude, n_bias: 3, n_dark: 3, "
        "exp_times_dark: 5, do_gain_from_flat_pairs: false, n_flat: 6, exp_times_flat: [1, 1, 2, 2, 3, 3]}"
    )
    world = World(exit_codes={"cpPtc": 1})
    assert outcomes(run(world, text))["certify FLAT"] is Outcome.CERTIFIED
    world.exit_codes = {}
    spoilt = next(i for i, (label, _) in world.exposures.items() if label.startswith("FLAT 3/"))
    world.noted = (Mark(spoilt, MarkKind.PERSON, "a lamp was on", by="ann", run="other"),)
    report = run(world, text, resume=True)

    # Then the curve is not certified, and the flats stay
    assert outcomes(report)["certify FLAT"] is Outcome.CERTIFIED
    assert outcomes(report)["certify PTC"] is Outcome.FAILED
    reason = next(result.reason for result in report.stages if result.name == "certify PTC")
    assert "PTC is not certified: it is made from frames that other runs have marked since" in reason
    assert [each.dataset_type for each in world.certified] == ["bias", "dark", "flat"]


def test_a_resumed_run_may_leave_out_what_was_used() -> None:
    # Given that nothing is certified yet that was made from it
    world = World(spoilt={"DARK 4/7, 15 s": LEAK}, exit_codes={"cpDark": 1})
    run(world, CHAIN % "report")
    report = run(world, CHAIN % "exclude", resume=True)

    assert BAD_DARK not in exposures_of(world, "cpDark-2")
    assert "left out of everything that is made" in unfolded(summary_text(report))


@pytest.mark.parametrize("event", ["taking DARK 8/8, 15 s", "DARK 8/8, 15 s", "start cpDark"])
def test_a_frame_is_taken_again_once_whenever_the_run_is_killed(event: str) -> None:
    world = World(spoilt=SPOILT, on_event=raise_at(event, Killed()))
    run(world, CHAIN % "exclude, retakes: 2")
    world.on_event = None

    report = run(world, CHAIN % "exclude, retakes: 2", resume=True)

    assert report.complete
    assert world.taken.count("DARK 8/8, 15 s") == 1 and len(world.taken) == 16
    assert len(exposures_of(world, list(world.requests)[-1])) == 6
    assert read_record(world.journal).judgement_of(BIAS) is not None


# On the simulated observatory


def simulate(tmp_path: Path, config: dict[str, Any], *faults: str) -> dict[str, Any]:
    """Run a configuration in a program of its own; return its JSON."""
    file, out = tmp_path / "config.yaml", tmp_path / "run.json"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()", "simulate"]
    arguments = [file, "--workdir", tmp_path / "w", "--scale", 16, "--json", out]
    for fault in faults:
        arguments += ["--fault", fault]
    result = subprocess.run(
        command + [str(arg) for arg in arguments], capture_output=True, text=True, timeout=1500, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return {"log": result.stdout, **json.loads(out.read_text())}


SMALL = {
    "script_mode": "BIAS_DARK_FLAT",
    "n_bias": 5,
    "n_dark": 5,
    "exp_times_dark": 15,
    "n_flat": 5,
    "generate_calibrations": True,
    "calib_collection": "LATISS/calib/daily/spoilt",
    "do_verify": False,
    "do_gain_from_flat_pairs": False,
    "n_processes": 1,
    "spoilt_frames": "exclude",
}


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_products_of_the_simulated_observatory_are_made_without_spoilt_frames(tmp_path: Path) -> None:
    # Given a bias, a dark and a flat that are spoilt
    data = simulate(tmp_path, SMALL, "saturated-bias:4", "light-leak:3", "lamp-fails:6")

    # Then just these are named, and left out of what is certified
    bad = {name: data["exposures"][name][place] for name, place in (("BIAS", 3), ("DARK", 2), ("FLAT", 5))}
    kinds = {"BIAS": "SATURATED", "DARK": "LIGHT_LEAK", "FLAT": "LAMP"}
    for judgement in data["judgements"]:
        name = judgement["product"]
        assert [(mark["exposure"], mark["kind"]) for mark in judgement["marks"]] == [(bad[name], kinds[name])]
        assert judgement["excluded"] == [bad[name]]
        assert f"exposure {bad[name]} {kinds[name]}" in data["log"]
    used = {proof["product"]: [frame["exposure"] for frame in proof["frames"]] for proof in data["proofs"]}
    for name, exposures in used.items():
        assert exposures == [i for i in data["exposures"][name][1:] if i != bad[name]]
    # And no other frame was taken for them
    assert [len(ids) for ids in data["exposures"].values()] == [6, 6, 6]


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_simulated_camera_takes_a_spoilt_frame_again(tmp_path: Path) -> None:
    config = SMALL | {"script_mode": "BIAS", "retakes": 1}
    data = simulate(tmp_path, config, "saturated-bias:4")

    assert len(data["exposures"]["BIAS"]) == 7
    assert data["repeats"] == [
        f"BIAS 4/6, 0 s: exposure {data['exposures']['BIAS'][3]} is spoilt; taken again"
    ]
    assert len(data["proofs"][0]["frames"]) == 5
