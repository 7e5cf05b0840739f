# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON that runs leave."""

from __future__ import annotations

__all__ = ["load_runs"]

from collections.abc import Iterator
from pathlib import Path

from ..codec import FormatError, read_document
from ..report import RunDocument

_MAX_RUNS = 200
"""The newest runs of a folder, which make its history."""


def load_runs(folder: Path) -> Iterator[RunDocument]:
    """Yield what runs have left in a folder; other files are skipped.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.

    Yields
    ------
    document : `RunDocument`
        The newest first.
    """
    # A journal has two suffixes.
    files = [file for file in folder.glob("*.json") if "." not in file.stem]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[:_MAX_RUNS]:
        try:
            yield read_document(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, FormatError):
            # Not every JSON file in a folder is a run's, or whole.
            continue
