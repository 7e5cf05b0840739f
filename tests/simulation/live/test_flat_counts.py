# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trial flats of the simulated camera find an exposure time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from leaks import no_tasks_left
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.queue import run_script
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observatory(
    module_topics: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedObservatory]:
    """Start one whose frames are large enough to have a level."""
    async with (
        no_tasks_left(),
        SimulatedObservatory(
            tmp_path_factory.mktemp("observatory"),
            instrument=LATISS,
            settings=SimulationSettings(scale=16),
            time_scale=0.005,
        ) as observatory,
    ):
        yield observatory


pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(600)]


async def test_flats_of_the_simulated_camera_have_the_level_that_is_wanted(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    # Given 5 s, which give some 19,000 counts
    config = {
        "repo": str(observatory.repo),
        "journal_dir": str(tmp_path),
        "script_mode": "FLAT",
        "n_flat": 2,
        "do_verify": False,
        "do_gain_from_flat_pairs": False,
        "exp_times_flat": 5,
        "flat_counts": [30_000, 40_000],
    }
    scripts: list[Any] = []

    def make(index: int) -> Any:
        scripts.append(MakeLatissCalibrations(index=index))
        return scripts[0]

    result = await run_script(make, yaml.safe_dump(config), group_id="2022-09-29T14:00:00.000", timeout=300)
    assert result.state == "DONE", result.reason
    report = scripts[0].report
    (reason,) = (stage.reason for stage in report.stages)
    assert "found by 2 trial flat(s)" in reason
    # Then trial flats are discarded, and the others have one other time
    first, second, settling, *kept = report.exposures[ImageType.FLAT]
    assert report.discarded[ImageType.FLAT] == (first, second, settling)
    with Butler.from_config(str(observatory.repo)) as butler:
        records = {
            record.id: record for record in butler.query_dimension_records("exposure", instrument="LATISS")
        }
    assert records[first].exposure_time == 5
    times = {records[each].exposure_time for each in (second, settling, *kept)}
    assert len(times) == 1 and 7 < times.pop() < 12
    # and in the level that the log has of the first flat.
    (level,) = (text.text for text in result.messages if "the first flat" in text.text)
    assert 30_000 < float(level.split(" has ")[1].split()[0].replace(",", "")) < 40_000
