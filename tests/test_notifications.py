# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is notified of what, in a world of a few lines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.ports import CameraError, ObservatoryError
from lsst.ts.calibrationscripts.record import RunRecord
from virtual_time import virtually
from world import Killed, World, _Journal

CHAIN = "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15}"
HELD = "verify BIAS: HELD, 3 of 3 exposures fail NOISE; at most 2 may fail"
ASK = CHAIN.replace("}", ", certify: ask}")


def run(world: World, text: str, *, resume: bool = False) -> list[str]:
    """Run to the end, however that comes; return the titles of messages."""

    async def work() -> None:
        try:
            await world.procedure(text, resume=resume).run()
        except (ObservatoryError, Killed):
            pass
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(work())
    return [title for title, _ in world.messages]


def test_a_run_that_is_complete_sends_nothing() -> None:
    assert run(World(notifies=True), CHAIN) == []


def test_a_product_that_is_held_is_heard_of_once() -> None:
    world = World(notifies=True, failing_types=frozenset({"BIAS"}))
    assert run(world, CHAIN) == ["LATISS BIAS: HELD"]
    assert world.messages[0][1] == f"{HELD}\nRun run."


def test_what_waits_is_heard_of_with_how_to_decide() -> None:
    world = World(notifies=True)
    assert run(world, ASK) == ["LATISS BIAS: WAITING", "LATISS DARK: WAITING"]
    assert "To accept or reject it: calibscripts decide run" in world.messages[0][1]


def test_a_product_that_is_certified_though_worse_is_heard_of() -> None:
    world = World(notifies=True, residual=9.0)
    assert run(world, CHAIN) == [f"LATISS {name}: CERTIFIED, though worse" for name in ("BIAS", "DARK")]
    assert "certify BIAS: " in world.messages[0][1] and "noise in " in world.messages[0][1]


def test_a_product_that_is_not_certified_because_it_is_worse_is_heard_of_once() -> None:
    world = World(notifies=True, residual=9.0)
    assert run(world, CHAIN.replace("}", ", certify_if: not_worse}")) == ["LATISS BIAS: HELD"]


def test_a_product_whose_job_fails_is_heard_of_and_not_what_it_prevents() -> None:
    world = World(notifies=True, exit_codes={"cpBias": 1})
    assert run(world, CHAIN) == ["LATISS BIAS: FAILED"]


def test_a_resumed_run_does_not_send_again() -> None:
    # Given a run with a bias and a dark that are held
    world = World(notifies=True, failing_types=frozenset({"BIAS", "DARK"}))
    text = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 15, fail_on: [verification]}"
    assert run(world, text) == ["LATISS BIAS: HELD", "LATISS DARK: HELD"]
    # When it is resumed, and they are held again
    assert run(world, text, resume=True) == ["LATISS BIAS: HELD", "LATISS DARK: HELD"]
    assert [text for _, text in world.log].count(HELD) == 2


def test_a_run_that_is_killed_with_its_message_does_not_send_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a journal that is written late, and a process that is killed at
    # the moment that it has sent
    written: list[str] = []

    def write(journal: Any, record: RunRecord) -> None:
        written.append(json.dumps(to_json(record)))

    async def flush(journal: Any) -> None:
        if not world.killed:
            world.journal = written[-1]

    monkeypatch.setattr(_Journal, "write", write)
    monkeypatch.setattr(_Journal, "flush", flush)
    world = World(notifies=True, failing_types=frozenset({"BIAS"}))
    world.on_event = lambda event: world.kill() if event == "sent LATISS BIAS: HELD" else None
    assert run(world, CHAIN) == ["LATISS BIAS: HELD"]
    assert read_record(world.journal).notified == ("BIAS",)
    # When the run is resumed, then it is not sent again.
    world.killed, world.on_event = False, None
    assert run(world, CHAIN, resume=True) == ["LATISS BIAS: HELD"]


def test_a_run_that_fails_as_a_whole_is_heard_of_once() -> None:
    world = World(notifies=True, exposure_error=("BIAS 2", CameraError("shutter stuck")))
    assert run(world, CHAIN) == ["LATISS run: FAILED"]
    assert "shutter stuck" in world.messages[0][1]
    assert run(world, CHAIN, resume=True) == ["LATISS run: FAILED"]


@pytest.mark.parametrize("problem", ["ATCamera is not ENABLED"])
def test_what_keeps_a_run_from_beginning_is_left_to_the_queue(problem: str) -> None:
    assert run(World(notifies=True, problems=(problem,)), CHAIN) == []


def test_without_anyone_to_notify_nothing_is_noted() -> None:
    world = World(failing_types=frozenset({"BIAS"}))
    assert run(world, CHAIN) == []
    assert read_record(world.journal).notified == ()
