# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that only their user reads, and that are what they seem to be."""

from __future__ import annotations

__all__ = ["MAX_BYTES", "file_mode", "files_in", "make_folder", "one_line", "read_bytes", "read_text"]

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 64 * 2**20
"""Largest file that is read (byte)."""

_MAX_DEPTH = 100
"""Of the brackets of JSON; what runs leave has about ten."""

_MAX_LINE = 300

_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A text, which may not end."""

_BRACKET = re.compile(r"[\[\]{}]")


def make_folder(folder: Path) -> None:
    """Make a folder that only its user enters; one that exists stays as it is.

    Parameters
    ----------
    folder : `pathlib.Path`
        The folder. It may be a symbolic link to one.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def file_mode(folder: Path) -> int:
    """Return the permissions of the files in a folder.

    Parameters
    ----------
    folder : `pathlib.Path`
        A folder that exists. If its group may write into it, it is shared.

    Returns
    -------
    mode : `int`
        0600, or 0660 in a folder that is shared.
    """
    return 0o660 if folder.stat().st_mode & stat.S_IWGRP else 0o600


def files_in(folder: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is in a folder, without following symbolic links.

    Parameters
    ----------
    folder : `pathlib.Path`
        The folder; one that does not exist is empty.
    pattern : `str`
        Of the names, as for `pathlib.Path.glob`.

    Yields
    ------
    file : `pathlib.Path`
    status : `os.stat_result`
        Its own, not that of what it links to.
    """
    for file in folder.glob(pattern):
        try:
            status = file.lstat()
        except FileNotFoundError:
            # Another process has removed it meanwhile.
            continue
        yield file, status


def read_text(file: Path, *, follow: bool = False, max_bytes: int = MAX_BYTES) -> str:
    """Read a file of JSON, if it can be what a run has left.

    Parameters
    ----------
    file : `pathlib.Path`
        What to read.
    follow : `bool`, optional
        Whether it may be a symbolic link.
    max_bytes : `int`, optional
        Largest size (byte).

    Returns
    -------
    text : `str`

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is a symbolic link, is not a regular file, is too large, is not
        UTF-8, or has too many brackets in each other.
    """
    text = read_bytes(file, follow=follow, max_bytes=max_bytes).decode("utf-8")
    if _is_deep(text):
        raise ValueError(f"it has more than {_MAX_DEPTH} brackets in each other")
    return text


def read_bytes(file: Path, *, follow: bool = False, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file, if it can be what a run has left.

    Parameters
    ----------
    file, follow, max_bytes
        As of `read_text`.

    Returns
    -------
    content : `bytes`

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is a symbolic link, is not a regular file, or is too large.
    """
    # Without O_NONBLOCK, a pipe would wait for who writes into it.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(file, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise ValueError("it is a symbolic link, which is not followed") from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_size > max_bytes:
            raise ValueError(f"it is larger than {max_bytes // 2**20} MB")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(found.st_size)
    finally:
        os.close(descriptor)


def _is_deep(text: str) -> bool:
    """Return whether there are too many brackets in each other."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    depth = 0
    # Nearly all of a large file is texts, which are left out at once.
    for bracket in _BRACKET.finditer(_TEXT.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def one_line(text: str, max_length: int = _MAX_LINE) -> str:
    """Return a text of unknown origin as one line that is not too long.

    Parameters
    ----------
    text : `str`
        The text.
    max_length : `int`, optional
        Its largest length.

    Returns
    -------
    line : `str`
        Without characters that a terminal would act on.
    """
    start = text[: 4 * max_length]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= max_length and len(start) == len(text) else f"{line[: max_length - 3]}..."
