# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a run."""

from __future__ import annotations

__all__ = ["failure_map", "gain_plot", "panel_plot", "timeline_plot"]

import datetime
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..outcomes import Gain
from ..products import StageKind
from ..report import Panel, Place, RunReport, Span
from ..verification import Verdict
from ._figure import BLUE, INK, MAX_VECTORS, ORANGE, VERMILION, Picture, drawing, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_ROWS = 48
"""Rows of a map that can still be distinguished."""

_MAX_LABELS = 48

_HIGHEST_GAIN = 2.0
"""Largest gain that is drawn to scale, in units of the median."""


def _short(exposures: Sequence[int]) -> tuple[list[str], str]:
    """Return labels of exposures, and what all of them begin with."""
    heads = {exposure // 100_000 for exposure in exposures}
    if len(heads) != 1:
        return [str(exposure) for exposure in exposures], ""
    return [f"{exposure % 100_000}" for exposure in exposures], f" (after {heads.pop()}00000)"


def _thin(axis: Any, ticks: Sequence[float], labels: Sequence[str], rotation: int = 90) -> None:
    """Label an axis, but not so densely that labels run into each other."""
    step = max(1, -(-len(labels) // _MAX_LABELS))
    axis.set_ticks(list(ticks)[::step], list(labels)[::step], rotation=rotation)


def failure_map(verdict: Verdict, places: Sequence[Place]) -> Picture | None:
    """Draw which tests failed, by amplifier and exposure.

    Parameters
    ----------
    verdict : `Verdict`
        Whose failures are drawn.
    places : `~collections.abc.Sequence` [`Place`]
        All amplifiers, if they are known.

    Returns
    -------
    picture : `Picture` or `None`
        A panel for each type of test that failed, with a row an amplifier;
        where there are too many amplifiers, a row a detector with the
        number of its amplifiers. `None` if none failed.
    """
    failures = [
        (column, failure) for column, result in enumerate(verdict.results) for failure in result.failures
    ]
    if not failures:
        return None
    tests = sorted({failure.test for _, failure in failures})
    known = dict.fromkeys((place.name, place.amplifier) for place in places)
    rows = list(known | dict.fromkeys(sorted({(f.detector, f.amplifier) for _, f in failures} - set(known))))
    by_detector = len(rows) > _MAX_ROWS
    left_out = 0
    if by_detector:
        worst = Counter(failure.detector for _, failure in failures).most_common()
        left_out = max(0, len(worst) - _MAX_ROWS)
        rows = sorted((name, "") for name, _ in worst[:_MAX_ROWS])
    index = {row: i for i, row in enumerate(rows)}
    counts = {test: [[0] * len(verdict.results) for _ in rows] for test in tests}
    for column, failure in failures:
        row = index.get((failure.detector, "" if by_detector else failure.amplifier))
        if row is not None:
            counts[failure.test][row][column] += 1
    caption = f"Tests that failed in {verdict.name}, by exposure and " + (
        "detector: the number of amplifiers." if by_detector else "amplifier: coloured cells failed."
    )
    if left_out:
        caption += f" {left_out} detectors with fewer failures are left out."
    return _draw_map(verdict, rows, counts, caption)


def _draw_map(
    verdict: Verdict, rows: list[tuple[str, str]], counts: Mapping[str, list[list[int]]], caption: str
) -> Picture:
    from matplotlib.colors import LinearSegmentedColormap

    n_columns = len(verdict.results)
    labels, head = ["all"], ""
    if verdict.of_exposures:
        labels, head = _short([result.exposure for result in verdict.results if result.exposure is not None])
    several = len({detector for detector, _ in rows}) > 1
    names = [
        " ".join(filter(None, (detector if several or not amplifier else "", amplifier))) or "exposure"
        for detector, amplifier in rows
    ]
    width = 1.0 + len(counts) * max(2.4, 0.7 + 0.16 * min(n_columns, 60))
    highest = max(max(map(max, grid)) for grid in counts.values())
    colours = LinearSegmentedColormap.from_list("failures", ["#f2f2f2", ORANGE, "#7a2a00"])
    if highest == 1:
        colours = LinearSegmentedColormap.from_list("failed", ["#f2f2f2", VERMILION])
    vectors = len(rows) * n_columns * len(counts) <= MAX_VECTORS
    with drawing(width, 0.9 + 0.15 * len(rows)) as figure:
        axes = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
        for axis, (test, grid) in zip(axes, counts.items(), strict=True):
            mesh = axis.pcolormesh(
                grid,
                cmap=colours,
                vmin=0,
                vmax=highest,
                edgecolors="white",
                linewidth=0.6,
                rasterized=not vectors,
            )
            axis.invert_yaxis()
            axis.set_title(f"{test}: {sum(map(sum, grid))} failed")
            axis.set_xlabel(f"exposure{head}" if verdict.of_exposures else "")
            axis.tick_params(length=0)
            _thin(axis.xaxis, [i + 0.5 for i in range(n_columns)], labels)
        axes[0].set_yticks([i + 0.5 for i in range(len(rows))], names, fontsize=8)
        if highest > 1:
            figure.colorbar(mesh, ax=list(axes), label="amplifiers that failed")
        return finish(figure, caption, raster=not vectors)


def panel_plot(panel: Panel, subject: str, places: Sequence[Place], failed: Sequence[set[Place]]) -> Picture:
    """Draw a statistic of every amplifier and exposure, and its limits.

    Parameters
    ----------
    panel : `Panel`
        The statistic.
    subject : `str`
        Of what.
    places : `~collections.abc.Sequence` [`Place`]
        The amplifiers.
    failed : `~collections.abc.Sequence` [`set` [`Place`]]
        By exposure, where the test failed.

    Returns
    -------
    picture : `Picture`
    """
    good: tuple[list[float], list[float]] = ([], [])
    bad: tuple[list[float], list[float]] = ([], [])
    n = max(len(panel.rows), 1)
    for i, row in enumerate(panel.rows):
        # Side by side, in the order of exposures, so that drifts show.
        shift = ((i + 0.5) / n - 0.5) * 0.7
        for x, (place, value) in enumerate(zip(places, row, strict=True)):
            if value is not None:
                xs, ys = bad if place in failed[i] else good
                xs.append(x + shift)
                ys.append(value)
    raster = len(good[0]) + len(bad[0]) > MAX_VECTORS
    limited = any(limit != (None, None) for limit in panel.limits)
    unit = f" ({panel.unit})" if panel.unit else ""
    caption = f"{subject}: {panel.title[0].lower()}{panel.title[1:]}{unit}, by amplifier; a mark an exposure."
    caption += " Bars are limits." if limited else " It has no limit by amplifier."
    caption += " Crosses failed." if bad[0] else ""
    with drawing(11 if len(places) > _MAX_LABELS else 8.6, 2.9) as figure:
        axis = figure.subplots()
        size = 1.5 if raster else 3
        axis.plot(*good, "o", color=BLUE, markersize=size, alpha=0.75, markeredgewidth=0, linestyle="none")
        axis.plot(*bad, "x", color=VERMILION, markersize=size + 1.5, linestyle="none")
        for side in (0, 1):
            edges = [(x, edge) for x, limit in enumerate(panel.limits) if (edge := limit[side]) is not None]
            axis.hlines(
                [y for _, y in edges],
                [x - 0.45 for x, _ in edges],
                [x + 0.45 for x, _ in edges],
                colors=INK if not raster else "black",
                linewidth=1,
            )
        _label_amplifiers(axis, places)
        axis.set_ylabel(f"{panel.title}{unit}" if len(panel.title) < 20 else "relative noise")
        return finish(figure, caption, raster=raster)


def _label_amplifiers(axis: Axes, places: Sequence[Place]) -> None:
    """Name amplifiers on the horizontal axis, or detectors if many."""
    axis.set_xlim(-0.7, len(places) - 0.3)
    axis.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    detectors = list(dict.fromkeys(place.name for place in places))
    if len(places) <= _MAX_LABELS:
        several = len(detectors) > 1
        names = [f"{p.name} {p.amplifier}" if several else p.amplifier for p in places]
        _thin(axis.xaxis, range(len(places)), names, rotation=90 if several else 0)
        return
    firsts = [next(i for i, place in enumerate(places) if place.name == name) for name in detectors]
    _thin(axis.xaxis, firsts, detectors)


def gain_plot(gains: Sequence[Gain]) -> Picture | None:
    """Draw the gains of all pairs, and the reference.

    Parameters
    ----------
    gains : `~collections.abc.Sequence` [`Gain`]
        The gains.

    Returns
    -------
    picture : `Picture` or `None`
        `None` if there is no gain.
    """
    measured = [(gain, gain.gain) for gain in gains if gain.gain is not None]
    if not measured:
        return None
    keys = list(dict.fromkeys((gain.detector, gain.amplifier) for gain, _ in measured))
    index = {key: x for x, key in enumerate(keys)}
    pairs = list(dict.fromkeys(gain.exposures for gain, _ in measured))
    place_of = [Place(detector, f"detector {detector}", amplifier) for detector, amplifier in keys]
    references = {(g.detector, g.amplifier): g.reference for g, _ in measured if g.reference is not None}
    raster = len(measured) > MAX_VECTORS
    caption = f"Gain (e-/ADU) by amplifier; a mark a pair of flats, {len(pairs)} in all."
    if references:
        caption += " Bars are the reference ptc."
    # A saturated pair has any gain, and would make all others look alike.
    highest = _HIGHEST_GAIN * statistics.median(value for _, value in measured)
    if any(value > highest for _, value in measured):
        caption += " Marks at the upper edge are beyond the scale."
    with drawing(11 if len(keys) > _MAX_LABELS else 8.6, 2.9) as figure:
        axis = figure.subplots()
        axis.hlines(
            list(references.values()),
            [index[key] - 0.45 for key in references],
            [index[key] + 0.45 for key in references],
            colors=INK if not raster else "black",
            linewidth=1,
        )
        shifts = {pair: ((i + 0.5) / len(pairs) - 0.5) * 0.7 for i, pair in enumerate(pairs)}
        axis.plot(
            [index[gain.detector, gain.amplifier] + shifts[gain.exposures] for gain, _ in measured],
            [min(value, highest) for _, value in measured],
            "o",
            color=BLUE,
            markersize=1.5 if raster else 4,
            markeredgewidth=0,
            linestyle="none",
        )
        _label_amplifiers(axis, place_of)
        axis.set_ylabel("gain (e-/ADU)")
        return finish(figure, caption, raster=raster)


def timeline_plot(report: RunReport) -> Picture | None:
    """Draw when frames were taken and stages ran.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    picture : `Picture` or `None`
        `None` if nothing is known to have ended.
    """
    if not report.timeline:
        return None
    bad = {result.stage for result in report.stages if not result.outcome.good} - {
        result.stage for result in report.pending
    }
    begin = min(span.begin for span in report.timeline)
    rows: dict[str, int] = {}
    stages: list[tuple[int, Span]] = []
    frames: list[tuple[int, Span]] = []
    for span in report.timeline:
        row = rows.setdefault(span.stage.name, len(rows))
        (frames if span.frame else stages).append((row, span))
    longest = max(span.end for span in report.timeline) - begin
    unit, scale = ("minutes", 60.0) if longest > 180 else ("seconds", 1.0)
    start = datetime.datetime.fromtimestamp(begin, datetime.UTC)
    caption = (
        f"When frames were taken and stages ran, from {start:%Y-%m-%d %H:%M:%S} TAI on. Hatched stages did "
        "not end well; thin bars are frames."
    )
    with drawing(8.6, 0.8 + 0.24 * len(rows)) as figure:
        axis = figure.subplots()
        for row, span in stages:
            failed = span.stage in bad
            axis.barh(
                row,
                (span.end - span.begin) / scale,
                left=(span.begin - begin) / scale,
                height=0.7,
                color="none" if failed else BLUE,
                edgecolor=VERMILION if failed else BLUE,
                hatch="////" if failed else None,
                alpha=0.35 if span.stage.kind is StageKind.EXPOSE else 1.0,
            )
        axis.barh(
            [row for row, _ in frames],
            [(span.end - span.begin) / scale for _, span in frames],
            left=[(span.begin - begin) / scale for _, span in frames],
            height=0.35,
            color=INK,
        )
        axis.set_yticks(range(len(rows)), list(rows))
        axis.invert_yaxis()
        axis.set_xlim(0, max(longest / scale, 1e-3) * 1.01)
        axis.set_xlabel(f"{unit} since {start:%H:%M:%S} TAI")
        axis.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
        axis.set_axisbelow(True)
        return finish(figure, caption)
