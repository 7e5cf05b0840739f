# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a person."""

from __future__ import annotations

__all__ = ["WaitingProduct", "count_waiting", "seen_of", "waiting_in", "waiting_of"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..files.journal import load_record, runs_in
from ..products import StageId, StageKind, Subject
from ..record import RunRecord


@dataclass(frozen=True)
class WaitingProduct:
    """A product that a person may accept or reject."""

    run_id: str
    subject: Subject

    seen: str
    """What the run found of it: how its stages ended."""

    since: float
    """When its run was noted down last (Unix timestamp, s)."""

    collection: str
    """CALIBRATION collection that it is meant for."""

    begin_date: str
    """Beginning of its validity range (ISO-8601, TAI)."""

    end_date: str
    """End of its validity range, exclusive (ISO-8601, TAI)."""


def waiting_in(folder: Path, skipped: Callable[[str], None] | None = None) -> Iterator[WaitingProduct]:
    """Yield what waits in a folder of journals.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    skipped : `~collections.abc.Callable`, optional
        Takes a line on each journal that cannot be read.

    Yields
    ------
    product : `WaitingProduct`
        Those of the newest run first.
    """
    for run_id, modified in runs_in(folder):
        try:
            record = load_record(folder, run_id)
        except LookupError as error:
            if skipped is not None:
                skipped(f"{run_id}: {error}")
            continue
        yield from waiting_of(record, modified)


def waiting_of(record: RunRecord, since: float) -> Iterator[WaitingProduct]:
    """Yield what waits of a run.

    Parameters
    ----------
    record : `RunRecord`
        The run.
    since : `float`
        When it was noted down last (Unix timestamp, s).

    Yields
    ------
    product : `WaitingProduct`
        What passed and is not decided about, and what was accepted but could
        not be certified.
    """
    for result in record.stages:
        if record.waits(result):
            yield WaitingProduct(
                record.run_id,
                result.stage.subject,
                seen_of(record, result.stage.subject),
                since,
                str(record.config.get("calib_collection")),
                str(record.config.get("certify_calib_begin_date")),
                str(record.config.get("certify_calib_end_date")),
            )


def count_waiting(record: RunRecord) -> int:
    """Return how many products of a run wait."""
    return record.count_waiting()


def seen_of(record: RunRecord, subject: Subject) -> str:
    """Return what a run has found of a product.

    Parameters
    ----------
    record : `RunRecord`
        The run.
    subject : `Subject`
        The product.

    Returns
    -------
    seen : `str`
        How its stages ended, and what a person should know, in one line.
    """
    kinds = (StageKind.GENERATE, StageKind.VERIFY)
    waiting = record.result_of(StageId(StageKind.CERTIFY, subject))
    ends = [
        f"{result.stage.kind} {result.outcome}" + (f" ({result.reason})" if result.reason else "")
        for result in record.stages
        if result.stage.subject == subject and result.stage.kind in kinds
    ]
    remarks = waiting.remarks if waiting is not None else ()
    # Which detectors are left out may be the reason of an end as well.
    return ", ".join((*ends, *(each for each in remarks if not any(each in end for end in ends))))
