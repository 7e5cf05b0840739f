# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of flats of several detectors, as cp_pipe normalizes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from .base import FILTER, TaskConfig, frames, outcome, read_header
from .combine import CombineByFilterConfig, CombineByFilterConnections, CombineByFilterTask

__all__ = ["CombineNormalizedConfig", "CombineNormalizedTask", "NormalizeConfig", "NormalizeTask"]

FOCAL_PLANE = ("instrument", "physical_filter")
"""Dimensions of what exists once for all detectors."""


class NormalizeConnections(PipelineTaskConnections, dimensions=FOCAL_PLANE):  # type: ignore[call-arg]
    """Corrected flats of all detectors, and their light."""

    inputExps = frames("cpFlatIsrExp", "Corrected flats.")
    outputScales = outcome("cpFlatNormalizeScales", "Mean of each exposure.", FOCAL_PLANE)


class NormalizeConfig(TaskConfig, pipelineConnections=NormalizeConnections):  # type: ignore[call-arg]
    """No options."""


class NormalizeTask(PipelineTask):
    """Measure the light of each exposure on all detectors.

    So no detector has a flat if one of them cannot be corrected.
    """

    ConfigClass = NormalizeConfig
    _DefaultName = "cpFlatNormalize"

    def run(self, inputExps: list[DeferredDatasetHandle]) -> Struct:
        """Measure the light.

        Parameters
        ----------
        inputExps : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            The flats, of which the headers are read.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputScales`` (`dict`): ``expScale``, by exposure id (ADU).
        """
        means: dict[int, list[float]] = {}
        for handle in inputExps:
            means.setdefault(int(handle.dataId["exposure"]), []).append(read_header(handle)["ISRMEAN"])
        return Struct(outputScales={"expScale": {i: float(np.mean(found)) for i, found in means.items()}})


class CombineNormalizedConnections(CombineByFilterConnections, dimensions=FILTER):  # type: ignore[call-arg]
    """Flats of one detector and filter, and the light of the exposures."""

    inputScales = cT.Input(
        name="cpFlatNormalizeScales",
        doc="Mean of each exposure.",
        storageClass="StructuredDataDict",
        dimensions=FOCAL_PLANE,
    )


class CombineNormalizedConfig(  # type: ignore[call-arg]
    CombineByFilterConfig, pipelineConnections=CombineNormalizedConnections
):
    """As of one detector alone."""


class CombineNormalizedTask(CombineByFilterTask):
    """Combine flats of a detector, once those of all have been measured.

    The detectors of the simulated focal plane all have the same light, so
    that the mean of each itself is as good.
    """

    ConfigClass = CombineNormalizedConfig
    _DefaultName = "cpCombineNormalized"

    def run(
        self, inputExps: list[DeferredDatasetHandle], inputScales: Mapping[str, Any] | None = None
    ) -> Struct:
        """Combine flats; see the base class."""
        return super().run(inputExps)
