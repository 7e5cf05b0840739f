# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a calibration leaves of a frame, in numbers."""

from __future__ import annotations

__all__ = ["MAD_TO_SIGMA", "measure"]

from typing import TYPE_CHECKING

from ..comparison import Residual

if TYPE_CHECKING:
    import numpy as np

MAD_TO_SIGMA = 1.4826
"""Standard deviation of normal values, in units of their median absolute
deviation."""

_FAR = 6.0
"""Pixels that are farther from the median are outliers (sigma)."""

_N_BLOCKS = 8
"""Blocks along each side of an amplifier."""


def measure(left: np.ndarray, n_combined: int = 0) -> Residual:
    """Measure what is left of a frame of an amplifier.

    Parameters
    ----------
    left : `numpy.ndarray`, (ny, nx)
        The frame, corrected.
    n_combined : `int`, optional
        How many frames the calibration is the mean of, this among them; 0 if
        it is not. The difference of one of n frames to the mean of the others
        is n / (n - 1) times that to the mean of all. Its noise is brought to
        that of a frame and a mean of n others.

    Returns
    -------
    residual : `Residual`
        Outliers are left out of mean and noise. What has no value anywhere
        is not a number.
    """
    import numpy as np

    n = n_combined
    factor = n / (n - 1) if n > 1 else 1.0
    of_noise = float(np.sqrt((n + 1) / (n - 1))) if n > 1 else 1.0
    finite = np.isfinite(left)
    if not finite.any():
        return Residual(*(float("nan"),) * 4, 1.0)
    median = float(np.median(left[finite]))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(left[finite] - median)))
    good = finite & (np.abs(left - median) <= _FAR * noise)
    if not good.any():
        return Residual(*(float("nan"),) * 4, 1.0)
    mean = float(left[good].mean(dtype=np.float64))
    clean = np.where(good, left, mean)
    # A column that is bad as a whole has no good pixel.
    columns = np.median(np.where(finite, left, median), axis=0)
    return Residual(
        mean=factor * mean,
        noise=of_noise * noise,
        structure=factor * _structure(clean, noise),
        columns=factor * float(np.abs(columns - median).max()),
        outliers=1.0 - float(good.mean()),
    )


def _structure(clean: np.ndarray, noise: float) -> float:
    """Return the scatter of the means of blocks, without that of noise."""
    import numpy as np

    n_rows, n_columns = (max(1, size // _N_BLOCKS) for size in clean.shape)
    rows, columns = (size // step for size, step in zip(clean.shape, (n_rows, n_columns), strict=True))
    blocks = clean[: rows * n_rows, : columns * n_columns].reshape(rows, n_rows, columns, n_columns)
    variance = float(blocks.mean(axis=(1, 3), dtype=np.float64).var())
    return float(np.sqrt(max(0.0, variance - noise**2 / (n_rows * n_columns))))
