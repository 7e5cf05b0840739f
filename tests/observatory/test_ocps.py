# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each job gets its own result, whatever the OCPS does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.ocps import OcpsJobs
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import (
    JobLostError,
    JobRefusedError,
    JobResult,
    JobTimeoutError,
    ObservatoryError,
)

TOPICS = ["summaryState", "errorCode", "heartbeat", "job_result"]

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

SHORT = 0.3
"""A limit that a test runs into (s)."""


class MockOcps(salobj.BaseCsc):
    """An OCPS whose jobs are called like their pipelines.

    A command runs until the test sets how it `end`s; results are
    published by the test.
    """

    version = "test"
    valid_simulation_modes = (0,)

    def __init__(self) -> None:
        self.commands: list[Any] = []
        self.aborted: list[str] = []
        self._ends: dict[str, asyncio.Future[str]] = {}
        super().__init__("OCPS", 1, initial_state=salobj.State.ENABLED)
        self.cmd_execute.allow_multiple_callbacks = True

    def end(self, job_id: str, failure: str = "") -> None:
        self._end_of(job_id).set_result(failure)

    async def publish(self, job_id: str, exit_code: int = 0) -> None:
        # As the real OCPS, which sends what the job looked like at first.
        await self.evt_job_result.set_write(
            job_id=job_id, exit_code=exit_code, result='{"phase": "pending"}', force_output=True
        )

    async def do_execute(self, data: Any) -> None:
        self.assert_enabled("execute")
        self.commands.append(data)
        job_id = data.pipeline
        match job_id:
            case "refused":
                raise salobj.ExpectedError("Unknown pipeline")
            case "nameless":
                await self.cmd_execute.ack_in_progress(data, timeout=TIMEOUT, result="busy")
                return
            case "hasty":
                await self.publish(job_id)
        await self.cmd_execute.ack_in_progress(data, timeout=TIMEOUT, result=json.dumps({"job_id": job_id}))
        async with asyncio.timeout(TIMEOUT):
            if failure := await self._end_of(job_id):
                raise salobj.ExpectedError(failure)

    async def do_abort_job(self, data: Any) -> None:
        if data.job_id == "gone":
            raise salobj.ExpectedError("Job is unknown")
        self.aborted.append(data.job_id)
        await self.publish(data.job_id, 255)

    def _end_of(self, job_id: str) -> asyncio.Future[str]:
        return self._ends.setdefault(job_id, asyncio.get_running_loop().create_future())


@pytest_asyncio.fixture
async def ocps(topics: None) -> AsyncIterator[MockOcps]:
    async with MockOcps() as csc:
        yield csc


@pytest_asyncio.fixture
async def remote(domain: Any, ocps: MockOcps) -> AsyncIterator[Any]:
    async with salobj.Remote(domain, "OCPS", 1, include=TOPICS) as remote:
        yield remote


@pytest_asyncio.fixture
async def jobs(remote: Any) -> OcpsJobs:
    return make_jobs(remote)


def make_jobs(remote: Any, job_timeout: float = TIMEOUT) -> OcpsJobs:
    watch = ComponentWatch([remote])
    return OcpsJobs(remote, watch, job_timeout=job_timeout, log_path="/uws/{job_id}/outs/ocps.log")


def request(job_id: str) -> JobRequest:
    return JobRequest(
        job_id, ("LATISS/calib",), ("-c", "cpBiasIsr:doDefect=False"), "LATISS", (0,), (2026112500001,), 2
    )


async def submit(jobs: OcpsJobs, *job_ids: str) -> None:
    for job_id in job_ids:
        assert await jobs.submit(request(job_id)) == job_id


async def test_a_job_is_told_what_to_run(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "cpBias")
    (command,) = ocps.commands
    assert (command.pipeline, command.config, command.data_query) == (
        "cpBias",
        "-j 2 -i LATISS/calib --register-dataset-types -c cpBiasIsr:doDefect=False",
        "instrument='LATISS' AND detector IN (0) AND exposure IN (2026112500001)",
    )
    assert jobs.collection("cpBias") == "u/ocps/cpBias"
    assert jobs.run_collection("cpBias") == "u/ocps/cpBias/run"
    assert jobs.log_path("cpBias") == "/uws/cpBias/outs/ocps.log"


async def test_results_in_reverse_order_reach_their_jobs(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "first", "second")
    results = asyncio.gather(jobs.result("first"), jobs.result("second"))
    await ocps.publish("second", 1)
    await ocps.publish("first", 0)
    assert await results == [JobResult("first", 0), JobResult("second", 1)]


async def test_a_result_may_come_before_its_jobs_acknowledgement(jobs: OcpsJobs) -> None:
    await submit(jobs, "hasty")
    assert await jobs.result("hasty") == JobResult("hasty", 0)


async def test_of_two_results_of_a_job_the_first_counts(jobs: OcpsJobs, ocps: MockOcps) -> None:
    # Given that an aborted job has two results: of the abort, and of its end.
    await submit(jobs, "mine", "next")
    await ocps.publish("mine", 255)
    await ocps.publish("mine", 0)
    await ocps.publish("next", 0)
    assert await jobs.result("next") == JobResult("next", 0)
    assert await jobs.result("mine") == JobResult("mine", 255)


async def test_results_of_other_clients_are_not_taken_for_ours(
    jobs: OcpsJobs, ocps: MockOcps, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more of them than are kept.
    monkeypatch.setattr("lsst.ts.calibrationscripts.observatory.ocps._FORGET_AFTER", 3)
    await submit(jobs, "mine")
    result = asyncio.create_task(jobs.result("mine"))
    for i in range(10):
        await ocps.publish(f"theirs{i}", 1)
    await ocps.publish("mine", 0)
    assert await result == JobResult("mine", 0)


@pytest.mark.parametrize("exit_code", [0, 1, 255])
async def test_the_exit_code_is_handed_on(jobs: OcpsJobs, ocps: MockOcps, exit_code: int) -> None:
    await submit(jobs, "cpBias")
    await ocps.publish("cpBias", exit_code)
    ocps.end("cpBias")
    assert await jobs.result("cpBias") == JobResult("cpBias", exit_code)


async def test_a_job_that_is_refused_says_why(jobs: OcpsJobs) -> None:
    with pytest.raises(JobRefusedError, match=r"did not accept refused: .*Unknown pipeline"):
        await jobs.submit(request("refused"))


async def test_a_job_without_an_id_is_an_error(jobs: OcpsJobs) -> None:
    with pytest.raises(JobRefusedError, match="accepted a job without its id: 'busy'"):
        await jobs.submit(request("nameless"))


async def test_a_job_that_nobody_acknowledges_is_given_up(
    domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OcpsJobs, "SUBMIT_TIMEOUT", SHORT)
    async with salobj.Remote(domain, "OCPS", 1, include=TOPICS) as remote:
        with pytest.raises(JobRefusedError, match=r"did not accept cpBias: .*not acknowledged in time"):
            await make_jobs(remote).submit(request("cpBias"))


async def test_a_job_that_the_ocps_loses_is_an_error_at_once(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "lost", "other")
    result = asyncio.create_task(jobs.result("lost"))
    ocps.end("lost", "404 from the execution service")
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(JobLostError, match=r"lost job lost: .*404 from the execution service"):
            await result
    # The other job runs on.
    await ocps.publish("other")
    assert (await jobs.result("other")).exit_code == 0


async def test_a_command_that_ends_without_a_result_is_an_error(
    jobs: OcpsJobs, ocps: MockOcps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OcpsJobs, "RESULT_GRACE", SHORT)
    await submit(jobs, "mute")
    result = asyncio.create_task(jobs.result("mute"))
    ocps.end("mute")
    with pytest.raises(JobLostError, match="ended job mute but published no result"):
        await result


async def test_a_result_may_come_after_the_command_has_ended(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "slow")
    async with salobj.Domain() as domain, salobj.Remote(domain, "OCPS", 1) as other:
        result = asyncio.create_task(jobs.result("slow"))
        ocps.end("slow")
        # Once another command is acknowledged, the first one's end is known.
        await other.cmd_abort_job.set_start(job_id="unrelated", timeout=TIMEOUT)
    await ocps.publish("slow", 1)
    assert await result == JobResult("slow", 1)


async def test_a_job_that_never_ends_is_given_up(remote: Any) -> None:
    jobs = make_jobs(remote, job_timeout=SHORT)
    await submit(jobs, "endless")
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(JobTimeoutError, match=r"job endless did not end within 0.3 s .*'job_timeout'"):
            await jobs.result("endless")


async def test_an_ocps_that_goes_to_fault_loses_its_jobs_at_once(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "first", "second")
    results = [asyncio.create_task(jobs.result(job_id)) for job_id in ("first", "second")]
    await ocps.fault(code=1, report="no execution service")
    async with asyncio.timeout(TIMEOUT):
        errors = await asyncio.gather(*results, return_exceptions=True)
    assert [(type(error), str(error)) for error in errors] == [
        (JobLostError, f"the OCPS lost job {job_id}: OCPS:1 went to FAULT (error 1: no execution service)")
        for job_id in ("first", "second")
    ]
    # And it is not asked to run another job, or to abort one.
    with pytest.raises(JobRefusedError, match="did not accept third: OCPS:1 went to FAULT"):
        await jobs.submit(request("third"))
    with pytest.raises(ObservatoryError, match="OCPS:1 went to FAULT"):
        await jobs.abort("first")
    assert len(ocps.commands) == 2


async def test_a_job_that_was_lost_may_yet_have_a_result(jobs: OcpsJobs, ocps: MockOcps, remote: Any) -> None:
    await submit(jobs, "cpBias")
    await ocps.fault(code=1, report="no execution service")
    with pytest.raises(JobLostError):
        await jobs.result("cpBias")
    # Given an OCPS that comes back, with the job's end.
    assert not await jobs.wait_ready(timeout=SHORT)
    waiting = asyncio.create_task(jobs.wait_ready(timeout=TIMEOUT))
    for command in ("standby", "start", "enable"):
        await getattr(remote, f"cmd_{command}").start(timeout=TIMEOUT)
    assert await waiting
    await ocps.publish("cpBias")
    assert await jobs.result("cpBias") == JobResult("cpBias", 0)


async def test_an_ocps_that_dies_loses_its_jobs(remote: Any, ocps: MockOcps) -> None:
    watch = ComponentWatch([remote], heartbeat_timeout=1.5)
    jobs = OcpsJobs(remote, watch, job_timeout=TIMEOUT, log_path="")
    await submit(jobs, "cpBias")
    ocps.heartbeat_interval = TIMEOUT
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(JobLostError, match=r"lost job cpBias: no heartbeat of OCPS:1 for \d s"):
            await jobs.result("cpBias")


async def test_a_job_of_an_earlier_process_may_be_waited_for(remote: Any, ocps: MockOcps) -> None:
    jobs = make_jobs(remote)
    result = asyncio.create_task(jobs.result("cpBias"))
    await ocps.publish("theirs", 1)
    await ocps.publish("cpBias", 0)
    assert await result == JobResult("cpBias", 0)


async def test_who_waits_for_a_job_can_be_stopped(jobs: OcpsJobs) -> None:
    await submit(jobs, "cpBias")
    result = asyncio.create_task(jobs.result("cpBias"))
    await asyncio.sleep(0)
    result.cancel()
    with pytest.raises(asyncio.CancelledError):
        await result


async def test_an_aborted_job_ends_with_its_own_exit_code(jobs: OcpsJobs, ocps: MockOcps) -> None:
    await submit(jobs, "cpBias")
    await jobs.abort("cpBias")
    assert ocps.aborted == ["cpBias"]
    assert await jobs.result("cpBias") == JobResult("cpBias", 255)


async def test_an_abortion_that_is_refused_says_why(jobs: OcpsJobs) -> None:
    with pytest.raises(ObservatoryError, match="Job is unknown"):
        await jobs.abort("gone")


async def test_an_abortion_that_nobody_acknowledges_is_an_error(
    domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OcpsJobs, "ABORT_TIMEOUT", SHORT)
    async with salobj.Remote(domain, "OCPS", 1, include=TOPICS) as remote:
        with pytest.raises(ObservatoryError, match="not acknowledged in time"):
            await make_jobs(remote).abort("cpBias")


async def test_an_ocps_that_is_enabled_has_nothing_to_mend(jobs: OcpsJobs) -> None:
    assert await jobs.check() == ()


async def test_an_ocps_that_is_not_enabled_is_told(jobs: OcpsJobs, remote: Any) -> None:
    await remote.cmd_disable.start(timeout=TIMEOUT)
    async with asyncio.timeout(TIMEOUT):
        while (await remote.evt_summaryState.next(flush=False)).summaryState != salobj.State.DISABLED:
            pass
    assert await jobs.check() == ("OCPS:1 is DISABLED; it must be ENABLED",)


async def test_an_ocps_that_is_not_there_is_told(domain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OcpsJobs, "STATE_TIMEOUT", SHORT)
    async with salobj.Remote(domain, "OCPS", 1, include=TOPICS) as remote:
        assert await make_jobs(remote).check() == ("OCPS:1 does not report its state; is it running?",)
