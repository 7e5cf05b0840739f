# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a run can be undone, what that changes, and how it is recorded.

That look-ups are then as before is shown on real repositories, in
observatory/test_decertifying.py.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.butler.decertifying import decertify as undo_in_butler
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document, write_document
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.decertification import (
    Exposure,
    Reach,
    RefusedError,
    Standing,
    Undo,
    Unit,
    Valid,
    built_on,
    choose,
    make_routes,
    reach_json,
    reach_text,
)
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record, run_lock
from lsst.ts.calibrationscripts.files.runs import load_document
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.proof import ProductRecord, Proof
from lsst.ts.calibrationscripts.record import Decision, DecisionKind, JobRecord, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, summary_text
from lsst.ts.calibrationscripts.reporting import write_report
from lsst.ts.calibrationscripts.simulation.repository import create_repository
from named import BIAS, DARK, stage, unfolded

RUN_ID = "20261123T053300-100001"
DAY = 86_400 * 10**9
DAILY = "LATISS/calib/daily"
RED, BLUE = "SDSSr_65mm~empty", "SDSSg_65mm~empty"


def certification(
    dataset_type: str, collection: str = DAILY, physical_filter: str | None = None
) -> Certification:
    source = f"u/ocps/{dataset_type}{(physical_filter or '')[4:5]}"
    return Certification(
        dataset_type, source, collection, "2026-11-23T12:00:00", "2026-11-24T12:00:00", physical_filter
    )


def proof(subject: Subject, certified: Certification, *ids: str) -> Proof:
    request = JobRequest("cp.yaml", (), (), "LATISS", (0,), ())
    job = JobRecord(stage(f"generate {subject}"), certified.source.rpartition("/")[2], request)
    datasets = tuple(ProductRecord(each, 0, certified.physical_filter) for each in ids)
    return Proof(subject, certified, datasets, (), job, None, ())


def decertified(subject: Subject, certified: Certification) -> Decision:
    return Decision(DecisionKind.DECERTIFY, subject, "ann@host", 0.0, "too noisy", "", certified)


FLAT_R, FLAT_B = Subject(Product.FLAT, RED), Subject(Product.FLAT, BLUE)
MADE = {
    BIAS: certification("bias"),
    DARK: certification("dark"),
    FLAT_R: certification("flat", physical_filter=RED),
    FLAT_B: certification("flat", physical_filter=BLUE),
}
RECORD = RunRecord(RUN_ID, {"repo": "none"}, certifications=tuple(MADE.values()))
PROOFS = [proof(subject, made, f"id of {subject}") for subject, made in MADE.items()]


# What of a run can be undone


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), (BIAS, DARK, FLAT_R, FLAT_B)),
        (("bias",), (BIAS,)),
        (("FLAT",), (FLAT_R, FLAT_B)),
        ((f"flat {RED}", "DARK"), (DARK, FLAT_R)),
    ],
)
def test_products_are_chosen_by_name(wanted: tuple[str, ...], chosen: tuple[Subject, ...]) -> None:
    undos = choose(RECORD, PROOFS, wanted)
    assert [undo.subject for undo in undos] == list(chosen)
    assert all(undo.datasets == (f"id of {undo.subject}",) for undo in undos)


def test_a_second_undo_is_refused_with_who_made_the_first() -> None:
    record = RECORD.with_decision(decertified(BIAS, MADE[BIAS]))
    assert [undo.subject for undo in choose(record, PROOFS)] == [DARK, FLAT_R, FLAT_B]
    for again in (["BIAS"], ["DARK", "BIAS"]):
        with pytest.raises(RefusedError, match=r"BIAS was decertified by ann@host: too noisy \(1970-01-01"):
            choose(record, PROOFS, again)
    for subject in (DARK, FLAT_R, FLAT_B):
        record = record.with_decision(decertified(subject, MADE[subject]))
    with pytest.raises(RefusedError, match="DARK was decertified"):
        choose(record, PROOFS)


def test_what_was_accepted_again_can_be_undone_again() -> None:
    # Given a bias that was undone and then accepted for another collection.
    other = dataclasses.replace(MADE[BIAS], collection="LATISS/calib/other")
    record = RECORD.with_decision(decertified(BIAS, MADE[BIAS]))
    record = dataclasses.replace(record, certifications=(*RECORD.certifications, other))
    (undo,) = choose(record, PROOFS, ["BIAS"])
    assert undo == Undo(BIAS, other, ("id of BIAS",))


def test_the_proof_of_another_certification_does_not_say_what_was_certified() -> None:
    # Given a bias that two sessions have certified, the later one in part
    later = dataclasses.replace(MADE[BIAS], end_date="2026-11-25T12:00:00")
    record = dataclasses.replace(RECORD, certifications=(MADE[BIAS], later))
    both = choose(record, [proof(BIAS, later, "id of detector 0")])
    # Then its datasets are all that was certified by the later one only
    assert [undo.of_another for undo in both] == [True, False]
    # And each has its own proof where both are there
    proofs = [proof(BIAS, later, "id 0"), proof(BIAS, MADE[BIAS], "id 0", "id 1")]
    both = choose(record, proofs)
    assert [(undo.datasets, undo.of_another) for undo in both] == [
        (("id 0", "id 1"), False),
        (("id 0",), False),
    ]


def test_a_later_session_does_not_lose_what_proves_what_is_certified(tmp_path: Path) -> None:
    # Given a session that has certified a bias, and one that has made another
    # from other frames, and certified that elsewhere
    now = threading.Event()
    now.set()
    first, dark = proof(BIAS, MADE[BIAS], "id 0", "id 1"), proof(DARK, MADE[DARK], "id of a dark")
    other = dataclasses.replace(MADE[BIAS], source="u/ocps/second", collection=f"{DAILY}/b")
    second = proof(BIAS, other, "id 2")
    for resumed, proofs in enumerate(((first, dark), (dark,), (second, dark))):
        report = RunReport(RunState.DONE, run_id=RUN_ID, resumed=resumed, proofs=proofs)
        written = write_report(report, "none", tmp_path, now)
        assert written.problems == ()
    left = load_document(tmp_path, RUN_ID)
    assert left is not None and left.report.earlier_proofs == (first,)
    # Then both can be undone, as what they are
    record = RunRecord(RUN_ID, {"repo": "none"}, certifications=(MADE[BIAS], MADE[DARK], other))
    undos = choose(record, (*left.report.proofs, *left.report.earlier_proofs), ["BIAS"])
    assert [(undo.datasets, undo.of_another) for undo in undos] == [
        (("id 0", "id 1"), False),
        (("id 2",), False),
    ]


def test_what_the_run_has_not_certified_is_refused() -> None:
    with pytest.raises(
        RefusedError, match=r"has not certified PTC, lamp\. It has certified: BIAS, DARK, FLAT"
    ):
        choose(RECORD, PROOFS, ["PTC", "bias", "lamp"])
    with pytest.raises(RefusedError, match="has certified nothing"):
        choose(RunRecord(RUN_ID, {}), ())


def test_what_was_made_with_it_and_stays_certified_is_named() -> None:
    (bias,) = chosen = choose(RECORD, PROOFS, ["BIAS"])
    flats = (FLAT_R.name, FLAT_B.name)
    assert built_on(RECORD, PROOFS, bias, chosen) == (DARK.name, *flats)
    # but not what is undone too, or was before.
    assert built_on(RECORD, PROOFS, bias, choose(RECORD, PROOFS)) == ()
    before = RECORD.with_decision(decertified(DARK, MADE[DARK]))
    assert built_on(before, PROOFS, bias, chosen) == flats
    (red,) = choose(RECORD, PROOFS, [FLAT_R.name])
    assert built_on(RECORD, PROOFS, red, (red,)) == ()
    shown = reach(built_on=("DARK", "FLAT"))
    assert "DARK, FLAT of this run were made with it, and stay certified" in unfolded(reach_text(shown))
    assert reach_json(shown)["built_on"] == ["DARK", "FLAT"]


def test_without_a_proof_the_job_of_the_run_is_known() -> None:
    made = StageResult(stage("generate BIAS"), Outcome.PASSED, collection="u/ocps/bias")
    record = RunRecord(RUN_ID, {}, stages=(made,), certifications=(MADE[BIAS],))
    assert choose(record, ()) == (Undo(BIAS, MADE[BIAS]),)
    # And nothing that no job of the run has made.
    with pytest.raises(RefusedError, match="u/ocps/bias, which no job of run"):
        choose(dataclasses.replace(record, stages=()), ())


def test_what_an_earlier_session_has_certified_can_be_undone_though_its_stage_was_not_begun_again() -> None:
    # Given a run that is resumed after its bias was decertified: what needs
    # it is skipped, has no proof, and stays certified
    source = MADE[DARK].source
    job = JobRecord(
        stage("generate DARK"), source.rpartition("/")[2], JobRequest("c", (), (), "LATISS", (0,), ())
    )
    skipped = StageResult(stage("generate DARK"), Outcome.SKIPPED, "certify BIAS ended HELD")
    record = RunRecord(RUN_ID, {}, jobs=(job,), stages=(skipped,), certifications=(MADE[DARK],))
    # Then it is undone as the run says.
    assert choose(record, (), ["DARK"]) == (Undo(DARK, MADE[DARK]),)


# What that changes


def reach(routes: Iterable[Any] = (), **changes: Any) -> Reach:
    values: dict[str, Any] = {
        "undo": Undo(BIAS, MADE[BIAS]),
        "standing": Standing(),
        "span": (0, 10 * DAY),
        "detectors": tuple(range(189)),
        "routes": tuple(routes),
    }
    return Reach(**{**values, **changes})


def test_the_reach_of_a_whole_camera_is_found_at_once_and_fits_a_terminal() -> None:
    # Given 189 detectors, of which 9 have another history, 1000 exposures,
    # and a hundred chains.
    units = {Unit(detector): f"ours {detector}" for detector in range(189)}
    ours = {unit: [Valid(0, 10 * DAY, "u/ocps/bias/run", dataset)] for unit, dataset in units.items()}
    older = {
        unit: [
            Valid(-DAY, (4 if unit.detector < 9 else 6) * DAY, "u/ocps/older/run", "a"),
            Valid(8 * DAY, 20 * DAY, "u/ocps/newer/run", "b"),
        ]
        for unit in units
    }
    chains = {DAILY: (DAILY,)} | {f"u/ocps/{i:032}": (DAILY, "older") for i in range(100)}
    exposures = [Exposure(i, i * DAY // 100, i * DAY // 100 + 1, RED) for i in range(1000)]
    begin = time.process_time()
    routes = make_routes(DAILY, chains, {DAILY: ours, "older": older}, units, (0, 10 * DAY), exposures)
    assert time.process_time() - begin < 20
    # Then equal histories are shown as one, and equal chains too.
    direct, chained = routes
    assert [each.run for each in direct.instead] == [None]
    assert direct.instead[0].exposures.count == 1000
    assert len(chained.collections) == 100
    assert [
        (each.begin // DAY, each.end // DAY, each.run, len(each.detectors), each.exposures.count)
        for each in chained.instead
    ] == [
        (0, 4, "u/ocps/older/run", 9, 400),
        (4, 8, None, 9, 400),
        (8, 10, "u/ocps/newer/run", 9, 200),
        (0, 6, "u/ocps/older/run", 180, 600),
        (6, 8, None, 180, 200),
        (8, 10, "u/ocps/newer/run", 180, 200),
    ]
    text = reach_text(reach(routes))
    assert max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) < 40
    assert "and 96 more" in text
    # What holds for all is said once.
    assert "found instead: nothing, 1000 exposures, 0 to 999" in text


def test_flats_are_found_by_exposures_through_their_filter() -> None:
    units = {Unit(0, RED): "r"}
    exposures = [Exposure(i, i, i + 1, RED if i % 5 else BLUE) for i in range(10)]
    (route,) = make_routes(DAILY, {DAILY: (DAILY,)}, {}, units, (0, 100), exposures)
    assert route.instead[0].exposures.count == 8


def test_what_another_calibration_hides_does_not_change() -> None:
    units = {Unit(0): "ours"}
    run = {Unit(0): [Valid(-(10**30), 10**30, "u/ocps/bias/run", "ours")]}
    chains = {"job": ("u/ocps/bias/run", DAILY)}
    (route,) = make_routes(DAILY, chains, {"u/ocps/bias/run": run}, units, (0, 100), [])
    assert route.instead == ()
    assert "another calibration is found before it" in reach_text(reach([route]))


# How it is recorded


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = tmp_path_factory.mktemp("repository") / "repo"
    create_repository(repo, LATISS, scale=16)
    return repo


@pytest.fixture
def certified(repo: Path, tmp_path: Path) -> tuple[RunRecord, list[Proof]]:
    """Have a run that has certified bias and dark; return its record."""
    collection = f"{DAILY}/{tmp_path.name}"
    source = f"u/ocps/{tmp_path.name}"
    proofs = []
    with Butler.from_config(str(repo), writeable=True) as butler:
        butler.collections.register(source)
        for subject in (BIAS, DARK):
            name = subject.product.lower()
            dataset_type = butler.get_dataset_type(name)
            data_id = {"instrument": "LATISS", "detector": 0}
            (ref,) = butler.registry.insertDatasets(dataset_type, [data_id], run=source)
            made = dataclasses.replace(certification(name, collection), source=source)
            proofs.append(proof(subject, made, str(ref.id)))
    asyncio.run(ButlerRepository(str(repo), LATISS, (0,)).certify(*proofs))
    record = RunRecord(
        RUN_ID,
        parse(f"repo: {repo}", LATISS).to_dict(),
        RunState.DONE,
        stages=tuple(
            StageResult(stage(f"certify {subject}"), Outcome.CERTIFIED, collection=collection)
            for subject in (BIAS, DARK)
        ),
        certifications=tuple(each.certification for each in proofs),
    )
    FileJournal(tmp_path, RUN_ID).write(record)
    report = RunReport(
        RunState.DONE,
        run_id=RUN_ID,
        stages=record.stages,
        certifications=record.certifications,
        proofs=tuple(proofs),
        config=record.config,
    )
    (tmp_path / f"{RUN_ID}.json").write_text(write_document(RunDocument(report)))
    return record, proofs


def is_certified(repo: Path, proofs: Iterable[Proof]) -> list[bool]:
    repository = ButlerRepository(str(repo), LATISS, (0,))
    return [asyncio.run(repository.is_certified(each)) for each in proofs]


def decertify(folder: Path, *args: str) -> Result:
    return CliRunner().invoke(main, ["decertify", RUN_ID, *args, "--journals", str(folder)])


Run = tuple[RunRecord, list[Proof]]


def test_a_dry_run_shows_the_reach_and_changes_nothing(repo: Path, tmp_path: Path, certified: Run) -> None:
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    result = decertify(tmp_path, "BIAS", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("BIAS: bias from u/ocps/")
    assert "found instead: nothing, no exposures" in result.output
    assert result.output.endswith("Nothing was changed (--dry-run).\n")
    data = json.loads(decertify(tmp_path, "--dry-run", "--json").output)
    assert [each["subject"] for each in data["reach"]] == ["BIAS", "DARK"]
    assert data["dry_run"] and data["decisions"] == []
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert is_certified(repo, certified[1]) == [True, True]


def test_what_is_undone_is_in_journal_json_page_and_text(repo: Path, tmp_path: Path, certified: Run) -> None:
    result = decertify(tmp_path, "bias", "--reason", " light <leak> ")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "BIAS: decertified; 0 exposure(s) found it through 1 collection(s)." in result.output
    assert is_certified(repo, certified[1]) == [False, True]
    record = load_record(tmp_path, RUN_ID)
    (decision,) = record.decisions
    assert (decision.kind, decision.subject) == (DecisionKind.DECERTIFY, BIAS)
    assert (decision.reason, decision.certification) == ("light <leak>", record.certifications[0])
    assert "@" in decision.who and abs(decision.time - time.time() - 37) < 3600
    report = read_document((tmp_path / f"{RUN_ID}.json").read_text()).report
    assert report.decisions == record.decisions
    # It counts no more as certified, so that a resumed run leaves it alone.
    ended = {result.name: result.outcome for result in record.stages}
    assert ended == {"certify BIAS": Outcome.HELD, "certify DARK": Outcome.CERTIFIED}
    assert ended == {result.name: result.outcome for result in report.stages}
    page = (tmp_path / f"{RUN_ID}.html").read_text()
    _, _, section = page.partition('<section id="decisions"')
    assert '<a href="#decisions">' in page
    for text in (">BIAS<", ">decertified<", decision.who, decision.date, "light &lt;leak&gt;"):
        assert text in section.partition("</section>")[0]
    assert f"Decided: BIAS decertified by {decision.who}: light <leak>" in unfolded(summary_text(report))


def test_a_second_undo_changes_nothing(repo: Path, tmp_path: Path, certified: Run) -> None:
    assert decertify(tmp_path, "BIAS", "--reason", "first").exit_code == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    result = decertify(tmp_path, "BIAS", "--reason", "second")
    assert result.exit_code == 2 and "BIAS was decertified by" in result.stderr and "first" in result.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_what_a_killed_process_has_undone_is_recorded_by_the_next(
    repo: Path, tmp_path: Path, certified: Run
) -> None:
    # Given a process that was killed between the Butler and the journal.
    record, proofs = certified
    asyncio.run(undo_in_butler(str(repo), choose(record, proofs, ["BIAS"])))
    assert load_record(tmp_path, RUN_ID).decisions == ()
    # When the command is given again.
    result = decertify(tmp_path, "--reason", "too noisy")
    # Then that one is noted, and the other undone.
    assert result.exit_code == 0
    assert "BIAS: decertified; it was not certified any more." in result.output
    assert "DARK: decertified; 0 exposure(s) found it" in result.output
    assert [each.subject for each in load_record(tmp_path, RUN_ID).decisions] == [BIAS, DARK]
    assert is_certified(repo, proofs) == [False, False]


def test_a_journal_that_cannot_be_written_afterwards_says_what_to_do(
    repo: Path, tmp_path: Path, certified: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ObservatoryError("the journal cannot be written: No space left on device")

    monkeypatch.setattr(FileJournal, "write", fail)
    result = decertify(tmp_path, "BIAS", "--reason", "too noisy")
    assert result.exit_code == 3
    assert "It is undone but not noted: give the command again when that is fixed" in result.stderr


def test_a_run_that_is_running_wins(repo: Path, tmp_path: Path, certified: Run) -> None:
    with run_lock(tmp_path, RUN_ID).taken():
        result = decertify(tmp_path, "--reason", "too noisy")
    assert result.exit_code == 2 and "that run is running: process" in result.stderr
    assert is_certified(repo, certified[1]) == [True, True]


def cut(file: Path) -> None:
    file.write_text(file.read_text()[:-20])


def rename_run(file: Path) -> None:
    data = json.loads(file.read_text()) | {"run_id": "20261123T053300-7"}
    file.write_text(json.dumps(data))


@pytest.mark.parametrize("damage", [cut, rename_run])
@pytest.mark.parametrize("name", ["journal.json", "json"])
def test_a_damaged_or_foreign_record_is_refused(
    repo: Path, tmp_path: Path, certified: Run, name: str, damage: Callable[[Path], None]
) -> None:
    damage(tmp_path / f"{RUN_ID}.{name}")
    result = decertify(tmp_path, "--reason", "too noisy")
    assert result.exit_code == 2 and "cannot be read" in result.stderr
    assert "Traceback" not in result.output and isinstance(result.exception, SystemExit)
    assert is_certified(repo, certified[1]) == [True, True]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "needs a reason"),
        (["--reason", "  "], "needs a reason"),
        (["PTC", "--reason", "x"], "has not certified PTC. It has certified: BIAS, DARK"),
    ],
)
def test_what_cannot_be_used_is_refused(
    repo: Path, tmp_path: Path, certified: Run, args: list[str], words: str
) -> None:
    result = decertify(tmp_path, *args)
    assert result.exit_code == 2 and words in result.stderr
    assert is_certified(repo, certified[1]) == [True, True]


def test_an_unknown_run_is_refused(tmp_path: Path) -> None:
    result = decertify(tmp_path, "--reason", "x")
    assert result.exit_code == 2 and f"no journal of it in {tmp_path}" in result.stderr
