# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run takes of the repository's disk."""

from __future__ import annotations

__all__ = ["disk_needed"]

from ..config import CalibrationConfig
from ..instruments import Instrument
from ._records import RunPlan


def disk_needed(config: CalibrationConfig, plan: RunPlan, instrument: Instrument) -> float:
    """Return what the frames and what jobs make of them take (byte).

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it, or what is left of that.
    instrument : `Instrument`
        Whose frames are taken.

    Returns
    -------
    size : `float`
        An estimate.
    """
    area = instrument.area(config.detectors)
    kept = {series.subject: series.n for series in config.series}
    processed = sum(
        kept[series] for stage in plan.stages if stage.job and stage.duration for series in stage.job.series
    )
    return area * (len(plan.exposures) * instrument.raw_size + processed * instrument.processed_size)
