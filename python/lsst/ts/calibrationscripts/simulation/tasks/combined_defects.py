# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects from combined images, as cp_pipe finds them today."""

from __future__ import annotations

import lsst.pipe.base.connectionTypes as cT
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct

from ..exposure import Exposure
from ..products import Defects
from .defects import dead_pixels, hot_pixels

__all__ = [
    "MeasureDeadPixelsConfig",
    "MeasureDeadPixelsTask",
    "MeasureHotPixelsConfig",
    "MeasureHotPixelsTask",
    "MergeDefectsConfig",
    "MergeDefectsTask",
]


class MeasureHotPixelsConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """A combined bias or dark, and the defects that it shows."""

    inputExp = cT.Input(
        name="darkBootstrap",
        doc="Combined image.",
        storageClass="CcdExposure",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )
    outputDefects = cT.Output(
        name="cpDefectsFromDarkBootstrap",
        doc="Hot pixels.",
        storageClass="CcdDefects",
        dimensions=("instrument", "detector"),
    )


class MeasureHotPixelsConfig(  # type: ignore[call-arg]
    PipelineTaskConfig, pipelineConnections=MeasureHotPixelsConnections
):
    """Which pixels are hot."""

    nSigmaHot = Field[float](
        doc="Excess of a hot pixel over its amplifier's median, in standard deviations.", default=5.0
    )
    minHot = Field[float](
        doc="Least excess of a hot pixel, however low the noise: ADU of a bias, ADU/s of a dark.",
        default=1.0,
    )

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class MeasureHotPixelsTask(PipelineTask):
    """Find pixels that are hot in a combined bias or dark."""

    ConfigClass = MeasureHotPixelsConfig
    _DefaultName = "cpMeasureHotPixels"

    def run(self, inputExp: Exposure) -> Struct:
        """Find the hot pixels.

        Parameters
        ----------
        inputExp : `Exposure`
            Combined bias (ADU) or dark (ADU/s).

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputDefects`` (`Defects`).
        """
        detector = inputExp.detector
        mask = hot_pixels(inputExp.image.array, detector, self.config.nSigmaHot, self.config.minHot)
        self.log.info("Found %d hot pixels.", mask.sum())
        return Struct(outputDefects=Defects.from_mask(mask, detector.id))


class MeasureDeadPixelsConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "physical_filter", "detector")
):
    """A combined flat, and the defects that it shows."""

    inputExp = cT.Input(
        name="flatBootstrap",
        doc="Combined flat.",
        storageClass="CcdExposure",
        dimensions=("instrument", "physical_filter", "detector"),
        isCalibration=True,
    )
    outputDefects = cT.Output(
        name="cpDefectsFromFlatBootstrap",
        doc="Dead pixels.",
        storageClass="CcdDefects",
        dimensions=("instrument", "physical_filter", "detector"),
    )


class MeasureDeadPixelsConfig(  # type: ignore[call-arg]
    PipelineTaskConfig, pipelineConnections=MeasureDeadPixelsConnections
):
    """Which pixels are dead."""

    maxDead = Field[float](
        doc="Response of a dead pixel, at most, relative to its amplifier's median.", default=0.5
    )

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class MeasureDeadPixelsTask(PipelineTask):
    """Find pixels that are dead in a combined flat."""

    ConfigClass = MeasureDeadPixelsConfig
    _DefaultName = "cpMeasureDeadPixels"

    def run(self, inputExp: Exposure) -> Struct:
        """Find the dead pixels.

        Parameters
        ----------
        inputExp : `Exposure`
            Combined flat.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputDefects`` (`Defects`).
        """
        detector = inputExp.detector
        mask = dead_pixels(inputExp.image.array, detector, self.config.maxDead)
        self.log.info("Found %d dead pixels.", mask.sum())
        return Struct(outputDefects=Defects.from_mask(mask, detector.id))


class MergeDefectsConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """What the combined images show, and the defects of the detector."""

    inputBiasDefects = cT.Input(
        name="cpDefectsFromBiasBootstrap",
        doc="Hot pixels of the combined bias.",
        storageClass="CcdDefects",
        dimensions=("instrument", "detector"),
    )
    inputDarkDefects = cT.Input(
        name="cpDefectsFromDarkBootstrap",
        doc="Hot pixels of the combined dark.",
        storageClass="CcdDefects",
        dimensions=("instrument", "detector"),
    )
    inputFlatDefects = cT.Input(
        name="cpDefectsFromFlatBootstrap",
        doc="Dead pixels of the combined flat of each filter.",
        storageClass="CcdDefects",
        dimensions=("instrument", "physical_filter", "detector"),
        multiple=True,
    )
    mergedDefects = cT.Output(
        name="defects",
        doc="Hot and dead pixels.",
        storageClass="CcdDefects",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )


class MergeDefectsConfig(  # type: ignore[call-arg]
    PipelineTaskConfig, pipelineConnections=MergeDefectsConnections
):
    """There is nothing to choose."""

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class MergeDefectsTask(PipelineTask):
    """Join the defects that bias, dark and flats show."""

    ConfigClass = MergeDefectsConfig
    _DefaultName = "cpMergeDefects"

    def run(
        self, inputBiasDefects: Defects, inputDarkDefects: Defects, inputFlatDefects: list[Defects]
    ) -> Struct:
        """Merge the defects.

        Parameters
        ----------
        inputBiasDefects, inputDarkDefects : `Defects`
            Hot pixels.
        inputFlatDefects : `list` [`Defects`]
            Dead pixels, filter by filter.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``mergedDefects`` (`Defects`).
        """
        merged = Defects.merge([inputBiasDefects, inputDarkDefects, *inputFlatDefects])
        self.log.info("Merged to %d boxes.", len(merged))
        return Struct(mergedDefects=merged)
