# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a run that people read: its JSON and its page."""

from __future__ import annotations

__all__ = [
    "UNREAD",
    "Published",
    "WrittenReport",
    "publish_again",
    "rewrite_report",
    "unlike_earlier",
    "warm_up",
    "write_json",
    "write_report",
]

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .butler.evidence import gather
from .butler.publishing import Copy, copy_run
from .codec import write_document
from .files.atomic import replace_file
from .files.pictures import remove_others, with_pictures, write_pictures
from .files.private import make_folder, one_line
from .files.runs import load_document
from .files.trend_index import NEWEST_RUNS, TrendIndex
from .outcomes import Gain, RunState
from .pages import run_page
from .report import Evidence, RunDocument, RunReport, picture_names, take_pictures
from .threads import in_thread
from .trend import Run, outliers, source_of

T = TypeVar("T")

UNREAD = "Statistics and images have not been read yet."
"""Note of evidence that is still to be read."""

_MAX_NAMED = 4

_COPY_TIMEOUT = 10.0
"""Longest wait for the copies of a report (s)."""


class WrittenReport(NamedTuple):
    """What was written of a run."""

    page: Path
    json: Path

    warnings: tuple[str, ...]
    """What differs from earlier runs. It decides nothing."""

    problems: tuple[str, ...] = ()
    """What could not be read or written, and why."""


def warm_up() -> None:
    """Load what a page needs, so that the first one is written quickly.

    That takes seconds, for which the next script would wait.
    """
    some = Gain((1, 2), 1.0, 0, "C00", 1.0, 1.0)
    run_page(RunDocument(RunReport(RunState.RUNNING, gains=(some,))))


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
        Whatever fails is among its problems, and keeps nothing else from
        being written: the run itself has ended.
    """
    loading = _Attempt()
    what = "the evidence of what earlier sessions have certified is lost"
    report = loading.make(what, lambda: _with_earlier_proofs(report, folder)) or report
    written = _write_now(report, repo, folder, given_up)
    return written._replace(problems=(*loading.problems, *written.problems))


def _with_earlier_proofs(report: RunReport, folder: Path) -> RunReport:
    """Add what the report of the sessions before proves, which is replaced."""
    document = load_document(folder, report.run_id) if report.resumed else None
    if document is None:
        return report
    before = (*document.report.earlier_proofs, *document.report.proofs)
    now = {proof.certification for proof in report.proofs}
    kept = {proof.certification: proof for proof in before if proof.certification not in now}
    return replace(report, earlier_proofs=tuple(kept.values()))


def _write_now(report: RunReport, repo: str, folder: Path, given_up: threading.Event | None) -> WrittenReport:
    if report.pending:
        return _write_pending(report, folder)
    first = _write(report, Evidence(notes=(UNREAD,)), folder)
    if given_up is not None and given_up.is_set():
        return first
    attempt = _Attempt()
    evidence = attempt.make(
        "statistics and images are not shown", lambda: gather(report, repo, warn=attempt.problems.append)
    )
    if given_up is not None and given_up.is_set():
        return first
    if evidence is None:
        evidence = Evidence(notes=(f"{attempt.problems[-1]}.",))
    written = _write(report, evidence, folder)
    return written._replace(problems=(*attempt.problems, *written.problems))


def _write_pending(report: RunReport, folder: Path) -> WrittenReport:
    """Write what is known before jobs have ended; the next script waits."""
    attempt = _Attempt()
    evidence = Evidence(notes=("Statistics and images are read when the results are collected.",))
    page, json = _write_files(RunDocument(report, evidence), folder, attempt)
    return WrittenReport(page, json, (), tuple(attempt.problems))


def _write(report: RunReport, evidence: Evidence, folder: Path) -> WrittenReport:
    attempt = _Attempt()
    document = RunDocument(report, evidence)
    compared = attempt.make(
        "the run is not compared with earlier ones", lambda: unlike_earlier(document, folder)
    )
    warnings, problems = compared or ((), ())
    document = replace(document, trend=warnings)
    page, json = _write_files(document, folder, attempt)
    attempt.problems += problems
    return WrittenReport(page, json, document.trend, tuple(attempt.problems))


def unlike_earlier(document: RunDocument, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare a run with the newest of its camera on the same repository.

    Parameters
    ----------
    document : `RunDocument`
        The run.
    folder : `pathlib.Path`
        Where earlier runs have left their JSON.

    Returns
    -------
    warnings : `tuple` [`str`, ...]
        What is unlike earlier runs. Later runs, and the run itself, are not
        compared.
    problems : `tuple` [`str`, ...]
        What could not be read, and why.
    """
    run = Run.of(document)
    if run is None:
        return (), ()
    with TrendIndex(folder) as index:
        index.update(newest=NEWEST_RUNS)
        earlier = index.history(source_of(document)).until(run.time, without=run.name)
        problems = list(index.notes)
        if skipped := index.skipped():
            more = [f"and {len(skipped) - _MAX_NAMED} more"] if len(skipped) > _MAX_NAMED else []
            named = "; ".join([*skipped[:_MAX_NAMED], *more])
            problems.append(f"not compared with files in {folder} that runs have not left: {named}")
        return outliers(earlier, run), tuple(problems)


def rewrite_report(folder: Path, run_id: str, change: Callable[[RunReport], RunReport]) -> tuple[str, ...]:
    """Write the JSON and the page of a run anew, with a change.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where they are.
    run_id : `str`
        Which run.
    change : `~collections.abc.Callable`
        Takes the report of the run, returns the new one.

    Returns
    -------
    problems : `tuple` [`str`, ...]
        What could not be read or written, and why.
    """
    attempt = _Attempt()
    file = folder / f"{run_id}.json"
    what = f"the report {file} is not brought up to date"
    document = attempt.make(what, lambda: load_document(folder, run_id))
    if document is None and not attempt.problems:
        attempt.problems.append(f"{what}: it does not exist")
    if document is not None:
        _write_files(replace(document, report=change(document.report)), folder, attempt)
    return tuple(attempt.problems)


def _write_files(document: RunDocument, folder: Path, attempt: _Attempt) -> tuple[Path, Path]:
    """Write the page, the JSON and its pictures; return where they are.

    The page has the pictures itself: it is copied, and opened, as one file.
    """
    run_id = document.report.run_id
    page, json = folder / f"{run_id}.html", folder / f"{run_id}.json"
    attempt.make(f"{json} is not written", lambda: write_json(json, document))
    evidence = document.evidence and with_pictures(document.evidence, folder, run_id)
    shown = replace(document, evidence=evidence)
    attempt.make(f"{page} is not written", lambda: _replace(page, run_page(shown)))
    return page, json


def write_json(file: Path, document: RunDocument) -> None:
    """Write the JSON of a run, with its pictures in files beside it.

    Parameters
    ----------
    file : `pathlib.Path`
        Where to; its folder is made.
    document : `RunDocument`
        The run.

    Raises
    ------
    OSError
        If that fails.
    """
    evidence, pictures = take_pictures(document.evidence or Evidence())
    if document.evidence is not None:
        document = replace(document, evidence=evidence)
    run_id = document.report.run_id
    make_folder(file.parent)
    write_pictures(file.parent, run_id, pictures)
    replace_file(file, write_document(document))
    remove_others(file.parent, run_id, set(picture_names(evidence)))


def _replace(file: Path, text: str) -> None:
    make_folder(file.parent)
    replace_file(file, text)


class _Attempt:
    """Makes one thing after another; what fails is noted."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def make(self, what: str, action: Callable[[], T]) -> T | None:
        """Return what an action makes; if it fails, note what is missing."""
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - a run that has ended stays as it is
            self.problems.append(f"{what}: {one_line(str(error) or type(error).__name__)}")
            return None


class Published(NamedTuple):
    """What has become of the copies of a run's report."""

    copies: tuple[Copy, ...] = ()
    warnings: tuple[str, ...] = ()


async def publish_again(config: Mapping[str, Any], folder: Path, run_id: str, done: str) -> Published:
    """Copy the page and the JSON of a run to where it has published them.

    Parameters
    ----------
    config : `~collections.abc.Mapping`
        The run's configuration.
    folder : `pathlib.Path`
        Where its files are.
    run_id : `str`
        Which run.
    done : `str`
        What is done, whatever becomes of the copies.

    Returns
    -------
    published : `Published`
        A failure is a warning.
    """
    place = config.get("publish")
    if not isinstance(place, str) or not place:
        return Published()
    try:
        copies = await asyncio.wait_for(in_thread(lambda: copy_run(place, folder, run_id)), _COPY_TIMEOUT)
    except TimeoutError:
        what = f"no answer within {_COPY_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001 - each object store has errors of its own
        what = one_line(f"{type(error).__name__}: {error}")
    else:
        return Published(copies)
    remedy = f"{done}. Copy {folder / run_id}.html and .json there when that is fixed."
    return Published(
        warnings=(f"the copies of the run's report in {place} are not brought up to date: {what}. {remedy}",)
    )
