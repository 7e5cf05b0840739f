# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs with 'certify: ask' have made is certified by a person only."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.deciding import Choice, DecisionError, decide, waiting_of
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.proof import NotProvenError, accepted
from lsst.ts.calibrationscripts.record import Decision, DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import RunReport
from named import stage, subject
from virtual_time import virtually
from world import World

ASK = (
    "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15, "
    "certify: ask}"
)
BIAS = subject("BIAS")


def run(world: World, *, resume: bool = False) -> RunReport:
    async def work() -> RunReport:
        procedure = world.procedure(ASK, resume=resume)
        with contextlib.suppress(ObservatoryError):
            await procedure.run()
        return procedure.report

    return virtually(work())


def outcomes(report: RunReport) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in report.stages}


def decided(world: World, kind: DecisionKind, report: RunReport, **changes: str) -> None:
    """Write a decision about the BIAS into the journal of a run."""
    proof = next(proof for proof in report.waiting if proof.subject == BIAS)
    certification = dataclasses.replace(proof.certification, **changes)
    decision = Decision(kind, BIAS, "ann@desk", 1.0, "as it should be", "all passed", certification)
    world.journal = json.dumps(to_json(read_record(world.journal).with_decision(decision)))


class TestARun:
    def test_certifies_nothing_by_itself_and_ends_well(self) -> None:
        world = World()
        report = run(world)
        # Then what passed waits, and the script is DONE
        assert world.certified == []
        assert outcomes(report)["certify BIAS"] is outcomes(report)["certify DARK"] is Outcome.WAITING
        assert report.complete and report.state == "DONE"
        # and the dark was made with the bias that is not certified yet
        assert "-i u/ocps/cpBias,LATISS/calib " in world.requests["cpDark"].config
        assert "LATISS/calib/daily" not in world.requests["cpDark"].config

    def test_holds_what_failed_without_asking(self) -> None:
        report = run(World(failing_types=frozenset({"BIAS"})))
        assert outcomes(report)["verify BIAS"] is Outcome.HELD
        assert outcomes(report)["certify BIAS"] is Outcome.SKIPPED
        assert report.waiting == ()

    def test_certifies_what_was_accepted_when_it_is_resumed(self) -> None:
        world = World()
        decided(world, DecisionKind.ACCEPT, run(world), begin_date="2026-11-23T12:00:00")
        report = run(world, resume=True)
        # Then it is certified as the person wrote, and says by whom
        (certification,) = world.certified
        assert (certification.dataset_type, certification.begin_date) == ("bias", "2026-11-23T12:00:00")
        assert world.proofs[0].decision is not None
        result = next(result for result in report.stages if result.name == "certify BIAS")
        assert result.reason == "accepted by ann@desk: as it should be"
        assert outcomes(report)["certify DARK"] is Outcome.WAITING

    @pytest.mark.parametrize("kind", [DecisionKind.REJECT, DecisionKind.DECERTIFY])
    def test_certifies_nothing_that_was_rejected_or_undone(self, kind: DecisionKind) -> None:
        world = World()
        decided(world, kind, run(world))
        report = run(world, resume=True)
        assert world.certified == []
        assert outcomes(report)["certify BIAS"] is Outcome.HELD

    def test_does_not_certify_what_was_not_looked_at(self) -> None:
        # Given that the BIAS was accepted, and then made anew
        world = World()
        decided(world, DecisionKind.ACCEPT, run(world), source="u/ocps/another")
        # When the run is resumed
        report = run(world, resume=True)
        # Then the acceptance is not one of this BIAS
        assert world.certified == []
        assert outcomes(report)["certify BIAS"] is Outcome.FAILED


async def test_an_acceptance_that_was_not_completed_is_not_rejected(tmp_path: Path) -> None:
    # Given that the process ended between the Butler and the journal
    waiting = StageResult(stage("certify BIAS"), Outcome.WAITING)
    record = RunRecord("20261125T180000-1", {}, state=RunState.DONE, stages=(waiting,))
    decision = Decision(DecisionKind.ACCEPT, BIAS, "ann", 1.0, "good")
    FileJournal(tmp_path, record.run_id).write(record.with_decision(decision))
    # When another rejects it
    with pytest.raises(DecisionError, match="accepted by ann: good, and may be certified"):
        await decide(tmp_path, record.run_id, Choice(DecisionKind.REJECT, "bob", "noisy"))
    # Then nothing has changed
    assert load_record(tmp_path, record.run_id).decisions == (decision,)


def test_a_person_decides_against_one_of_several_that_belong_together() -> None:
    # Given two products that were certified together, one of them undone
    together = ASK.replace("ask", "together")
    world = World()

    async def work(*, resume: bool = False) -> RunReport:
        procedure = world.procedure(together, resume=resume)
        await procedure.run()
        return procedure.report

    certification = virtually(work()).certifications[0]
    decision = Decision(DecisionKind.DECERTIFY, BIAS, "ann", 1.0, "too early", "", certification)
    world.journal = json.dumps(to_json(read_record(world.journal).with_decision(decision)))
    # When the run is resumed
    report = virtually(work(resume=True))
    # Then the other stays certified
    assert outcomes(report)["certify DARK"] is Outcome.CERTIFIED
    assert outcomes(report)["certify BIAS"] is Outcome.HELD


class TestWhatAnEarlierSessionHasCertified:
    EACH = ASK.replace("certify: ask", "certify: each")

    def report(self, world: World, text: str, *, resume: bool = True) -> RunReport:
        async def work() -> RunReport:
            procedure = world.procedure(text, resume=resume)
            with contextlib.suppress(ObservatoryError, asyncio.CancelledError):
                await procedure.run()
            return procedure.report

        return virtually(work())

    def test_does_not_wait_for_a_person(self) -> None:
        # Given a bias that is certified, in a run that asks from now on
        world = World()
        self.report(world, self.EACH, resume=False)
        report = self.report(world, "{resume: run, certify: ask}")
        # Then it is certified, and nobody is asked to accept or reject it
        assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED
        assert [proof.subject.name for proof in report.proofs] == ["BIAS"]
        assert [each.dataset_type for each in world.certified] == ["bias", "dark"]

    def test_for_other_dates_is_said_to_who_decides(self) -> None:
        world = World()
        self.report(world, self.EACH, resume=False)
        text = "{resume: run, certify: ask, certify_calib_begin_date: '2026-01-01'}"
        report = self.report(world, text)
        (waiting,) = (result for result in report.stages if result.name == "certify BIAS")
        assert waiting.outcome is Outcome.WAITING
        said = (
            "an earlier session has certified it, from u/ocps/cpBias into LATISS/calib/daily, and that stays"
        )
        assert said in waiting.reason and said in waiting.remarks[-1]

    async def test_is_said_of_what_is_rejected(self, tmp_path: Path) -> None:
        # Given a bias that was certified, and waits for other dates now
        made = Certification("bias", "u/ocps/a1", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
        waiting = StageResult(stage("certify BIAS"), Outcome.WAITING)
        record = RunRecord("20261125T180000-1", {}, stages=(waiting,), certifications=(made,))
        FileJournal(tmp_path, record.run_id).write(record)
        # When it is rejected
        decided = await decide(tmp_path, record.run_id, Choice(DecisionKind.REJECT, "bob", "noisy"))
        # Then it is not said to be nowhere
        (result,) = decided.results
        assert result.outcome is Outcome.HELD
        assert result.reason.startswith(
            "rejected by bob: noisy; an earlier session has certified it, from u/"
        )
        assert load_record(tmp_path, record.run_id).stages == decided.results

    def test_is_said_where_a_later_session_is_stopped(self) -> None:
        # Given a session that ends before it comes to what is certified
        world = World()
        self.report(world, self.EACH, resume=False)

        def stop(name: str) -> None:
            raise asyncio.CancelledError

        world.on_checkpoint = stop
        report = self.report(world, "{resume: run}")
        (result,) = (result for result in report.stages if result.name == "certify DARK")
        assert result.outcome is Outcome.ABORTED
        assert "an earlier session has certified it, from u/ocps/cpDark into" in result.reason


class TestWhatWasMadeWithARefusedProduct:
    TOGETHER = ASK.replace("ask", "together")

    def test_is_not_certified_though_it_was_accepted(self) -> None:
        # Given a dark that was accepted, and was made with a rejected bias
        world = World()
        report = run(world)
        decided(world, DecisionKind.REJECT, report)
        proof = next(proof for proof in report.waiting if proof.subject == subject("DARK"))
        decision = Decision(DecisionKind.ACCEPT, proof.subject, "bob", 2.0, "good", "", proof.certification)
        world.journal = json.dumps(to_json(read_record(world.journal).with_decision(decision)))
        # When the run is resumed
        report = run(world, resume=True)
        # Then neither is certified, as if the bias had been held
        assert world.certified == []
        assert outcomes(report)["certify DARK"] is Outcome.FAILED
        (result,) = (result for result in report.stages if result.name == "certify DARK")
        assert result.reason == (
            "DARK is not certified: it was made with the BIAS that was rejected by ann@desk: as it should be"
        )

    def test_waits_with_a_remark(self) -> None:
        world = World()
        decided(world, DecisionKind.REJECT, run(world))
        report = run(world, resume=True)
        (result,) = (result for result in report.stages if result.name == "certify DARK")
        assert result.outcome is Outcome.WAITING
        assert "it was made with the BIAS that was rejected by ann@desk" in result.remarks[0]

    def test_is_not_certified_for_other_dates(self) -> None:
        # Given products that were certified together, one of them undone since
        world = World()

        def report(text: str, *, resume: bool = False) -> RunReport:
            procedure = world.procedure(text, resume=resume)
            virtually(procedure.run())
            return procedure.report

        certification = report(self.TOGETHER).certifications[0]
        decision = Decision(DecisionKind.DECERTIFY, BIAS, "ann", 1.0, "too early", "", certification)
        world.journal = json.dumps(to_json(read_record(world.journal).with_decision(decision)))
        # When the rest is to be certified elsewhere
        ended = report("{resume: run, calib_collection: LATISS/calib/other}", resume=True)
        # Then a dark that was made with it is not
        assert outcomes(ended)["certify DARK"] is Outcome.FAILED
        assert {each.collection for each in world.certified} == {"LATISS/calib/daily"}


def test_an_acceptance_is_of_one_product_and_nothing_else() -> None:
    proof = run(World()).waiting[0]
    decision = Decision(DecisionKind.ACCEPT, BIAS, "ann", 1.0, "good", "", proof.certification)
    assert accepted(proof, decision).decision == decision
    for other in (
        dataclasses.replace(decision, datasets=("made anew",)),
        dataclasses.replace(decision, subject=subject("DARK")),
        dataclasses.replace(decision, kind=DecisionKind.REJECT),
        dataclasses.replace(decision, certification=None),
    ):
        with pytest.raises(NotProvenError):
            accepted(proof, other)


class TestWhatWasSeen:
    COMPARISON = (
        "worse than that of LATISS/calib: noise in 3 amplifier(s); most in detector 0 C05: noise 6 before"
    )

    def record(self, waiting: StageResult) -> RunRecord:
        verified = StageResult(stage("verify BIAS"), Outcome.PASSED, "0 of 3 exposures failed")
        return RunRecord("20261125T180000-1", {}, state=RunState.DONE, stages=(verified, waiting))

    def seen(self, record: RunRecord) -> str:
        (product,) = waiting_of(record, 0.0)
        return product.seen

    def test_is_kept_by_the_run_as_a_field_of_its_record(self) -> None:
        # Given remarks with the character that separates them in the reason
        waiting = StageResult.waiting(stage("certify BIAS"), ("", "not verified itself", self.COMPARISON))
        record = read_record(json.dumps(to_json(self.record(waiting))))
        # Then they come back as they were, and are what a person sees
        assert record.stages[-1].remarks == ("not verified itself", self.COMPARISON)
        assert self.seen(record).endswith(f"failed), not verified itself, {self.COMPARISON}")
        assert (
            waiting.reason == f"for a person to accept or reject it; not verified itself; {self.COMPARISON}"
        )

    def test_is_known_of_a_run_from_its_comparison(self) -> None:
        report = run(World())
        (waiting,) = (result for result in report.stages if result.name == "certify BIAS")
        assert waiting.remarks and waiting.reason.endswith("; ".join(waiting.remarks))

    def test_of_a_journal_of_before_is_its_whole_reason(self) -> None:
        reason = f"for a person to accept or reject it; {self.COMPARISON}"
        waiting = StageResult(stage("certify BIAS"), Outcome.WAITING, reason)
        data = to_json(self.record(waiting))
        for result in data["stages"]:
            del result["remarks"]
        record = read_record(json.dumps(data))
        assert self.seen(record).endswith(reason)
        assert record.stages[0].remarks == ()
