# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bad detector of two, in a real Butler repository.

What is certified is found there for the good one, and for the other what was
found before. The invariant of all sequences of runs is checked too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from astropy.time import Time
from butler_sequences import _BASE, Step, replay
from butler_world import DAILY, FIRST_FRAME, REFERENCE, ButlerWorld, Faults
from lsst.daf.butler import Timespan
from lsst.ts.calibrationscripts.outcomes import Outcome
from made_up_camera import DUO

pytestmark = pytest.mark.slow

GOOD, BAD = DUO.detector_ids()

CHAIN = {"script_mode": "BIAS_DARK", "n_bias": 2, "n_dark": 2}
HOLD = yaml.safe_dump(_BASE | CHAIN)
REST = yaml.safe_dump(_BASE | CHAIN | {"incomplete": "certify_rest"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ButlerWorld]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = ButlerWorld(tmp_path_factory.mktemp("night"), monkeypatch)
        yield world
        world.close()


def found(world: ButlerWorld, name: str, detector: int) -> str | None:
    """Return the run of what a frame of that day finds."""
    moment = Time(FIRST_FRAME + 60, format="unix_tai", scale="tai")
    ref = world.butler.find_dataset(
        name,
        {"instrument": DUO.name, "detector": detector},
        collections=[DAILY] if world.is_there(DAILY) else [REFERENCE],
        timespan=Timespan(moment, moment),
    )
    return None if ref is None else ref.run


def outcomes(world: ButlerWorld) -> dict[str, Outcome]:
    assert world.ended is not None
    return {result.name: result.outcome for result in world.ended.stages}


@pytest.mark.parametrize(
    "faults",
    [
        Faults(jobs={1: "one detector"}),
        Faults(jobs={1: "one detector, exit 1"}),
        Faults(jobs={1: "dropped of one"}),
        Faults(jobs={1: "one noisy"}),
        Faults(jobs={2: "dropped of one"}),
        Faults(jobs={2: "one noisy"}),
    ],
    ids=lambda faults: ", ".join(f"job {i} {what}" for i, what in faults.jobs.items()),
)
def test_the_good_one_is_found_and_the_bad_one_is_not(world: ButlerWorld, faults: Faults) -> None:
    # Given a detector that goes wrong, and an observer who wants the rest
    replay(world, (Step(REST, faults=faults),))
    assert outcomes(world)["certify BIAS"] is outcomes(world)["certify DARK"] is Outcome.CERTIFIED
    # Then a look-up finds bias and dark of the other alone
    for name in ("bias", "dark"):
        assert found(world, name, GOOD) is not None
        assert found(world, name, BAD) is None
    assert world.ended is not None and not world.ended.complete
    # And so does a run that was held at first, and repeats nothing
    replay(world, (Step(HOLD, faults=faults),))
    assert not world.is_there(DAILY)
    n_jobs = world.state.n_jobs
    replay(world, (Step(HOLD, faults=faults), Step(REST)))
    assert found(world, "dark", GOOD) is not None and found(world, "dark", BAD) is None
    assert not [job for job in list(world.state.requests)[n_jobs:] if job.endswith("cpBias")]


def test_a_frame_that_never_came_for_one_leaves_it_out(world: ButlerWorld) -> None:
    # Given the first bias of a detector, which is nowhere
    world.pristine.state.not_ingested = {(1, BAD)}
    try:
        replay(world, (Step(HOLD),))
        assert world.ended is not None
        reason = world.ended.stages[0].reason
        assert reason.startswith("1 of 2 detectors: R00_S01: not in the Butler: exposure 2026112300001. With")
        assert not world.is_there(DAILY) and not world.state.requests
        # When the run is resumed with the rest
        replay(world, (Step(HOLD), Step(REST)))
    finally:
        world.pristine.state.not_ingested = set()
    # Then the other is certified, and no job was about the bad one
    assert found(world, "bias", GOOD) and found(world, "bias", BAD) is None
    assert {request.detectors for request in world.state.requests.values()} == {(GOOD,)}


def test_what_was_left_out_can_be_certified_by_a_run_of_its_own(world: ButlerWorld) -> None:
    # Given a product of the rest, for the same days and collection
    replay(world, (Step(REST, faults=Faults(jobs={1: "one detector"})), Step(REST)))
    assert found(world, "bias", BAD) is None
    # When the same run is resumed about the bad one alone
    alone = yaml.safe_dump(_BASE | CHAIN | {"detectors": [BAD]})
    replay(world, (Step(REST, faults=Faults(jobs={1: "one detector"})), Step(alone)))
    # Then both are there
    assert found(world, "bias", GOOD) and found(world, "bias", BAD)
    assert found(world, "bias", GOOD) != found(world, "bias", BAD)


def test_killed_after_the_rest_was_made_it_goes_on_with_the_rest(world: ButlerWorld) -> None:
    for stage in ("generate BIAS", "verify BIAS", "certify BIAS", "verify DARK"):
        faults = Faults(jobs={1: "one detector"}, kill_after=stage)
        replay(world, (Step(REST, faults=faults), Step(REST)))
        assert outcomes(world)["certify DARK"] is Outcome.CERTIFIED
        assert found(world, "dark", GOOD) and found(world, "dark", BAD) is None
        # No job was run twice
        assert sorted(job.partition("_")[2] for job in world.state.requests) == [
            *("cpBias", "cpDark", "verifyBias", "verifyDark"),
        ]
