# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands, as they are used in a shell."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.cli._common import instrument_of_workdir
from lsst.ts.calibrationscripts.cli._display import access_hint
from lsst.ts.calibrationscripts.cli._examine import Examiner
from lsst.ts.calibrationscripts.cli._inputs import Configuration, Input
from lsst.ts.calibrationscripts.cli._simulated import Settings, SimulatedRuns
from lsst.ts.calibrationscripts.cli.runs import _resuming, _resuming_one
from lsst.ts.calibrationscripts.config import load_schema, parse
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, Detector
from lsst.ts.calibrationscripts.outcomes import Certification
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from lsst.ts.calibrationscripts.proof import FrameRecord, Proof
from lsst.ts.calibrationscripts.record import JobRecord, RunRecord
from lsst.ts.calibrationscripts.report import RunReport
from named import unfolded


def calibscripts(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def in_shell(*args: object, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    return subprocess.run(
        command + [str(arg) for arg in args], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "config.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def test_a_valid_configuration_is_called_so(write: Any) -> None:
    result = calibscripts("validate", write("n_bias: 30"))
    assert result.exit_code == 0
    assert result.stdout.endswith("config.yaml: valid\n")


def test_all_problems_are_listed_at_once_on_stderr(write: Any) -> None:
    result = calibscripts("validate", write("exp_times_flats: 30\nn_dark: 5\noods_timeout: -1\n"))
    assert result.exit_code == 2
    assert result.stdout == ""
    for text in ("exp_times_flats", "did you mean exp_times_flat", "n_dark: 5", "oods_timeout: -1"):
        assert text in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["validate", "simulate", "run"])
def test_a_file_that_does_not_exist_gives_no_traceback(command: str, tmp_path: Path) -> None:
    result = calibscripts(command, tmp_path / "nothing.yaml")
    assert result.exit_code == 2
    assert "nothing.yaml: cannot be read" in unfolded(result.stderr)


def test_the_plan_of_the_daily_default() -> None:
    text = calibscripts("plan").stdout
    assert "65 exposures" in text and "5 x 5 s, 2 x 15 s, 16 x 30 s" in text
    plan = json.loads(calibscripts("plan", "--json").stdout)
    assert plan["n_exposures"] == 65
    assert {"name", "needs"} <= set(plan["stages"][0])


def test_the_plan_of_an_invalid_configuration_is_its_problems(write: Any) -> None:
    assert calibscripts("plan", write("n_bias: many")).exit_code == 2


def test_the_schema_is_printed_as_it_is_written() -> None:
    assert yaml.safe_load(calibscripts("schema").stdout) == load_schema(LATISS)


@pytest.mark.parametrize("command", ["validate", "plan", "schema", "run", "simulate"])
def test_an_instrument_without_a_script_is_refused(command: str, write: Any) -> None:
    arguments = [] if command == "schema" else [write("n_bias: 3")]
    result = calibscripts(command, "--instrument", "Elsewhere", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--instrument Elsewhere: unknown; write one of LATISS, LSSTComCam, LSSTCam\n"


def test_a_new_work_folder_is_of_latiss_and_any_other_of_its_camera(tmp_path: Path) -> None:
    assert instrument_of_workdir(tmp_path) is LATISS
    (tmp_path / "repo").mkdir()
    kind = {"instrument": "LSSTComCam", "scale": 8, "seed": 1, "generation": "current"}
    (tmp_path / "repo" / "simulation.json").write_text(json.dumps(kind))
    assert instrument_of_workdir(tmp_path) is INSTRUMENTS["LSSTComCam"]


def test_the_hint_opens_what_was_certified_of_the_instrument() -> None:
    # Given a run of the second detector of a camera
    camera = dataclasses.replace(
        LATISS, name="Duo", detectors=(Detector(0, "R00_S00"), Detector(1, "R00_S01"))
    )
    report = RunReport("DONE", config={"detectors": [1]}, proofs=(a_proof("bias", 2026112500001),))
    # Then the command that is shown asks for it
    hint = access_hint(report, Path("repo"), camera)
    assert hint is not None
    assert "get('bias', instrument='Duo', detector=1, exposure=2026112500002)" in hint
    assert access_hint(RunReport("DONE"), Path("repo"), camera) is None


def test_no_hint_is_shown_whose_command_fails() -> None:
    # Given a bias for dates without its frames, and a flat of the first of
    # two sets; the frames of the other came last
    outside = a_proof("bias", 2026112500001, end_date="2026-11-24")
    flat = a_proof("flat", 2026112500011)
    exposures = {"BIAS": (2026112500001,), "FLAT": (2026112500011, 2026112500012, 2026112500021)}
    report = RunReport("DONE", config={"detectors": []}, exposures=exposures, proofs=(outside, flat))
    # Then what is shown is the flat, by a frame that was taken through its
    # filter
    hint = access_hint(report, Path("repo"), LATISS)
    assert hint is not None
    assert "get('flat', instrument='LATISS', detector=0, exposure=2026112500012)" in hint
    # And nothing where no frame would find anything.
    assert access_hint(dataclasses.replace(report, proofs=(outside,)), Path("repo"), LATISS) is None


def a_proof(dataset_type: str, first: int, end_date: str = "2026-11-26") -> Proof:
    """Return the proof of a product of two frames, taken on 2026-11-25."""
    day = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC).timestamp()
    subject = Subject(Product(dataset_type.upper()))
    request = JobRequest("pipeline.yaml", ("Duo/calib",), (), "Duo", (0,), (first, first + 1))
    return Proof(
        subject,
        Certification(dataset_type, "u/ocps/1", "Duo/calib/daily", "2026-11-23", end_date),
        datasets=(),
        frames=tuple(FrameRecord(first + i, subject.product, "", day + i, day + i) for i in range(2)),
        generation=JobRecord(StageId(StageKind.GENERATE, subject), "1", request),
        verification=None,
        verdicts=(),
    )


FAILING_STATISTICS = {i: {"FAILURES": [f"RXX_S00 C{k:02o} NOISE" for k in range(16)]} for i in (1, 2, 3)}
PASSING_STATISTICS = {i: {"SUCCESS": True} for i in (1, 2, 3)}


class TestVerdict:
    """``calibscripts verdict`` on saved run statistics."""

    def test_a_pass_exits_0_and_a_failure_3(self, write: Any) -> None:
        result = calibscripts(
            "verdict", write(yaml.safe_dump(PASSING_STATISTICS | {"SUCCESS": True})), "--type", "BIAS"
        )
        assert (result.exit_code, "passed" in result.stdout) == (0, True)
        result = calibscripts(
            "verdict", write(yaml.safe_dump(FAILING_STATISTICS | {"SUCCESS": False})), "--type", "BIAS"
        )
        assert result.exit_code == 3
        assert "Final number of exposures that failed verification: 3" in result.stdout

    def test_threshold_and_instrument_decide(self, write: Any) -> None:
        file = write(yaml.safe_dump(FAILING_STATISTICS))
        assert calibscripts("verdict", file, "--type", "DARK", "--threshold", 17).exit_code == 0
        # Of 197 detectors the majority passes, this one by itself does not.
        of_many = calibscripts("verdict", file, "--type", "DARK", "--instrument", "LSSTCam")
        assert "have failed" not in of_many.output and of_many.exit_code == 3
        assert calibscripts("verdict", file, "--type", "DARK", "--instrument", "Elsewhere").exit_code == 2

    def test_json_holds_the_numbers(self, write: Any) -> None:
        result = calibscripts(
            "verdict", write(yaml.safe_dump(FAILING_STATISTICS)), "--type", "BIAS", "--json"
        )
        data = json.loads(result.stdout)
        assert data["passed"] is False and data["n_failed_exposures"] == 3
        assert data["thresholds"]["failed_exposures"] == 3

    @pytest.mark.parametrize("text", ["", "- 1\n", "{1: [", "SUCCESS: true", "bias: {}", "a: !!python/x y"])
    def test_an_unusable_file_exits_2(self, write: Any, text: str) -> None:
        result = calibscripts("verdict", write(text), "--type", "BIAS")
        assert result.exit_code == 2
        assert "not usable as run statistics" in result.stderr


@pytest.mark.skipif(importlib.util.find_spec("lsst.ts.salobj") is not None, reason="SAL is installed here")
def test_run_without_sal_names_simulate(write: Any) -> None:
    result = in_shell("run", write("script_mode: BIAS"))
    assert result.returncode == 1
    assert "calibscripts simulate" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words", [["run"], ["finish", "20261126T093000-1", "--ocps"]], ids=lambda words: words[0]
)
def test_commands_on_sal_say_that_its_topics_have_no_name(
    words: list[str], write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBSCRIPTS_SAL", "local")
    monkeypatch.delenv("LSST_TOPIC_SUBNAME", raising=False)
    result = in_shell(*words, *([write("script_mode: BIAS")] if words == ["run"] else []))
    assert result.returncode == 2
    assert result.stderr == (
        "LSST_TOPIC_SUBNAME is not set, which salobj needs. Set it to that of the components.\n"
    )


@pytest.mark.parametrize(
    "text", ["", "script_mode: BIAS\n", "{script_mode: BIAS}", "# Daily\n{script_mode: BIAS, n_bias: 3}\n"]
)
def test_a_configuration_of_any_form_can_resume_a_run(text: str, tmp_path: Path) -> None:
    run_id = "20261126T093000-1"
    resuming = yaml.safe_load(_resuming(text, run_id, tmp_path))
    assert resuming == {**(yaml.safe_load(text) or {}), "resume": run_id}


@pytest.mark.parametrize("text", ["without: [2026112300003]", "{without: [2026112300003]}"])
def test_what_is_written_beside_resume_may_be_for_a_run_that_has_frames_alone(
    text: str, tmp_path: Path
) -> None:
    # As the next steps of a run propose it
    run_id = "20261126T093000-1"
    given = Input("w.yaml", (Configuration(text, LATISS),))
    [alone] = Examiner(forecasts=False).examine_all(given, datetime.datetime.now().astimezone())
    assert alone.problems
    [resuming] = _resuming_one([given], None, run_id, tmp_path)
    [one] = Examiner(forecasts=False).examine_all(resuming, datetime.datetime.now().astimezone())
    assert one.problems == () and one.config is not None
    assert (one.config.resume, one.config.without) == (run_id, (2026112300003,))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("n_bias: 3", ""), ("n_bias: 4", "n_bias: 4: resume uses the frames of that run; leave n_bias out")],
)
def test_the_file_of_a_run_may_be_given_again_to_resume_it(text: str, problem: str, tmp_path: Path) -> None:
    # Given the journal of a run of three biases in a work folder,
    run_id, runs = "20261126T093000-1", SimulatedRuns(tmp_path, Settings())
    config = parse("n_bias: 3", LATISS).to_dict()
    runs.journals.mkdir()
    FileJournal(runs.journals, run_id).write(RunRecord(run_id, config, instrument=LATISS.name))
    # when its file is given beside --resume,
    given = Input("day.yaml", (Configuration(text, LATISS),))
    [resuming] = _resuming_one([given], None, run_id, runs.journals)
    examiner = Examiner(runs.earlier_config, forecasts=False)
    [one] = examiner.examine_all(resuming, datetime.datetime.now().astimezone())
    # then it is accepted if it asks for the same frames.
    assert "".join(one.problems).removesuffix(" (line 1)") == problem


def test_what_cannot_be_read_stays_as_it_is_beside_resume(tmp_path: Path) -> None:
    for text in ("n_bias: [3", "- n_bias", "3"):
        assert _resuming(text, "20261126T093000-1", tmp_path) == text


SITE = {
    "wmsServiceClass": "lsst.ctrl.bps.parsl.ParslService",
    "computeSite": "here",
    "site": {"here": {"class": "lsst.ctrl.bps.parsl.sites.Local"}},
}


@pytest.mark.parametrize(
    ("site", "complaint"),
    [
        (SITE, ""),
        (SITE | {"computeSite": "there"}, "Parsl needs to know where it starts workers"),
        ({"site": {}}, "does not say which batch system"),
        ("a: [", "is not YAML"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "plan"])
def test_the_site_file_of_bps_is_read_where_it_is(
    command: str, site: Any, complaint: str, write: Any
) -> None:
    file = write(site if isinstance(site, str) else yaml.safe_dump(site), "site.yaml")
    config = write(f"{{script_mode: BIAS, job_service: bps, bps_config: {file}}}")
    result = calibscripts(command, config)
    assert result.exit_code == (2 if complaint else 0), result.output
    if complaint:
        assert "config.yaml: 1 problem in the configuration:" in result.stderr
        assert f"bps_config: {file}" in result.stderr and complaint in unfolded(result.stderr)


def test_a_site_file_that_is_on_another_machine_is_a_note(write: Any, tmp_path: Path) -> None:
    config = write(f"{{script_mode: BIAS, job_service: bps, bps_config: {tmp_path}/none.yaml}}")
    result = calibscripts("validate", config)
    assert result.exit_code == 0
    assert (
        f"note: bps_config: {tmp_path}/none.yaml is not checked, as it cannot be read here (No such file or "
        "directory)."
    ) in unfolded(result.stdout)


@pytest.mark.parametrize("args", [["validate"], ["schema"], ["plan", "--json"]])
def test_quick_commands_import_nothing_heavy(args: list[str], write: Any) -> None:
    if args == ["validate"]:
        args = ["validate", str(write("n_bias: 3"))]
    code = (
        "import sys; from lsst.ts.calibrationscripts.cli import main\n"
        f"main({args!r}, standalone_mode=False)\n"
        "heavy = {'numpy', 'astropy', 'lsst.daf.butler', 'lsst.ts.calibrationscripts.localsal'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def interrupted(config: Path, folder: Path, at: str, *signals: int) -> tuple[int, str, Any]:
    """Simulate; send signals as a terminal does, once a text is printed."""
    out = folder / "run.json"
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    arguments = ["simulate", str(config), "--workdir", str(folder / "w"), "--json", str(out)]
    with subprocess.Popen(
        command + arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdout is not None
        text = ""
        for line in program.stdout:
            text += line
            if at in line:
                break
        for number in signals:
            os.killpg(program.pid, number)
        text += program.communicate(timeout=280)[0]
    return program.returncode, text, json.loads(out.read_text())


@pytest.mark.slow
def test_a_signal_stops_the_run_and_aborts_its_jobs(write: Any, tmp_path: Path) -> None:
    config = write("script_mode: BIAS\nn_bias: 3\n")
    code, text, data = interrupted(config, tmp_path, "verify BIAS: job", signal.SIGTERM, signal.SIGINT)
    assert code == 1
    assert "Traceback" not in text
    assert data["state"] == "STOPPED"
    stages = {stage["name"]: stage for stage in data["stages"]}
    assert (stages["expose BIAS"]["outcome"], stages["verify BIAS"]["outcome"]) == ("PASSED", "ABORTED")
    assert f"Job {stages['verify BIAS']['job_id']} aborted." in text
    # It was acknowledged, and the end names the command that resumes it
    assert "Stopping: the frame under way is completed, and jobs are aborted." in text
    command = shlex.join(
        ["calibscripts", "simulate", "--workdir", str(tmp_path / "w"), "--resume", data["run_id"]]
    )
    assert f"To resume it: {command}" in " ".join(text.replace("\\\n", "").split())


@pytest.mark.slow
def test_a_signal_before_the_run_ends_it_in_good_order(write: Any, tmp_path: Path) -> None:
    config = write("script_mode: BIAS\nn_bias: 3\n")
    code, text, data = interrupted(config, tmp_path, "Starting", signal.SIGINT, signal.SIGTERM)
    assert code == 1
    assert "Traceback" not in text
    assert (data["state"], data["reason"]) == ("STOPPED", "interrupted before the script ran")


@pytest.mark.slow
def test_a_run_outlives_the_pipe_that_it_prints_to(write: Any, tmp_path: Path) -> None:
    # Given a run whose output is read by something that ends early, as head
    config, out = write("{script_mode: BIAS, n_bias: 3, do_verify: false}"), tmp_path / "run.json"
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    arguments = ["simulate", str(config), "--workdir", str(tmp_path / "w"), "--json", str(out)]
    with subprocess.Popen(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        # Then it ends as it would have
        assert program.wait(timeout=280) == 0
    assert json.loads(out.read_text())["state"] == "DONE"


@pytest.mark.slow
def test_a_simulated_run_looks_at_its_own_pipelines(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an environment whose pipelines are others
    monkeypatch.setenv("CP_PIPE_DIR", str(tmp_path / "elsewhere"))
    config = write("{script_mode: BIAS, generate_calibrations: true, config_options_bias: '-c isrr:x=1'}")
    result = in_shell("simulate", config, "--workdir", tmp_path / "w")
    # Then those of the simulation are looked at, before the first exposure
    assert result.returncode == 1
    printed = " ".join((result.stdout + result.stderr).split())
    assert "simulation/current/cp_pipe/pipelines/LATISS/cpBias.yaml has no task isrr, but" in printed
    assert "Nothing was begun." in printed


@pytest.mark.slow
def test_the_daily_default_needs_no_configuration(tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    result = in_shell("simulate", "--workdir", tmp_path / "w", "--json", out)
    assert result.returncode == 0, result.stdout + result.stderr
    why = f"generation current: the work folder {tmp_path / 'w'} is new, and this is the newest."
    assert f"The pipelines are those of {why}" in " ".join(result.stdout.split())
    data = json.loads(out.read_text())
    assert {key: len(ids) for key, ids in data["exposures"].items()} == {"BIAS": 21, "DARK": 23, "FLAT": 21}
    assert {key: verdict["passed"] for key, verdict in data["verdicts"].items()} == {
        "BIAS": True,
        "DARK": True,
        "FLAT": True,
    }
    assert data["certifications"] == []
    assert len(data["gains"]) == 16
    assert "certified" not in result.stdout.replace("Nothing is to be certified.", "")
