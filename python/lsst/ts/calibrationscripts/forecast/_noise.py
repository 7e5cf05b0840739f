# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is combined from few frames has much of the noise of each.

It is then subtracted from these very frames, and what is left of their noise
is compared with the nominal read noise.
"""

from __future__ import annotations

__all__ = ["noise_level", "parts_held_out", "parts_left"]

from collections.abc import Sequence

from ..pipelines import PipelineSet, noise_left
from ..products import Product
from ..thresholds import Thresholds
from ._records import Level

_DARK_CURRENT = (0.05, 0.1)
"""What a CCD of LSST may have at the operating temperature, and what it has
at the most (electron/s): it adds shot noise to the read noise."""

_READ_NOISE = (7.0, 5.0)
"""Read noise to compare that with, and the least (electron)."""

_MEASURED = 1.005
"""By how much the noise that is measured of an amplifier may be off."""

_SOME_AMPLIFIERS = 1.03
"""By how much the noise of some amplifiers is above that of most."""


def parts_left(exp_times: Sequence[float], n: int) -> tuple[tuple[float, float], ...]:
    """Return which part of its noise each frame keeps.

    Parameters
    ----------
    exp_times : sequence of `float`
        Exposure times of the frames (s); those of biases are equal. None if
        they are not known: then they are taken to be equal.
    n : `int`
        Frames that are combined.

    Returns
    -------
    parts : `tuple` [`tuple` [`float`, `float`], ...]
        For each frame, if frames are weighted by the square of their times,
        and if they are not. Both are in use.
    """
    if len(set(exp_times)) < 2:
        return ((noise_left(n),) * 2,) * n
    squares = sum(time**2 for time in exp_times)
    inverse = sum(1 / time**2 for time in exp_times)
    return tuple(
        (
            (1 - time**2 / squares) ** 0.5,
            max(1 - 2 / n + time**2 * inverse / n**2, 0.0) ** 0.5,
        )
        for time in exp_times
    )


def parts_held_out(n: int, n_held_out: int) -> tuple[tuple[float, float], ...]:
    """Return which part of its noise each frame has that is not combined.

    Parameters
    ----------
    n : `int`
        Frames that are combined.
    n_held_out : `int`
        Frames that are not: the noise of the combined one is added to theirs.

    Returns
    -------
    parts : `tuple` [`tuple` [`float`, `float`], ...]
        As of `parts_left`.
    """
    return (((1 + 1 / n) ** 0.5,) * 2,) * n_held_out


def noise_level(
    product: Product,
    parts: Sequence[tuple[float, float]],
    exp_times: Sequence[float],
    pipelines: PipelineSet,
    thresholds: Thresholds,
    n_amplifiers: int,
) -> Level | None:
    """Return how sure it is that the verification fails by its noise.

    Parameters
    ----------
    product : `Product`
        A bias or a dark.
    parts : sequence of `tuple` [`float`, `float`]
        As from `parts_left`.
    exp_times : sequence of `float`
        Exposure times of the frames (s).
    pipelines : `PipelineSet`
        The pipelines that verify it.
    thresholds : `Thresholds`
        At which counts of failures it fails.
    n_amplifiers : `int`
        How many amplifiers are verified.

    Returns
    -------
    level : `Level` or `None`
        `Level.CERTAIN` if no amplifier can pass that would pass with many
        frames: with more than the tolerance above the nominal noise it fails
        by that. `Level.LIKELY` if none can that has the nominal noise,
        `Level.REMARK` if that is too close to be said.
    """
    tolerance = pipelines.noise_tolerance
    longest = max(exp_times, default=0.0) if product is Product.DARK else 0.0
    likely, most = (
        (1 + current * longest / noise**2) ** 0.5
        for current, noise in zip(_DARK_CURRENT, _READ_NOISE, strict=True)
    )

    def all_fail(low: float, high: float) -> bool:
        failed = [
            all(part * high < 1 - tolerance for part in both)
            or all(part * low > 1 + tolerance for part in both)
            for both in parts
        ]
        return sum(failed) >= thresholds.exposures_to_fail

    if not pipelines.noise_two_sided:
        return None
    # A few amplifiers that are not as the others count where more than half
    # must fail.
    half = thresholds.failures_to_fail_exposure <= n_amplifiers / 2 or parts[0][0] == 0.0
    if not all_fail(1.0, likely):
        return None
    if not all_fail(1.0, likely * (_MEASURED if half else _SOME_AMPLIFIERS)):
        return Level.REMARK
    # Of several times, spoilt frames that are left out change the weights.
    equal = len(set(parts)) == 1
    sure = equal and half and all_fail(1 - tolerance, (1 + tolerance) * most)
    return Level.CERTAIN if sure else Level.LIKELY
