# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""FITS files with one image, read and written piece by piece.

A frame of full size has 73 MB. To ask the kernel for so much memory takes
several times as long as to read it, so pieces that fit into a cache of the
processor are read into memory that is used again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["PIECE_BYTES", "StoredPixels", "open_fits", "pieces", "write_fits"]

PIECE_BYTES = 256 * 2**10
"""Size of the pieces of an image: half of a core's cache (byte)."""

_TYPES: dict[int, np.dtype[Any]] = {32: np.dtype(">i4"), -32: np.dtype(">f4"), -64: np.dtype(">f8")}
"""Types of pixels by BITPIX."""

_BLOCK = 2880
"""Header and image are filled up to so many bytes."""


def pieces(
    n_rows: int, row_bytes: int, first: int = 0, piece_bytes: int | None = None
) -> list[tuple[int, int]]:
    """Divide rows of an image into pieces.

    Parameters
    ----------
    n_rows : `int`
        Number of rows.
    row_bytes : `int`
        Size of a row.
    first : `int`, optional
        Number of the first one.
    piece_bytes : `int`, optional
        Largest size of a piece, if that is a row or more; by default
        `PIECE_BYTES`.

    Returns
    -------
    rows : `list` [`tuple` [`int`, `int`]]
        The first row of each piece, and the one after its last.
    """
    step = max(1, (piece_bytes or PIECE_BYTES) // max(1, row_bytes))
    return [(row, min(row + step, first + n_rows)) for row in range(first, first + n_rows, step)]


class StoredPixels:
    """The pixels of a FITS file, which stay there until they are read.

    Parameters
    ----------
    path : `str` or `~pathlib.Path`
        The file. It must remain as long as this object is used.
    offset : `int`
        Where the pixels begin (byte).
    shape : `tuple` [`int`, `int`]
        Rows and columns.
    stored : `numpy.dtype`
        Type of the pixels in the file.
    """

    def __init__(self, path: str | Path, offset: int, shape: tuple[int, int], stored: np.dtype[Any]) -> None:
        self.path = path
        self.shape = shape
        self.dtype = stored.newbyteorder("=")
        self._offset = offset
        self._row_bytes = shape[1] * stored.itemsize
        self._swapped = not stored.isnative

    def read(self, first: int, last: int, into: np.ndarray | None = None) -> np.ndarray:
        """Read some rows.

        Parameters
        ----------
        first, last : `int`
            First row, and the one after the last.
        into : `numpy.ndarray`, optional
            Contiguous memory for them, of the type `dtype`; by default it
            is allocated.

        Returns
        -------
        pixels : `numpy.ndarray`, (last - first, nx)
            In the machine's byte order.

        Raises
        ------
        OSError
            If the file cannot be read, or ends before these rows do.
        """
        pixels = np.empty((last - first, self.shape[1]), self.dtype) if into is None else into
        if not pixels.size:
            return pixels
        memory = pixels.data.cast("B")
        position = self._offset + first * self._row_bytes
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            while memory:
                n_read = os.preadv(descriptor, [memory], position)
                if not n_read:
                    raise OSError(f"{self.path} ends before row {last} of {self.shape[0]}.")
                memory, position = memory[n_read:], position + n_read
        finally:
            os.close(descriptor)
        if self._swapped:
            pixels.byteswap(inplace=True)
        return pixels

    def read_all(self) -> np.ndarray:
        """Read all rows; see `read`."""
        return self.read(0, self.shape[0])


def open_fits(path: str | Path) -> tuple[StoredPixels, Header]:
    """Read the header of a FITS file whose image is in its primary HDU.

    Parameters
    ----------
    path : `str` or `~pathlib.Path`
        The file.

    Returns
    -------
    pixels : `StoredPixels`
        Its image.
    header : `astropy.io.fits.Header`
        Its keywords.

    Raises
    ------
    OSError
        If it cannot be read, or is not such a file.
    """
    from astropy.io import fits

    with Path(path).open("rb") as file:
        header = fits.Header.fromfile(file)
        offset, size = file.tell(), os.fstat(file.fileno()).st_size
    if header.get("NAXIS") != 2 or header.get("BITPIX") not in _TYPES:
        raise OSError(f"{path} has no image of integers of 32 bits or of numbers in its primary HDU.")
    stored = _TYPES[header["BITPIX"]]
    shape = (header["NAXIS2"], header["NAXIS1"])
    if size < offset + shape[0] * shape[1] * stored.itemsize:
        raise OSError(f"{path} ends before its image of {shape[1]} by {shape[0]} pixels does.")
    return StoredPixels(path, offset, shape, stored), header


def write_fits(path: str | Path, array: np.ndarray, metadata: Mapping[str, Any]) -> None:
    """Write a FITS file with an image in its primary HDU.

    Parameters
    ----------
    path : `str` or `~pathlib.Path`
        The file to make.
    array : `numpy.ndarray`, (ny, nx)
        The image: int32, float32 or float64; at least one row.
    metadata : `~collections.abc.Mapping` [`str`, `typing.Any`]
        Keywords beside those that describe the image.

    Raises
    ------
    OSError
        If it cannot be written, or exists.
    """
    from astropy.io import fits

    header = fits.PrimaryHDU(array, fits.Header(metadata)).header
    stored = _TYPES[header["BITPIX"]]
    with Path(path).open("xb", buffering=0) as file:
        _write(file.fileno(), header.tostring().encode("ascii"))
        parts = pieces(array.shape[0], array.shape[1] * stored.itemsize)
        scratch: np.ndarray = np.empty((parts[0][1], array.shape[1]), stored.newbyteorder("="))
        for first, last in parts:
            piece = scratch[: last - first]
            np.copyto(piece, array[first:last])
            if not stored.isnative:
                piece.byteswap(inplace=True)
            _write(file.fileno(), piece.data.cast("B"))
        _write(file.fileno(), bytes(-array.size * stored.itemsize % _BLOCK))


def _write(descriptor: int, data: bytes | memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
