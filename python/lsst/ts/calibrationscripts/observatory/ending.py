# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run: its last task, and its report."""

from __future__ import annotations

__all__ = ["REPORT_WRITTEN", "ReportWriter", "finish", "write_in_thread", "write_run_report"]

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..outcomes import RunState
from ..report import RunReport
from ..reporting import WrittenReport, write_report
from ..threads import in_thread
from .errors import explain

REPORT_WRITTEN = "Report: "
"""What the message begins with that names the run's page."""

_REPORT_TIMEOUT = 90.0
"""Longest wait for the run's page: it reads the Butler for up to a minute,
and an observer's next script waits (s)."""

_PENDING_TIMEOUT = 3.0
"""Where jobs were left to themselves, so as to end at once (s)."""

_REPORT_TIMEOUTS = {RunState.STOPPED: 2.0}
"""Where an observer is waiting for the end (s).

The queue gives a script that it stops 10 s, and 1 s more for each script: for
the frame under way, for aborts, for this, and for closing the remotes.
"""


async def finish(work: asyncio.Task[None]) -> None:
    """Await a task; cancel it once, however often this is cancelled.

    A second stop must not keep the first one from aborting jobs.

    Parameters
    ----------
    work : `asyncio.Task`
        The task.
    """
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        work.cancel()
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        await work
        raise


ReportWriter = Callable[[RunReport, str, Path], Awaitable[WrittenReport]]
"""Writes the report of a run: of which run, from which repository, into which
folder. When it is cancelled, it writes nothing any more."""


async def write_in_thread(report: RunReport, repo: str, folder: Path) -> WrittenReport:
    """Write the report of a run in a thread of this process.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the repository.
    folder : `pathlib.Path`
        Folder of the journal.

    Returns
    -------
    written : `WrittenReport`
    """
    given_up = threading.Event()
    try:
        return await in_thread(lambda: write_report(report, repo, folder, given_up))
    finally:
        # A thread cannot be ended, but it writes nothing any more.
        given_up.set()


async def write_run_report(
    report: RunReport, repo: str, folder: Path, log: logging.Logger, write: ReportWriter
) -> None:
    """Write a run's page and JSON beside its journal.

    The run has ended: nothing here changes how. A session that was refused
    before it did anything leaves those of the sessions before: they have the
    evidence of what is certified, and of what waits for a person.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the repository.
    folder : `pathlib.Path`
        Folder of the journal.
    log : `logging.Logger`
        Takes where the page is, and what it lacks.
    write : `ReportWriter`
        What writes it.
    """
    if report.resumed and not report.stages and (folder / f"{report.run_id}.json").is_file():
        log.info("Nothing was done in this session: the run's report stays as it was.")
        return
    if report.pending:
        # Loaded before, so that the script ends at once.
        write = write_in_thread
    timeout = _REPORT_TIMEOUTS.get(report.state, _PENDING_TIMEOUT if report.pending else _REPORT_TIMEOUT)
    try:
        written = await asyncio.wait_for(write(report, repo, folder), timeout)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see above
        what = "it was stopped" if isinstance(error, asyncio.CancelledError) else explain(error)
        log.warning(f"The run's report in {folder} is not complete: {what}")
        return
    for warning in written.warnings:
        log.warning(warning)
    for problem in written.problems:
        log.warning(f"The run's report: {problem}")
    log.info(f"{REPORT_WRITTEN}{written.page}")
