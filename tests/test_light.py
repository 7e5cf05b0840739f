# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first flat of a set is looked at before the rest is taken."""

from __future__ import annotations

import re

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


USABLE = (10_000.0, 68_000.0)
SATURATED = 100_000.0


def level(counts: float, exp_time: float = 5.0, *exp_times: float, limits: bool = True) -> LightLevel:
    low, high = USABLE if limits else (None, None)
    return LightLevel("FLAT", 1, exp_time, counts, USABLE, SATURATED, low, high, exp_times)


def test_a_saturated_flat_is_no_measure_and_gets_no_proportional_advice() -> None:
    # 123,000 counts in 30 s may have been any light at all
    text = level(123_000.0, 30.0).text

    assert "it is saturated, the level is not a measure of the light. Is the lamp too bright" in text
    assert "An exposure time of" not in text
    assert not level(123_000.0, 30.0).acceptable


def test_a_saturated_first_flat_stops_a_set_that_has_limits() -> None:
    world = World(flat_level=123_000.0)
    report = run(world, FLATS % ", flat_counts_min: 10000, flat_counts_max: 68000")

    assert world.taken == ["FLAT 1/5, 5 s"]
    assert "saturated" in report.stages[0].reason
    assert "would give" not in report.stages[0].reason


@pytest.mark.parametrize("counts", [-40.0, 0.0, 0.3, 12.0, 100.0])
def test_a_dark_flat_gets_no_exposure_time(counts: float) -> None:
    text = level(counts).text

    assert "Is the dome screen in place, the lamp on" in text
    assert "exposure time" not in text


@pytest.mark.parametrize(("counts", "exp_time"), [(99_000.0, 0.2), (101.0, 3600.0)])
def test_no_exposure_time_is_advised_that_cannot_be_configured(counts: float, exp_time: float) -> None:
    assert "No exposure time of 0.1 to 3600 s would give 26,077." in level(counts, exp_time).text


@pytest.mark.parametrize("counts", [101.0, 150.0, 900.0, 9_999.0, 68_001.0, 99_999.0])
@pytest.mark.parametrize("exp_time", [0.1, 0.25, 5.0, 300.0, 3600.0])
def test_every_exposure_time_that_is_advised_can_be_configured(counts: float, exp_time: float) -> None:
    text = level(counts, exp_time).text

    if "No exposure time" not in text:
        [advised] = re.findall(r"An exposure time of ([\d.]+) s", text)
        assert 0.1 <= float(advised) <= 3600


RAMP = (0.5, 0.5, 0.5, 5.0, 5.0, 8.0, 8.0)


def test_a_ramp_is_not_condemned_for_its_shortest_time() -> None:
    # Given a light of 5,000 counts a second, 2,500 in the first flat
    shortest = level(2_500.0, *RAMP)

    assert shortest.acceptable
    assert shortest.usable
    assert shortest.text == "FLAT: the first flat, exposure 1, has 2,500 counts in 0.5 s."


def test_a_ramp_is_taken_without_a_false_alarm() -> None:
    world = World(flat_level=2_500.0)
    text = "{script_mode: FLAT, n_flat: 6, n_discard_flat: 0, exp_times_flat: [0.5, 0.5, 5, 5, 8, 8]%s}"

    assert run(world, text % ", flat_counts_min: 10000, flat_counts_max: 68000").complete

    assert len(world.taken) == 6
    assert not [line for kind, line in world.log if kind == "warning"]


def test_a_ramp_in_the_dark_is_condemned() -> None:
    dark = level(20.0, *RAMP)

    assert not dark.acceptable
    assert "none of the exposure times would give 10,000 to 68,000. Is the dome screen" in dark.text


def test_a_ramp_whose_longest_time_comes_first_may_saturate() -> None:
    longest = level(123_000.0, 8.0, 8.0, 8.0, 5.0, 5.0, 0.5, 0.5)

    assert longest.acceptable
    assert longest.text.endswith("it is saturated, the level is not a measure of the light.")


def test_a_ramp_whose_shortest_time_saturates_is_condemned() -> None:
    assert not level(123_000.0, *RAMP).acceptable
    assert level(123_000.0, *RAMP, limits=False).acceptable
