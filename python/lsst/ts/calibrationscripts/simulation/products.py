# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration products that are not images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

__all__ = ["Box", "Defect", "Defects", "PhotonTransferCurve"]


class Box(NamedTuple):
    """A rectangle of pixels in an image.

    Parameters
    ----------
    x, y : `int`
        Its lower left pixel, counted from 0.
    width, height : `int`
        Its size (pixel).
    """

    x: int
    y: int
    width: int
    height: int

    def getBeginX(self) -> int:
        """Return the first column, as an LSST box does."""
        return self.x

    def getBeginY(self) -> int:
        """Return the first row."""
        return self.y

    def getWidth(self) -> int:
        """Return the number of columns."""
        return self.width

    def getHeight(self) -> int:
        """Return the number of rows."""
        return self.height


class Defect(NamedTuple):
    """One of the defects, with the methods of an LSST defect."""

    box: Box

    def getBBox(self) -> Box:
        """Return its pixels."""
        return self.box


class Defects(BaseModel):
    """Pixels that are not to be used.

    Parameters
    ----------
    detector : `int`
        Detector id.
    boxes : `tuple` [`Box`]
        The pixels, as rectangles that do not overlap.
    """

    model_config = ConfigDict(frozen=True)

    detector: int
    boxes: tuple[Box, ...]

    @classmethod
    def from_mask(cls, mask: np.ndarray, detector: int) -> Defects:
        """Merge masked pixels to boxes.

        Parameters
        ----------
        mask : `numpy.ndarray`, (ny, nx)
            True where a pixel is bad.
        detector : `int`
            Detector id.

        Returns
        -------
        defects : `Defects`
            Runs along the columns, joined with equal runs beside them.
        """
        edges = np.diff(np.pad(mask.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        columns, starts = np.nonzero(edges == 1)
        stops = np.nonzero(edges == -1)[1]
        boxes: list[Box] = []
        growing: dict[tuple[int, int], int] = {}
        for x, start, stop in zip(columns.tolist(), starts.tolist(), stops.tolist(), strict=True):
            known = growing.get((start, stop))
            if known is not None and boxes[known].x + boxes[known].width == x:
                boxes[known] = boxes[known]._replace(width=boxes[known].width + 1)
            else:
                growing[start, stop] = len(boxes)
                boxes.append(Box(x, start, 1, stop - start))
        return cls(detector=detector, boxes=tuple(boxes))

    @classmethod
    def merge(cls, parts: Iterable[Defects]) -> Defects:
        """Merge the defects that several images of a detector show.

        Parameters
        ----------
        parts : `~collections.abc.Iterable` [`Defects`]
            At least one; all of the same detector.

        Returns
        -------
        defects : `Defects`
            Every pixel that is a defect in one of them.
        """
        parts = list(parts)
        boxes = [box for part in parts for box in part.boxes]
        shape = (
            max((b.y + b.height for b in boxes), default=0),
            max((b.x + b.width for b in boxes), default=0),
        )
        mask = np.zeros(shape, bool)
        for part in parts:
            mask |= part.mask(shape)
        return cls.from_mask(mask, parts[0].detector)

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the defects as a mask.

        Parameters
        ----------
        shape : `tuple` [`int`, `int`]
            Rows and columns of the image.

        Returns
        -------
        mask : `numpy.ndarray`, (ny, nx)
            True where a pixel is bad.
        """
        mask = np.zeros(shape, bool)
        mask[self.pixels(shape)] = True
        return mask

    def pixels(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the defects pixel by pixel.

        Parameters
        ----------
        shape : `tuple` [`int`, `int`]
            Rows and columns of the image. Pixels outside are left out.

        Returns
        -------
        y, x : `numpy.ndarray`, (n,)
            Row and column of each pixel.
        """
        y, x = self._pixels
        inside = (y < shape[0]) & (x < shape[1])
        return y[inside], x[inside]

    @cached_property
    def _pixels(self) -> tuple[np.ndarray, np.ndarray]:
        boxes = np.fromiter(chain.from_iterable(self.boxes), np.intp, 4 * len(self.boxes))
        x, y, width, height = boxes.reshape(-1, 4).T
        sizes = width * height
        box = np.repeat(np.arange(len(sizes)), sizes)
        number = np.arange(len(box)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return y[box] + number // width[box], x[box] + number % width[box]

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Defect]:  # type: ignore[override]
        return map(Defect, self.boxes)


class PhotonTransferCurve(BaseModel):
    """Mean and variance of flat pairs, and the results from them.

    The dictionaries have the amplifiers' names as keys. There is one dataset
    for each exposure, with the results of one pair. It is empty for an
    exposure that is not the first of a pair. The fitted curve has all pairs.

    Parameters
    ----------
    ptcFitType : `str`
        "FLATPAIR" for the values of one pair, "DUMMY" for an exposure
        without a pair, otherwise the name of the fitted model.
    gain : `dict` [`str`, `float`]
        Gain (electron/ADU).
    gainErr : `dict` [`str`, `float`]
        Its standard error (electron/ADU).
    noise : `dict` [`str`, `float`]
        Read noise (electron): of a pair, from the overscan.
    inputExpIdPairs : `dict` [`str`, `list`]
        Exposure ids of each pair.
    rawExpTimes : `dict` [`str`, `list`]
        Exposure time of each pair (s).
    rawMeans : `dict` [`str`, `list`]
        Mean signal of each pair (ADU).
    rawVars : `dict` [`str`, `list`]
        Variance of each pair's signal, half that of the difference (ADU^2).
    noiseList : `dict` [`str`, `list`]
        Read noise of each pair (electron).
    expIdMask : `dict` [`str`, `list`]
        Whether the fit used the pair.
    gainUnadjusted : `dict` [`str`, `float`]
        Gain of the fit (electron/ADU), whatever the gain was adjusted to.
    ptcFitPars : `dict` [`str`, `list`]
        Parameters of the fitted model; for "POLYNOMIAL", the coefficients of
        variance over mean (ADU), the constant first.
    finalMeans : `dict` [`str`, `list`]
        Mean signal of each pair that the fit used (ADU), else NaN.
    finalVars : `dict` [`str`, `list`]
        Its variance (ADU^2), likewise.
    finalModelVars : `dict` [`str`, `list`]
        What the fitted model says of its variance (ADU^2), likewise.
    ptcTurnoff : `dict` [`str`, `float`]
        Largest mean signal of a pair before the variance decreases with
        the signal (ADU). If no pair is brighter, it is a lower limit.
    a00 : `dict` [`str`, `float`]
        Non-linearity: relative change of the variance with the signal
        (1/electron).
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    ptcFitType: str
    gain: dict[str, float] = {}
    gainErr: dict[str, float] = {}
    noise: dict[str, float] = {}
    inputExpIdPairs: dict[str, list[tuple[int, int]]] = {}
    rawExpTimes: dict[str, list[float]] = {}
    rawMeans: dict[str, list[float]] = {}
    rawVars: dict[str, list[float]] = {}
    noiseList: dict[str, list[float]] = {}
    expIdMask: dict[str, list[bool]] = {}
    gainUnadjusted: dict[str, float] = {}
    ptcFitPars: dict[str, list[float]] = {}
    finalMeans: dict[str, list[float]] = {}
    finalVars: dict[str, list[float]] = {}
    finalModelVars: dict[str, list[float]] = {}
    ptcTurnoff: dict[str, float] = {}
    a00: dict[str, float] = {}
