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
from lsst.daf.butler import CollectionType, Timespan
from lsst.ts.calibrationscripts.butler.decertifying import decertify as undo
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.decertification import choose
from lsst.ts.calibrationscripts.outcomes import Outcome
from made_up_camera import DUO
from virtual_time import virtually

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


BIASES = _BASE | {"script_mode": "BIAS", "n_bias": 2}
LOOSE = yaml.safe_dump(BIASES | {"number_verification_tests_threshold_bias": 17})
STRICT = yaml.safe_dump(BIASES | {"incomplete": "certify_rest"})
NOISY = Faults(jobs={2: "one noisy"})


def test_the_rest_is_not_certified_beside_a_bad_one_that_was_certified(world: ButlerWorld) -> None:
    # Given both, certified by limits that the bad one passes
    replay(world, (Step(LOOSE, faults=NOISY), Step(STRICT)))
    # When the run is resumed with others, then it is not said to be left out
    assert found(world, "bias", BAD) is not None
    assert outcomes(world)["certify BIAS"] is Outcome.FAILED
    assert world.ended is not None and world.ended.proofs == ()
    reason = world.ended.stages[-1].reason
    assert reason.startswith(
        "BIAS was certified by an earlier session for a detector that is left out now: 1 of 2 detectors: "
        "R00_S01: NOISE on 8 amplifiers in 2 of 2 exposures; an earlier session has certified it"
    )


def test_a_detector_that_was_left_out_is_certified_beside_the_rest(world: ButlerWorld) -> None:
    # Given the rest, certified, and limits that the other passes too
    replay(world, (Step(STRICT, faults=NOISY), Step(LOOSE)))
    # Then it is certified for the same days, by the same run
    assert outcomes(world)["certify BIAS"] is Outcome.CERTIFIED
    assert found(world, "bias", GOOD) == found(world, "bias", BAD) == "u/ocps/1_cpBias/run"


@pytest.mark.parametrize("steps", [(LOOSE, STRICT), (STRICT, LOOSE)], ids=["then the rest", "then all"])
def test_undoing_it_leaves_no_detector_behind(world: ButlerWorld, steps: tuple[str, str]) -> None:
    # Given one session that has certified both, and one the good one only,
    # for other days, of which the later one has left its proof
    first, later = steps
    later = yaml.safe_dump(yaml.safe_load(later) | {"calib_collection": f"{DAILY}/later"})
    world.restore(world.pristine)
    world.run(first, NOISY)
    world.run(later)
    assert world.ended is not None
    record = read_record(world.state.journal)
    assert [each.collection for each in record.certifications] == [DAILY, f"{DAILY}/later"]
    # When all that the run has certified is undone
    virtually(undo(world.repo, choose(record, world.ended.proofs)))
    # Then nothing of it is found, also for the bad one
    for collection in (DAILY, f"{DAILY}/later"):
        assert not list(
            world.butler.registry.queryDatasetAssociations(
                "bias", collections=[collection], collectionTypes={CollectionType.CALIBRATION}
            )
        )
