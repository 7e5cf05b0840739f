# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs with 'certify: ask' have made is certified by a person only."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler, CollectionType
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document
from lsst.ts.calibrationscripts.deciding import waiting_in
from lsst.ts.calibrationscripts.files.journal import load_record, run_lock
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.proof import NotProvenError, accepted
from lsst.ts.calibrationscripts.record import Decision, DecisionKind
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
        try:
            await procedure.run()
        except ObservatoryError:
            pass
        return procedure.report

    return virtually(work())


def outcomes(report: RunReport) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in report.stages}


def decided(world: World, kind: DecisionKind, report: RunReport, **changes: str) -> None:
    """Write a decision about the BIAS into the journal of a run."""
    from lsst.ts.calibrationscripts.codec import read_record, to_json

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


def test_an_acceptance_is_of_one_product_and_nothing_else() -> None:
    proof = run(World()).waiting[0]
    decision = Decision(DecisionKind.ACCEPT, BIAS, "ann", 1.0, "good", "", proof.certification)
    assert accepted(proof, decision).decision == decision
    for other in (
        dataclasses.replace(decision, subject=subject("DARK")),
        dataclasses.replace(decision, kind=DecisionKind.REJECT),
        dataclasses.replace(decision, certification=None),
    ):
        with pytest.raises(NotProvenError):
            accepted(proof, other)


CONFIG = """
script_mode: BIAS_DARK
generate_calibrations: true
n_bias: 3
n_dark: 3
exp_times_dark: 1
calib_collection: LATISS/calib/daily/ask
certify_calib_begin_date: "2026-11-25T12:00:00"
certify_calib_end_date: "2026-11-26T12:00:00"
certify: ask
"""


class Waiting:
    """A simulated run that waits, as it was when it ended."""

    def __init__(self, folder: Path) -> None:
        self.journals = folder / "w/journal"
        self.repo = folder / "w/repo"
        self._kept = folder / "kept"
        config = folder / "config.yaml"
        config.write_text(CONFIG, encoding="utf-8")
        result = CliRunner().invoke(
            main, ["simulate", str(config), "--workdir", str(folder / "w"), "--scale", "16"]
        )
        assert result.exit_code == 0, result.output
        (self.run_id,) = {product.run_id for product in waiting_in(self.journals)}
        shutil.copytree(self.journals, self._kept)
        shutil.copy(self.repo / "gen3.sqlite3", self._kept)

    def restore(self) -> None:
        shutil.rmtree(self.journals)
        shutil.copytree(self._kept, self.journals)
        (self.journals / "gen3.sqlite3").rename(self.repo / "gen3.sqlite3")

    def decide(self, *args: str) -> Result:
        return CliRunner().invoke(main, ["decide", "--journals", str(self.journals), *args])

    def certified(self) -> set[str]:
        with Butler.from_config(str(self.repo)) as butler:
            if not butler.collections.query("LATISS/calib/daily/ask*"):
                return set()
            return {
                f"{name} in {found.collection}, {found.timespan.begin.isot[:10]}"
                for name in ("bias", "dark")
                for found in butler.registry.queryDatasetAssociations(
                    name,
                    collections="LATISS/calib/daily/ask*",
                    collectionTypes={CollectionType.CALIBRATION},
                )
            }


@pytest.fixture(scope="module")
def ended_run(tmp_path_factory: pytest.TempPathFactory) -> Waiting:
    return Waiting(tmp_path_factory.mktemp("ask"))


@pytest.fixture
def waiting(ended_run: Waiting) -> Iterator[Waiting]:
    yield ended_run
    ended_run.restore()


@pytest.mark.slow
class TestDecide:
    def test_lists_what_waits_and_how_to_decide(self, waiting: Waiting) -> None:
        text = waiting.decide().output
        assert f"{waiting.run_id}  BIAS  waits for" in text
        assert "verify PASSED (0 of 3 exposures failed)" in text
        assert "for LATISS/calib/daily/ask, 2026-11-25T12:00:00 to 2026-11-26T12:00:00" in text
        assert f"calibscripts decide {waiting.run_id} accept|reject" in text
        listed = json.loads(waiting.decide("--json").output)
        assert [product["product"] for product in listed] == ["BIAS", "DARK"]

    def test_accepts_one_product_and_keeps_who_and_why(self, waiting: Waiting) -> None:
        # When the bias is accepted
        result = waiting.decide(waiting.run_id, "accept", "bias", "--reason", "as quiet as ever")
        # Then it is certified, and it alone
        assert result.exit_code == 0, result.output
        assert waiting.certified() == {"bias in LATISS/calib/daily/ask, 2026-11-25"}
        # and the record, the JSON and the page have the decision
        record = load_record(waiting.journals, waiting.run_id)
        (decision,) = record.decisions
        assert decision.kind is DecisionKind.ACCEPT and decision.reason == "as quiet as ever"
        assert decision.who and decision.seen and decision.certification == record.certifications[0]
        file = waiting.journals / f"{waiting.run_id}.json"
        report = read_document(file.read_text(encoding="utf-8")).report
        assert report.decisions == record.decisions and report.certifications == record.certifications
        assert report.proofs[0].decision == decision
        assert [proof.subject.name for proof in report.waiting] == ["DARK"]
        assert "as quiet as ever" in file.with_suffix(".html").read_text(encoding="utf-8")
        assert "DARK" in waiting.decide().output and "BIAS" not in waiting.decide().output

    def test_accepts_for_other_dates_and_another_collection(self, waiting: Waiting) -> None:
        result = waiting.decide(
            *(waiting.run_id, "accept", "--reason", "valid from the day before"),
            *("--begin", "2026-11-24T12:00:00", "--collection", "LATISS/calib/daily/ask.2"),
        )
        assert result.exit_code == 0, result.output
        assert waiting.certified() == {
            "bias in LATISS/calib/daily/ask.2, 2026-11-24",
            "dark in LATISS/calib/daily/ask.2, 2026-11-24",
        }

    def test_rejects_with_a_reason_and_for_good(self, waiting: Waiting) -> None:
        result = waiting.decide(waiting.run_id, "reject", "DARK", "--reason", "light leak")
        assert result.exit_code == 0 and "light leak" in result.output
        assert waiting.certified() == set()
        again = waiting.decide(waiting.run_id, "accept", "DARK", "--reason", "no, it is good")
        assert again.exit_code == 2
        assert "it was rejected by" in again.output and "What waits: BIAS." in again.output

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("accept", "BIAS"), "A decision needs a reason"),
            (("accept", "FLAT", "--reason", "x"), "'FLAT' is not one of its products"),
            (("accept", "--reason", "x", "--begin", "yesterday"), "certify_calib_begin_date"),
            (("accept", "--reason", "x", "--end", "2026-11-01"), "certify_calib_end_date"),
            (("accept", "--reason", "x", "--collection", "LATISS/raw/all"), "LATISS/raw/all is a RUN"),
        ],
    )
    def test_refuses_what_cannot_be_and_changes_nothing(
        self, waiting: Waiting, args: tuple[str, ...], message: str
    ) -> None:
        before = load_record(waiting.journals, waiting.run_id)
        result = waiting.decide(waiting.run_id, *args)
        assert result.exit_code == 2 and message in result.output
        assert waiting.certified() == set()
        assert load_record(waiting.journals, waiting.run_id) == before

    def test_proves_anew_what_it_certifies(self, waiting: Waiting) -> None:
        # Given that the statistics of the bias were lost after the run
        record = load_record(waiting.journals, waiting.run_id)
        job = record.job_of(stage("verify BIAS"))
        assert job is not None
        with Butler.from_config(str(waiting.repo)) as butler:
            (ref,) = butler.query_datasets("verifyBiasStats", collections=f"u/ocps/{job.job_id}/run")
            statistics = Path(butler.getURI(ref).ospath)
        hidden = statistics.rename(statistics.with_suffix(".lost"))
        # When it is accepted
        result = waiting.decide(waiting.run_id, "accept", "BIAS", "--reason", "it was good")
        hidden.rename(statistics)
        # Then it is not certified
        assert result.exit_code == 2
        assert "not proven: BIAS: verify BIAS ended FAILED" in result.output
        assert waiting.certified() == set()

    def test_runs_no_job_for_what_is_not_there(self, waiting: Waiting) -> None:
        # Given that the job of the bias is not the one of the record
        file = waiting.journals / f"{waiting.run_id}.journal.json"
        journal = json.loads(file.read_text(encoding="utf-8"))
        for job in journal["jobs"]:
            job["job_id"] = job["job_id"][::-1]
        file.write_text(json.dumps(journal), encoding="utf-8")
        # When it is accepted
        result = waiting.decide(waiting.run_id, "accept", "BIAS", "--reason", "it was good")
        # Then nothing is made anew
        assert result.exit_code == 2 and "runs no jobs: resume the run first" in result.output
        assert waiting.certified() == set()

    def test_is_refused_to_the_second_of_two_deciders(self, waiting: Waiting) -> None:
        # Given another who decides about this run
        lock = run_lock(waiting.journals, waiting.run_id)
        lock.acquire()
        try:
            result = waiting.decide(waiting.run_id, "accept", "--reason", "good")
        finally:
            lock.release()
        # Then one is told who that is
        assert result.exit_code == 2 and "process" in result.output
        # and once that one has decided, what was decided
        waiting.decide(waiting.run_id, "reject", "--reason", "noisy")
        second = waiting.decide(waiting.run_id, "accept", "--reason", "good")
        assert second.exit_code == 2 and "nothing waits for a decision" in second.output
