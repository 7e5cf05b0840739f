# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of images that the tasks share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = [
    "clipped_mean_and_stdev",
    "clipped_stack_mean",
    "combine_rows",
    "finite",
    "reject_cosmic_rays",
    "rows_per_block",
]

STACK_BYTES = 32 * 2**20
"""Memory that a stack of rows may use (byte)."""


def finite(pixels: np.ndarray) -> np.ndarray:
    """Return all pixels but those that are NaN.

    Parameters
    ----------
    pixels : `numpy.ndarray`
        Pixels of any shape.

    Returns
    -------
    values : `numpy.ndarray`, (n,)
        A copy where that is needed.
    """
    use = np.isfinite(pixels)
    return pixels.ravel() if use.all() else pixels[use]


def clipped_mean_and_stdev(pixels: np.ndarray, n_sigma: float, n_iterations: int) -> tuple[float, float]:
    """Return mean and standard deviation without outliers.

    Parameters
    ----------
    pixels : `numpy.ndarray`
        Pixels of any shape; NaN is left out.
    n_sigma : `float`
        Pixels farther than this from the mean are outliers, in units of
        the standard deviation.
    n_iterations : `int`
        How often outliers are searched for.

    Returns
    -------
    mean, stdev : `float`
        In the pixels' unit; NaN if no pixel is left.
    """
    values = finite(pixels)
    if not values.size:
        return np.nan, np.nan
    for iteration in range(n_iterations + 1):
        mean = values.mean(dtype=np.float64)
        # Squared in place: an amplifier is larger than the processor's cache.
        square = values - values.dtype.type(mean)
        square *= square
        variance = square.mean(dtype=np.float64)
        limit = n_sigma**2 * variance
        if iteration == n_iterations or square.max() <= limit:
            break
        values = values[square <= limit]
    return float(mean), float(np.sqrt(variance))


def reject_cosmic_rays(
    pixels: np.ndarray, level: float, noise: float, n_sigma: float = 6.0, grow: float = 3.0
) -> np.ndarray:
    """Return an image with the pixels that cosmic rays hit set to NaN.

    Parameters
    ----------
    pixels : `numpy.ndarray`, (ny, nx)
        Image of an amplifier.
    level : `float`
        Its level without outliers, in the pixels' unit.
    noise : `float`
        Its noise, likewise.
    n_sigma : `float`, optional
        Height over the level of a hit's brightest pixels, in noise.
    grow : `float`, optional
        Height of the neighbours that belong to a hit, in noise.

    Returns
    -------
    cleaned : `numpy.ndarray`, (ny, nx)
        A copy; the image itself if nothing has hit it.
    """
    hits = np.argwhere(pixels > level + n_sigma * noise)
    if not len(hits):
        return pixels
    cleaned = pixels.copy()
    for y, x in hits:
        around = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
        cleaned[around][pixels[around] > level + grow * noise] = np.nan
    return cleaned


def clipped_stack_mean(
    stack: np.ndarray,
    scales: np.ndarray,
    weights: np.ndarray,
    n_sigma: float,
    n_iterations: int,
) -> np.ndarray:
    """Average a stack of images, without outliers, pixel by pixel.

    Parameters
    ----------
    stack : `numpy.ndarray`, (n, ny, nx)
        float32 images, which are divided by their scales in place. NaN is
        not used.
    scales : `numpy.ndarray`, (n,)
        What each image is divided by first.
    weights : `numpy.ndarray`, (n,)
        Weight of each image after that: its inverse variance, up to a
        common factor.
    n_sigma : `float`
        A value farther than this from its pixel's mean is rejected, in
        units of the standard deviation that follows from its weight.
    n_iterations : `int`
        How often values are rejected.

    Returns
    -------
    mean : `numpy.ndarray`, (ny, nx)
        float32; NaN where no image has a value.

    Notes
    -----
    Most pixels have no outliers. So one pass goes through the stack image
    by image, without a temporary array larger than an image. Only pixels
    with outliers are iterated.
    """
    n, *shape = stack.shape
    stack = stack.reshape(n, -1)
    weights = weights.astype(np.float32)
    total = weights.sum()
    mean = np.zeros(stack.shape[1], np.float32)
    scratch = np.empty_like(mean)
    for image, scale, weight in zip(stack, scales, weights, strict=True):
        if scale != 1.0:
            image /= np.float32(scale)
        mean += np.multiply(image, weight / total, out=scratch)
    square_sum, largest = np.zeros_like(mean), np.zeros_like(mean)
    for image, weight in zip(stack, weights, strict=True):
        np.subtract(image, mean, out=scratch)
        np.square(scratch, out=scratch)
        scratch *= weight
        square_sum += scratch
        np.maximum(largest, scratch, out=largest)
    # Written so that pixels with a mean of NaN are iterated, too.
    busy = np.flatnonzero(~(largest * (n - 1) <= n_sigma**2 * square_sum))
    mean[busy] = _iterate(stack[:, busy], weights[:, None], n_sigma, n_iterations)
    return mean.reshape(shape)


def _iterate(values: np.ndarray, weights: np.ndarray, n_sigma: float, n_iterations: int) -> np.ndarray:
    """Clip like `clipped_stack_mean`, with a mask: (n, m) -> (m,)."""
    use = np.isfinite(values)
    values = np.where(use, values, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        for iteration in range(n_iterations + 1):
            used = weights * use
            mean = (values * used).sum(axis=0) / used.sum(axis=0)
            if iteration == n_iterations:
                break
            deviation = weights * (values - mean) ** 2
            variance = (deviation * use).sum(axis=0) / (use.sum(axis=0) - 1)
            kept = use & ~(deviation > n_sigma**2 * variance)
            if (kept == use).all():
                break
            use = kept
    return np.asarray(mean, np.float32)


def mean_without_farthest(stack: np.ndarray, scales: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average a stack of images, without each pixel's farthest value.

    With few images, a cosmic ray is not far enough from the mean to be
    clipped, but it is the farthest value.

    Parameters
    ----------
    stack : `numpy.ndarray`, (n, ny, nx)
        float32 images, which are divided by their scales in place.
    scales : `numpy.ndarray`, (n,)
        What each image is divided by first.
    weights : `numpy.ndarray`, (n,)
        Weight of each image after that: its inverse variance, up to a
        common factor.

    Returns
    -------
    mean : `numpy.ndarray`, (ny, nx)
        float32. With one image or two, the plain mean.
    """
    weights = weights.astype(np.float32)
    stack /= scales.astype(np.float32)[:, None, None]
    total = np.einsum("n,nyx->yx", weights, stack)
    if len(stack) < 3:
        return np.asarray(total / weights.sum())
    mean = total / weights.sum()
    largest, farthest = np.full_like(mean, -1), np.zeros(mean.shape, np.intp)
    for number, (image, weight) in enumerate(zip(stack, weights, strict=True)):
        distance = weight * (image - mean) ** 2
        farther = distance > largest
        largest[farther], farthest[farther] = distance[farther], number
    dropped = weights[farthest]
    values = np.take_along_axis(stack, farthest[None], axis=0)[0]
    return np.asarray((total - dropped * values) / (weights.sum() - dropped))


def rows_per_block(shape: tuple[int, int], n_images: int) -> int:
    """Return how many rows of a stack to have in memory at one time.

    Parameters
    ----------
    shape : `tuple` [`int`, `int`]
        Rows and columns of an image.
    n_images : `int`
        Images in the stack.

    Returns
    -------
    n_rows : `int`
        As many as fit into `STACK_BYTES` as float32, but one at least.
    """
    row = 4 * shape[1] * n_images
    return min(shape[0], max(1, STACK_BYTES // row))


def combine_rows(
    read: Callable[[int, tuple[int, int]], np.ndarray],
    n_images: int,
    shape: tuple[int, int],
    combine: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    dtype: type = np.float32,
) -> np.ndarray:
    """Combine images that may not fit into memory together.

    Parameters
    ----------
    read : `~collections.abc.Callable`
        Takes the number of an image and a pair of rows (first, one after
        the last); returns these rows.
    n_images : `int`
        Number of images.
    shape : `tuple` [`int`, `int`]
        Rows and columns of each.
    combine : `~collections.abc.Callable`
        Takes a stack of rows, (n, rows, nx), which it may overwrite, and
        the pair of rows; returns the combined rows, (rows, nx).
    dtype : `type`, optional
        Of the result.

    Returns
    -------
    combined : `numpy.ndarray`, (ny, nx)
        The result.
    """
    step = rows_per_block(shape, n_images)
    combined: np.ndarray = np.empty(shape, dtype)
    stack = np.empty((n_images, step, shape[1]), np.float32)
    for first in range(0, shape[0], step):
        rows = (first, min(first + step, shape[0]))
        block = stack[:, : rows[1] - rows[0]]
        for number in range(n_images):
            block[number] = read(number, rows)
        combined[rows[0] : rows[1]] = combine(block, rows)
    return combined
