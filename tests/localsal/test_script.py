# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a script: configure, run, pause, resume, stop, fail."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import types
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.sal import ScriptState, salobj

TIMEOUT = 30.0


class Follower:
    """Reads the states of a script, in order."""

    def __init__(self, remote: Any) -> None:
        self.remote = remote
        self.states: list[str] = []
        self.last: Any = None

    async def until(self, *states: Any) -> Any:
        """Read up to the first of these states and return the event."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                self.last = await self.remote.evt_state.next(flush=False)
                name = ScriptState(self.last.state).name
                if not self.states or self.states[-1] != name:
                    self.states.append(name)
                if self.last.state in states:
                    return self.last


@pytest_asyncio.fixture
async def follower(script_remote: Any) -> AsyncIterator[Follower]:
    follower = Follower(script_remote)
    await follower.until(ScriptState.UNCONFIGURED)
    yield follower


async def configure(remote: Any, config: str = "", **kwargs: str) -> None:
    await remote.cmd_configure.set_start(config=config, timeout=TIMEOUT, **kwargs)
    await remote.cmd_setGroupId.set_start(groupId="a group", timeout=TIMEOUT)


async def test_a_script_runs_to_its_end(script: Any, script_remote: Any, follower: Follower) -> None:
    description = await script_remote.evt_description.aget(timeout=TIMEOUT)
    assert (description.classname, description.description) == ("WaitingScript", "waits")
    await configure(script_remote, blockId="BLOCK-1")
    assert (script.group_id, script.obs_id) == ("a group", "BLOCK-1")
    metadata = await script_remote.evt_metadata.aget(timeout=TIMEOUT)
    assert (metadata.duration, metadata.totalCheckpoints) == (12.5, 2)
    await script_remote.cmd_run.start(timeout=TIMEOUT)
    final = await follower.until(ScriptState.DONE)
    assert follower.states == ["UNCONFIGURED", "CONFIGURED", "RUNNING", "ENDING", "DONE"]
    assert (final.lastCheckpoint, final.numCheckpoints, final.reason) == ("second", 2, "")
    await asyncio.wait_for(script.done_task, timeout=TIMEOUT)


async def test_the_configuration_gets_its_defaults(script: Any, script_remote: Any) -> None:
    await configure(script_remote, "error: soon\nmetadata: {queue: 3}")
    assert script.config == types.SimpleNamespace(error="soon", wait=False, camera={"gain": 1.5})


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("errors: x", "'errors' was unexpected"),
        ("error: 3", "3 is not of type 'string'"),
        ("a: b: c", "mapping values are not allowed"),
        ("error: configure", "not like this"),
    ],
)
async def test_a_bad_configuration_ends_the_script(
    script: Any, script_remote: Any, follower: Follower, config: str, reason: str
) -> None:
    with pytest.raises(salobj.AckError) as failure:
        await script_remote.cmd_configure.set_start(config=config, timeout=TIMEOUT)
    assert reason in failure.value.ackcmd.result
    final = await follower.until(ScriptState.CONFIGURE_FAILED)
    assert reason in final.reason
    await asyncio.wait_for(script.done_task, timeout=TIMEOUT)


async def test_it_pauses_and_resumes(script: Any, script_remote: Any, follower: Follower) -> None:
    await configure(script_remote, pauseCheckpoint="f.*")
    with pytest.raises(salobj.AckError, match="state=CONFIGURED instead of PAUSED"):
        await script_remote.cmd_resume.start(timeout=TIMEOUT)
    running = asyncio.create_task(script_remote.cmd_run.start(timeout=TIMEOUT))
    paused = await follower.until(ScriptState.PAUSED)
    assert paused.lastCheckpoint == "first"
    await script_remote.cmd_resume.start(timeout=TIMEOUT)
    await running
    await follower.until(ScriptState.DONE)
    assert follower.states[2:] == ["RUNNING", "PAUSED", "RUNNING", "ENDING", "DONE"]


async def test_it_stops_at_a_checkpoint(script: Any, script_remote: Any, follower: Follower) -> None:
    await configure(script_remote, stopCheckpoint="sec.*")
    ackcmd = await script_remote.cmd_run.start(timeout=TIMEOUT)
    assert ackcmd.ack == salobj.SalRetCode.CMD_COMPLETE
    final = await follower.until(ScriptState.STOPPED)
    assert final.lastCheckpoint == "second"
    assert follower.states[2:] == ["RUNNING", "STOPPING", "STOPPED"]


async def test_a_pattern_matches_the_whole_name(script: Any, script_remote: Any, follower: Follower) -> None:
    await configure(script_remote, stopCheckpoint="sec", pauseCheckpoint="irst")
    await script_remote.cmd_run.start(timeout=TIMEOUT)
    await follower.until(ScriptState.DONE)


@pytest.mark.parametrize("config", ["wait: true", ""])
async def test_it_stops_by_command(script: Any, script_remote: Any, follower: Follower, config: str) -> None:
    await configure(script_remote, config, pauseCheckpoint="" if config else "first")
    running = asyncio.create_task(script_remote.cmd_run.start(timeout=TIMEOUT))
    await follower.until(ScriptState.RUNNING if config else ScriptState.PAUSED)
    await script_remote.cmd_stop.start(timeout=TIMEOUT)
    await running
    await follower.until(ScriptState.STOPPED)
    assert follower.states[-2:] == ["STOPPING", "STOPPED"]


async def test_it_can_be_stopped_before_it_runs(script: Any, script_remote: Any, follower: Follower) -> None:
    await script_remote.cmd_stop.start(timeout=TIMEOUT)
    await follower.until(ScriptState.STOPPED)
    with pytest.raises(salobj.AckError, match="exiting"):
        await script_remote.cmd_configure.set_start(timeout=TIMEOUT)


async def test_a_failure_is_reported_by_the_state(
    script: Any, script_remote: Any, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    await configure(script_remote, "error: out of light")
    ackcmd = await script_remote.cmd_run.start(timeout=TIMEOUT)
    assert ackcmd.ack == salobj.SalRetCode.CMD_COMPLETE
    final = await follower.until(ScriptState.FAILED)
    assert "out of light" in final.reason
    assert follower.states[2:] == ["RUNNING", "FAILING", "FAILED"]
    assert not [record for record in caplog.records if record.exc_info]


async def test_it_runs_only_when_configured_and_in_a_group(script: Any, script_remote: Any) -> None:
    with pytest.raises(salobj.AckError, match="state=UNCONFIGURED instead of CONFIGURED"):
        await script_remote.cmd_run.start(timeout=TIMEOUT)
    await script_remote.cmd_configure.set_start(timeout=TIMEOUT)
    with pytest.raises(salobj.AckError, match="Group ID not set"):
        await script_remote.cmd_run.start(timeout=TIMEOUT)
    await script_remote.cmd_setGroupId.set_start(groupId="g", timeout=TIMEOUT)
    with pytest.raises(salobj.AckError, match="instead of UNCONFIGURED"):
        await script_remote.cmd_configure.set_start(timeout=TIMEOUT)


async def test_an_invalid_pattern_is_rejected(script: Any, script_remote: Any) -> None:
    with pytest.raises(salobj.AckError, match=r"pause='\(' not a valid regex"):
        await script_remote.cmd_configure.set_start(pauseCheckpoint="(", timeout=TIMEOUT)


async def test_checkpoints_belong_to_the_run(script: Any) -> None:
    with pytest.raises(RuntimeError, match="state=UNCONFIGURED instead of RUNNING"):
        await script.checkpoint("too early")


async def test_configure_may_set_the_log_level(script: Any, script_remote: Any) -> None:
    old_level = script.log.level
    try:
        await script_remote.cmd_configure.set_start(logLevel=logging.DEBUG, timeout=TIMEOUT)
        assert script.log.level == logging.DEBUG
    finally:
        script.log.setLevel(old_level)


async def test_the_group_is_read_only(script: Any) -> None:
    with pytest.raises(AttributeError):
        script.group_id = "other"


async def test_index_0_is_rejected(topics: None, script: Any) -> None:
    with pytest.raises(ValueError, match="index must be nonzero"):
        type(script)(0)


@pytest.mark.parametrize(("config", "code"), [("", 0), ("error: x", 1)])
async def test_the_exit_code_says_how_it_ended(
    domain: Any, script_class: Any, monkeypatch: pytest.MonkeyPatch, config: str, code: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["script", "7"])

    async def program() -> int:
        try:
            await script_class.amain()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    async with salobj.Remote(domain, "Script", 7) as remote:
        running = asyncio.create_task(program())
        await Follower(remote).until(ScriptState.UNCONFIGURED)
        await configure(remote, config)
        await remote.cmd_run.start(timeout=TIMEOUT)
        assert await asyncio.wait_for(running, timeout=TIMEOUT) == code


async def test_a_signal_ends_it(only_local: None, script: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(script.done_task, timeout=TIMEOUT)
