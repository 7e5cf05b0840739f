# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in an observer's words, before it is run."""

from __future__ import annotations

__all__ = ["ROW_WIDTH", "itinerary"]

import datetime
import itertools
import textwrap
from collections.abc import Iterator

from ..config import CalibrationConfig, Series
from ..instruments import ImageType, Instrument
from ..pipelines import GENERATIONS
from ..plan import TAI_MINUS_UTC, RunPlan, Stage
from ..products import StageId, StageKind

_WHEN_CERTIFIED = {
    "each": "each if it passes",
    "together": "all together, or none",
    "ask": "each once a person has accepted it",
}
"""By the values of the configuration's ``certify``."""

ROW_WIDTH = 120
"""Of a row where there is no terminal, such as in a log."""


def itinerary(
    config: CalibrationConfig,
    plan: RunPlan,
    instrument: Instrument,
    begin: datetime.datetime,
    width: int = ROW_WIDTH,
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
        Characters that a row of the table may have.

    Returns
    -------
    text : `str`
    """
    lines = [f"{len(plan.exposures)} exposures, {_clock(plan.duration)} (h:mm:ss) in all"]
    lines += _table(
        ("series", "frames", "discarded", "exposure times", "exposed", "filter, grating"),
        [_series_row(series, plan) for series in _as_taken(config, plan)],
        width,
    )
    lines.append("Stages, each below the last one that it waits for, and when it can start (h:mm:ss):")
    lines += _tree(plan)
    end = begin + datetime.timedelta(seconds=plan.duration)
    tai = end.astimezone(datetime.UTC) + TAI_MINUS_UTC
    lines.append(f"Expected end: {end:%Y-%m-%d %H:%M %Z}, {tai:%Y-%m-%d %H:%M} TAI, if it begins now")
    lines.append(f"Disk needed: about {_disk(config, plan, instrument):.1f} GB")
    lines.append(f"Pipelines: generation {config.pipeline_generation} of cp_pipe and cp_verify")
    lines += _certified(config, plan)
    lines += [f"Note: {notice}" for notice in plan.notices]
    return "\n".join(lines)


def _as_taken(config: CalibrationConfig, plan: RunPlan) -> list[Series]:
    """Return the series that have frames, in the order of these."""
    order = list(dict.fromkeys(exposure.series for exposure in plan.exposures))
    of_plan = [series for series in config.series if series.subject in order]
    return sorted(of_plan, key=lambda series: order.index(series.subject))


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))


def _series_row(series: Series, plan: RunPlan) -> tuple[str, ...]:
    frames, n_trials = plan.exposures_of(series.subject), len(plan.trials_of(series.subject))
    times = ", ".join(
        f"{len(list(same))} x {exp_time:g} s"
        for exp_time, same in itertools.groupby(frame.exp_time for frame in frames)
    )
    wheels = [series.filter, series.grating]
    given = ", ".join("as it is" if wheel is None else str(wheel) for wheel in wheels)
    return (
        series.name,
        f"{len(frames)} + {n_trials} trials" if n_trials else str(len(frames)),
        str(sum(frame.discard for frame in frames)),
        times,
        f"{sum(frame.exp_time for frame in frames):g} s",
        given if series.image_type is ImageType.FLAT else "",
    )


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> Iterator[str]:
    """Yield the lines of a table; what makes it too wide is below its row."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    longest = widths.index(max(widths))
    excess = len("    ") + sum(widths) + len("  ") * (len(widths) - 1) - width
    widths[longest] = max(widths[longest] - max(excess, 0), len(headings[longest]))
    for row in (headings, *rows):
        below = row[longest] if len(row[longest]) > widths[longest] else ""
        if below:
            row = (*row[:longest], "as below", *row[longest + 1 :])
        cells = (f"{cell:{size}}" for cell, size in zip(row, widths, strict=True))
        yield "    " + "  ".join(cells).rstrip()
        yield from (f"        {line}" for line in _wrap(below, width - 8))


def _wrap(text: str, width: int) -> list[str]:
    """Wrap a list after its commas."""
    joined = text.replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", ")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(joined, width)]


def _tree(plan: RunPlan) -> Iterator[str]:
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

    rows = [("  " * depth + stage.name, _clock(starts[stage.id])) for depth, stage in below(None, 0)]
    width = max((len(name) for name, _ in rows), default=0)
    yield from (f"    {name:{width}}  {start:>8}" for name, start in rows)


def _disk(config: CalibrationConfig, plan: RunPlan, instrument: Instrument) -> float:
    """Return what the frames and what jobs make of them take (GB)."""
    n_detectors = len(instrument.detector_ids(config.detectors))
    kept = {series.subject: series.n for series in config.series}
    processed = sum(kept[series] for stage in plan.stages if stage.job for series in stage.job.series)
    size = len(plan.exposures) * instrument.raw_size + processed * instrument.processed_size
    return n_detectors * size / 1e9


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
