# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""BLOCKs of the Scheduler, before they are queued.

Those in ``blocks`` are made after BLOCKs in use: their structure and values,
with other names.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts import get_scripts_dir
from lsst.ts.calibrationscripts.blocks import BlockError, configuration, is_block, read_block, read_values
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.cli._inputs import OUR_SCRIPTS
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from named import unfolded
from test_docs import documented_fields

BLOCKS = Path(__file__).parent / "blocks"
OURS = "auxtel/make_latiss_calibrations.py"


def calibscripts(*args: object, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def a_script(name: str = OURS, standard: bool = False, **parameters: object) -> dict[str, Any]:
    return {"name": name, "standard": standard, "parameters": parameters}


def a_block(*scripts: object, **others: object) -> str:
    return json.dumps({"name": "trial", "program": "BLOCK-1", "scripts": scripts} | others)


def properties(**of_variables: dict[str, Any]) -> str:
    return yaml.safe_dump({"type": "object", "properties": of_variables})


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "block.json") -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def problems_of(text: str) -> str:
    with pytest.raises(BlockError) as caught:
        read_block(text)
    return str(caught.value)


# What is in use


@pytest.mark.parametrize(
    ("file", "n_ours", "n"),
    [
        ("daily.json", 2, 3),
        ("bias-dark.json", 2, 2),
        ("day.json", 1, 4),
        ("stability.json", 6, 7),
        ("few-frames.json", 4, 4),
        ("filters.json", 5, 6),
    ],
)
def test_blocks_in_use_are_judged_script_by_script(file: str, n_ours: int, n: int) -> None:
    result = calibscripts("validate", BLOCKS / file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{n_ours} of {n} scripts make calibrations" in result.stdout
    assert result.stdout.count(": valid\n") == n_ours


def test_the_one_script_that_cannot_run_is_found_with_its_place_and_remedy() -> None:
    file = BLOCKS / "one-time-in-a-list.json"
    result = calibscripts("validate", file, BLOCKS / "daily.json")
    assert result.exit_code == 2
    heading, problem = result.stderr.splitlines()
    assert heading == (
        f"{file} scripts[2]: 1 problem in the configuration of maintel/make_latiss_calibrations.py:"
    )
    assert "n_dark: 100: but exp_times_dark has 1 values; write n_dark: 1, or a list of 100" in problem
    # A line of the YAML, which is not in the file, is not named
    assert "(line" not in problem
    # And all else is judged nevertheless
    assert f"{file} scripts[1]: valid" in result.stdout
    assert result.stdout.endswith("4 in all: 3 valid, 1 invalid.\n")


def test_the_scripts_that_are_certain_to_fail_are_found_with_place_and_remedy(write: Any) -> None:
    # Given a BLOCK in use, two scripts of which combine three frames
    block = json.loads((BLOCKS / "few-frames.json").read_text())
    for each in block["scripts"]:
        each["parameters"]["pipeline_generation"] = "2022"
    file = write(json.dumps(block))
    result = calibscripts("validate", file)
    text = unfolded(result.stdout)
    assert result.exit_code == 0
    for i, (name, remedy) in enumerate([("BIAS", "Write n_bias: 20"), ("DARK", "Write n_dark: 20")]):
        found = text.partition(f"Forecast of {file} scripts[{i}]:")[2]
        assert found.startswith(f" - verify {name} is certain to fail:")
        assert remedy in found.partition(f"{file} scripts[{i}]: valid, but certain to fail")[0]
    assert f"{file} scripts[2]: valid " in text and f"{file} scripts[3]: valid " in text
    assert text.endswith("4 in all: 4 valid. 2 of the valid will fail, says the forecast.")


def test_the_blocks_in_use_are_judged_within_2_s() -> None:
    files = [str(BLOCKS / f"{name}.json") for name in ("daily", "bias-dark", "day", "stability", "filters")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "lsst.ts.calibrationscripts", "validate", *files]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, with its start: what else runs does not count.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 2


def test_names_of_our_scripts_are_those_of_the_executables() -> None:
    folder = get_scripts_dir()
    executables = {str(file.relative_to(folder)) for file in folder.rglob("make_*.py")}
    assert set(OUR_SCRIPTS) == executables


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_block_with_nothing_of_ours_says_so(command: str) -> None:
    result = calibscripts(command, BLOCKS / "of-no-camera.json")
    assert result.exit_code == 0
    assert "none of its 2 scripts is auxtel/make_latiss_calibrations.py" in result.stdout
    assert "valid" not in result.stdout.replace("invalid", "")


def test_scripts_of_all_cameras_are_judged_each_by_its_schema() -> None:
    # Given a BLOCK of LSSTCam and ComCam, when it is judged
    result = calibscripts("validate", BLOCKS / "other-cameras.json")
    # Then each configuration is compared with what its camera has
    assert result.exit_code == 2
    assert "scripts[0]: valid" in result.stdout
    assert "grating: unknown; leave it out" in " ".join(result.output.split())


def test_the_name_of_a_camera_leads_to_its_script() -> None:
    block = json.loads((BLOCKS / "other-cameras.json").read_text())
    names = ["maintel/make_lsstcomcam_calibrations.py", "auxtel/make_lsstcam_calibrations.py"]
    for script, name in zip(block["scripts"], names, strict=True):
        script["name"] = name
    result = calibscripts("validate", "-", stdin=json.dumps(block))
    told = " ".join(result.output.split())
    assert "write maintel/make_comcam_calibrations.py" in told
    assert "write maintel/make_lsstcam_calibrations.py" in told


def test_a_block_of_two_cameras_is_not_simulated_in_one_work_folder(tmp_path: Path) -> None:
    block = json.loads((BLOCKS / "other-cameras.json").read_text())
    del block["scripts"][1]["parameters"]["grating"]
    result = calibscripts("simulate", "-", "--workdir", tmp_path, stdin=json.dumps(block))
    assert result.exit_code == 2
    assert "There are scripts of LSSTCam and LSSTComCam" in result.stderr
    assert "--script N" in result.stderr and not list(tmp_path.iterdir())


# Variables


def test_variables_have_the_values_that_the_scheduler_would_give_them() -> None:
    # Given defaults of several types, when some are replaced
    block = read_block((BLOCKS / "variables.json").read_text())
    values = read_values(block, {"n_dark": "3", "verify": "false", "reason": "010"})
    # Then the script gets them as it would from the queue
    text = configuration(block, block.scripts[0], values)
    assert yaml.safe_load(text) | {"reason": None} == {
        "script_mode": "BIAS_DARK",
        "n_bias": 10,
        "n_dark": 3,
        "exp_times_dark": [15, 15, 30],
        "do_verify": False,
        "reason": None,
        "program": "BLOCK-T909",
    }
    # Text that looks like a number becomes one on the way, and is refused
    assert "reason: 010" in text
    values |= read_values(block, {"reason": "again"})
    assert parse(configuration(block, block.scripts[0], values), LATISS).n_dark == 3


def test_a_variable_without_a_value_is_named_with_the_option_that_gives_it() -> None:
    file = BLOCKS / "variables.json"
    result = calibscripts("validate", file)
    assert result.exit_code == 2
    assert (
        "scripts[0].parameters: '$n_dark': has no value and no default; give --set n_dark=VALUE, or write "
        "its default into configuration_schema" in result.stderr
    )
    # And what it says is accepted
    assert calibscripts("validate", file, "--set", "n_dark=3").exit_code == 0


def test_the_program_of_the_block_needs_no_value(write: Any) -> None:
    file = write(a_block(a_script(script_mode="BIAS", program="$program")))
    plan = json.loads(calibscripts("plan", file, "--json").stdout)
    assert [entry["outcome"] for entry in plan["inputs"]] == ["valid", "valid"]


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("$n_bais", "write $n_bias, if that was meant"),
        ("$filter_name", "only when the Scheduler observes a target; give --set filter_name=VALUE"),
        ("$other", "give --set other=VALUE, or write other and its default into configuration_schema"),
        ("5$", "has a '$' that is not followed by the name of a variable"),
    ],
)
def test_each_kind_of_missing_variable_has_its_remedy(variable: str, remedy: str, write: Any) -> None:
    schema = properties(n_bias={"type": "integer", "default": 5})
    file = write(a_block(a_script(reason=variable), configuration_schema=schema))
    result = calibscripts("validate", file)
    assert result.exit_code == 2
    assert remedy in result.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("n_bias=many", "--set n_bias: 'many': configuration_schema wants a whole number"),
        ("n_bias=010", "a number without a leading zero; give for example --set n_bias=10"),
        ("n_bias=0", "configuration_schema wants 1 or more"),
        ("verify=maybe", "configuration_schema wants true or false; give for example --set verify=true"),
        ("n_bais=3", "--set n_bais: is not a variable of"),
        ("n_bais=3", "did you mean n_bias?"),
        ("n_bias", "write --set NAME=VALUE"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(setting: str, message: str) -> None:
    result = calibscripts("validate", BLOCKS / "variables.json", "--set", "n_dark=3", "--set", setting)
    assert result.exit_code == 2
    assert message in unfolded(result.stderr)
    assert "Traceback" not in result.output
    # What its scripts are is not known then.
    assert "0 of" not in result.output


def test_a_list_is_given_with_or_without_brackets() -> None:
    block = read_block((BLOCKS / "variables.json").read_text())
    for text in ("[5, 10]", "5,10", "5, 10"):
        assert read_values(block, {"exp_time": text}) == {"exp_time": [5, 10]}


def test_a_value_for_no_block_is_refused(write: Any) -> None:
    result = calibscripts("validate", write("n_bias: 3", "config.yaml"), "--set", "n_bias=3")
    assert result.exit_code == 2
    assert "no BLOCK is given, and only they have variables: write values into the file" in result.stderr


def test_a_value_that_the_scheduler_would_not_take_is_noted(write: Any) -> None:
    file = write(a_block(a_script(n_bias="$n", script_mode="BIAS")))
    result = calibscripts("validate", file, "--set", "n=3")
    assert result.exit_code == 0
    assert "the Scheduler takes no value for $n, since the BLOCK has no configuration_schema" in unfolded(
        result.stdout
    )


def test_a_default_that_is_not_of_its_type_is_refused(write: Any) -> None:
    schema = properties(n={"type": "integer", "default": "three"})
    result = calibscripts("validate", write(a_block(a_script(n_bias="$n"), configuration_schema=schema)))
    assert result.exit_code == 2
    assert "default of n: 'three': is not a whole number" in result.stderr


def test_a_variable_left_in_a_plain_configuration_is_refused(write: Any) -> None:
    file = write('{"script_mode": "BIAS", "n_bias": 3, "program": "$program"}', "config.json")
    result = calibscripts("validate", file)
    assert result.exit_code == 2 and "placeholder" in result.stderr


# Mistakes of writing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"scripts": [],}', "line 1, column 16"),
        ('{"scripts": [],}', "delete the comma before the bracket"),
        ("{'scripts': 1, \"parameters\": {}}", "write double quotes"),
        ('{"scripts": [], "standard": False}', "write true, false or null"),
        ('{"scripts": [] "name": "a"}', "write the missing comma or bracket"),
        ('{"scripts": [] // ours\n}', "delete the comment"),
        ('{"program": "a", "scripts": []}', 'BLOCK: lacks name; write "name": "daily_calibrations"'),
        ('{"name": "a", "program": 3, "scripts": []}', "program: 3: must be text"),
        ('{"name": "a", "program": "b", "scripts": {}}', "scripts: {}: must be a list in brackets"),
        ('[{"name": "a", "parameters": {}}]', "is a list; write the BLOCK around it"),
        (json.dumps(a_script(n_bias=3)), "is one script of a BLOCK"),
        (a_block({"name": OURS, "standard": False, "parameter": {}}), 'write "parameters" for "parameter"'),
        (a_block({"name": OURS, "standard": "no", "parameters": {}}), "must be true or false"),
        (a_block({"name": OURS, "standard": False, "parameters": []}), "must be an object in braces"),
        (a_block("make_latiss_calibrations.py"), "scripts[0]: must be an object in braces"),
        (a_block(configuration_schema={"type": "object"}), "configuration_schema: must be text"),
        (a_block(configuration_schema="properties: [n: 1"), "configuration_schema: cannot be read as YAML"),
        (a_block(configuration_schema="properties: 3"), "is not a JSON Schema with properties"),
        (
            a_block(a_script(a=1)).replace('"a": 1', '"a": 1, "a": 2'),
            "scripts[0].parameters.a: is given twice",
        ),
        ('{"scripts": ' + "[" * 5000, "cannot be read as JSON"),
    ],
)
def test_what_the_scheduler_would_refuse_is_refused_with_a_remedy(text: str, message: str) -> None:
    assert is_block(text)
    assert message in problems_of(text)


def test_an_empty_block_is_not_the_daily_default(write: Any) -> None:
    # Several BLOCKs in use are empty files
    result = calibscripts("validate", write(""))
    assert result.exit_code == 2 and "block.json: BLOCK: is empty" in unfolded(result.stderr)
    assert calibscripts("validate", write("", "config.yaml")).exit_code == 0


@pytest.mark.parametrize(
    "name",
    [
        "auxtel/make_latis_calibrations.py",
        "auxtel/make_latiss_calibration.py",
        "auxtel/make_latiss_calibrations",
        "make_latiss_calibrations.py",
        "atqueue/make_latiss_calibrations.py",
    ],
)
def test_a_name_close_to_ours_is_not_passed_over(name: str, write: Any) -> None:
    result = calibscripts("validate", write(a_block(a_script(name, n_bias=3))))
    assert result.exit_code == 2
    assert f"scripts[0].name: '{name}': is not the name of a script of the queue; write " in result.stderr
    assert "make_latiss_calibrations.py" in result.stderr.split("; write ")[1]


def test_scripts_that_are_not_ours_are_counted_and_skipped(write: Any) -> None:
    file = write(a_block(a_script("auxtel/take_image_latiss.py", True), a_script(script_mode="BIAS")))
    entries = json.loads(calibscripts("validate", file, "--json").stdout)["inputs"]
    assert entries[0]["skipped"] == ["scripts[0] auxtel/take_image_latiss.py"]
    assert [entry["place"] for entry in entries] == [None, "scripts[1]"]


def test_a_program_that_is_not_that_of_the_block_is_noted(write: Any) -> None:
    result = calibscripts("validate", write(a_block(a_script(script_mode="BIAS", program="BLOCK-2"))))
    assert result.exit_code == 0
    assert "its frames are marked BLOCK-2, but the program of the BLOCK is BLOCK-1" in unfolded(result.stdout)


# Several files, stdin, JSON


def test_stdin_may_be_a_block_or_a_configuration() -> None:
    block = (BLOCKS / "daily.json").read_text()
    assert "stdin scripts[1]: valid" in calibscripts("validate", "-", stdin=block).stdout
    assert calibscripts("validate", "-", stdin="n_bias: 3").stdout.endswith("stdin: valid\n")
    assert calibscripts("validate", "-", stdin=b"\x00\xff").exit_code == 2
    assert "stdin is given twice" in calibscripts("validate", "-", "-").stderr


def test_the_exit_code_is_the_worst_of_all_inputs(write: Any) -> None:
    right, wrong = write("n_bias: 3", "right.yaml"), write("n_bias: no", "wrong.yaml")
    for files in ([right, wrong], [wrong, right]):
        result = calibscripts("validate", *files)
        assert result.exit_code == 2
        assert f"{wrong}: 1 problem" in result.stderr and f"{right}: valid" in result.stdout
    assert calibscripts("validate", right, right).exit_code == 0


def test_json_is_one_document_of_all_inputs(write: Any) -> None:
    files = [BLOCKS / "daily.json", write("n_bias: no", "wrong.yaml"), write("{", "none.yaml"), "gone.yaml"]
    result = calibscripts("validate", *files, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["exit_code"], result.stderr) == (2, 2, "")
    assert [(entry["place"], entry["outcome"]) for entry in document["inputs"]] == [
        (None, "valid"),
        ("scripts[0]", "valid"),
        ("scripts[1]", "valid"),
        (None, "invalid"),
        (None, "invalid"),
        (None, "invalid"),
    ]
    assert all(entry["problems"] for entry in document["inputs"][3:])
    assert {"file", "kind", "block", "program", "script", "notices", "skipped"} <= set(document["inputs"][0])


def test_every_field_of_the_document_is_documented() -> None:
    document = json.loads(calibscripts("plan", BLOCKS / "daily.json", "--json").stdout)
    fields = {field for entry in document["inputs"] for field in entry}
    assert documented_fields("What is judged before a run") == set(document)
    assert documented_fields("An input") == fields


def test_json_of_plan_has_the_plan_of_each_script() -> None:
    document = json.loads(calibscripts("plan", BLOCKS / "daily.json", "--json").stdout)
    plans = [entry["plan"]["n_exposures"] for entry in document["inputs"] if entry["place"]]
    assert plans == [65, 25]


def test_the_scripts_of_a_block_are_planned_one_after_the_other() -> None:
    ends = [
        line.split(",")[0]
        for line in calibscripts("plan", BLOCKS / "daily.json").stdout.splitlines()
        if line.startswith("Expected end")
    ]
    assert len(ends) == 2 and ends[0] < ends[1]


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_commands_for_one_configuration_refuse_a_block(command: str) -> None:
    result = calibscripts(command, BLOCKS / "daily.json")
    assert result.exit_code == 2
    assert "is a BLOCK, and this takes the configuration of one script" in result.stderr


# Simulated


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume is for one script, and there are 2"),
        (["--script", "2"], "--script 2: makes no calibrations; it is one of "),
        (["--set", "n=3"], "--set n: is not a variable of"),
    ],
)
def test_simulate_says_which_option_chooses_a_script(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = calibscripts("simulate", BLOCKS / "daily.json", "--workdir", tmp_path / "w", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "w").exists()


def test_a_mistake_in_the_last_script_is_found_before_the_first_runs(tmp_path: Path) -> None:
    result = calibscripts("simulate", BLOCKS / "one-time-in-a-list.json", "--workdir", tmp_path / "w")
    assert result.exit_code == 2
    assert "scripts[2]: 1 problem" in result.stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_simulate_runs_the_scripts_of_a_block_until_one_fails(tmp_path: Path, write: Any) -> None:
    # Given a BLOCK whose second of three scripts must fail
    script = {"script_mode": "BIAS", "n_bias": 1, "do_verify": False, "program": "$program"}
    failing = script | {"n_bias": 4}
    file = write(a_block(a_script(**script), a_script("a.py"), a_script(**failing), a_script(**script)))
    arguments = ["--workdir", tmp_path / "w", "--json", "-", "--fault", "camera-fault:4"]
    result = calibscripts("simulate", file, *arguments)
    # Then the first has run, and the third has not
    assert result.exit_code == 1, result.output
    runs = json.loads(result.stdout)["runs"]
    assert [run["exit_code"] for run in runs] == [0, 1, None]
    assert f"Not run, since {file} scripts[2] ended FAILED: {file} scripts[3]." in result.stderr
    # And the frames of both are in one repository
    first, second = (run["run"]["exposures"]["BIAS"] for run in runs[:2])
    assert set(first).isdisjoint(second)
