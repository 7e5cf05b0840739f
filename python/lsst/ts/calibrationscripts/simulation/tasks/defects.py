# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects from darks and flats."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct

from ..exposure import Detector
from ..products import Defects
from .statistics import combine_rows, mean_without_farthest

__all__ = ["FindDefectsConfig", "FindDefectsTask", "dead_pixels", "hot_pixels"]


class FindDefectsConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """Corrected darks and flats of a detector, and its defects."""

    inputExps = cT.Input(
        name="cpDefectsProc",
        doc="Darks and flats without bias; what they are is in their headers.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    outputDefects = cT.Output(
        name="defects",
        doc="Hot and dead pixels.",
        storageClass="CcdDefects",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )


class FindDefectsConfig(  # type: ignore[call-arg]
    PipelineTaskConfig, pipelineConnections=FindDefectsConnections
):
    """Which pixels are defects."""

    nSigmaHot = Field[float](
        doc="Excess of a hot pixel over its amplifier's median dark rate, in standard deviations.",
        default=5.0,
    )
    minHot = Field[float](doc="Least excess of a hot pixel (ADU/s), however low the noise.", default=1.0)
    maxDead = Field[float](
        doc="Response of a dead pixel, at most, relative to its amplifier's median.", default=0.5
    )

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class FindDefectsTask(PipelineTask):
    """Find pixels that are hot in darks or dead in flats.

    The darks are averaged with the squares of their times as weights, the
    flats with their means, each without a pixel's farthest value. A pixel
    that is masked already stays a defect.
    """

    ConfigClass = FindDefectsConfig
    _DefaultName = "cpDefects"

    def run(self, inputExps: list[DeferredDatasetHandle]) -> Struct:
        """Find the defects.

        Parameters
        ----------
        inputExps : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            Darks, flats or both; read in blocks of rows.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputDefects`` (`Defects`): hot and dead pixels, merged.

        Raises
        ------
        ValueError
            If there is neither a dark that lasted nor a flat.
        """
        darks: list[tuple[DeferredDatasetHandle, float]] = []
        flats: list[tuple[DeferredDatasetHandle, float]] = []
        header: dict[str, Any] = {}
        for handle in inputExps:
            header = handle.get(parameters={"rows": (0, 1)}).metadata
            if header["IMGTYPE"] == "DARK" and header["DARKTIME"] > 0:
                darks.append((handle, header["DARKTIME"]))
            elif header["IMGTYPE"] == "FLAT" and header["ISRMEAN"] > 0:
                flats.append((handle, header["ISRMEAN"]))
        if not darks and not flats:
            raise ValueError("Defects need darks or flats, and there are none.")

        detector = Detector.from_metadata(header)
        mask = np.zeros(detector.shape, bool)
        if darks:
            rate = _average(darks, detector, power=2)
            mask |= hot_pixels(rate, detector, self.config.nSigmaHot, self.config.minHot)
        n_hot = int(mask.sum())
        if flats:
            mask |= dead_pixels(_average(flats, detector, power=1), detector, self.config.maxDead)
        defects = Defects.from_mask(mask, detector.id)
        self.log.info(
            "Found %d hot pixels in %d darks and %d dead ones in %d flats: %d boxes.",
            n_hot,
            len(darks),
            int(mask.sum()) - n_hot,
            len(flats),
            len(defects),
        )
        return Struct(outputDefects=defects)


def hot_pixels(array: np.ndarray, detector: Detector, n_sigma: float, least: float) -> np.ndarray:
    """Find pixels that lie above the others of their amplifier.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        An averaged image, such as a dark; NaN counts as hot.
    detector : `Detector`
        Its geometry.
    n_sigma : `float`
        Least excess over the amplifier's median, in standard deviations.
    least : `float`
        Least excess in the image's unit, however low the noise.

    Returns
    -------
    mask : `numpy.ndarray`, (ny, nx)
        True where a pixel is hot.
    """
    mask = np.zeros(detector.shape, bool)
    for amplifier in detector:
        pixels = array[amplifier.section]
        median = np.nanmedian(pixels)
        # 1.4826 turns the median deviation of a Gaussian into sigma.
        sigma = 1.4826 * np.nanmedian(np.abs(pixels - median))
        mask[amplifier.section] = ~(pixels <= median + max(n_sigma * sigma, least))
    return mask


def dead_pixels(array: np.ndarray, detector: Detector, largest: float) -> np.ndarray:
    """Find pixels that see too little of the light.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        An averaged flat; NaN counts as dead.
    detector : `Detector`
        Its geometry.
    largest : `float`
        Response of a dead pixel, at most, relative to its amplifier's
        median.

    Returns
    -------
    mask : `numpy.ndarray`, (ny, nx)
        True where a pixel is dead.
    """
    mask = np.zeros(detector.shape, bool)
    for amplifier in detector:
        pixels = array[amplifier.section]
        mask[amplifier.section] = ~(pixels >= largest * np.nanmedian(pixels))
    return mask


def _average(scaled: list[tuple[DeferredDatasetHandle, float]], detector: Detector, power: int) -> np.ndarray:
    """Average images divided by their scales, weighted with a power of it."""
    scales = np.array([scale for _, scale in scaled])

    def read(number: int, rows: tuple[int, int]) -> np.ndarray:
        array: np.ndarray = scaled[number][0].get(parameters={"rows": rows}).image.array
        return array

    def combine(stack: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
        return mean_without_farthest(stack, scales, scales**power)

    return combine_rows(read, len(scaled), detector.shape, combine)
