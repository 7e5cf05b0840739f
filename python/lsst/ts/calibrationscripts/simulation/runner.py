# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run many ``pipetask`` commands from one process that has it imported.

`PipetaskRunner` starts this process, the *zygote*, and talks to it; see
`lsst.ts.calibrationscripts.simulation.zygote`.
"""

from __future__ import annotations

__all__ = ["PipetaskJob", "PipetaskRunner", "RunnerDiedError"]

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)

CLOSE_TIMEOUT = 10.0
"""Time that the zygote has to end after its input has ended (second)."""

_SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""A process that forks must have one thread. One core per job is right too."""


class RunnerDiedError(RuntimeError):
    """The process that runs the jobs ended before the job did."""


class PipetaskJob:
    """One ``pipetask`` command, running or done.

    Made by `PipetaskRunner.start`.

    Parameters
    ----------
    job_id : `str`
        Name of the job between the runner and its zygote.
    runner : `PipetaskRunner`
        The runner that started it.
    """

    def __init__(self, job_id: str, runner: PipetaskRunner) -> None:
        self.job_id = job_id
        self.pid: int | None = None
        """Process id and process group of the job, once it has started."""
        self._runner = runner
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # A job that fails is not waited for.
        self._exit.add_done_callback(lambda future: future.cancelled() or future.exception())

    @property
    def done(self) -> bool:
        """Whether the job has ended."""
        return self._exit.done()

    async def wait(self, timeout: float | None = None) -> int:
        """Wait for the job to end.

        Parameters
        ----------
        timeout : `float`, optional
            Longest wait (second). By default, only the end of the job or of
            the runner ends the wait.

        Returns
        -------
        code : `int`
            The exit code of ``pipetask``; ``-n`` if signal n ended it.

        Raises
        ------
        RunnerDiedError
            If the runner ended before the job.
        TimeoutError
            If the job still runs after ``timeout``. It is not ended.
        """
        async with asyncio.timeout(timeout):
            return await asyncio.shield(self._exit)

    async def kill(self) -> None:
        """End the job and every process of its group, if it still runs.

        Raises
        ------
        RunnerDiedError
            If the runner has just ended, and the job with it.
        """
        if not self.done:
            await self._runner._send({"op": "kill", "id": self.job_id})


class PipetaskRunner:
    """A process that has ``pipetask`` imported and forks for each job.

    Use it as an asynchronous context manager, or call `launch` and `close`.
    Entering starts the process and does not wait for its imports. A job
    that is started before they are done waits for them.

    Parameters
    ----------
    env : mapping of `str` to `str`, optional
        Environment of the jobs beyond that of this process, for example
        ``CP_PIPE_DIR``.
    preload : sequence of `str`, optional
        Modules that the zygote imports too, such as those of the tasks.
    """

    def __init__(self, env: Mapping[str, str] | None = None, preload: Sequence[str] = ()) -> None:
        self._env = dict(env or {})
        self._preload = tuple(preload)
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs: dict[str, PipetaskJob] = {}
        self._ready: asyncio.Future[None] | None = None
        self._stderr = ""
        self._names = itertools.count(1)

    async def __aenter__(self) -> PipetaskRunner:
        await self.launch()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the zygote, `None` when it has not been launched."""
        return None if self._process is None else self._process.pid

    async def launch(self) -> None:
        """Start the zygote, without waiting for its imports.

        Raises
        ------
        RuntimeError
            If it has been started already.
        """
        if self._process is not None:
            raise RuntimeError("The pipetask runner has been launched already.")
        self._ready = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        # A session of its own: Ctrl-C in a terminal reaches only this
        # process, which then ends the jobs.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.zygote",
            *self._preload,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **_SINGLE_THREAD, **self._env},
            start_new_session=True,
        )
        self._tasks = [
            asyncio.create_task(self._read_events(self._process, self._ready), name="pipetask runner events"),
            asyncio.create_task(self._read_errors(self._process), name="pipetask runner errors"),
        ]

    async def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until ``pipetask`` is imported.

        Parameters
        ----------
        timeout : `float`, optional
            Longest wait (second).

        Raises
        ------
        RunnerDiedError
            If the process ended, for example because an import failed.
        TimeoutError
            If it takes longer than ``timeout``.
        """
        if self._ready is None:
            raise RunnerDiedError("The pipetask runner has not been launched.")
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._ready)

    async def start(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        full: Path | None = None,
    ) -> PipetaskJob:
        """Start one ``pipetask`` command.

        Parameters
        ----------
        argv : sequence of `str`
            Arguments after ``pipetask``, for example ``["run", "-p", ...]``.
        log : `pathlib.Path`
            File that gets standard output and standard error, appended.
        cwd : `pathlib.Path`, optional
            Working folder of the command; by default that of this process.
        env : mapping of `str` to `str`, optional
            Environment beyond that of the runner.
        full : `pathlib.Path`, optional
            Folder without space: each file that the command opens there for
            writing is an `OSError` (ENOSPC).

        Returns
        -------
        job : `PipetaskJob`
            The job.

        Raises
        ------
        RunnerDiedError
            If the runner does not run.
        OSError
            If the log cannot be written or ``cwd`` is not a folder.
        """
        # These errors are raised here, where the caller sees them.
        log_path, folder = await asyncio.to_thread(_prepare, log, cwd)
        job = PipetaskJob(str(next(self._names)), self)
        self._jobs[job.job_id] = job
        try:
            await self._send(
                {
                    "op": "start",
                    "id": job.job_id,
                    "argv": list(argv),
                    "log": str(log_path),
                    "cwd": str(folder),
                    "env": dict(env or {}),
                    "full": None if full is None else str(full),
                }
            )
        except RunnerDiedError:
            self._jobs.pop(job.job_id, None)
            raise
        return job

    async def close(self) -> None:
        """End the zygote and all jobs. Every unfinished job has failed."""
        process = self._process
        if process is None:
            return
        self._process = None
        if self._ready is not None and not self._ready.done():
            # Still importing: it has no children to end.
            process.kill()
        stdin = _piped(process.stdin)
        stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await stdin.wait_closed()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await process.wait()
        except TimeoutError:
            _LOG.warning("The pipetask runner did not end within %g s and is killed.", CLOSE_TIMEOUT)
            process.kill()
            await process.wait()
        # Both pipes have ended with the process, so the readers end too.
        await asyncio.gather(*self._tasks)

    async def _send(self, message: Mapping[str, Any]) -> None:
        process = self._process
        if process is None:
            raise RunnerDiedError("The pipetask runner does not run.")
        if self._tasks[0].done():
            raise self._death(process)
        try:
            stdin = _piped(process.stdin)
            stdin.write(json.dumps(message).encode() + b"\n")
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(process) from None

    def _death(self, process: asyncio.subprocess.Process) -> RunnerDiedError:
        text = f"The pipetask runner (process {process.pid}) ended"
        if process.returncode is not None:
            text += f" with code {process.returncode}"
        said = self._stderr.strip()
        return RunnerDiedError(f"{text}: {said.splitlines()[-1]}" if said else f"{text}.")

    async def _read_events(self, process: asyncio.subprocess.Process, ready: asyncio.Future[None]) -> None:
        """Handle events until the zygote ends; then fail the jobs left."""
        async for line in _piped(process.stdout):
            message = json.loads(line)
            event = message["event"]
            if event == "ready":
                ready.set_result(None)
            elif event == "started":
                self._jobs[message["id"]].pid = message["pid"]
            elif event == "exited":
                self._jobs.pop(message["id"])._exit.set_result(message["code"])
        await process.wait()
        death = self._death(process)
        if not ready.done():
            ready.set_exception(death)
        for job in self._jobs.values():
            # A job whose zygote was killed has no parent that ends it.
            if job.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
            job._exit.set_exception(death)
        self._jobs.clear()

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines of the zygote's errors."""
        stream = _piped(process.stderr)
        while chunk := await stream.read(4096):
            self._stderr = (self._stderr + chunk.decode(errors="replace"))[-4096:]


_Stream = TypeVar("_Stream", asyncio.StreamReader, asyncio.StreamWriter)


def _piped(stream: _Stream | None) -> _Stream:
    """Return a stream that was requested as a pipe."""
    if stream is None:
        raise RuntimeError("The pipetask runner was launched without its pipes.")
    return stream


def _prepare(log: Path, cwd: Path | None) -> tuple[Path, Path]:
    with log.open("a"):
        pass
    return log.resolve(), (cwd or Path()).resolve(strict=True)
