# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cosmic rays and stacks of images, for the tasks that share them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..exposure import Image
from ..fits_files import pieces

__all__ = [
    "HIT_SIGMA",
    "clipped_stack_mean",
    "combine_rows",
    "mean_without_farthest",
    "reject_cosmic_rays",
]

STACK_BYTES = 8 * 2**20
"""Memory that a stack of rows may use, in each thread (byte)."""

HIT_SIGMA = 6.0
"""Height of a cosmic ray's brightest pixels over the level, in noise."""


def reject_cosmic_rays(
    pixels: np.ndarray, level: float, noise: float, n_sigma: float = HIT_SIGMA, grow: float = 3.0
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


def combine_rows(
    images: Sequence[Image],
    combine: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
) -> np.ndarray:
    """Combine images that may not fit into memory together.

    Parameters
    ----------
    images : `~collections.abc.Sequence` [`Image`]
        The images, of the same shape; read block by block of rows.
    combine : `~collections.abc.Callable`
        Takes a stack of rows, (n, rows, nx), which it may overwrite, and
        the pair of rows; returns the combined rows, (rows, nx).

    Returns
    -------
    combined : `numpy.ndarray`, (ny, nx)
        float32: the result.
    """
    n_rows, n_columns = images[0].shape
    combined = np.empty((n_rows, n_columns), np.float32)

    blocks = pieces(n_rows, 4 * n_columns * len(images), piece_bytes=STACK_BYTES)
    memory = np.empty((len(images), blocks[0][1], n_columns), np.float32)
    for rows in blocks:
        stack = memory[:, : rows[1] - rows[0]]
        for image, block in zip(images, stack, strict=True):
            found = image.rows(*rows, block)
            if found is not block:
                block[:] = found
        combined[slice(*rows)] = combine(stack, rows)
    return combined
