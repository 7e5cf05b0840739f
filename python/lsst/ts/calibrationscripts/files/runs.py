# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON that runs leave."""

from __future__ import annotations

__all__ = ["documents_in", "load_document", "load_file"]

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..codec import read_document
from ..report import RunDocument
from .contents import check_document
from .journal import SUFFIX
from .private import files_in, one_line, read_text


def load_document(folder: Path, run_id: str) -> RunDocument | None:
    """Read the JSON that an earlier run has left beside its journal.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.
    run_id : `str`
        Which run.

    Returns
    -------
    document : `RunDocument` or `None`
        `None` if there is none, as of a run whose process was killed.

    Raises
    ------
    LookupError
        If it cannot be read, or is that of another run.
    """
    file = folder / f"{run_id}.json"
    try:
        document = load_file(file)
        if document.report.run_id != run_id:
            raise ValueError(f"run_id: it is that of run {one_line(document.report.run_id)}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LookupError(f"its JSON, {file}, cannot be read: {one_line(str(error))}") from error
    return document


def load_file(file: Path) -> RunDocument:
    """Read a file that a run may have left.

    Parameters
    ----------
    file : `pathlib.Path`
        The file.

    Returns
    -------
    document : `RunDocument`

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is not the JSON of a run.
    """
    document = read_document(read_text(file))
    check_document(document)
    return document


def documents_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files in a folder that may be the JSON of runs.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.

    Yields
    ------
    file : `pathlib.Path`
    status : `os.stat_result`
        Its own, not that of what it links to.
    """
    for file, status in files_in(folder, "*.json"):
        if not file.name.endswith(SUFFIX) and not stat.S_ISDIR(status.st_mode):
            yield file, status
