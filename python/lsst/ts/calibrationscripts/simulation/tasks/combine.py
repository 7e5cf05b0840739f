# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combination of exposures to a bias, a dark or a flat."""

from __future__ import annotations

from typing import Any

import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import ChoiceField, Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Exposure
from .base import DETECTOR, FILTER, TaskConfig, frames, product
from .statistics import clipped_stack_mean, combine_rows

__all__ = [
    "CombineByFilterConfig",
    "CombineByFilterConnections",
    "CombineByFilterTask",
    "CombineConfig",
    "CombineTask",
]


class CombineConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Corrected images of one detector, and what they are combined to."""

    inputExps = frames("cpProc", "Corrected images.")
    outputData = product("combined", "Combined image.")


class CombineConfig(TaskConfig, pipelineConnections=CombineConnections):  # type: ignore[call-arg]
    """How images are scaled, weighted and clipped."""

    exposureScaling = ChoiceField[str](
        doc="What each image is divided by.",
        allowed={
            "Unity": "1. All images have the same weight.",
            "DarkTime": "Its dark time. Its weight is the square of that, because of read noise.",
            "MeanStats": "Its mean, which is also its weight, because of shot noise.",
        },
        default="Unity",
    )
    sigmaClip = Field[float](doc="Rejection threshold, in standard deviations.", default=3.0)
    clipMaxIter = Field[int](doc="Clipping iterations.", default=3)
    fillValue = Field[float](doc="Value of pixels that are masked in all images.", default=0.0)


class CombineTask(PipelineTask):
    """Combine images with a clipped, weighted mean, block by block of rows."""

    ConfigClass = CombineConfig
    _DefaultName = "cpCombine"

    def run(self, inputExps: list[DeferredDatasetHandle]) -> Struct:
        """Combine images.

        Parameters
        ----------
        inputExps : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            The images. A few of their rows are in memory at one time.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputData`` (`Exposure`): the combined image.

        Raises
        ------
        ValueError
            If an image cannot be scaled, with its data id.
        """
        images: list[Exposure] = [handle.get() for handle in inputExps]
        headers = [image.metadata for image in images]
        scales = np.array([self._scale(header) for header in headers])
        for handle, scale in zip(inputExps, scales, strict=True):
            if not scale > 0:
                raise ValueError(
                    f"{handle.dataId}: cannot be divided by {self.config.exposureScaling} = {scale}."
                )
        weights = scales ** {"Unity": 0, "DarkTime": 2, "MeanStats": 1}[self.config.exposureScaling]

        def combine(stack: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
            return clipped_stack_mean(stack, scales, weights, self.config.sigmaClip, self.config.clipMaxIter)

        array = combine_rows([image.image for image in images], combine)
        array[np.isnan(array)] = self.config.fillValue
        self.log.info("Combined %d images.", len(inputExps))
        kept = ("INSTRUME", "IMGTYPE", "FILTER", "GRATING")
        metadata = Exposure(array, headers[0]).detector.to_metadata()
        metadata |= {key: headers[0][key] for key in kept if key in headers[0]} | {"NCOMBINE": len(inputExps)}
        return Struct(outputData=Exposure(array, metadata))

    def _scale(self, header: dict[str, Any]) -> float:
        keyword = {"Unity": None, "DarkTime": "DARKTIME", "MeanStats": "ISRMEAN"}[self.config.exposureScaling]
        return 1.0 if keyword is None else float(header[keyword])


class CombineByFilterConnections(CombineConnections, dimensions=FILTER):  # type: ignore[call-arg]
    """The same for each filter."""

    outputData = product("combined", "Combined image of one filter.", dimensions=FILTER)


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
    """Combine the images of each filter."""

    ConfigClass = CombineByFilterConfig
    _DefaultName = "cpCombineByFilter"
