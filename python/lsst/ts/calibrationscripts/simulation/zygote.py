# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The zygote: a process that has ``pipetask`` imported and forks for jobs.

`PipetaskRunner` starts this module as a child process. It imports the
``pipetask`` command line once. Each job is then a forked child of it, which
saves the time of the imports.

Runner and zygote exchange JSON, one object per line. On the zygote's standard
input: ``{"op": "start", "id", "argv", "log", "cwd", "env", "full"}`` and
``{"op": "kill", "id"}``. The end of the input ends the zygote and all its
jobs. On its standard output: ``{"event": "ready"}``,
``{"event": "started", "id", "pid"}`` and ``{"event": "exited", "id",
"code"}``. The code is negative if a signal ended the job.
"""

from __future__ import annotations

__all__: list[str] = []

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NoReturn

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
"""What every job imports."""


class _Zygote:
    """One thread that waits for orders and for children."""

    def __init__(self, orders: int, answers: int) -> None:
        import selectors

        self._orders = orders
        self._answers = answers
        self._buffer = b""
        self._children: dict[int, str] = {}
        # SIGCHLD may come at any time: it writes a byte that wakes select.
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._orders, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> None:
        """Follow orders until the input ends, then end every job."""
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
        # Also here, or a kill that comes immediately might find no group.
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

        The child leaves with `SystemExit`, so that libraries clean up as at
        the exit of the interpreter: the Butler removes its cache folder.
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
        # The zygote may have its own already.
        tempfile.tempdir = None
        if order["full"] is not None:
            _fill_up(order["full"])
        sys.exit(_pipetask(order["argv"]))


def _redirect(path: str, flags: int, onto: int) -> None:
    descriptor = os.open(path, flags, 0o666)
    os.dup2(descriptor, onto)
    os.close(descriptor)


def _fill_up(folder: str) -> None:
    """Make each file that is opened for writing in a folder an error.

    A limit on the size of files (RLIMIT_FSIZE) would affect the registry's
    database first, because it is larger than most datasets. The database
    would then need a rollback, which a client that only reads cannot do.
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
    # The children's garbage collectors must not touch what is shared.
    gc.collect()
    gc.freeze()


def _main() -> None:
    answers = os.dup(1)
    # What a library prints must not be read as an answer.
    os.dup2(2, 1)
    _warm_up(sys.argv[1:])
    _Zygote(0, answers).serve()


if __name__ == "__main__":
    _main()
