# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exposure time of flats is found by trial flats."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.codec import read_document, read_record, to_json
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.files.journal import load_record
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.light import GiveUp, Take, Trial, Try, next_step
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.procedure import remaining
from lsst.ts.calibrationscripts.report import RunReport
from named import FLAT
from test_resume import run
from world import World

SATURATED = LATISS.saturated_counts
WANTED = (20_000.0, 40_000.0)
FLATS = "{script_mode: FLAT, n_flat: 2, exp_times_flat: %g, flat_counts: [20000, 40000]}"


def level_of(rate: float, exp_time: float) -> float:
    """Return what is measured of a light of ``rate`` counts a second."""
    return min(rate * exp_time, 123_000.0)


def search(rate: float, first: float, wanted: tuple[float, float] = WANTED) -> tuple[object, list[Trial]]:
    """Take trial flats until the search ends."""
    trials: list[Trial] = []
    while isinstance(step := next_step(first, wanted, SATURATED, trials), Try):
        trials.append(Trial(len(trials), step.exp_time, level_of(rate, step.exp_time)))
        assert len(trials) <= 2
    return step, trials


@settings(max_examples=500, deadline=None)
@given(
    st.floats(-1, 7).map(lambda power: 10**power),
    st.floats(0.1, 120.0),
    st.floats(200.0, 60_000.0).flatmap(
        lambda low: st.floats(1.1, 3.0).map(lambda ratio: (low, min(low * ratio, 99_000.0)))
    ),
)
def test_what_is_taken_has_the_level_and_what_is_given_up_could_not_have_it(
    rate: float, first: float, wanted: tuple[float, float]
) -> None:
    step, trials = search(rate, first, wanted)
    assert len(trials) <= 2
    assert all(0.1 <= trial.exp_time <= 120 for trial in trials)
    if isinstance(step, Take):
        assert 0.1 <= step.exp_time <= 120
        assert 0.99 * wanted[0] <= level_of(rate, step.exp_time) <= 1.01 * wanted[1]
        return
    # It is given up rightly if no time would do, or if two flats in a row are
    # no measure: the light is so faint or so bright.
    assert isinstance(step, GiveUp)
    reachable = any(wanted[0] <= level_of(rate, time) <= wanted[1] for time in (0.1, 120.0))
    reachable |= 0.1 <= sum(wanted) / 2 / rate <= 120
    assert not reachable or trials[-1].counts <= 100 or trials[-1].counts >= SATURATED


@pytest.mark.parametrize(
    ("rate", "n_trials", "confirmed"),
    [
        (6_000.0, 1, True),
        (2_000.0, 2, True),
        (15_000.0, 2, True),
        (200_000.0, 2, True),
        (60_000.0, 2, False),
    ],
    ids=["at once", "too faint", "too bright", "saturated", "saturated, then measured"],
)
def test_two_trial_flats_suffice(rate: float, n_trials: int, confirmed: bool) -> None:
    step, trials = search(rate, 5.0)
    assert isinstance(step, Take) and step.confirmed is confirmed
    assert len(trials) == n_trials
    assert WANTED[0] <= level_of(rate, step.exp_time) <= WANTED[1]


@pytest.mark.parametrize(
    ("rate", "first", "n_trials", "cause"),
    [
        (10.0, 5.0, 1, "there is no light, or hardly any. Is the lamp on"),
        (
            100.0,
            5.0,
            1,
            "28,284 would need 283 s, and flats are taken with 0.1 to 120 s. The light is too faint",
        ),
        (900_000.0, 0.5, 2, "too bright"),
        (5e6, 0.1, 1, "it is saturated. The light is too bright"),
    ],
)
def test_a_search_that_cannot_succeed_ends_with_its_cause(
    rate: float, first: float, n_trials: int, cause: str
) -> None:
    step, trials = search(rate, first)
    assert isinstance(step, GiveUp) and cause in step.cause
    assert len(trials) == n_trials


def test_a_level_that_does_not_follow_the_exposure_time_is_not_trusted() -> None:
    # Given stray light that is there whatever the shutter does
    trials = [Trial(1, 5.0, 1_801.0), Trial(2, 96.2, 1_851.0)]
    step = next_step(5.0, WANTED, SATURATED, trials)
    assert isinstance(step, GiveUp)
    assert "has 1,851 counts in 96.2 s, and exposure 1 1,801 in 5 s: the level does not follow" in step.cause


class Lamp(World):
    """A world whose flats have a level by their exposure time."""

    rate = 4_000.0

    def __post_init__(self) -> None:
        super().__post_init__()

        async def raw_level(exposure: int) -> float:
            label, record = self.exposures[exposure]
            if label in self.unreadable:
                raise ObservatoryError("OSError: bad block")
            return level_of(self.rate, record.exp_time)

        self.repository.raw_level = raw_level  # type: ignore[method-assign]


def stage(report: RunReport, name: str) -> tuple[Outcome, str]:
    return next((result.outcome, result.reason) for result in report.stages if result.name == name)


def test_the_set_is_taken_with_the_time_that_was_found() -> None:
    world = Lamp()
    report = run(world, FLATS % 2)
    # Then the trial flats come first, and all others have their time
    assert world.taken == [
        "FLAT trial 1/2, 2 s",
        "FLAT trial 2/2, 7.07 s",
        "FLAT 1/3, 7.07 s",
        "FLAT 2/3, 7.07 s",
        "FLAT 3/3, 7.07 s",
    ]
    assert report.complete
    assert stage(report, "expose FLAT")[1] == "3 frames of 7.07 s, found by 2 trial flat(s)"
    # and the gain is of flats of that time.
    assert {gain.exp_time for gain in report.gains} == {7.07}


def test_trial_flats_are_recorded_as_discarded() -> None:
    world = Lamp()
    report = run(world, FLATS % 2)
    trials, settling = (2026112300001, 2026112300002), 2026112300003
    assert report.discarded[ImageType.FLAT] == (*trials, settling)
    assert set(trials) < set(report.exposures[ImageType.FLAT])
    # in the journal, which is read back
    record = read_record(world.journal)
    assert [(frame.number, frame.exposure) for frame in record.frames][:2] == [
        (-1, trials[0]),
        (0, trials[1]),
    ]
    assert [(sought.exp_time, sought.confirmed) for sought in record.sought] == [(7.07, True)]
    assert read_record(json.dumps(to_json(record))) == record
    # in the report and its JSON
    assert read_document(json.dumps(to_json(report))).report.discarded == report.discarded
    assert [span.frame for span in report.timeline if "trial" in span.frame] == world.taken[:2]
    # and no job has them.
    assert not any(set(trials) & set(request.exposures) for request in world.requests.values())


@pytest.mark.parametrize(
    ("text", "changed", "why"),
    [
        ("", "", None),
        ('"number": -1', '"number": -2', "-2 is less than -1"),
        ('"exp_time": 7.07', '"exp_time": 1e9', "is not an exposure time to find"),
    ],
)
def test_a_journal_with_trial_flats_is_read_unless_it_cannot_be(
    text: str, changed: str, why: str | None, tmp_path: Path
) -> None:
    world = Lamp()
    run(world, FLATS % 2)
    journal = json.loads(world.journal)
    for i, frame in enumerate(journal["frames"]):
        frame["group_id"] = f"g{i}"
    journal |= {"jobs": [], "stages": []}
    (tmp_path / "run.journal.json").write_text(json.dumps(journal).replace(text, changed))
    if why is None:
        assert len(load_record(tmp_path, "run").sought) == 1
        return
    with pytest.raises(LookupError, match=why):
        load_record(tmp_path, "run")


def test_the_wheels_are_set_up_once_for_trial_flats_and_set() -> None:
    world = Lamp()
    run(world, FLATS % 2)
    early, late = (i for i, (_, event) in enumerate(world.events) if event == "set up FLAT")
    assert early < late < next(i for i, (_, event) in enumerate(world.events) if "trial 1/2" in event)


def test_each_set_has_a_time_of_its_own_and_fails_for_itself() -> None:
    world = Lamp()

    def turn(event: str) -> None:
        world.rate = 1.0 if event == "set up FLAT faint~current" else world.rate
        world.rate = 5_000.0 if event == "set up FLAT bright~current" else world.rate

    world.on_event = turn
    report = run(world, FLATS.replace("}", ", flat_sets: [{filter: faint}, {filter: bright}]}") % 2)
    outcome, reason = stage(report, "expose FLAT faint~current")
    assert outcome is Outcome.FAILED and "has 2 counts in 2 s: there is no light" in reason
    assert stage(report, "verify FLAT faint~current")[0] is Outcome.SKIPPED
    assert stage(report, "expose FLAT bright~current")[1].startswith("3 frames of 5.66 s")
    assert stage(report, "verify FLAT bright~current")[0] is Outcome.PASSED
    # No further exposure of the set that failed.
    assert [label for label in world.taken if "faint" in label] == ["FLAT faint~current trial 1/2, 2 s"]


def test_a_lamp_that_is_off_costs_one_trial_flat() -> None:
    world = Lamp()
    world.rate = 2.0
    report = run(world, FLATS % 5)
    assert world.taken == ["FLAT trial 1/2, 5 s"]
    failed = report.stages[0]
    assert failed.outcome is Outcome.FAILED and failed.error_type == "light"
    assert failed.reason == (
        "FLAT: trial flat, exposure 2026112300001, has 10 counts in 5 s: there is no light, or hardly any. "
        "Is the lamp on, the dome screen in place, the filter the right one? No flat of the set is taken"
    )
    assert report.discarded[ImageType.FLAT] == (2026112300001,)


def test_a_level_that_cannot_be_measured_ends_the_set() -> None:
    world = Lamp(unreadable={"FLAT trial 1/2, 5 s"})
    report = run(world, FLATS % 5)
    assert world.taken == ["FLAT trial 1/2, 5 s"]
    assert "is not known: OSError: bad block. No flat of the set is taken" in report.stages[0].reason


def test_the_first_flat_is_checked_where_no_trial_flat_had_its_time() -> None:
    # Given a lamp that fades after two trial flats, the first one saturated
    world = Lamp()
    world.rate = 60_000.0

    def fade(event: str) -> None:
        if event.startswith("taking FLAT 1/"):
            world.rate = 6_000.0

    world.on_event = fade
    report = run(world, FLATS % 5)
    assert len(world.taken) == 3
    outcome, reason = stage(report, "expose FLAT")
    assert outcome is Outcome.FAILED and "outside 20,000 to 40,000" in reason


@pytest.mark.parametrize(
    "last",
    ["taking FLAT trial 1/2, 2 s", "FLAT trial 1/2, 2 s", "FLAT trial 2/2, 7.07 s", "FLAT 2/3, 7.07 s"],
)
def test_a_resumed_run_takes_no_trial_flat_twice_and_keeps_the_time(last: str) -> None:
    world = Lamp()

    def kill(event: str) -> None:
        if event == last:
            world.on_event = None
            world.kill()

    world.on_event = kill
    run(world, FLATS % 2)
    world.killed = False
    # Given another lamp, where the time is known already
    if "7.07" in last and "trial" not in last:
        world.rate = 100.0
    report = run(world, FLATS % 2, resume=True)
    assert report.complete
    assert len(world.taken) == len(set(world.taken)) == 5
    assert len(report.discarded[ImageType.FLAT]) == 3


def test_a_run_that_is_resumed_with_the_key_keeps_the_time_of_flats_that_it_has() -> None:
    world = Lamp()
    before = "{script_mode: FLAT, n_flat: 2, exp_times_flat: 2}"

    def kill(event: str) -> None:
        if event == "FLAT 2/3, 2 s":
            world.on_event = None
            world.kill()

    world.on_event = kill
    run(world, before)
    world.killed = False
    report = run(world, FLATS % 2, resume=True)
    assert world.taken == [f"FLAT {k}/3, 2 s" for k in (1, 2, 3)] and report.complete


def test_the_plan_has_the_trial_flats_in_its_number_and_its_duration() -> None:
    with_trials, without = (
        make_plan(parse(text, LATISS), LATISS)
        for text in (FLATS % 5, re.sub(r", flat_counts: \[.*?\]", "", FLATS % 5))
    )
    assert len(with_trials.exposures) == len(without.exposures) + 2
    assert [exposure.discard for exposure in with_trials.trials_of(FLAT)] == [True, True]
    # Two exposures of 5 s with their readout and ingest.
    assert with_trials.duration - without.duration == pytest.approx(2 * (5 + LATISS.readout_time + 5))
    assert any("up to 2 trial flats" in notice and "0.1 to 120 s" in notice for notice in with_trials.notices)


def test_the_plan_proposes_nothing_that_is_refused_beside_it() -> None:
    plan = make_plan(parse("{script_mode: FLAT, n_flat: 6, flat_counts: [20000, 40000]}", LATISS), LATISS)
    assert any("gains come from 1 flat pair(s)" in notice for notice in plan.notices)
    assert not any("pairs: 10" in notice for notice in plan.notices)


def test_trial_flats_that_were_not_needed_are_not_left_to_take() -> None:
    world = Lamp()
    run(world, FLATS % 7)
    assert len(world.taken) == 4
    config = parse(FLATS % 7, LATISS)
    left = remaining(make_plan(config, LATISS), config, read_record(world.journal))
    assert not left.exposures


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("exp_times_flat: [1, 1, 5, 5]", "flat_counts", "seeks one exposure time for all flats of a set"),
        ("exp_times_flat: {pairs: 3, exp_time: 5}", "flat_counts", "a ramp, or pairs, keep the times"),
        (
            "flat_sets: [{filter: a}, {filter: b, exp_times_flat: [1, 2]}]",
            "flat_counts",
            "for FLAT b~current",
        ),
        ("exp_times_flat: 200", "flat_counts", "takes flats of 120 s at most"),
        ("flat_counts_min: 100", "flat_counts_min", "flat_counts has the limits"),
        ("flat_counts: [40000, 20000]", "flat_counts", "write the lower number first: [20000, 40000]"),
        ("flat_counts: [50, 2000]", "flat_counts", "can be the bias alone"),
        ("flat_counts: [50000, 120000]", "flat_counts", "ends where flats of LATISS saturate"),
        ("flat_counts: [20000]", "flat_counts", "has 1 value; write for example [20000, 40000]"),
        ("flat_counts: [.nan, 20000]", "flat_counts", "is not finite"),
        ("flat_counts: 20000", "flat_counts", "must be a list"),
    ],
)
def test_what_it_cannot_be_is_refused_with_what_to_write(text: str, key: str, why: str) -> None:
    given_text = text if "flat_counts:" in text else f"flat_counts: [20000, 40000]\n{text}"
    with pytest.raises(ConfigurationError) as caught:
        parse(given_text, LATISS)
    (problem,) = (problem for problem in caught.value.problems if problem.key == key)
    assert why in str(problem)


def test_equal_times_in_a_list_are_one_time() -> None:
    config = parse("flat_counts: [20000, 40000]\nexp_times_flat: [5, 5, 5]\nn_flat: 3\n", LATISS)
    assert config.flat_counts == (20_000.0, 40_000.0)
    assert parse(json.dumps(config.to_dict()), LATISS).flat_counts == config.flat_counts
