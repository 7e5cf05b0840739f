# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer curves as a figure."""

from __future__ import annotations

__all__ = ["curve_plot"]

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..report import CurvePoints
from ._figure import BLUE, INK, SMALL, VERMILION, Picture, drawing, finish, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KILO = 1000.0
"""What means and variances are drawn in, for labels that have room."""

_MARGINS = {"left": 0.23, "right": 0.97, "bottom": 0.18, "top": 0.91, "hspace": 0.15}

_MAX_CURVES = 16
"""Amplifiers that are drawn: those of one CCD."""

_SMALLEST_SCALE = 2.0
"""Residuals are drawn at least as small as this (%)."""

_MARGIN = 1.4
"""The scale of residuals, in units of the largest of a pair that was used."""


def curve_plot(curves: Sequence[CurvePoints]) -> Picture | None:
    """Draw photon transfer curves, the fit, and what they differ from it.

    Parameters
    ----------
    curves : `~collections.abc.Sequence` [`CurvePoints`]
        The curves, one of each amplifier.

    Returns
    -------
    picture : `Picture` or `None`
        The variance over the mean, with the fitted model; below, the relative
        difference to it. Without a model it is that of photon noise alone,
        and the figure says so. `None` if there are no points.
    """
    drawn = [curve for curve in curves[:_MAX_CURVES] if any(mean > 0 for mean in curve.means)]
    if not drawn:
        return None
    return side_by_side([_panel(curve) for curve in drawn], _caption(drawn))


def _panel(curve: CurvePoints) -> Picture:
    """Draw an amplifier."""
    with drawing(SMALL, 2.4, _MARGINS) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.0, 1.0]})
        _draw(curve, upper, lower)
        upper.set_ylabel("1000 ADU\u00b2")
        lower.set_ylabel("%")
        lower.set_xlabel("mean (1000 ADU)")
        return finish(figure, f"Photon transfer curve of {curve.amplifier}")


def _caption(drawn: Sequence[CurvePoints]) -> str:
    fits = ", ".join(dict.fromkeys(curve.fit for curve in drawn if curve.has_model and curve.fit))
    without = [curve.amplifier for curve in drawn if not curve.has_model]
    text = (
        "Variance of flat pairs (1000 ADU\u00b2) over their mean, a panel for each amplifier; residuals in %."
    )
    if len(without) < len(drawn):
        text += f" The line is the fitted model{f' ({fits})' * bool(fits)}; below, the residuals to it."
    if without:
        whose = "" if len(without) == len(drawn) else f" of {', '.join(without)}"
        text += (
            f" The fitted model{whose} is not in the dataset: the line is photon noise at the fitted gain, "
            "and the residuals are those to photon noise."
        )
    if any(_has_turnoff(curve) for curve in drawn):
        text += " The dotted line is the turn-off."
    return f"{text} Crosses are pairs that the fit did not use; those beyond the scale are at its edge."


def _has_turnoff(curve: CurvePoints) -> bool:
    """Return whether the turn-off is where something is drawn."""
    return 0 < curve.turnoff <= max(curve.means)


def _draw(curve: CurvePoints, upper: Axes, lower: Axes) -> None:
    """Draw an amplifier: its curve, and the residuals below it."""
    points = [
        (mean / _KILO, variance / _KILO, model / _KILO, used)
        for mean, variance, model, used in zip(
            curve.means, curve.variances, curve.expected(), curve.used, strict=True
        )
        if mean > 0
    ]
    line = sorted((mean, model) for mean, _, model, _ in points if math.isfinite(model))
    if not curve.has_model:
        line = [(0.0, 0.0), *line]
    upper.plot([mean for mean, _ in line], [model for _, model in line], color=INK, linewidth=0.8)
    lower.axhline(0, color=INK, linewidth=0.8)
    residuals = [
        (mean, 100 * (variance / model - 1), used)
        for mean, variance, model, used in points
        if math.isfinite(variance) and model > 0
    ]
    scale = max((abs(each) for _, each, used in residuals if used), default=0.0)
    scale = max(_MARGIN * scale, _SMALLEST_SCALE)
    # Room for marks at the edge: what is not clipped spoils the layout.
    lower.set_ylim(-1.1 * scale, 1.1 * scale)
    for wanted, marker, colour in ((True, "o", BLUE), (False, "x", VERMILION)):
        mine = [(mean, variance) for mean, variance, _, used in points if used is wanted]
        upper.plot(*_columns(mine), marker, color=colour, markersize=3.5)
        below = [(mean, min(max(each, -scale), scale)) for mean, each, used in residuals if used is wanted]
        lower.plot(*_columns(below), marker, color=colour, markersize=3)
    if _has_turnoff(curve):
        for axis in (upper, lower):
            axis.axvline(curve.turnoff / _KILO, color=INK, linewidth=0.8, linestyle=":")
    title = f"{curve.amplifier}, {curve.gain:.3f} e-/ADU"
    upper.set_title(title if curve.has_model else f"{title}, no model", loc="left")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
