# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a run, in a folder beside its JSON.

The JSON has their names alone. They are written before it, and what it no
longer names is removed after it, so that it always has its own.
"""

from __future__ import annotations

__all__ = ["FOLDER_SUFFIX", "remove_others", "with_pictures", "write_pictures"]

import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from ..report import PICTURE_NAME, Evidence, put_pictures
from .atomic import replace_file
from .private import file_mode, files_in, make_folder, read_bytes

FOLDER_SUFFIX = ".files"
"""Of the name of the folder, after the id of the run."""

_MAX_BYTES = 2**20
"""Largest picture that is read (byte)."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_pictures(folder: Path, run_id: str, files: Mapping[str, bytes]) -> None:
    """Write the pictures of a run that are not there yet.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the JSON of the run is.
    run_id : `str`
        Which run.
    files : `~collections.abc.Mapping` [`str`, `bytes`]
        The pictures, by name.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    if not files:
        return
    own = folder / f"{run_id}{FOLDER_SUFFIX}"
    make_folder(own)
    if own.is_symlink():
        raise NotADirectoryError(f"{own} is a symbolic link, which is not followed")
    if file_mode(folder) & stat.S_IWGRP and not file_mode(own) & stat.S_IWGRP:
        own.chmod(0o770)
    for name, content in files.items():
        if _read(own, name) != content:
            replace_file(own / name, content)


def remove_others(folder: Path, run_id: str, names: Collection[str]) -> None:
    """Remove the pictures that the JSON of a run no longer names.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the JSON of the run is.
    run_id : `str`
        Which run.
    names : `~collections.abc.Collection` [`str`]
        What it does name.

    Raises
    ------
    OSError
        If they cannot be removed.
    """
    for file, _ in files_in(folder / f"{run_id}{FOLDER_SUFFIX}", "*.png*"):
        if file.name not in names:
            file.unlink(missing_ok=True)


def with_pictures(evidence: Evidence, folder: Path, run_id: str) -> Evidence:
    """Return what a page shows of a run, with its pictures.

    Parameters
    ----------
    evidence : `Evidence`
        As the JSON of the run has it.
    folder : `pathlib.Path`
        Where that is.
    run_id : `str`
        Which run.

    Returns
    -------
    evidence : `Evidence`
        See `put_pictures`.
    """
    own = folder / f"{run_id}{FOLDER_SUFFIX}"
    return put_pictures(evidence, lambda name: _read(own, name))


def _read(folder: Path, name: str) -> bytes | None:
    if PICTURE_NAME.fullmatch(name) is None or folder.is_symlink():
        return None
    try:
        content = read_bytes(folder / name, max_bytes=_MAX_BYTES)
    except (OSError, ValueError):
        return None
    return content if content.startswith(_SIGNATURE) else None
