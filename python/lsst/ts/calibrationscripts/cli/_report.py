# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the page of a run again, and that of many runs."""

from __future__ import annotations

__all__ = ["remake_page", "show_trend"]

from dataclasses import replace
from pathlib import Path

from ..butler.evidence import gather
from ..butler.history import read_history
from ..files.runs import load_runs
from ..pages import run_page, trend_page
from ..report import Evidence
from ..trend import History, repository
from ._kept import read_kept


def remake_page(text: str, repo: str | None) -> tuple[str, tuple[str, ...]]:
    """Make the page of a run from its JSON.

    Parameters
    ----------
    text : `str`
        The JSON.
    repo : `str` or `None`
        Butler repository whose statistics and images are shown; `None` for
        those that the JSON has, if it has any.

    Returns
    -------
    html : `str`
    notes : `tuple` [`str`, ...]
        What the page lacks, and why.

    Raises
    ------
    FormatError
        If the text is not a run's JSON.
    """
    document, notes = read_kept(text)
    if repo is not None:
        document = replace(document, evidence=gather(document.report, repo))
    elif document.evidence is None:
        note = "Statistics and images are not in the run's JSON; --repo REPO reads them."
        document = replace(document, evidence=Evidence(notes=(note,)))
    return run_page(document), notes if repo is None else ()


def show_trend(journals: Path, repo: str | None) -> tuple[str, History, tuple[str, ...]]:
    """Make the page of earlier runs.

    Parameters
    ----------
    journals : `pathlib.Path`
        Folder of the runs' JSON.
    repo : `str` or `None`
        Butler repository whose runs are shown, those that have left no JSON
        too; `None` for the repository of the newest run.

    Returns
    -------
    html : `str`
        The page.
    history : `History`
        What it shows.
    skipped : `tuple` [`str`, ...]
        JSON files of the folder that no run has left, and why.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    skipped: list[str] = []
    found = list(load_runs(journals, skipped.append))
    chosen = repo if repo is not None or not found else repository(found[0])
    same = [document for document in found if repository(document) == chosen]
    notes = [f"Runs on the repository {chosen}, from {journals}."] if same else []
    notes += [f"Skipped, as no run has left it: {text}" for text in skipped]
    if len(same) < len(found):
        notes.append(f"{len(found) - len(same)} runs on other repositories are left out.")
    runs = list(History.of_documents(same).runs)
    if repo is not None:
        jobs = {
            result.collection
            for document in same
            for result in document.report.stages
            if result.job_id and result.collection
        }
        read = read_history(repo, jobs)
        runs += read
        notes.append(
            f"{len(read)} jobs are from the repository {repo} alone, named by their RUN collections."
        )
    history = History.of(run for run in runs if run.values)
    return trend_page(history, notes), history, tuple(skipped)
