# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of several detectors, whose jobs Parsl runs."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.bps.processes import marked
from lsst.ts.calibrationscripts.instruments import LSSTCOMCAM
from simulating import DAY_OF_COMCAM, simulate, start

from .conftest import need_bps

pytestmark = [pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(3600)]

PATIENCE = 1500.0
"""Longest wait for what another process does (s)."""


def test_a_whole_day_of_comcam_is_certified_by_jobs_of_bps(tmp_path: Path) -> None:
    need_bps()
    data = tmp_path / "run.json"
    words = ("--instrument", "LSSTComCam", "--scale", 32, "--job-service", "bps", "--json", data)
    code, text = simulate(tmp_path, *words, config=DAY_OF_COMCAM)
    # Then all is certified, of nine detectors, from collections of bps,
    assert code == 0, text
    run = json.loads(data.read_text())
    assert [each["dataset_type"] for each in run["certifications"]] == ["bias", "dark", "flat"]
    sources = [each["source"] for each in run["certifications"]]
    assert all(source.startswith(f"u/bps/{run['run_id']}_") for source in sources)
    assert {verdict["n_detectors"] for verdict in run["verdicts"].values()} == {9}
    # and a flat finds the calibrations of each detector.
    exposure = run["exposures"]["FLAT"][-1]
    with Butler.from_config(str(tmp_path / "w/repo"), collections="LSSTComCam/calib/daily") as butler:
        for name, source in zip(("bias", "dark", "flat"), sources, strict=True):
            refs = butler.query_datasets(name, find_first=False)
            assert {ref.run for ref in refs} == {f"{source}/run"}
            for detector in LSSTCOMCAM.detector_ids():
                assert butler.get(name, instrument="LSSTComCam", detector=detector, exposure=exposure)


def ended_quanta(run: Path) -> dict[str, tuple[int, int]]:
    """Return the metadata that quanta have left, each with time and inode.

    It is the last that a quantum writes.
    """
    found = {path: path.stat() for path in run.rglob("*_metadata_*.json")}
    return {str(path.relative_to(run)): (each.st_mtime_ns, each.st_ino) for path, each in found.items()}


def test_a_bias_of_lsstcam_killed_during_a_job_is_resumed_within_that_job(tmp_path: Path) -> None:
    # Given three detectors, each a process of the job of bps,
    need_bps()
    config = {"script_mode": "BIAS", "n_bias": 3, "detectors": [0, 94, 191], "generate_calibrations": True}
    words = ("--instrument", "LSSTCam", "--scale", 64, "--job-service", "bps")
    jobs, repo = tmp_path / "w/journal/bps", tmp_path / "w/repo"
    with start(tmp_path, *words, config=config) as script:
        try:
            # when the script is killed once quanta have ended, and others not,
            limit = time.monotonic() + PATIENCE
            ended: dict[str, tuple[int, int]] = {}
            while not ended:
                assert script.poll() is None, script.communicate()[0]
                assert time.monotonic() < limit, "no quantum has ended"
                time.sleep(0.05)
                ended = ended_quanta(repo / "u/bps")
        finally:
            script.send_signal(signal.SIGKILL)
        script.communicate()
    [job] = jobs.iterdir()
    while marked(job.name):
        assert time.monotonic() < limit, "the job has not ended with its script"
        time.sleep(0.1)
    ended = ended_quanta(repo / "u/bps")
    # (three detectors, each with three frames and what is made of them)
    assert 0 < len(ended) < 12
    # and resumed,
    data = tmp_path / "run.json"
    code, text = simulate(tmp_path, "--resume", "--json", data)
    assert code == 0, text
    # then that job goes on, no finished quantum is done again,
    run = json.loads(data.read_text())
    stages = {stage["name"]: stage for stage in run["stages"]}
    assert stages["generate BIAS"]["job_id"] == job.name
    assert len(list(jobs.iterdir())) == 2
    assert ended.items() <= ended_quanta(repo / "u/bps").items()
    # and what it makes is certified.
    assert [each["source"] for each in run["certifications"]] == [f"u/bps/{job.name}"]
    with Butler.from_config(str(repo)) as butler:
        refs = butler.query_datasets("bias", collections="LSSTCam/calib/daily", find_first=False)
        assert {ref.dataId["detector"] for ref in refs} == {0, 94, 191}
