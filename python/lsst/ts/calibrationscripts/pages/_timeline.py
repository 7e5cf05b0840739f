# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames were taken and stages ran, in all sessions of a run."""

from __future__ import annotations

__all__ = ["Bar", "Line", "Session", "Timeline", "sessions", "timeline_of"]

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from ..products import StageId, StageKind
from ..report import RunReport, Span

_BREAK = 60.0
"""Where nothing is under way for so long, a session has ended (s)."""

_FULL = 1000.0
"""Length of the longest line."""

_SHORTEST = 2.0
"""Of what is drawn, so that it can be seen."""

_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400)
"""Between ticks (s)."""

_MAX_TICKS = 5


class Bar(NamedTuple):
    """Something that was under way, on a line."""

    left: float
    width: float
    kind: str
    """How it is drawn: "frame", "frames", "good" or "bad"."""

    text: str
    """What is shown when one points at it."""


class Line(NamedTuple):
    """A stage in a session."""

    name: str
    text: str
    """How long it took, and how it ended if not well."""

    bad: bool
    bars: tuple[Bar, ...]


class Tick(NamedTuple):
    """A time below the lines of a session."""

    place: float
    text: str


class Session(NamedTuple):
    """What was under way from one start of the script to its end."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]


class Timeline(NamedTuple):
    """All sessions of a run."""

    caption: str
    sessions: tuple[Session, ...]


def sessions(timeline: Sequence[Span]) -> list[list[Span]]:
    """Divide what happened into sessions.

    Parameters
    ----------
    timeline : `~collections.abc.Sequence` [`Span`]
        In the order in which it began.

    Returns
    -------
    sessions : `list` [`list` [`Span`]]
        Between them nothing was under way.
    """
    found: list[list[Span]] = []
    end = float("-inf")
    for span in timeline:
        if span.begin > end + _BREAK:
            found.append([])
        found[-1].append(span)
        end = max(end, span.end)
    return found


def timeline_of(report: RunReport) -> Timeline | None:
    """Return when frames were taken and stages ran.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    timeline : `Timeline` or `None`
        `None` if nothing is known to have ended.
    """
    if not report.timeline:
        return None
    parts = sessions(report.timeline)
    start = f"{_time(parts[0][0].begin):%Y-%m-%d %H:%M:%S} TAI"
    caption = (
        f"When frames were taken and stages ran, from {start} on"
        + (f", in {len(parts)} sessions" if len(parts) > 1 else "")
        + ". Hollow bars did not end well; thin bars are frames."
    )
    bad = {result.stage for result in report.stages if not result.outcome.good}
    return Timeline(caption, tuple(_session(i + 1, part, bad) for i, part in enumerate(parts)))


def _session(number: int, part: Sequence[Span], bad: set[StageId]) -> Session:
    begin = part[0].begin
    length = max(max(span.end for span in part) - begin, 1e-3)
    by_stage: dict[StageId, list[Span]] = {}
    for span in part:
        by_stage.setdefault(span.stage, []).append(span)
    lines = tuple(_line(spans, begin, length, bad) for spans in by_stage.values())
    title = f"session {number}, {_time(begin):%Y-%m-%d %H:%M:%S} TAI, {_duration(length)}"
    return Session(title, lines, tuple(_ticks(length)))


def _line(spans: Sequence[Span], begin: float, length: float, bad: set[StageId]) -> Line:
    stages = [span for span in spans if not span.frame]
    failed = any(_failed(span, bad) for span in stages)
    outcomes = [str(span.outcome) for span in stages if span.outcome and not span.outcome.good]
    took = [_duration(sum(span.end - span.begin for span in stages))] if stages else []
    return Line(
        spans[0].stage.name,
        ", ".join([*took, *dict.fromkeys(outcomes)]),
        failed,
        # Frames are drawn over their stage.
        tuple(_bar(span, begin, length, bad) for span in sorted(spans, key=lambda span: bool(span.frame))),
    )


def _bar(span: Span, begin: float, length: float, bad: set[StageId]) -> Bar:
    width = max(_FULL * (span.end - span.begin) / length, _SHORTEST)
    kind = "frames" if span.stage.kind is StageKind.EXPOSE else "good"
    kind = "frame" if span.frame else "bad" if _failed(span, bad) else kind
    left = min(_FULL * (span.begin - begin) / length, _FULL - width)
    return Bar(round(left, 1), round(width, 1), kind, _words(span))


def _failed(span: Span, bad: set[StageId]) -> bool:
    return not span.outcome.good if span.outcome else span.stage in bad


def _ticks(length: float) -> list[Tick]:
    """Return times since a session began; the last one says the unit."""
    step = next((step for step in _STEPS if length / step < _MAX_TICKS), _STEPS[-1])
    unit, scale = next(
        (unit, scale) for unit, scale in (("h", 3600), ("min", 60), ("s", 1)) if step % scale == 0
    )
    times = range(0, int(length) + 1, step)
    texts = [f"{time // scale}" for time in times]
    texts[-1] += f" {unit}"
    return [Tick(round(_FULL * time / length, 1), text) for time, text in zip(times, texts, strict=True)]


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _words(span: Span) -> str:
    outcome = f", {span.outcome}" if span.outcome else ""
    begin, end = (f"{_time(each):%H:%M:%S}" for each in (span.begin, span.end))
    return f"{span.name}: {begin} to {end} TAI, {span.end - span.begin:.0f} s{outcome}"


def _time(timestamp: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
