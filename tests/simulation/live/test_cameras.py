# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""ComCam and LSSTCam on the simulated observatory."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from leaks import no_tasks_left
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LSSTCAM, LSSTCOMCAM
from lsst.ts.calibrationscripts.observatory.sal import ComCam, LSSTCam, salobj
from lsst.ts.calibrationscripts.simulation.cscs import OodsCsc, oods
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from lsst.ts.calibrationscripts.simulation.raws import RawFiles
from simulating import DAY_OF_COMCAM, simulate

from .conftest import DAY_OBS, NoRunner

TIMEOUT = 60.0
"""What a test waits for at most (s)."""


def observatory_of(folder: Path, camera: Any, *detectors: int, faults: str = "") -> SimulatedObservatory:
    """Return an observatory that takes frames, and runs no jobs."""
    observatory = SimulatedObservatory(
        folder,
        instrument=camera,
        settings=SimulationSettings(scale=64, detectors=detectors),
        time_scale=0.002,
        day_obs=DAY_OBS,
        faults=[parse_fault(text) for text in faults.split()],
    )
    observatory.runner = NoRunner()  # type: ignore[assignment]
    return observatory


async def ingested(remote: Any, n: int) -> set[tuple[str, str, str, str, int]]:
    events = [await remote.evt_imageInOODS.next(flush=False, timeout=TIMEOUT) for _ in range(n)]
    return {(data.camera, data.obsid, data.raft, data.sensor, data.statusCode) for data in events}


async def test_comcam_announces_each_of_nine_detectors(topics: None, tmp_path: Path) -> None:
    # Given ComCam, when a filter is set and a flat is taken,
    async with (
        no_tasks_left(),
        observatory_of(tmp_path, LSSTCOMCAM),
        salobj.Domain() as domain,
        ComCam(domain) as comcam,
    ):
        comcam.rem.ccoods.evt_imageInOODS.flush()
        await comcam.setup_instrument(filter="i_06")
        (exposure,) = await comcam.take_imgtype("FLAT", 1.0, 1)
        # then there is an event for each detector, with raft and sensor,
        name = f"CC_O_{DAY_OBS:%Y%m%d}_{exposure % 100_000:06d}"
        sensors = [f"S{row}{column}" for row in range(3) for column in range(3)]
        assert await ingested(comcam.rem.ccoods, 9) == {
            ("LSSTComCam", name, "R22", sensor, 0) for sensor in sensors
        }
    # and the Butler knows filter and band.
    with Butler.from_config(str(tmp_path / "repo"), collections="LSSTComCam/raw/all") as butler:
        (record,) = butler.query_dimension_records("exposure", instrument="LSSTComCam", exposure=exposure)
        (band,) = butler.query_dimension_records(
            "physical_filter", instrument="LSSTComCam", physical_filter="i_06"
        )
    assert (record.physical_filter, band.band) == ("i_06", "i")


async def test_one_detector_of_lsstcam_fails_among_good_ones(topics: None, tmp_path: Path) -> None:
    # Given an OODS that cannot ingest the last of three detectors,
    fault = "detector-failed-ingest"
    async with (
        no_tasks_left(),
        observatory_of(tmp_path, LSSTCAM, 0, 94, 191, faults=fault) as observatory,
        salobj.Domain() as domain,
        LSSTCam(domain) as lsstcam,
    ):
        lsstcam.rem.mtoods.evt_imageInOODS.flush()
        # when an image is taken,
        (exposure,) = await lsstcam.take_imgtype("BIAS", 0, 1)
        name = f"MC_O_{DAY_OBS:%Y%m%d}_{exposure % 100_000:06d}"
        # then the others are ingested, and it is named by its id,
        assert await ingested(lsstcam.rem.mtoods, 3) == {
            ("LSSTCam", name, "R01", "S00", 0),
            ("LSSTCam", name, "R22", "S11", 0),
            ("LSSTCam", str(exposure), "R??", "S191", 1),
        }
        # and its file stays where the camera left it.
        assert [path.name for path in observatory.staging.iterdir()] == [f"{name}_R00_SW0.fits"]


async def test_detectors_that_a_later_run_wants_get_their_references(topics: None, tmp_path: Path) -> None:
    for detectors in ((0, 94), (94, 191)):
        async with observatory_of(tmp_path, LSSTCAM, *detectors):
            pass
    with Butler.from_config(str(tmp_path / "repo")) as butler:
        refs = butler.query_datasets("bias", collections="LSSTCam/calib/reference")
        assert {ref.dataId["detector"] for ref in refs} == {0, 94, 191}
        halves = butler.query_dimension_records("detector", where="instrument = 'LSSTCam' AND detector = 191")
    assert [(half.full_name, half.purpose) for half in halves] == [("R00_SW0", "WAVEFRONT")]


class OodsWithoutButler(OodsCsc):
    """An OODS whose ingest takes no time."""

    def _ingest(self, paths: Sequence[Path]) -> list[Exception | None]:
        return [None] * len(paths)

    def _open_butler(self) -> Any:
        return None


async def test_no_event_of_197_detectors_is_lost(
    topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an OODS that has all files of an image of LSSTCam at once, and a
    # client whose queue keeps 100 messages,
    monkeypatch.setattr(oods, "_read_header", lambda path: None)
    files = RawFiles(tmp_path, LSSTCAM)
    heard: set[str] = set()
    complete = asyncio.Event()

    async def hear(data: Any) -> None:
        heard.add(f"{data.raft}_{data.sensor}")
        if len(heard) == 197:
            complete.set()

    async with (
        no_tasks_left(),
        OodsWithoutButler(repo=tmp_path, files=files) as csc,
        salobj.Domain() as domain,
        salobj.Remote(domain, "MTOODS", include=["imageInOODS"], evt_max_history=0) as remote,
    ):
        remote.evt_imageInOODS.callback = hear
        # when it ingests them,
        paths = [files.path("MC_O_20261125_000001", each) for each in files.detectors]
        await asyncio.gather(*map(csc.ingest, paths))
        # then the client hears of each.
        async with asyncio.timeout(TIMEOUT):
            await complete.wait()
    assert heard == {detector.name for detector in LSSTCAM.detectors}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_whole_day_of_comcam_is_killed_resumed_and_certified(tmp_path: Path) -> None:
    # Given a day of ComCam whose process is killed among the darks,
    config = DAY_OF_COMCAM | {"n_processes": 2}
    code, text = simulate(
        tmp_path, "--instrument", "LSSTComCam", "--scale", 32, "--fault", "killed:14", config=config
    )
    assert code == -signal.SIGKILL, text
    # when it is resumed, with the instrument of its work folder,
    data = tmp_path / "run.json"
    code, text = simulate(tmp_path, "--resume", "--json", data)
    # then all is certified, of nine detectors,
    assert code == 0, text
    run = json.loads(data.read_text())
    assert run["instrument"] == "LSSTComCam"
    outcomes = {stage["name"]: stage["outcome"] for stage in run["stages"]}
    assert {outcomes[f"certify {name}"] for name in ("BIAS", "DARK", "FLAT")} == {"CERTIFIED"}
    assert {verdict["n_detectors"] for verdict in run["verdicts"].values()} == {9}
    # and a flat finds the calibrations of each detector.
    exposure = run["exposures"]["FLAT"][-1]
    with Butler.from_config(str(tmp_path / "w/repo"), collections="LSSTComCam/calib/daily") as butler:
        for detector in LSSTCOMCAM.detector_ids():
            for name in ("bias", "dark", "flat"):
                assert butler.get(name, instrument="LSSTComCam", detector=detector, exposure=exposure)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_bias_of_lsstcam_is_made_of_itl_e2v_and_a_corner_half(tmp_path: Path) -> None:
    # Given one detector of each type, when biases are taken
    config = {"script_mode": "BIAS", "n_bias": 3, "detectors": [0, 94, 191], "generate_calibrations": True}
    data = tmp_path / "run.json"
    code, text = simulate(tmp_path, "--instrument", "LSSTCam", "--scale", 16, "--json", data, config=config)
    # Then they are certified, each of its own size
    assert code == 0, text
    run = json.loads(data.read_text())
    assert run["verdicts"]["BIAS"]["n_detectors"] == 3
    with Butler.from_config(str(tmp_path / "w/repo"), collections="LSSTCam/calib/daily") as butler:
        data_id = {"instrument": "LSSTCam", "exposure": run["exposures"]["BIAS"][-1]}
        shapes = {
            detector: butler.get("bias", data_id, detector=detector).image.array.shape
            for detector in (0, 94, 191)
        }
    assert shapes == {0: (250, 256), 94: (250, 256), 191: (125, 256)}
