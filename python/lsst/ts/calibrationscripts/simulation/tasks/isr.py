# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instrument signature removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.pex.config import Field, FieldValidationError, ListField
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Detector, Exposure, Image
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
        array, levels, noises = trim(ccdExposure.image, detector)
        corrections = Corrections(
            levels=levels.astype(np.float32),
            bias=None if bias is None else bias.image,
            dark=None if dark is None else dark.image,
            dark_time=0.0 if dark is None else float(ccdExposure.metadata["DARKTIME"]),
            flat=None if flat is None else flat.image,
        )
        if defects is not None and self.config.doDefect:
            array[defects.pixels(detector.shape)] = np.nan
        mean = corrections.apply(array, detector)

        metadata: dict[str, Any] = ccdExposure.metadata | {"OVERSCAN": 0, "BUNIT": "adu"}
        for amplifier in detector:
            metadata[f"OSLV{amplifier.name}"] = float(levels[amplifier.index])
            metadata[f"OSNS{amplifier.name}"] = float(noises[amplifier.index])
        metadata["ISRMEAN"] = mean
        return Struct(outputExposure=Exposure(array, metadata))


def trim(raw: Image, detector: Detector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the overscan off, and measure it.

    Parameters
    ----------
    raw : `Image`
        Raw image (ADU), read piece by piece.
    detector : `Detector`
        Its geometry.

    Returns
    -------
    array : `numpy.ndarray`, (ny, nx)
        float32 image without the overscan (ADU).
    levels, noises : `numpy.ndarray`, (rows, columns)
        Mean and standard deviation of each amplifier's overscan (ADU).
    """
    array, columns = np.empty(detector.shape, np.float32), detector.grid[1]

    sums, squares = np.zeros((2, *detector.grid))
    for first, last in detector.pieces(4 * raw.shape[1]):
        segments = raw.rows(first, last).reshape(last - first, columns, -1)
        array[first:last].reshape(-1, columns, detector.amp_width)[:] = segments[..., : detector.amp_width]
        # Sums of integers have no rounding errors, in whatever pieces.
        overscan = segments[..., detector.amp_width :].astype(np.int64)
        sums[first // detector.amp_height] += overscan.sum(axis=(0, 2))
        squares[first // detector.amp_height] += np.einsum("ijk,ijk->j", overscan, overscan)
    n = detector.amp_height * detector.overscan
    return array, sums / n, np.sqrt(np.maximum(squares - sums**2 / n, 0) / n)


@dataclass(frozen=True)
class Corrections:
    """What is applied to a trimmed image.

    Parameters
    ----------
    levels : `numpy.ndarray`, (rows, columns)
        float32: level of each amplifier (ADU), subtracted first.
    bias : `Image` or `None`
        Subtracted next (ADU).
    dark : `Image` or `None`
        Subtracted next (ADU/s), times
    dark_time : `float`
        the dark time (s).
    flat : `Image` or `None`
        Divided by in the end.
    """

    levels: np.ndarray
    bias: Image | None
    dark: Image | None
    dark_time: float
    flat: Image | None

    def apply(self, array: np.ndarray, detector: Detector) -> float:
        """Correct an image in place; return its mean, without NaN (ADU)."""
        columns = detector.grid[1]
        n, total = 0, 0.0
        for rows in detector.pieces(4 * array.shape[1]):
            pixels = array[slice(*rows)]
            scratch = np.empty_like(pixels)
            by_segment = pixels.reshape(len(pixels), columns, -1)
            by_segment -= self.levels[rows[0] // detector.amp_height][:, None]
            if self.bias is not None:
                pixels -= self.bias.rows(*rows, scratch)
            if self.dark is not None:
                pixels -= np.multiply(self.dark.rows(*rows, scratch), np.float32(self.dark_time), out=scratch)
            if self.flat is not None:
                response = self.flat.rows(*rows, scratch)
                pixels /= np.where(response > MIN_RESPONSE, response, np.float32(np.nan))
            np.copyto(scratch, pixels)
            masked = np.flatnonzero(np.isnan(scratch))
            scratch.flat[masked] = 0
            n += pixels.size - len(masked)
            total += float(scratch.sum())
        return total / n if n else np.nan
