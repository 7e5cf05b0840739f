# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera of two detectors on SAL: one image, two files, two events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from leaks import no_tasks_left
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LATISS as ATCAM
from lsst.ts.calibrationscripts.observatory.sal import LATISS, salobj
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.observatory import (
    SimulatedObservatory,
    SimulationSettings,
    WorkFolderError,
)
from made_up_camera import DUO

from .conftest import DAY_OBS, SCALE, NoRunner

TIMEOUT = 60.0
SETTINGS = SimulationSettings(scale=SCALE)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def duo(
    module_topics: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedObservatory]:
    folder = tmp_path_factory.mktemp("duo")
    observatory = SimulatedObservatory(folder, instrument=DUO, settings=SETTINGS, day_obs=DAY_OBS)
    observatory.runner = NoRunner()  # type: ignore[assignment]
    async with no_tasks_left(), observatory:
        yield observatory


@pytest_asyncio.fixture(loop_scope="module")
async def latiss(duo: SimulatedObservatory) -> AsyncIterator[Any]:
    async with salobj.Domain() as domain, LATISS(domain) as latiss:
        yield latiss


@pytest_asyncio.fixture(loop_scope="module")
async def oods(duo: SimulatedObservatory) -> AsyncIterator[Any]:
    async with (
        salobj.Domain() as domain,
        salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as remote,
    ):
        yield remote


async def ingested(oods: Any, n: int) -> list[tuple[str, str, str, int]]:
    events = [await oods.evt_imageInOODS.next(flush=False, timeout=TIMEOUT) for _ in range(n)]
    return [(data.obsid, data.camera, f"{data.raft}_{data.sensor}", data.statusCode) for data in events]


async def test_each_detector_is_ingested_and_announced(
    duo: SimulatedObservatory, latiss: Any, oods: Any
) -> None:
    # Given a filter, when a flat is taken,
    await latiss.setup_instrument(filter="SDSSr_65mm")
    (exposure,) = await latiss.take_imgtype("FLAT", 1.0, 1)
    # then the OODS announces both detectors,
    name = f"AT_O_20220929_{exposure % 100_000:06d}"
    assert await ingested(oods, 2) == [(name, "Duo", "R00_S00", 0), (name, "Duo", "R00_S01", 0)]
    # and the Butler has both.
    with Butler.from_config(str(duo.repo), collections="Duo/raw/all") as butler:
        for detector in (0, 1):
            raw = butler.get("raw", instrument="Duo", exposure=exposure, detector=detector)
            assert (raw.metadata["DETECTOR"], raw.metadata["FILTER"]) == (detector, "SDSSr_65mm")
            assert "GRATING" not in raw.metadata
        (record,) = butler.query_dimension_records("exposure", instrument="Duo", exposure=exposure)
    assert record.physical_filter == "SDSSr_65mm"


async def test_one_detector_may_be_missing(duo: SimulatedObservatory, latiss: Any, oods: Any) -> None:
    # Given an OODS that ignores a file,
    fault = parse_fault("oods-missing:2")
    fault.attach(duo)
    # when an image is taken,
    (exposure,) = await latiss.take_imgtype("BIAS", 0, 1)
    # then one detector is announced, and the file of the other remains.
    name = f"AT_O_20220929_{exposure % 100_000:06d}"
    assert await ingested(oods, 1) == [(name, "Duo", "R00_S00", 0)]
    assert [path.name for path in duo.staging.glob("*.fits")] == [f"{name}_R00_S01.fits"]


async def test_a_work_folder_belongs_to_one_camera(duo: SimulatedObservatory) -> None:
    with pytest.raises(WorkFolderError, match=r"instrument: LATISS, but .* was made for Duo"):
        async with SimulatedObservatory(duo.workdir, instrument=ATCAM):
            pass
