# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is certified was verified, whatever happened before.

On a real Butler repository, with real journals: random mutations of both
between runs that resume each other, and faults in the runs. Each seed gives
the same sequences each time, and a failure prints the steps of its sequence,
which `replay` carries out again. CALIBSCRIPTS_SEQUENCES is how many of them a
seed gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from butler_sequences import BIAS_ALONE, Step, ViolationError, explore, replay
from butler_world import ButlerWorld, Faults
from lsst.ts.calibrationscripts.butler import repository
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.procedure import _exposer, _processing
from lsst.ts.calibrationscripts.procedure._completeness import Completeness
from lsst.ts.calibrationscripts.procedure._jobs import JobRunner
from lsst.ts.calibrationscripts.proof import Proof
from lsst.ts.calibrationscripts.report import RunReport

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

N_SEQUENCES = int(os.environ.get("CALIBSCRIPTS_SEQUENCES", "25"))
SEEDS = range(8)

VERIFIED = Faults(kill_after="verify BIAS")
"""The process is killed once the biases are verified, before it certifies."""

EXTERNAL = yaml.safe_dump(yaml.safe_load(BIAS_ALONE) | {"generate_calibrations": False})


AGAIN = yaml.safe_dump(yaml.safe_load(BIAS_ALONE) | {"config_options_bias": "-c cpBiasIsr:doLinearize=False"})
"""Biases that are made otherwise."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ButlerWorld]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = ButlerWorld(tmp_path_factory.mktemp("night"), monkeypatch)
        yield world
        world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_certified_has_passed_by_its_own_frames_and_reference(
    world: ButlerWorld, seed: int, record_property: Callable[[str, object], None]
) -> None:
    counts = explore(world, seed, N_SEQUENCES)
    record_property("sequences", dict(counts))
    # Then it was about something: most were changed, and many certified
    assert counts["mutated"] > N_SEQUENCES / 2
    assert counts["reported"] >= N_SEQUENCES / 20


# Each protection is needed


def _accept(proof: Proof, **needs: object) -> Proof:
    return proof


async def _adopt_any(self: Any, stage: Any, *args: object) -> bool:
    job = self._earlier.job_of(stage.id)
    if job is not None:
        self.records[stage.id] = job
    return job is not None


def _no_fault(*args: object) -> None:
    return None


def _whatever_is_there(butler: Any, dataset_type: str, run: str) -> list[Any]:
    """Return datasets of a job's chain, not of its own run."""
    chain = run.removesuffix("/run")
    refs: list[Any] = butler.query_datasets(dataset_type, collections=chain, find_first=True, explain=False)
    return refs


def _pass(*args: Any, **kwargs: Any) -> Any:
    return _judge(*args, **{**kwargs, "expected": None})


_judge = _processing.judge

LYING = Faults(lying_at=2)
FOREIGN = Faults(foreign_at=2)
FOREIGN_TOO = Faults(jobs={1: "foreign too"})


async def _all_is_well(*args: object) -> None:
    return None


OF_OTHERS = ("mix_exposures_of_statistics", 0, 0)


PROVE = (_processing, "prove", _accept)


@pytest.mark.parametrize(
    ("broken", "steps"),
    [
        (
            [PROVE],
            (
                Step(EXTERNAL),
                Step(BIAS_ALONE, faults=VERIFIED),
                Step(BIAS_ALONE, (("name_an_older_job", 1, 0),)),
            ),
        ),
        ([PROVE, (JobRunner, "_adopt", _adopt_any)], (Step(EXTERNAL), Step(BIAS_ALONE))),
        ([PROVE], (Step(BIAS_ALONE, faults=Faults(reference_first=True)),)),
        ([(_exposer, "fault_of", _no_fault)], (Step(BIAS_ALONE, faults=LYING),)),
        ([(_exposer, "fault_of_identity", _no_fault)], (Step(BIAS_ALONE, faults=FOREIGN),)),
        ([(Completeness, "check_frames", _all_is_well)], (Step(BIAS_ALONE, faults=FOREIGN_TOO),)),
        (
            [PROVE, (_processing, "judge", _pass)],
            (Step(BIAS_ALONE, faults=VERIFIED), Step(BIAS_ALONE, (OF_OTHERS,))),
        ),
        (
            [(repository, "datasets", _whatever_is_there)],
            (
                Step(BIAS_ALONE, faults=VERIFIED),
                Step(BIAS_ALONE, (("let_a_type_fail", 0, 0), ("move_statistics_to_an_input", 0, 0))),
            ),
        ),
    ],
    ids=[
        "proof",
        "same job",
        "order of collections",
        "records",
        "groups",
        "exposures used",
        "exposures of statistics",
        "own statistics",
    ],
)
def test_it_is_found_if_a_protection_is_missing(
    world: ButlerWorld,
    monkeypatch: pytest.MonkeyPatch,
    broken: list[tuple[object, str, object]],
    steps: tuple[Step, ...],
) -> None:
    replay(world, steps)
    for owner, name, replacement in broken:
        monkeypatch.setattr(owner, name, replacement)
    with pytest.raises(ViolationError):
        replay(world, steps)


def test_random_sequences_find_what_is_certified_without_proof(
    world: ButlerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name, broken in ((_processing, "prove", _accept), (JobRunner, "_adopt", _adopt_any)):
        monkeypatch.setattr(owner, name, broken)
    with pytest.raises(ViolationError, match="after these steps"):
        explore(world, 0, 100)


# What it has found


def outcome_of(report: RunReport | None, name: str) -> tuple[Outcome, str]:
    assert report is not None
    return next((result.outcome, result.reason) for result in report.stages if result.name == name)


def test_a_frame_of_another_group_than_in_the_journal_is_in_no_job(world: ButlerWorld) -> None:
    # Given a journal in which a frame is another night's bias
    replay(
        world,
        (
            Step(BIAS_ALONE, faults=Faults(camera_at=2)),
            Step(BIAS_ALONE, (("use_a_foreign_frame", 0, 0),)),
        ),
    )
    # Then it is compared with what the Butler has of it
    outcome, reason = outcome_of(world.ended, "expose BIAS")
    assert outcome is Outcome.FAILED
    assert "exposure 2026112200001 is of group foreign#0 in the Butler, not of 20261123T140000-1#0#" in reason
    assert not world.state.requests


def test_a_product_that_was_replaced_is_verified_before_it_is_certified(world: ButlerWorld) -> None:
    # Given a bias that was verified, and then replaced by a bad one
    moment = replay(
        world,
        (Step(BIAS_ALONE, faults=VERIFIED), Step(BIAS_ALONE, (("replace_a_product", 0, 0),))),
    )
    # Then the verification of the first is not used
    assert outcome_of(world.ended, "verify BIAS")[0] is Outcome.HELD
    assert not moment.certified


def test_a_verification_is_of_the_reference_that_its_collection_names(world: ButlerWorld) -> None:
    # Given a journal that names a verification against the standard bias
    moment = replay(
        world,
        (
            Step(EXTERNAL),
            Step(BIAS_ALONE, faults=VERIFIED),
            Step(BIAS_ALONE, (("name_an_older_job", 1, 0),)),
        ),
    )
    # Then the Butler contradicts it
    outcome, reason = outcome_of(world.ended, "certify BIAS")
    assert outcome is Outcome.FAILED
    assert "job 1_verifyBias searched Duo/raw/all, Duo/calib, says the Butler, not u/ocps/2_cpBias" in reason
    assert not moment.certified


def test_a_verification_from_before_the_product_does_not_prove_it(world: ButlerWorld) -> None:
    # Given a bias that was replaced after it was verified, so that it was
    # verified again and held; and a journal that names the first verification
    moment = replay(
        world,
        (
            Step(BIAS_ALONE, faults=VERIFIED),
            Step(BIAS_ALONE, (("replace_a_product", 0, 0),)),
            Step(BIAS_ALONE, (("name_an_older_job", 1, 0),)),
        ),
    )
    # Then the repository has that verification as older than the bias
    outcome, reason = outcome_of(world.ended, "certify BIAS")
    assert outcome is Outcome.FAILED
    assert "job 2_verifyBias wrote its results from " in reason and ", not before them" in reason
    assert not moment.certified


def test_a_verification_that_looked_elsewhere_first_does_not_prove_it(world: ButlerWorld) -> None:
    # Given a job service whose own inputs have a bias, and come first
    moment = replay(world, (Step(BIAS_ALONE, faults=Faults(reference_first=True)),))
    outcome, reason = outcome_of(world.ended, "certify BIAS")
    assert outcome is Outcome.FAILED
    assert "job 2_verifyBias found bias in Duo/calib, which it searched before u/ocps/1_cpBias" in reason
    assert not moment.certified


def test_what_is_certified_is_not_reported_of_others_of_its_name(world: ButlerWorld) -> None:
    # Given a bias that is certified, and a second one, whose collection
    # begins with the first meanwhile
    moment = replay(
        world,
        (
            Step(BIAS_ALONE),
            Step(AGAIN, faults=VERIFIED),
            Step(AGAIN, (("let_a_chain_begin_with_another_job", 1, 0),)),
        ),
    )
    # Then the report does not say that the second is certified
    outcome, reason = outcome_of(world.ended, "certify BIAS")
    assert outcome is Outcome.FAILED
    assert "has other bias than those that were verified" in reason
    # and no command is printed that certifies by hand what was not verified
    assert "certify-calibrations" not in reason and "Do not certify it by hand" in reason
    assert {each.run for each in moment.certified} == {"u/ocps/1_cpBias/run"}
