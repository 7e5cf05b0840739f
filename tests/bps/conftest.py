# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small repository, and the job services that run its biases."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.bps.jobs import BpsJobs
from lsst.ts.calibrationscripts.bps.processes import marked, slurm_name
from lsst.ts.calibrationscripts.bps.site import read_site
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory.ocps import OcpsJobs
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import JobService
from lsst.ts.calibrationscripts.simulation.cscs import OcpsCsc
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS, TASK_MODULES
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import create_repository, read_focal_plane
from lsst.ts.calibrationscripts.simulation.runner import PipetaskRunner
from slurm import Cluster, NotInstalledError, running_cluster

JOB_TIMEOUT = 240.0

PIPELINES = PIPELINE_ENVIRONMENTS["current"]

PARSL = {
    "wmsServiceClass": "lsst.ctrl.bps.parsl.ParslService",
    "computeSite": "here",
    "site": {
        "here": {"class": "lsst.ts.calibrationscripts.bps.one_machine.OneMachine", "cores": 1, "retries": 0}
    },
}
WORKERS = PARSL | {"site": {"here": {"class": "lsst.ctrl.bps.parsl.sites.Local", "cores": 1, "retries": 0}}}
"""Parsl's own site of one machine: workers beside the workflow."""
SLURM = PARSL | {
    "site": {
        "here": {
            "class": "lsst.ctrl.bps.parsl.sites.Slurm",
            "nodes": 1,
            "cores_per_node": 1,
            "walltime": "00:10:00",
            "retries": 0,
        }
    }
}


@dataclass(frozen=True)
class Biases:
    """A repository with biases, the last of which cannot be read."""

    repo: Path
    good: tuple[int, ...]
    broken: int

    def request(self, *exposures: int) -> JobRequest:
        """Return the request to combine exposures; of all that are good."""
        return JobRequest(
            "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml",
            ("LATISS/calib",),
            ("-c", "cpBiasIsr:doDefect=False"),
            "LATISS",
            (0,),
            exposures or self.good,
        )

    def products(self, run: str) -> int:
        """Return how many biases a RUN has."""
        with Butler.from_config(str(self.repo)) as butler:
            return len(butler.query_datasets("bias", collections=run, explain=False))


@pytest.fixture(scope="session")
def _biases(tmp_path_factory: pytest.TempPathFactory) -> Biases:
    root = tmp_path_factory.mktemp("batch") / "repo"
    create_repository(root, LATISS, scale=64)
    [ccd] = read_focal_plane(root, LATISS).ccds.values()
    ids = []
    with Butler.from_config(str(root), writeable=True) as butler:
        for number in range(1, 4):
            begin = Time("2026-11-23T18:00:00", scale="tai") + TimeDelta(40.0 * number, format="sec")
            header = RawHeader(
                instrument=LATISS,
                obs_id=f"AT_O_20261123_{number:06d}",
                image_type="BIAS",
                exp_time=0.0,
                begin=begin,
                end=begin,
                in_beam={"filter": "empty_1"},
                reason="daily",
            )
            raw = ccd.expose("BIAS", 0.0, header.exposure_id, header.physical_filter)
            path = root.parent / f"{header.obs_id}.fits"
            write_raw(path, raw, header, ccd)
            ingest_raw(butler, path, LATISS)
            ids.append(header.exposure_id)
        [broken] = butler.query_datasets(
            "raw",
            collections=LATISS.raw_collection,
            where="instrument = 'LATISS' AND detector = 0 AND exposure = id",
            bind={"id": ids[-1]},
        )
        Path(butler.getURI(broken).ospath).write_bytes(b"not FITS")
    return Biases(root, tuple(ids[:-1]), ids[-1])


@pytest.fixture
def biases(_biases: Biases, tmp_path: Path) -> Biases:
    """A copy for one test."""
    repo = tmp_path / "repo"
    shutil.copytree(_biases.repo, repo)
    return Biases(repo, _biases.good, _biases.broken)


@dataclass
class Service:
    """A job service, and what a test needs to know of it."""

    jobs: JobService
    left: Callable[[str], list[Any]] = lambda job_id: []
    """Returns what still runs of a job."""

    hindered: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    """While in this context, its machine takes no job."""

    own: dict[str, Any] = field(default_factory=dict)


def need_bps() -> None:
    for module in ("parsl", "psutil"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no module {module}: install ts-calibrationscripts[bps]")


def make_bps(
    biases: Biases,
    folder: Path,
    settings: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    job_timeout: float = JOB_TIMEOUT,
) -> BpsJobs:
    """Return the service of a site file."""
    site = folder / "site.yaml"
    site.write_text(yaml.safe_dump(dict(settings)))
    return BpsJobs(
        read_site(site),
        repo=str(biases.repo),
        raws=LATISS.raw_collection,
        journals=folder / "journals",
        run_id="20261126T093000-1",
        job_timeout=job_timeout,
        environment={**PIPELINES, **(environment or {})},
    )


@pytest.fixture
def parsl(biases: Biases, tmp_path: Path) -> Service:
    need_bps()
    return Service(make_bps(biases, tmp_path, PARSL), marked)


@pytest.fixture
def workers(biases: Biases, tmp_path: Path) -> Service:
    need_bps()
    return Service(make_bps(biases, tmp_path, WORKERS), marked)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run Slurm, or skip the tests that use it."""
    need_bps()
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(running_cluster())
        except NotInstalledError as error:
            pytest.skip(str(error))
        yield cluster


@pytest.fixture
def slurm(
    cluster: Cluster, biases: Biases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    # Also for what ends a job, which is not given the service's environment.
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))

    def left(job_id: str) -> list[Any]:
        return marked(job_id) + cluster.queue(slurm_name(job_id))

    yield Service(make_bps(biases, tmp_path, SLURM), left, cluster.full, {"cluster": cluster})
    assert cluster.queue() == [], "a test has left a job in the queue"


@pytest_asyncio.fixture
async def ocps(topics: None, biases: Biases, tmp_path: Path) -> AsyncIterator[Service]:
    uws = tmp_path / "uws"
    uws.mkdir()
    async with (
        PipetaskRunner(env=PIPELINES, preload=TASK_MODULES) as runner,
        OcpsCsc(LATISS, runner=runner, repo=biases.repo, uws=uws, initial_state=salobj.State.ENABLED) as csc,
        salobj.Domain() as domain,
        salobj.Remote(
            domain,
            "OCPS",
            LATISS.ocps_index,
            include=["summaryState", "errorCode", "heartbeat", "job_result"],
        ) as remote,
    ):
        jobs = OcpsJobs(
            remote,
            ComponentWatch([remote]),
            job_timeout=JOB_TIMEOUT,
            log_path=f"{uws}/jobs/{{job_id}}/out/ocps.log",
        )

        def left(job_id: str) -> list[int]:
            process = csc.jobs[job_id].process
            return [process.pid] if process is not None and _runs(process.pid) else []

        yield Service(jobs, left)


def _runs(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return pid is not None


@pytest.fixture(params=["ocps", "parsl", "slurm"])
def service(request: pytest.FixtureRequest) -> Service:
    """Each job service in turn."""
    service: Service = request.getfixturevalue(request.param)
    return service
