# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock OCPS: runs each job as a real ``pipetask`` command."""

from __future__ import annotations

__all__ = ["OcpsCsc", "OcpsJob", "cap_processes", "log_path", "processes_worth_using"]

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import uuid
from pathlib import Path
from typing import Any

from ...instruments import Instrument
from ...observatory.sal import salobj
from ..runner import PipetaskJob, PipetaskRunner, RunnerDiedError
from .base import SimulatedCsc, step
from .uws import OcpsJob, log_path, now

JOB_TIMEOUT = 3600.0
"""Time after which the OCPS kills a job (second)."""

ABORTED = 255
"""``job_result.exit_code`` of a job that was aborted."""

FAILED = 1
"""``job_result.exit_code`` of any other job that did not succeed."""

_ACK_TIMEOUT = 600.0
_KILL_TIMEOUT = 30.0

_CORES_PER_PROCESS = 4
"""Cores per process of a job. The start of a process costs 2.6 CPU-seconds,
and a quantum of a simulated frame a tenth of that."""


def processes_worth_using() -> int:
    """Return how many processes are useful for a job on this machine.

    Returns
    -------
    n_processes : `int`
    """
    return max(1, (os.cpu_count() or 1) // _CORES_PER_PROCESS)


def cap_processes(options: list[str], limit: int) -> tuple[list[str], int]:
    """Limit the number of processes that ``pipetask run`` uses.

    Parameters
    ----------
    options : `list` [`str`]
        Its options, of which ``-j`` or ``--processes`` may be one.
    limit : `int`
        The largest number that is allowed.

    Returns
    -------
    capped : `list` [`str`]
        The same options, with no number above the limit.
    wanted : `int`
        The largest number that was requested, 0 if there was none.
    """
    capped = list(options)
    wanted = 0
    for i, option in enumerate(options):
        previous = options[i - 1] if i else ""
        match = re.fullmatch(r"(-j|--processes=)?(\d+)", option)
        if match is None or bool(match[1]) == (previous in ("-j", "--processes")):
            continue
        wanted = max(wanted, int(match[2]))
        capped[i] = f"{match[1] or ''}{min(int(match[2]), limit)}"
    return capped, wanted


class OcpsCsc(SimulatedCsc):
    """Executes pipelines as the OCPS does, several at the same time.

    Parameters
    ----------
    instrument : `Instrument`
        The camera, which has an index of the OCPS to itself.
    runner : `PipetaskRunner`
        Runs the commands.
    repo : `pathlib.Path`
        Butler repository.
    uws : `pathlib.Path`
        Folder of all jobs; see `log_path`.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.

    Notes
    -----
    Behind the real OCPS is a service that runs the jobs and that it asks for
    their state, by HTTP (lsst-ts/dm_OCPS, 7c72243b; lsst-dm/uws-api-server,
    763f609d). So a job goes on if the command that submitted it fails, and an
    abort deletes the job with all of its files, which then is not found.

    The real OCPS ends a job with ``butler retrieve-artifacts`` into the job's
    folder. Nothing reads these copies, so this one leaves them out.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        runner: PipetaskRunner,
        repo: Path,
        uws: Path,
        initial_state: Any = None,
    ) -> None:
        super().__init__("OCPS", instrument.ocps_index, initial_state=initial_state)
        self.cmd_execute.allow_multiple_callbacks = True
        self.jobs: dict[str, OcpsJob] = {}
        """Every job since the start, by id."""
        self._raw_collection = instrument.raw_collection
        self._runner = runner
        self._repo = repo
        self._uws = uws
        self._max_processes = processes_worth_using()

    async def close_tasks(self) -> None:
        """End the jobs that still run."""
        await super().close_tasks()
        running = [job for job in self.jobs.values() if not job.done.is_set()]
        await asyncio.gather(*map(self._abort, running))
        for job in running:
            job.gone.set()

    async def do_execute(self, data: Any) -> None:
        """Run a pipeline; complete when it has ended, also if it failed."""
        self.assert_enabled("execute")
        await self.wait_for_jobs(filter(None, data.prereq_jobs.split(",")))
        job = await self.make_job(data)
        await asyncio.to_thread(self._open, job)
        self.jobs[job.job_id] = job
        await self.acknowledge(data, job)
        job.work = asyncio.create_task(self.run(job), name=job.job_id)
        await self.poll(job)
        await self.publish_result(job)

    async def do_abort_job(self, data: Any) -> None:
        """Kill a job; its result has the exit code 255."""
        self.assert_enabled("abort_job")
        job = self.jobs.get(data.job_id)
        if job is None or job.aborted:
            raise salobj.ExpectedError(_not_found(data.job_id))
        await self._abort(job)
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)
        await self.publish_result(job)
        job.gone.set()

    async def wait_for_jobs(self, job_ids: Any) -> None:
        """Wait until jobs have ended, also if they failed."""
        for job_id in job_ids:
            if job_id not in self.jobs:
                self.log.warning("Prerequisite job %s does not exist.", job_id)
                continue
            async with asyncio.timeout(JOB_TIMEOUT + _KILL_TIMEOUT):
                await self.jobs[job_id].done.wait()

    @step
    async def make_job(self, data: Any) -> OcpsJob:
        """Make the job that a command asks for.

        Parameters
        ----------
        data : ``cmd_execute.DataType``
            The command.

        Returns
        -------
        job : `OcpsJob`
            The job, not yet written or started.

        Raises
        ------
        lsst.ts.salobj.ExpectedError
            If ``config`` has a quote that is not closed.
        """
        try:
            options = shlex.split(data.config)
        except ValueError as error:
            raise salobj.ExpectedError(f"config={data.config!r} cannot be split: {error}.") from error
        remark = ""
        options, wanted = cap_processes(options, self._max_processes)
        if wanted > self._max_processes:
            remark = f"{wanted} processes requested, {self._max_processes} used: more are not faster here."
        job_id = uuid.uuid4().hex
        output = f"u/ocps/{job_id}"
        argv = ["--long-log", "run", "-p", data.pipeline, "-b", str(self._repo), "-o", output]
        argv += ["-i", self._raw_collection]
        argv += [*options, "--output-run", f"{output}/run"]
        if data.data_query:
            argv += ["-d", data.data_query]
        environment = {
            "IMAGE_TAG": data.version,
            "PIPELINE_URL": data.pipeline,
            "BUTLER_REPO": str(self._repo),
            "RUN_OPTIONS": f"-i {self._raw_collection} {data.config}",
            "OUTPUT_GLOB": data.output_dataset_types or "*",
            "DATA_QUERY": data.data_query,
        }
        return OcpsJob(
            job_id, str(data.private_seqNum), self._uws / "jobs" / job_id, environment, argv, remark
        )

    @step
    async def acknowledge(self, data: Any, job: OcpsJob) -> None:
        """Send the client the id of its job."""
        await self.cmd_execute.ack_in_progress(
            data, timeout=_ACK_TIMEOUT, result=json.dumps({"job_id": job.job_id})
        )

    @step
    async def poll(self, job: OcpsJob) -> None:
        """Ask for the state of a job until it has ended.

        Raises
        ------
        lsst.ts.salobj.ExpectedError
            If it was aborted: then it is not found.
        """
        assert job.work is not None, "do_execute sets it"
        await asyncio.shield(job.work)
        if job.aborted:
            await job.gone.wait()
            raise salobj.ExpectedError(_not_found(job.job_id))

    async def run(self, job: OcpsJob) -> None:
        """Run a job to its end, whatever becomes of its command."""
        try:
            await self._run(job)
        finally:
            job.done.set()

    async def _run(self, job: OcpsJob) -> None:
        job.phase = "executing"
        job.started = now()
        await asyncio.to_thread(job.save)
        code, trouble = FAILED, ""
        try:
            if not job.aborted:
                job.process = await self._runner.start(
                    job.argv,
                    log=job.log,
                    cwd=job.folder,
                    env={"TMPDIR": str(job.scratch)},
                    full=self._repo if job.disk_full else None,
                )
            if job.process is not None:
                if job.aborted:
                    await job.process.kill()
                code = await self.attend(job, job.process)
        except TimeoutError:
            trouble = f"killed after {JOB_TIMEOUT:g} s"
            await self._kill(job)
        except (RunnerDiedError, OSError) as error:
            trouble = str(error)
        job.ended = now()
        if job.aborted:
            job.exit_code, job.phase, trouble = ABORTED, "aborted", "aborted by request"
        else:
            job.exit_code = FAILED if code else 0
            job.phase = "error" if code else "completed"
        await asyncio.to_thread(self._close, job, trouble or f"pipetask ended with exit code {code}")

    @step
    async def attend(self, job: OcpsJob, process: PipetaskJob) -> int:
        """Wait for a running job; return the exit code of ``pipetask``."""
        return await process.wait(JOB_TIMEOUT)

    @step
    async def publish_result(self, job: OcpsJob) -> None:
        """Publish ``job_result``.

        As in the real OCPS, ``result`` is the text of the submission, whose
        phase is out of date: only the exit code says how the job ended.
        """
        await self.evt_job_result.set_write(
            job_id=job.job_id, exit_code=job.exit_code, result=job.submission, force_output=True
        )

    @staticmethod
    async def _kill(job: OcpsJob) -> None:
        if job.process is not None:
            # If the runner died, the job has ended with it.
            with contextlib.suppress(RunnerDiedError):
                await job.process.kill()
                await job.process.wait(_KILL_TIMEOUT)

    async def _abort(self, job: OcpsJob) -> None:
        job.aborted = True
        if not job.done.is_set():
            await self._kill(job)
            async with asyncio.timeout(_KILL_TIMEOUT):
                await job.done.wait()
        job.exit_code = ABORTED

    @staticmethod
    def _open(job: OcpsJob) -> None:
        job.log.parent.mkdir(parents=True)
        job.scratch.mkdir()
        job.submission = job.to_json()
        job.phase = "queued"
        job.save()
        if job.remark:
            job.note(job.remark)
        job.note(shlex.join(["pipetask", *job.argv]))

    @staticmethod
    def _close(job: OcpsJob, trouble: str) -> None:
        # A job that was killed did not remove its files.
        shutil.rmtree(job.scratch, ignore_errors=True)
        job.note(trouble)
        job.save()


def _not_found(job_id: str) -> str:
    return f"404 Client Error: NOT FOUND for url: http://uws-api-server/api/v1/job/{job_id}"
