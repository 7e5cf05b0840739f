# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in an observer's words, before it is run."""

from __future__ import annotations

__all__ = ["itinerary"]

import datetime
from collections.abc import Iterator

from ..config import CalibrationConfig, Series
from ..instruments import ImageType, Instrument
from ..pipelines import GENERATIONS
from ..plan import TAI_MINUS_UTC, RunPlan, Stage, disk_needed
from ..products import StageId, StageKind
from ._lines import WIDTH, fold, fold_list
from ._times import folded_times

_WHEN_CERTIFIED = {
    "each": "each if it passes",
    "together": "all together, or none",
    "ask": "each once a person has accepted it",
}
"""By the values of the configuration's ``certify``."""

_TIMES, _WHEELS = 3, 5
_BELOW = ((), (_WHEELS,), (_TIMES,), (_TIMES, _WHEELS))
"""Columns of the table that are below its rows: the first that make it fit."""


def itinerary(
    config: CalibrationConfig,
    plan: RunPlan,
    instrument: Instrument,
    begin: datetime.datetime,
    width: int = WIDTH,
) -> str:
    """Return what a run will do, when, and what it leaves.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose frames are taken.
    begin : `datetime.datetime`
        When it would begin, with a time zone: that of the reader.
    width : `int`, optional
        Columns of a line.

    Returns
    -------
    text : `str`
    """
    lines = [f"{len(plan.exposures)} exposures, {_clock(plan.duration)} (h:mm:ss) in all"]
    lines += _table(
        ("series", "frames", "discarded", "exposure times", "exposed", ", ".join(config.wheels)),
        [_series_row(series, config, plan) for series in _as_taken(config, plan)],
        width,
    )
    lines.append("Stages, each below the last that it waits for, and its start (h:mm:ss):")
    lines += _tree(plan, width)
    end = begin + datetime.timedelta(seconds=plan.duration)
    tai = end.astimezone(datetime.UTC) + TAI_MINUS_UTC
    lines.append(f"Expected end: {end:%Y-%m-%d %H:%M %Z}, {tai:%Y-%m-%d %H:%M} TAI, if it begins now")
    lines.append(f"Disk needed: about {_size(disk_needed(config, plan, instrument))}")
    lines.append(f"Pipelines: generation {config.pipeline_generation} of cp_pipe and cp_verify")
    if config.job_service == "bps":
        lines.append(f"Jobs: through bps, on the batch system of {config.bps_config}")
    lines += _certified(config, plan)
    lines += [f"Note: {notice}" for notice in plan.notices]
    return fold("\n".join(lines), width)


def _as_taken(config: CalibrationConfig, plan: RunPlan) -> list[Series]:
    """Return the series that have frames, in the order of these."""
    order = list(dict.fromkeys(exposure.series for exposure in plan.exposures))
    of_plan = [series for series in config.series if series.subject in order]
    return sorted(of_plan, key=lambda series: order.index(series.subject))


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))


def _series_row(series: Series, config: CalibrationConfig, plan: RunPlan) -> tuple[str, ...]:
    frames, n_trials = plan.exposures_of(series.subject), len(plan.trials_of(series.subject))
    wheels = {"filter": series.filter, "grating": series.grating}
    given = ", ".join("as it is" if wheels[wheel] is None else str(wheels[wheel]) for wheel in config.wheels)
    return (
        series.name,
        f"{len(frames)} + {n_trials} trials" if n_trials else str(len(frames)),
        str(sum(frame.discard for frame in frames)),
        ", ".join(folded_times([frame.exp_time for frame in frames])),
        f"{sum(frame.exp_time for frame in frames):g} s",
        given if series.image_type is ImageType.FLAT else "",
    )


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> Iterator[str]:
    """Yield the lines of a table; what makes it too wide is below each row."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    beside: list[int] = []
    for below in _BELOW:
        beside = [i for i in range(len(headings)) if i not in below]
        if len("    ") + sum(widths[i] for i in beside) + len("  ") * (len(beside) - 1) <= width:
            break
    for row in (headings, *rows):
        yield "    " + "  ".join(f"{row[i]:{widths[i]}}" for i in beside).rstrip()
        for i, cell in enumerate(row):
            if i not in beside and cell and row is not headings:
                yield fold_list(f"{headings[i]}: {cell}".split(", "), 8, width, ", ")


def _tree(plan: RunPlan, width: int) -> Iterator[str]:
    starts = plan.starts
    waits = {
        stage.id: max(stage.needs + stage.after, key=lambda other: starts[other], default=None)
        for stage in plan.stages
    }

    def below(parent: StageId | None, depth: int) -> Iterator[tuple[int, Stage]]:
        for stage in plan.stages:
            if waits[stage.id] == parent:
                yield depth, stage
                yield from below(stage.id, depth + 1)

    found = list(below(None, 0))
    # A deep tree of long names gets less of an indent.
    for step in (2, 1, 0):
        rows = [(" " * step * depth + stage.name, _clock(starts[stage.id])) for depth, stage in found]
        longest = max((len(name) for name, _ in rows), default=0)
        if len("    ") + longest + len("  0:00:00") < width:
            break
    yield from (f"    {name:{longest}}  {start:>8}" for name, start in rows)


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 0.95e9 else f"{size / 1e6:.0f} MB"


def _certified(config: CalibrationConfig, plan: RunPlan) -> Iterator[str]:
    generators = GENERATIONS[config.pipeline_generation].generators
    types = [
        f"{generators[stage.subject.product].dataset_type} {stage.subject.part}".rstrip()
        for stage in plan.stages_of(StageKind.CERTIFY)
    ]
    if not types:
        yield "Nothing is to be certified."
        return
    each = _WHEN_CERTIFIED[config.certify]
    yield (
        f"To be certified into {config.calib_collection}, valid {config.certify_calib_begin_date} to "
        f"{config.certify_calib_end_date}, {each}: {', '.join(types)}"
    )
