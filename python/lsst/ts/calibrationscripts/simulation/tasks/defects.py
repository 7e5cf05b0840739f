# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects from darks and flats."""

from __future__ import annotations

from typing import Any

import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Detector, Exposure
from ..products import Defects
from .base import DETECTOR, TaskConfig, frames, product
from .statistics import combine_rows, mean_without_farthest

__all__ = ["FindDefectsConfig", "FindDefectsTask", "dead_pixels", "hot_pixels"]


class FindDefectsConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Corrected darks and flats of a detector, and its defects."""

    inputExps = frames("cpDefectsProc", "Darks and flats without bias. Their headers say which they are.")
    outputDefects = product("defects", "Hot and dead pixels.", "CcdDefects")


class FindDefectsConfig(TaskConfig, pipelineConnections=FindDefectsConnections):  # type: ignore[call-arg]
    """Which pixels are defects."""

    nSigmaHot = Field[float](
        doc="Excess of a hot pixel over its amplifier's median dark rate, in standard deviations.",
        default=5.0,
    )
    minHot = Field[float](doc="Smallest excess of a hot pixel (ADU/s), at any noise.", default=1.0)
    maxDead = Field[float](
        doc="Largest response of a dead pixel, relative to its amplifier's median.", default=0.5
    )


class FindDefectsTask(PipelineTask):
    """Find pixels that are hot in darks or dead in flats.

    The darks are averaged with the squares of their times as weights, the
    flats with their means. Each average leaves out a pixel's farthest value.
    A pixel that is masked already remains a defect.
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
            If there is neither a dark with a dark time nor a flat.
        """
        darks: list[tuple[Exposure, float]] = []
        flats: list[tuple[Exposure, float]] = []
        header: dict[str, Any] = {}
        for handle in inputExps:
            image: Exposure = handle.get()
            header = image.metadata
            if header["IMGTYPE"] == "DARK" and header["DARKTIME"] > 0:
                darks.append((image, header["DARKTIME"]))
            elif header["IMGTYPE"] == "FLAT" and header["ISRMEAN"] > 0:
                flats.append((image, header["ISRMEAN"]))
        if not darks and not flats:
            raise ValueError("Defects need darks or flats, and there are none.")

        detector = Detector.from_metadata(header)
        mask = np.zeros(detector.shape, bool)
        if darks:
            rate = _average(darks, power=2)
            mask |= hot_pixels(rate, detector, self.config.nSigmaHot, self.config.minHot)
        n_hot = int(mask.sum())
        if flats:
            mask |= dead_pixels(_average(flats, power=1), detector, self.config.maxDead)
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
    """Find pixels that are above the others of their amplifier.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        An averaged image, such as a dark; NaN counts as hot.
    detector : `Detector`
        Its geometry.
    n_sigma : `float`
        Smallest excess over the amplifier's median, in standard deviations.
    least : `float`
        Smallest excess in the image's unit, at any noise.

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
    """Find pixels that record too little light.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        An averaged flat; NaN counts as dead.
    detector : `Detector`
        Its geometry.
    largest : `float`
        Largest response of a dead pixel, relative to its amplifier's median.

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


def _average(scaled: list[tuple[Exposure, float]], power: int) -> np.ndarray:
    """Average images divided by their scales, whose power is the weight."""
    scales = np.array([scale for _, scale in scaled])

    def combine(stack: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
        return mean_without_farthest(stack, scales, scales**power)

    return combine_rows([image.image for image, _ in scaled], combine)
