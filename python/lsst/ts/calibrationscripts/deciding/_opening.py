# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run that is decided about, locked and read."""

from __future__ import annotations

__all__ = ["locked", "record_of"]

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..files.journal import load_record, lock_earlier_run
from ..files.lock import Lock
from ..record import RunRecord
from ._choice import Choice, DecisionError


@contextlib.contextmanager
def locked(folder: Path, run_id: str, choice: Choice) -> Iterator[Lock]:
    """Lock a run, so that another decider waits for the end of this one.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where its journal is.
    run_id : `str`
        Which run.
    choice : `Choice`
        What is decided.

    Yields
    ------
    lock : `Lock`
        Its lock, held.

    Raises
    ------
    DecisionError
        If the choice has no reason, or the run does not exist or is in use.
    """
    if not choice.reason.strip():
        raise DecisionError("A decision needs a reason: write why, for those who read the record later.")
    try:
        lock = lock_earlier_run(folder, run_id)
    except LookupError as error:
        raise DecisionError(f"{run_id}: {': '.join(map(str, error.args))}.") from error
    try:
        yield lock
    finally:
        lock.release()


def record_of(folder: Path, run_id: str) -> RunRecord:
    """Read the journal of a run.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where it is.
    run_id : `str`
        Which run.

    Returns
    -------
    record : `RunRecord`

    Raises
    ------
    DecisionError
        If it cannot be read.
    """
    try:
        return load_record(folder, run_id)
    except LookupError as error:
        raise DecisionError(f"{run_id}: {error}.") from error
