# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The executables, as a script queue starts them."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from lsst.ts.calibrationscripts import get_scripts_dir
from lsst.ts.calibrationscripts.config import load_schema
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS

NAME = "make_latiss_calibrations.py"
EXECUTABLES = [get_scripts_dir() / telescope / NAME for telescope in ("auxtel", "maintel")]
OF_ALL = {get_scripts_dir() / name: camera for camera in INSTRUMENTS.values() for name in camera.scripts}
DECIDE = [path.with_name("decide_calibrations.py") for path in EXECUTABLES]

HEAVY = ("lsst.ts.salobj", "lsst.daf", "lsst.pipe", "numpy", "scipy", "astropy", "pydantic", "asyncio")
"""What takes too long to import for an answer to the queue."""


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


without_salobj = pytest.mark.skipif(is_installed("lsst.ts.salobj"), reason="salobj is installed here")


def run(*arguments: str, executable: Path = EXECUTABLES[0], **environment: str) -> Any:
    env = {key: value for key, value in os.environ.items() if key != "CALIBSCRIPTS_SAL"} | environment
    return subprocess.run(
        [sys.executable, str(executable), *arguments], capture_output=True, text=True, env=env, timeout=60
    )


def test_the_scripts_dir_holds_executables_alone() -> None:
    found = {path for path in get_scripts_dir().rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert found == {*OF_ALL, *DECIDE}


@pytest.mark.parametrize("executable", OF_ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_all_are_executable_and_print_the_schema(executable: Path) -> None:
    assert os.access(executable, os.X_OK)
    assert executable.read_text().startswith("#!/usr/bin/env python\n")
    done = run("0", "--schema", executable=executable)
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout) == load_schema(OF_ALL[executable])


@pytest.mark.parametrize("executable", DECIDE, ids=lambda path: path.parent.name)
def test_those_that_decide_print_their_schema(executable: Path) -> None:
    assert os.access(executable, os.X_OK)
    done = run("0", "--schema", executable=executable)
    assert (done.returncode, done.stderr) == (0, "")
    schema = yaml.safe_load(done.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["title"] == "DecideCalibrations v1"


@pytest.mark.parametrize("executable", [EXECUTABLES[0], DECIDE[0]], ids=lambda path: path.stem)
def test_the_schema_comes_before_anything_large(executable: Path) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['script', '0', '--schema']\n"
        f"runpy.run_path({str(executable)!r}, run_name='__main__')\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    modules = done.stderr.split()
    assert "lsst.ts.calibrationscripts.launch" in modules
    own = ("lsst.ts.calibrationscripts.localsal", "lsst.ts.calibrationscripts.observatory")
    assert [
        name for name in modules if f"{name}.".startswith(tuple(f"{heavy}." for heavy in HEAVY + own))
    ] == []


@without_salobj
def test_without_sal_the_way_out_is_named() -> None:
    done = run("100001")
    assert done.returncode == 1
    assert "lsst.ts.salobj is not installed here" in done.stderr
    assert "calibscripts simulate" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {}, "the following arguments are required: index"),
        (["--schema"], {}, "the following arguments are required: index"),
        (["first"], {}, "invalid int value: 'first'"),
        (["0"], {}, "index 0 is for --schema only"),
        (["100001", "--all"], {}, "unrecognized arguments: --all"),
        (["100001"], {"CALIBSCRIPTS_SAL": "kafka"}, "write 'salobj' or 'local'"),
        (
            ["100001"],
            {"CALIBSCRIPTS_SAL": "local", "LSST_TOPIC_SUBNAME": ""},
            "LSST_TOPIC_SUBNAME is not set, which salobj needs. Set it to that of the components",
        ),
    ],
)
def test_a_wrong_call_is_a_usage_error(arguments: list[str], environment: dict[str, str], words: str) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ") and words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_what_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [NAME, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXECUTABLES[1]), run_name="__main__")
    assert end.value.code == 0
    assert "calibrations of LATISS" in capsys.readouterr().out
