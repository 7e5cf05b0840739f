# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CCD model: what its raw images say about the detector."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lsst.ts.calibrationscripts.butler._measuring import raw_level
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, Detector
from lsst.ts.calibrationscripts.simulation.ccd import ADC_MAX, FLAT_FLUX, GAIN, CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=1)


def segments(ccd: CcdModel, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a raw image into pixels and overscan, by segment."""
    by_segment = ccd.detector.segments(raw)
    return by_segment[..., : ccd.detector.amp_width], by_segment[..., ccd.detector.amp_width :]


def test_the_full_detector_has_the_geometry_of_an_itl_ccd() -> None:
    detector = CcdModel(LATISS.detectors[0], scale=1).detector
    assert detector.shape == (4000, 4072)
    assert [amplifier.name for amplifier in detector] == list(LATISS.detectors[0].amplifiers)
    assert len(detector) == 16
    assert detector.name == "RXX_S00"


def test_a_smaller_detector_keeps_its_amplifiers(ccd: CcdModel) -> None:
    covered = np.zeros(ccd.detector.shape, int)
    for amplifier in ccd.detector:
        covered[amplifier.section] += 1
    assert covered.shape == (500, 512)
    assert (covered == 1).all()


@pytest.mark.parametrize("scale", [0, 65])
def test_a_scale_without_pixels_is_refused(scale: int) -> None:
    with pytest.raises(ValueError, match="scale"):
        CcdModel(LATISS.detectors[0], scale=scale)


def test_the_same_exposure_gives_the_same_image_again(ccd: CcdModel) -> None:
    first = ccd.expose("FLAT", 5, 2026112300007)
    assert first.dtype == np.int32
    assert np.array_equal(
        first, CcdModel(LATISS.detectors[0], scale=8, seed=1).expose("flat", 5, 2026112300007)
    )
    assert not np.array_equal(first, ccd.expose("FLAT", 5, 2026112300008))
    assert not np.array_equal(
        first, CcdModel(LATISS.detectors[0], scale=8, seed=2).expose("FLAT", 5, 2026112300007)
    )


def test_a_bias_shows_levels_and_read_noise(ccd: CcdModel) -> None:
    _, overscan = segments(ccd, ccd.expose("BIAS", 0, 1))
    noise = overscan.std(axis=(1, 3), keepdims=True) * ccd.detector.per_segment(ccd.truth.gain)
    np.testing.assert_allclose(noise, ccd.detector.per_segment(ccd.truth.read_noise), rtol=0.05)
    level = overscan.mean(axis=(1, 3), keepdims=True) - ccd.detector.per_segment(ccd.truth.bias_level)
    # The levels drift together from exposure to exposure.
    np.testing.assert_allclose(level, level.mean(), atol=1.0)


def test_a_dark_shows_its_hot_pixels(ccd: CcdModel) -> None:
    pixels, overscan = segments(ccd, ccd.expose("DARK", 30, 2))
    dark = (pixels - overscan.mean(axis=(1, 3), keepdims=True)).reshape(ccd.detector.shape)
    hot = ccd.truth.hot
    assert 0.0005 < hot.mean() < 0.002
    assert np.median(dark[hot]) > 100
    assert np.median(dark[~hot]) < 10


def test_a_flat_has_the_shot_noise_of_its_gain(ccd: CcdModel) -> None:
    pixels, _ = segments(ccd, ccd.expose("FLAT", 5, 3) - ccd.expose("FLAT", 5, 4))
    level = segments(ccd, ccd.expose("FLAT", 5, 3))[0] - ccd.detector.per_segment(ccd.truth.bias_level)
    gain = 2 * level.mean(axis=(1, 3)) / pixels.var(axis=(1, 3))
    assert np.median(gain / ccd.detector.per_segment(ccd.truth.gain)[:, 0, :, 0]) == pytest.approx(
        1, abs=0.05
    )


def test_a_flat_has_useful_counts_and_saturates(ccd: CcdModel) -> None:
    bias = ccd.expose("BIAS", 0, 5)
    counts = {
        time: float(np.median(segments(ccd, ccd.expose("FLAT", time, 6) - bias)[0]))
        for time in (0.1, 5, 35, 50)
    }
    assert 300 < counts[0.1] < 600
    assert 10_000 < counts[5] < 30_000
    # The longest flat of the procedure's examples is not saturated.
    assert counts[35] == pytest.approx(7 * counts[5], rel=0.01)
    assert counts[50] < 9.5 * counts[5]
    assert ccd.expose("FLAT", 1000, 7).max() <= ADC_MAX


def test_a_filter_dims_a_flat(ccd: CcdModel) -> None:
    bare, filtered = (
        ccd.expose("FLAT", 5, 8, physical_filter).astype(float).mean()
        for physical_filter in ("empty_1~empty_1", "SDSSr_65mm~empty_1")
    )
    assert filtered < 0.95 * bare


@pytest.mark.parametrize(("image_type", "exp_time"), [("OBJECT", 5), ("DARK", -1)])
def test_what_the_camera_cannot_take_is_refused(ccd: CcdModel, image_type: str, exp_time: float) -> None:
    with pytest.raises(ValueError, match=r"image_type|exp_time"):
        ccd.expose(image_type, exp_time, 9)


@pytest.mark.parametrize("detector", [LATISS.detectors[0], LSSTCAM.detectors[94], LSSTCAM.detectors[-1]])
@pytest.mark.parametrize("scale", [8, 16, 32, 64])
def test_the_level_of_a_flat_is_that_of_its_pixels_whatever_the_overscan(
    scale: int, detector: Detector
) -> None:
    # Given frames of which up to a half is overscan
    ccd = CcdModel(detector, scale=scale)
    for exp_time in (0.0, 0.01, 5.0):
        raw = Exposure(ccd.expose("FLAT", exp_time, 2026112600001), ccd.detector.to_metadata())
        butler: Any = SimpleNamespace(get=lambda *args, raw=raw, **data_id: raw)
        level = raw_level(butler, LATISS, 2026112600001, [detector.id])
        # Then the level is that of the light, the median of which is a
        # little less than at the centre.
        expected = FLAT_FLUX * exp_time / GAIN
        assert level == pytest.approx(0.97 * expected, rel=0.05, abs=15.0)


def test_a_frame_without_overscan_has_no_level() -> None:
    ccd = CcdModel(LATISS.detectors[0], scale=64)
    metadata = ccd.detector.to_metadata() | {"OVERSCAN": 0}
    raw = Exposure(np.zeros(ccd.detector.shape, np.int32), metadata)
    butler: Any = SimpleNamespace(get=lambda *args, **data_id: raw)
    with pytest.raises(ValueError, match="amplifier C00 has no overscan"):
        raw_level(butler, LATISS, 2026112600001, [0])
