# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the pages, as markup that needs nothing else.

Matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

__all__ = ["Picture", "failure_map", "gain_plot", "panel_plot", "timeline_plot", "trend_plot"]

import base64
import datetime
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ..outcomes import Gain
from ..products import StageKind
from ..report import Panel, Place, RunReport, Span
from ..verification import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..trend import Band

BLUE, VERMILION, GREY, ORANGE = "#0072b2", "#d55e00", "#8a8a8a", "#e69f00"
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""

_INK = "#010203"
"""Stands for the colour of the page's text."""

_MAX_VECTORS = 4000
"""Marks that are still drawn one by one; a picture of more is a raster."""

_MAX_ROWS = 48
"""Rows of a map that are still told apart."""

_MAX_LABELS = 48
_DPI = 110
_DAY = 86_400.0


@dataclass(frozen=True)
class Picture:
    """A figure, ready for a page."""

    markup: str
    """An ``svg`` or ``img`` element."""

    caption: str
    width: int
    """Width that it should not be shrunk below (CSS pixel)."""


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """Make a figure in the page's style; sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "ts_calibrationscripts",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
        ),
    }
    with matplotlib.rc_context(style):
        yield Figure(figsize=(width, height), layout="constrained")


def _picture(figure: Figure, caption: str, *, raster: bool = False) -> Picture:
    """Turn a figure into markup, with its caption for screen readers."""
    stream = io.BytesIO()
    width = round(figure.get_figwidth() * 72)
    if raster:
        # On white in dark mode too: its ink cannot follow the page's.
        figure.savefig(stream, format="png", dpi=_DPI, facecolor="white")
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        markup = f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
        return Picture(markup, caption, width)
    figure.savefig(stream, format="svg", metadata={"Date": None})
    svg = stream.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace(_INK, "currentColor").replace(BLUE, "var(--mark)")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    return Picture(svg, caption, width)


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
    vectors = len(rows) * n_columns * len(counts) <= _MAX_VECTORS
    with _figure(width, 0.9 + 0.15 * len(rows)) as figure:
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
        return _picture(figure, caption, raster=not vectors)


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
    raster = len(good[0]) + len(bad[0]) > _MAX_VECTORS
    limited = any(limit != (None, None) for limit in panel.limits)
    unit = f" ({panel.unit})" if panel.unit else ""
    caption = f"{subject}: {panel.title[0].lower()}{panel.title[1:]}{unit}, by amplifier; a mark an exposure."
    caption += " Bars are limits." if limited else " It has no limit by amplifier."
    caption += " Crosses failed." if bad[0] else ""
    with _figure(11 if len(places) > _MAX_LABELS else 8.6, 2.9) as figure:
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
                colors=_INK if not raster else "black",
                linewidth=1,
            )
        _label_amplifiers(axis, places)
        axis.set_ylabel(f"{panel.title}{unit}" if len(panel.title) < 20 else "relative noise")
        return _picture(figure, caption, raster=raster)


def _label_amplifiers(axis: Axes, places: Sequence[Place]) -> None:
    """Name amplifiers on the horizontal axis, or detectors if many."""
    axis.set_xlim(-0.7, len(places) - 0.3)
    axis.grid(axis="y", color=_INK, alpha=0.12, linewidth=0.6)
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
    raster = len(measured) > _MAX_VECTORS
    caption = f"Gain (e-/ADU) by amplifier; a mark a pair of flats, {len(pairs)} in all."
    if references:
        caption += " Bars are the reference ptc."
    with _figure(11 if len(keys) > _MAX_LABELS else 8.6, 2.9) as figure:
        axis = figure.subplots()
        axis.hlines(
            list(references.values()),
            [index[key] - 0.45 for key in references],
            [index[key] + 0.45 for key in references],
            colors=_INK if not raster else "black",
            linewidth=1,
        )
        shifts = {pair: ((i + 0.5) / len(pairs) - 0.5) * 0.7 for i, pair in enumerate(pairs)}
        axis.plot(
            [index[gain.detector, gain.amplifier] + shifts[gain.exposures] for gain, _ in measured],
            [value for _, value in measured],
            "o",
            color=BLUE,
            markersize=1.5 if raster else 4,
            markeredgewidth=0,
            linestyle="none",
        )
        _label_amplifiers(axis, place_of)
        axis.set_ylabel("gain (e-/ADU)")
        return _picture(figure, caption, raster=raster)


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
    bad = {result.stage for result in report.stages if not result.outcome.good}
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
    with _figure(8.6, 0.8 + 0.24 * len(rows)) as figure:
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
            color=_INK,
        )
        axis.set_yticks(range(len(rows)), list(rows))
        axis.invert_yaxis()
        axis.set_xlim(0, max(longest / scale, 1e-3) * 1.01)
        axis.set_xlabel(f"{unit} since {start:%H:%M:%S} TAI")
        axis.grid(axis="x", color=_INK, alpha=0.12, linewidth=0.6)
        axis.set_axisbelow(True)
        return _picture(figure, caption)


@dataclass(frozen=True)
class Curve:
    """One value of one amplifier over time."""

    title: str
    times: tuple[float, ...]
    """TAI, as Unix timestamps (s)."""

    values: tuple[float, ...]
    band: Band | None


def trend_plot(curves: Sequence[Curve], quantity: str, unit: str) -> Picture:
    """Draw values over time, each amplifier in a panel of its own.

    Parameters
    ----------
    curves : `~collections.abc.Sequence` [`Curve`]
        What is drawn; at least one.
    quantity, unit : `str`
        What it is.

    Returns
    -------
    picture : `Picture`
    """
    n_columns = min(4, len(curves))
    n_rows = -(-len(curves) // n_columns)
    caption = (
        f"{quantity} ({unit}) by amplifier over time. Shades are 3 and 5 sigma around the median of earlier "
        "runs; a cross is the newest run outside 3 sigma."
    )
    days = sorted({time // _DAY for curve in curves for time in curve.times})
    ticks = [days[0], days[-1]] if days[-1] > days[0] else days[:1]
    names = [f"{datetime.datetime.fromtimestamp(day * _DAY, datetime.UTC):%Y-%m-%d}" for day in ticks]
    with _figure(11, 0.7 + 1.35 * n_rows) as figure:
        axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        for axis in axes.flat[len(curves) :]:
            axis.set_visible(False)
        for axis, curve in zip(axes.flat, curves, strict=False):
            _draw_curve(axis, curve)
            axis.set_xticks(ticks, names, fontsize=8)
        figure.supylabel(f"{quantity} ({unit})", fontsize=9)
        return _picture(figure, caption)


def _draw_curve(axis: Axes, curve: Curve) -> None:
    times = [time / _DAY for time in curve.times]
    axis.plot(times, curve.values, "o-", color=_INK, markersize=2.5, linewidth=0.7)
    if curve.band:
        centre, sigma = curve.band
        for n_sigma, alpha in ((5, 0.12), (3, 0.22)):
            low, high = centre - n_sigma * sigma, centre + n_sigma * sigma
            axis.axhspan(low, high, color=BLUE, alpha=alpha, linewidth=0)
        axis.axhline(centre, color=BLUE, linewidth=0.8)
        if abs(curve.values[-1] - centre) > 3 * sigma:
            axis.plot(times[-1:], curve.values[-1:], "X", color=VERMILION, markersize=8, clip_on=False)
    axis.set_title(curve.title, loc="left", fontsize=9)
    axis.margins(x=0.12)
    axis.tick_params(labelsize=8)
