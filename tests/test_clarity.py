# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an observer reads fits the screen, and says what helps."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import io
import itertools
import os
import re
import shlex
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts import deciding
from lsst.ts.calibrationscripts.cli import _display, _script, main
from lsst.ts.calibrationscripts.cli._program import run_until_signal
from lsst.ts.calibrationscripts.config import CalibrationConfig, parse
from lsst.ts.calibrationscripts.deciding import WaitingProduct
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.files.tail import last_lines
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, ImageType, Pace
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
from lsst.ts.calibrationscripts.plan import make_plan, time_left
from lsst.ts.calibrationscripts.ports import CameraError, IngestReport, ObservatoryError
from lsst.ts.calibrationscripts.procedure import remaining
from lsst.ts.calibrationscripts.products import StageKind
from lsst.ts.calibrationscripts.record import Decision, DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import (
    RunDocument,
    RunReport,
    conclusion,
    defects_text,
    fold,
    fold_command,
    gains_text,
    itinerary,
    next_steps,
    products,
    resumable,
    summary_text,
    verdict_text,
)
from lsst.ts.calibrationscripts.report._times import folded_times
from lsst.ts.calibrationscripts.simulation.ccd import FocalPlane
from lsst.ts.calibrationscripts.simulation.pace import as_simulated
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from lsst.ts.calibrationscripts.verification import judge
from named import BIAS, stage
from test_release import Later, session
from test_verification import AMPLIFIERS, failures, run_statistics
from virtual_time import virtually
from world import World

BEGIN = datetime.datetime(2026, 11, 23, 14, 0, tzinfo=datetime.UTC)
JOURNAL = "/home/saluser/.local/state/ts_calibrationscripts/20261123T063036-100000.journal.json"
RUN_ID = "20261123T063036-100000"
LOG = "/scratch/uws/jobs/f43ca49fb15c47a5939a23e3bca23047/out/ocps.log"

SHUFFLED = [0.2 + 3.71 * ((7 * k) % 30) for k in range(30) for _ in range(2)]
APART = [0.2 + 3.71 * k for k in range(30)] * 2
DATES = 'certify_calib_begin_date: "2026-11-23T12:00:00"\ncertify_calib_end_date: "2026-11-24T12:00:00"\n'
FOUR_FILTERS = ", ".join(f"{{filter: SDSS{band}_65mm, grating: ronchi90lpmm}}" for band in "griz")
CONFIGURATIONS = {
    "daily": "",
    "ptc of 60 shuffled flats": f"n_flat: 60\nexp_times_flat: {SHUFFLED}\nfilter: SDSSr_65mm\ndo_ptc: true",
    "pairs that are apart": f"n_flat: 60\nexp_times_flat: {APART}\nfilter: SDSSr_65mm",
    "four filters": f"flat_sets: [{FOUR_FILTERS}]\ngenerate_calibrations: true\ndo_defects: true\n{DATES}",
    "four filters and their gains": f"flat_sets: [{FOUR_FILTERS}]\ndo_gain_from_flat_pairs: true",
}


def too_wide(text: str, width: int = 80) -> list[str]:
    """Return the lines that are too long, unless a path is that long."""
    lines = [line for line in text.splitlines() if len(line) > width]
    return [line for line in lines if max(map(len, line.split())) < width - 12]


# Lines of 80 columns


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("width", [80, 100])
def test_no_line_of_a_plan_is_wider_than_the_terminal(name: str, width: int) -> None:
    config = parse(CONFIGURATIONS[name], LATISS)
    assert too_wide(itinerary(config, make_plan(config, LATISS, BEGIN), LATISS, BEGIN, width), width) == []


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_commands_print_a_configuration_in_80_columns(name: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(CONFIGURATIONS[name])
    for command in ("plan", "validate"):
        result = CliRunner().invoke(main, [command, str(file)], env={"COLUMNS": "80"})
        assert result.exit_code == 0
        assert too_wide(result.output) == []


@pytest.mark.parametrize("camera", INSTRUMENTS)
def test_no_line_of_what_a_run_found_is_wider_than_80(camera: str) -> None:
    # Given a camera of one, nine or 189 detectors, of which some fail
    detectors = INSTRUMENTS[camera].detectors
    found = [f"{one.name} {amplifier} NOISE" for one in detectors for amplifier in one.amplifiers]
    statistics = run_statistics({2026112300000 + i: found[i:] for i in range(1, 21)})
    verdict = judge(statistics, BIAS, n_detectors=len(detectors))
    job = "u/ocps/2e6735eb525b417f9f205a8312793702"
    pairs = [(2026112300001 + 2 * i, 2026112300002 + 2 * i) for i in range(3)]
    gains = tuple(
        Gain(pair, 5.0, one.id, amplifier, 1.234, 7.0, 1.2)
        for pair in pairs
        for one in detectors
        for amplifier in one.amplifiers
    )
    areas = tuple(AmplifierDefects(amplifier, 10**6, 123_456, 12_345, 1_234) for amplifier in AMPLIFIERS)
    defects = tuple(
        DetectorDefects(one.id, "uuid", 1234, areas, PreviousDefects("uuid", job, 1200)) for one in detectors
    )
    for text in (
        verdict_text(verdict, generation_collection=job, verification_collection=job, asks=True),
        gains_text(gains, "FLAT SDSSr_65mm~ronchi90lpmm"),
        defects_text(defects),
    ):
        assert too_wide(text) == []


def held_report(**changes: Any) -> RunReport:
    """Return a run of four filters whose biases are held."""
    verdict = judge(
        run_statistics({2026112300002 + i: failures("NOISE") for i in range(3)}), BIAS, n_detectors=1
    )
    because = "verify BIAS ended HELD: 3 of 3 exposures fail NOISE; at most 2 may fail"
    parts = [f"FLAT SDSS{band}_65mm~ronchi90lpmm" for band in "griz"]
    job = "u/ocps/2e6735eb525b417f9f205a8312793702"
    report = RunReport(
        RunState.DONE,
        run_id=RUN_ID,
        journal=JOURNAL,
        exposures={"BIAS": (2026112300001, 2026112300002, 2026112300003, 2026112300004)},
        discarded={"BIAS": (2026112300001,)},
        stages=(
            StageResult(stage("expose BIAS"), Outcome.PASSED, "4 frames"),
            StageResult(stage("generate BIAS"), Outcome.PASSED, "", "1", job, LOG),
            StageResult(
                stage("verify BIAS"),
                Outcome.HELD,
                "3 of 3 exposures fail NOISE; at most 2 may fail",
                "2",
                job,
                LOG,
            ),
            *(StageResult(stage(f"generate {part}"), Outcome.SKIPPED, because) for part in parts),
        ),
        verdicts={BIAS: verdict},
        certifications=tuple(
            Certification(
                "flat", job, "LATISS/calib/daily", "2026-11-23T12:00:00", "2026-11-24T12:00:00", part[5:]
            )
            for part in parts
        ),
        config={"generate_calibrations": True, "pipeline_generation": "2022"},
    )
    return dataclasses.replace(report, **changes)


def failed_job(**changes: Any) -> StageResult:
    result = StageResult(
        stage("generate BIAS"),
        Outcome.FAILED,
        "job f43ca49fb15c47a5939a23e3bca23047 ended with exit code 1",
        "f43ca49fb15c47a5939a23e3bca23047",
        "u/ocps/f43ca49fb15c47a5939a23e3bca23047",
        LOG,
        log_tail=("LookupError: There are no tasks labeled 'isr' in the pipeline", "It ended."),
    )
    return dataclasses.replace(result, **changes)


@pytest.mark.parametrize("resume_command", ["", f"calibscripts simulate --workdir w --resume {RUN_ID}"])
def test_no_line_of_a_summary_is_wider_than_80(resume_command: str) -> None:
    held = held_report(resume_command=resume_command)
    failed = held_report(stages=(failed_job(), *held.stages), resume_command=resume_command)
    for report in (held, failed, dataclasses.replace(failed, state=RunState.FAILED, reason="x" * 30)):
        assert too_wide(summary_text(report)) == []


def test_no_line_of_what_waits_is_wider_than_80(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = "0 of 12 exposures failed; worse than that of LATISS/calib/reference: noise in 16 amplifier(s)"
    waiting = WaitingProduct(
        RUN_ID, BIAS, seen, 0.0, "LATISS/calib/daily.20261123", *["2026-11-23T12:00:00"] * 2
    )
    monkeypatch.setattr(deciding, "waiting_in", lambda folder, skipped: [waiting])
    result = CliRunner().invoke(main, ["decide", "--journals", "w/journal"])
    assert too_wide(result.output) == []
    # And the command that it names goes to the same folder
    command = " ".join(result.output.replace("\\\n", "").split())
    assert f"calibscripts decide {RUN_ID} accept|reject BIAS --journals w/journal" in command


def test_a_run_that_does_not_exist_does_not_merely_wait_for_nothing(tmp_path: Path) -> None:
    # Given a folder with a run of which nothing waits
    FileJournal(tmp_path, RUN_ID).write(RunRecord(RUN_ID, {}))
    asked = CliRunner().invoke(main, ["decide", "--journals", str(tmp_path), RUN_ID])
    assert asked.exit_code == 0 and f"Nothing of run {RUN_ID} waits" in asked.output
    misspelt = CliRunner().invoke(main, ["decide", "--journals", str(tmp_path), "20261126"])
    assert misspelt.exit_code == 2 and f"the newest there: {RUN_ID}" in misspelt.output


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([0.0] * 21, "21 x 0 s"),
        ([5.0] * 5 + [15.0] * 2, "5 x 5 s, 2 x 15 s"),
        ([1.0, 1.0, 3.0, 3.0, 2.0, 2.0, 9.0, 9.0], "4 pairs: 1, 3, 2, 9 s"),
        ([1.0] + [t for t in (1.0, 2.0, 3.0, 4.0) for _ in "ab"], "3 x 1 s, 3 pairs: 2, 3, 4 s"),
        ([t for t in (1.0, 2.0, 3.0, 4.0, 5.0) for _ in "ab"], "5 pairs from 1 to 5 s in steps of 1 s"),
        ([0.1, 5.0] * 10, "10 x (1 x 0.1 s, 1 x 5 s)"),
        ([4.0, 1.0, 3.0, 2.0], "4 times: 4, 1, 3, 2 s"),
    ],
)
def test_equal_and_paired_times_are_told_together(times: list[float], told: str) -> None:
    assert ", ".join(folded_times(times)) == told


def test_what_is_folded_loses_nothing_and_keeps_what_is_quoted() -> None:
    text = "write a longer configuration, with as many words as it takes, and 'resume: 20261123T063036-1'."
    assert " ".join(fold(text, 40).split()) == text
    assert "'resume: 20261123T063036-1'." in fold(text, 40)


def test_what_cannot_be_broken_stays_indented() -> None:
    path = "/scratch/" + "x" * 80
    assert fold(f"        log {path}") == f"        log\n            {path}"
    assert fold(f"    {path} is long") == f"    {path}\n        is long"


def test_a_folded_command_can_be_pasted() -> None:
    words = ["calibscripts", "simulate", "--workdir", f"/data/{'long/' * 12} it's", "--resume", RUN_ID]
    text = fold_command(words)
    assert len(text.splitlines()) > 1
    assert shlex.split(text.replace("\\\n", "")) == words


# What to do


def test_a_run_that_took_no_frame_is_to_be_run_again_and_not_resumed() -> None:
    # Given a camera that fails at the first frame
    world = World(exposure_error=("BIAS 1/4", CameraError("ATCamera went to FAULT.")))
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true}")
    with pytest.raises(CameraError):
        virtually(procedure.run())
    report = procedure.report
    assert next_steps(report) == ("No frame was taken. Correct it and run again.",)
    assert not resumable(report)
    summary = world.log[-1][1]
    assert "resume" not in summary and "Journal" not in summary
    # And the cause is said once, there and on the page
    assert summary.count("ATCamera went to FAULT") == 1
    assert [product.text for product in products(report)] == ["expose BIAS"]
    assert conclusion(report) == "The script ended FAILED: ATCamera went to FAULT"
    assert '<p class="banner failed">' in run_page(RunDocument(report))


def test_a_run_that_took_a_frame_is_to_be_resumed() -> None:
    world = World(exposure_error=("BIAS 3/4", CameraError("ATCamera went to FAULT.")))
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3}")
    with pytest.raises(CameraError):
        virtually(procedure.run())
    assert resumable(procedure.report)
    assert "resume the run with the configuration 'resume: run'" in next_steps(procedure.report)[-1]


def test_a_journal_that_could_not_be_written_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a disk that is full from the beginning
    world = World()
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3}")

    def full(record: RunRecord) -> None:
        raise ObservatoryError("the journal /journal/run.json cannot be written: disk full")

    monkeypatch.setattr(procedure._world.journal, "write", full)
    virtually(procedure.run())
    assert procedure.report.journal == ""
    assert "Journal:" not in world.log[-1][1]


def test_a_held_product_says_in_the_log_what_helps() -> None:
    world = World(failing_types=frozenset({"BIAS"}))
    virtually(world.procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true}").run())
    summary = " ".join(world.log[-1][1].split())
    assert "suspect the frames (light, voltages, sequencer)" in summary


def test_a_failed_job_says_how_its_log_ends_and_what_to_write() -> None:
    world = World(exit_codes={"cpBias": 1})
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true}")
    virtually(procedure.run())
    [failure] = [text for level, text in world.log if level == "error"]
    assert re.search(r"\nThe last lines of its log:\n    Traceback .*\n    ValueError: \S+ is bad", failure)
    [first, last] = next_steps(procedure.report)
    assert "is bad." in first
    assert "If an option of the job helps, write it as config_options_bias when you resume." in first
    assert "'resume: run'. Changes of the configuration are written beside it." in last
    # And what is written so is accepted
    parse("resume: run\nconfig_options_bias: '-c x:y=1'", LATISS, lambda run_id, folder: {}, _current)


def _current(repo: str) -> tuple[str, str]:
    return "current", "said so"


def test_frames_that_never_came_are_left_out_by_a_configuration_that_is_accepted() -> None:
    lost = StageResult(stage("expose BIAS"), Outcome.FAILED, "not in the Butler", missing=(2026112300003,))
    step = next_steps(held_report(stages=(lost,), verdicts={}))[0]
    assert "exposure(s) 2026112300003 never came into the Butler" in step
    written = re.findall(r"write (exposures: \{.*\})", step)[0]
    others = "generate_calibrations: true\ncalib_collection: LATISS/calib/new\n"
    config = parse(f"{written}\n{others}{DATES}", LATISS)
    assert [series.exposures for series in config.series] == [(2026112300002, 2026112300004)]
    parse(f"resume: {RUN_ID}\noods_timeout: 600", LATISS, lambda run_id, folder: {}, _current)


def test_a_lost_frame_of_one_of_several_sets_is_left_out_by_a_configuration() -> None:
    # Given two sets of flats, of which the second lacks a frame
    world = World(ingest=IngestReport(missing=(2026112300031,)))
    sets = "[{filter: SDSSr_65mm}, {filter: SDSSg_65mm}]"
    procedure = world.procedure(f"{{script_mode: FLAT, flat_sets: {sets}}}")
    virtually(procedure.run())
    [step] = [step for step in next_steps(procedure.report) if "never came" in step]
    # When it is resumed with what the step says, while the frame is still lost
    [written] = re.findall(r"'(without: \[\d+\])' when you resume", step)
    again = world.procedure(f"resume: run\n{written}", resume=True)
    virtually(again.run())
    # Then both sets are verified, each as far as it is there
    assert again.report.complete
    [second] = [verdict for subject, verdict in again.report.verdicts.items() if "SDSSg" in subject.part]
    assert len(second.results) == 19 and 2026112300031 not in {each.exposure for each in second.results}


def test_a_simulated_run_names_the_command_that_resumes_it() -> None:
    command = f"calibscripts simulate --workdir w --resume {RUN_ID}"
    steps = next_steps(held_report(stages=(failed_job(),), verdicts={}, resume_command=command))
    assert command in steps[-1]
    assert not any("resume: " in step for step in steps)


def test_what_is_certified_though_worse_or_waits_is_said_at_once() -> None:
    # Given frames of which new images leave more noise than those in use
    world = World(residual=9.0)
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true}")
    virtually(procedure.run())
    assert conclusion(procedure.report) == (
        "Everything that was asked for passed; BIAS is worse than what was in use"
    )
    assert "BIAS: worse than that of " in summary_text(procedure.report)
    # And one that waits for a person, with the command that decides it
    world = World()
    procedure = world.procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true, certify: ask}")
    virtually(procedure.run())
    assert conclusion(procedure.report).endswith("passed; BIAS waits for a person to accept")
    assert "calibscripts decide run --journals /journal" in " ".join(summary_text(procedure.report).split())


def test_what_is_certified_though_worse_has_its_remedy_whatever_else_is_held() -> None:
    # Given new images that are worse than those in use
    procedure = World(residual=9.0).procedure("{script_mode: BIAS, n_bias: 3, generate_calibrations: true}")
    virtually(procedure.run())
    # When gains of the same run are held
    held = StageResult(stage("measure GAIN"), Outcome.HELD, "SPREAD (2)")
    report = dataclasses.replace(procedure.report, stages=(*procedure.report.stages, held))
    # Then how to undo it is said first
    first, *others = next_steps(report)
    assert first.startswith("BIAS: see how it compares") and "calibscripts decertify run BIAS" in first
    assert any(step.startswith("GAIN") for step in others)


def test_resuming_is_not_proposed_for_what_a_person_has_undone() -> None:
    # Given a run that is resumed after its bias was decertified
    world = World()
    procedure = world.procedure("{script_mode: BIAS, n_bias: 5, generate_calibrations: true}")
    virtually(procedure.run())
    certification = procedure.report.certifications[0]
    undone = Decision(DecisionKind.DECERTIFY, BIAS, "ann@host", 0.0, "bad", "", certification)
    assert undone.result is not None
    held = StageResult(stage("measure GAIN"), Outcome.HELD, "SPREAD (2)")
    stages = tuple(undone.result if one.name == "certify BIAS" else one for one in procedure.report.stages)
    report = dataclasses.replace(
        procedure.report, stages=(*stages, held), decisions=(undone,), journal="/journal/run.json"
    )
    # Then it is not said that a resumed run would certify it
    assert not resumable(report)
    assert "stays held, unless the configuration is changed" in next_steps(report)[-1]


def test_the_log_says_what_to_do_about_spoilt_frames_that_passed() -> None:
    procedure = World().procedure("{script_mode: BIAS, n_bias: 5}")
    virtually(procedure.run())
    ids = tuple(procedure.report.exposures[ImageType.BIAS])
    spoilt = SeriesJudgement(BIAS, ids, (Mark(ids[2], MarkKind.LEVEL, "it is brighter"),))
    report = dataclasses.replace(procedure.report, judgements=(spoilt,))
    assert report.complete
    assert "BIAS: see which frames are spoilt. They were used." in " ".join(summary_text(report).split())


def test_a_run_that_verified_nothing_is_not_called_passed() -> None:
    report = held_report(
        stages=(StageResult(stage("certify BIAS"), Outcome.CERTIFIED),),
        verdicts={},
        config={"generate_calibrations": True, "do_verify": False},
    )
    assert (
        conclusion(report)
        == "Everything that was asked for was made; nothing was verified (do_verify: false)"
    )


# What an observer sees first

_B = "{script_mode: BIAS, n_bias: 5%s}"
_MADE = _B % ", generate_calibrations: true, calib_collection: LATISS/calib/new%s"
_CAMERA = CameraError("ATCamera went to FAULT. Check ATCamera")
_LOST = IngestReport(missing=(2026112300003,))
ENDINGS: dict[str, tuple[World, str, str, str]] = {
    "passed": (World(), _B % "", "Everything that was asked for passed.", "Nothing to do."),
    "certified": (World(), _MADE % "", "Everything that was asked for passed.", "Nothing to do."),
    "certified, though worse": (
        World(residual=9.0),
        _MADE % "",
        "Everything that was asked for passed; BIAS is worse than what was in use.",
        "BIAS: see how it compares with the one that was in use. If that one is to be used, undo it: "
        "'calibscripts decertify run BIAS",
    ),
    "waits": (
        World(),
        _MADE % ", certify: ask",
        "Everything that was asked for passed; BIAS waits for a person to accept.",
        "Look at BIAS, then accept or reject: calibscripts decide run",
    ),
    "released": (
        Later(),
        _B % ", release: true",
        "Everything is taken, and 1 job(s) are submitted; their results are still to come.",
        "Collect the results with 'calibscripts finish run",
    ),
    "held": (
        World(failing_types=frozenset({"BIAS"})),
        _B % "",
        "Not everything passed: 1 HELD.",
        "BIAS: the frames differ from the reference calibrations. See which amplifiers and exposures fail",
    ),
    "a job failed": (
        World(exit_codes={"verifyBias": 1}),
        _B % "",
        "Not everything passed: 1 FAILED.",
        "verify BIAS failed: read its log, /log/verifyBias. It ends: ValueError: verifyBias is bad.",
    ),
    "a frame was lost": (
        World(ingest=_LOST),
        _B % "",
        "Not everything passed: 1 FAILED, 1 SKIPPED.",
        "expose BIAS: exposure(s) 2026112300003 never came into the Butler.",
    ),
    "the camera failed before a frame": (
        World(exposure_error=("BIAS 1/", _CAMERA)),
        _B % "",
        "The script ended FAILED: ATCamera went to FAULT. Check ATCamera.",
        "No frame was taken. Correct it and run again.",
    ),
    "the camera failed after a frame": (
        World(exposure_error=("BIAS 3/", _CAMERA)),
        _B % "",
        "The script ended FAILED: ATCamera went to FAULT. Check ATCamera.",
        "Once the cause is fixed, resume the run with the configuration 'resume: run'.",
    ),
    "it could not begin": (
        World(problems=("the disk is full",)),
        _B % "",
        "The script ended FAILED: the disk is full.",
        "Nothing was begun. Correct it and run again.",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_observer_sees_first_how_it_ended_and_what_to_do(name: str) -> None:
    world, text, first, step = ENDINGS[name]
    report = session(world, text)
    summary = " ".join(summary_text(report).split())
    assert summary.startswith(first)
    assert next_steps(report)[0].startswith(step)
    # The last lines of the log, and of the terminal, say the same
    done = step == "Nothing to do."
    assert done or step in summary
    last = " ".join(_display.closing_text(report).split())
    state = f"the script ended {report.state}"
    assert (state if report.state != "DONE" else first[1:]) in last


# The end of a log


def test_the_end_of_a_log_begins_with_what_was_wrong(tmp_path: Path) -> None:
    log = tmp_path / "ocps.log"
    log.write_text(
        "x\n" * 99_999 + 'Traceback:\n  File "a.py", line 1\nlsst.pipe.MyError: bad\x1b[2J\n\nThe end\n'
    )
    assert last_lines(log) == ("lsst.pipe.MyError: bad [2J", "The end")
    log.write_text("".join(f"line {i}\n" for i in range(99)))
    assert last_lines(log) == tuple(f"line {i}" for i in range(93, 99))


def test_what_is_no_log_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file, error in ((tmp_path / "none", OSError), (tmp_path / "pipe", ValueError), (tmp_path, OSError)):
        with pytest.raises((error, IsADirectoryError, ValueError)):
            last_lines(file)


# The terminal


class Terminal(io.StringIO):
    """Something that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def config_and_plan(text: str) -> tuple[CalibrationConfig, Any]:
    config = parse(text, LATISS)
    return config, make_plan(config, LATISS)


def test_the_end_of_a_run_names_it_its_report_and_how_to_resume_it() -> None:
    words = ("calibscripts", "simulate", "--workdir", "w", "--resume", RUN_ID)
    failed = held_report(state=RunState.FAILED, reason="the cause")
    text = _display.closing_text(failed, "/j/run.html", words)
    assert text.splitlines()[1:] == ["Report: /j/run.html", "To resume it:", "    " + " ".join(words)]
    assert f"Run {RUN_ID}: the script ended FAILED." in text
    # In red, and the cause is not said again
    assert "\x1b[31m" in text and "the cause" not in text
    # What is held stays held: nothing is to be resumed
    assert "To resume it" not in _display.closing_text(held_report(), "/j/run.html", words)


@pytest.mark.parametrize("is_said", [True, False])
def test_why_a_script_could_not_be_configured_is_said_once(
    capsys: pytest.CaptureFixture[str], *, is_said: bool
) -> None:
    reason = "calib_collection LATISS/calib has calibrations already: " + "write another one, " * 6
    result: Any = SimpleNamespace(state="CONFIGURE_FAILED", reason=reason)
    config = parse("script_mode: BIAS", LATISS)
    report = _script._ended(result, None, config, "", lambda run_id: (), reason_is_said=is_said)
    assert (report.state, report.reason) == (RunState.CONFIGURE_FAILED, reason)
    shown = capsys.readouterr().err
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.startswith("The script ended CONFIGURE_FAILED")
    assert ("calibrations already" in " ".join(shown.split())) is not is_said
    assert shown.endswith("Nothing was begun. Correct it and run again.\n")


def test_the_verdict_goes_to_stdout_though_progress_goes_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a terminal that shows progress, while stdout is a file
    terminal = Terminal()
    console = _display.Console(file=terminal, force_terminal=True, width=80)
    monkeypatch.setattr(_display, "Console", lambda stderr: console)
    _, plan = config_and_plan("{script_mode: BIAS, n_bias: 3}")
    with _display.ProgressWatcher(plan) as watcher:
        watcher.print("BIAS exposures failed verification.", error=False)
        watcher.print("the job failed", error=True)
        print("from elsewhere")
        assert not watcher.covers_log
    assert capsys.readouterr().out == "BIAS exposures failed verification.\nfrom elsewhere\n"
    assert "the job failed" in terminal.getvalue()
    # And the terminal shows the whole, with the time that is left
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert re.search(r"all stages .* 0/2 .* about 0:0\d:\d\d left", shown)
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80


def test_the_time_that_is_left_falls_to_nothing() -> None:
    _, plan = config_and_plan("generate_calibrations: true")
    whole = time_left(plan, {}, set(), set())
    assert whole == pytest.approx(plan.duration)
    lefts = [whole]
    for n in range(1, len(plan.exposures) + 1):
        lefts.append(time_left(plan, {}, set(), set(plan.exposures[:n])))
    ended = set()
    for each in plan.stages:
        ended.add(each.id)
        lefts.append(time_left(plan, {}, ended, set(plan.exposures)))
    assert all(later <= earlier for earlier, later in itertools.pairwise(lefts))
    assert lefts[-1] == 0.0
    # A stage that runs counts for what is left of it, however late it is
    verify = next(each for each in plan.stages if each.kind is StageKind.VERIFY)
    before = {each.id for each in plan.stages} - {verify.id}
    assert time_left(plan, {verify.id: 100.0}, before, set()) == pytest.approx(verify.duration - 100.0)
    assert time_left(plan, {verify.id: 1e6}, before, set()) == pytest.approx(verify.duration / 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_acknowledged_at_once(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append(capsys.readouterr().err)
            os.kill(os.getpid(), number)
            said = ""
            for _ in range(200):
                await asyncio.sleep(0.05)
                if said := capsys.readouterr().err:
                    break
            told.append(said)
            raise

    assert run_until_signal(work()) is None
    assert told == ["Stopping.\n", "Stopping already: a moment, please.\n"]


# What a simulation takes


def test_the_plan_of_a_simulation_has_its_sizes_and_times() -> None:
    config = parse("{script_mode: BIAS, n_bias: 12}", LATISS)
    real = make_plan(config, LATISS)
    instrument = as_simulated(FocalPlane(LATISS, scale=8), 0.01)
    plan = make_plan(config, instrument)
    # Raw frames of 1.29 MB and processed ones of 1.03 MB were found on disk
    assert instrument.raw_size == pytest.approx(1_287_360, rel=0.01)
    assert instrument.processed_size == pytest.approx(1_033_920, rel=0.01)
    assert "about 29 MB" in itinerary(config, plan, instrument, BEGIN)
    assert plan.duration < 15 < real.duration
    # Frames are as far apart as their headers say, whatever they take
    assert [frame.duration for frame in plan.exposures] == [frame.duration for frame in real.exposures]


def test_what_is_left_of_a_run_scales_with_its_pace() -> None:
    slow = dataclasses.replace(LATISS, pace=Pace(exposing=0.5))
    config = parse("{script_mode: DARK, n_dark: 3, exp_times_dark: 10, do_verify: false}", LATISS)
    plan = make_plan(config, slow)
    assert plan.duration == pytest.approx(4 * 12 * 0.5)
    assert remaining(plan, config, RunRecord("1", {})).duration == pytest.approx(plan.duration)
