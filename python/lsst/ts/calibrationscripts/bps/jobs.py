# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""bps as the procedure's job service."""

from __future__ import annotations

__all__ = ["BpsJobs"]

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path

import yaml

from ..files.private import make_folder
from ..job_names import BpsNames
from ..plan import JobRequest
from ..ports import JobLostError, JobRefusedError, JobResult, JobTimeoutError, ObservatoryError
from ..threads import in_thread
from .logs import cause_and_end, worth_reading
from .processes import end_all, slurm_name
from .site import Site
from .submission import make_submission

_RUN_ID = re.compile(r"^Run Id: (\S+)$", re.MULTILINE)
_PACKAGES = {"CTRL_MPEXEC_DIR": "pipetask", "DAF_BUTLER_DIR": "butler"}
"""What the settings of bps call the folders of commands, and one of each."""


class BpsJobs(BpsNames):
    """A `JobService` that submits each job with ``bps`` to a batch system.

    A job has a folder of its own, below that of the journals, which its id
    names. Its output collections follow from the id too.

    Parameters
    ----------
    site : `Site`
        The batch system.
    repo : `str`
        Butler repository.
    raws : `str`
        Collection of the frames.
    journals : `pathlib.Path`
        Folder of the run's journal. Each node must see it under its name.
    run_id : `str`
        Id of the run, with which those of its jobs begin.
    job_timeout : `float`
        Longest that a job may take (s).
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which say where the pipelines are.

    Notes
    -----
    Parsl's workflow is a process of this machine, which ends with the job and
    with this process; `resume` continues it. With HTCondor or PanDA it is in
    their hands, and `resume` finds it again.
    """

    CHECK_TIMEOUT = 90.0
    """Longest wait until a batch system answers (s)."""

    ABORT_TIMEOUT = 60.0
    """Longest wait until a job is ended (s)."""

    COUNT_TIMEOUT = 300.0
    """Longest that the quanta of a job are counted (s)."""

    POLL = 20.0
    """How often the state of a job is asked for (s); each takes 2 s of CPU."""

    LOST_AFTER = 300.0
    """How long a batch system may not know a job, or not answer (s)."""

    LOG_TIMEOUT = 10.0
    """Longest that logs are searched (s)."""

    def __init__(
        self,
        site: Site,
        *,
        repo: str,
        raws: str,
        journals: Path,
        run_id: str,
        job_timeout: float,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(journals.absolute())
        self._site = site
        self._repo = repo
        self._raws = raws
        self._run_id = run_id
        self._job_timeout = job_timeout
        self._environment = _complete(environment)
        self._guards: dict[str, Process] = {}
        self._aborted: set[str] = set()
        self._logs: dict[str, Path] = {}

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return Path(self.submit_folder(job_id))

    def log_path(self, job_id: str) -> str:
        """Return the path of a job's log: of what failed, once it is known."""
        return str(self._logs.get(job_id, super().log_path(job_id)))

    async def check(self) -> tuple[str, ...]:
        """Return what prevents it from running jobs, if anything."""
        path = self._environment["PATH"]
        wanted = ["bps", "pipetask", "butler"]
        if self._site.is_slurm:
            wanted += ["sbatch", "squeue", "scancel"]
        missing = [name for name in wanted if shutil.which(name, path=path) is None]
        if missing:
            return (
                f"job_service: bps needs {', '.join(missing)}, which PATH does not have; set up the Science "
                "Pipelines and the batch system, or install ts-calibrationscripts[bps]",
            )
        try:
            await in_thread(lambda: make_folder(self.folder("").parent / "bps"))
        except OSError as error:
            return (f"{error.filename} cannot be made: {error.strerror}; write another journal_dir",)
        code, said = await self._ask("-m", f"{__package__}.probe", self._site.service)
        if code:
            return (f"{self._site.path}: {said}",)
        return ()

    async def wait_ready(self, timeout: float) -> bool:
        """Wait until jobs can be submitted; return whether they can."""
        limit = time.monotonic() + timeout
        while await self.check():
            if time.monotonic() > limit:
                return False
            await asyncio.sleep(1.0)
        return True

    async def submit(self, request: JobRequest) -> str:
        """Start a job and return its id."""
        job_id = f"{self._run_id}_{uuid.uuid4().hex[:12]}"
        folder = self.folder(job_id)
        settings = make_submission(
            job_id,
            request,
            self._site,
            folder / "submit",
            repo=self._repo,
            raws=self._raws,
            output=self.collection(job_id),
        )

        def write() -> None:
            make_folder(folder)
            (folder / "job.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))

        try:
            await in_thread(write)
            await self._start(job_id, "submit", str(folder / "job.yaml"))
        except OSError as error:
            raise JobRefusedError(f"bps could not be started for {request.pipeline}: {error}") from error
        return job_id

    async def resume(self, job_id: str) -> bool:
        """Continue a job of an earlier process; return whether it runs.

        What has ended of it is not done again.
        """
        folder = self.folder(job_id)
        if not await in_thread(lambda: (folder / "submit").is_dir()):
            return False
        await in_thread(lambda: end_all(job_id, slurm=self._site.is_slurm))
        if self._site.is_parsl:
            # Before there is this folder, nothing has been done.
            if not await in_thread(lambda: (folder / "runinfo").is_dir()):
                return False
        else:
            state = await self._state(job_id)
            if state in _RUNNING or state == _SUCCEEDED:
                return True
            if state not in _ENDED:
                return False
        try:
            await self._start(job_id, "restart", *self._of_service, "--id", str(folder / "submit"))
        except OSError:
            return False
        return True

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job."""
        try:
            async with asyncio.timeout(self._job_timeout):
                code = await self._end(job_id)
        except TimeoutError:
            raise JobTimeoutError(
                f"job {job_id} did not end within {self._job_timeout:g} s (configuration key 'job_timeout')"
            ) from None
        if job_id in self._aborted:
            return JobResult(job_id, 255)
        if code or await self._unfinished(job_id):
            await self._find_log(job_id)
            return JobResult(job_id, 1)
        return JobResult(job_id, 0)

    async def _end(self, job_id: str) -> int:
        """Return the exit code of a workflow, once it has ended."""
        if guard := self._guards.get(job_id):
            code = await guard.wait()
            self._guards.pop(job_id, None)
            if self._site.is_parsl or job_id in self._aborted:
                return code
            await self._raise_if_not_taken(job_id, code)
            if code:
                return code
        elif self._site.is_parsl:
            raise JobLostError(f"job {job_id} was ended with the script that had started it")
        known = time.monotonic()
        while True:
            state = await self._state(job_id)
            if state in _ENDED:
                return 0 if state == _SUCCEEDED else 1
            if state in _RUNNING:
                known = time.monotonic()
            elif time.monotonic() > known + self.LOST_AFTER:
                raise JobLostError(f"the batch system has not known job {job_id} for {self.LOST_AFTER:g} s")
            await asyncio.sleep(self.POLL)

    async def _raise_if_not_taken(self, job_id: str, code: int) -> None:
        """Raise if there is a workflow, and the batch system refused it.

        ``bps restart`` that fails has exit code 0.
        """
        folder = self.folder(job_id)

        def refusal() -> str:
            said = (folder / "bps.log").read_text(errors="replace").strip().splitlines()
            if said and said[-1].startswith("Restart failed"):
                return said[-1]
            if code and any((folder / "submit").glob("*.qg")):
                return said[-1] if said else "it does not say why"
            return ""

        with contextlib.suppress(OSError):
            if why := await in_thread(refusal):
                raise JobLostError(f"the batch system did not take job {job_id}: {why}")

    async def _unfinished(self, job_id: str) -> str:
        """Return what of a job has not ended well, whatever is said of it."""
        graphs = await in_thread(lambda: sorted((self.folder(job_id) / "submit").glob("*.qg")))
        if not graphs:
            return "it has no quantum graph"
        code, said = await self._ask(
            "-m",
            f"{__package__}.quanta",
            str(graphs[0]),
            self._repo,
            self.run_collection(job_id),
            timeout=self.COUNT_TIMEOUT,
        )
        if code:
            return f"its quanta could not be counted: {said}"
        left = [
            f"{n_quanta - n_ended} of {n_quanta} quanta of {label}"
            for label, (n_quanta, n_ended) in json.loads(said).items()
            if n_ended < n_quanta
        ]
        if left:
            await self._note(job_id, f"Not ended well: {', '.join(left)}.")
        return ", ".join(left)

    async def _note(self, job_id: str, text: str) -> None:
        def write() -> None:
            with Path(self.submit_folder(job_id), "bps.log").open("a") as stream:
                stream.write(f"{text}\n")

        with contextlib.suppress(OSError):
            await in_thread(write)

    async def abort(self, job_id: str) -> None:
        """Stop a job: all its processes, and its places in queues."""
        self._aborted.add(job_id)
        try:
            async with asyncio.timeout(self.ABORT_TIMEOUT):
                if guard := self._guards.get(job_id):
                    assert guard.stdin is not None, "it is a pipe"
                    guard.stdin.close()
                    await guard.wait()
                left = await in_thread(lambda: end_all(job_id, slurm=self._site.is_slurm))
                if not self._site.is_parsl:
                    left = left or await self._cancel(job_id)
        except TimeoutError:
            left = f"it did not end within {self.ABORT_TIMEOUT:g} s"
        if left:
            by_hand = f". End it with: scancel --name={slurm_name(job_id)}" if self._site.is_slurm else ""
            raise ObservatoryError(f"{left}{by_hand}")

    async def _cancel(self, job_id: str) -> str:
        """Cancel a job of a service that has a queue; return what failed."""
        code, said = await self._bps("cancel", "--id", await self._service_id(job_id))
        if code or "Couldn't cancel" in said:
            return said or "bps cancel failed"
        return ""

    async def log_tail(self, job_id: str) -> tuple[str, ...]:
        """Return the last lines of the log that says why it failed."""
        return await self._lines(Path(self.log_path(job_id)))

    async def _find_log(self, job_id: str) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self.LOG_TIMEOUT):
                self._logs[job_id] = await in_thread(lambda: worth_reading(self.folder(job_id)))

    async def _lines(self, log: Path) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self.LOG_TIMEOUT):
                return await in_thread(lambda: cause_and_end(log))
        except (OSError, ValueError, TimeoutError):
            return ()

    async def _state(self, job_id: str) -> int:
        """Return the state of a workflow, as the exit code of its status."""
        code, _ = await self._bps("status", "--hist", "7", "--id", await self._service_id(job_id))
        return code

    async def _service_id(self, job_id: str) -> str:
        """Return what the batch system calls a job; else its folder."""
        folder = self.folder(job_id)

        def read() -> str:
            with contextlib.suppress(OSError):
                if found := _RUN_ID.findall((folder / "bps.log").read_text(errors="replace")):
                    return str(found[-1])
            return str(folder / "submit")

        return await in_thread(read)

    async def _start(self, job_id: str, *words: str) -> None:
        """Start ``bps`` and what ends it once this process has ended."""
        self._guards[job_id] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.guard",
            job_id,
            super().log_path(job_id),
            *(["--slurm"] if self._site.is_slurm else []),
            self._program,
            "--long-log",
            *words,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            cwd=self.folder(job_id),
            env=self._environment,
            start_new_session=True,
        )

    async def _bps(self, command: str, *words: str) -> tuple[int, str]:
        return await self._run(self.CHECK_TIMEOUT, self._program, command, *self._of_service, *words)

    @property
    def _program(self) -> str:
        return shutil.which("bps", path=self._environment["PATH"]) or "bps"

    @property
    def _of_service(self) -> tuple[str, str]:
        return "--wms-service-class", self._site.service

    async def _ask(self, *words: str, timeout: float | None = None) -> tuple[int, str]:
        return await self._run(timeout or self.CHECK_TIMEOUT, sys.executable, *words)

    async def _run(self, timeout: float, *command: str) -> tuple[int, str]:
        """Return the exit code of a command and the last line that it says."""
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self._environment, start_new_session=True
        )
        try:
            async with asyncio.timeout(timeout):
                out, errors = await process.communicate()
        except TimeoutError:
            return 124, f"no answer within {timeout:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        lines = (out if out.strip() else errors).decode(errors="replace").strip().splitlines()
        return process.returncode or 0, lines[-1] if lines else ""


# Exit codes of ``bps status`` (lsst/ctrl_bps eacc068a, wms_service.py).
_SUCCEEDED = 0
_ENDED = (_SUCCEEDED, 16, 19, 20)
"""And deleted, failed, pruned."""
_RUNNING = (12, 13, 14, 15, 17)
"""Not ready, ready, pending, running, held."""


def _complete(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the commands of bps are found."""
    own = str(Path(sys.executable).parent)
    complete = {**os.environ, **environment}
    path = complete.get("PATH", os.defpath)
    # Parsl and Slurm find their parts in PATH, those of this Python.
    complete["PATH"] = path if own in path.split(os.pathsep) else f"{path}{os.pathsep}{own}"
    for variable, command in _PACKAGES.items():
        found = shutil.which(command, path=complete["PATH"])
        if variable not in complete and found is not None:
            complete[variable] = str(Path(found).parent.parent)
    return complete
