# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certification that is undone leaves the repository as it was before it.

On real Butler repositories: on SQLite and, where it is quick, PostgreSQL.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, Config, DatasetRef, DatasetType, Timespan
from lsst.ts.calibrationscripts.butler.decertifying import decertify, read_reach
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.decertification import Reach, RefusedError, Undo, reach_text
from lsst.ts.calibrationscripts.instruments import LATISS, Detector
from lsst.ts.calibrationscripts.outcomes import Certification
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from lsst.ts.calibrationscripts.proof import Proof
from lsst.ts.calibrationscripts.record import JobRecord
from postgres import Database, wait_until

N_HISTORIES = int(os.environ.get("CALIBSCRIPTS_HISTORIES", "50"))
BATCH = 100
"""Histories that are certified, and undone, by one call."""

N_LOOKED_UP = 8
"""Histories of each batch that the Butler itself looks through."""

N_REACHES = 16
"""Histories of each batch whose reach is compared with what is found."""

CAMERA = dataclasses.replace(LATISS, detectors=tuple(Detector(i, f"R00_S0{i}") for i in range(3)))
DETECTORS = (0, 1, 2)
FILTERS = ("SDSSr_65mm~empty", "SDSSg_65mm~empty")
N_DAYS = 12
"""Days of exposures, and the unit of validity ranges."""

TYPES = {
    "bias": {"instrument", "detector"},
    "dark": {"instrument", "detector"},
    "defects": {"instrument", "detector"},
    "flat": {"instrument", "detector", "physical_filter"},
}
RUNS = tuple(f"u/ocps/other{i}" for i in range(4))
OURS = {f"u/ocps/ours{''.join(map(str, ids))}": ids for ids in ((0,), (0, 1), (1, 2), DETECTORS)}
"""RUN collections of runs that certify, and the detectors that they made."""

Row = tuple[str, str, int, str, int, int, str]
"""Collection, type, detector, filter, beginning, end (day), and RUN."""

JOB = JobRecord(
    StageId(StageKind.GENERATE, Subject(Product.BIAS)),
    "5e1ec7ed",
    JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", DETECTORS, (2022010100000,)),
)


def day(number: int) -> str:
    return f"2022-01-{1 + number:02d}"


def span(begin: int, end: int) -> Timespan:
    return Timespan(Time(day(begin), scale="tai"), Time(day(end), scale="tai"))


FIRST_NS = span(0, 1).nsec[0]
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory, database: Database | None) -> Path:
    """Make a repository of three detectors, with two exposures a day."""
    root = tmp_path_factory.mktemp("repository") / "repo"
    config = Config()
    if database is not None:
        config["registry", "db"] = database.url
    Butler.makeRepo(str(root), config=config)
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        insert(
            "instrument",
            {
                "name": "LATISS",
                "class_name": "none",
                "detector_max": 10,
                "visit_max": 10**13,
                "exposure_max": 10**13,
                "visit_system": 0,
            },
        )
        for detector in CAMERA.detectors:
            insert("detector", {"instrument": "LATISS", "id": detector.id, "full_name": detector.name})
        for name in FILTERS:
            insert("physical_filter", {"instrument": "LATISS", "name": name, "band": "r"})
        insert("day_obs", {"instrument": "LATISS", "id": 20220101})
        insert("group", {"instrument": "LATISS", "name": "all"})
        for number, name in itertools.product(range(N_DAYS), FILTERS):
            insert("exposure", exposure(number, name))
        for name, dimensions in TYPES.items():
            dataset_type = DatasetType(
                name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=True
            )
            butler.registry.registerDatasetType(dataset_type)
            for run, detectors in (*((run, DETECTORS) for run in RUNS), *OURS.items()):
                butler.collections.register(run)
                butler.registry.insertDatasets(dataset_type, data_ids(name, detectors), run=run)
    return root


def exposure(number: int, physical_filter: str) -> dict[str, object]:
    i = FILTERS.index(physical_filter)
    return {
        "instrument": "LATISS",
        "id": 20220101_00000 + 10 * number + i,
        "obs_id": f"{number}.{i}",
        "physical_filter": physical_filter,
        "day_obs": 20220101,
        "group": "all",
        "timespan": Timespan(
            Time(f"{day(number)}T12:00:{i}0", scale="tai"), Time(f"{day(number)}T12:00:{i}5", scale="tai")
        ),
    }


def data_ids(dataset_type: str, detectors: Iterable[int]) -> list[dict[str, object]]:
    units = [{"instrument": "LATISS", "detector": detector} for detector in detectors]
    if dataset_type != "flat":
        return units
    return [unit | {"physical_filter": name} for unit in units for name in FILTERS]


@pytest.fixture
def butler(repo: Path) -> Iterator[Butler]:
    with Butler.from_config(str(repo), writeable=True) as butler:
        yield butler


@pytest.fixture
def daily(butler: Butler) -> str:
    """Return a CALIBRATION collection of the test's own."""
    name = f"LATISS/calib/daily/{uuid.uuid4().hex}"
    butler.collections.register(name, CollectionType.CALIBRATION)
    return name


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def refs_of(butler: Butler, dataset_type: str, run: str) -> list[DatasetRef]:
    return butler.query_datasets(dataset_type, collections=run, find_first=False)


def of_ours(
    butler: Butler, collection: str, dataset_type: str = "bias", begin: int = 2, end: int = 8, run: str = ""
) -> Undo:
    """Return what undoes a certification of a run."""
    source = run or list(OURS)[-1]
    certification = Certification(dataset_type, source, collection, day(begin), day(end))
    ids = tuple(str(ref.id) for ref in refs_of(butler, dataset_type, source))
    return Undo(Subject(Product(dataset_type.upper())), certification, ids)


async def certify(repo: Path, undos: Sequence[Undo]) -> None:
    """Certify as a run does."""
    repository = ButlerRepository(str(repo), CAMERA, DETECTORS)
    made = {
        key: await repository.products(*key)
        for key in {(undo.certification.dataset_type, undo.certification.source) for undo in undos}
    }
    proofs = []
    for undo in undos:
        each = undo.certification
        datasets = made[each.dataset_type, each.source]
        proofs.append(Proof(undo.subject, each, datasets, (), JOB, None, ()))
    await repository.certify(*proofs)


def rows(butler: Butler, collections: Iterable[str]) -> set[Row]:
    """Return what collections hold, and from when to when."""
    found: set[Row] = set()
    for dataset_type in TYPES:
        for each in butler.registry.queryDatasetAssociations(dataset_type, collections=list(collections)):
            begin, end = (0, N_DAYS)
            if each.timespan is not None:
                begin, end = ((time - FIRST_NS) // DAY_NS for time in each.timespan.nsec)
            data_id = each.ref.dataId
            unit = (int(data_id["detector"]), str(data_id.get("physical_filter") or ""))
            found.add((each.collection, dataset_type, *unit, begin, end, each.ref.run))
    return found


Finding = dict[tuple[str, str, int, str, int], str]
"""RUN of what is found, by collection, type, detector, filter and day."""


def findings(chains: Mapping[str, Sequence[str]], held: set[Row]) -> Finding:
    """Return what every look-up finds."""
    by_collection: dict[str, list[Row]] = {}
    for row in held:
        by_collection.setdefault(row[0], []).append(row)
    found: Finding = {}
    for chain, members in chains.items():
        for member in members:
            for _, dataset_type, detector, name, begin, end, run in by_collection.get(member, ()):
                for number in range(max(begin, 0), min(end, N_DAYS)):
                    found.setdefault((chain, dataset_type, detector, name, number), run)
    return found


Refs = Mapping[tuple[str, str], list[DatasetRef]]
"""All datasets, by type and RUN collection."""


def looked_up(butler: Butler, collections: Iterable[str], dataset_type: str, refs: Refs) -> Finding:
    """Return what the Butler finds for every exposure."""
    runs = {ref.id: ref.run for same in refs.values() for ref in same}
    found: Finding = {}
    for collection in collections:
        with butler.query() as query:
            query = query.join_dimensions(["exposure", "detector"])
            query = query.join_dataset_search(dataset_type, [collection]).where(instrument="LATISS")
            result = query.general(
                ["exposure", *TYPES[dataset_type]],
                dataset_fields={dataset_type: {"dataset_id"}},
                find_first=True,
            )
            for row in result.iter_tuples():
                name = str(row.data_id["physical_filter"]) if dataset_type == "flat" else ""
                unit = (int(row.data_id["detector"]), name, int(row.data_id["exposure"]) % 100_000 // 10)
                found[collection, dataset_type, *unit] = runs[row.raw_row[f"{dataset_type}.dataset_id"]]
    return found


class History:
    """A random history of certifications of a type, around one that is undone.

    Those of the other types are in the same collections.
    """

    def __init__(self, butler: Butler, number: int, refs: Refs) -> None:
        self._butler = butler
        self._refs = refs
        self._random = random.Random(number)  # noqa: S311 - the same ones each time
        self.model: set[Row] = set()
        """What the collections hold but for ours."""

        place, which = divmod(number, len(TYPES))
        self.dataset_type = dataset_type = list(TYPES)[which]
        name = f"h/{place}"
        self.own, self.other = f"{name}/own", f"{name}/other"
        self.chains = self._chains(name, random.Random(place))  # noqa: S311 - likewise
        if which == 0:
            self._make_collections(name)
        self.begin = self._random.randrange(0, N_DAYS - 1)
        self.end = self._random.randrange(self.begin + 1, N_DAYS + 1)
        run = self._random.choice(list(OURS))
        certification = Certification(dataset_type, run, self.own, day(self.begin), day(self.end))
        ids = tuple(str(ref.id) for ref in refs[dataset_type, run])
        self.undo = Undo(Subject(Product(dataset_type.upper())), certification, ids)
        self.detectors = OURS[run]

    def _chains(self, name: str, place: random.Random) -> dict[str, tuple[str, ...]]:
        """Return what is searched through each collection, in any order."""
        inner = [self.own, place.choice([self.other, RUNS[0]])]
        outer = [f"{name}/inner", self.other, RUNS[3]]
        for members in (inner, outer):
            place.shuffle(members)
        self._links = {f"{name}/inner": inner, f"{name}/outer": outer}
        flat = [each for member in outer for each in self._links.get(member, [member])]
        return {
            self.own: (self.own,),
            self.other: (self.other,),
            f"{name}/inner": tuple(inner),
            f"{name}/outer": tuple(dict.fromkeys(flat)),
        }

    def _make_collections(self, name: str) -> None:
        for each in (self.own, self.other):
            self._butler.collections.register(each, CollectionType.CALIBRATION)
        for chain, members in self._links.items():
            self._butler.collections.register(chain, CollectionType.CHAINED)
            self._butler.collections.redefine_chain(chain, members)

    def held(self, held: set[Row]) -> set[Row]:
        """Return which rows this history is about."""
        return {row for row in held if row[0] in self.members and row[1] == self.dataset_type}

    @property
    def members(self) -> set[str]:
        return {member for members in self.chains.values() for member in members}

    def happen(self, n_events: int) -> None:
        """Let others certify and split, but leave alone what is ours."""
        for _ in range(n_events):
            begin = self._random.choice([self.end, self._random.randrange(0, N_DAYS)]) % N_DAYS
            end = self._random.choice([self.begin, begin + self._random.randrange(1, N_DAYS)])
            end = min(end if end > begin else begin + 1, N_DAYS)
            collection = self._random.choice([self.own, self.own, self.other])
            detectors = self._random.sample(DETECTORS, self._random.randrange(1, 4))
            if collection == self.own and begin < self.end and self.begin < end:
                detectors = [detector for detector in detectors if detector not in self.detectors]
            if detectors:
                split = self._random.random() < 0.25
                (self._split if split else self._certify)(collection, detectors, begin, end)

    def _certify(self, collection: str, detectors: Sequence[int], begin: int, end: int) -> None:
        dataset_type = self.dataset_type
        run = self._random.choice(RUNS)
        refs = [ref for ref in self._refs[dataset_type, run] if ref.dataId["detector"] in detectors]
        new = {
            (collection, dataset_type, *unit_of(ref), begin, end, run)
            for ref in refs
            if not any(
                row[:4] == (collection, dataset_type, *unit_of(ref)) and row[4] < end and begin < row[5]
                for row in self.model
            )
        }
        free = {row[2:4] for row in new}
        refs = [ref for ref in refs if unit_of(ref) in free]
        if refs:
            self._butler.registry.certify(collection, refs, span(begin, end))
            self.model |= new

    def _split(self, collection: str, detectors: Sequence[int], begin: int, end: int) -> None:
        dataset_type = self.dataset_type
        hit = {
            row
            for row in self.model
            if row[0] == collection and row[2] in detectors and row[4] < end and begin < row[5]
        }
        if not hit:
            return
        self._butler.registry.decertify(
            collection, dataset_type, span(begin, end), dataIds=data_ids(dataset_type, detectors)
        )
        self.model -= hit
        for *head, b, e, run in hit:
            pieces = ((b, min(e, begin)), (max(b, end), e))
            self.model |= {(*head, x, y, run) for x, y in pieces if x < y}  # type: ignore[misc]


def unit_of(ref: DatasetRef) -> tuple[int, str]:
    return int(ref.dataId["detector"]), str(ref.dataId.get("physical_filter") or "")


@on_sqlite
@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_after_it_every_look_up_is_as_before(butler: Butler, repo: Path) -> None:
    refs = {(name, run): refs_of(butler, name, run) for name in TYPES for run in (*RUNS, *OURS)}
    standard = rows(butler, RUNS)
    numbers = iter(range(N_HISTORIES))
    while batch := [History(butler, number, refs) for number in itertools.islice(numbers, BATCH)]:
        everywhere = {member for history in batch for member in history.members}

        def all_rows(everywhere: set[str] = everywhere) -> set[Row]:
            return rows(butler, everywhere) - standard

        def modelled(batch: list[History] = batch) -> set[Row]:
            return set().union(*(history.model for history in batch))

        # Given what others have certified and split, in several collections.
        for history in batch:
            history.happen(3)
        before = all_rows()
        assert before == modelled()
        some = batch[:N_LOOKED_UP]
        seen = [looked_up(butler, history.chains, history.dataset_type, refs) for history in some]
        # When each of the runs certifies, and others continue.
        await certify(repo, [history.undo for history in batch])
        assert len(all_rows()) > len(before)
        for history in batch[N_LOOKED_UP::2]:
            history.happen(1)
        reaches = await read_reach(str(repo), [history.undo for history in batch[:N_REACHES]])
        with_ours = all_rows() | standard
        # And what they have certified is undone.
        assert await decertify(str(repo), [history.undo for history in batch]) == frozenset()
        # Then nothing differs from a history without them.
        after = all_rows()
        assert after == modelled()
        for history in batch[N_LOOKED_UP + 1 :: 2]:
            assert history.held(after) == history.held(before)
        # And neither does any look-up of the Butler.
        for history, finding in zip(some, seen, strict=True):
            assert looked_up(butler, history.chains, history.dataset_type, refs) == finding
            assert findings(history.chains, history.held(after | standard)) == finding
        # And what was announced is what is found.
        for history, reach in zip(batch[:N_REACHES], reaches, strict=True):
            found = findings(history.chains, history.held(with_ours))
            assert announced(reach, found) == findings(history.chains, history.held(after | standard))


def announced(reach: Reach, found: Finding) -> Finding:
    """Return what is found once a certification is undone, as announced."""
    dataset_type = reach.undo.certification.dataset_type
    expected = dict(found)
    collections = [name for route in reach.routes for name in route.collections]
    assert len(collections) == len(set(collections)) and reach.undo.certification.collection in collections
    for route in reach.routes:
        for name, instead in itertools.product(route.collections, route.instead):
            begin, end = ((time - FIRST_NS) // DAY_NS for time in (instead.begin, instead.end))
            per_day = 1 if instead.physical_filter else len(FILTERS)
            assert instead.exposures.count == per_day * (end - begin)
            for detector, number in itertools.product(instead.detectors, range(begin, end)):
                key = (name, dataset_type, detector, instead.physical_filter or "", number)
                assert found[key] == reach.undo.certification.source
                expected.pop(key)
                if instead.run is not None:
                    expected[key] = instead.run
    return expected


# Refused, with what exists instead


@pytest.mark.parametrize("what", ["split", "shortened", "one detector", "superseded", "moved"])
async def test_what_others_have_changed_is_refused(butler: Butler, repo: Path, daily: str, what: str) -> None:
    bias, flat = of_ours(butler, daily), of_ours(butler, daily, "flat")
    await certify(repo, [bias, flat])
    # Given others that have changed the bias by hand.
    registry, own = butler.registry, data_ids("bias", DETECTORS)
    others = refs_of(butler, "bias", RUNS[0])
    match what:
        case "split":
            registry.decertify(daily, "bias", span(4, 5), dataIds=own)
        case "shortened":
            registry.decertify(daily, "bias", span(7, 11), dataIds=own)
        case "one detector":
            registry.decertify(daily, "bias", span(0, 11), dataIds=own[:1])
        case "superseded":
            registry.decertify(daily, "bias", span(4, 5), dataIds=own[1:])
            registry.certify(daily, [ref for ref in others if ref.dataId["detector"]], span(4, 5))
        case "moved":
            registry.decertify(daily, "bias", span(2, 8), dataIds=own)
            registry.certify(daily, refs_of(butler, "bias", bias.certification.source), span(2, 9))
    before = rows(butler, [daily])
    # When both are to be undone.
    with pytest.raises(RefusedError) as refusal:
        await decertify(str(repo), [flat, bias])
    # Then neither is, and it is said what exists.
    assert rows(butler, [daily]) == before
    ranges = {
        "split": "2022-01-03T00:00:00 to 2022-01-05T00:00:00 its own and 2022-01-06T00:00:00 to",
        "shortened": "detector 0-2 has 2022-01-03T00:00:00 to 2022-01-08T00:00:00 its own",
        "one detector": "detector 0 has none; detector 1-2 has",
        "superseded": f"2022-01-05T00:00:00 to 2022-01-06T00:00:00 that of {RUNS[0]}",
        "moved": "2022-01-03T00:00:00 to 2022-01-10T00:00:00 its own",
    }
    assert ranges[what] in str(refusal.value) and f"BIAS: the bias in {daily}" in str(refusal.value)
    reach = (await read_reach(str(repo), [bias]))[0]
    assert reach.standing.problem == str(refusal.value)
    assert "Nothing is undone" in " ".join(reach_text(reach).split())


async def test_what_is_not_certified_any_more_is_no_failure(butler: Butler, repo: Path, daily: str) -> None:
    bias, flat = of_ours(butler, daily), of_ours(butler, daily, "flat")
    await certify(repo, [bias, flat])
    assert await decertify(str(repo), [bias]) == frozenset()
    # A second time, with another beside it that is still certified.
    assert await decertify(str(repo), [bias, flat]) == {bias}
    assert rows(butler, [daily]) == set()
    reach = (await read_reach(str(repo), [bias]))[0]
    assert reach.standing.gone and "not certified any more" in reach_text(reach)
    # And in a collection that has been removed.
    butler.collections.x_remove(daily)
    assert await decertify(str(repo), [bias, flat]) == {bias, flat}


async def test_detectors_and_filters_that_are_not_the_runs_stay(
    butler: Butler, repo: Path, daily: str
) -> None:
    # Given another run's calibrations of the other detectors, in that time.
    others = [ref for name in TYPES for ref in refs_of(butler, name, RUNS[1]) if ref.dataId["detector"] == 2]
    butler.registry.certify(daily, others, span(1, 11))
    before = rows(butler, [daily])
    run = next(run for run, ids in OURS.items() if ids == (0, 1))
    undos = [of_ours(butler, daily, name, run=run) for name in TYPES]
    await certify(repo, undos)
    await decertify(str(repo), undos)
    assert rows(butler, [daily]) == before


async def test_what_others_have_certified_of_the_same_datasets_stays(
    butler: Butler, repo: Path, daily: str
) -> None:
    # Given datasets of a run that are certified by hand for later times too.
    bias = of_ours(butler, daily)
    butler.registry.certify(daily, refs_of(butler, "bias", bias.certification.source), span(8, 9))
    before = rows(butler, [daily])
    await certify(repo, [bias])
    assert await decertify(str(repo), [bias]) == frozenset()
    assert rows(butler, [daily]) == before


async def test_a_proof_of_datasets_that_are_not_the_runs_is_refused(
    butler: Butler, repo: Path, daily: str
) -> None:
    bias = of_ours(butler, daily)
    await certify(repo, [bias])
    foreign = dataclasses.replace(bias, datasets=of_ours(butler, daily, run=RUNS[0]).datasets)
    before = rows(butler, [daily])
    for undoing in (decertify, read_reach):
        with pytest.raises(ObservatoryError, match=f"names a bias of {RUNS[0]}, which is not"):
            await undoing(str(repo), [foreign])
    assert rows(butler, [daily]) == before


async def test_without_a_proof_it_is_what_the_job_has_made(butler: Butler, repo: Path, daily: str) -> None:
    bias = dataclasses.replace(of_ours(butler, daily), datasets=())
    await certify(repo, [bias])
    assert await decertify(str(repo), [bias]) == frozenset()
    assert rows(butler, [daily]) == set()
    lost = dataclasses.replace(bias, certification=dataclasses.replace(bias.certification, source="u/none"))
    with pytest.raises(ObservatoryError, match="u/none does not exist any more"):
        await decertify(str(repo), [lost])


@on_sqlite
async def test_an_undoing_without_effect_is_an_error(
    butler: Butler, repo: Path, daily: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = of_ours(butler, daily)
    await certify(repo, [bias])
    monkeypatch.setattr(type(butler.registry), "decertify", lambda *args, **kwargs: None)
    with pytest.raises(ObservatoryError, match="was decertified but can still be found"):
        await decertify(str(repo), [bias])


@on_postgresql
async def test_what_changes_while_it_waits_for_a_lock_is_seen(
    butler: Butler, repo: Path, daily: str, database: Database
) -> None:
    # Given a bias whose undoing waits for a transaction of another.
    bias = of_ours(butler, daily)
    await certify(repo, [bias])
    with butler.transaction():
        butler.registry.decertify(daily, "bias", span(2, 8), dataIds=data_ids("bias", DETECTORS))
        undoing = asyncio.create_task(decertify(str(repo), [bias]))
        await asyncio.to_thread(wait_until, lambda: database.n_waiting() == 1, "it waits")
        # When that one puts its own in the place.
        butler.registry.certify(daily, refs_of(butler, "bias", RUNS[2]), span(3, 7))
    # Then that one stays.
    assert await undoing == {bias}
    assert {row[-1] for row in rows(butler, [daily])} == {RUNS[2]}


@on_postgresql
async def test_what_was_given_up_is_not_undone_later(
    butler: Butler, repo: Path, daily: str, database: Database
) -> None:
    bias = of_ours(butler, daily)
    await certify(repo, [bias])
    before = rows(butler, [daily])
    tables = database.tables("dataset_calibs_%")
    with database.locked(*tables):
        with pytest.raises(ObservatoryError, match=r"within 2 s.*give the command again"):
            await decertify(str(repo), [bias], timeout=2.0)
        await asyncio.to_thread(wait_until, lambda: database.n_waiting() >= 1, "it still waits")
    await asyncio.to_thread(wait_until, lambda: database.n_waiting() == 0, "the lock is free")
    assert rows(butler, [daily]) == before
