# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer curves as a figure."""

from __future__ import annotations

__all__ = ["curve_plot"]

import math
from collections.abc import Sequence

from ..report import CurvePoints
from ._figure import BLUE, INK, VERMILION, Picture, drawing, finish

_MAX_CURVES = 16
"""Amplifiers that are drawn: those of one CCD."""


def curve_plot(curves: Sequence[CurvePoints]) -> Picture | None:
    """Draw photon transfer curves, and what they lack to photon noise.

    Parameters
    ----------
    curves : `~collections.abc.Sequence` [`CurvePoints`]
        The curves, one of each amplifier.

    Returns
    -------
    picture : `Picture` or `None`
        The variance over the mean, with that of photon noise alone at the
        fitted gain; below, the relative difference to it. `None` if there
        are no points.
    """
    drawn = [curve for curve in curves[:_MAX_CURVES] if any(mean > 0 for mean in curve.means)]
    if not drawn:
        return None
    caption = (
        "Variance of flat pairs over their mean, a panel for each amplifier: the line is photon noise at the "
        "fitted gain. Below, the relative difference to it. Crosses are pairs that the fit did not use."
    )
    n_columns = min(4, len(drawn))
    n_rows = -(-len(drawn) // n_columns)
    with drawing(11, 0.7 + 2.0 * n_rows) as figure:
        ratios = [2.0, 1.0] * n_rows
        axes = figure.subplots(
            2 * n_rows, n_columns, squeeze=False, sharex=True, gridspec_kw={"height_ratios": ratios}
        )
        for axis in axes.flat:
            axis.set_visible(False)
        for i, curve in enumerate(drawn):
            row, column = divmod(i, n_columns)
            upper, lower = axes[2 * row, column], axes[2 * row + 1, column]
            for axis in (upper, lower):
                axis.set_visible(True)
                axis.tick_params(labelsize=8)
            highest = max(curve.means)
            if math.isfinite(curve.gain) and curve.gain > 0:
                upper.plot([0, highest], [0, highest / curve.gain], color=INK, linewidth=0.8)
                lower.axhline(0, color=INK, linewidth=0.8)
            for used, marker, colour in ((True, "o", BLUE), (False, "x", VERMILION)):
                points = [
                    (mean, variance)
                    for mean, variance, each in zip(curve.means, curve.variances, curve.used, strict=True)
                    if each is used and mean > 0
                ]
                means = [mean for mean, _ in points]
                upper.plot(means, [variance for _, variance in points], marker, color=colour, markersize=3.5)
                differences = [variance * curve.gain / mean - 1 for mean, variance in points]
                lower.plot(means, differences, marker, color=colour, markersize=3)
            upper.set_title(f"{curve.amplifier}, {curve.gain:.3f} e-/ADU", loc="left", fontsize=9)
        figure.supylabel("variance (ADU^2), and difference", fontsize=9)
        figure.supxlabel("mean (ADU)", fontsize=9)
        return finish(figure, caption)
