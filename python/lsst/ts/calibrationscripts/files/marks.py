# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs have noted of frames, found by exposure id."""

from __future__ import annotations

__all__ = ["known_marks"]

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ..record import RunRecord, camera_of
from ..spoilt import Mark, MarkKind
from .index import RunIndex
from .journal import load_record, runs_in


def known_marks(
    folder: Path, exposures: Collection[int], instrument: str, *, but: str = ""
) -> tuple[Mark, ...]:
    """Return the marks that runs have noted of exposures.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where their journals are.
    exposures : collection of `int`
        Exposure ids.
    instrument : `str`
        Name of the camera that has taken them: others use the same ids.
    but : `str`, optional
        Id of a run whose marks are left out.

    Returns
    -------
    marks : `tuple` [`Mark`, ...]
        By exposure id; ``run`` says which run has found it, or that a person
        has made it there. Of several of one kind on a frame, the one of the
        newest journal. A mark that its run has no longer is left out, also if
        another has taken it over.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    wanted = frozenset(exposures)
    try:
        index = RunIndex(folder)
        index.update()
        found: Collection[tuple[str, Mark]] = index.marks(wanted, instrument)
        runs = index.run_ids()
    except (OSError, sqlite3.Error):
        # An index needs a folder that can be written.
        found = list(_read(folder, wanted, instrument))
        runs = frozenset(run_id for run_id, _ in runs_in(folder))
    marks: dict[tuple[int, MarkKind], Mark] = {}
    for run_id, mark in found:
        origin = mark.run or run_id
        is_copy = origin != run_id and origin in runs
        if not is_copy and but not in (run_id, origin):
            marks.setdefault((mark.exposure, mark.kind), replace(mark, run=origin))
    return tuple(marks[key] for key in sorted(marks))


def _read(folder: Path, wanted: Collection[int], instrument: str) -> Iterator[tuple[str, Mark]]:
    """Yield marks from all journals that can be read, the newest first."""
    for run_id, _ in runs_in(folder):
        with contextlib.suppress(LookupError):
            record: RunRecord = load_record(folder, run_id)
            for judgement in record.judgements if camera_of(record.instrument) == instrument else ():
                yield from ((run_id, mark) for mark in judgement.marks if mark.exposure in wanted)
