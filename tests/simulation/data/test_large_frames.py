# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are measured piece by piece, as if at once.

Nothing here measures time; ``benchmarks/frames.py`` does.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation import fits_files
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure, Image
from lsst.ts.calibrationscripts.simulation.products import Box, Defects
from lsst.ts.calibrationscripts.simulation.tasks import moments as moments_module
from lsst.ts.calibrationscripts.simulation.tasks import statistics
from lsst.ts.calibrationscripts.simulation.tasks.combine import CombineTask
from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrTask
from lsst.ts.calibrationscripts.simulation.tasks.moments import Pixels, combined, moments
from lsst.ts.calibrationscripts.simulation.tasks.verify import VerifyReadNoiseTask

SEEDS = range(20)


class Handle:
    """An image that a task gets if it needs it."""

    dataId = "a frame"  # noqa: N815 - the Butler's name.

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self) -> Exposure:
        return Exposure.read_fits(self._path)


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=3)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small images be large ones: many pieces."""
    # 256 KiB is more than an amplifier of this scale.
    monkeypatch.setattr(fits_files, "PIECE_BYTES", 8192)
    monkeypatch.setattr(statistics, "STACK_BYTES", 65536)


def random_pixels(seed: int) -> np.ndarray:
    """Make an amplifier with outliers of all sizes, and masked pixels."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(rng.uniform(-100.0, 30_000.0), rng.uniform(1.0, 200.0), (60, 509))
    hit = rng.random(pixels.shape) < rng.choice([0.0, 1e-4, 0.02])
    pixels[hit] += rng.normal(0.0, 10.0 ** rng.uniform(1, 5), int(hit.sum()))
    pixels[rng.random(pixels.shape) < rng.choice([0.0, 1e-3, 0.3])] = np.nan
    pixels[rng.random(pixels.shape) < rng.choice([0.0, 1e-3])] = np.inf
    return pixels.astype(np.float32)


def clipped_by_definition(pixels: np.ndarray, n_sigma: float, n_iterations: int) -> tuple[float, float]:
    """Clip with one array in double precision, as cp_verify's tests say."""
    values = pixels[np.isfinite(pixels)].astype(np.float64)
    for _ in range(n_iterations):
        kept = np.abs(values - values.mean()) <= n_sigma * values.std()
        if kept.all():
            break
        values = values[kept]
    return float(values.mean()), float(values.std())


@pytest.mark.parametrize("seed", SEEDS)
def test_clipping_by_pieces_is_what_its_definition_says(small_pieces: None, seed: int) -> None:
    pixels = random_pixels(seed)
    for n_sigma, n_iterations in ((5.0, 3), (3.0, 3), (2.5, 1), (3.0, 0)):
        found = Pixels(pixels).clipped(n_sigma, n_iterations)
        mean, stdev = clipped_by_definition(pixels, n_sigma, n_iterations)
        assert found.mean == pytest.approx(mean, rel=1e-6, abs=1e-4 * stdev)
        assert found.stdev == pytest.approx(stdev, rel=1e-5)


def test_only_pieces_with_outliers_are_measured_again(
    small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an amplifier of 15 pieces with outliers in one,
    pixels = np.random.default_rng(1).uniform(-1.0, 1.0, (60, 509)).astype(np.float32)
    pixels[17, 100:110] = 1e4
    found = Pixels(pixels)
    measured = []

    def counted(*arguments: Any) -> Any:
        measured.append(arguments)
        return moments(*arguments)

    # when it is clipped,
    monkeypatch.setattr(moments_module, "moments", counted)
    clipped = found.clipped(5.0, 3)
    # then this piece is measured a second time.
    assert len(measured) == 1
    assert clipped.stdev == pytest.approx(1 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_noise_of_pixels_far_from_zero_is_right(dtype: type) -> None:
    # Given 100,000 ADU with a noise of 0.1: their squares need 12 digits,
    pixels = (1e5 + 0.125 * np.random.default_rng(1).integers(0, 2, (100, 509))).astype(dtype)
    # then nothing of the noise is lost.
    assert moments(pixels).stdev == pytest.approx(pixels.astype(np.float64).std(), rel=1e-6)


def test_equal_pixels_have_no_noise_and_no_outliers() -> None:
    found = Pixels(np.full((60, 509), 100.1, np.float32)).clipped(5.0, 3)
    assert (found.n, found.stdev) == (60 * 509, 0.0)
    assert found.mean == pytest.approx(100.1, rel=1e-7)


def test_nothing_is_known_of_no_pixels() -> None:
    nothing = combined([moments(np.full((3, 4), np.nan))] * 2)
    assert nothing.n == 0
    assert np.isnan(nothing.mean)
    assert np.isnan(nothing.stdev)
    assert np.isnan(Pixels(np.full((3, 4), np.nan)).clipped(5.0, 3).mean)


def made_and_verified(ccd: CcdModel, folder: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Make a bias of five frames; verify one of them, with everything on."""
    trimmed = ccd.detector.to_metadata()
    corrected, headers = [], []
    for number in range(5):
        metadata = trimmed | {"DARKTIME": 30.0, "IMGTYPE": "DARK"}
        Exposure(ccd.expose("DARK", 30.0, number), metadata).write_fits(folder / f"raw{number}.fits")
        raw = Exposure.read_fits(folder / f"raw{number}.fits")
        frame = IsrTask().run(raw).outputExposure
        frame.write_fits(folder / f"frame{number}.fits")
        corrected.append(Handle(folder / f"frame{number}.fits"))
        headers.append(frame.metadata)
    bias = CombineTask().run(corrected).outputData
    defects = Defects.from_mask(ccd.truth.hot | ccd.truth.dead, 0)
    dark, flat = Exposure(0.01 * bias.image.array, trimmed), Exposure(ccd.truth.response, trimmed)
    again = Exposure.read_fits(folder / "raw0.fits")
    frame = IsrTask().run(again, bias, dark, flat, defects).outputExposure
    statistics_ = VerifyReadNoiseTask().run(frame).outputStats
    return bias.image.array, [*headers, frame.metadata, statistics_]


def test_pieces_change_no_pixel(ccd: CcdModel, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    whole, _ = made_and_verified(ccd, tmp_path)
    request.getfixturevalue("small_pieces")
    (tmp_path / "pieces").mkdir()
    assert np.array_equal(made_and_verified(ccd, tmp_path / "pieces")[0], whole)


def test_a_frame_is_corrected_and_verified_in_the_memory_of_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a raw frame of 5 MB and a bias of 4 MB on disk,
    ccd = CcdModel(LATISS.detectors[0], scale=4, seed=3)
    trimmed = ccd.detector.to_metadata()
    Exposure(ccd.expose("BIAS", 0.0, 1), trimmed | {"DARKTIME": 0.0}).write_fits(tmp_path / "raw.fits")
    Exposure(ccd.truth.bias, trimmed).write_fits(tmp_path / "bias.fits")
    monkeypatch.setattr(fits_files, "PIECE_BYTES", 65536)
    n_bytes = ccd.truth.bias.nbytes

    def peak(do: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            do()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # when it is corrected, written and verified,
    frame = Exposure.read_fits(tmp_path / "raw.fits")
    corrected = []
    correction = peak(
        lambda: corrected.append(IsrTask().run(frame, Exposure.read_fits(tmp_path / "bias.fits")))
    )
    image = corrected[0].outputExposure
    writing = peak(lambda: image.write_fits(tmp_path / "corrected.fits"))
    again = Exposure.read_fits(tmp_path / "corrected.fits")
    verification = peak(lambda: VerifyReadNoiseTask().run(again))

    # then there is one image in memory, and pieces.
    assert correction < 1.4 * n_bytes
    assert writing < 0.2 * n_bytes
    assert verification < 1.4 * n_bytes


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_files_are_those_of_astropy(dtype: type, tmp_path: Path) -> None:
    array = (100 * np.random.default_rng(1).standard_normal((37, 1001))).astype(dtype)
    fits_files.write_fits(tmp_path / "ours.fits", array, {"EXPTIME": 1.5})
    fits.PrimaryHDU(array, fits.Header({"EXPTIME": 1.5})).writeto(tmp_path / "theirs.fits")
    assert (tmp_path / "ours.fits").read_bytes() == (tmp_path / "theirs.fits").read_bytes()
    pixels, header = fits_files.open_fits(tmp_path / "theirs.fits")
    assert header["EXPTIME"] == 1.5
    assert pixels.dtype == dtype
    assert np.array_equal(pixels.read_all(), array)


def test_pixels_are_read_once_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(5000, dtype=np.float32).reshape(50, 100)
    fits_files.write_fits(tmp_path / "image.fits", array, {})
    image = Exposure.read_fits(tmp_path / "image.fits").image
    assert image.shape == (50, 100)
    scratch = np.empty((10, 100), np.float32)
    # Rows come into the memory that is given, if it has their type.
    assert image.rows(7, 12, scratch).base is scratch
    assert np.array_equal(scratch[:5], array[7:12])
    assert np.array_equal(image.rows(7, 12, np.empty((5, 100))), array[7:12])
    # All of them remain in memory, where they can be changed.
    image.array[3, 4] = -1.0
    (tmp_path / "image.fits").unlink()
    assert image.array[3, 4] == -1.0
    assert image.rows(3, 4)[0, 4] == -1.0


def test_a_file_that_was_cut_off_or_is_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits_files.write_fits(path, np.zeros((50, 100), np.float32), {})
    path.write_bytes(path.read_bytes()[:15_000])
    with pytest.raises(OSError, match=r"image.fits ends before its image of 100 by 50 pixels"):
        Exposure.read_fits(path)
    fits.PrimaryHDU(np.zeros((2, 2, 2), np.float32)).writeto(tmp_path / "cube.fits")
    with pytest.raises(OSError, match=r"cube.fits has no image"):
        Exposure.read_fits(tmp_path / "cube.fits")


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    fits_files.write_fits(tmp_path / "image.fits", np.zeros((2, 3), np.float32), {})
    with pytest.raises(FileExistsError):
        fits_files.write_fits(tmp_path / "image.fits", np.ones((2, 3), np.float32), {})


def test_pieces_are_of_one_row_of_amplifiers(ccd: CcdModel, small_pieces: None) -> None:
    parts = ccd.detector.pieces(4 * ccd.detector.shape[1])
    assert [row for first, last in parts for row in range(first, last)] == list(range(ccd.detector.shape[0]))
    height = ccd.detector.amp_height
    assert all(first // height == (last - 1) // height for first, last in parts)


def test_defects_are_known_pixel_by_pixel() -> None:
    defects = Defects(detector=0, boxes=(Box(1, 2, 3, 2), Box(8, 0, 1, 5)))
    y, x = defects.pixels((4, 10))
    assert sorted(zip(y.tolist(), x.tolist(), strict=True)) == sorted(
        [(row, column) for row in (2, 3) for column in (1, 2, 3)] + [(row, 8) for row in range(4)]
    )
    assert defects == Defects(detector=0, boxes=defects.boxes)
    assert not Defects(detector=0, boxes=()).mask((3, 3)).any()


def test_an_image_in_memory_gives_its_own_rows() -> None:
    array = np.arange(12.0).reshape(4, 3)
    assert np.shares_memory(Image(array).rows(1, 3), array)
