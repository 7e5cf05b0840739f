# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON that runs leave."""

from __future__ import annotations

__all__ = ["load_document", "load_runs"]

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..codec import read_document
from ..report import RunDocument
from .contents import check_document
from .journal import SUFFIX
from .private import files_in, one_line, read_text

_MAX_RUNS = 200
"""The newest runs of a folder, which make its history."""


def load_runs(folder: Path, skipped: Callable[[str], None] | None = None) -> Iterator[RunDocument]:
    """Yield what runs have left in a folder; other files are skipped.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.
    skipped : `~collections.abc.Callable`, optional
        Takes the name of each file that is skipped, and why.

    Yields
    ------
    document : `RunDocument`
        The newest first.
    """
    for file in _files(folder)[:_MAX_RUNS]:
        try:
            document = read_document(read_text(file))
            check_document(document)
        except (OSError, ValueError) as error:
            # Not every JSON file in a folder is a run's, or whole.
            if skipped is not None:
                skipped(f"{one_line(file.name, 100)}: {one_line(str(error))}")
            continue
        yield document


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
        document = read_document(read_text(file))
        check_document(document)
        if document.report.run_id != run_id:
            raise ValueError(f"run_id: it is that of run {one_line(document.report.run_id)}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LookupError(f"its JSON, {file}, cannot be read: {one_line(str(error))}") from error
    return document


def _files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder but for journals, the newest first."""
    found = [
        (status.st_mtime, file)
        for file, status in files_in(folder, "*.json")
        if not file.name.endswith(SUFFIX) and not stat.S_ISDIR(status.st_mode)
    ]
    return [file for _, file in sorted(found, reverse=True)]
