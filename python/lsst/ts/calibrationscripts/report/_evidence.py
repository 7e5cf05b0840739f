# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a page shows of a run beyond what was decided by it."""

from __future__ import annotations

__all__ = [
    "NOISE_TOLERANCE",
    "SCATTER_TOLERANCE",
    "Area",
    "CurvePoints",
    "DetectorCurves",
    "Evidence",
    "Limits",
    "Panel",
    "Place",
    "Replaced",
    "Statistics",
    "Thumbnail",
]

import math
import statistics as numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..products import Product, Subject

NOISE_TOLERANCE = 0.05
"""Largest relative difference of the noise of biases and darks to the
nominal read noise (DMTN-101 tests 4.3 and 5.3, as cp_verify has them)."""

SCATTER_TOLERANCE = 0.05
"""Largest scatter of the amplifiers' means in a flat, relative to their
mean (DMTN-101 test 10.Y, as cp_verify has it)."""

Row = tuple[float | None, ...]
"""A value for each amplifier; `None` where there is none."""


class Place(NamedTuple):
    """An amplifier."""

    detector: int
    """The detector's id in Butler data ids."""

    name: str
    """The detector's name, as in cp_verify's failure strings."""

    amplifier: str


class Limits(NamedTuple):
    """Limits of a value; `None` where there is no limit."""

    low: float | None
    high: float | None

    def hold(self, value: float) -> bool:
        """Return whether a value is within."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


NO_LIMITS = Limits(None, None)


@dataclass(frozen=True)
class Panel:
    """A statistic of every exposure and amplifier, and its limits."""

    title: str
    unit: str
    """Blank for a ratio."""

    test: str
    """The test of cp_verify that looks at it."""

    rows: tuple[Row, ...]
    """By exposure."""

    limits: tuple[Limits, ...]
    """By amplifier: the narrowest of all exposures."""


@dataclass(frozen=True)
class Statistics:
    """What verification measured on exposures of one kind."""

    subject: Subject
    """What was verified."""

    unit: str
    """Of all statistics: ADU or electron."""

    exposures: tuple[int, ...]
    places: tuple[Place, ...]
    values: Mapping[str, tuple[Row, ...]]
    """By statistic of cp_verify (``MEAN``, ``NOISE``, ...), by exposure."""

    nominal_noise: Row = ()
    """What the noise was compared with; empty where that is not known."""

    two_sided: bool = True
    """Whether noise that is too low fails as well."""

    level: Row = ()
    """Level of the overscan of the first exposure (ADU), if known."""

    scatter: tuple[float, ...] = ()
    """By exposure, the largest scatter of a detector's amplifier means,
    relative to their mean; flats alone have it."""

    def panels(self) -> tuple[Panel, ...]:
        """Return noise and mean with their limits.

        Returns
        -------
        panels : `tuple` [`Panel`, ...]

        Notes
        -----
        Biases and darks: |MEAN| below the noise, NOISE within
        `NOISE_TOLERANCE` of the nominal one. Flats: NOISE at most the root
        of MEAN; the mean has no limit for a single amplifier.
        """
        noise, mean = self.values.get("NOISE", ()), self.values.get("MEAN", ())
        if self.subject.product is Product.FLAT:
            ratio = tuple(tuple(map(_over_root, *rows)) for rows in zip(noise, mean, strict=True))
            at_most_one = tuple(Limits(None, 1.0) for _ in self.places)
            return (
                Panel("Noise, in units of the root of the mean", "", "NOISE", ratio, at_most_one),
                Panel("Mean", self.unit, "MEAN", mean, tuple(NO_LIMITS for _ in self.places)),
            )
        return (
            Panel("Noise", self.unit, "NOISE", noise, self.noise_limits()),
            Panel("Mean", self.unit, "MEAN", mean, tuple(map(_around_zero, zip(*noise, strict=True)))),
        )

    def noise_limits(self) -> tuple[Limits, ...]:
        """Return the limits of the noise of biases and darks."""
        if not self.nominal_noise:
            return tuple(NO_LIMITS for _ in self.places)
        lowest = 1 - NOISE_TOLERANCE if self.two_sided else None
        return tuple(
            NO_LIMITS
            if nominal is None
            else Limits(lowest and nominal * lowest, nominal * (1 + NOISE_TOLERANCE))
            for nominal in self.nominal_noise
        )

    def medians(self, statistic: str) -> dict[Place, float]:
        """Return the medians over the exposures, by amplifier."""
        rows = self.values.get(statistic, ())
        return {
            place: median
            for place, column in zip(self.places, zip(*rows, strict=True), strict=bool(rows))
            if (median := _median(column)) is not None
        }


@dataclass(frozen=True)
class CurvePoints:
    """A photon transfer curve of an amplifier."""

    amplifier: str
    means: tuple[float, ...]
    """Mean signal of each pair of flats (ADU)."""

    variances: tuple[float, ...]
    """Variance of each (ADU^2)."""

    used: tuple[bool, ...]
    """Whether the fit used the pair."""

    gain: float
    """Gain (e-/ADU)."""

    model: tuple[float, ...] = ()
    """Variance of each by the fitted model (ADU^2); NaN where that is not
    known. Empty if nothing is known of a model."""

    fit: str = ""
    """Name of the model, as cp_pipe has it."""

    fitted_gain: float = math.nan
    """Gain of the fit (e-/ADU), which may have been adjusted since."""

    turnoff: float = math.nan
    """Largest mean signal before the variance decreases (ADU)."""

    @property
    def has_model(self) -> bool:
        """Whether the variance of a pair by the fitted model is known."""
        return any(map(math.isfinite, self.model))

    def expected(self) -> tuple[float, ...]:
        """Return the variance that each pair should have.

        Returns
        -------
        variances : `tuple` [`float`, ...]
            That of the model, if there is one, else that of photon noise at
            the gain of the fit (ADU^2).
        """
        if self.has_model:
            return self.model
        gain = self.fitted_gain if math.isfinite(self.fitted_gain) else self.gain
        known = math.isfinite(gain) and gain > 0
        return tuple(mean / gain if known else math.nan for mean in self.means)


@dataclass(frozen=True)
class Replaced:
    """A combined image that is in use beside a new one, made small."""

    collection: str
    """RUN collection that holds the image."""

    png: str
    """The picture, in size and stretch that of the new one: PNG, in base64; ""
    as long as it is in a file alone."""

    difference: str
    """The new image less this one, likewise."""

    limit: float
    """Difference that is white; black is as far below 0."""

    file: str = ""
    """Name of the file that has the picture, if it is in one."""

    difference_file: str = ""
    """Likewise, of the difference."""


@dataclass(frozen=True)
class DetectorCurves:
    """Photon transfer curves of a detector."""

    detector: str
    """The detector's name."""

    curves: tuple[CurvePoints, ...]
    """By amplifier."""


class Area(NamedTuple):
    """Where an amplifier is in a picture.

    Fractions of the width and the height, from the upper left corner.
    """

    amplifier: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Thumbnail:
    """A combined image, made small."""

    subject: Subject
    dataset_type: str
    detector: str
    """The detector's name."""

    collection: str
    """RUN collection that holds the image."""

    reference: bool
    """Whether it was there before the run."""

    png: str
    """The picture: PNG, in base64; "" as long as it is in a file alone."""

    width: int
    height: int
    """Size of the picture (pixel)."""

    low: float
    high: float
    """Values (of the image) that are black and white."""

    replaced: Replaced | None = None
    """What would be used without it; `None` if nothing, or not known."""

    areas: tuple[Area, ...] = ()
    """Where its amplifiers are, if that is known."""

    file: str = ""
    """Name of the file that has the picture, if it is in one."""


@dataclass(frozen=True)
class Evidence:
    """Statistics and pictures of a run."""

    statistics: tuple[Statistics, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()
    notes: tuple[str, ...] = ()
    """What is missing, and why."""

    curves: tuple[DetectorCurves, ...] = ()

    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the detectors of which there is no curve, or no map of
    defects, as there are too many: by "curves" and "defects"."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions that the jobs have used, by product, as their output runs
    have them."""

    def of(self, subject: Subject) -> Statistics | None:
        """Return the statistics of what was verified, if there are any."""
        return next((statistics for statistics in self.statistics if statistics.subject == subject), None)


def _over_root(noise: float | None, mean: float | None) -> float | None:
    if noise is None or mean is None or mean <= 0:
        return None
    return noise / math.sqrt(mean)


def _around_zero(noises: Iterable[float | None]) -> Limits:
    narrowest = min((noise for noise in noises if noise is not None), default=None)
    return NO_LIMITS if narrowest is None else Limits(-narrowest, narrowest)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return numbers.median(known) if known else None
