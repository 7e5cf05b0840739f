# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCPS runs real pipetask jobs and reports how they ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LATISS as CAMERA
from lsst.ts.calibrationscripts.observatory.sal import LATISS, salobj
from lsst.ts.calibrationscripts.simulation.cscs import ocps as ocps_module
from lsst.ts.calibrationscripts.simulation.cscs.ocps import cap_processes, log_path
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory

TIMEOUT = 60.0
BIAS = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
OPTIONS = "-j 8 -i LATISS/calib --register-dataset-types"


class Client:
    """Submits jobs and keeps their results by id."""

    def __init__(self, remote: Any, observatory: SimulatedObservatory) -> None:
        self.remote = remote
        self.observatory = observatory
        self.order: list[str] = []
        self.ends: dict[str, asyncio.Task[Any]] = {}
        self._results: dict[str, asyncio.Future[Any]] = {}
        remote.evt_job_result.callback = self._hear

    async def submit(self, pipeline: str | Path, **fields: Any) -> str:
        """Submit a job, and await the end of its command from now on.

        Between an acknowledgement and a later wait for the next one, the
        command may end: then salobj forgets it.
        """
        known = set(self.observatory.ocps.jobs)
        command = {"config": OPTIONS, "data_query": "instrument = 'LATISS'", **fields}
        end = asyncio.create_task(
            self.remote.cmd_execute.set_start(pipeline=str(pipeline), **command, timeout=TIMEOUT)
        )
        while not (new := set(self.observatory.ocps.jobs) - known):
            if end.done():
                end.result()
            await asyncio.wait({end}, timeout=0.01)
        (job_id,) = new
        self.ends[job_id] = end
        return job_id

    async def result(self, job_id: str) -> Any:
        async with asyncio.timeout(TIMEOUT):
            return await self._result(job_id)

    def _result(self, job_id: str) -> asyncio.Future[Any]:
        return self._results.setdefault(job_id, asyncio.get_running_loop().create_future())

    async def _hear(self, data: Any) -> None:
        self.order.append(data.job_id)
        self._result(data.job_id).set_result(data)


@pytest_asyncio.fixture(loop_scope="module")
async def client(observatory: SimulatedObservatory) -> AsyncIterator[Client]:
    async with salobj.Domain() as domain, salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as remote:
        client = Client(remote, observatory)
        yield client
        await asyncio.gather(*client.ends.values(), return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def biases(observatory: SimulatedObservatory) -> list[int]:
    async with (
        salobj.Domain() as domain,
        LATISS(domain) as latiss,
        salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as oods,
    ):
        ids: list[int] = await latiss.take_imgtype("BIAS", 0, 2)
        for _ in ids:
            await oods.evt_imageInOODS.next(flush=False, timeout=TIMEOUT)
    return ids


def query(exposures: list[int]) -> str:
    return f"instrument = 'LATISS' AND exposure IN ({', '.join(map(str, exposures))})"


class TestJobs:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_job_that_succeeds(
        self, observatory: SimulatedObservatory, client: Client, biases: list[int]
    ) -> None:
        job_id = await client.submit(BIAS, data_query=query(biases))
        result = await client.result(job_id)
        done = await client.ends[job_id]

        # Then the product is in the job's own collection.
        assert (result.exit_code, done.ack) == (0, salobj.SalRetCode.CMD_COMPLETE)
        with Butler.from_config(str(observatory.repo), collections=f"u/ocps/{job_id}/run") as butler:
            assert butler.exists("bias", instrument="LATISS", detector=0)
        # And the log has the command, with as many processes as are useful.
        log = log_path(observatory.uws, job_id).read_text()
        assert f"pipetask --long-log run -p '{BIAS}'" in log
        assert "8 processes requested" in log
        assert "Executed 3 quanta successfully" in log
        # And the job's record is complete.
        record = json.loads((observatory.uws / "jobs" / job_id / "job.json").read_text())
        assert (record["jobId"], record["phase"]) == (job_id, "completed")
        assert record["executionDuration"] > 0
        assert {"name": "PIPELINE_URL", "value": BIAS} in record["parameters"]["environment"]
        assert not (observatory.uws / "jobs" / job_id / "tmp").exists()
        # But the result is the submission, as that of the real OCPS.
        assert json.loads(result.result)["phase"] == "pending"

    async def test_job_that_fails(self, observatory: SimulatedObservatory, client: Client) -> None:
        job_id = await client.submit(BIAS, data_query=query([2022092999999]))
        result = await client.result(job_id)
        done = await client.ends[job_id]

        # Then the command is complete nevertheless, and the log says why.
        assert (result.exit_code, done.ack) == (1, salobj.SalRetCode.CMD_COMPLETE)
        assert "QuantumGraph was empty" in log_path(observatory.uws, job_id).read_text()
        folder = observatory.uws / "jobs" / job_id
        assert json.loads((folder / "job.json").read_text())["phase"] == "error"

    async def test_jobs_run_at_the_same_time(self, client: Client, gates: Any) -> None:
        # Given two jobs that have both begun.
        both = [gates.make(), gates.make()]
        ids = [await client.submit(gate.path) for gate in both]
        for gate in both:
            await gate.reached()

        # When the later one may end first.
        for job_id, gate in zip(reversed(ids), reversed(both), strict=True):
            gate.open()
            await client.result(job_id)

        assert client.order == list(reversed(ids))

    async def test_aborted_job(self, observatory: SimulatedObservatory, client: Client, gates: Any) -> None:
        gate = gates.make()
        job_id = await client.submit(gate.path)
        await gate.reached()

        await client.remote.cmd_abort_job.set_start(job_id=job_id, timeout=TIMEOUT)

        assert (await client.result(job_id)).exit_code == 255
        assert client.order == [job_id]
        # Then its command fails, as the job is not found any more: its files
        # are deleted (lsst-ts/dm_OCPS, 7c72243b; uws-api-server, 763f609d).
        with pytest.raises(salobj.AckError) as caught:
            await client.ends[job_id]
        assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_FAILED
        assert "404 Client Error: NOT FOUND" in caught.value.ackcmd.result
        assert not (observatory.uws / "jobs" / job_id).exists()
        # And a second abort fails for the same reason.
        with pytest.raises(salobj.AckError) as caught:
            await client.remote.cmd_abort_job.set_start(job_id=job_id, timeout=TIMEOUT)
        assert "404 Client Error: NOT FOUND" in caught.value.ackcmd.result

    async def test_a_job_goes_on_when_its_state_cannot_be_asked_for(
        self, observatory: SimulatedObservatory, client: Client, gates: Any
    ) -> None:
        # Given a service that answers a request for a job's state by an error.
        parse_fault("ocps-http-error").attach(observatory)
        try:
            gate = gates.make()
            job_id = await client.submit(gate.path)
            with pytest.raises(salobj.AckError) as caught:
                await client.ends[job_id]
        finally:
            observatory.ocps.interceptors.clear()
        # Then the command fails, and there is no result; but the job goes on.
        assert "503 Server Error" in caught.value.ackcmd.result
        await gate.reached()
        gate.open()
        async with asyncio.timeout(TIMEOUT):
            await observatory.ocps.jobs[job_id].done.wait()
        assert observatory.ocps.jobs[job_id].phase == "error"
        assert client.order == []

    async def test_job_waits_for_its_prerequisites(self, client: Client, gates: Any) -> None:
        gate = gates.make()
        first = await client.submit(gate.path)
        await gate.reached()

        second = asyncio.create_task(client.submit("/missing/pipeline.yaml", prereq_jobs=f"{first},unknown"))
        gate.open()

        # Even though the first one fails: nothing is in its pipeline.
        job_id = await second
        assert (await client.result(job_id)).exit_code == 1
        assert client.order == [first, job_id]

    async def test_job_that_takes_too_long_is_killed(
        self,
        observatory: SimulatedObservatory,
        client: Client,
        gates: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(ocps_module, "JOB_TIMEOUT", 0.1)
        job_id = await client.submit(gates.make().path)

        assert (await client.result(job_id)).exit_code == 1
        assert "OCPS: killed after 0.1 s" in log_path(observatory.uws, job_id).read_text()

    async def test_options_with_an_open_quote_are_refused(self, client: Client) -> None:
        with pytest.raises(salobj.AckError) as caught:
            await client.submit(BIAS, config="-c 'cpBiasIsr:doDefect=False")
        assert "No closing quotation" in caught.value.ackcmd.result


async def test_death_of_the_runner_is_a_failed_job(topics: None, workdir: Path, gates: Any) -> None:
    gate = gates.make()
    async with (
        SimulatedObservatory(workdir, instrument=CAMERA) as observatory,
        salobj.Domain() as domain,
        salobj.Remote(domain, "OCPS", 1) as remote,
    ):
        client = Client(remote, observatory)
        job_id = await client.submit(gate.path)
        await gate.reached()
        assert observatory.runner.pid is not None
        os.kill(observatory.runner.pid, signal.SIGKILL)

        assert (await client.result(job_id)).exit_code == 1
        assert "OCPS: The pipetask runner" in log_path(observatory.uws, job_id).read_text()
        # And so are later jobs.
        job_id = await client.submit(BIAS)
        assert (await client.result(job_id)).exit_code == 1


async def test_closing_aborts_running_jobs(topics: None, workdir: Path, gates: Any) -> None:
    gate = gates.make()
    async with (
        salobj.Domain() as domain,
        salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as remote,
        SimulatedObservatory(workdir, instrument=CAMERA) as observatory,
    ):
        client = Client(remote, observatory)
        job_id = await client.submit(gate.path)
        await gate.reached()

    # Its files stay, for who looks for the cause.
    file = observatory.uws / "jobs" / job_id / "job.json"
    assert json.loads(file.read_text())["phase"] == "aborted"
    await asyncio.gather(*client.ends.values(), return_exceptions=True)


@pytest.mark.parametrize(
    ("options", "capped", "wanted"),
    [
        ("-j 8 -i LATISS/calib", "-j 2 -i LATISS/calib", 8),
        ("-j8", "-j2", 8),
        ("--processes 4 -n 7", "--processes 2 -n 7", 4),
        ("--processes=4", "--processes=2", 4),
        ("-j 1", "-j 1", 1),
        ("-i 2022 -c isr:n=-j8", "-i 2022 -c isr:n=-j8", 0),
        ("", "", 0),
    ],
)
def test_number_of_processes_is_limited(options: str, capped: str, wanted: int) -> None:
    assert cap_processes(options.split(), 2) == (capped.split(), wanted)
