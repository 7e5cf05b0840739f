# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the folder of journals, which change nothing."""

from __future__ import annotations

__all__ = ["check_journals", "check_runs"]

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..checkup import Check
from .contents import is_run_id
from .journal import run_lock
from .lock import LockedError
from .private import files_in

_JOURNALS = "journals"
_RUNS = "runs"
_REMEDY = "Write another journal_dir, or have that folder made for this account"


def check_journals(folder: Path) -> Check:
    """Check whether journals can be written.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where they are to be. It is not made.

    Returns
    -------
    check : `Check`
    """
    present = folder
    while not os.path.lexists(present) and present != present.parent:
        present = present.parent
    if not present.is_dir():
        return Check.failed(_JOURNALS, f"{present} is not a folder", _REMEDY)
    if present != folder:
        if os.access(present, os.W_OK | os.X_OK):
            return Check.ok(_JOURNALS, f"{folder}: the first run makes it")
        return Check.failed(_JOURNALS, f"{folder} does not exist, and cannot be made in {present}", _REMEDY)
    try:
        # Without a name where the system can, and removed at once elsewhere.
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Check.failed(_JOURNALS, f"{folder}: no file can be made and locked: {error.strerror}", _REMEDY)
    return Check.ok(_JOURNALS, f"{folder}: can be written, and files locked")


def check_runs(folder: Path, resumed: str | None) -> Iterator[Check]:
    """Check which runs are running.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    resumed : `str` or `None`
        Id of the run that the configuration resumes, if it does.

    Yields
    ------
    check : `Check`
        One for each run that is running, failed if it is to be resumed.
    """
    n_running = 0
    for file, status in sorted(files_in(folder, "*.lock")):
        run_id = file.name.removesuffix(".lock")
        if not stat.S_ISREG(status.st_mode) or not is_run_id(run_id):
            continue
        try:
            run_lock(folder, run_id).look()
        except LockedError as error:
            n_running += 1
            text = f"{run_id} is running: {error}"
            if run_id == resumed:
                yield Check.failed(_RUNS, f"{text}, and holds its lock", "Wait for its end, or stop it first")
            else:
                yield Check.warning(_RUNS, text, "It cannot be resumed before its end")
        except OSError as error:
            yield Check.warning(_RUNS, f"{file}: cannot be looked at: {error.strerror}", _REMEDY)
    if not n_running:
        yield Check.ok(_RUNS, "none is running")
