# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due is what the Butler's own look-ups say, on a real repository."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time, TimeDelta
from lsst.daf.butler import (
    Butler,
    CalibrationLookupError,
    CollectionType,
    DatasetRef,
    DatasetType,
    DimensionRecord,
    Timespan,
)
from lsst.ts.calibrationscripts.butler.due import Nights, read_due
from lsst.ts.calibrationscripts.due import PRODUCTS, Policy, State, find

N_HISTORIES = int(os.environ.get("CALIBSCRIPTS_LOOKUPS", "60"))

DETECTORS = (0, 1, 2)
FILTERS = ("SDSSr_65mm~empty", "SDSSg_65mm~empty")
TYPES = {
    name: {"instrument", "detector"} | ({"physical_filter"} if name == "flat" else set()) for name in PRODUCTS
}
N_DAYS = 10
"""Days of exposures, and the unit of validity ranges."""

RUNS = tuple(f"u/ocps/made{i}/run" for i in range(4))

LENGTHS = (0, 30, 86_400, 3 * 86_400)
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


def make_repository(root: Path) -> None:
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
        insert("exposure", *(exposure(number, chance) for number in range(30)))
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


class History:
    """Random certifications into several collections of a chain.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    number : `int`
        Which history.
    """

    def __init__(self, butler: Butler, number: int) -> None:
        self._butler = butler
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
        refs = refs_of(self._butler, "dark", RUNS[1])
        self._butler.registry.associate(name, self.chance.sample(refs, 2))
        return name

    def happen(self, dataset_type: str) -> None:
        """Certify and decertify at random; what is in conflict is not done."""
        taken: set[tuple[str, object, int]] = set()
        for _ in range(self.chance.randrange(9)):
            begin = self.chance.randrange(-1, N_DAYS)
            end = min(begin + self.chance.choice([1, 1, 2, 3, 2 * N_DAYS]), N_DAYS + 1)
            days = range(begin, end)
            collection = self.chance.choice(self.calibrations[:2] + self.calibrations)
            instrument = "Other" if self.chance.random() < 0.1 else "LATISS"
            refs = refs_of(self._butler, dataset_type, self.chance.choice(RUNS), instrument)
            refs = [
                ref
                for ref in self.chance.sample(refs, self.chance.randrange(1, len(refs) + 1))
                if not any((collection, ref.dataId, day) in taken for day in days)
            ]
            times = span(None if begin < 0 else begin, None if end > N_DAYS else end)
            if refs:
                self._butler.registry.certify(collection, refs, times)
                taken |= {(collection, ref.dataId, day) for ref in refs for day in days}
        if taken and self.chance.random() < 0.3:
            # A range becomes two.
            day = self.chance.randrange(N_DAYS)
            collection = self.chance.choice(sorted({collection for collection, _, _ in taken}))
            self._butler.registry.decertify(collection, dataset_type, span(day, day + 1))


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
    counts = {"found": 0, "nothing": 0, "ambiguous": 0}
    for number in range(N_HISTORIES):
        # Given calibrations that were certified at random.
        history = History(butler, number)
        dataset_type = list(TYPES)[number % len(TYPES)]
        history.happen(dataset_type)
        some = {int(each.id): each for each in history.chance.sample(records, 5)}
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
