# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due is what the Butler's own look-ups say, on a real repository."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time, TimeDelta
from click.testing import CliRunner, Result
from lsst.daf.butler import (
    Butler,
    CalibrationLookupError,
    CollectionType,
    DatasetRef,
    DatasetType,
    DimensionRecord,
    Timespan,
)
from lsst.daf.butler.cli.butler import cli as butler_command
from lsst.ts.calibrationscripts.butler.due import Nights, flat_times, read_due
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.due import PRODUCTS, Policy, State, find
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from lsst.ts.calibrationscripts.proof import ProductRecord
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from test_proof import PROOF

N_HISTORIES = int(os.environ.get("CALIBSCRIPTS_LOOKUPS", "30"))

DETECTORS = (0, 1, 2)
FILTERS = ("SDSSr_65mm~empty", "SDSSg_65mm~empty")
TYPES = {
    name: {"instrument", "detector"} | ({"physical_filter"} if name == "flat" else set()) for name in PRODUCTS
}
N_DAYS = 10
"""Days of exposures, and the unit of validity ranges."""

RUNS = tuple(f"u/ocps/made{i}/run" for i in range(4))

LENGTHS = (0, 30, 86_400, 2 * 86_400)
"""Of exposures (s): a bias has none, and one over days meets several validity
ranges."""


def midnight(day: int) -> Time:
    return Time(f"2022-01-{1 + day:02d}T00:00:00", scale="tai")


def span(begin: int | None, end: int | None) -> Timespan:
    return Timespan(*(None if day is None else midnight(day) for day in (begin, end)))


def exposure(number: int, chance: random.Random) -> dict[str, Any]:
    day = chance.randrange(N_DAYS)
    # At the very change from one range to the next, too.
    begin = midnight(day) + TimeDelta(chance.choice([0, 0, 20_000]), format="sec")
    end = begin + TimeDelta(chance.choice(LENGTHS), format="sec")
    return {
        "instrument": "LATISS",
        "id": (20220101 + day) * 100_000 + number,
        "obs_id": str(number),
        "physical_filter": chance.choice(FILTERS),
        "day_obs": 20220101 + day,
        "observation_type": "science",
        "group": "all",
        # What was ingested by hand may have no time.
        "timespan": None if number % 10 == 9 else Timespan(begin, end),
    }


def make_repository(root: Path, *, untimed: bool = True) -> None:
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        for name in ("LATISS", "Other"):
            largest = {"detector_max": 10, "visit_max": 10**13, "exposure_max": 10**13}
            insert("instrument", {"name": name, "class_name": "none", "visit_system": 0, **largest})
            for detector in DETECTORS:
                insert("detector", {"instrument": name, "id": detector, "full_name": f"R00_S0{detector}"})
            for each in FILTERS:
                insert("physical_filter", {"instrument": name, "name": each, "band": "r"})
        for day in range(N_DAYS):
            insert("day_obs", {"instrument": "LATISS", "id": 20220101 + day})
        insert("group", {"instrument": "LATISS", "name": "all"})
        chance = random.Random(1)  # noqa: S311 - the same ones each time
        exposures = [exposure(number, chance) for number in range(30)]
        insert("exposure", *(each for each in exposures if untimed or each["timespan"] is not None))
        for name, dimensions in TYPES.items():
            dataset_type = DatasetType(
                name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=True
            )
            butler.registry.registerDatasetType(dataset_type)
            for run, instrument in itertools.product(RUNS, ("LATISS", "Other")):
                butler.collections.register(run)
                units: list[dict[str, Any]] = [
                    {"instrument": instrument, "detector": each} for each in DETECTORS
                ]
                if name == "flat":
                    units = [unit | {"physical_filter": each} for unit in units for each in FILTERS]
                butler.registry.insertDatasets(dataset_type, units, run=run)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository") / "repo"
    make_repository(root)
    return root


@pytest.fixture
def butler(repo: Path) -> Iterator[Butler]:
    with Butler.from_config(str(repo), writeable=True) as butler:
        yield butler


def refs_of(butler: Butler, dataset_type: str, run: str, instrument: str = "LATISS") -> list[DatasetRef]:
    refs = butler.query_datasets(dataset_type, collections=run, find_first=False)
    return [ref for ref in refs if ref.dataId["instrument"] == instrument]


Refs = Mapping[tuple[str, str, str], list[DatasetRef]]
"""All datasets, by type, RUN collection and instrument."""


def all_refs(butler: Butler) -> Refs:
    return {key: refs_of(butler, *key) for key in itertools.product(TYPES, RUNS, ("LATISS", "Other"))}


class History:
    """Random certifications into several collections of a chain.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    refs : `~collections.abc.Mapping`
        Its datasets.
    number : `int`
        Which history.
    """

    def __init__(self, butler: Butler, refs: Refs, number: int) -> None:
        self._butler = butler
        self._refs = refs
        self.chance = random.Random(number)  # noqa: S311 - the same ones each time
        name = f"h/{number}"
        self.calibrations = [f"{name}/{i}" for i in range(3)]
        for each in self.calibrations:
            butler.collections.register(each, CollectionType.CALIBRATION)
        members = [*self.calibrations]
        if self.chance.random() < 0.3:
            members.append(RUNS[0])
        if self.chance.random() < 0.3:
            members.append(self._tagged(f"{name}/tagged"))
        self.chance.shuffle(members)
        inner, outer = members[:2], members[2:]
        for chain, children in ((f"{name}/inner", inner), (f"{name}/outer", [*outer, f"{name}/inner"])):
            butler.collections.register(chain, CollectionType.CHAINED)
            butler.collections.redefine_chain(chain, children)
        self.searched = self.chance.choice(
            [[f"{name}/outer"], [f"{name}/inner", self.calibrations[0]], [self.calibrations[0]]]
        )

    def _tagged(self, name: str) -> str:
        self._butler.collections.register(name, CollectionType.TAGGED)
        refs = self._refs["dark", RUNS[1], "LATISS"]
        self._butler.registry.associate(name, self.chance.sample(refs, 2))
        return name

    def happen(self, dataset_type: str) -> None:
        """Certify and decertify at random; what is in conflict is not done."""
        taken: set[tuple[str, object, int]] = set()
        for _ in range(self.chance.randrange(5)):
            collection = self.chance.choice(self.calibrations[:2] + self.calibrations)
            begin = self.chance.randrange(-1, N_DAYS)
            # Daily ones follow each other.
            lengths = self.chance.choice([[1, 1, 1, 1], [1, 1, 1, 1], [2, 3], [2 * N_DAYS]])
            for length in lengths:
                end = min(begin + length, N_DAYS + 1)
                if begin < end:
                    self._certify(dataset_type, collection, begin, end, taken)
                begin = end
        if taken and self.chance.random() < 0.3:
            # A range becomes two.
            day = self.chance.randrange(N_DAYS)
            collection = self.chance.choice(sorted({collection for collection, _, _ in taken}))
            self._butler.registry.decertify(collection, dataset_type, span(day, day + 1))

    def _certify(
        self, dataset_type: str, collection: str, begin: int, end: int, taken: set[tuple[str, object, int]]
    ) -> None:
        days = range(begin, end)
        instrument = "Other" if self.chance.random() < 0.1 else "LATISS"
        refs = self._refs[dataset_type, self.chance.choice(RUNS), instrument]
        n_lost = self.chance.choice([0, 0, 1])
        refs = [
            ref
            for ref in self.chance.sample(refs, len(refs) - n_lost)
            if not any((collection, ref.dataId, day) in taken for day in days)
        ]
        if refs:
            times = span(None if begin < 0 else begin, None if end > N_DAYS else end)
            self._butler.registry.certify(collection, refs, times)
            taken |= {(collection, ref.dataId, day) for ref in refs for day in days}


def by_brute_force(
    butler: Butler, dataset_type: str, record: DimensionRecord, detector: int, searched: Sequence[str]
) -> str | State | None:
    """Return what the Butler itself finds for an exposure."""
    data_id: dict[str, Any] = {"instrument": "LATISS", "detector": detector}
    if dataset_type == "flat":
        data_id["physical_filter"] = record.physical_filter
    try:
        ref = butler.find_dataset(dataset_type, data_id, collections=searched, timespan=record.timespan)
    except CalibrationLookupError:
        return State.AMBIGUOUS
    return None if ref is None else str(ref.id)


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_every_look_up_is_that_of_the_butler(butler: Butler, repo: Path) -> None:
    records = butler.query_dimension_records("exposure", limit=None)
    refs = all_refs(butler)
    counts = {"found": 0, "nothing": 0, "ambiguous": 0}
    for number in range(N_HISTORIES):
        # Given calibrations that were certified at random.
        history = History(butler, refs, number)
        dataset_type = list(TYPES)[number % len(TYPES)]
        history.happen(dataset_type)
        some = {int(each.id): each for each in history.chance.sample(records, 4)}
        # When they are looked up in memory, for all exposures.
        policy = Policy(ignored=frozenset(TYPES) - {dataset_type})
        exposures, stock = await read_due(
            str(repo), "LATISS", Nights(), history.searched, policy.dataset_types, "h/daily"
        )
        findings = find(stock, exposures, DETECTORS, policy, 0)
        found: dict[tuple[int, int], str | State | None] = {}
        for each in findings:
            if each.exposures:
                datasets: Sequence[str | State | None] = each.datasets or [
                    State.AMBIGUOUS if each.state is State.AMBIGUOUS else None
                ] * len(each.detectors)
                for one, (detector, dataset) in itertools.product(
                    each.exposures, zip(each.detectors, datasets, strict=True)
                ):
                    assert (one, detector) not in found
                    found[one, detector] = dataset
        assert len(found) == len(records) * len(DETECTORS)
        # Then it is what the Butler finds, one by one.
        for (one, record), detector in itertools.product(some.items(), DETECTORS[:2]):
            expected = by_brute_force(butler, dataset_type, record, detector, history.searched)
            assert found[one, detector] == expected, (number, dataset_type, one, detector)
            kind = "ambiguous" if isinstance(expected, State) else "found" if expected else "nothing"
            counts[kind] += 1
    # And there were some of each kind.
    assert min(counts.values()) > N_HISTORIES // 10, counts


# The command


DAILY = "LATISS/calib/daily"
CHAIN = "LATISS/calib"


def due(*args: object) -> Result:
    return CliRunner().invoke(main, ["due", *(str(arg) for arg in args)])


@pytest.fixture
def calibrated(tmp_path: Path) -> Iterator[tuple[Path, Butler]]:
    """Make a repository whose chain has a bias for all times, and no more."""
    root = tmp_path / "repo"
    make_repository(root, untimed=False)
    with Butler.from_config(str(root), writeable=True) as butler:
        butler.collections.register(f"{DAILY}/old", CollectionType.CALIBRATION)
        butler.collections.register(CHAIN, CollectionType.CHAINED)
        butler.collections.redefine_chain(CHAIN, [f"{DAILY}/old"])
        butler.registry.certify(f"{DAILY}/old", refs_of(butler, "bias", RUNS[0]), Timespan(None, None))
        yield root, butler


def run(repo: Path, tmp_path: Path, *args: object) -> Result:
    return due("--repo", repo, "--journals", tmp_path / "journals", *args)


def test_what_is_proposed_closes_the_gap(calibrated: tuple[Path, Butler], tmp_path: Path) -> None:
    repo, butler = calibrated
    policy = tmp_path / "policy.yaml"
    policy.write_text("ignore: [ptc, defects]\n")
    first = run(repo, tmp_path, "--nights", 3, "--policy", policy, "--json", tmp_path / "due.json")
    assert first.exit_code == 3, first.output
    data = json.loads((tmp_path / "due.json").read_text())
    assert {each["dataset_type"] for each in data["findings"] if each["due"]} == {"dark", "flat"}
    (proposal,) = data["configurations"]
    config = parse(proposal["text"], LATISS)
    assert config.repo == str(repo)
    # When its calibrations are certified, and the collection is searched.
    butler.collections.register(config.calib_collection, CollectionType.CALIBRATION)
    valid = Timespan(
        Time(config.certify_calib_begin_date, scale="tai"), Time(config.certify_calib_end_date, scale="tai")
    )
    for name in ("bias", "dark", "flat"):
        refs = refs_of(butler, name, RUNS[1])
        butler.registry.certify(config.calib_collection, refs, valid)
    (remark,) = [each for each in data["remarks"] if each["command"]]
    program, *command = shlex.split(remark["command"])
    assert program == "butler"
    added = CliRunner().invoke(butler_command, command)
    assert added.exit_code == 0, added.output
    # Then nothing is due.
    second = run(repo, tmp_path, "--nights", 3, "--policy", policy)
    assert second.exit_code == 0 and "Nothing is due." in second.stdout, second.output


def test_what_is_proposed_and_cannot_be_run_says_why(calibrated: tuple[Path, Butler], tmp_path: Path) -> None:
    repo, _ = calibrated
    found = run(repo, tmp_path, "--nights", 3)
    # Today's pipelines need crosstalk coefficients, which are not there
    said = " ".join(found.stdout.split())
    assert "The configuration cannot be run as it is: crosstalk: none for detector 0" in said, said
    assert "in LATISS/calib is valid for the frames of" in said and "name a collection that has one" in said


def test_json_on_stdout_is_json_alone(calibrated: tuple[Path, Butler], tmp_path: Path) -> None:
    repo, _ = calibrated
    result = run(repo, tmp_path, "--json", "-")
    data = json.loads(result.stdout)
    assert result.exit_code == 3 and data["due"] is True
    (bias,) = [each for each in data["findings"] if each["dataset_type"] == "bias"]
    assert bias["run"] == RUNS[0] and bias["certified_by"] == "not by this product"
    assert bias["age"] == 0.0


@pytest.mark.parametrize(
    ("options", "n"),
    [
        (["--nights", 1], {9}),
        (["--nights", 2], {8, 9}),
        (["--from", "2022-01-03", "--to", "20220104"], {2, 3}),
        (["--to", "2022-01-02"], {0, 1}),
        (["--where", "exposure.day_obs = 20220105"], {4}),
        (["--nights", 1, "--where", "day_obs < 20220104"], {2}),
    ],
)
def test_exposures_are_chosen_by_nights_dates_or_a_query(
    repo: Path, butler: Butler, tmp_path: Path, options: list[object], n: set[int]
) -> None:
    wanted = [20220101 + day for day in n]
    expected = [
        int(each.id)
        for each in butler.query_dimension_records("exposure", limit=None, order_by="exposure")
        if each.day_obs in wanted
    ]
    butler.collections.register("LATISS/calib/none", CollectionType.CALIBRATION)
    result = run(repo, tmp_path, "--collections", "LATISS/calib/none", "--json", "-", *options)
    assert json.loads(result.stdout)["exposures"] == expected != []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--repo", "/nowhere"], 1, "/nowhere: could not look at exposures and their calibrations"),
        (["--collections", "LATISS/calibs"], 2, "has no collection of that name. It has, for LATISS:"),
        (["--collections", ","], 2, "names no collection"),
        (["--where", "exposure.nights = 3"], 2, "is not an expression that the Butler can use"),
        (["--where", "(("], 2, "is not an expression that the Butler can use"),
        (["--from", "yesterday"], 2, "--from yesterday: is not a date; write, for example, 2026-11-25"),
        (["--from", "2022-01-03", "--to", "2022-01-01"], 2, "--from 2022-01-03 is after --to 2022-01-01"),
        (["--nights", "1", "--to", "2022-01-01"], 2, "write one or the other"),
        (["--from", "2023-01-01"], 2, "has none of these exposures of LATISS"),
        (["--instrument", "LATIS"], 2, "--instrument LATIS: unknown"),
        (["--policy", "nowhere.yaml"], 2, "nowhere.yaml: cannot be read"),
        (["--json", "/nowhere/due.json"], 1, "--json /nowhere/due.json: cannot be written"),
        (["--html", "/nowhere/due.html"], 1, "--html /nowhere/due.html: cannot be written"),
    ],
)
def test_what_cannot_be_used_is_said_without_a_traceback(
    repo: Path, butler: Butler, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    butler.collections.register(CHAIN, CollectionType.CALIBRATION)
    result = due("--repo", repo, "--journals", tmp_path, *options)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split()) and "Traceback" not in result.output


def test_a_policy_that_is_wrong_is_named(repo: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("bais: 3")
    result = run(repo, tmp_path, "--policy", policy)
    assert (result.exit_code, result.stderr) == (2, f"--policy {policy}: bais: unknown; did you mean bias?\n")


def test_the_runs_of_the_journal_folder_say_who_certified_it(
    calibrated: tuple[Path, Butler], tmp_path: Path
) -> None:
    repo, butler = calibrated
    ids = tuple(str(ref.id) for ref in refs_of(butler, "bias", RUNS[0]) if ref.dataId["detector"] == 0)
    proof = dataclasses.replace(
        PROOF,
        certification=Certification("bias", "u/ocps/made0", f"{DAILY}/old", "1950-01-01", "2050-01-01"),
        datasets=tuple(ProductRecord(each, 0, None, RUNS[0]) for each in ids),
    )
    certified = StageResult(StageId(StageKind.CERTIFY, proof.subject), Outcome.CERTIFIED)
    journals = tmp_path / "journals"
    journals.mkdir()
    # Given a run that certified it, and others, of which one is damaged.
    for number, proofs in enumerate([(proof,), (), ()]):
        run_id = f"20220101T00000{number}-1"
        record = RunRecord(
            run_id,
            {"program": "BLOCK-7"},
            RunState.DONE,
            stages=(certified,),
            certifications=tuple(each.certification for each in proofs),
        )
        (journals / f"{run_id}.journal.json").write_text(json.dumps(to_json(record)))
        (journals / f"{run_id}.json").write_text(
            write_document(RunDocument(RunReport(RunState.DONE, run_id=run_id, proofs=proofs)))
        )
    (journals / "20220101T000002-1.journal.json").write_text("{")
    result = run(repo, tmp_path, "--nights", 1)
    text = " ".join(result.stdout.split())
    assert "verdict: passed, 0 of 2 exposures failed; certified: run 20220101T000000-1 (BLOCK-7)" in text
    # And the same if the folder is another user's, who has no index there.
    (journals / "runs.sqlite3").unlink()
    (journals / "runs.sqlite3").mkdir()
    again = run(repo, tmp_path, "--nights", 1)
    assert " ".join(again.stdout.split()) == text


async def test_the_newest_flats_say_how_long_flats_have_to_be(calibrated: tuple[Path, Butler]) -> None:
    repo, butler = calibrated
    template = exposure(0, random.Random(1)) | {"timespan": None}  # noqa: S311 - the same ones each time

    def take(day: int, kind: str, physical_filter: str, *times: float | None) -> None:
        first = 100 + butler.query_dimension_records("exposure", limit=None).__len__()
        rows = [
            template
            | {
                "id": (20220101 + day) * 100_000 + first + i,
                "obs_id": f"{day} {first + i}",
                "day_obs": 20220101 + day,
                "observation_type": kind,
                "physical_filter": physical_filter,
                "exposure_time": time,
            }
            for i, time in enumerate(times)
        ]
        butler.registry.insertDimensionData("exposure", *rows)

    of_sets, of_ramps = FILTERS[:2]
    # Given an older set, two trial flats and a set, and what is no flat
    take(0, "flat", of_sets, *[30.0] * 20)
    take(1, "flat", of_sets, 1.0, 4.1, *[4.0] * 5)
    take(2, "science", of_sets, *[600.0] * 20)
    # and a ramp, through another filter
    take(1, "flat", of_ramps, 1.0, 1.0, 2.0, 2.0, 3.0, None)
    found = await flat_times(str(repo), "LATISS", [of_sets, of_ramps, "nothing"])
    assert found == {of_sets: 4.0}


def test_frames_that_runs_have_noted_as_spoilt_are_named(
    calibrated: tuple[Path, Butler], tmp_path: Path
) -> None:
    repo, butler = calibrated
    known = sorted(int(record.id) for record in butler.query_dimension_records("exposure", limit=None))
    judgement = SeriesJudgement(
        Subject(Product.DARK),
        tuple(known),
        tuple(Mark(i, MarkKind.LIGHT_LEAK, "0.5 ADU/s") for i in (known[0], known[-1])),
    )
    run_id = "20220101T000000-1"
    (tmp_path / "journals").mkdir()
    FileJournal(tmp_path / "journals", run_id).write(
        RunRecord(run_id, {}, RunState.DONE, judgements=(judgement,), instrument="LATISS")
    )
    # Of the nights that are meant, and not of the others
    text = " ".join(run(repo, tmp_path, "--nights", 1).stdout.split())
    assert f"1 of the exposures is known to be spoilt: {known[-1]} LIGHT_LEAK: 0.5 ADU/s" in text
    assert f"(noted by run {run_id})" in text and str(known[0]) not in text.partition("spoilt:")[2]
    # Of another camera nothing is known
    assert "spoilt" not in due("--repo", repo, "--journals", tmp_path / "none", "--nights", 1).stdout


def test_flats_whose_times_cannot_be_read_are_proposed_with_the_default(
    calibrated: tuple[Path, Butler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*args: object) -> None:
        raise ObservatoryError("the repository did not answer within 30 s")

    monkeypatch.setattr("lsst.ts.calibrationscripts.butler.due.flat_times", hang)
    (policy := tmp_path / "policy.yaml").write_text("ignore: [ptc, defects]\n")
    result = run(calibrated[0], tmp_path, "--nights", 1, "--policy", policy)
    assert result.exit_code == 3
    assert "with the default exposure time: the repository did not answer" in result.stderr
    comments = " ".join(result.stdout.replace("#", "").split())
    assert "have to be is not known: theirs is the default" in comments
