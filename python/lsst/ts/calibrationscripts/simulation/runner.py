# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run many ``pipetask`` commands from one process that has it imported.

`PipetaskRunner` starts this very module as a child process, the *zygote*. It
imports the ``pipetask`` command line once, and then answers each job from a
forked child of its own, which spares a job the time of the imports.

Runner and zygote speak JSON, one object a line. On the zygote's standard
input: ``{"op": "start", "id", "argv", "log", "cwd", "env", "full"}`` and
``{"op": "kill", "id"}``; the end of the input ends the zygote and every job
of its. On its standard output: ``{"event": "ready"}``,
``{"event": "started", "id", "pid"}`` and ``{"event": "exited", "id",
"code"}``, the code negative when a signal ended the job.
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
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

_LOG = logging.getLogger(__name__)

CLOSE_TIMEOUT = 10.0
"""Time that the zygote has to end once its input has ended (second)."""

_SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""A process that forks must have one thread; one core a job is right too."""

_WARM = (
    "lsst.ctrl.mpexec.cli.pipetask",
    "lsst.ctrl.mpexec.cli.cmd",
    "lsst.daf.butler.datastores.fileDatastore",
    "lsst.daf.butler.direct_butler",
    "lsst.daf.butler.formatters.json",
    "lsst.daf.butler.formatters.packages",
    "lsst.daf.butler.formatters.yaml",
    "lsst.daf.butler.registry.collections.synthIntKey",
    "lsst.daf.butler.registry.datasets.byDimensions",
    "lsst.daf.butler.registry.dimensions.static",
    "lsst.pipe.base.formatters.pexConfig",
    "lsst.pipe.base.tests.mocks",
)
"""What every job imports sooner or later."""


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
        # A job that nobody waits for may fail without a word.
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
            Longest wait (second). By default as long as the runner lives:
            its death ends the wait too.

        Returns
        -------
        code : `int`
            The exit code of ``pipetask``; ``-n`` if signal n ended it.

        Raises
        ------
        RunnerDiedError
            If the runner ended before the job.
        TimeoutError
            If the job still runs after ``timeout``; it runs on.
        """
        async with asyncio.timeout(timeout):
            return await asyncio.shield(self._exit)

    async def kill(self) -> None:
        """End the job and every process of its group. Harmless when done.

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
    Entering starts the process and does not wait for its imports; a job
    started meanwhile waits for them.

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
        # A session of its own: Ctrl-C in a terminal is for this process,
        # which then ends the jobs in good order.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __spec__.name,
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
            Folder that the command finds no space in: each file that it
            opens there for writing is an `OSError` (ENOSPC).

        Returns
        -------
        job : `PipetaskJob`
            The job.

        Raises
        ------
        RunnerDiedError
            If the runner does not run.
        OSError
            If the log cannot be written or ``cwd`` is no folder.
        """
        # Whatever can be refused is refused here, where someone listens.
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
        """End the zygote and all jobs; every unfinished job has failed."""
        process = self._process
        if process is None:
            return
        self._process = None
        if self._ready is not None and not self._ready.done():
            # Still importing: nothing has been forked that it should end.
            process.kill()
        stdin = _piped(process.stdin)
        stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await stdin.wait_closed()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await process.wait()
        except TimeoutError:
            _LOG.warning("The pipetask runner did not end within %g s: killed.", CLOSE_TIMEOUT)
            process.kill()
            await process.wait()
        # Both pipes have ended with the process, and so do the readers.
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
        """File what the zygote says until it ends; then fail what is left."""
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
            # A job whose zygote was killed has no parent to end it any more.
            if job.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
            job._exit.set_exception(death)
        self._jobs.clear()

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        """Keep the end of what the zygote complains of."""
        stream = _piped(process.stderr)
        while chunk := await stream.read(4096):
            self._stderr = (self._stderr + chunk.decode(errors="replace"))[-4096:]


_Stream = TypeVar("_Stream", asyncio.StreamReader, asyncio.StreamWriter)


def _piped(stream: _Stream | None) -> _Stream:
    """Return a stream that was asked for as a pipe, and so is there."""
    if stream is None:
        raise RuntimeError("The pipetask runner was launched without its pipes.")
    return stream


def _prepare(log: Path, cwd: Path | None) -> tuple[Path, Path]:
    with log.open("a"):
        pass
    return log.resolve(), (cwd or Path()).resolve(strict=True)


class _Zygote:
    """The other end: one thread that waits for orders and for children."""

    def __init__(self, orders: int, answers: int) -> None:
        import selectors

        self._orders = orders
        self._answers = answers
        self._buffer = b""
        self._children: dict[int, str] = {}
        # SIGCHLD may come at any moment: it writes a byte that wakes select.
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._orders, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer orders until the input ends, then end every job."""
        self._say(event="ready")
        listening = True
        while listening:
            for key, _ in self._selector.select():
                if key.fd == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    self._reap()
                else:
                    listening = self._listen()
        for pid in self._children:
            self._kill(pid)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _say(self, **message: Any) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._answers, data) :]

    def _listen(self) -> bool:
        data = os.read(self._orders, 65536)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order["op"] == "start":
                self._start(order)
            else:
                for pid, job_id in self._children.items():
                    if job_id == order["id"]:
                        self._kill(pid)
        return bool(data)

    def _start(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_pipetask(order)
        # Also here, or a kill that comes at once might find no group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        self._children[pid] = order["id"]
        self._say(event="started", id=order["id"], pid=pid)

    def _reap(self) -> None:
        for pid, job_id in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._children[pid]
                self._say(event="exited", id=job_id, code=os.waitstatus_to_exitcode(status))

    @staticmethod
    def _kill(pid: int) -> None:
        # The child is not reaped yet, so its group is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def _become_pipetask(self, order: dict[str, Any]) -> NoReturn:
        """Run the command in the forked child, and end it as a process ends.

        Libraries tidy up at the exit of the interpreter, such as the Butler
        its cache folder; so the child leaves by way of `SystemExit`.
        """
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for descriptor in (self._wake, self._waker, self._answers):
            os.close(descriptor)
        _redirect(os.devnull, os.O_RDONLY, 0)
        _redirect(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1)
        os.dup2(1, 2)
        os.chdir(order["cwd"])
        os.environ.update(order["env"])
        # The zygote may have looked for its own already.
        tempfile.tempdir = None
        if order["full"] is not None:
            _fill_up(order["full"])
        sys.exit(_pipetask(order["argv"]))


def _redirect(path: str, flags: int, onto: int) -> None:
    descriptor = os.open(path, flags, 0o666)
    os.dup2(descriptor, onto)
    os.close(descriptor)


def _fill_up(folder: str) -> None:
    """Let this process find no space for files in a folder.

    A limit on the size of files (RLIMIT_FSIZE) would hit the database of the
    registry first, since that is larger than most datasets, and leave it in
    need of a rollback that those who only read it cannot do.
    """
    import errno

    writing = os.O_WRONLY | os.O_RDWR

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and args[2] & writing and str(args[0]).startswith(folder + os.sep):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), args[0])

    sys.addaudithook(refuse)


def _pipetask(argv: list[str]) -> int:
    """Run ``pipetask`` as its own executable would; return the exit code."""
    import traceback

    from lsst.ctrl.mpexec.cli.pipetask import cli

    sys.argv = ["pipetask", *argv]
    try:
        cli.main(args=argv, prog_name="pipetask")
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return exit_.code or 0
        print(exit_.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter reports it: traceback, exit code 1.
        traceback.print_exc()
        return 1
    return 0


def _warm_up(preload: Sequence[str]) -> None:
    """Import what a job needs beyond the command line itself."""
    import gc
    import importlib

    for name in (*_WARM, *preload):
        importlib.import_module(name)
    from lsst.daf.butler import DimensionUniverse

    DimensionUniverse()
    # What is shared with the children is not for their collector to touch.
    gc.collect()
    gc.freeze()


def _main() -> None:
    answers = os.dup(1)
    # A library that prints must not be taken for an answer.
    os.dup2(2, 1)
    _warm_up(sys.argv[1:])
    _Zygote(0, answers).serve()


if __name__ == "__main__":
    _main()
