# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a run, made again, and the values of many runs."""

from __future__ import annotations

__all__ = ["open_trend", "reading_shown", "remake_page"]

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..butler.evidence import gather
from ..butler.history import read_history
from ..files.trend_index import TrendIndex
from ..instruments import LATISS
from ..pages import run_page
from ..report import Evidence
from ..trend import History, Run, Source
from ._kept import read_kept


def remake_page(text: str, repo: str | None, folder: Path | None = None) -> tuple[str, tuple[str, ...]]:
    """Make the page of a run from its JSON.

    Parameters
    ----------
    text : `str`
        The JSON.
    repo : `str` or `None`
        Butler repository whose statistics and images are shown; `None` for
        those that the JSON has, if it has any.
    folder : `pathlib.Path`, optional
        Where the JSON is, whose pictures are beside it.

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
    document, notes = read_kept(text, folder)
    if repo is not None:
        document = replace(document, evidence=gather(document.report, repo))
    elif document.evidence is None:
        note = "Statistics and images are not in the run's JSON; --repo REPO reads them."
        document = replace(document, evidence=Evidence(notes=(note,)))
    return run_page(document), notes if repo is None else ()


@contextlib.contextmanager
def reading_shown() -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many runs have been read, as long as it lasts.

    Yields
    ------
    reading : `~collections.abc.Callable`
        Takes how many have been read, and how many are to be.
    """
    shown: list[int] = []

    def show(n_read: int, n_runs: int) -> None:
        if sys.stderr.isatty():
            shown.append(n_read)
            sys.stderr.write(f"\rReading runs, once: {n_read} of {n_runs}")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if shown:
            # Nothing of it stays.
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextlib.contextmanager
def open_trend(
    journals: Path, repo: str | None, instrument: str | None
) -> Iterator[tuple[History, list[str], tuple[str, ...]]]:
    """Give the values of earlier runs.

    Parameters
    ----------
    journals : `pathlib.Path`
        Folder of the runs' JSON.
    repo : `str` or `None`
        Butler repository whose runs are shown, those that have left no JSON
        too; `None` for the repository of the newest run.
    instrument : `str` or `None`
        Name of the camera whose runs are shown; `None` for that of the newest
        run.

    Yields
    ------
    history : `History`
        The runs.
    notes : `list` [`str`]
        Where they come from.
    skipped : `tuple` [`str`, ...]
        JSON files of the folder that no run has left, and why.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    with TrendIndex(journals) as index:
        with reading_shown() as reading:
            index.update(reading=reading)
        skipped = index.skipped()
        newest = index.newest_source(repo, instrument) or Source(repo, instrument or LATISS.name)
        n_same, n_other_cameras, n_elsewhere = index.count(newest)
        what = f"Runs of {newest.instrument} on the repository {newest.repo}"
        notes = [f"{what}, from {journals}."] if n_same else []
        notes += [f"Skipped, as no run has left it: {text}" for text in skipped]
        notes += [f"{note[0].upper()}{note[1:]}." for note in index.notes]
        if n_other_cameras:
            notes.append(f"{n_other_cameras} runs of other cameras are left out (--instrument).")
        if n_elsewhere:
            notes.append(f"{n_elsewhere} runs on other repositories are left out.")
        extra: tuple[Run, ...] = ()
        if repo is not None:
            extra = read_history(repo, newest.instrument, index.jobs(repo))
            notes.append(
                f"{len(extra)} jobs are from the repository {repo} alone, named by their RUN collections."
            )
        yield index.history(newest, [run for run in extra if run.values]), notes, skipped
