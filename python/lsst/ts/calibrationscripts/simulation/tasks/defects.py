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

__all__ = ["FindDefectsConfig", "FindDefectsTask"]


class FindDefectsConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """Corrected darks and flats of a detector, and its defects."""

    inputExps = cT.Input(  # noqa: N815
        name="cpDefectsProc",
        doc="Darks and flats without bias; what they are is in their headers.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    outputDefects = cT.Output(  # noqa: N815
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

    nSigmaHot = Field[float](  # noqa: N815
        doc="Excess of a hot pixel over its amplifier's median dark rate, in standard deviations.",
        default=5.0,
    )
    minHot = Field[float](  # noqa: N815
        doc="Least excess of a hot pixel (ADU/s), however low the noise.", default=1.0
    )
    maxDead = Field[float](  # noqa: N815
        doc="Response of a dead pixel, at most, relative to its amplifier's median.", default=0.5
    )

    def setDefaults(self) -> None:  # noqa: N802
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

    def run(self, inputExps: list[DeferredDatasetHandle]) -> Struct:  # noqa: N803
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
            for amplifier in detector:
                pixels = rate[amplifier.section]
                median = np.nanmedian(pixels)
                # 1.4826 turns the median deviation of a Gaussian into sigma.
                sigma = 1.4826 * np.nanmedian(np.abs(pixels - median))
                excess = max(self.config.nSigmaHot * sigma, self.config.minHot)
                mask[amplifier.section] |= ~(pixels <= median + excess)
        n_hot = int(mask.sum())
        if flats:
            response = _average(flats, detector, power=1)
            for amplifier in detector:
                pixels = response[amplifier.section]
                mask[amplifier.section] |= ~(pixels >= self.config.maxDead * np.nanmedian(pixels))
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


def _average(scaled: list[tuple[DeferredDatasetHandle, float]], detector: Detector, power: int) -> np.ndarray:
    """Average images divided by their scales, weighted with a power of it."""
    scales = np.array([scale for _, scale in scaled])

    def read(number: int, rows: tuple[int, int]) -> np.ndarray:
        array: np.ndarray = scaled[number][0].get(parameters={"rows": rows}).image.array
        return array

    def combine(stack: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
        return mean_without_farthest(stack, scales, scales**power)

    return combine_rows(read, len(scaled), detector.shape, combine)
