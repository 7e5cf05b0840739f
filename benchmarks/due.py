# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ``calibscripts due`` takes for many exposures of a large camera.

It makes a repository that has records of exposures and calibrations, but no
file of either: exposures of ten nights, and calibrations of each detector that
were certified each night, beside those for all times.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan
from lsst.ts.calibrationscripts.butler.due import Nights, made_at, read_due
from lsst.ts.calibrationscripts.due import PRODUCTS, Policy, State, find, judge
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS

CAMERA = INSTRUMENTS["LSSTCam"]
FILTERS = ("u_24", "g_6", "r_57", "i_39", "z_20", "y_10")
N_NIGHTS = 10
FIRST = Time("2026-11-01T12:00:00", scale="tai")
DAILY, OFFICIAL = f"{CAMERA.calib_collection}/daily", f"{CAMERA.calib_collection}/official"


def make_repository(root: Path, n_exposures: int, n_detectors: int) -> None:
    """Make a repository without any file of data."""
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        largest = {"detector_max": 300, "visit_max": 10**13, "exposure_max": 10**13}
        insert("instrument", {"name": CAMERA.name, "class_name": "none", "visit_system": 0, **largest})
        detectors = CAMERA.detectors[:n_detectors]
        insert(
            "detector",
            *({"instrument": CAMERA.name, "id": each.id, "full_name": each.name} for each in detectors),
        )
        insert(
            "physical_filter",
            *({"instrument": CAMERA.name, "name": name, "band": name[0]} for name in FILTERS),
        )
        insert("group", {"instrument": CAMERA.name, "name": "all"})
        insert("day_obs", *({"instrument": CAMERA.name, "id": 20261101 + night} for night in range(N_NIGHTS)))
        insert("exposure", *(exposure(number, n_exposures) for number in range(n_exposures)))
        for name in (DAILY, OFFICIAL):
            butler.collections.register(name, CollectionType.CALIBRATION)
        butler.collections.register(CAMERA.calib_collection, CollectionType.CHAINED)
        butler.collections.redefine_chain(CAMERA.calib_collection, [DAILY, OFFICIAL])
        units = [{"instrument": CAMERA.name, "detector": each.id} for each in detectors]
        for dataset_type in PRODUCTS:
            certify(butler, dataset_type, units)


def exposure(number: int, n_exposures: int) -> dict[str, object]:
    night, place = divmod(number * N_NIGHTS, n_exposures)
    begin = FIRST + TimeDelta(night * 86_400 + 43_200 + 40 * place / N_NIGHTS, format="sec")
    return {
        "instrument": CAMERA.name,
        "id": (20261101 + night) * 100_000 + number,
        "obs_id": str(number),
        "physical_filter": FILTERS[number % len(FILTERS)],
        "day_obs": 20261101 + night,
        "observation_type": "science",
        "group": "all",
        "timespan": Timespan(begin, begin + TimeDelta(30, format="sec")),
    }


def certify(butler: Butler, name: str, units: list[dict[str, object]]) -> None:
    """Make datasets of a type, and certify them for all times and nightly."""
    dimensions = {"instrument", "detector"} | ({"physical_filter"} if name == "flat" else set())
    dataset_type = DatasetType(
        name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=True
    )
    butler.registry.registerDatasetType(dataset_type)
    if name == "flat":
        units = [unit | {"physical_filter": each} for unit, each in itertools.product(units, FILTERS)]
    for number in range(N_NIGHTS + 1):
        run = f"u/ocps/{name}{number}"
        butler.collections.register(run)
        refs = butler.registry.insertDatasets(dataset_type, units, run=run)
        if number == N_NIGHTS:
            butler.registry.certify(OFFICIAL, refs, Timespan(None, None))
            continue
        begin = FIRST + TimeDelta(number * 86_400, format="sec")
        # One detector in ten was left out that night.
        refs = [ref for i, ref in enumerate(refs) if i % 10 != number]
        butler.registry.certify(DAILY, refs, Timespan(begin, begin + TimeDelta(86_400, format="sec")))


async def look(root: Path) -> None:
    policy = Policy()
    begin = time.perf_counter()
    exposures, stock = await read_due(
        str(root), CAMERA.name, Nights(), (CAMERA.calib_collection,), policy.dataset_types, DAILY
    )
    has_read = time.perf_counter()
    findings = find(stock, exposures, sorted({each.id for each in CAMERA.detectors}), policy, 0)
    has_found = time.perf_counter()
    runs = {(each.dataset_type, each.run) for each in findings if each.state is State.FOUND}
    judge(findings, await made_at(str(root), runs), (), policy)
    end = time.perf_counter()
    n = sum(len(each.exposures) * len(each.detectors) for each in findings)
    print(
        f"{n} look-ups of {len(exposures)} exposures: {end - begin:.1f} s (reading {has_read - begin:.1f} s, "
        f"looking up {has_found - has_read:.1f} s, ages {end - has_found:.1f} s), {len(findings)} findings"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exposures", type=int, default=1000)
    parser.add_argument("--detectors", type=int, default=len(CAMERA.detectors))
    parser.add_argument("--repo", type=Path, help="keep the repository here, or use the one that is there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = args.repo or Path(folder) / "repo"
        if not root.exists():
            begin = time.perf_counter()
            make_repository(root, args.exposures, args.detectors)
            print(f"repository made in {time.perf_counter() - begin:.1f} s")
        for _ in range(3):
            begin = time.process_time()
            asyncio.run(look(root))
            print(f"    {time.process_time() - begin:.1f} s of one processor")
