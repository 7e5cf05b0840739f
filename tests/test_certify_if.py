# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is certified only if it is no worse than what is in use."""

from __future__ import annotations

import contextlib
import json

import pytest
from lsst.ts.calibrationscripts.codec import read_document, read_record, to_json, write_document
from lsst.ts.calibrationscripts.comparison import Better
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.ports import Applied, ObservatoryError
from lsst.ts.calibrationscripts.record import Decision, DecisionKind
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, next_steps, summary_text
from named import unfolded
from virtual_time import virtually
from world import World

BIAS = "{script_mode: BIAS, generate_calibrations: true, n_bias: 10, certify_if: %s}"
WORSE, EQUAL, IMPROVED = 6.5, 6.01, 5.5
"""Noise that is left (ADU); what is in use leaves 6."""


def run(world: World, certify_if: str) -> RunReport:
    async def work() -> RunReport:
        procedure = world.procedure(BIAS % certify_if)
        with contextlib.suppress(ObservatoryError):
            await procedure.run()
        return procedure.report

    return virtually(work())


def outcome(report: RunReport) -> Outcome:
    return next(result.outcome for result in report.stages if result.name == "certify BIAS")


@pytest.mark.parametrize(
    ("certify_if", "certified"),
    [
        ("passed", {WORSE, EQUAL, IMPROVED, None}),
        ("not_worse", {EQUAL, IMPROVED, None}),
        ("better", {IMPROVED, None}),
    ],
)
@pytest.mark.parametrize("residual", [WORSE, EQUAL, IMPROVED, None])
def test_only_what_is_wanted_is_certified(
    certify_if: str, certified: set[float | None], residual: float | None
) -> None:
    world = World(residual=residual)
    report = run(world, certify_if)
    expected = Outcome.CERTIFIED if residual in certified else Outcome.HELD
    assert outcome(report) is expected
    assert bool(world.certified) == (residual in certified)
    # and what was compared is kept, whatever came of it
    (comparison,) = report.comparisons
    assert (
        comparison.better
        is {
            WORSE: Better.WORSE,
            EQUAL: Better.EQUAL,
            IMPROVED: Better.BETTER,
            None: Better.FIRST,
        }[residual]
    )
    assert read_document(write_document(RunDocument(report))).report == report


def test_a_product_that_is_held_says_why_and_what_to_do() -> None:
    world = World(residual=WORSE)
    report = run(world, "not_worse")
    (result,) = [result for result in report.stages if result.name == "certify BIAS"]
    assert "worse than that of earlier/run: noise in 1 amplifier(s)" in result.reason
    assert "noise 6 before, 6.5 now" in result.reason
    assert result.reason in unfolded(summary_text(report))
    assert any("certify_if: passed" in step for step in next_steps(report))
    assert ("warning", f"BIAS: {report.comparisons[0].text}.") in world.log


async def _unreadable(applied: Applied) -> None:
    raise ObservatoryError("could not read the frames")


@pytest.mark.parametrize("certify_if", ["passed", "not_worse", "better"])
def test_what_cannot_be_compared_is_not_taken_for_good(
    certify_if: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    monkeypatch.setattr(world.repository, "residuals", _unreadable)
    report = run(world, certify_if)
    assert outcome(report) is (Outcome.CERTIFIED if certify_if == "passed" else Outcome.HELD)
    assert any("is not compared with what is in use" in text for _, text in world.log)


def test_frames_are_compared_with_the_mean_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Applied] = []
    world = World()

    async def residuals(applied: Applied) -> tuple[str, tuple[()]]:
        asked.append(applied)
        return "", ()

    monkeypatch.setattr(world.repository, "residuals", residuals)
    run(world, "passed")
    (applied,) = asked
    # Then five of the ten frames are looked at, and all ten are known of
    assert len(applied.frames.exposures) == 5 and applied.frames.n_combined == 10
    assert applied.frames.collection == "u/ocps/verifyBias/run"
    assert applied.run_collection == "u/ocps/cpBias/run"
    assert applied.frames.corrected_with == ("u/ocps/cpBias/run",)


@pytest.mark.parametrize("certify", ["each", "together"])
def test_a_defect_of_the_comparison_fails_nothing_and_hangs_nothing(
    certify: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(applied: Applied) -> None:
        raise ZeroDivisionError

    world = World()
    monkeypatch.setattr(world.repository, "residuals", broken)
    text = f"{{script_mode: BIAS_DARK, generate_calibrations: true, certify: {certify}}}"

    async def work() -> RunReport:
        procedure = world.procedure(text)
        await procedure.run()
        return procedure.report

    assert virtually(work()).complete
    assert any("ZeroDivisionError" in line for _, line in world.log)


def test_what_was_accepted_is_not_certified_once_it_is_worse() -> None:
    # Given a bias that was accepted, and then could not be certified
    ask = BIAS.replace("certify_if: %s", "certify_if: not_worse, certify: ask")
    world = World(residual=EQUAL)

    async def work(*, resume: bool = False) -> RunReport:
        procedure = world.procedure(ask, resume=resume)
        await procedure.run()
        return procedure.report

    (proof,) = virtually(work()).waiting
    decision = Decision(DecisionKind.ACCEPT, proof.subject, "ann", 1.0, "good", "", proof.certification)
    world.journal = json.dumps(to_json(read_record(world.journal).with_decision(decision)))
    # When a better one is in use meanwhile, and the run is resumed
    world.residual = WORSE
    assert outcome(virtually(work(resume=True))) is Outcome.HELD
    assert world.certified == []
