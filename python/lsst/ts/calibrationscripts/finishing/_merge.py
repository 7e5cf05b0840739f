# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run from what it knew when it ended, and what came later."""

from __future__ import annotations

__all__ = ["merged"]

from collections.abc import Mapping
from dataclasses import replace

from ..instruments import ImageType
from ..plan import RunPlan
from ..products import StageKind
from ..record import RunRecord
from ..report import RunReport

_Ids = Mapping[ImageType, tuple[int, ...]]


def merged(report: RunReport, plan: RunPlan, record: RunRecord, earlier: RunReport | None) -> RunReport:
    """Return the report of the whole run.

    Parameters
    ----------
    report : `RunReport`
        What was collected: without the stages that had failed before.
    plan : `RunPlan`
        The whole run.
    record : `RunRecord`
        What was known when it began to be collected.
    earlier : `RunReport` or `None`
        The report of then, if there is one.

    Returns
    -------
    report : `RunReport`
    """
    collected = {result.stage: result for result in report.stages}
    before = {result.stage: result for result in record.stages}
    stages = [collected.get(stage.id) or before.get(stage.id) for stage in plan.stages]
    whole = replace(
        report,
        stages=tuple(result for result in stages if result is not None),
        instrument=record.instrument,
        resumed=record.resumed,
    )
    if earlier is None:
        return whole
    taking = [span for span in earlier.timeline if span.stage.kind is StageKind.EXPOSE]
    processing = [span for span in report.timeline if span.stage.kind is not StageKind.EXPOSE]
    return replace(
        whole,
        exposures=_both(earlier.exposures, report.exposures),
        discarded=_both(earlier.discarded, report.discarded),
        timeline=(*taking, *processing),
        # What took the frames and submitted the jobs counts.
        versions=earlier.versions,
        resume_command=earlier.resume_command,
        notices=earlier.notices,
    )


def _both(before: _Ids, now: _Ids) -> _Ids:
    """Return the ids of both, each once and in their order."""
    return {
        image_type: tuple(dict.fromkeys((*before.get(image_type, ()), *now.get(image_type, ()))))
        for image_type in (*before, *(image_type for image_type in now if image_type not in before))
    }
