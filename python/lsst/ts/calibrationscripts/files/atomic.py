# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into files as a whole or not at all."""

from __future__ import annotations

__all__ = ["FileState", "append_to_file", "replace_file"]

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from .private import file_mode


@dataclass(frozen=True)
class FileState:
    """What differs if another has changed or replaced a file."""

    device: int
    inode: int
    size: int
    changed: int
    """When it or its links were changed last (ns)."""

    @classmethod
    def of(cls, descriptor: int) -> FileState:
        """Return the state of an open file."""
        found = os.fstat(descriptor)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)


def replace_file(file: Path, content: str | bytes) -> FileState:
    """Replace a file, all of it or nothing.

    Parameters
    ----------
    file : `pathlib.Path`
        What to replace; it need not exist, its folder must. A symbolic link
        is replaced, not followed.
    content : `str` or `bytes`
        What it is to hold; a text is written as UTF-8. It is on the disk when
        this returns. Only the user can read it, and the group if it may write
        into the folder.

    Returns
    -------
    state : `FileState`
        That of the file.

    Raises
    ------
    OSError
        If it cannot be written; the file is then as it was.
    """
    new = file.with_name(f"{file.name}.new")
    # Whatever has that name was left by a process that was killed.
    new.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, 0o600)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            os.fchmod(descriptor, file_mode(file.parent))
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(descriptor)
            new.replace(file)
            state = FileState.of(descriptor)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _keep_name(file.parent)
    return state


def _keep_name(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def append_to_file(file: Path, content: bytes, state: FileState) -> FileState | None:
    """Append to a file, if it is as it was.

    Parameters
    ----------
    file : `pathlib.Path`
        The file. A symbolic link is not followed.
    content : `bytes`
        What is added. It is on the disk when this returns; if the process is
        killed meanwhile, a part of it may be there.
    state : `FileState`
        How the file was.

    Returns
    -------
    state : `FileState` or `None`
        How it is now; `None` if it was not as it was, or cannot be opened.
        Nothing was written then.

    Raises
    ------
    OSError
        If it cannot be written; the file is then as long as it was, if the
        system can do that.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags)
    except OSError:
        return None
    try:
        if FileState.of(descriptor) != state:
            return None
        try:
            rest = content
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, state.size)
            raise
        return FileState.of(descriptor)
    finally:
        os.close(descriptor)
