# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with frames once they should be in the Butler."""

from __future__ import annotations

__all__ = ["fault_of", "fault_of_identity", "ingest_problems"]

from ..instruments import same_filter
from ..plan import PlannedExposure
from ..ports import ExposureRecord, IngestReport

_EXPOSURE_TIME_TOLERANCE = 0.05
"""Difference to the planned exposure time that a shutter may cause (s)."""


def fault_of(planned: PlannedExposure, record: ExposureRecord, physical_filter: str) -> str | None:
    """Return how a frame differs from what was planned, if it does.

    Parameters
    ----------
    planned : `PlannedExposure`
        What was planned.
    record : `ExposureRecord`
        What the Butler says of it.
    physical_filter : `str`
        What its series is taken through; "" if that does not matter.

    Returns
    -------
    fault : `str` or `None`
        What follows the frame's name.
    """
    if record.image_type.upper() != planned.image_type:
        return f"is a {record.image_type.upper()} in the Butler, not a {planned.image_type}"
    if abs(record.exp_time - planned.exp_time) > _EXPOSURE_TIME_TOLERANCE:
        return f"has {record.exp_time:g} s in the Butler, not {planned.exp_time:g} s"
    if physical_filter and not same_filter(record.physical_filter, physical_filter):
        return f"was taken through {record.physical_filter}, says the Butler, not through {physical_filter}"
    return None


def fault_of_identity(exposure_id: int, record: ExposureRecord, group_id: str | None) -> str | None:
    """Return how a frame is not that of the journal, if it is not.

    Parameters
    ----------
    exposure_id : `int`
        Its id in the journal.
    record : `ExposureRecord`
        What the Butler says of that id.
    group_id : `str` or `None`
        Its group in the journal, if that has one.

    Returns
    -------
    fault : `str` or `None`
        What follows the frame's name.
    """
    # The Butler takes the exposure id where a header has no group.
    if group_id is None or record.group in (group_id, str(exposure_id)):
        return None
    return f"is of group {record.group} in the Butler, not of {group_id} as in the journal"


def ingest_problems(report: IngestReport, discarded: set[int]) -> tuple[str, ...]:
    """Return which frames are not in the Butler, and why.

    Parameters
    ----------
    report : `IngestReport`
        What became of them.
    discarded : `set` [`int`]
        Those that need not be there.

    Returns
    -------
    problems : `tuple` [`str`, ...]
    """
    problems = [
        f"the OODS could not ingest exposure {exposure_id}: {description}"
        for exposure_id, description in report.failures
        if exposure_id not in discarded
    ]
    missing = [exposure_id for exposure_id in report.missing if exposure_id not in discarded]
    if missing:
        ids = ", ".join(map(str, missing))
        remark = f" ({report.remark})" if report.remark else ""
        problems.append(f"not in the Butler: exposure(s) {ids}{remark}")
    return tuple(problems)
