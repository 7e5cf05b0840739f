# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is resumed announces what is left of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Outcome, StageResult
from lsst.ts.calibrationscripts.plan import RunPlan, make_plan
from lsst.ts.calibrationscripts.procedure import remaining
from lsst.ts.calibrationscripts.record import Frame, RunRecord
from named import BIAS, DARK, stage

CONFIG = parse(
    "{script_mode: BIAS_DARK, n_bias: 4, n_dark: 3, exp_times_dark: [5, 10, 30], n_discard_dark: 0}", LATISS
)


def plan() -> RunPlan:
    return make_plan(CONFIG, LATISS)


def with_frames(n_bias: int, n_dark: int = 0, *, known: bool = True) -> RunRecord:
    record = RunRecord("run", {})
    for series, n in ((BIAS, n_bias), (DARK, n_dark)):
        for number in range(1, n + 1):
            exposure = 2026112300000 + number if known else None
            record = record.with_frame(Frame(series, number, f"{series}#{number}", exposure))
    return record


def duration_of(plan: RunPlan, name: str) -> float:
    return next(each.duration for each in plan.stages if each.id == stage(name))


def test_all_is_left_of_a_run_that_has_not_begun() -> None:
    assert remaining(plan(), CONFIG, RunRecord("run", {})) == plan()


def test_frames_that_exist_are_not_announced_again() -> None:
    whole = plan()
    n_bias = len(whole.exposures_of(BIAS))
    left = remaining(whole, CONFIG, with_frames(n_bias, 2))
    assert [exposure.label for exposure in left.exposures] == ["DARK 3/3, 30 s"]
    # The time of a frame is its exposure, and what comes with each.
    assert duration_of(left, "expose BIAS") == 0.0
    overhead = (duration_of(whole, "expose DARK") - 45) / 3
    assert duration_of(left, "expose DARK") == pytest.approx(30 + overhead)
    assert left.duration < whole.duration


def test_a_frame_whose_id_is_not_known_may_have_to_be_taken_again() -> None:
    assert remaining(plan(), CONFIG, with_frames(2, known=False)) == plan()


@pytest.mark.parametrize(
    ("outcome", "is_done"),
    [(Outcome.PASSED, True), (Outcome.HELD, True), (Outcome.FAILED, False), (Outcome.ABORTED, False)],
)
def test_jobs_whose_stage_ended_well_are_not_announced_again(outcome: Outcome, is_done: bool) -> None:
    whole = plan()
    record = with_frames(len(whole.exposures_of(BIAS)), 3)
    record = record.with_result(StageResult(stage("verify BIAS"), outcome))
    left = remaining(whole, CONFIG, record)
    assert duration_of(left, "verify BIAS") == (0.0 if is_done else duration_of(whole, "verify BIAS"))
    assert duration_of(left, "verify DARK") == duration_of(whole, "verify DARK")


def test_nothing_is_left_of_a_run_that_ended() -> None:
    whole = plan()
    record = with_frames(len(whole.exposures_of(BIAS)), 3)
    record = replace(record, stages=tuple(StageResult(each.id, Outcome.PASSED) for each in whole.stages))
    left = remaining(whole, CONFIG, record)
    assert (left.exposures, left.duration) == ((), 0.0)
