# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects from combined images, as cp_pipe finds them today."""

from __future__ import annotations

from collections.abc import Sequence

import lsst.pipe.base.connectionTypes as cT
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Exposure
from ..products import Defects
from .base import DETECTOR, FILTER, TaskConfig, product
from .defects import dead_pixels, hot_pixels

__all__ = [
    "MeasureDeadPixelsConfig",
    "MeasureDeadPixelsTask",
    "MeasureHotPixelsConfig",
    "MeasureHotPixelsTask",
    "MergeDefectsConfig",
    "MergeDefectsTask",
]


def _combined(name: str, doc: str, dimensions: tuple[str, ...]) -> cT.Input:
    return cT.Input(name=name, doc=doc, storageClass="CcdExposure", dimensions=dimensions, isCalibration=True)


def _found(name: str, doc: str, dimensions: tuple[str, ...]) -> cT.Output:
    return cT.Output(name=name, doc=doc, storageClass="CcdDefects", dimensions=dimensions)


def _found_before(
    name: str, doc: str, dimensions: tuple[str, ...] = DETECTOR, multiple: bool = False
) -> cT.Input:
    return cT.Input(name=name, doc=doc, storageClass="CcdDefects", dimensions=dimensions, multiple=multiple)


class MeasureHotPixelsConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """A combined bias or dark, and the defects in it."""

    inputExp = _combined("darkBootstrap", "Combined image.", DETECTOR)
    outputDefects = _found("cpDefectsFromDarkBootstrap", "Hot pixels.", DETECTOR)


class MeasureHotPixelsConfig(  # type: ignore[call-arg]
    TaskConfig, pipelineConnections=MeasureHotPixelsConnections
):
    """Which pixels are hot."""

    nSigmaHot = Field[float](
        doc="Excess of a hot pixel over its amplifier's median, in standard deviations.", default=5.0
    )
    minHot = Field[float](
        doc="Smallest excess of a hot pixel at any noise: ADU of a bias, ADU/s of a dark.",
        default=1.0,
    )


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


class MeasureDeadPixelsConnections(PipelineTaskConnections, dimensions=FILTER):  # type: ignore[call-arg]
    """A combined flat, and the defects in it."""

    inputExp = _combined("flatBootstrap", "Combined flat.", FILTER)
    outputDefects = _found("cpDefectsFromFlatBootstrap", "Dead pixels.", FILTER)


class MeasureDeadPixelsConfig(  # type: ignore[call-arg]
    TaskConfig, pipelineConnections=MeasureDeadPixelsConnections
):
    """Which pixels are dead."""

    maxDead = Field[float](
        doc="Largest response of a dead pixel, relative to its amplifier's median.", default=0.5
    )


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


class MergeDefectsConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """The defects in the combined images, and those of the detector."""

    inputBiasDefects = _found_before("cpDefectsFromBiasBootstrap", "Hot pixels of the combined bias.")
    inputDarkDefects = _found_before("cpDefectsFromDarkBootstrap", "Hot pixels of the combined dark.")
    inputFlatDefects = _found_before(
        "cpDefectsFromFlatBootstrap", "Dead pixels of the combined flat of each filter.", FILTER, True
    )
    # As in cp_pipe f029a3f2, a calibration but not a prerequisite: a detector
    # without it has no quantum.
    inputManualDefects = cT.Input(
        name="cpManualDefects",
        doc="Pixels that persons have found.",
        storageClass="CcdDefects",
        dimensions=DETECTOR,
        multiple=True,
        isCalibration=True,
    )
    mergedDefects = product("defects", "Hot and dead pixels.", "CcdDefects")

    def __init__(self, *, config: MergeDefectsConfig | None = None) -> None:
        super().__init__(config=config)
        if config is not None and not config.doManualDefects:
            del self.inputManualDefects


class MergeDefectsConfig(TaskConfig, pipelineConnections=MergeDefectsConnections):  # type: ignore[call-arg]
    """Which defects are merged."""

    doManualDefects = Field[bool](doc="Merge those that persons have found?", default=False)


class MergeDefectsTask(PipelineTask):
    """Merge the defects in bias, dark and flats."""

    ConfigClass = MergeDefectsConfig
    _DefaultName = "cpMergeDefects"

    def run(
        self,
        inputBiasDefects: Defects,
        inputDarkDefects: Defects,
        inputFlatDefects: list[Defects],
        inputManualDefects: Sequence[Defects] = (),
    ) -> Struct:
        """Merge the defects.

        Parameters
        ----------
        inputBiasDefects, inputDarkDefects : `Defects`
            Hot pixels.
        inputFlatDefects : `list` [`Defects`]
            Dead pixels, for each filter.
        inputManualDefects : sequence of `Defects`, optional
            What persons have found.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``mergedDefects`` (`Defects`).
        """
        merged = Defects.merge([inputBiasDefects, inputDarkDefects, *inputFlatDefects, *inputManualDefects])
        self.log.info("Merged to %d boxes.", len(merged))
        return Struct(mergedDefects=merged)
