# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections and the configuration that the tasks share."""

from __future__ import annotations

__all__ = [
    "DETECTOR",
    "EXPOSURE",
    "FILTER",
    "FRAME",
    "TaskConfig",
    "calibration",
    "frame",
    "frames",
    "outcome",
    "outcomes",
    "product",
    "read_header",
]

from typing import Any

import lsst.pipe.base.connectionTypes as cT
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pipe.base import PipelineTaskConfig, PipelineTaskConnections

DETECTOR = ("instrument", "detector")
"""Dimensions of what exists once for each detector."""

FILTER = ("instrument", "physical_filter", "detector")
"""Dimensions of what exists once for each filter and detector."""

EXPOSURE = ("instrument", "exposure")
"""Dimensions of what exists once for each exposure."""

FRAME = ("instrument", "exposure", "detector")
"""Dimensions of what exists once for each detector of each exposure."""


class TaskConfig(PipelineTaskConfig, pipelineConnections=PipelineTaskConnections):  # type: ignore[call-arg]
    """A configuration whose task saves its log as a dataset.

    So do the real tasks. The last step of a workflow of bps, ``butler
    aggregate-graph``, fails without these logs (pipe_base 30.0.0).
    """

    def setDefaults(self) -> None:
        """Switch the log dataset on, whatever the default is."""
        super().setDefaults()
        self.saveLogOutput = True


def frame(name: str, doc: str) -> cT.Input:
    """Return the connection to one image of one detector."""
    return cT.Input(name=name, doc=doc, storageClass="CcdExposure", dimensions=FRAME)


def frames(name: str, doc: str) -> cT.Input:
    """Return the connection to images of one detector, read as needed."""
    return cT.Input(
        name=name, doc=doc, storageClass="CcdExposure", dimensions=FRAME, multiple=True, deferLoad=True
    )


def calibration(
    name: str, doc: str, storage_class: str = "CcdExposure", dimensions: tuple[str, ...] = DETECTOR
) -> cT.PrerequisiteInput:
    """Return the connection to a certified calibration."""
    return cT.PrerequisiteInput(
        name=name, doc=doc, storageClass=storage_class, dimensions=dimensions, isCalibration=True
    )


def product(
    name: str, doc: str, storage_class: str = "CcdExposure", dimensions: tuple[str, ...] = DETECTOR
) -> cT.Output:
    """Return the connection to a calibration that a task makes."""
    return cT.Output(
        name=name, doc=doc, storageClass=storage_class, dimensions=dimensions, isCalibration=True
    )


def outcomes(name: str, doc: str, dimensions: tuple[str, ...]) -> cT.Input:
    """Return the connection to statistics that a task merges."""
    return cT.Input(
        name=name, doc=doc, storageClass="StructuredDataDict", dimensions=dimensions, multiple=True
    )


def outcome(name: str, doc: str, dimensions: tuple[str, ...]) -> cT.Output:
    """Return the connection to statistics that a task makes."""
    return cT.Output(name=name, doc=doc, storageClass="StructuredDataDict", dimensions=dimensions)


def read_header(handle: DeferredDatasetHandle) -> dict[str, Any]:
    """Return the FITS keywords of an image, without reading its pixels.

    Parameters
    ----------
    handle : `lsst.daf.butler.DeferredDatasetHandle`
        The image.

    Returns
    -------
    header : `dict` [`str`, `typing.Any`]
    """
    header: dict[str, Any] = handle.get().metadata
    return header
