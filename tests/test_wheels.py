# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of flats are taken in the order that moves the wheels least."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import RunPlan, count_moves, least_moves, make_plan
from lsst.ts.calibrationscripts.products import StageKind
from lsst.ts.calibrationscripts.report import itinerary
from test_resume import run
from world import World

positions = st.sampled_from(["a", "b", "c"])
configured = st.lists(st.tuples(positions, positions), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(configured, st.none() | st.tuples(positions, positions))
def test_no_order_has_fewer_moves_and_ties_keep_the_order_of_the_configuration(
    sets: list[tuple[str, str]], beam: tuple[str, str] | None
) -> None:
    # Brute force: the first of the best, in the order of permutations.
    orders = itertools.permutations(range(len(sets)))
    best = min(orders, key=lambda order: count_moves([sets[i] for i in order], beam))
    assert least_moves(sets, beam) == best


@settings(max_examples=300, deadline=None)
@given(configured, st.integers(0, 3), st.integers(0, 3))
def test_what_is_in_the_beam_at_the_beginning_is_taken_before_its_wheel_turns(
    sets: list[tuple[str, str]], n_filter: int, n_grating: int
) -> None:
    # Given sets that leave a wheel as it is, as the configuration allows it:
    # before others have turned it
    wanted = [
        (None if i < n_filter else one, None if i < n_grating else other)
        for i, (one, other) in enumerate(sets)
    ]
    order = least_moves(wanted)
    moves = count_moves([wanted[i] for i in order])
    assert moves < math.inf
    everyone = itertools.permutations(wanted)
    assert moves == min(count_moves(each) for each in everyone)


def test_a_dozen_sets_are_ordered_within_a_second_of_two_cores() -> None:
    sets = [(f"f{i % 4}", f"g{i % 3}") for i in range(12)]
    begun = time.process_time()
    order = least_moves(sets)
    assert time.process_time() - begun < 3
    assert sorted(order) == list(range(12))
    assert count_moves([sets[i] for i in order]) == 11


WEEKLY = """
script_mode: FLAT
n_flat: 2
n_discard_flat: 0
flat_sets:
- {filter: SDSSr, grating: empty_1}
- {filter: SDSSg, grating: blue}
- {filter: SDSSr, grating: blue}
- {filter: SDSSg, grating: empty_1}
"""


def plan_of(text: str) -> RunPlan:
    return make_plan(parse(text, LATISS), LATISS)


def taken_in(plan: RunPlan) -> list[str]:
    return [stage.subject.part for stage in plan.stages_of(StageKind.EXPOSE)]


def test_the_plan_takes_that_order_and_says_so() -> None:
    plan = plan_of(WEEKLY)
    order = ["SDSSr~empty_1", "SDSSr~blue", "SDSSg~blue", "SDSSg~empty_1"]
    assert taken_in(plan) == order
    assert list(dict.fromkeys(exposure.series.part for exposure in plan.exposures)) == order
    (notice,) = [notice for notice in plan.notices if "keep_order" in notice]
    assert "3 moves of the wheels instead of 5" in notice
    assert "FLAT SDSSr~empty_1, FLAT SDSSr~blue, FLAT SDSSg~blue, FLAT SDSSg~empty_1" in notice
    # and its table has the same order
    config = parse(WEEKLY, LATISS)
    import datetime

    text = itinerary(config, plan, LATISS, datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC))
    rows = [line.split()[1] for line in text.splitlines() if line.startswith("    FLAT ")]
    assert rows == order


def test_the_order_of_the_configuration_is_kept_on_request_and_without_gain() -> None:
    kept = plan_of(f"{WEEKLY}keep_order: true\n")
    assert taken_in(kept) == ["SDSSr~empty_1", "SDSSg~blue", "SDSSr~blue", "SDSSg~empty_1"]
    assert not [notice for notice in kept.notices if "moves of the wheels" in notice]
    best = yaml.safe_load(WEEKLY)
    best["flat_sets"] = best["flat_sets"][:1]
    assert not [notice for notice in plan_of(yaml.safe_dump(best)).notices if "keep_order" in notice]


def test_jobs_do_not_depend_on_the_order_of_the_wheels() -> None:
    # Their requests are compared when a run is resumed, of any version.
    text = WEEKLY.replace("script_mode: FLAT", "script_mode: BIAS_DARK_FLAT") + "do_defects: true\n"
    ordered, kept = plan_of(text), plan_of(f"{text}keep_order: true\n")

    def jobs(plan: RunPlan) -> list[object]:
        return [(stage.id, stage.job) for stage in plan.stages if stage.job]

    assert jobs(ordered) == jobs(kept)


def test_the_wheels_are_turned_in_the_order_of_the_plan() -> None:
    world = World()
    report = run(world, WEEKLY)
    set_up = [event for _, event in world.events if event.startswith("set up")]
    # The first set is set up early, too.
    assert [name.split()[-1] for name in set_up[1:]] == taken_in(plan_of(WEEKLY))
    assert set_up[0] == set_up[1]
    assert report.complete


@pytest.mark.parametrize("before", ["keep_order: true", "keep_order: false"])
def test_a_run_resumes_with_the_frames_of_another_order(before: str) -> None:
    # Given a run that ended in its third set
    world = World()

    def kill(event: str) -> None:
        if len(world.taken) == 5:
            world.on_event = None
            world.kill()

    world.on_event = kill
    run(world, f"{WEEKLY}{before}\n")
    world.killed = False
    # When it is resumed with the other one
    after = {"keep_order: true": "keep_order: false"}.get(before, "keep_order: true")
    report = run(world, f"{WEEKLY}{after}\n", resume=True)
    # Then no frame is taken twice, and all is processed.
    assert report.complete
    assert len(world.taken) == len(set(world.taken)) == 8
    assert {result.outcome for result in report.stages} == {Outcome.PASSED}


def test_a_configuration_without_the_key_is_ordered() -> None:
    config = parse(WEEKLY, LATISS)
    assert config.keep_order is False
    assert [series.part for series in config.series][1] == "SDSSg~blue"
    assert dataclasses.replace(config, keep_order=True).to_dict()["keep_order"] is True
