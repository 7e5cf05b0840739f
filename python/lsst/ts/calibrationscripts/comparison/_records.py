# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a comparison comes to."""

from __future__ import annotations

__all__ = [
    "TOLERANCES",
    "AmplifierComparison",
    "Better",
    "Change",
    "Comparison",
    "Quantity",
    "Tolerances",
    "judged",
    "overall",
]

import enum
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..products import Subject


class Better(enum.StrEnum):
    """How a new calibration compares with the one in use."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"
    UNCLEAR = "unclear"
    """It leaves less of the frames of its own run, but these are unlike those
    that the one in use was made of. Either the camera has changed, and it is
    better; or the frames are spoilt, as by a light leak, and it is worse."""

    FIRST = "first"
    """There is none in use."""


class Quantity(enum.StrEnum):
    """What is compared. Of each, less is better."""

    MEAN = "mean"
    """Size of the mean of what is left of a frame: an offset; for darks, of
    dark current; for flats, of the ratio to the detector's mean."""

    NOISE = "noise"
    """Scatter of the pixels of what is left."""

    STRUCTURE = "structure"
    """Scatter of the means of blocks: gradients, glow, patterns."""

    COLUMNS = "columns"
    """Largest mean of a column: hot and dead columns."""

    OUTLIERS = "outliers"
    """Part of the pixels that are far out, or that have no value."""

    GAIN = "gain"
    """Relative difference of the gain to that of flat pairs."""

    TURNOFF = "turn-off"
    """By which part the turn-off is below the other's."""

    GAINED = "defects gained"
    """Part of the pixels that have become defects."""

    LOST = "defects lost"
    """Part of the pixels that are no defects any more: nothing says that they
    are good."""


@dataclass(frozen=True)
class Tolerances:
    """Changes that are too small to matter, and what is significant."""

    sigma: float
    """Changes are believed from this many standard errors on."""

    of_noise: float
    """Smallest change of mean, structure and columns that matters, of the
    noise of a frame."""

    noise: float
    """Smallest relative change of the noise that matters."""

    outliers: float
    """Smallest change of the part of pixels that are far out."""

    gain: float
    """Smallest relative change of a gain that matters."""

    turnoff: float
    """Smallest relative change of a turn-off that matters."""

    defects: float
    """Smallest change of the part of pixels that are defects."""


TOLERANCES = Tolerances(
    sigma=5.0, of_noise=0.1, noise=0.01, outliers=5e-4, gain=0.02, turnoff=0.1, defects=1e-3
)
"""Of 3000 amplifiers, each with five quantities, none leaves 5 sigma by
chance. A tenth of the noise of a frame adds half a percent to it. With a mean
of n frames, the noise of a frame is larger by half of 1/n: 1 % more is that of
14 frames instead of 20. A gain is known to 1 % from a LATISS pair; turn-offs
scatter by the step of the ramp."""


@dataclass(frozen=True)
class Change:
    """One quantity of one amplifier, with both calibrations."""

    quantity: Quantity
    old: float | None
    """`None` if it has no value."""

    new: float | None
    uncertainty: float | None
    """Standard error of the difference; `None` if nothing is known of it."""

    tolerance: float
    """Smallest difference that matters."""

    better: Better

    @property
    def size(self) -> float:
        """The change, in units of what matters."""
        if self.old is None or self.new is None or not self.tolerance:
            return math.inf
        return abs(self.new - self.old) / self.tolerance

    @property
    def text(self) -> str:
        """The change in words."""
        values = ["none" if value is None else f"{value:.4g}" for value in (self.old, self.new)]
        error = "" if self.uncertainty is None else f" +- {self.uncertainty:.2g}"
        return f"{self.quantity} {values[0]} before, {values[1]} now{error}"


@dataclass(frozen=True)
class AmplifierComparison:
    """What has changed of an amplifier."""

    detector: int
    amplifier: str
    changes: tuple[Change, ...]

    @property
    def better(self) -> Better:
        """Worse if anything is, else unclear or better if anything is."""
        return overall(change.better for change in self.changes)


@dataclass(frozen=True)
class Comparison:
    """How a product compares with the one in use."""

    subject: Subject
    better: Better
    amplifiers: tuple[AmplifierComparison, ...] = ()
    reference: str = ""
    """RUN collection of the one in use; "" if there is none."""

    exposures: tuple[int, ...] = ()
    """Frames that both were applied to."""

    method: str = ""
    """How the frames were kept out of the new one."""

    def together_with(self, other: Comparison) -> Comparison:
        """Return what both have found: of each amplifier the worse.

        Parameters
        ----------
        other : `Comparison`
            Of the same product, on other frames.

        Returns
        -------
        comparison : `Comparison`
        """
        pairs = zip(self.amplifiers, other.amplifiers, strict=True)
        amplifiers = tuple(
            second if second.better is overall((first.better, second.better)) else first
            for first, second in pairs
        )
        return replace(
            self,
            better=overall((self.better, other.better)),
            amplifiers=amplifiers,
            exposures=self.exposures + other.exposures,
            method=f"{self.method}, and {other.method}",
        )

    def changed(self, at_most: int) -> tuple[tuple[AmplifierComparison, Change], ...]:
        """Return the changes that matter, the largest first.

        Parameters
        ----------
        at_most : `int`
            How many.

        Returns
        -------
        changes : `tuple`
            Each with its amplifier.
        """
        found = [
            (one, change)
            for one in self.amplifiers
            for change in one.changes
            if change.better is not Better.EQUAL
        ]
        return tuple(sorted(found, key=lambda item: -item[1].size)[:at_most])

    @property
    def not_worse(self) -> bool:
        """Whether it is known to be no worse."""
        return self.better not in (Better.WORSE, Better.UNCLEAR)

    @property
    def text(self) -> str:
        """The comparison in one sentence, without a full stop."""
        if self.better is Better.FIRST:
            return "first of its kind: nothing is in use for these frames"
        counts = Counter(change.quantity for one in self.amplifiers for change in self._decisive(one))
        named = ", ".join(f"{quantity} in {n} amplifier(s)" for quantity, n in counts.most_common())
        worst = max(self._ranked(), default=None, key=lambda item: item[0])
        example = f"; most in {worst[1]}" if worst else ""
        if not named:
            return f"equal to that of {self.reference}, within errors and tolerances"
        if self.better is Better.UNCLEAR:
            return (
                f"not clear whether better than that of {self.reference}: the frames differ from those that "
                f"it was made of by {named}{example}. Either the camera has changed, or they are spoilt"
            )
        return f"{self.better} than that of {self.reference}: {named}{example}"

    def _decisive(self, one: AmplifierComparison) -> Iterator[Change]:
        return (change for change in one.changes if change.better is self.better is not Better.EQUAL)

    def _ranked(self) -> Iterator[tuple[float, str]]:
        """Yield how far decisive changes are beyond what is tolerated."""
        for one in self.amplifiers:
            for change in self._decisive(one):
                yield change.size, f"detector {one.detector} {one.amplifier}: {change.text}"


_OF_THE_PRODUCT = (Quantity.NOISE,)
"""What frames of the same run can tell an improvement of. What a mean has of
their shape, they have too."""


def judged(
    quantity: Quantity,
    old: float,
    new: float,
    uncertainty: float,
    tolerance: float,
    sigma: float,
) -> Change:
    """Judge a change.

    Parameters
    ----------
    quantity : `Quantity`
        What it is of.
    old, new : `float`
        Its values; one that is not a number is as bad as can be.
    uncertainty : `float`
        Standard error of the difference.
    tolerance : `float`
        Smallest difference that matters.
    sigma : `float`
        Standard errors from which on it is believed.

    Returns
    -------
    change : `Change`
    """
    old, new = (value if math.isfinite(value) else math.inf for value in (old, new))
    limit = max(sigma * uncertainty, tolerance)
    if old == new:
        better = Better.EQUAL
    elif not math.isfinite(limit):
        # Nothing is known of the error: a doubt is not an improvement.
        better = Better.WORSE if new > old else Better.EQUAL
    else:
        difference = new - old
        improved = Better.BETTER if quantity in _OF_THE_PRODUCT else Better.UNCLEAR
        better = Better.WORSE if difference > limit else improved if difference < -limit else Better.EQUAL
    return Change(quantity, _known(old), _known(new), _known(uncertainty), tolerance, better)


def _known(value: float) -> float | None:
    """Return a value as it is kept: to six digits, if it is a number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def overall(each: Iterable[Better]) -> Better:
    """Return the one that counts: worse if anything is worse."""
    found = set(each)
    order = (Better.WORSE, Better.UNCLEAR, Better.BETTER)
    return next((one for one in order if one in found), Better.EQUAL)
