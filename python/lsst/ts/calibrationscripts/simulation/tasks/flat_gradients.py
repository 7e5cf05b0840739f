# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gradient of a flat across the focal plane, as cp_pipe removes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import ListField
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Exposure
from .base import DETECTOR, FILTER, TaskConfig, calibration, product

__all__ = ["ApplyGradientsConfig", "ApplyGradientsTask", "FitGradientsConfig", "FitGradientsTask"]

FOCAL_PLANE = ("instrument", "physical_filter")
"""Dimensions of what exists once for all detectors."""


class FitGradientsConnections(PipelineTaskConnections, dimensions=FOCAL_PLANE):  # type: ignore[call-arg]
    """Combined flats of one filter, the defects in them, the gradient."""

    input_flats = cT.Input(
        name="flat_uncorrected",
        doc="Combined flats.",
        storageClass="CcdExposure",
        dimensions=FILTER,
        multiple=True,
        deferLoad=True,
        isCalibration=True,
    )
    input_defects = cT.PrerequisiteInput(
        name="defects",
        doc="Pixels that are not to be used.",
        storageClass="CcdDefects",
        dimensions=DETECTOR,
        multiple=True,
        deferLoad=True,
        isCalibration=True,
    )
    output_gradient = cT.Output(
        name="flat_gradient",
        doc="Gradient across the focal plane.",
        storageClass="StructuredDataDict",
        dimensions=FOCAL_PLANE,
    )


class FitGradientsConfig(TaskConfig, pipelineConnections=FitGradientsConnections):  # type: ignore[call-arg]
    """What the flats are compared with."""

    middle = ListField[int](
        doc="Detectors of LSSTCam that are within 25 mm of the middle, in part.",
        default=[91, 93, 94, 95, 97],
    )


class FitGradientsTask(PipelineTask):
    """Measure how bright the flats are in the middle of the focal plane.

    The light of the simulated focal plane has no gradient.
    """

    ConfigClass = FitGradientsConfig
    _DefaultName = "cpFlatFitGradients"

    def run(
        self, input_flats: list[DeferredDatasetHandle], input_defects: list[DeferredDatasetHandle]
    ) -> Struct:
        """Measure the flats.

        Parameters
        ----------
        input_flats, input_defects : `list`
            Handles, some of the latter of other detectors.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``output_gradient`` (`dict`): ``normalizationFactor``.

        Raises
        ------
        ValueError
            If there is no flat of the middle. The real task has nothing left
            to fit then.
        """
        defects = {handle.dataId["detector"]: handle for handle in input_defects}
        levels = []
        for handle in input_flats:
            if handle.dataId["detector"] not in self.config.middle:
                continue
            flat: Exposure = handle.get()
            array = np.array(flat.image.array)
            array[defects[handle.dataId["detector"]].get().pixels(array.shape)] = np.nan
            levels.append(np.nanmean(array))
        if not levels:
            raise ValueError("There is no flat of the middle of the focal plane.")
        return Struct(output_gradient={"normalizationFactor": float(np.mean(levels))})


class ApplyGradientsConnections(PipelineTaskConnections, dimensions=FILTER):  # type: ignore[call-arg]
    """A combined flat, gradients of dome and sky, the flat without it."""

    input_flat = cT.Input(
        name="flat_uncorrected",
        doc="Combined flat.",
        storageClass="CcdExposure",
        dimensions=FILTER,
        isCalibration=True,
    )
    reference_gradient = calibration(
        "flat_gradient_reference", "Stand-in for the gradient of the sky.", "StructuredDataDict", FOCAL_PLANE
    )
    gradient = cT.Input(
        name="flat_gradient",
        doc="Gradient across the focal plane.",
        storageClass="StructuredDataDict",
        dimensions=FOCAL_PLANE,
    )
    output_flat = product("flat", "Combined flat without the gradient.", dimensions=FILTER)


class ApplyGradientsConfig(  # type: ignore[call-arg]
    TaskConfig, pipelineConnections=ApplyGradientsConnections
):
    """No options."""


class ApplyGradientsTask(PipelineTask):
    """Normalize a flat with the others of its filter."""

    ConfigClass = ApplyGradientsConfig
    _DefaultName = "cpFlatApplyGradients"

    def run(
        self, input_flat: Exposure, reference_gradient: Mapping[str, Any], gradient: Mapping[str, Any]
    ) -> Struct:
        """Normalize the flat.

        Parameters
        ----------
        input_flat : `Exposure`
            The flat.
        reference_gradient, gradient : `~collections.abc.Mapping`
            The gradient of the sky, which is looked up only, and that of
            the flats.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``output_flat`` (`Exposure`).
        """
        array = np.asarray(input_flat.image.array / np.float32(gradient["normalizationFactor"]), np.float32)
        return Struct(output_flat=Exposure(array, input_flat.metadata))
