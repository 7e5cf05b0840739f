# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bias of many detectors through bps and Parsl, and in one process.

All jobs have the same quanta. In one process they are run by ``pipetask run``,
as by the OCPS, and with the butlers and the last step of a batch system: each
quantum then has a butler of its own, and nothing is registered before the
end. The CPU time is that of all processes of a job.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.bps.jobs import BpsJobs
from lsst.ts.calibrationscripts.bps.site import read_site
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, Instrument
from lsst.ts.calibrationscripts.observatory import sal
from lsst.ts.calibrationscripts.plan import JobRequest

DAY = "20261123"
ONE_MACHINE = "lsst.ts.calibrationscripts.bps.one_machine.OneMachine"


def make_biases(
    repo: Path, instrument: Instrument, detectors: list[int], n_biases: int, scale: int
) -> list[int]:
    """Make a repository with biases of some detectors; return their ids."""
    from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
    from lsst.ts.calibrationscripts.simulation.repository import create_repository, read_focal_plane

    create_repository(repo, instrument, scale=scale)
    ccds = read_focal_plane(repo, instrument).ccds
    ids = []
    with Butler.from_config(str(repo), writeable=True) as butler:
        for number in range(1, n_biases + 1):
            begin = Time("2026-11-23T18:00:00", scale="tai") + TimeDelta(40.0 * number, format="sec")
            header = RawHeader(
                instrument=instrument,
                obs_id=f"{instrument.image_prefix}_O_{DAY}_{number:06d}",
                image_type="BIAS",
                exp_time=0.0,
                begin=begin,
                end=begin,
                reason="benchmark",
            )
            for detector in detectors:
                raw = ccds[detector].expose("BIAS", 0.0, header.exposure_id, header.physical_filter)
                path = repo.parent / f"{header.obs_id}_{detector}.fits"
                write_raw(path, raw, header, ccds[detector])
                ingest_raw(butler, path, instrument)
            ids.append(header.exposure_id)
    return ids


PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of what Parsl starts and leaves, to see its times."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def cpu_of_children() -> float:
    """Return the CPU time of all processes that have ended (s)."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def programs(environment: dict[str, str], *commands: tuple[str, ...]) -> float:
    """Run programs one after the other; return their CPU time (s)."""
    before = cpu_of_children()
    folder = Path(sys.executable).parent
    for program, *words in commands:
        subprocess.run(
            [folder / program, *words],
            env={**os.environ, **environment},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return cpu_of_children() - before


def in_one_process(
    request: JobRequest, repo: Path, instrument: Instrument, environment: dict[str, str]
) -> dict[str, Callable[[], float]]:
    """Return what runs a request in one process, by its name."""

    def given(output: str) -> tuple[str, ...]:
        inputs = ",".join((instrument.raw_collection, *request.inputs))
        collections = ("-i", inputs, "-o", output, "--output-run", f"{output}/run")
        return ("-p", request.pipeline, "-b", str(repo), *collections, "-d", request.data_query)

    graph = str(repo.parent / "one.qg")
    options = ("--long-log", "--log-level=INFO")
    return {
        "pipetask run": lambda: programs(
            environment, ("pipetask", "run", *given("u/one/bias"), "--register-dataset-types")
        ),
        "pipetask run-qbb": lambda: programs(
            environment,
            (
                "pipetask",
                "qgraph",
                *given("u/qbb/bias"),
                "--save-qgraph",
                graph,
                "--qgraph-datastore-records",
            ),
            ("pipetask", "pre-exec-init-qbb", str(repo), graph),
            ("pipetask", *options, "run-qbb", str(repo), graph),
            ("butler", *options, "aggregate-graph", graph, str(repo), "-j", "1", "--register-dataset-types"),
        ),
    }


async def through_parsl(request: JobRequest, jobs: BpsJobs) -> float:
    """Run a request through bps and Parsl; return its CPU time (s)."""
    before = cpu_of_children()
    job_id = await jobs.submit(request)
    result = await jobs.result(job_id)
    if result.exit_code:
        raise RuntimeError("\n".join(await jobs.log_tail(job_id)))
    return cpu_of_children() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instrument", choices=sorted(INSTRUMENTS), default="LATISS")
    parser.add_argument("--detectors", type=int, help="how many of them; all by default")
    parser.add_argument("--biases", type=int, default=5)
    parser.add_argument("--scale", type=int, default=16)
    parser.add_argument("--together", type=int, default=1, help="detectors of one process, in turn")
    parser.add_argument("--site", default=ONE_MACHINE, help="class of Parsl's site")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    sal.use(sal.SalProvider.LOCAL)
    adopt_orphans()
    from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS

    instrument = INSTRUMENTS[given.instrument]
    detectors = list(instrument.detector_ids())[: given.detectors]
    environment = PIPELINE_ENVIRONMENTS["current"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repo = folder / "repo"
        ids = make_biases(repo, instrument, detectors, given.biases, given.scale)
        pipelines = f"${{CP_PIPE_DIR}}/pipelines/{instrument.pipelines_folder}"
        request = JobRequest(
            f"{pipelines}/cpBias.yaml",
            (instrument.calib_collection,),
            (),
            instrument.name,
            tuple(detectors),
            tuple(ids),
        )
        compute = {"class": given.site, "cores": given.cores, "retries": 0}
        site = {
            "wmsServiceClass": "lsst.ctrl.bps.parsl.ParslService",
            "computeSite": "here",
            "site": {"here": compute},
            "detectorsPerProcess": given.together,
        }
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        jobs = BpsJobs(
            read_site(folder / "site.yaml"),
            repo=str(repo),
            raws=instrument.raw_collection,
            journals=folder,
            run_id="benchmark",
            job_timeout=86400.0,
            environment=environment,
        )
        ways = in_one_process(request, repo, instrument, environment)
        ways["bps and Parsl"] = lambda: asyncio.run(through_parsl(request, jobs))
        times = {}
        for what, run in ways.items():
            begin = time.monotonic()
            times[what] = run()
            print(f"{what}: {times[what]:.1f} s of CPU, {time.monotonic() - begin:.1f} s", flush=True)
        through_bps = times.pop("bps and Parsl")
        ratios = ", ".join(f"{through_bps / taken:.2f} of {what}" for what, taken in times.items())
        print(f"{len(detectors)} detectors, {given.biases} biases: {ratios}")


if __name__ == "__main__":
    main()
