# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice between salobj and localsal, and what mypy knows of them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = "lsst.ts.calibrationscripts.observatory.sal"
REPOSITORY = Path(__file__).parents[1]

USE_OF_SAL = """\
from lsst.ts.calibrationscripts.observatory.sal import LATISS, salobj

async def read(domain: salobj.Domain, latiss: LATISS) -> None:
    remote = salobj.Remote(domain, "OCPS", 1, include=["summaryState"], evt_max_history=0)
    state = (await remote.evt_summaryState.aget(timeout=1.0)).summaryState
    await remote.cmd_execute.set_start(pipeline="p", timeout=1.0, wait_done=False)
    if state == salobj.State.ENABLED:
        latiss.rem.atcamera.evt_startIntegration.flush()

class Csc(salobj.BaseCsc):
    version = "?"

    async def do_execute(self, data: object) -> None:
        await self.cmd_execute.ack_in_progress(data, timeout=1.0)
        await self.evt_job_result.set_write(job_id="1")
"""


def run(code: str, **environment: str) -> str:
    """Run lines in a new interpreter, where no provider is chosen yet."""
    env = {key: value for key, value in os.environ.items() if key != "CALIBSCRIPTS_SAL"} | environment
    program = f"from {MODULE} import SalProvider, use, provider\nimport {MODULE} as sal\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60
    )
    return (done.stdout + done.stderr).strip()


def check_types(code: str, folder: Path) -> list[str]:
    """Return the errors that mypy finds in a file with this text."""
    (folder / "planted.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--config-file", "setup.cfg", "--cache-dir", str(folder)]
    done = subprocess.run(
        [*command, "--no-error-summary", "--no-warn-unused-configs", str(folder / "planted.py")],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=250,
    )
    assert done.stderr == ""
    return re.findall(r"error: (.*)  \[", done.stdout)


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_the_observatory_is_the_default() -> None:
    assert run("print(provider().name)") == "SALOBJ"


def test_the_local_one_is_used_when_chosen() -> None:
    code = (
        "use(SalProvider.LOCAL)\n"
        "print(sal.salobj.__name__.rpartition('.')[2], sal.LATISS.__name__, sal.LATISSUsages.__name__, "
        "sal.RemoteGroup.__name__, sal.UsagesResources.__name__, sal.ScriptState.__name__)"
    )
    assert run(code) == "localsal LATISS LATISSUsages RemoteGroup UsagesResources ScriptState"


def test_every_name_is_the_same_object_each_time() -> None:
    code = "use(SalProvider.LOCAL)\nprint(sal.salobj is sal.salobj, sal.LATISS is sal.LATISS)"
    assert run(code) == "True True"


@pytest.mark.parametrize(("value", "name"), [("local", "LOCAL"), ("salobj", "SALOBJ"), ("", "LOCAL")])
def test_the_environment_overrides_the_choice(value: str, name: str) -> None:
    assert run("use(SalProvider.LOCAL)\nprint(provider().name)", CALIBSCRIPTS_SAL=value) == name


def test_the_environment_must_name_a_provider() -> None:
    message = run("provider()", CALIBSCRIPTS_SAL="kafka")
    assert message.endswith("ValueError: CALIBSCRIPTS_SAL='kafka': write 'salobj' or 'local'.")


def test_the_choice_cannot_change_after_the_first_use() -> None:
    code = "use(SalProvider.LOCAL)\nsal.salobj\nuse(SalProvider.LOCAL)\nuse(SalProvider.SALOBJ)"
    assert "RuntimeError: SAL is local in this process already; it cannot become salobj." in run(code)


def test_a_failed_change_leaves_the_choice() -> None:
    code = (
        "use(SalProvider.LOCAL)\nsal.salobj\n"
        "try:\n    use(SalProvider.SALOBJ)\nexcept RuntimeError:\n    print(provider().name)"
    )
    assert run(code) == "LOCAL"


@pytest.mark.skipif(is_installed("lsst.ts.salobj"), reason="salobj is installed here")
def test_without_salobj_the_error_names_a_remedy() -> None:
    message = run("sal.salobj")
    assert "SalNotInstalledError: lsst.ts.salobj is not installed here" in message
    assert "calibscripts simulate" in message
    assert issubclass(__import__(MODULE, fromlist=["sal"]).SalNotInstalledError, ImportError)


def test_other_names_are_unknown() -> None:
    assert "AttributeError" in run("use(SalProvider.LOCAL)\nsal.NoSuchName")


@pytest.mark.slow
def test_mypy_finds_misspelt_names_of_sal(tmp_path: Path) -> None:
    pytest.importorskip("mypy")

    # Given lines that use SAL as this package does, nothing is reported.
    assert check_types(USE_OF_SAL, tmp_path) == []

    # When names and a keyword in them are misspelt, each is reported.
    planted = {
        "evt_summaryState.aget": ("evt_summaryState.agett", '"RemoteEvent" has no attribute "agett"'),
        "State.ENABLED": ("State.ENABLEDD", '"type[State]" has no attribute "ENABLEDD"'),
        "evt_max_history": ("max_history", 'Unexpected keyword argument "max_history" for "Remote"'),
        "cmd_execute.set_start": ("cmd_execut.set_start", '"Remote" has no attribute "cmd_execut"'),
        "evt_startIntegration.flush": (
            "cmd_takeImages.flush",
            '"RemoteCommand" has no attribute "flush"',
        ),
        "evt_job_result.set_write": ("evt_job_result.next", '"ControllerEvent" has no attribute "next"'),
        "import LATISS": ("import LATIS, LATISS", 'has no attribute "LATIS"'),
    }
    code = USE_OF_SAL
    for name, (misspelt, _) in planted.items():
        assert name in code
        code = code.replace(name, misspelt)
    errors = check_types(code, tmp_path)
    for _, error in planted.values():
        assert any(error in line for line in errors), (error, errors)
    assert len(errors) == len(planted), errors
