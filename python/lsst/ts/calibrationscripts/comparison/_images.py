# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Biases, darks and flats, by what they leave of frames."""

from __future__ import annotations

__all__ = ["AmplifierResiduals", "Residual", "compare_images"]

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..products import Subject
from ._records import (
    TOLERANCES,
    AmplifierComparison,
    Change,
    Comparison,
    Quantity,
    Tolerances,
    judged,
    overall,
)

_OF_IMAGES = (Quantity.MEAN, Quantity.NOISE, Quantity.STRUCTURE, Quantity.COLUMNS, Quantity.OUTLIERS)


@dataclass(frozen=True)
class Residual:
    """What a calibration leaves of one frame of an amplifier.

    In the unit of the frame; for flats, relative to the detector's mean.
    """

    mean: float
    noise: float
    structure: float
    """Standard deviation of the means of blocks."""

    columns: float
    """Largest mean of a column, about the amplifier's mean."""

    outliers: float
    """Part of the pixels that are far out, or not numbers."""

    def badness(self, quantity: Quantity) -> float:
        """Return a quantity, of which less is better."""
        return {
            Quantity.MEAN: abs(self.mean),
            Quantity.NOISE: self.noise,
            Quantity.STRUCTURE: self.structure,
            Quantity.COLUMNS: self.columns,
            Quantity.OUTLIERS: self.outliers,
        }[quantity]


@dataclass(frozen=True)
class AmplifierResiduals:
    """What both calibrations leave of the same frames of an amplifier."""

    detector: int
    amplifier: str
    new: tuple[Residual, ...]
    """By frame."""

    old: tuple[Residual, ...]
    """By frame, in the same order."""

    n_pixels: int
    """Pixels of the amplifier."""

    def differences(self, quantity: Quantity) -> list[float]:
        """Return by how much the new one is worse, frame by frame."""
        return [
            new.badness(quantity) - old.badness(quantity) for new, old in zip(self.new, self.old, strict=True)
        ]


def compare_images(
    subject: Subject,
    residuals: Sequence[AmplifierResiduals],
    *,
    reference: str,
    exposures: Sequence[int],
    method: str,
    tolerances: Tolerances = TOLERANCES,
) -> Comparison:
    """Compare a combined image with the one in use.

    Parameters
    ----------
    subject : `Subject`
        What it is of.
    residuals : `~collections.abc.Sequence` [`AmplifierResiduals`]
        What both leave, by amplifier; frames that went into the new one must
        have been left out of it.
    reference, exposures, method
        As of `Comparison`.
    tolerances : `Tolerances`, optional
        What matters.

    Returns
    -------
    comparison : `Comparison`

    Notes
    -----
    The standard error of a difference is that of its mean over the frames.
    Few frames may agree by chance, so the scatter is at least that of the
    typical amplifier.
    """
    typical = {
        quantity: statistics.median([_scatter(one.differences(quantity)) for one in residuals] or [0.0])
        for quantity in _OF_IMAGES
    }
    amplifiers = tuple(
        AmplifierComparison(
            one.detector,
            one.amplifier,
            tuple(_change(one, quantity, typical[quantity], tolerances) for quantity in _OF_IMAGES),
        )
        for one in residuals
    )
    better = overall(one.better for one in amplifiers)
    return Comparison(subject, better, amplifiers, reference, tuple(exposures), method)


def _change(one: AmplifierResiduals, quantity: Quantity, typical: float, tolerances: Tolerances) -> Change:
    n = len(one.new)
    old, new = (_mean(each.badness(quantity) for each in side) for side in (one.old, one.new))
    uncertainty = max(_scatter(one.differences(quantity)), typical) / math.sqrt(n) if n > 1 else math.inf
    noise = _mean(each.noise for each in one.old)
    if not math.isfinite(noise):
        noise = _mean(each.noise for each in one.new)
    tolerance = tolerances.of_noise * noise
    if quantity is Quantity.NOISE:
        tolerance = tolerances.noise * noise
    elif quantity is Quantity.OUTLIERS:
        tolerance = tolerances.outliers
        uncertainty = math.sqrt(max(old, new, 0.0) * one.n_pixels + 1) / one.n_pixels
    return judged(quantity, old, new, uncertainty, tolerance, tolerances.sigma)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else math.inf


def _scatter(values: Sequence[float]) -> float:
    """Return a standard deviation; 0 if it cannot be known."""
    known = [value for value in values if math.isfinite(value)]
    return statistics.stdev(known) if len(known) > 1 else 0.0
