# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person says after a run which frames are to be left out of it."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document, read_record, to_json, write_document
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.files.index import RunIndex
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.files.marks import known_marks
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.procedure import check_without, remade, remaining
from lsst.ts.calibrationscripts.record import Decision, DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, itinerary, next_steps, summary_text
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from named import BIAS, DARK, stage, unfolded
from test_resume import outcomes, raise_at, run
from test_spoilt_frames import BAD_BIAS, BAD_DARK, LEAK, everything_said, exposures_of, of_level
from world import Killed, World

CHAIN = (
    "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 6, n_dark: 6, exp_times_dark: 15, "
    "certify: %s}"
)
WITHOUT_DARK = f"{{resume: run, without: [{BAD_DARK}], without_reason: light in the dome, without_by: ann}}"


def decided(world: World, kind: DecisionKind, *names: str) -> None:
    """Note a decision on products of the run in its journal, as on disk."""
    record = read_record(world.journal)
    for made in (each for each in record.stages if each.name in [f"certify {name}" for name in names]):
        certification = next(
            (c for c in record.certifications if c.dataset_type == made.stage.subject.name.lower()), None
        )
        if kind is DecisionKind.DECERTIFY:
            world.certified.remove(certification)  # type: ignore[arg-type]
        record = record.with_decision(
            Decision(kind, made.stage.subject, "ann", 1.0, "noisy", certification=certification)
        )
    world.journal = json.dumps(to_json(record))


class TestWithout:
    def test_products_that_wait_are_made_anew_without_a_named_frame(self) -> None:
        # Given a run whose products wait
        world = World()
        run(world, CHAIN % "ask")
        n_taken = len(world.taken)
        # When it is resumed without a dark
        report = run(world, WITHOUT_DARK, resume=True)
        # Then the jobs of the darks alone are run anew, without it
        assert list(world.requests)[-2:] == ["cpDark-2", "verifyDark-2"]
        for job in ("cpDark-2", "verifyDark-2"):
            assert BAD_DARK not in exposures_of(world, job) and len(exposures_of(world, job)) == 5
        # and what waits is the new product; no frame was taken
        waiting = {proof.subject: proof for proof in report.waiting}
        assert waiting[DARK].certification.source == "u/ocps/cpDark-2"
        assert waiting[BIAS].certification.source == "u/ocps/cpBias"
        assert report.complete and len(world.taken) == n_taken

    def test_what_a_person_leaves_out_is_said_everywhere(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        report = run(world, WITHOUT_DARK, resume=True)

        for text in everything_said(world, report).values():
            assert str(BAD_DARK) in text and "light in the dome" in text and "ann" in text
            assert "PERSON" in text
        assert "DARK: 1 of 6 frames is spoilt and left out of everything that is made" in summary_text(report)
        (mark,) = report.judgements[1].marks
        assert mark.time is not None and (mark.by, mark.run) == ("ann", "")
        assert report.notices[0] == (
            f"Everything is made without exposure {BAD_DARK}, left out by ann: light in the dome."
        )
        assert read_document(write_document(RunDocument(report))).report == report

    def test_the_plan_of_the_resumed_run_says_so_and_what_is_made_anew(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        record = read_record(world.journal)
        config = parse(WITHOUT_DARK, LATISS, lambda run_id, folder: record.config)
        plan = make_plan(config, LATISS)
        anew = remade(plan, config, record)

        assert anew == {stage(f"{kind} DARK") for kind in ("generate", "verify", "certify")}
        left = remaining(plan, config, record)
        durations = {each.name: each.duration for each in left.stages}
        assert durations["generate DARK"] > 0 and durations["generate BIAS"] == 0 and not left.exposures
        text = itinerary(config, left, LATISS, datetime.datetime.now(datetime.UTC))
        assert f"without exposure {BAD_DARK}, left out by ann: light in the dome" in unfolded(text)

    def test_what_builds_on_a_product_is_made_anew_with_it(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        run(world, f"{{resume: run, without: [{BAD_BIAS}]}}", resume=True)

        assert list(world.requests)[-4:] == ["cpBias-2", "verifyBias-2", "cpDark-2", "verifyDark-2"]
        assert "-i u/ocps/cpBias-2," in world.requests["cpDark-2"].config

    def test_what_was_held_because_of_a_frame_is_judged_anew(self) -> None:
        # Given a bias that did not pass
        world = World(failing_types=frozenset({"BIAS"}))
        text = "{script_mode: BIAS, generate_calibrations: true, n_bias: 6}"
        assert outcomes(run(world, text))["verify BIAS"] is Outcome.HELD
        # When one of its frames is left out, which was the reason
        world.failing_types = frozenset()
        report = run(world, f"{{resume: run, without: [{BAD_BIAS}]}}", resume=True)
        assert outcomes(report)["certify BIAS"] is Outcome.CERTIFIED

    def test_it_holds_beside_frames_that_are_only_reported(self) -> None:
        # Given a run that reports a dark, of which a person names another
        world = World(spoilt={"DARK 6/7, 15 s": LEAK})
        run(world, CHAIN % "ask")
        report = run(world, WITHOUT_DARK, resume=True)
        # Then that one alone is left out, and both are told apart
        other = 2026112300013
        assert report.judgements[1].excluded == (BAD_DARK,)
        assert other in exposures_of(world, "cpDark-2")
        assert (
            "DARK: 2 of 6 frames are spoilt: 1 left out of everything that is made, 1 used; "
            "'spoilt_frames: exclude' leaves such frames out"
        ) in unfolded(summary_text(report))
        assert any(f"remake run --without {other} --journals" in step for step in next_steps(report))

    def test_a_run_that_is_resumed_again_keeps_who_said_so_and_when(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        first = run(world, WITHOUT_DARK, resume=True).judgements[1]
        jobs = list(world.requests)
        # When it is resumed as it is, and then without one more
        again = run(world, "{resume: run}", resume=True).judgements[1]
        assert again == first and list(world.requests) == jobs
        more = f"{{resume: run, without: [{BAD_DARK}, {BAD_DARK + 1}], without_reason: cloud}}"
        marks = run(world, more, resume=True).judgements[1].marks
        # Then each has the reason that was given for it
        assert [(mark.exposure, mark.text, mark.by) for mark in marks] == [
            (BAD_DARK, "light in the dome", "ann"),
            (BAD_DARK + 1, "cloud", ""),
        ]

    def test_a_frame_can_be_used_again(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        run(world, WITHOUT_DARK, resume=True)
        report = run(world, "{resume: run, without: []}", resume=True)

        assert len(exposures_of(world, "cpDark-3")) == 6
        assert report.judgements[1].marks == () and "left out" not in summary_text(report)

    @pytest.mark.parametrize(
        "event", ["writing the journal", "submitting cpDark-2", "end cpDark-2", "start verifyDark-2"]
    )
    def test_it_comes_to_the_same_end_whenever_it_is_killed(self, event: str) -> None:
        world = World()
        run(world, CHAIN % "each")
        decided(world, DecisionKind.DECERTIFY, "DARK")
        world.on_event = raise_at(event, Killed())
        run(world, WITHOUT_DARK, resume=True)
        world.on_event = None

        # A run whose configuration was not written yet has to be told again
        text = "{resume: run}" if read_record(world.journal).config["without"] else WITHOUT_DARK
        report = run(world, text, resume=True)
        assert report.complete and outcomes(report)["certify DARK"] is Outcome.CERTIFIED
        newest = next(proof for proof in reversed(world.proofs) if proof.subject == DARK)
        assert BAD_DARK not in [frame.exposure for frame in newest.frames] and len(newest.frames) == 5

    def test_no_frame_is_taken_for_one_that_a_person_leaves_out(self) -> None:
        world = World()
        text = CHAIN % "ask, spoilt_frames: exclude, retakes: 3"
        run(world, text)
        run(world, WITHOUT_DARK, resume=True)

        assert len(world.taken) == 14

    def test_a_frame_that_never_came_need_not_come(self) -> None:
        # Given a run whose dark was never ingested
        world = World()
        world.ingest = dataclasses.replace(world.ingest, missing=(BAD_DARK,))
        world.exposures = Lossy(BAD_DARK)
        report = run(world, CHAIN % "ask")
        assert outcomes(report)["expose DARK"] is Outcome.FAILED
        # When it is resumed without it, then the others make a dark
        report = run(world, WITHOUT_DARK, resume=True)
        assert report.complete and len(exposures_of(world, "cpDark")) == 5

    def test_a_frame_with_a_wrong_header_no_longer_fails_its_series(self) -> None:
        world = World(headers={"DARK 4/7, 15 s": {"exp_time": 30.0}})
        assert outcomes(run(world, CHAIN % "ask"))["expose DARK"] is Outcome.FAILED
        assert run(world, WITHOUT_DARK, resume=True).complete


class Lossy(dict[int, object]):
    """Exposures of a Butler that one frame does not reach."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._lost = lost

    def __setitem__(self, key: int, value: object) -> None:
        if key != self._lost:
            super().__setitem__(key, value)


class TestWhatIsCertified:
    def test_is_not_replaced_and_no_job_is_run(self) -> None:
        # Given a run that has certified a bias and a dark
        world = World()
        run(world, CHAIN % "each")
        jobs, journal = list(world.requests), world.journal
        # When it is to be made without a bias, of which the dark is made too
        report = run(world, f"{{resume: run, without: [{BAD_BIAS}]}}", resume=True)
        # Then that is refused with the remedy, and nothing has changed
        assert report.state == "FAILED"
        assert "calibscripts decertify run BIAS DARK --reason TEXT" in report.reason
        assert list(world.requests) == jobs and world.journal == journal

    def test_is_made_anew_once_it_is_undone(self) -> None:
        world = World()
        run(world, CHAIN % "each")
        decided(world, DecisionKind.DECERTIFY, "DARK")
        report = run(world, WITHOUT_DARK, resume=True)
        # Then the undo is not a decision on the new product
        assert outcomes(report)["certify DARK"] is Outcome.CERTIFIED
        assert [c.source for c in world.certified] == ["u/ocps/cpBias", "u/ocps/cpDark-2"]
        (decision,) = report.decisions
        assert decision.superseded and "(made anew since)" in summary_text(report)

    @pytest.mark.parametrize("kind", [DecisionKind.DECERTIFY, DecisionKind.REJECT])
    def test_that_was_decided_against_does_not_come_back(self, kind: DecisionKind) -> None:
        # Given a dark that a person does not want, and a session that was to
        # make another without a frame, and was killed before that
        world = World()
        run(world, CHAIN % ("each" if kind is DecisionKind.DECERTIFY else "ask"))
        decided(world, kind, "DARK")
        n_certified = len(world.certified)
        world.on_event = lambda event: world.kill() if event == "submitting cpDark-2" else None
        run(world, WITHOUT_DARK, resume=True)
        # When it is resumed with all frames again
        world.killed, world.on_event = False, None
        report = run(world, "{resume: run, without: []}", resume=True)
        # Then the same dark is not certified, nor to be decided on again
        assert "cpDark-2" not in world.complete and len(world.certified) == n_certified
        assert outcomes(report)["certify DARK"] is Outcome.HELD
        assert not report.decisions[-1].superseded
        # And what is made without it is another
        report = run(world, WITHOUT_DARK, resume=True)
        assert outcomes(report)["certify DARK"] in (Outcome.CERTIFIED, Outcome.WAITING)
        assert read_record(world.journal).decisions[-1].superseded

    def test_is_not_replaced_by_frames_that_are_left_out_as_spoilt_either(self) -> None:
        world = World(spoilt={"DARK 4/7, 15 s": LEAK})
        run(world, CHAIN % "each")
        report = run(world, "{resume: run, spoilt_frames: exclude}", resume=True)
        assert "calibscripts decertify run DARK --reason TEXT" in report.reason

    def test_stays_beside_what_is_certified_elsewhere(self) -> None:
        world = World()
        run(world, CHAIN % "each")
        text = f"{{resume: run, without: [{BAD_DARK}], calib_collection: LATISS/calib/daily/b}}"
        report = run(world, text, resume=True)
        assert outcomes(report)["certify DARK"] is Outcome.CERTIFIED and len(world.certified) == 4

    def test_a_rejection_is_not_one_of_the_new_product(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        decided(world, DecisionKind.REJECT, "BIAS", "DARK")
        report = run(world, WITHOUT_DARK, resume=True)
        assert outcomes(report)["certify DARK"] is Outcome.WAITING
        assert outcomes(report)["certify BIAS"] is Outcome.HELD
        assert [one.superseded for one in read_record(world.journal).decisions] == [False, True]


FIRST_DARK = 2026112300008


class TestRefusals:
    @pytest.mark.parametrize(
        ("without", "said"),
        [
            (f"{BAD_DARK}, 2026112300099", "2026112300099 is not a frame of this run"),
            ("2026112300098, 2026112300099", "2026112300098, 2026112300099 are not frames of this run"),
            (f"{FIRST_DARK}", f"{FIRST_DARK}: discarded anyway, nothing is made from it"),
            (
                ", ".join(str(FIRST_DARK + i) for i in (1, 2, 3, 4)),
                "only 2 of 6 frames of DARK would be left, and at least 3 are needed",
            ),
        ],
    )
    def test_ids_that_cannot_be_left_out_are_refused_by_name(self, without: str, said: str) -> None:
        world = World()
        run(world, CHAIN % "ask")
        jobs, record = list(world.requests), read_record(world.journal)
        text = f"{{resume: run, without: [{without}]}}"
        # In the run, which may have to look frames up,
        report = run(world, text, resume=True)
        assert report.state == "FAILED" and said in report.reason and list(world.requests) == jobs
        # and when it is configured
        config = parse(text, LATISS, lambda run_id, folder: record.config)
        with pytest.raises(ConfigurationError, match=said):
            check_without(config, record)

    def test_a_person_may_leave_out_more_than_half(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        ids = [FIRST_DARK + i for i in (1, 2, 3)]
        assert run(world, f"{{resume: run, without: {ids}}}", resume=True).complete
        assert len(exposures_of(world, "cpDark-2")) == 3

    def test_a_frame_without_a_known_id_is_looked_up_before_any_is_refused(self) -> None:
        world = World()
        run(world, CHAIN % "ask")
        record = read_record(world.journal)
        frames = tuple(
            dataclasses.replace(frame, exposure=None) if frame.exposure == BAD_DARK else frame
            for frame in record.frames
        )
        record = dataclasses.replace(record, frames=frames)
        world.journal = json.dumps(to_json(record))
        check_without(parse(WITHOUT_DARK, LATISS, lambda run_id, folder: record.config), record)
        assert run(world, WITHOUT_DARK, resume=True).complete


def given(world: World, **more: str) -> str:
    """Return a configuration that is given the darks of a run."""
    darks = [i for i, (label, _) in world.exposures.items() if label.startswith("DARK")][1:]
    keys = ", ".join(f"{key}: {value}" for key, value in more.items())
    return f"{{exposures: {{DARK: {darks}}}, generate_calibrations: true, {keys}}}"


BY_ANN = Mark(BAD_DARK, MarkKind.PERSON, "cloud", by="ann", time=1_795_442_400.0, run="first")
SETTLING = Mark(BAD_DARK + 1, MarkKind.SETTLING, "level 50 ADU", run="first")
SATURATED = Mark(BAD_DARK + 2, MarkKind.SATURATED, "0.4 of C00", run="first")


def run_given(world: World, **more: str) -> RunReport:
    """Run the darks that another run has taken, in a run of their own."""
    world.requests.clear()
    world.certified.clear()
    return run(world, given(world, **more))


class TestMarksOfEarlierRuns:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        run(world, CHAIN % "ask")
        world.noted = (BY_ANN, SETTLING, SATURATED)
        return world

    def test_are_reported_with_the_run_that_they_are_from(self, world: World) -> None:
        report = run_given(world, spoilt_frames="report")

        assert report.judgements[0].marks == (BY_ANN, SETTLING)
        assert BAD_DARK in exposures_of(world, "cpDark")
        for text in everything_said(world, report).values():
            assert "cloud" in text and "first" in text and "SETTLING" in text
        assert (
            f"exposure {BAD_DARK} PERSON: cloud (left out by ann, 2026-11-23 14:00 TAI) (noted by run first)"
        ) in unfolded(summary_text(report))

    def test_are_left_out_where_spoilt_frames_are(self, world: World) -> None:
        report = run_given(world, spoilt_frames="exclude")

        assert report.judgements[0].excluded == (BAD_DARK, BAD_DARK + 1)
        assert exposures_of(world, "cpDark") == [BAD_DARK - 2, BAD_DARK - 1, BAD_DARK + 2, BAD_DARK + 3]

    def test_do_not_hide_what_this_run_finds(self, world: World) -> None:
        world.spoilt = {"DARK 5/7, 15 s": LEAK}
        world.noted = (Mark(BAD_DARK + 1, MarkKind.LIGHT_LEAK, "of before", run="first"),)
        (mark,) = run_given(world).judgements[0].marks
        assert mark.run == "" and "level 50 ADU" in mark.text

    def test_that_cannot_be_read_cost_a_warning_and_no_more(self, world: World) -> None:
        world.noted = ObservatoryError("marks of earlier runs could not be read: the disk hangs")
        assert run_given(world).complete
        assert "DARK: not known whether it is spoilt: marks of earlier runs" in of_level(world, "warning")

    def test_are_not_asked_for_by_a_run_that_takes_its_frames(self, world: World) -> None:
        world.certified.clear()
        world.requests.clear()
        assert all(not judgement.marks for judgement in run(world, CHAIN % "each").judgements)

    def test_frames_that_are_given_can_be_left_out_too(self, world: World) -> None:
        world.noted = ()
        report = run_given(world, without=f"[{BAD_DARK}]")
        assert report.judgements[0].excluded == (BAD_DARK,) and report.complete


def noted_in(folder: Path, run_id: str, *marks: Mark) -> None:
    judgement = SeriesJudgement(DARK, tuple(mark.exposure for mark in marks), marks)
    FileJournal(folder, run_id).write(RunRecord(run_id, {}).with_judgement(judgement))


E1, E2, E3, E9 = (2026112300000 + i for i in (1, 2, 3, 9))


class TestKnownMarks:
    def test_have_the_run_that_they_are_from(self, tmp_path: Path) -> None:
        noted_in(tmp_path, "a", Mark(E1, MarkKind.SETTLING, "x"), Mark(E2, MarkKind.NOISE, "y"))
        noted_in(tmp_path, "b", Mark(E3, MarkKind.PERSON, "z", by="ann", time=1.0))

        assert known_marks(tmp_path, [E1, E3], "LATISS") == (
            Mark(E1, MarkKind.SETTLING, "x", run="a"),
            Mark(E3, MarkKind.PERSON, "z", by="ann", time=1.0, run="b"),
        )
        assert known_marks(tmp_path, [E1, E3], "LATISS", but="a")[0].exposure == E3
        assert known_marks(tmp_path, [], "LATISS") == known_marks(tmp_path, [E9], "LATISS") == ()

    def test_are_those_of_the_camera(self, tmp_path: Path) -> None:
        # Given two cameras, which number their exposures alike
        noted_in(tmp_path, "a", Mark(E1, MarkKind.NOISE, "x"))
        judgement = SeriesJudgement(DARK, (E1,), (Mark(E1, MarkKind.PERSON, "y"),))
        other = RunRecord("b", {}, instrument="LSSTCam").with_judgement(judgement)
        FileJournal(tmp_path, "b").write(other)
        assert [mark.run for mark in known_marks(tmp_path, [E1], "LATISS")] == ["a"]
        assert [mark.run for mark in known_marks(tmp_path, [E1], "LSSTCam")] == ["b"]
        assert known_marks(tmp_path, [E1], "LSSTComCam") == ()

    def test_follow_the_journals(self, tmp_path: Path) -> None:
        noted_in(tmp_path, "a", Mark(E1, MarkKind.PERSON, "x"))
        assert known_marks(tmp_path, [E1], "LATISS")
        # When the person uses the frame again, it is as if never marked
        noted_in(tmp_path, "a")
        assert known_marks(tmp_path, [E1], "LATISS") == ()
        # and so once the journal is gone
        noted_in(tmp_path, "a", Mark(E1, MarkKind.PERSON, "x"))
        assert known_marks(tmp_path, [E1], "LATISS")
        (tmp_path / "a.journal.json").unlink()
        assert known_marks(tmp_path, [E1], "LATISS") == ()

    @pytest.mark.parametrize(
        "mark",
        [
            Mark(10**30, MarkKind.NOISE, "x"),
            Mark(E1, MarkKind.PERSON, "x", time=1e30),
            Mark(E1, MarkKind.NOISE, "x", run="../b"),
        ],
    )
    def test_of_a_journal_that_was_changed_by_hand_are_left_out(self, tmp_path: Path, mark: Mark) -> None:
        noted_in(tmp_path, "a", Mark(E1, MarkKind.NOISE, "y"))
        noted_in(tmp_path, "b", mark)
        assert [found.run for found in known_marks(tmp_path, [E1], "LATISS")] == ["a"]

    def test_a_copy_counts_only_where_the_first_run_is_gone(self, tmp_path: Path) -> None:
        noted_in(tmp_path, "a")
        noted_in(tmp_path, "b", Mark(E1, MarkKind.PERSON, "x", run="a"))
        # Given that run a has taken its mark back
        assert known_marks(tmp_path, [E1], "LATISS") == ()
        (tmp_path / "a.journal.json").unlink()
        assert known_marks(tmp_path, [E1], "LATISS") == (Mark(E1, MarkKind.PERSON, "x", run="a"),)

    @pytest.mark.parametrize("damage", ["missing", "garbage", "older"])
    def test_an_index_that_cannot_be_used_is_made_anew(self, tmp_path: Path, damage: str) -> None:
        noted_in(tmp_path, "a", Mark(E1, MarkKind.NOISE, "x"))
        known_marks(tmp_path, [E1], "LATISS")
        index = tmp_path / "runs.sqlite3"
        if damage == "missing":
            index.unlink()
        elif damage == "garbage":
            index.write_bytes(b"no database" * 100)
        else:
            import sqlite3

            with sqlite3.connect(index) as database:
                database.executescript("DROP TABLE mark; PRAGMA user_version = 1;")
            database.close()
        assert [mark.run for mark in known_marks(tmp_path, [E1], "LATISS")] == ["a"]
        assert RunIndex(tmp_path).count() == 1

    def test_are_read_from_the_journals_where_no_index_can_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noted_in(tmp_path, "a", Mark(E1, MarkKind.NOISE, "x"))
        (tmp_path / "broken.journal.json").write_text("{")

        def refuse(self: RunIndex) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(RunIndex, "update", refuse)
        assert [mark.run for mark in known_marks(tmp_path, [E1], "LATISS")] == ["a"]


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        world = World()
        run(world, CHAIN % "each")
        record = read_record(world.journal)
        # The ids of a real run's groups have no slash.
        frames = tuple(
            dataclasses.replace(frame, group_id=frame.group_id.replace("/", "-")) for frame in record.frames
        )
        FileJournal(tmp_path, "run").write(dataclasses.replace(record, frames=frames))
        return tmp_path

    def remake(self, folder: Path, *args: str) -> str:
        result = CliRunner().invoke(main, ["remake", *args, "--journals", str(folder)])
        assert result.exit_code == 2, result.output
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
        return result.output

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("run",), "Name the frames to leave out: --without"),
            (("run", f"{BAD_DARK}"), "write --without before the exposure ids"),
            (("run", "--without", "11"), "--without 11: not an exposure id. Write its 13 digits"),
            (("run", "--without", f"{BAD_DARK}", "x"), "--without x: not an exposure id"),
            (("run", "--without", "2026112300099"), "2026112300099 is not a frame of this run"),
            (("run", "--with", f"{BAD_DARK}"), f"--with {BAD_DARK}: not left out of run run"),
            (("other", "--without", f"{BAD_DARK}"), "other: no journal of it"),
            (("run", "--without", f"{BAD_DARK}"), "calibscripts decertify run DARK --reason TEXT"),
            (("run", "--without", f"{BAD_DARK}", "--reason", "a\nb"), "without_reason"),
            (("run", "--without", f"{BAD_DARK}", "--workdir", "w"), "Leave one out"),
        ],
    )
    def test_refuses_with_a_sentence_and_exit_code_2(
        self, folder: Path, args: tuple[str, ...], said: str
    ) -> None:
        assert said in self.remake(folder, *args)

    def test_a_configuration_with_other_frames_is_refused_by_run_too(self, folder: Path) -> None:
        config = folder / "config.yaml"
        config.write_text(f"resume: run\nwithout: [2026112300099]\njournal_dir: {folder}\n")
        result = CliRunner().invoke(main, ["run", str(config)])
        assert result.exit_code == 2
        assert "without: 2026112300099 is not a frame of this run; write ids of frames" in result.output

    def test_help_has_an_example(self) -> None:
        result = CliRunner().invoke(main, ["remake", "-h"])
        assert (
            result.exit_code == 0 and "remake 20261123T053300-100001 --without 2026112300003" in result.output
        )

    def test_takes_no_frames(self, folder: Path) -> None:
        record = read_record((folder / "run.journal.json").read_text())
        FileJournal(folder, "run").write(dataclasses.replace(record, frames=record.frames[:-2]))
        text = self.remake(folder, "run", "--without", f"{BAD_BIAS}")
        assert "2 of its frames are still to be taken, and remake takes none" in text

    def test_adds_to_what_is_left_out_and_says_by_whom(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a run that is without a bias, of which nothing is certified
        record = read_record((folder / "run.journal.json").read_text())
        config = {**record.config, "without": [BAD_BIAS]}
        record = dataclasses.replace(record, config=config, stages=())
        FileJournal(folder, "run").write(record)
        texts: list[str] = []
        monkeypatch.setattr(
            "lsst.ts.calibrationscripts.cli.remaking.run_text", lambda text, *others: texts.append(text)
        )
        monkeypatch.setattr("lsst.ts.calibrationscripts.cli.remaking.simulate_text", lambda *args: None)
        # When darks are named, with and without commas
        args = ["--without", f"{BAD_DARK},{BAD_DARK + 1}", f"{BAD_DARK + 2}", "--reason", "cloud"]
        CliRunner().invoke(main, ["remake", "run", "--journals", str(folder), *args])
        # Then the run is resumed without all of them
        config = parse(texts[0], LATISS, lambda run_id, journals: record.config)
        assert config.without == (BAD_BIAS, BAD_DARK, BAD_DARK + 1, BAD_DARK + 2)
        assert config.without_reason == "cloud" and config.without_by and "@" in config.without_by
        assert config.resume == "run" and config.journal_dir == str(folder)
        # and --with takes one back
        CliRunner().invoke(main, ["remake", "run", "--journals", str(folder), "--with", f"{BAD_BIAS}"])
        assert parse(texts[1], LATISS, lambda run_id, journals: record.config).without == ()
