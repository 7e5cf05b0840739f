# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes between a hold and its acceptance, in a real repository."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from butler_invariant import certified
from butler_sequences import _BASE
from butler_world import DAILY, RUN_ID, ButlerWorld
from lsst.ts.calibrationscripts import offline
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.deciding import Choice, Decided, DecisionError, decide
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.record import DecisionKind, RunRecord
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from made_up_camera import DUO
from named import BIAS

pytestmark = pytest.mark.slow

ASK = {"script_mode": "BIAS_DARK", "n_bias": 4, "n_dark": 2, "certify": "ask"}


@pytest.fixture(scope="module")
def module_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ButlerWorld]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(offline, "INSTRUMENTS", {DUO.name: DUO})
        world = ButlerWorld(tmp_path_factory.mktemp("night"), monkeypatch)
        yield world
        world.close()


@pytest.fixture
def world(module_world: ButlerWorld) -> Iterator[ButlerWorld]:
    module_world.restore(module_world.pristine)
    yield module_world
    for file in module_world.journals.iterdir():
        if file.is_file():
            file.unlink()


def ends(world: ButlerWorld, **changes: Any) -> None:
    """Let a run end whose products wait."""
    world.run(yaml.safe_dump(_BASE | ASK | {"repo": world.repo} | changes))
    assert world.ended is not None
    assert [proof.subject.name for proof in world.ended.waiting] == ["BIAS", "DARK"]


def decided(world: ButlerWorld, kind: DecisionKind, product: str) -> Decided:
    return asyncio.run(decide(world.journals, RUN_ID, Choice(kind, "ann", "quiet", (product,))))


def names(world: ButlerWorld) -> list[str]:
    return sorted({each.name for each in certified(world)})


def mark_a_bias(world: ButlerWorld) -> None:
    """Let another run note that a bias is spoilt."""
    exposure = next(job for job in load_record(world.journals, RUN_ID).jobs).request.exposures[1]
    mark = Mark(exposure, MarkKind.PERSON, "a lamp was on", by="bob")
    other = RunRecord("20261123T150000-2", {}, instrument=DUO.name)
    judgement = SeriesJudgement(BIAS, (exposure,), (mark,))
    FileJournal(world.journals, other.run_id).write(other.with_judgement(judgement))


def test_nothing_is_certified_of_frames_that_others_have_marked_since(world: ButlerWorld) -> None:
    # Given a bias that waits, and a frame of it that is known to be spoilt
    ends(world, spoilt_frames="exclude")
    mark_a_bias(world)
    # When it is accepted, then it is not certified, as if it were resumed
    with pytest.raises(DecisionError, match=r"resume the run first\. Other runs.*: a lamp was on"):
        decided(world, DecisionKind.ACCEPT, "BIAS")
    assert names(world) == []


def test_who_accepts_frames_that_are_only_reported_hears_of_marks_since(world: ButlerWorld) -> None:
    ends(world)
    mark_a_bias(world)
    accepted = decided(world, DecisionKind.ACCEPT, "BIAS")
    assert any("a lamp was on" in text for text in accepted.warnings)
    assert names(world) == ["bias"]


def test_what_was_made_with_a_rejected_product_is_not_accepted(world: ButlerWorld) -> None:
    ends(world)
    decided(world, DecisionKind.REJECT, "BIAS")
    with pytest.raises(DecisionError, match="made with the BIAS that was rejected by ann: quiet"):
        decided(world, DecisionKind.ACCEPT, "DARK")
    assert names(world) == []


def test_who_rejects_hears_of_what_is_certified_and_made_with_it(world: ButlerWorld) -> None:
    # Given a dark that was accepted before its bias was looked at
    ends(world)
    accepted = decided(world, DecisionKind.ACCEPT, "DARK")
    assert not any("made with" in text for text in accepted.warnings)
    rejected = decided(world, DecisionKind.REJECT, "BIAS")
    assert names(world) == ["dark"]
    assert rejected.warnings[0].startswith(
        "DARK is certified, though it was made with the BIAS that was rejected by ann: quiet."
    )


def test_an_acceptance_that_was_not_noted_is_completed(world: ButlerWorld) -> None:
    # Given a process that was killed after it had certified the bias
    ends(world)
    before = load_record(world.journals, RUN_ID)
    decided(world, DecisionKind.ACCEPT, "BIAS")
    after = load_record(world.journals, RUN_ID)
    noted = dataclasses.replace(before, decisions=after.decisions)
    (world.journals / f"{RUN_ID}.journal.json").unlink()
    FileJournal(world.journals, RUN_ID).write(noted)
    # When it is accepted again
    (result,) = decided(world, DecisionKind.ACCEPT, "BIAS").results
    # Then it is noted, and certified once
    assert result.outcome is Outcome.CERTIFIED
    assert [each.name for each in certified(world)] == ["bias", "bias"]
    record = load_record(world.journals, RUN_ID)
    assert [each.collection for each in record.certifications] == [DAILY]
    assert read_record(world.state.journal).decisions == ()


def test_what_was_accepted_before_and_took_effect_can_be_undone(world: ButlerWorld) -> None:
    # Given an acceptance that failed by what was heard of it, and did not
    ends(world)
    before = load_record(world.journals, RUN_ID)
    decided(world, DecisionKind.ACCEPT, "BIAS")
    (first,) = load_record(world.journals, RUN_ID).certifications
    noted = dataclasses.replace(before, decisions=load_record(world.journals, RUN_ID).decisions)
    (world.journals / f"{RUN_ID}.journal.json").unlink()
    FileJournal(world.journals, RUN_ID).write(noted)
    # When it is accepted for another time
    choice = Choice(
        DecisionKind.ACCEPT, "bob", "quiet", ("BIAS",), begin_date="2026-11-26", end_date="2026-11-27"
    )
    accepted = asyncio.run(decide(world.journals, RUN_ID, choice))
    # Then both are known
    record = load_record(world.journals, RUN_ID)
    assert record.certifications[0] == first and record.certifications[1].begin_date == "2026-11-26"
    assert any("as it was accepted before, too: bias into" in text for text in accepted.warnings)
