# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated CSCs alone, for scripts of other programs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from lsst.ts.calibrationscripts.cli import _serving, _simulation
from lsst.ts.calibrationscripts.cli._serving import AlreadyServedError, UnreachableError, serve_simulated
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory import sal
from lsst.ts.calibrationscripts.observatory.sal import LATISS as CONTROL
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.simulation.cscs import SimulatedCsc
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, WorkFolderError

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

COMMAND = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()", "serve"]


async def test_a_client_finds_the_components_that_are_served(
    topics: None, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a folder with an observatory, that is served
    serving = asyncio.create_task(serve_simulated(workdir, LATISS, 0.01))
    try:
        output = ""
        while "Configuration" not in output:
            output += capsys.readouterr().out
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.1)
        # Then its CSCs answer, under the names that are printed
        async with salobj.Domain() as domain, CONTROL(domain) as latiss:
            await latiss.assert_all_enabled("served")
            assert await latiss.take_imgtype("BIAS", 0, 1)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert f"LSST_TOPIC_SUBNAME={os.environ['LSST_TOPIC_SUBNAME']}" in output
    assert (
        "ATCamera, ATHeaderService, ATSpectrograph, ATOODS, ATWhiteLight, ATDome, ATMCS, ATPneumatics, OCPS:1"
    ) in output
    assert f"Repository: {workdir / 'repo'}" in output
    # And what is to be configured is what a script accepts
    given = output.partition("Configuration of a script that uses it:\n")[2]
    config = parse(given, LATISS)
    assert config.repo == str(workdir / "repo")
    assert Path(config.ocps_log_path).is_relative_to(workdir / "uws")
    assert set(yaml.safe_load(given)) == {"repo", "ocps_log_path", "pipeline_generation"}


@pytest.mark.parametrize("name", ["ATOODS", "ATDome"])
async def test_components_that_are_alive_are_not_replaced(topics: None, tmp_path: Path, name: str) -> None:
    # Given another component of the same name
    async with SimulatedCsc(name):
        with pytest.raises(AlreadyServedError, match=f": {name} exist there already"):
            await serve_simulated(tmp_path / "w", LATISS, 0.01)
    assert not (tmp_path / "w").exists()


async def test_a_sal_that_does_not_answer_is_not_waited_for(
    topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given remotes whose start does not end
    def stuck(*args: object, **kwargs: object) -> SimpleNamespace:
        return SimpleNamespace(start_task=asyncio.get_running_loop().create_future())

    monkeypatch.setattr(_serving.salobj, "Remote", stuck)
    monkeypatch.setattr(_serving, "_START_TIMEOUT", 0.1)
    with pytest.raises(
        UnreachableError, match=r"SAL does not answer within 0\.1 s\. Check LSST_KAFKA_BROKER"
    ):
        await asyncio.wait_for(serve_simulated(tmp_path / "w", LATISS, 0.01), TIMEOUT)
    assert not (tmp_path / "w").exists()


def environment(provider: str) -> dict[str, str]:
    names = ("CALIBSCRIPTS_SAL", "LSST_TOPIC_SUBNAME")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return kept | ({"CALIBSCRIPTS_SAL": provider} if provider else {})


@pytest.mark.skipif(sal.provider() is not sal.SalProvider.LOCAL, reason="needs a machine without salobj")
def test_without_sal_nobody_could_reach_what_is_served(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, cwd=tmp_path, env=environment(""), timeout=TIMEOUT
    )
    assert done.returncode == 1
    assert "no other process can reach the simulated CSCs" in done.stderr
    assert "CALIBSCRIPTS_SAL=local" in done.stderr and "calibscripts simulate" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_simulate_says_what_it_leaves_on_a_real_sal_and_names_serve(
    topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_simulation.sal, "provider", lambda: sal.SalProvider.SALOBJ)
    # Given a folder that cannot be used, so that nothing begins
    (tmp_path / "w").write_text("")
    observatory = SimulatedObservatory(tmp_path / "w", instrument=LATISS)
    with pytest.raises(WorkFolderError):
        await _simulation.run_simulated(
            "", parse("", LATISS), LATISS, observatory, tmp_path / "journal", lambda repo: ("current", "")
        )
    said = capsys.readouterr().err
    assert "leaves some 480 topics on the broker; 'calibscripts serve' uses one set for many runs" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_was_served(workdir: Path, number: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "--workdir", str(workdir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment("local"),
        # Neither is ignored, whatever this runs under.
        preexec_fn=lambda: signal.signal(number, signal.default_int_handler),
    ) as program:
        assert program.stdout is not None
        text = ""
        for line in program.stdout:
            text += line
            if "pipeline_generation" in line:
                break
        children = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(number)
        text += program.communicate(timeout=TIMEOUT)[0]
    assert program.returncode == 0, text
    assert "Traceback" not in text
    _, alive = psutil.wait_procs(children, timeout=TIMEOUT)
    assert children and not alive


def test_the_wait_for_heartbeats_is_longer_than_their_interval() -> None:
    assert _serving._HEARTBEAT_TIMEOUT > 2.0
