# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where calibrations come from, after the records of a folder of runs."""

from __future__ import annotations

__all__ = ["origins_in"]

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..deciding import count_waiting
from ..due import Finding, Origin, State, origins
from ..files.index import RunIndex
from ..files.journal import load_record, runs_in
from ..files.runs import load_document
from ..outcomes import Outcome
from ..report import RunDocument


def origins_in(folder: Path, findings: Sequence[Finding]) -> tuple[Origin, ...]:
    """Return what runs have recorded of calibrations that are found.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.
    findings : `~collections.abc.Sequence` [`Finding`]
        What is found.

    Returns
    -------
    origins : `tuple` [`Origin`, ...]
        The newest runs first. Journals that cannot be read are left out.
    """
    open_ = [finding for finding in findings if finding.state is State.FOUND]
    known: list[Origin] = []
    for run_id in _certifying(folder) if open_ else ():
        try:
            record = load_record(folder, run_id)
        except LookupError:
            continue
        # Its JSON, which may have images, is read only if it is needed.
        if any(origin.has(finding) for origin in origins(record, None) for finding in open_):
            known += origins(record, _document(folder, run_id))
            open_ = [finding for finding in open_ if not any(_is_of(origin, finding) for origin in known)]
        if not open_:
            break
    return tuple(known)


def _is_of(origin: Origin, finding: Finding) -> bool:
    return origin.has(finding) and origin.collection == finding.collection


def _document(folder: Path, run_id: str) -> RunDocument | None:
    try:
        return load_document(folder, run_id)
    except LookupError:
        return None


def _certifying(folder: Path) -> Iterator[str]:
    """Yield the runs that have certified anything, the newest first."""
    if not folder.is_dir():
        return
    index = RunIndex(folder, count_waiting)
    try:
        index.update()
        lines = index.lines(limit=-1)
    except (OSError, sqlite3.Error):
        # The folder of another user: every journal is read.
        yield from (run_id for run_id, _ in runs_in(folder))
        return
    for line in lines:
        if any(outcome == Outcome.CERTIFIED for _, outcome in line.outcomes):
            yield line.run_id
