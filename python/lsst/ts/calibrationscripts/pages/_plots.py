# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a run."""

from __future__ import annotations

__all__ = ["failure_map", "gain_plot", "panel_plot"]

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..outcomes import AmplifierGain, Gain, by_amplifier
from ..report import Limits, Panel, Place
from ..verification import Verdict
from ._figure import (
    BLUE,
    CELL,
    INK,
    MAX_VECTORS,
    ORANGE,
    PAPER,
    PHONE,
    VERMILION,
    Hover,
    Picture,
    drawing,
    finish,
    side_by_side,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_ROWS = 48
"""Rows of a map that can still be distinguished."""

_MAX_LABELS = 48

_NARROWER = 6.4
"""A map that would be wider than a phone shows, but not by more (inch), has
narrower columns."""

_HIGHEST_GAIN = 2.0
"""Largest gain that is drawn to scale, in units of the median."""
_MAX_FLAT_LABELS = 5
"""Labels of exposures, and their letters, that have room side by side."""

_MAX_HOVERS = 1500
"""Marks whose values are shown one by one when one points at them."""


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
    # What is failed often is looked at once.
    numbers = Counter(failure for result in verdict.results for failure in result.failures)
    if not numbers:
        return None
    tests = sorted({failure.test for failure in numbers})
    known = dict.fromkeys((place.name, place.amplifier) for place in places)
    rows = list(known | dict.fromkeys(sorted({(f.detector, f.amplifier) for f in numbers} - set(known))))
    by_detector = len(rows) > _MAX_ROWS
    left_out = 0
    if by_detector:
        totals: Counter[str] = Counter()
        for failure, number in numbers.items():
            totals[failure.detector] += number
        worst = totals.most_common()
        left_out = max(0, len(worst) - _MAX_ROWS)
        rows = sorted((name, "") for name, _ in worst[:_MAX_ROWS])
    index = {row: i for i, row in enumerate(rows)}
    cells = {
        failure: (failure.test, row)
        for failure in numbers
        if (row := index.get((failure.detector, "" if by_detector else failure.amplifier))) is not None
    }
    counts = {test: [[0] * len(verdict.results) for _ in rows] for test in tests}
    for column, result in enumerate(verdict.results):
        for cell, number in Counter(map(cells.get, result.failures)).items():
            if cell is not None:
                test, row = cell
                counts[test][row][column] += number
    caption = f"Tests that failed in {verdict.name}, by exposure and " + (
        "detector: the number of amplifiers." if by_detector else "amplifier: coloured cells failed."
    )
    if verdict.failed_ids and verdict.of_exposures:
        caption += " A cross marks exposures that failed."
    if left_out:
        caption += f" {left_out} detectors with fewer failures are left out."
    highest = max(max(map(max, grid)) for grid in counts.values())
    return side_by_side([_draw_map(verdict, rows, test, counts[test], highest) for test in tests], caption)


def _map_width(n_columns: int, highest: int) -> float:
    """Return the width of a map (inch)."""
    width = 1.5 + max(1.9, 0.16 * min(n_columns, 60)) + (0.9 if highest > 1 else 0.0)
    return min(width, PHONE) if width < _NARROWER else width


def _draw_map(
    verdict: Verdict, rows: list[tuple[str, str]], test: str, grid: list[list[int]], highest: int
) -> Picture:
    from matplotlib.colors import LinearSegmentedColormap

    n_columns = len(verdict.results)
    labels, head = ["all"], ""
    failed = [result.exposure in verdict.failed_ids for result in verdict.results]
    if verdict.of_exposures:
        labels, head = _short([result.exposure for result in verdict.results if result.exposure is not None])
        labels = [f"\u2717 {label}" if bad else label for label, bad in zip(labels, failed, strict=True)]
    several = verdict.n_detectors > 1
    names = [
        " ".join(filter(None, (detector if several or not amplifier else "", amplifier))) or "exposure"
        for detector, amplifier in rows
    ]
    colours = LinearSegmentedColormap.from_list("failures", ["#f2f2f2", ORANGE, "#7a2a00"])
    if highest == 1:
        colours = LinearSegmentedColormap.from_list("failed", [CELL, VERMILION])
    vectors = len(rows) * n_columns <= MAX_VECTORS
    # The bar of colours has a label, which takes some room.
    height = max(1.0 + 0.17 * len(rows), 2.6 if highest > 1 else 0.0)
    with drawing(_map_width(n_columns, highest), height) as figure:
        axis = figure.subplots()
        mesh = axis.pcolormesh(
            grid,
            cmap=colours,
            vmin=0,
            vmax=highest,
            edgecolors=PAPER,
            linewidth=0.6,
            rasterized=not vectors,
        )
        axis.invert_yaxis()
        axis.set_title(f"{test}: {sum(map(sum, grid))} failed", loc="left")
        axis.set_xlabel(f"exposure{head}" if verdict.of_exposures else "")
        axis.tick_params(length=0)
        upright = n_columns > _MAX_FLAT_LABELS or max(map(len, labels)) > _MAX_FLAT_LABELS
        _thin(axis.xaxis, [i + 0.5 for i in range(n_columns)], labels, rotation=90 if upright else 0)
        for label in axis.get_xticklabels():
            label.set_fontsize(9)
            if label.get_text().startswith("\u2717"):
                label.set(color=VERMILION, fontweight="bold")
        axis.set_yticks([i + 0.5 for i in range(len(rows))], names, fontsize=9)
        if highest > 1:
            figure.colorbar(mesh, ax=axis, label="amplifiers that failed")
        hovers = list(itertools.islice(_cells(axis, test, grid, names, verdict), _MAX_HOVERS))
        return finish(figure, f"{test} failed in {verdict.name}", raster=not vectors, hovers=hovers)


def _cells(
    axis: Axes, test: str, grid: list[list[int]], names: Sequence[str], verdict: Verdict
) -> Iterator[Hover]:
    """Yield what is said of the cells that failed."""
    for row, (name, counts) in enumerate(zip(names, grid, strict=True)):
        for column, (count, result) in enumerate(zip(counts, verdict.results, strict=True)):
            if count:
                where = "" if result.exposure is None else f", exposure {result.exposure}"
                what = f"{count} amplifiers fail {test}" if count > 1 else f"{test} failed"
                yield Hover(axis, column, row, column + 1, row + 1, f"{name}{where}: {what}")


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
    with drawing(*_size(places)) as figure:
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
        axis.set_ylabel(f"{panel.title.lower()}{unit}" if len(panel.title) < 20 else "relative noise")
        hovers = _columns(axis, panel, places, failed)
        if len(good[0]) + len(bad[0]) <= _MAX_HOVERS:
            for label, (xs, ys) in (("", good), (", failed", bad)):
                hovers += [
                    Hover(
                        axis, x, y, x, y, f"{places[round(x)].amplifier}: {y:.4g}{_unit(panel)}{label}", 3.0
                    )
                    for x, y in zip(xs, ys, strict=True)
                ]
        return finish(figure, caption, raster=raster, hovers=hovers)


def _unit(panel: Panel) -> str:
    return f" {panel.unit}" if panel.unit else ""


def _columns(axis: Axes, panel: Panel, places: Sequence[Place], failed: Sequence[set[Place]]) -> list[Hover]:
    """Return what is said of each amplifier, or each detector if many."""
    low, high = axis.get_ylim()
    several = len(places) > _MAX_LABELS
    groups: dict[str, list[int]] = {}
    for i, place in enumerate(places):
        groups.setdefault(place.name if several else f"{place.name} {place.amplifier}", []).append(i)
    hovers = []
    for name, indices in groups.items():
        values = [value for row in panel.rows for i in indices if (value := row[i]) is not None]
        if not values:
            continue
        n_failed = sum(places[i] in marked for marked in failed for i in indices)
        text = f"{name}: median {statistics.median(values):.4g}"
        text += f", {min(values):.4g} to {max(values):.4g}{_unit(panel)}"
        if not several:
            text += _limits(panel.limits[indices[0]])
        text += f"; {n_failed} failed" if n_failed else ""
        hovers.append(Hover(axis, indices[0] - 0.5, low, indices[-1] + 0.5, high, text))
    return hovers


def _limits(limits: Limits) -> str:
    low, high = limits
    if low is None:
        return "" if high is None else f"; at most {high:.4g}"
    return f"; at least {low:.4g}" if high is None else f"; limits {low:.4g} to {high:.4g}"


def _size(places: Sequence[Place]) -> tuple[float, float]:
    """Return width and height of a figure with a column an amplifier."""
    if len(places) > _MAX_LABELS:
        return 11, 2.9
    several = len({place.name for place in places}) > 1
    return (8.6, 3.2) if several else (PHONE, 2.7)


def _label_amplifiers(axis: Axes, places: Sequence[Place]) -> None:
    """Name amplifiers on the horizontal axis, or detectors if many."""
    axis.set_xlim(-0.7, len(places) - 0.3)
    axis.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    detectors = list(dict.fromkeys(place.name for place in places))
    if len(places) <= _MAX_LABELS:
        several = len(detectors) > 1
        names = [f"{p.name} {p.amplifier}" if several else p.amplifier for p in places]
        _thin(axis.xaxis, range(len(places)), names)
        return
    firsts = [next(i for i, place in enumerate(places) if place.name == name) for name in detectors]
    _thin(axis.xaxis, firsts, detectors)


def gain_plot(gains: Sequence[Gain], part: str = "") -> Picture | None:
    """Draw the gains of all pairs, and the reference.

    Parameters
    ----------
    gains : `~collections.abc.Sequence` [`Gain`]
        The gains.
    part : `str`, optional
        Filter and grating of their flats, for the caption.

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
    of = f" of flats through {part}" if part else ""
    caption = f"Gain (e-/ADU) by amplifier{of}; a mark a pair of flats, {len(pairs)} in all."
    if references:
        caption += " Bars are the reference ptc."
    # A saturated pair has any gain, and would make all others look alike.
    highest = _HIGHEST_GAIN * statistics.median(value for _, value in measured)
    if any(value > highest for _, value in measured):
        caption += " Marks at the upper edge are beyond the scale."
    with drawing(*_size(place_of)) as figure:
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
        low, high = axis.get_ylim()
        hovers = [
            Hover(axis, x - 0.5, low, x + 0.5, high, _of_gain(each))
            for each in by_amplifier(gains)
            if (x := index.get((each.detector, each.amplifier))) is not None
        ]
        return finish(figure, caption, raster=raster, hovers=hovers[:_MAX_HOVERS])


def _of_gain(gain: AmplifierGain) -> str:
    text = f"detector {gain.detector} {gain.amplifier}: {gain.mean:.3f} e-/ADU"
    text += "" if gain.spread is None else f", spread {gain.spread:.3f}"
    return text if gain.difference is None else f"{text}; {gain.difference:+z.1%} to the reference"
