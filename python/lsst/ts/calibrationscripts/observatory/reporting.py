# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a run that people read: its JSON and its page."""

from __future__ import annotations

__all__ = ["WrittenReport", "write_report"]

import threading
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from .. import trend
from ..butler.evidence import gather
from ..codec import write_document
from ..files.atomic import replace_file
from ..files.runs import load_runs
from ..pages import run_page
from ..report import Evidence, RunDocument, RunReport


class WrittenReport(NamedTuple):
    """What was written of a run."""

    page: Path
    json: Path

    warnings: tuple[str, ...]
    """What differs from earlier runs. It decides nothing."""


def write_report(
    report: RunReport, repo: str, folder: Path, given_up: threading.Event | None = None
) -> WrittenReport:
    """Write the JSON and the page of a run.

    They are written at once with what the run itself knows, and again once
    the Butler has been read: if the repository hangs, the report only lacks
    the pictures.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the Butler repository.
    folder : `pathlib.Path`
        Where to write; earlier runs there are its history.
    given_up : `threading.Event`, optional
        Set once nothing is to be written any more.

    Returns
    -------
    written : `WrittenReport`

    Raises
    ------
    OSError
        If the files cannot be written.
    """
    first = _write(report, Evidence(notes=("Statistics and images have not been read yet.",)), folder)
    evidence = gather(report, repo)
    if given_up is not None and given_up.is_set():
        return first
    return _write(report, evidence, folder)


def _write(report: RunReport, evidence: Evidence, folder: Path) -> WrittenReport:
    document = RunDocument(report, evidence)
    warnings = trend.warnings(load_runs(folder), document)
    document = replace(document, trend=warnings)
    written = WrittenReport(folder / f"{report.run_id}.html", folder / f"{report.run_id}.json", warnings)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(written.json, write_document(document))
    replace_file(written.page, run_page(document))
    return written
