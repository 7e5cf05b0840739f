# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mean and standard deviation of pixels, with and without outliers.

An amplifier of full size has 4 MB, eight times the cache of a core. So it is
measured piece by piece, in memory that is used again, and what is found of
the pieces is combined. Clipping looks only at pieces with outliers again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..fits_files import pieces

__all__ = ["Moments", "Pixels", "clipped_mean_and_stdev", "combined", "moments"]


@dataclass(frozen=True)
class Moments:
    """What is known of some pixels.

    Parameters
    ----------
    n : `int`
        Number of pixels.
    mean : `float`
        Their mean; NaN if there are none.
    square : `float`
        Sum of their squared distances from it.
    smallest, largest : `float`
        Their extremes; infinite, and the wrong way round, if there are none.
    """

    n: int
    mean: float
    square: float
    smallest: float
    largest: float

    @property
    def stdev(self) -> float:
        """The standard deviation; NaN if there are no pixels."""
        return float(np.sqrt(self.square / self.n)) if self.n else np.nan


NONE = Moments(0, np.nan, 0.0, np.inf, -np.inf)
"""What is known of no pixels."""


def moments(pixels: np.ndarray, low: float = -np.inf, high: float = np.inf) -> Moments:
    """Measure a piece of an image.

    Parameters
    ----------
    pixels : `numpy.ndarray`
        Floating-point pixels of any shape. What is not a finite number is
        left out.
    low, high : `float`, optional
        Limits: pixels beyond them are left out.

    Returns
    -------
    moments : `Moments`
        Of the others.
    """
    values = np.array(pixels, copy=True).ravel()
    used = np.isfinite(values)
    if low > -np.inf or high < np.inf:
        used &= (values >= low) & (values <= high)
    unused = np.flatnonzero(~used)
    n = values.size - len(unused)
    if not n:
        return NONE
    values[unused] = 0
    # In place, and in the type of the pixels: numpy adds them pair by pair,
    # so that rounding errors of the distances are small.
    centre = values.dtype.type(values.sum() / n)
    values -= centre
    values[unused] = 0
    smallest, largest = float(values.min()), float(values.max())
    shift = float(values.sum()) / n
    values *= values
    square = max(float(values.sum()) - n * shift**2, 0.0)
    return Moments(n, float(centre) + shift, square, float(centre) + smallest, float(centre) + largest)


def combined(parts: Iterable[Moments]) -> Moments:
    """Combine what is known of the pieces of an image.

    Parameters
    ----------
    parts : `~collections.abc.Iterable` [`Moments`]
        Of each piece.

    Returns
    -------
    moments : `Moments`
        Of all of them; independent of the order but for rounding errors.
    """
    parts = [part for part in parts if part.n]
    if not parts:
        return NONE
    n, means, squares = np.array([(part.n, part.mean, part.square) for part in parts]).T
    mean = float(np.average(means, weights=n))
    return Moments(
        int(n.sum()),
        mean,
        float(squares.sum() + (n * (means - mean) ** 2).sum()),
        min(part.smallest for part in parts),
        max(part.largest for part in parts),
    )


class Pixels:
    """The pixels of an amplifier.

    Parameters
    ----------
    pixels : `numpy.ndarray`, (ny, nx)
        Floating-point pixels. What is not a finite number is left out.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        row_bytes = pixels.shape[1] * pixels.itemsize
        self._pieces = [pixels[slice(*rows)] for rows in pieces(len(pixels), row_bytes)]
        self._moments = [moments(piece) for piece in self._pieces]
        self.moments = combined(self._moments)
        """Of all pixels."""

    def clipped(self, n_sigma: float, n_iterations: int) -> Moments:
        """Measure without outliers.

        Parameters
        ----------
        n_sigma : `float`
            Pixels farther than this from the mean are outliers, in units
            of the standard deviation.
        n_iterations : `int`
            How often outliers are searched for, among the pixels that are
            left.

        Returns
        -------
        moments : `Moments`
            Of the pixels that are left.
        """
        parts, left = list(self._moments), self.moments
        low, high = -np.inf, np.inf
        for _ in range(n_iterations):
            # What was left out remains so: limits only become narrower.
            low = max(low, left.mean - n_sigma * left.stdev)
            high = min(high, left.mean + n_sigma * left.stdev)
            if low <= left.smallest and left.largest <= high:
                break
            for number, part in enumerate(parts):
                if part.smallest < low or part.largest > high:
                    parts[number] = moments(self._pieces[number], low, high)
            left = combined(parts)
        return left


def clipped_mean_and_stdev(pixels: np.ndarray, n_sigma: float, n_iterations: int) -> tuple[float, float]:
    """Return mean and standard deviation without outliers.

    Parameters
    ----------
    pixels : `numpy.ndarray`, (ny, nx)
        Floating-point pixels; what is not a finite number is left out.
    n_sigma, n_iterations
        As of `Pixels.clipped`.

    Returns
    -------
    mean, stdev : `float`
        In the pixels' unit; NaN if no pixel is left.
    """
    left = Pixels(pixels).clipped(n_sigma, n_iterations)
    return left.mean, left.stdev
