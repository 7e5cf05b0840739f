# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instrument signature removal."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.pex.config import Field, FieldValidationError, ListField
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Exposure
from ..products import Defects
from .base import FILTER, FRAME, TaskConfig, calibration, frame

__all__ = ["IsrConfig", "IsrTask"]

MIN_RESPONSE = 0.01
"""A pixel with a smaller flat is masked, not corrected."""


class IsrConnections(PipelineTaskConnections, dimensions=FRAME):  # type: ignore[call-arg]
    """A raw image, the calibrations that its correction needs, the result."""

    ccdExposure = frame("raw", "Raw image.")
    bias = calibration("bias", "Combined bias.")
    dark = calibration("dark", "Combined dark, of one second.")
    flat = calibration("flat", "Combined flat, with a mean of one.", dimensions=FILTER)
    defects = calibration("defects", "Pixels that are not to be used.", "CcdDefects")
    crosstalk = calibration("crosstalk", "Stand-in for crosstalk coefficients.", "StructuredDataDict")
    linearizer = calibration("linearizer", "Stand-in for a linearity correction.", "StructuredDataDict")
    ptc = calibration("ptc", "Photon transfer curve.", "CcdPhotonTransferCurve")
    bfk = calibration("bfk", "Stand-in for a brighter-fatter kernel.", "StructuredDataDict")
    cti = calibration("cti", "Stand-in for deferred charge parameters.", "StructuredDataDict")
    outputExposure = cT.Output(
        name="postISRCCD", doc="Corrected image (ADU).", storageClass="CcdExposure", dimensions=FRAME
    )

    def __init__(self, *, config: IsrConfig | None = None) -> None:
        super().__init__(config=config)
        assert config is not None
        for name, wanted in (
            ("bias", config.doBias),
            ("dark", config.doDark),
            ("flat", config.doFlat),
            ("defects", config.doDefect),
        ):
            if not wanted and name not in config.lookedUp:
                delattr(self, name)
        for name in ("crosstalk", "linearizer", "ptc", "bfk", "cti"):
            if name not in config.lookedUp:
                delattr(self, name)


class IsrConfig(TaskConfig, pipelineConnections=IsrConnections):  # type: ignore[call-arg]
    """Which corrections are made."""

    doBias = Field[bool](doc="Subtract the combined bias?", default=True)
    doDark = Field[bool](doc="Subtract the combined dark?", default=True)
    doFlat = Field[bool](doc="Divide by the combined flat?", default=True)
    doDefect = Field[bool](doc="Mask the defects?", default=True)
    lookedUp = ListField[str](
        doc="Calibrations that the real pipeline looks up. They are not applied: the CCD model lacks "
        "their effects.",
        default=[],
    )
    doCrosstalk = Field[bool](doc="Must be False: the CCD model has no crosstalk.", default=False)
    doLinearize = Field[bool](doc="Must be False: the CCD model is linear.", default=False)
    doBrighterFatter = Field[bool](doc="Must be False: the CCD model's charges do not spread.", default=False)

    def validate(self) -> None:
        """Refuse corrections of effects that the simulation lacks."""
        super().validate()
        for name in ("doCrosstalk", "doLinearize", "doBrighterFatter"):
            if getattr(self, name):
                raise FieldValidationError(type(self)._fields[name], self, type(self)._fields[name].doc)


class IsrTask(PipelineTask):
    """Remove what the instrument adds to a raw image.

    Subtracts each amplifier's mean overscan, cuts the overscan off, and
    applies the calibrations that the configuration asks for. The level and
    the noise of the overscan go into the image's metadata, as ``OSLVCnn``
    and ``OSNSCnn`` (ADU), and its mean as ``ISRMEAN`` (ADU).
    """

    ConfigClass = IsrConfig
    _DefaultName = "isr"

    def run(
        self,
        ccdExposure: Exposure,
        bias: Exposure | None = None,
        dark: Exposure | None = None,
        flat: Exposure | None = None,
        defects: Defects | None = None,
        **looked_up: object,
    ) -> Struct:
        """Correct one image.

        Parameters
        ----------
        ccdExposure : `Exposure`
            Raw image (ADU).
        bias : `Exposure`, optional
            Subtracted when given (ADU).
        dark : `Exposure`, optional
            Subtracted when given, times the dark time (ADU/s).
        flat : `Exposure`, optional
            Divided by when given.
        defects : `Defects`, optional
            Set to NaN when given, if the configuration asks for that.
        **looked_up : `object`
            Calibrations that are looked up only.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputExposure`` (`Exposure`): float32 image (ADU), NaN
            where masked.
        """
        detector = ccdExposure.detector
        segments = detector.segments(ccdExposure.image.array)
        overscan = segments[..., detector.amp_width :]
        levels = overscan.mean(axis=(1, 3), keepdims=True)
        noises = overscan.std(axis=(1, 3), keepdims=True)

        pixels = np.ascontiguousarray(segments[..., : detector.amp_width], np.float32)
        pixels -= levels.astype(np.float32)
        array = pixels.reshape(detector.shape)
        if bias is not None:
            array -= bias.image.array
        if dark is not None:
            array -= dark.image.array * np.float32(ccdExposure.metadata["DARKTIME"])
        if flat is not None:
            response = flat.image.array
            array /= np.where(response > MIN_RESPONSE, response, np.float32(np.nan))
        if defects is not None and self.config.doDefect:
            array[defects.mask(detector.shape)] = np.nan

        metadata: dict[str, Any] = ccdExposure.metadata | {"OVERSCAN": 0, "BUNIT": "adu"}
        for amplifier in detector:
            row, column = amplifier.index
            metadata[f"OSLV{amplifier.name}"] = float(levels[row, 0, column, 0])
            metadata[f"OSNS{amplifier.name}"] = float(noises[row, 0, column, 0])
        metadata["ISRMEAN"] = float(np.mean(array, dtype=np.float64, where=~np.isnan(array)))
        return Struct(outputExposure=Exposure(array, metadata))
