# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images and products survive being written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import Box, Defects, PhotonTransferCurve


@pytest.fixture
def exposure() -> Exposure:
    detector = CcdModel(LATISS.detectors[0], scale=32).detector
    array = np.arange(np.prod(detector.shape), dtype=np.float32).reshape(detector.shape)
    return Exposure(array, detector.to_metadata() | {"EXPTIME": 5.0, "OBSNOTE": ""})


def test_an_exposure_is_reached_as_an_lsst_one(exposure: Exposure) -> None:
    assert exposure.getImage().getArray() is exposure.image.array
    assert exposure.getMetadata()["EXPTIME"] == 5.0
    assert exposure.getDetector().getName() == "RXX_S00"
    assert [amplifier.getName() for amplifier in exposure.getDetector()][:2] == ["C00", "C01"]


def test_statistics_of_an_image_with_masked_pixels_are_numbers(exposure: Exposure) -> None:
    whole = exposure.image.array.copy()
    exposure.image.array[3:5, 7] = np.nan
    seen = exposure.getImage().getArray()
    assert np.array_equal(seen, whole)
    assert np.isfinite(np.percentile(seen.flatten(), [25, 50, 75])).all()
    # The mask itself is left alone.
    assert np.isnan(exposure.image.array[3:5, 7]).all()


def test_a_fits_file_gives_the_exposure_back(exposure: Exposure, tmp_path: Path) -> None:
    exposure.write_fits(tmp_path / "image.fits")
    read = Exposure.read_fits(tmp_path / "image.fits")
    assert read.metadata == exposure.metadata
    assert read.detector == exposure.detector
    assert read.image.array.dtype == np.float32
    assert read.image.array.dtype.isnative
    assert np.array_equal(read.image.array, exposure.image.array)


def test_some_rows_of_a_fits_file_can_be_read(exposure: Exposure, tmp_path: Path) -> None:
    exposure.write_fits(tmp_path / "image.fits")
    read = Exposure.read_fits(tmp_path / "image.fits", rows=(3, 7))
    assert np.array_equal(read.image.array, exposure.image.array[3:7])


def test_defects_are_merged_to_boxes() -> None:
    mask = np.zeros((8, 6), bool)
    mask[1:4, 2:4] = True
    mask[6, 0] = True
    mask[5:8, 5] = True
    defects = Defects.from_mask(mask, detector=0)
    assert set(defects.boxes) == {Box(2, 1, 2, 3), Box(0, 6, 1, 1), Box(5, 5, 1, 3)}
    assert np.array_equal(defects.mask(mask.shape), mask)


def test_any_mask_survives_its_boxes() -> None:
    mask = np.random.default_rng(1).random((40, 30)) < 0.4
    defects = Defects.model_validate_json(Defects.from_mask(mask, 0).model_dump_json())
    assert np.array_equal(defects.mask(mask.shape), mask)
    assert sum(box.width * box.height for box in defects.boxes) == mask.sum()


def test_defects_of_several_images_are_joined() -> None:
    parts = [
        Defects(detector=0, boxes=boxes)
        for boxes in ((Box(1, 1, 2, 2),), (Box(2, 1, 2, 2), Box(9, 9, 1, 1)), ())
    ]
    assert set(Defects.merge(parts).boxes) == {Box(1, 1, 3, 2), Box(9, 9, 1, 1)}
    assert Defects.merge(parts[2:]) == parts[2]


def test_a_gain_that_could_not_be_measured_survives_json() -> None:
    curve = PhotonTransferCurve(ptcFitType="FLATPAIR", gain={"C00": float("nan"), "C01": 1.25})
    read = PhotonTransferCurve.model_validate_json(curve.model_dump_json())
    assert np.isnan(read.gain["C00"])
    assert read.gain["C01"] == 1.25
