# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written as a whole or not at all."""

from __future__ import annotations

__all__ = ["replace_file"]

import os
from pathlib import Path


def replace_file(file: Path, text: str) -> None:
    """Replace a file by a text, all of it or nothing.

    Parameters
    ----------
    file : `pathlib.Path`
        What to replace; it need not exist, its folder must.
    text : `str`
        What it is to hold. It is on the disk when this returns.

    Raises
    ------
    OSError
        If it cannot be written; the file is then as it was.
    """
    new = file.with_name(f"{file.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
