# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of files in a folder, or in an object store."""

from __future__ import annotations

__all__ = ["Copy", "copy_run", "copy_to"]

from pathlib import Path
from typing import NamedTuple


class Copy(NamedTuple):
    """A file that was copied."""

    url: str
    """Where readers find it."""

    name: str
    content: bytes


def copy_to(place: str, file: Path) -> Copy:
    """Copy a file, over an earlier copy of it.

    Parameters
    ----------
    place : `str`
        Path of a folder, or address of one, ``s3://...``.
    file : `pathlib.Path`
        What to copy.

    Returns
    -------
    copy : `Copy`

    Raises
    ------
    Exception
        If that fails: that of the object store's client, or an `OSError`.
    """
    # It takes a tenth of a second to import.
    from lsst.resources import ResourcePath

    content = file.read_bytes()
    target = ResourcePath(place, forceDirectory=True).join(file.name)
    target.write(content)
    url = str(target.geturl())
    if target.scheme == "s3":
        # Readers have no profile, which may be before the name of the bucket.
        bucket = target.netloc.rpartition("@")[2]
        url = f"{target.client.meta.endpoint_url}/{bucket}/{target.relativeToPathRoot}"
    return Copy(url, file.name, content)


def copy_run(place: str, folder: Path, run_id: str) -> tuple[Copy, ...]:
    """Copy the page and the JSON of a run, over earlier copies of them.

    Parameters
    ----------
    place : `str`
        Path of a folder, or address of one, ``s3://...``.
    folder : `pathlib.Path`
        Where the files are. One that was not written is left out.
    run_id : `str`
        Which run.

    Returns
    -------
    copies : `tuple` [`Copy`, ...]

    Raises
    ------
    Exception
        If that fails: that of the object store's client, or an `OSError`.
    """
    files = (folder / f"{run_id}.{kind}" for kind in ("html", "json"))
    return tuple(copy_to(place, file) for file in files if file.exists())
