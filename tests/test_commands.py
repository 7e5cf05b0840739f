# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands have in common: help, bad inputs, stdout, completion."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import ExitCode, main
from lsst.ts.calibrationscripts.cli._completion import complete_fault
from lsst.ts.calibrationscripts.cli._results import result_to
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.comparison import TOLERANCES
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import Evidence, RunDocument, RunReport
from lsst.ts.calibrationscripts.simulation.faults import FAULTS

ROOT = Path(__file__).parents[1]
RUN_ID = "20261125T060512-1"
PROGRAM = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
WITHOUT_SAL = importlib.util.find_spec("lsst.ts.salobj") is None

COMMANDS = sorted(main.commands)

OF_FILES = {
    "validate": ["FILE"],
    "plan": ["FILE"],
    "doctor": ["FILE"],
    "run": ["FILE"],
    "simulate": ["FILE", "--workdir", "WORK"],
    "verdict": ["FILE", "--type", "BIAS"],
    "report": ["FILE", "-o", "OUT"],
    "desk": ["--tokens", "FILE"],
    "due": ["--policy", "FILE"],
}
"""Commands that read a file which a person has written or saved."""

OF_FOLDERS = {
    "simulate": ["--workdir", "FILE"],
    "serve": ["--workdir", "FILE"],
    "decide": ["--journals", "FILE"],
    "desk": ["--journals", "FILE"],
    "decertify": [RUN_ID, "--dry-run", "--journals", "FILE"],
    "finish": [RUN_ID, "--journals", "FILE"],
    "remake": [RUN_ID, "--without", "2026112300003", "--journals", "FILE"],
    "trend": ["--journals", "FILE", "-o", "OUT"],
}

WITHOUT_EITHER = {"schema"}


def calibscripts(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="calibscripts")


def with_files(arguments: list[str], file: Path, folder: Path) -> list[str]:
    replaced = {"FILE": str(file), "WORK": str(folder / "w"), "OUT": str(folder / "out.html")}
    return [replaced.get(argument, argument) for argument in arguments]


def a_report(folder: Path) -> RunReport:
    return RunReport(
        RunState.DONE,
        run_id=RUN_ID,
        journal=str(folder / f"{RUN_ID}.journal.json"),
        config=parse("", LATISS).to_dict(),
    )


# Help


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_fits_80_columns_and_has_examples_and_exit_codes(
    command: str | None, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = calibscripts(*filter(None, [command]), option)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\n  Examples:\n    calibscripts" in result.stdout
    _, _, codes = result.stdout.partition("\n  Exit codes:\n")
    found = {int(code) for code in re.findall(r"^    (\d)  \S", codes, re.MULTILINE)}
    assert {0} < found <= set(ExitCode)
    assert (result.stdout.count(" ...") == 0) or command is None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_help_whatever_it_was_first_called_below(command: str) -> None:
    alone = click.Context(main)
    assert alone.help_option_names == ["--help"]
    first = copy.deepcopy(main.commands[command])
    assert first.make_context(command, ["-h"], parent=alone, resilient_parsing=True).help_option_names == [
        "-h",
        "--help",
    ]
    assert CliRunner().invoke(first, ["-h"]).exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_have_options_and_arguments_that_the_command_takes(command: str) -> None:
    epilog = main.commands[command].epilog or ""
    examples = re.findall(r"^  (?:.*\| )?(calibscripts [^|>\n]*)", epilog, re.MULTILINE)
    assert examples
    for example in examples:
        _, name, *arguments = shlex.split(example)
        assert name == command
        # A context is made without the command being run.
        try:
            context = main.commands[command].make_context(command, arguments)
        except click.UsageError as error:
            # A file of an example need not exist.
            assert "does not exist" in error.message, example
        else:
            context.close()


def test_every_command_is_tried_with_bad_inputs() -> None:
    assert set(COMMANDS) == {*OF_FILES, *OF_FOLDERS, *WITHOUT_EITHER}


# Bad inputs


@pytest.mark.parametrize("kind", ["missing", "directory", "binary"])
@pytest.mark.parametrize("command", sorted(OF_FILES))
def test_a_file_that_cannot_be_used_is_said_in_one_sentence(command: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "given"
    if kind == "directory":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(b"\x7fELF\x00\xff\xfe" * 100)
    result = calibscripts(command, *with_files(OF_FILES[command], file, tmp_path))
    assert result.exit_code in (2, 3), result.output
    assert isinstance(result.exception, SystemExit)
    assert str(file) in result.stderr and "Traceback" not in result.output
    assert "[Errno" not in result.stderr
    assert not (tmp_path / "w").exists() and not (tmp_path / "out.html").exists()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no file here is endless")
def test_a_file_that_never_ends_is_given_up() -> None:
    result = calibscripts("validate", "/dev/zero")
    assert result.exit_code == 2 and "more than 67108864 bytes" in result.stderr


@pytest.mark.parametrize("command", sorted(OF_FOLDERS))
def test_a_file_in_the_place_of_a_folder_is_refused(command: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        # In a process of its own: serve and simulate want different SALs.
        result = in_shell(shlex.join([command, *with_files(OF_FOLDERS[command], place, tmp_path)]))
        without_sal = command == "serve" and WITHOUT_SAL and place != file
        assert result.returncode == (1 if without_sal else 2), result.stderr
        assert "Traceback" not in result.stderr
        assert str(place) in result.stderr or without_sal


@pytest.mark.parametrize("command", ["run", "simulate", "serve"])
def test_a_wrong_provider_of_sal_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBSCRIPTS_SAL", "wrong")
    (tmp_path / "config.yaml").write_text("n_bias: 3")
    arguments = {"run": [tmp_path / "config.yaml"]}.get(command, ["--workdir", tmp_path / "w"])
    result = calibscripts(command, *arguments)
    assert result.exit_code == 2
    assert result.stderr == "CALIBSCRIPTS_SAL='wrong': write 'salobj' or 'local'.\n"
    assert not (tmp_path / "w").exists()


def test_faults_are_not_listed_for_a_wrong_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBSCRIPTS_SAL", "wrong")
    result = calibscripts("simulate", "--list-faults")
    assert result.exit_code == 2 and "write 'salobj' or 'local'" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uws", "repo", "observatory.lock"])
def test_a_work_folder_in_which_nothing_can_be_made_is_refused(name: str, tmp_path: Path) -> None:
    # Given a work folder with a file, or folder, where another must be made;
    # permissions would not keep root from it
    place = tmp_path / "w" / name
    place.parent.mkdir()
    if name == "observatory.lock":
        place.mkdir()
    else:
        place.touch()
    config = tmp_path / "config.yaml"
    config.write_text("{script_mode: BIAS, n_bias: 1, do_verify: false}")
    result = calibscripts("simulate", config, "--workdir", tmp_path / "w")
    assert result.exit_code == 2, result.output
    assert "cannot be used" in result.stderr and "Name another work folder (--workdir)." in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", ["report", "trend"])
def test_a_page_that_cannot_be_written_is_said(command: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(to_json(a_report(tmp_path))))
    arguments = [tmp_path / "run.json"] if command == "report" else ["--journals", tmp_path]
    result = calibscripts(command, *arguments, "-o", tmp_path / "none" / "page.html")
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit)


def test_what_no_command_has_foreseen_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("lsst.ts.calibrationscripts.config.schema_text", fails)
    result = calibscripts("schema")
    assert (result.exit_code, result.stderr) == (2, "/some/where: cannot be used: Permission denied\n")


# stdout


def in_shell(command: str) -> subprocess.CompletedProcess[str]:
    text = f"set -o pipefail; {shlex.join(PROGRAM)} {command}"
    return subprocess.run(["/bin/bash", "-c", text], capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.parametrize("command", ["schema", "plan --json", "validate FILES", "doctor"])
def test_what_reads_stdout_may_end_early(command: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("n_bias: 3")
    arguments = command.replace("FILES", " ".join([shlex.quote(str(tmp_path / "config.yaml"))] * 20))
    result = in_shell(f"{arguments} | true")
    assert result.stderr == ""
    assert result.returncode in ((0, 3) if command == "doctor" else (0,))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file here is always full")
@pytest.mark.parametrize("command", ["schema", "plan --json", "plan"])
def test_a_result_that_cannot_be_written_is_an_error(command: str) -> None:
    result = in_shell(f"{command} > /dev/full")
    assert (result.returncode, result.stderr) == (
        2,
        "stdout: cannot be written: No space left on device\n",
    )


def test_json_to_stdout_is_there_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with result_to(Path("-")) as write:
        click.echo("what a run says")
        print("and what others print")
        write({"state": "DONE"})
        click.echo("and what comes after")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"state": "DONE"}
    assert err.splitlines() == ["what a run says", "and what others print", "and what comes after"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name in ("run", "simulate")])
def test_json_to_a_file_may_be_stdout(command: str) -> None:
    [option] = [each for each in main.commands[command].params if each.name == "json_file"]
    assert isinstance(option.type, click.Path) and option.type.allow_dash
    assert "- is stdout" in getattr(option, "help", "")


@pytest.mark.slow
def test_a_simulated_run_can_be_piped_into_its_page(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("{script_mode: BIAS, n_bias: 1, do_verify: false}")
    work, page = tmp_path / "w", tmp_path / "run.html"
    program = shlex.join(PROGRAM)
    result = in_shell(f"simulate {config} --workdir {work} --json - | {program} report - -o {page}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"Written: {page}\n"
    assert "<html" in page.read_text()


# Completion


def completed(*words: str) -> list[str]:
    found = ShellComplete(main, {}, "calibscripts", "_CALIBSCRIPTS_COMPLETE").get_completions(
        list(words[:-1]), words[-1]
    )
    return [item.value for item in found]


def test_commands_options_and_actions_are_completed() -> None:
    assert completed("simu") == ["simulate"]
    assert completed("plan", "--js") == ["--json"]
    assert completed("decide", RUN_ID, "a") == ["accept"]


def test_faults_are_completed_with_what_happens() -> None:
    assert completed("simulate", "--fault", "job-k") == ["job-killed"]
    context = click.Context(main.commands["simulate"])
    items = complete_fault(context, main.commands["simulate"].params[0], "")
    assert {item.value: item.help for item in items} == {
        name: fault.description for name, fault in FAULTS.items()
    }


def test_ids_of_runs_are_completed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "w" / "journal"):
        journal = FileJournal(folder, RUN_ID)
        journal.check()
        journal.write(RunRecord(RUN_ID, {}))
    assert completed("decertify", "--journals", str(tmp_path), "2026") == [RUN_ID]
    assert completed("decide", "--journals", str(tmp_path), "") == [RUN_ID]
    assert completed("decide", "--journals", str(tmp_path), "2025") == []
    assert completed("simulate", "--workdir", str(tmp_path / "w"), "--resume", "2026") == [RUN_ID]
    assert completed("simulate", "--workdir", str(tmp_path / "none"), "--resume", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_makes_completion(shell: str) -> None:
    text = (ROOT / "doc" / "reference" / "commands.rst").read_text()
    assert f"_CALIBSCRIPTS_COMPLETE={shell}_source calibscripts" in text
    environment = os.environ | {"_CALIBSCRIPTS_COMPLETE": f"{shell}_source"}
    code = "from lsst.ts.calibrationscripts.cli import main; main(prog_name='calibscripts')"
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "version" in printed.stderr.lower() and shell == "bash":
        pytest.skip("the bash of this machine is too old for completion")
    assert "calibscripts" in printed.stdout


# The page of a run from its JSON


def test_a_page_keeps_what_is_beside_the_journal(tmp_path: Path) -> None:
    # Given the JSON of --json, and that which the run has left
    report = a_report(tmp_path)
    evidence = Evidence(notes=("One thumbnail could not be read.",))
    (tmp_path / f"{RUN_ID}.json").write_text(write_document(RunDocument(report, evidence, ())))
    (tmp_path / "out.json").write_text(json.dumps(to_json(report)))
    # When the page is made from the first, then it has what the second has
    result = calibscripts("report", tmp_path / "out.json", "-o", tmp_path / "run.html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "One thumbnail could not be read." in (tmp_path / "run.html").read_text()


def test_what_a_page_cannot_keep_is_said(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(to_json(a_report(tmp_path / "gone"))))
    result = calibscripts("report", tmp_path / "out.json", "-o", tmp_path / "run.html")
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: left out, since the JSON does not have them, and there is no {RUN_ID}.json in "
        f"{tmp_path / 'gone'}: statistics and images and trend\n"
    )
    assert "--repo REPO reads them" in (tmp_path / "run.html").read_text()


def test_a_part_that_cannot_be_read_does_not_take_the_rest(tmp_path: Path) -> None:
    data: dict[str, Any] = to_json(a_report(tmp_path))
    (tmp_path / "out.json").write_text(json.dumps(data | {"evidence": {"statistics": 3}}))
    result = calibscripts("report", tmp_path / "out.json", "-o", tmp_path / "run.html")
    assert result.exit_code == 0
    assert "left out, since it cannot be read: its statistics and images" in result.stderr
    assert RUN_ID in (tmp_path / "run.html").read_text()


def test_the_json_of_several_runs_is_refused_with_how_to_take_one(tmp_path: Path) -> None:
    run = {"run": to_json(a_report(tmp_path))}
    (tmp_path / "out.json").write_text(json.dumps({"format": 1, "exit_code": 0, "runs": [run, run]}))
    result = calibscripts("report", tmp_path / "out.json", "-o", tmp_path / "run.html")
    assert result.exit_code == 2
    assert "it has 2 runs, and a page is of one" in result.stderr and "jq '.runs[0].run'" in result.stderr


# The demonstration


def test_the_demonstration_certifies_for_a_day_and_draws_no_notice() -> None:
    config = parse((ROOT / "doc" / "demo.yaml").read_text(), LATISS)
    begin, end = config.certify_calib_begin_date, config.certify_calib_end_date
    assert (begin[10:], end[10:]) == ("T12:00:00", "T12:00:00") and begin < end
    assert make_plan(config, LATISS).notices == ()


def test_bias_and_dark_of_the_demonstration_are_not_worse_than_those_in_use() -> None:
    # Their noise adds to that of a frame: half of 1 / n, of which one is left
    # out at a time. The references of the simulation have none.
    config = parse((ROOT / "doc" / "demo.yaml").read_text(), LATISS)
    for n in (config.n_bias, config.n_dark):
        assert 1 / (2 * (n - 1)) < TOLERANCES.noise


def test_the_demonstration_deletes_nothing() -> None:
    text = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^demo:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert "rm " not in recipe and '--workdir "$(DEMO)"' in recipe
    assert re.search(r"^DEMO := demo/\$\(shell date", text, re.MULTILINE)
