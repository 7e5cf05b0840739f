# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames were taken and stages ran, in all sessions of a run."""

from __future__ import annotations

__all__ = ["sessions", "timeline_plot"]

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..products import StageId, StageKind
from ..report import RunReport, Span
from ._figure import BLUE, INK, VERMILION, Hover, Picture, drawing, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BREAK = 60.0
"""Where nothing is under way for so long, a session has ended (s)."""

_LEAST_SHARE = 0.15
"""The narrowest panel of a session, in parts of the widest."""

_MAX_HOVERS = 600


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


def timeline_plot(report: RunReport) -> Picture | None:
    """Draw when frames were taken and stages ran.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    picture : `Picture` or `None`
        A panel for each session. `None` if nothing is known to have ended.
    """
    if not report.timeline:
        return None
    parts = sessions(report.timeline)
    rows: dict[str, int] = {}
    for span in report.timeline:
        rows.setdefault(span.stage.name, len(rows))
    lengths = [max(span.end for span in part) - part[0].begin for part in parts]
    least = max(_LEAST_SHARE * max(lengths), 1e-3)
    start = f"{_time(parts[0][0].begin):%Y-%m-%d %H:%M:%S} TAI"
    caption = (
        f"When frames were taken and stages ran, from {start} on"
        + (f", in {len(parts)} sessions" if len(parts) > 1 else "")
        + ". Hatched stages did not end well; thin bars are frames."
    )
    with drawing(8.6 + 1.2 * (min(len(parts), 6) - 1), 0.8 + 0.24 * len(rows)) as figure:
        axes = figure.subplots(
            1,
            len(parts),
            sharey=True,
            squeeze=False,
            gridspec_kw={"width_ratios": [max(length, least) for length in lengths]},
        )[0]
        hovers: list[Hover] = []
        bad = {result.stage for result in report.stages if not result.outcome.good}
        for i, (axis, part, length) in enumerate(zip(axes, parts, lengths, strict=True)):
            unit, scale = ("minutes", 60.0) if length > 180 else ("seconds", 1.0)
            axis.set_xlim(0, max(length / scale, 1e-3) * 1.01)
            begin = _time(part[0].begin)
            axis.set_xlabel(
                f"{unit} since {begin:%H:%M:%S} TAI"
                if len(parts) == 1
                else f"{unit} since\n{begin:%m-%d %H:%M:%S}"
            )
            if len(parts) > 1:
                axis.set_title(f"session {i + 1}", loc="left", fontsize=9)
            hovers += _draw(axis, part, rows, scale, bad)
        axes[0].set_yticks(range(len(rows)), list(rows))
        axes[0].invert_yaxis()
        return finish(figure, caption, hovers=hovers[:_MAX_HOVERS])


def _draw(
    axis: Axes, part: Sequence[Span], rows: dict[str, int], scale: float, bad: set[StageId]
) -> list[Hover]:
    """Draw a session; return what is said of its bars."""
    begin = part[0].begin
    hovers = []
    for span in part:
        row, left, width = (
            rows[span.stage.name],
            (span.begin - begin) / scale,
            (span.end - span.begin) / scale,
        )
        if span.frame:
            axis.barh(row, width, left=left, height=0.35, color=INK)
        else:
            failed = not span.outcome.good if span.outcome else span.stage in bad
            axis.barh(
                row,
                width,
                left=left,
                height=0.7,
                color="none" if failed else BLUE,
                edgecolor=VERMILION if failed else BLUE,
                hatch="////" if failed else None,
                alpha=0.35 if span.stage.kind is StageKind.EXPOSE and not failed else 1.0,
            )
        half = 0.18 if span.frame else 0.35
        hovers.append(Hover(axis, left, row - half, left + width, row + half, _words(span), margin=1.0))
    axis.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    axis.set_axisbelow(True)
    # What lies above another is pointed at first.
    return sorted(hovers, key=lambda hover: hover.lower - hover.upper)


def _words(span: Span) -> str:
    outcome = f", {span.outcome}" if span.outcome else ""
    begin, end = (f"{_time(each):%H:%M:%S}" for each in (span.begin, span.end))
    return f"{span.name}: {begin} to {end} TAI, {span.end - span.begin:.0f} s{outcome}"


def _time(timestamp: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
