# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue's driver leads a script to its end, whatever that is."""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from lsst.ts.calibrationscripts.observatory import queue
from lsst.ts.calibrationscripts.observatory.queue import (
    QueuedScript,
    QueueHooks,
    QueueOptions,
    ScriptResult,
    run_script,
)
from lsst.ts.calibrationscripts.observatory.sal import salobj

pytestmark = pytest.mark.usefixtures("topics")


class ExampleScript(salobj.BaseScript):
    """Three checkpoints, then what the configuration says."""

    def __init__(self, index: int) -> None:
        super().__init__(index=index, descr="An example")

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"end": {"enum": ["well", "badly", "never", "stubbornly"], "default": "well"}},
            "additionalProperties": False,
        }

    async def configure(self, config: SimpleNamespace) -> None:
        self.config = config

    def set_metadata(self, metadata: Any) -> None:
        metadata.duration = 12.5

    async def run(self) -> None:
        for step in range(1, 4):
            await self.checkpoint(f"STEP {step}/3")
            self.log.info("step %d, group %s", step, self.group_id)
        if self.config.end == "badly":
            raise salobj.ExpectedError("the dome is shut")
        if self.config.end == "never":
            await asyncio.Event().wait()
        while self.config.end == "stubbornly":
            try:
                await asyncio.wait_for(asyncio.Event().wait(), timeout=60)
            except asyncio.CancelledError:
                self.config.end = "late"
                await asyncio.wait_for(asyncio.Event().wait(), timeout=60)


async def run_example(
    config: str = "", *, timeout: float = 30, hooks: QueueHooks | None = None, **options: Any
) -> ScriptResult:
    return await run_script(
        ExampleScript,
        config,
        group_id="2022-09-29T14:00:00.000",
        timeout=timeout,
        options=QueueOptions(log_level=20, **options),
        hooks=hooks,
    )


def test_two_processes_take_indices_of_their_own_below_those_of_the_queues() -> None:
    # As run_one_script does (lsst-ts/ts_scriptqueue, 688c7adb): by chance.
    code = (
        "import random; random.seed(1)\n"
        "from lsst.ts.calibrationscripts.observatory import sal\n"
        "sal.use(sal.SalProvider.LOCAL)\n"
        "from lsst.ts.calibrationscripts.observatory.queue import QueuedScript\n"
        "async def main(): print(*[QueuedScript(None).index for _ in range(3)])\n"
        "import asyncio; asyncio.run(main())"
    )
    environment = os.environ | {"CALIBSCRIPTS_SAL": "local"}
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment).stdout
        for _ in range(2)
    )
    indices = [int(text) for text in (first + second).split()]
    assert len(set(indices)) == 6
    assert all(0 < index < 100_000 for index in indices)


def test_the_group_id_is_plain_tai_as_the_queues() -> None:
    # As in QueueModel.next_group_id: no time zone, and 37 s ahead of UTC.
    group_id = queue.next_group_id()
    tai = datetime.datetime.fromisoformat(group_id)
    assert tai.tzinfo is None and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", group_id)
    ahead = tai - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert ahead.total_seconds() == pytest.approx(37, abs=5)


async def test_script_that_ends_well() -> None:
    published: list[str] = []
    result = await run_example(hooks=QueueHooks(on_checkpoint=published.append))

    assert (result.state, result.reason) == ("DONE", "")
    assert result.states == ("UNCONFIGURED", "CONFIGURED", "RUNNING", "ENDING", "DONE")
    assert result.checkpoints == ("STEP 1/3", "STEP 2/3", "STEP 3/3") == tuple(published)
    assert result.duration == 12.5
    assert not result.timed_out


async def test_log_messages_are_reported_as_they_come() -> None:
    published: list[queue.LogMessage] = []
    result = await run_example(hooks=QueueHooks(on_message=published.append))

    assert tuple(published) == result.messages
    assert ("INFO", "step 2, group 2022-09-29T14:00:00.000") in [(m.level_name, m.text) for m in published]


async def test_a_hook_that_fails_is_called_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    called: list[queue.LogMessage] = []

    def fail(message: queue.LogMessage) -> None:
        called.append(message)
        raise OSError("nothing reads this")

    result = await run_example(hooks=QueueHooks(on_message=fail))

    assert (result.state, len(called)) == ("DONE", 1)
    assert len(result.messages) > 1
    assert "are no longer passed on" in caplog.text


async def test_script_that_fails_is_a_result() -> None:
    # Although its command run is acknowledged as complete.
    result = await run_example("end: badly")

    assert result.state == "FAILED"
    assert result.states[-2:] == ("FAILING", "FAILED")
    assert "the dome is shut" in result.reason


async def test_configuration_that_is_refused_is_a_result() -> None:
    result = await run_example("end: somehow")

    assert result.state == "CONFIGURE_FAILED"
    assert "somehow" in result.reason
    assert result.duration is None
    assert result.checkpoints == ()


async def test_script_pauses_until_it_is_resumed() -> None:
    paused: list[tuple[str, ...]] = []

    async def resume(script: QueuedScript) -> None:
        paused.append(script.result().checkpoints)
        await script.resume()

    result = await run_example(pause_checkpoint="STEP [12].*", hooks=QueueHooks(on_paused=resume))

    assert paused == [("STEP 1/3",), ("STEP 1/3", "STEP 2/3")]
    assert result.state == "DONE"
    assert result.states.count("PAUSED") == 2
    assert len(result.checkpoints) == 3


async def test_script_stops_at_a_checkpoint() -> None:
    result = await run_example(stop_checkpoint="STEP 2/3")

    assert result.states[-2:] == ("STOPPING", "STOPPED")
    assert result.checkpoints == ("STEP 1/3", "STEP 2/3")


async def test_paused_script_is_stopped() -> None:
    result = await run_example(pause_checkpoint="STEP 1/3", hooks=QueueHooks(on_paused=QueuedScript.stop))

    assert result.states[-3:] == ("PAUSED", "STOPPING", "STOPPED")


async def test_script_can_be_led_step_by_step() -> None:
    async with QueuedScript(ExampleScript) as script:
        await script.configure("", QueueOptions(pause_checkpoint="STEP 3/3", block_id="BLOCK-7"))
        run = asyncio.create_task(script.run("group", timeout=30))
        await script.wait_for("PAUSED", timeout=10)
        assert script.script.obs_id == "BLOCK-7"
        await script.resume()
        await run
        assert script.state == "DONE"


async def test_script_that_hangs_is_stopped() -> None:
    result = await run_example("end: never", timeout=0.5)

    assert result.timed_out
    assert result.state == "STOPPED"


async def test_script_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "STOP_TIMEOUT", 0.5)
    result = await run_example("end: stubbornly", timeout=0.5)

    assert result.timed_out
    assert result.state == "RUNNING"


async def test_error_of_a_hook_ends_the_script() -> None:
    async def fail(script: QueuedScript) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await run_example(pause_checkpoint=".*", hooks=QueueHooks(on_paused=fail))


async def test_script_that_cannot_be_loaded_leaves_nothing() -> None:
    def load(index: int) -> ExampleScript:
        raise ImportError("no such script")

    with pytest.raises(ImportError, match="no such script"):
        await run_script(load, "", group_id="group", timeout=10)
