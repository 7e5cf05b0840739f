# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the page of a run again, and that of many runs."""

from __future__ import annotations

__all__ = ["remake_page", "show_trend"]

from pathlib import Path

from ..butler.evidence import gather
from ..butler.history import read_history
from ..files.runs import load_runs, parse_run
from ..pages import run_page, trend_page
from ..report import Evidence, RunReport
from ..trend import History, repository


def remake_page(text: str, repo: str | None) -> str:
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

    Raises
    ------
    RunFileError
        If the text is not a run's JSON.
    """
    data = parse_run(text)
    report = RunReport.from_dict(data)
    if repo is not None:
        evidence = gather(report, repo)
    elif "evidence" in data:
        evidence = Evidence.from_dict(data["evidence"])
    else:
        evidence = Evidence(
            notes=("Statistics and images are not in the run's JSON; --repo REPO reads them.",)
        )
    return run_page(report, evidence, data.get("trend", ()))


def show_trend(journals: Path, repo: str | None) -> tuple[str, History]:
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

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    found = list(load_runs(journals))
    chosen = repo if repo is not None or not found else repository(found[0])
    same = [data for data in found if repository(data) == chosen]
    notes = [f"Runs on the repository {chosen}, from {journals}."] if same else []
    if len(same) < len(found):
        notes.append(f"{len(found) - len(same)} runs on other repositories are left out.")
    runs = list(History.from_json(same).runs)
    if repo is not None:
        jobs = {stage["collection"] for data in same for stage in data["stages"] if stage["job_id"]}
        read = read_history(repo, jobs)
        runs += read
        notes.append(
            f"{len(read)} jobs are from the repository {repo} alone, named by their RUN collections."
        )
    history = History.of(run for run in runs if run.values)
    return trend_page(history, notes), history
