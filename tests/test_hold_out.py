# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that a new product is compared on, and was not made from."""

from __future__ import annotations

import dataclasses

import pytest
from lsst.ts.calibrationscripts.codec import read_document, read_record, write_document
from lsst.ts.calibrationscripts.comparison import Better
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.forecast import Facts, Kind, make_forecast
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import Applied, PreconditionError
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.proof import NotProvenError, prove
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from virtual_time import virtually
from world import World

BIAS = "{script_mode: BIAS, generate_calibrations: true, n_bias: 12, hold_out: %s}"
EARLIER = "20261122T220000-100001"


def run(world: World, text: str) -> RunReport:
    async def work() -> RunReport:
        procedure = world.procedure(text)
        await procedure.run()
        return procedure.report

    return virtually(work())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Applied]:
    """What images and frames were compared."""
    asked: list[Applied] = []
    residuals = type(World().repository).residuals

    async def noted(repository: object, applied: Applied) -> object:
        asked.append(applied)
        return await residuals(repository, applied)

    monkeypatch.setattr(type(World().repository), "residuals", noted)
    return asked


def test_every_fourth_frame_is_verified_and_not_combined(asked: list[Applied]) -> None:
    world = World(residual=6.0)
    report = run(world, BIAS % 4)
    # Given 12 biases, then nine were combined and all were verified
    made, verified = world.requests["cpBias"].exposures, world.requests["verifyBias"].exposures
    held_out = verified[3::4]
    assert len(verified) == 12 and made == tuple(i for i in verified if i not in held_out)
    # and the new one is compared on the other three, which have no part in it
    (applied,) = asked
    assert applied.frames.exposures == held_out and applied.frames.n_combined == 0
    (comparison,) = report.comparisons
    assert comparison.method == "3 frames that were held out"
    # and the proof names both
    (proof,) = report.proofs
    assert tuple(frame.exposure for frame in proof.held_out) == held_out
    assert proof.verified_exposures == (*made, *held_out)
    assert read_document(write_document(RunDocument(report))).report == report


def test_a_frame_that_was_held_out_and_not_verified_proves_nothing() -> None:
    (proof,) = run(World(), BIAS % 4).proofs
    bias = Subject(Product.BIAS)
    assert prove(proof, detectors=(0,), needed=(bias,)) is proof
    lacks = dataclasses.replace(proof, held_out=proof.held_out[:-1])
    with pytest.raises(NotProvenError, match="verified it with other frames"):
        prove(lacks, detectors=(0,), needed=(bias,))
    combined = dataclasses.replace(proof, frames=proof.frames + proof.held_out, held_out=())
    with pytest.raises(NotProvenError, match="made it with other frames"):
        prove(combined, detectors=(0,), needed=(bias,))


def test_the_plan_says_how_many_frames_are_held_out() -> None:
    plan = make_plan(parse(BIAS % 4, LATISS), LATISS)
    (notice,) = [
        notice for notice in plan.notices if "made from 9 of 12 frames; every 4. is held out" in notice
    ]
    # of so few the noise is more than frames may have that were not combined
    assert "those held out may fail NOISE: take more" in notice
    of_twenty = make_plan(parse((BIAS % 4).replace("n_bias: 12", "n_bias: 20"), LATISS), LATISS)
    assert not any("may fail NOISE" in notice for notice in of_twenty.notices)


def test_pairs_of_flats_and_defects_are_made_from_all_frames() -> None:
    text = "{script_mode: BIAS_DARK_FLAT, generate_calibrations: true, do_defects: true, hold_out: 2}"
    plan = make_plan(parse(text, LATISS), LATISS)
    holds_out = {stage.name for stage in plan.stages if stage.job and stage.job.hold_out}
    assert holds_out == {"generate BIAS", "generate DARK", "generate FLAT"}


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("hold_out: 1", "write 0, 2 or more, or the id of a run"),
        ("hold_out: -1", "write 0 or more"),
        ("hold_out: [4]", "hold_out"),
        ("{generate_calibrations: true, n_bias: 12, hold_out: 7}", "write 6 or less, or take 14 frames"),
        ("{generate_calibrations: true, n_bias: 3, hold_out: 2}", "write hold_out: 0, or take 4 frames"),
        ("{generate_calibrations: true, do_verify: false, hold_out: 2}", "write do_verify: True"),
        ("hold_out: 2", "write generate_calibrations: True"),
        ("{generate_calibrations: true, hold_out: $run}", "replace the placeholder"),
    ],
)
def test_what_cannot_be_held_out_is_refused_with_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match="hold_out") as caught:
        parse(text, LATISS)
    assert remedy in str(caught.value)


def test_frames_of_another_run_are_compared_on_beside_those_of_this(asked: list[Applied]) -> None:
    # Given a run that made and verified biases yesterday
    yesterday = World()
    run(yesterday, "{script_mode: BIAS, generate_calibrations: true, n_bias: 10}")
    world = World(residual=6.0, earlier_runs={EARLIER: read_record(yesterday.journal)})
    # When today's are compared on its frames
    report = run(world, BIAS % EARLIER)
    # Then its frames are used as it has corrected them
    own, other = asked[1:]
    assert own.frames.n_combined == 12
    assert other.frames.collection == "u/ocps/verifyBias/run"
    assert other.frames.corrected_with[0] == "u/ocps/cpBias"
    assert other.frames.n_combined == 10 and len(other.frames.exposures) == 5
    assert other.exposure == own.exposure
    (comparison,) = report.comparisons
    assert comparison.better is Better.EQUAL
    assert comparison.method == f"5 frames of run {EARLIER}, and each of 5 frames with the mean of the others"


def test_a_run_that_does_not_exist_is_refused_before_the_first_frame() -> None:
    world = World()
    with pytest.raises(PreconditionError, match=f"hold_out: run {EARLIER}"):
        run(world, BIAS % EARLIER)
    assert not world.exposures


def test_a_run_without_such_frames_is_named() -> None:
    darks = World()
    run(darks, "{script_mode: DARK, generate_calibrations: true}")
    world = World(residual=6.0, earlier_runs={EARLIER: read_record(darks.journal)})
    run(world, BIAS % EARLIER)
    assert any(f"run {EARLIER} has verified no BIAS" in text for _, text in world.log)


@pytest.mark.parametrize(("hold_out", "kinds"), [(0, set()), (4, {Kind.NOISE})])
def test_the_forecast_counts_the_frames_that_are_combined(hold_out: int, kinds: set[Kind]) -> None:
    # Given twelve biases, of which nine are too few where noise may be too low
    text = f'{BIAS[:-1]}, pipeline_generation: "2022"}}' % hold_out
    config = parse(text, LATISS)
    forecast = make_forecast(config, make_plan(config, LATISS), LATISS, Facts())
    assert {finding.kind for finding in forecast.failures} == kinds
