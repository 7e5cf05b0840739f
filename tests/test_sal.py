# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice between the observatory's SAL and the local one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

MODULE = "lsst.ts.calibrationscripts.observatory.sal"


def run(code: str, **environment: str) -> str:
    """Run lines in a fresh interpreter, where nothing is chosen yet."""
    env = {key: value for key, value in os.environ.items() if key != "CALIBSCRIPTS_SAL"} | environment
    program = f"from {MODULE} import SalProvider, use, provider\nimport {MODULE} as sal\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60
    )
    return (done.stdout + done.stderr).strip()


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_the_observatory_is_the_default() -> None:
    assert run("print(provider().name)") == "SALOBJ"


def test_the_local_one_is_there_when_asked_for() -> None:
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
def test_the_environment_overrules(value: str, name: str) -> None:
    assert run("use(SalProvider.LOCAL)\nprint(provider().name)", CALIBSCRIPTS_SAL=value) == name


def test_the_environment_must_name_one() -> None:
    message = run("provider()", CALIBSCRIPTS_SAL="kafka")
    assert message.endswith("ValueError: CALIBSCRIPTS_SAL='kafka': write 'salobj' or 'local'.")


def test_the_choice_holds_once_something_derives_from_it() -> None:
    code = "use(SalProvider.LOCAL)\nsal.salobj\nuse(SalProvider.LOCAL)\nuse(SalProvider.SALOBJ)"
    assert "RuntimeError: SAL is local in this process already; it cannot become salobj." in run(code)


def test_a_failed_change_leaves_the_choice() -> None:
    code = (
        "use(SalProvider.LOCAL)\nsal.salobj\n"
        "try:\n    use(SalProvider.SALOBJ)\nexcept RuntimeError:\n    print(provider().name)"
    )
    assert run(code) == "LOCAL"


@pytest.mark.skipif(is_installed("lsst.ts.salobj"), reason="salobj is installed here")
def test_without_salobj_the_way_out_is_named() -> None:
    message = run("sal.salobj")
    assert "SalNotInstalledError: lsst.ts.salobj is not installed here" in message
    assert "calibscripts simulate" in message
    assert issubclass(__import__(MODULE, fromlist=["sal"]).SalNotInstalledError, ImportError)


def test_other_names_are_unknown() -> None:
    assert "AttributeError" in run("use(SalProvider.LOCAL)\nsal.NoSuchName")
