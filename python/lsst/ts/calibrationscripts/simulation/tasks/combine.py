# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combination of exposures to a bias, a dark or a flat."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import ChoiceField, Field
from lsst.pipe.base import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct

from ..exposure import Exposure
from .statistics import clipped_stack_mean, combine_rows

__all__ = ["CombineByFilterConfig", "CombineByFilterTask", "CombineConfig", "CombineTask"]


class CombineConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """Corrected images of one detector, and what they are combined to."""

    inputExps = cT.Input(
        name="cpProc",
        doc="Corrected images.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    outputData = cT.Output(
        name="combined",
        doc="Combined image.",
        storageClass="CcdExposure",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )


class CombineConfig(PipelineTaskConfig, pipelineConnections=CombineConnections):  # type: ignore[call-arg]
    """How images are scaled, weighted and clipped."""

    exposureScaling = ChoiceField[str](
        doc="What each image is divided by.",
        allowed={
            "Unity": "Nothing; all images weigh the same.",
            "DarkTime": "Its dark time; read noise makes it weigh as the square of that.",
            "MeanStats": "Its mean; shot noise makes it weigh as much as that.",
        },
        default="Unity",
    )
    sigmaClip = Field[float](doc="Rejection threshold, in standard deviations.", default=3.0)
    clipMaxIter = Field[int](doc="Clipping iterations.", default=3)
    fillValue = Field[float](doc="Value of pixels that no image has.", default=0.0)

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class CombineTask(PipelineTask):
    """Combine images with a clipped, weighted mean, block by block of rows."""

    ConfigClass = CombineConfig
    _DefaultName = "cpCombine"

    def run(self, inputExps: list[DeferredDatasetHandle]) -> Struct:
        """Combine images.

        Parameters
        ----------
        inputExps : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            The images; never more than two images' worth of their rows,
            or 32 MiB, are in memory together.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputData`` (`Exposure`): the combined image.

        Raises
        ------
        ValueError
            If an image cannot be scaled, with its data id.
        """
        headers = [handle.get(parameters={"rows": (0, 1)}).metadata for handle in inputExps]
        scales = np.array([self._scale(header) for header in headers])
        for handle, scale in zip(inputExps, scales, strict=True):
            if not scale > 0:
                raise ValueError(
                    f"{handle.dataId}: cannot be divided by {self.config.exposureScaling} = {scale}."
                )
        weights = scales ** {"Unity": 0, "DarkTime": 2, "MeanStats": 1}[self.config.exposureScaling]

        def read(number: int, rows: tuple[int, int]) -> np.ndarray:
            array: np.ndarray = inputExps[number].get(parameters={"rows": rows}).image.array
            return array

        def combine(stack: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
            return clipped_stack_mean(stack, scales, weights, self.config.sigmaClip, self.config.clipMaxIter)

        shape = Exposure(np.empty((0, 0)), headers[0]).detector.shape
        array = combine_rows(read, len(inputExps), shape, combine)
        array[np.isnan(array)] = self.config.fillValue
        self.log.info("Combined %d images.", len(inputExps))
        kept = ("INSTRUME", "IMGTYPE", "FILTER", "GRATING")
        metadata = Exposure(array, headers[0]).detector.to_metadata()
        metadata |= {key: headers[0][key] for key in kept} | {"NCOMBINE": len(inputExps)}
        return Struct(outputData=Exposure(array, metadata))

    def _scale(self, header: dict[str, Any]) -> float:
        keyword = {"Unity": None, "DarkTime": "DARKTIME", "MeanStats": "ISRMEAN"}[self.config.exposureScaling]
        return 1.0 if keyword is None else float(header[keyword])


class CombineByFilterConnections(  # type: ignore[call-arg]
    CombineConnections, dimensions=("instrument", "physical_filter", "detector")
):
    """The same for each filter by itself."""

    outputData = cT.Output(
        name="combined",
        doc="Combined image of one filter.",
        storageClass="CcdExposure",
        dimensions=("instrument", "physical_filter", "detector"),
        isCalibration=True,
    )


class CombineByFilterConfig(  # type: ignore[call-arg]
    CombineConfig, pipelineConnections=CombineByFilterConnections
):
    """How the images of one filter are scaled, weighted and clipped."""

    def setDefaults(self) -> None:
        """Prepare for flats."""
        super().setDefaults()
        self.exposureScaling = "MeanStats"
        self.fillValue = 1.0


class CombineByFilterTask(CombineTask):
    """Combine the images of each filter by themselves."""

    ConfigClass = CombineByFilterConfig
    _DefaultName = "cpCombineByFilter"
