# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared among frames, and how far it may differ."""

from __future__ import annotations

__all__ = ["FRAME_LIMITS", "FrameLimits", "Quantity", "quantities"]

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..instruments import ImageType
from ._outliers import Tolerance
from ._records import AmplifierMeasure

_LEAST_NOISE = 0.1
"""Noise of frames that have less, such as made-up ones (ADU)."""

_FEW = 5
"""Fewer darks of several times do not say what the bias adds to their rate:
their levels may differ by all of the noise."""

_RAMP = 2.0
"""Flats whose levels differ by more are compared by their level."""


@dataclass(frozen=True)
class FrameLimits:
    """How far a frame may be from the others of its series.

    Whatever is smaller is not marked, however clearly it is measured. What
    is larger is marked if it is also far outside the scatter of the series.
    """

    level: float
    """Difference of the level of a bias or dark (in units of its noise)."""

    flat_level: float
    """Relative difference of the level of a flat."""

    shape: float
    """Difference of a block of an amplifier of a bias or dark (in units of
    its noise)."""

    flat_shape: float
    """The same of a flat (relative to its level)."""

    noise: float
    """Relative difference of the noise."""

    overscan: float
    """Difference of the level of the overscan (in units of its noise)."""

    saturated: float
    """Saturated part of an amplifier."""

    scatter: float
    """Standard deviations of the good frames that are not an outlier."""


FRAME_LIMITS = FrameLimits(
    level=0.2,
    flat_level=0.05,
    shape=0.5,
    flat_shape=0.01,
    noise=0.10,
    overscan=2.0,
    saturated=0.01,
    scatter=6.0,
)
"""Chosen by what a frame does to a product that is made of 20. A level or a
block at its limit changes the product by a hundredth or less of a frame's
noise, or twice that; noise at its limit, the product's by 0.5 %. Flats are
scaled to their level before they are combined (cp_pipe), so 5 % of it do no
harm, but a lamp that flickers by more is not to be trusted. The overscan is
subtracted; it moves by 2 ADU in good frames, and by hundreds as it settles.
With 6 standard deviations, fewer than one good frame in 10,000 is marked; the
benchmark in tests/test_spoilt.py measures it."""


class Quantity(NamedTuple):
    """A number of an amplifier, in each frame."""

    what: str
    x: Sequence[float]
    """What it depends on."""

    y: Sequence[float]
    tolerance: Tolerance
    error: float
    unit: str = " ADU"


def quantities(
    image_type: ImageType, times: Sequence[float], measures: Sequence[AmplifierMeasure], limits: FrameLimits
) -> Iterator[Quantity]:
    """Yield what is compared, each with its tolerance.

    Parameters
    ----------
    image_type : `ImageType`
        What the frames are.
    times : sequence of `float`
        Exposure time of each (s).
    measures : sequence of `AmplifierMeasure`
        Of one amplifier in each of them.
    limits : `FrameLimits`
        How far they may be from each other.

    Yields
    ------
    quantity : `Quantity`
    """
    is_flat, constant = image_type is ImageType.FLAT, [0.0] * len(measures)
    read_noise = max(statistics.median(each.read_noise for each in measures), _LEAST_NOISE)
    overscan_error = read_noise / max(measures[0].n_overscan, 1) ** 0.5

    def in_noise(part: float) -> Tolerance:
        return lambda x, expected: part * read_noise

    def relative(part: float) -> Tolerance:
        return lambda x, expected: part * max(abs(expected), _LEAST_NOISE)

    def of_flat(x: float, expected: float) -> float:
        return max(limits.flat_level * abs(expected), limits.level * read_noise)

    is_vague = len(set(times)) > 1 and len(times) < _FEW
    yield Quantity(
        "level",
        times,
        [each.level for each in measures],
        of_flat if is_flat else in_noise(1.0 if is_vague else limits.level),
        statistics.median(each.level_error for each in measures),
    )
    overscans = [each.overscan for each in measures]
    yield Quantity("overscan", constant, overscans, in_noise(limits.overscan), overscan_error)
    noises = [each.read_noise for each in measures]
    yield Quantity("read noise", constant, noises, relative(limits.noise), overscan_error)
    if not is_flat:
        # The noise of a flat is that of its light.
        noises = [each.noise for each in measures]
        error = statistics.median(noises) / max(measures[0].n_pixels, 1) ** 0.5
        yield Quantity("noise", constant, noises, relative(limits.noise), error)
    yield from _shapes(measures, constant if is_flat else times, limits, read_noise, is_flat=is_flat)


def _shapes(
    measures: Sequence[AmplifierMeasure],
    x: Sequence[float],
    limits: FrameLimits,
    read_noise: float,
    *,
    is_flat: bool,
) -> Iterator[Quantity]:
    """Yield the blocks of an amplifier.

    Those of flats are relative to the level. The structure of the bias adds
    to that what is proportional to 1 / level.
    """
    error = statistics.median(each.block_error for each in measures)
    levels = [max(each.level, 1.0) for each in measures]
    if is_flat:
        error /= statistics.median(levels)
        if max(levels) > _RAMP * min(levels):
            x = [1 / level for level in levels]

    def tolerance(x: float, expected: float) -> float:
        return limits.flat_shape + limits.shape * read_noise * x if is_flat else limits.shape * read_noise

    for blocks in zip(*(each.blocks for each in measures), strict=True):
        y = [block / level for block, level in zip(blocks, levels, strict=True)] if is_flat else blocks
        yield Quantity("shape", x, y, tolerance, error, " of its level" if is_flat else " ADU")
