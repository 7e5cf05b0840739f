# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clipping, cosmic rays and the combination of stacks."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from lsst.ts.calibrationscripts.simulation.exposure import Exposure, Image
from lsst.ts.calibrationscripts.simulation.fits_files import pieces
from lsst.ts.calibrationscripts.simulation.tasks import statistics
from lsst.ts.calibrationscripts.simulation.tasks.moments import clipped_mean_and_stdev
from lsst.ts.calibrationscripts.simulation.tasks.statistics import (
    clipped_stack_mean,
    combine_rows,
    mean_without_farthest,
    reject_cosmic_rays,
)

ONES = np.ones(20)


@pytest.fixture
def stack() -> np.ndarray:
    """Twenty noisy images of the value 100, noise 5."""
    return np.random.default_rng(1).normal(100.0, 5.0, (20, 30, 40)).astype(np.float32)


def reference_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Clip one pixel's values the plain way: 3 sigma, 3 iterations."""
    for _ in range(3):
        mean = np.average(values, weights=weights)
        deviation = weights * (values - mean) ** 2
        kept = deviation <= 9 * deviation.sum() / (len(values) - 1)
        if kept.all():
            break
        values, weights = values[kept], weights[kept]
    return float(np.average(values, weights=weights))


def test_outliers_do_not_count() -> None:
    pixels = np.random.default_rng(2).normal(3.0, 2.0, (100, 100))
    pixels[5, 5:9] = 1e4
    pixels[7, 7] = np.nan
    mean, stdev = clipped_mean_and_stdev(pixels, n_sigma=5, n_iterations=3)
    assert mean == pytest.approx(3.0, abs=0.1)
    assert stdev == pytest.approx(2.0, rel=0.03)


def test_nothing_is_measured_without_pixels() -> None:
    assert np.isnan(clipped_mean_and_stdev(np.full((4, 4), np.nan), 5, 3)).all()


def test_a_cosmic_ray_goes_with_its_faint_ends() -> None:
    pixels = np.zeros((20, 20), np.float32)
    pixels[10, 8:13] = (4.0, 50.0, 90.0, 40.0, 4.0)
    pixels[2, 2] = 4.0
    cleaned = reject_cosmic_rays(pixels, level=0.0, noise=1.0)
    assert np.argwhere(np.isnan(cleaned)).tolist() == [[10, x] for x in range(8, 13)]
    assert pixels[10, 10] == 90.0


def test_an_image_without_hits_is_not_copied() -> None:
    pixels = np.zeros((20, 20), np.float32)
    assert reject_cosmic_rays(pixels, level=0.0, noise=1.0) is pixels


def test_a_stack_is_clipped_as_pixel_by_pixel(stack: np.ndarray) -> None:
    weights = np.linspace(1.0, 3.0, 20)
    stack[4, 3, 3] = 1e4
    stack[11, 3, 3] = -1e4
    expected = [[reference_mean(stack[:, y, x], weights) for x in range(40)] for y in range(30)]
    np.testing.assert_allclose(clipped_stack_mean(stack.copy(), ONES, weights, 3.0, 3), expected, rtol=1e-5)


def test_images_are_divided_by_their_scales(stack: np.ndarray) -> None:
    scales = np.linspace(1.0, 30.0, 20)
    mean = clipped_stack_mean(stack * scales[:, None, None].astype(np.float32), scales, scales**2, 3.0, 3)
    assert mean.mean() == pytest.approx(100.0, rel=0.01)


def test_masked_pixels_count_for_the_images_that_have_them(stack: np.ndarray) -> None:
    stack[:, 1, 1] = np.nan
    stack[:19, 2, 2] = np.nan
    mean = clipped_stack_mean(stack.copy(), ONES, ONES, 3.0, 3)
    assert np.argwhere(np.isnan(mean)).tolist() == [[1, 1]]
    assert mean[2, 2] == stack[19, 2, 2]


def test_the_farthest_value_is_left_out(stack: np.ndarray) -> None:
    stack[7, 3, 4] = 1e4
    mean = mean_without_farthest(stack[:8].copy(), ONES[:8], ONES[:8])
    assert mean[3, 4] == pytest.approx(np.delete(stack[:8, 3, 4], 7).mean(), rel=1e-5)


def test_two_images_are_both_needed(stack: np.ndarray) -> None:
    mean = mean_without_farthest(stack[:2].copy(), ONES[:2], ONES[:2])
    np.testing.assert_allclose(mean, stack[:2].mean(axis=0), rtol=1e-5)


def test_blocks_change_nothing(stack: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def combined() -> np.ndarray:
        return combine_rows(
            [Image(each) for each in stack],
            lambda block, rows: clipped_stack_mean(block, ONES, ONES, 3.0, 3),
        )

    whole = combined()
    # Two images' worth: 3 rows of 20 images, the last block the same.
    monkeypatch.setattr(statistics, "STACK_BYTES", 2 * 4 * 30 * 40)
    assert pieces(30, 4 * 40 * 20, piece_bytes=statistics.STACK_BYTES)[:2] == [(0, 3), (3, 6)]
    assert np.array_equal(whole, combined())


def test_a_large_stack_takes_the_memory_of_few_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 22 images of 4 MB each on disk,
    shape, n_images = (1000, 1000), 22
    monkeypatch.setattr(statistics, "STACK_BYTES", 2 * 2**20)
    rng = np.random.default_rng(3)
    for number in range(n_images):
        Exposure(rng.standard_normal(shape, np.float32)).write_fits(tmp_path / f"{number}.fits")
    weights = np.ones(n_images)

    # when they are combined,
    tracemalloc.start()
    try:
        mean = combine_rows(
            [Exposure.read_fits(tmp_path / f"{number}.fits").image for number in range(n_images)],
            lambda block, rows: clipped_stack_mean(block, weights, weights, 3.0, 3),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    # then the peak is the result, half an image's worth of rows, and change.
    assert mean.std() == pytest.approx(1 / np.sqrt(n_images), rel=0.05)
    assert peak < 2 * mean.nbytes
