# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of files in a folder, or in an object store."""

from __future__ import annotations

__all__ = ["Copy", "copy_to"]

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
