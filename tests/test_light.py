# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first flat of a set is looked at before the rest is taken."""

from __future__ import annotations

import pytest
from lsst.ts.calibrationscripts.light import LightLevel
from lsst.ts.calibrationscripts.outcomes import Outcome
from test_procedure import run
from world import World

FLATS = "{script_mode: FLAT, n_flat: 4, exp_times_flat: 5%s}"


def test_a_usable_level_is_told() -> None:
    world = World()
    assert run(world, FLATS % "").complete
    assert ("info", "FLAT: the first flat, exposure 2026112300001, has 20,000 counts.") in world.log


@pytest.mark.parametrize("level, hint", [(900.0, "dome screen"), (70_000.0, "too bright")])
def test_an_unusable_level_is_a_warning_and_no_more(level: float, hint: str) -> None:
    world = World(flat_level=level)
    assert run(world, FLATS % "").complete
    assert any(hint in text for kind, text in world.log if kind == "warning")


def test_a_level_that_is_not_accepted_stops_the_set_at_its_first_frame() -> None:
    world = World(flat_level=900.0)
    report = run(world, FLATS % ", flat_counts_min: 10000, flat_counts_max: 40000")
    # Then one frame was taken, and the reason says what to do
    assert world.taken == ["FLAT 1/5, 5 s"]
    failed = report.stages[0]
    assert failed.outcome is Outcome.FAILED
    assert "has 900 counts, outside 10,000 to 40,000" in failed.reason
    assert "An exposure time of 111 s would give 20,000." in failed.reason
    assert report.stages[1].outcome is Outcome.SKIPPED


def test_the_next_set_is_taken_all_the_same() -> None:
    world = World(flat_level=900.0)
    sets = ", flat_counts_min: 500, flat_sets: [{filter: a}, {filter: b}]"
    assert run(world, FLATS % sets).complete
    world = World(flat_level=100.0)
    run(world, FLATS % sets)
    assert [label.rpartition(" 1/")[0] for label in world.taken] == ["FLAT a~current", "FLAT b~current"]


def test_the_exposure_time_that_is_advised_lands_in_range() -> None:
    level = LightLevel("FLAT", 1, 5.0, 1_000.0, usable_range=(10_000.0, 68_000.0))
    assert "An exposure time of 130 s would give 26,077." in level.text
