# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written as a whole or not at all."""

from __future__ import annotations

__all__ = ["replace_file"]

import os
from pathlib import Path

from .private import file_mode


def replace_file(file: Path, content: str | bytes) -> None:
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
    except BaseException:
        new.unlink(missing_ok=True)
        raise
