# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""One owner of a run or of a work folder, and who that is."""

from __future__ import annotations

__all__ = ["Lock", "LockedError", "Owner", "this_process"]

import contextlib
import datetime
import fcntl
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .private import file_mode, one_line

_MAX_TEXT = 4096
"""Longest text of an owner (byte)."""

_MAX_COMMAND = 200

_NAMED_WITHIN = 0.5
"""How long an owner may take to write who it is (s)."""


@dataclass(frozen=True)
class Owner:
    """A process that holds a lock, as it has described itself."""

    pid: int
    host: str
    since: str
    """When it took the lock (ISO-8601, UTC)."""

    command: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.command})"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read what an owner has written; `None` if it is something else."""
        try:
            data = json.loads(text)
            return cls(int(data["pid"]), *(one_line(str(data[key])) for key in ("host", "since", "command")))
        except (ValueError, LookupError, TypeError, RecursionError):
            return None


def this_process() -> Owner:
    """Return this process as an owner from now on.

    Returns
    -------
    owner : `Owner`
    """
    program = Path(sys.argv[0]).name if sys.argv else ""
    command = one_line(" ".join([program, *sys.argv[1:]]).strip() or "python", _MAX_COMMAND)
    now = datetime.datetime.now(datetime.UTC)
    return Owner(os.getpid(), socket.gethostname(), f"{now:%Y-%m-%dT%H:%M:%SZ}", command)


class LockedError(Exception):
    """Another owner holds a lock; the message says who.

    Parameters
    ----------
    owner : `Owner` or `None`
        The other one, if it has said who it is.
    """

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(str(owner) if owner else "another process, which has not said who it is")
        self.owner = owner


class Lock:
    """A lock on a file, which ends with the process that holds it.

    Parameters
    ----------
    file : `pathlib.Path`
        The lock file. Its folder must exist. It is made when the lock is
        taken, and removed when it is released. A process that is killed
        leaves it behind, unlocked.

    Notes
    -----
    It is that of ``flock``, which the system releases when its process
    ends, by SIGKILL too. Each `Lock` is an owner of its own: two of the same
    process exclude each other as those of two processes do.

    On NFS, Linux passes it on to the server, so that it holds between hosts.
    Mounted with ``local_lock`` or ``nolock``, it holds on one host only. If
    the owner's host dies, the server frees it after its lease, usually 90 s.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this one holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock, unless it is held by this one already.

        Raises
        ------
        LockedError
            If another owner holds it.
        OSError
            If it cannot be locked, as where nothing can be written.
        """
        while self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._file, flags, 0o600)
            try:
                self._lock(descriptor)
                if self._is_current(descriptor):
                    self._sign(descriptor)
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def look(self) -> None:
        """See whether another owner holds the lock, and change nothing.

        Raises
        ------
        LockedError
            If so.
        OSError
            If that cannot be seen.
        """
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._file, flags)
        except FileNotFoundError:
            return
        try:
            # Closing it releases it, and one that is shared keeps no other
            # program that looks from looking.
            self._lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Release the lock, if it is held by this one."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            # While it is locked, so that no other owner loses its lock.
            if self._is_current(self._descriptor):
                self._file.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock for a while, or as long as it is held anyway.

        Raises
        ------
        LockedError, OSError
            As `acquire` does.
        """
        held_before = self.held
        self.acquire()
        try:
            yield
        finally:
            if not held_before:
                self.release()

    @staticmethod
    def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> None:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_owner(descriptor)) from None

    def _is_current(self, descriptor: int) -> bool:
        """Return whether no other owner has removed the file meanwhile."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._file))
        except FileNotFoundError:
            return False

    def _sign(self, descriptor: int) -> None:
        """Write who holds the lock."""
        with contextlib.suppress(PermissionError):  # It is another user's, in a shared folder.
            os.fchmod(descriptor, file_mode(self._file.parent))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(this_process())).encode(), 0)


def _owner(descriptor: int) -> Owner | None:
    """Return who holds a lock; it may be about to write that."""
    end = time.monotonic() + _NAMED_WITHIN
    while True:
        text = os.pread(descriptor, _MAX_TEXT, 0).decode("utf-8", "replace")
        owner = Owner.parse(re.sub(r"[^\x20-\x7e]", " ", text))
        if owner is not None or time.monotonic() > end:
            return owner
        time.sleep(0.01)
