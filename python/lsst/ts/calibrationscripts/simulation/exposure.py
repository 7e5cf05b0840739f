# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of one detector, as the simulated pipelines pass them on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .fits_files import StoredPixels, open_fits, pieces, write_fits
from .products import Box

__all__ = ["Amplifier", "Detector", "Exposure", "Image", "Keywords"]


@dataclass(frozen=True)
class Amplifier:
    """One readout amplifier.

    Parameters
    ----------
    name : `str`
        Name, such as "C07": row 0, column 7.
    index : `tuple` [`int`, `int`]
        Row, counted from the lowest one, and column of its segment.
    rows, columns : `slice`
        Its pixels in the assembled image.
    gain : `float`
        Nominal gain (electron/ADU).
    read_noise : `float`
        Nominal read noise (electron).
    overscan : `int`
        Columns of serial overscan that follow it in a raw image.
    """

    name: str
    index: tuple[int, int]
    rows: slice
    columns: slice
    gain: float
    read_noise: float
    overscan: int

    @property
    def section(self) -> tuple[slice, slice]:
        """Index of its pixels in the assembled image."""
        return self.rows, self.columns

    def getName(self) -> str:
        """Return the amplifier's name, as an LSST amplifier does."""
        return self.name

    def getBBox(self) -> Box:
        """Return its pixels in the assembled image."""
        return Box(
            self.columns.start,
            self.rows.start,
            self.columns.stop - self.columns.start,
            self.rows.stop - self.rows.start,
        )

    def getGain(self) -> float:
        """Return the nominal gain (electron/ADU)."""
        return self.gain

    def getReadNoise(self) -> float:
        """Return the nominal read noise (electron)."""
        return self.read_noise

    def getRawDataBBox(self) -> Box:
        """Return its pixels in a raw image."""
        box = self.getBBox()
        return box._replace(x=box.x + self.index[1] * self.overscan)

    def getRawSerialOverscanBBox(self) -> Box:
        """Return its serial overscan in a raw image."""
        box = self.getRawDataBBox()
        return box._replace(x=box.x + box.width, width=self.overscan)


@dataclass(frozen=True)
class Detector:
    """Geometry and nominal properties of a CCD.

    Its amplifiers are named after row and column, such as C07. They fill a
    rectangle whose first row is the highest one. In a row, they are in the
    order of the gains: that of half a CCD begins with C17.

    Parameters
    ----------
    id : `int`
        Detector id in Butler data ids.
    name : `str`
        Raft and sensor, such as "RXX_S00".
    amp_width, amp_height : `int`
        Size of an amplifier's light-sensitive segment (pixel).
    overscan : `int`
        Serial overscan columns that follow each segment in a raw image.
    gains : `~collections.abc.Mapping` [`str`, `float`]
        Nominal gain by amplifier name (electron/ADU).
    read_noises : `~collections.abc.Mapping` [`str`, `float`]
        Nominal read noise by amplifier name (electron).

    Raises
    ------
    ValueError
        If the amplifiers do not fill a rectangle.
    """

    id: int
    name: str
    amp_width: int
    amp_height: int
    overscan: int
    gains: Mapping[str, float]
    read_noises: Mapping[str, float]

    def __post_init__(self) -> None:
        if len({tuple(sorted(name[2:] for name in row)) for row in self._rows}) > 1:
            raise ValueError(
                f"Detector {self.name}: amplifiers {', '.join(self.gains)} do not fill rows and columns, "
                "such as C00 to C07."
            )

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of amplifiers."""
        return len(self._rows), len(self._rows[0])

    @cached_property
    def _rows(self) -> list[list[str]]:
        """Names of the amplifiers, by row, the lowest one first."""
        names = sorted({name[1] for name in self.gains}, reverse=True)
        return [[name for name in self.gains if name[1] == row] for row in names]

    @cached_property
    def amplifiers(self) -> tuple[Amplifier, ...]:
        """The amplifiers, in the order of the gains."""
        amplifiers = []
        for name in self.gains:
            row = next(i for i, names in enumerate(self._rows) if name in names)
            column = self._rows[row].index(name)
            amplifiers.append(
                Amplifier(
                    name=name,
                    index=(row, column),
                    rows=slice(row * self.amp_height, (row + 1) * self.amp_height),
                    columns=slice(column * self.amp_width, (column + 1) * self.amp_width),
                    gain=self.gains[name],
                    read_noise=self.read_noises[name],
                    overscan=self.overscan,
                )
            )
        return tuple(amplifiers)

    def __iter__(self) -> Iterator[Amplifier]:
        return iter(self.amplifiers)

    def __len__(self) -> int:
        return len(self.amplifiers)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the assembled image."""
        rows, columns = self.grid
        return rows * self.amp_height, columns * self.amp_width

    def getName(self) -> str:
        """Return the detector's name, as an LSST detector does."""
        return self.name

    def per_segment(self, values: Mapping[str, float]) -> np.ndarray:
        """Arrange values by amplifier as the segments are on the CCD.

        Parameters
        ----------
        values : `~collections.abc.Mapping` [`str`, `float`]
            Value by amplifier name.

        Returns
        -------
        array : `numpy.ndarray`, (rows, 1, columns, 1)
            float32; can be broadcast with what `segments` returns.
        """
        rows, columns = self.grid
        array = np.empty((rows, 1, columns, 1), np.float32)
        for amplifier in self:
            array[amplifier.index[0], 0, amplifier.index[1], 0] = values[amplifier.name]
        return array

    def segments(self, array: np.ndarray) -> np.ndarray:
        """View an image by segment.

        Parameters
        ----------
        array : `numpy.ndarray`, (rows * amp_height, columns * n)
            An assembled or a raw image, contiguous.

        Returns
        -------
        view : `numpy.ndarray`, (rows, amp_height, columns, n)
            The same memory.
        """
        rows, columns = self.grid
        return array.reshape(rows, self.amp_height, columns, -1)

    def pieces(self, row_bytes: int) -> list[tuple[int, int]]:
        """Divide the rows into pieces, each of one row of amplifiers.

        Parameters
        ----------
        row_bytes : `int`
            Size of a row.

        Returns
        -------
        rows : `list` [`tuple` [`int`, `int`]]
            As of `lsst.ts.calibrationscripts.simulation.fits_files.pieces`.
        """
        firsts = range(0, self.shape[0], self.amp_height)
        return [rows for first in firsts for rows in pieces(self.amp_height, row_bytes, first)]

    def to_metadata(self) -> dict[str, Any]:
        """Return the geometry as FITS keywords."""
        metadata: dict[str, Any] = {
            "DETECTOR": self.id,
            "DETNAME": self.name,
            "AMPWIDTH": self.amp_width,
            "AMPHEIGH": self.amp_height,
            "OVERSCAN": self.overscan,
        }
        for name in self.gains:
            metadata[f"GAIN{name}"] = self.gains[name]
            metadata[f"RDNS{name}"] = self.read_noises[name]
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Detector:
        """Read the geometry back from FITS keywords."""
        names = [key.removeprefix("GAIN") for key in metadata if re.fullmatch(r"GAINC\d\d", key)]
        return cls(
            id=metadata["DETECTOR"],
            name=metadata["DETNAME"],
            amp_width=metadata["AMPWIDTH"],
            amp_height=metadata["AMPHEIGH"],
            overscan=metadata["OVERSCAN"],
            gains={name: metadata[f"GAIN{name}"] for name in names},
            read_noises={name: metadata[f"RDNS{name}"] for name in names},
        )


class Image:
    """Pixels, reached the way that an LSST image gives them.

    Parameters
    ----------
    pixels : `numpy.ndarray` or `StoredPixels`
        The pixels, row first. Those of a file are read once they are asked
        for.
    """

    def __init__(self, pixels: np.ndarray | StoredPixels) -> None:
        self._pixels = pixels

    @property
    def array(self) -> np.ndarray:
        """The pixels, all of them, in memory from now on."""
        if isinstance(self._pixels, StoredPixels):
            self._pixels = self._pixels.read_all()
        return self._pixels

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self._pixels.shape
        return rows, columns

    def rows(self, first: int, last: int, scratch: np.ndarray | None = None) -> np.ndarray:
        """Return some rows, without reading the others.

        Parameters
        ----------
        first, last : `int`
            First row, and the one after the last.
        scratch : `numpy.ndarray`, optional
            Contiguous memory of so many rows, or more. It is used if the
            pixels are in a file and of its type.

        Returns
        -------
        pixels : `numpy.ndarray`, (last - first, nx)
            Not to be changed: it may be the image itself.
        """
        if not isinstance(self._pixels, StoredPixels):
            return self._pixels[first:last]
        if scratch is not None and scratch.dtype == self._pixels.dtype:
            return self._pixels.read(first, last, scratch[: last - first])
        return self._pixels.read(first, last)

    def getArray(self) -> np.ndarray:
        """Return the pixels."""
        return self.array


class Keywords(Protocol):
    """What a header must do: a `dict`, or a header of astropy."""

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return names and values."""


class Exposure:
    """An image with its header: a small stand-in for the LSST class.

    Parameters
    ----------
    image : `Image`, `numpy.ndarray` or `StoredPixels`
        Raw images are int32 ADU; all others float32, where NaN marks a
        pixel that is not to be used.
    keywords : `Keywords`, optional
        FITS keywords, at most eight characters each, and their values.
    """

    def __init__(self, image: Image | np.ndarray | StoredPixels, keywords: Keywords | None = None) -> None:
        self.image = image if isinstance(image, Image) else Image(image)
        self._keywords: Keywords = {} if keywords is None else keywords

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """FITS keywords and their values.

        They are read once they are asked for: that takes longer than to read
        some rows of the image.
        """
        return {key: value for key, value in self._keywords.items() if key not in _STRUCTURE}

    @property
    def detector(self) -> Detector:
        """The detector's geometry, from the metadata."""
        return Detector.from_metadata(self.metadata)

    def getImage(self) -> Image:
        """Return the image with values in place of masked pixels.

        Returns
        -------
        image : `Image`
            The image itself. If it has NaN, a copy that is interpolated
            along the rows, as LSST's signature removal does.
        """
        array = self.image.array
        bad = np.isnan(array)
        if not bad.any() or bad.all():
            return self.image
        filled = array.copy()
        filled[bad] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), array[~bad])
        return Image(filled)

    def getMetadata(self) -> dict[str, Any]:
        """Return the FITS keywords."""
        return self.metadata

    def getDetector(self) -> Detector:
        """Return the detector's geometry."""
        return self.detector

    def write_fits(self, path: str | Path) -> None:
        """Write a FITS file with the image in its primary HDU."""
        write_fits(path, self.image.array, self.metadata)

    @classmethod
    def read_fits(cls, path: str | Path, rows: tuple[int, int] | None = None) -> Exposure:
        """Read a FITS file, or some of its rows.

        Parameters
        ----------
        path : `str` or `~pathlib.Path`
            The file.
        rows : `tuple` [`int`, `int`], optional
            First row and the one after the last, to be read now. By default
            all pixels are read once they are asked for.

        Returns
        -------
        exposure : `Exposure`
            Pixels in the machine's byte order.

        Raises
        ------
        OSError
            If the file cannot be read, or its image is not of this kind.
        """
        pixels, header = open_fits(path)
        return cls(pixels if rows is None else pixels.read(*rows), header)


# What FITS needs to describe the array; astropy writes it for each file.
_STRUCTURE = frozenset({"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "COMMENT", "HISTORY", ""})
