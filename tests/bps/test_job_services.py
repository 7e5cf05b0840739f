# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One suite for every job service, and the faults of batch systems.

What bps and Parsl do is that of lsst/ctrl_bps eacc068a and
lsst/ctrl_bps_parsl ef882dde.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.bps.jobs import BpsJobs
from lsst.ts.calibrationscripts.bps.processes import marked, slurm_name
from lsst.ts.calibrationscripts.ports import JobLostError, JobResult, JobTimeoutError

from .conftest import PARSL, PIPELINES, SLURM, WORKERS, Biases, Service, make_bps, need_bps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def until(condition: Callable[[], object], what: str, patience: float = 240.0) -> None:
    limit = time.monotonic() + patience
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < limit, f"{what}: not within {patience:g} s"
        await asyncio.sleep(0.1)


def logs(jobs: BpsJobs, job_id: str, pattern: str) -> str:
    """Return all that the jobs of a workflow have written so far."""
    folder = Path(jobs.submit_folder(job_id), "submit", "logs")
    return "\n".join(log.read_text() for log in sorted(folder.rglob(pattern)))


class TestEveryJobService:
    async def test_a_job_makes_its_product_in_its_own_collections(
        self, service: Service, biases: Biases
    ) -> None:
        # Given a service that could take it, but for Slurm's full queue.
        assert await service.jobs.check() == ()
        with service.hindered():
            job_id = await service.jobs.submit(biases.request())
            result = asyncio.create_task(service.jobs.result(job_id))
            if "cluster" in service.own:
                waiting = service.own["cluster"].queue
                await until(lambda: "PENDING" in dict(waiting(slurm_name(job_id))).values(), "it is queued")
        # When there is room, it ends well.
        assert await result == JobResult(job_id, 0)
        assert biases.products(service.jobs.run_collection(job_id)) == 1
        with Butler.from_config(str(biases.repo)) as butler:
            chain = butler.collections.get_info(service.jobs.collection(job_id)).children
        assert chain == (service.jobs.run_collection(job_id), "LATISS/raw/all", "LATISS/calib")
        assert service.left(job_id) == []

    async def test_a_job_fails_if_a_quantum_does_and_its_log_says_why(
        self, service: Service, biases: Biases
    ) -> None:
        # Parsl keeps to itself that the command of a task has failed: bps
        # submit ends with exit code 0.
        job_id = await service.jobs.submit(biases.request(*biases.good, biases.broken))
        assert await service.jobs.result(job_id) == JobResult(job_id, 1)
        log = await asyncio.to_thread(Path(service.jobs.log_path(job_id)).read_text)
        assert "FileIntegrityError" in log
        assert any("Error" in line for line in await service.jobs.log_tail(job_id))
        assert biases.products(service.jobs.run_collection(job_id)) == 0

    async def test_an_aborted_job_leaves_nothing_running(self, service: Service, biases: Biases) -> None:
        with service.hindered():
            job_id = await service.jobs.submit(biases.request())
            await until(lambda: service.left(job_id), "it runs")
            if "cluster" in service.own:
                waiting = service.own["cluster"].queue
                await until(lambda: waiting(slurm_name(job_id)), "it is queued")
            await service.jobs.abort(job_id)
            assert service.left(job_id) == []
        assert (await service.jobs.result(job_id)).exit_code == 255


class TestParsl:
    async def test_a_last_step_that_failed_is_done_again_and_no_quantum_is(
        self, biases: Biases, tmp_path: Path
    ) -> None:
        # Given that the datasets cannot be registered, though they are there.
        need_bps()
        failing = make_bps(biases, tmp_path, PARSL, {"DAF_BUTLER_DIR": str(tmp_path / "absent")})
        job_id = await failing.submit(biases.request())
        assert await failing.result(job_id) == JobResult(job_id, 1)
        assert "absent/bin/butler: No such file" in "\n".join(await failing.log_tail(job_id))
        before = logs(failing, job_id, "step*.stderr")
        assert "Executed 3 quanta successfully" in before

        # When another process continues the job, it becomes complete.
        jobs = make_bps(biases, tmp_path, PARSL)
        assert await jobs.resume(job_id)
        assert await jobs.result(job_id) == JobResult(job_id, 0)
        assert biases.products(jobs.run_collection(job_id)) == 1
        assert logs(jobs, job_id, "step*.stderr") == before

    async def test_a_killed_worker_is_a_failed_job_that_can_be_continued(
        self, workers: Service, biases: Biases
    ) -> None:
        import psutil

        job_id = await workers.jobs.submit(biases.request())

        def kill_a_worker() -> bool:
            for process in marked(job_id):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "run-qbb" in process.cmdline():
                        process.kill()
                        return True
            return False

        await until(kill_a_worker, "a worker runs")
        assert await workers.jobs.result(job_id) == JobResult(job_id, 1)
        assert workers.left(job_id) == []
        assert await workers.jobs.resume(job_id)
        assert await workers.jobs.result(job_id) == JobResult(job_id, 0)

    async def test_a_job_ends_with_the_script_that_is_killed(self, biases: Biases, tmp_path: Path) -> None:
        # Given a script that has submitted a job, in a process of its own.
        need_bps()
        (tmp_path / "site.yaml").write_text("")
        jobs = make_bps(biases, tmp_path, WORKERS)
        script = tmp_path / "script.py"
        script.write_text(
            "import asyncio, os, pathlib, sys\n"
            "from lsst.ts.calibrationscripts.bps.jobs import BpsJobs\n"
            "from lsst.ts.calibrationscripts.bps.site import read_site\n"
            "from lsst.ts.calibrationscripts.plan import JobRequest\n"
            "async def main():\n"
            f"    folder = pathlib.Path({str(tmp_path)!r})\n"
            "    jobs = BpsJobs(read_site(folder / 'site.yaml'), repo=str(folder / 'repo'),\n"
            "        raws='LATISS/raw/all', journals=folder / 'journals', run_id='1', job_timeout=600,\n"
            "        environment={})\n"
            f"    print(await jobs.submit({biases.request()!r}), flush=True)\n"
            "    await asyncio.sleep(600)\n"
            "asyncio.run(main())\n"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdout=subprocess.PIPE, env={**os.environ, **PIPELINES}
        )
        assert process.stdout is not None
        job_id = (await process.stdout.readline()).decode().strip()
        await until(lambda: marked(job_id), "it runs")
        # When it is killed, nothing of the job stays.
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: not marked(job_id), "all has ended", 60.0)
        # And what waits for it next knows that it has to be continued.
        with pytest.raises(JobLostError, match="was ended with the script that had started it"):
            await jobs.result(job_id)


class TestSlurm:
    async def test_a_job_that_a_drained_node_does_not_take_is_given_up_in_time(
        self, slurm: Service, biases: Biases, tmp_path: Path
    ) -> None:
        jobs = make_bps(biases, tmp_path, SLURM, job_timeout=2.0)
        cluster = slurm.own["cluster"]
        with cluster.drained():
            job_id = await jobs.submit(biases.request())
            await until(lambda: cluster.queue(slurm_name(job_id)), "it is queued")
            with pytest.raises(JobTimeoutError, match="did not end within"):
                await jobs.result(job_id)
            await jobs.abort(job_id)
        assert slurm.left(job_id) == []
