# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, made small for a page."""

from __future__ import annotations

__all__ = ["THUMBNAIL_WIDTH", "as_png", "make_thumbnail", "shrink", "stretch"]

import base64
import io
from typing import TYPE_CHECKING

from ..products import Subject
from ..report import Thumbnail

if TYPE_CHECKING:
    import numpy as np

THUMBNAIL_WIDTH = 256
"""Largest width of a thumbnail (pixel)."""


def shrink(array: np.ndarray, width: int) -> np.ndarray:
    """Make an image small enough to be looked at as a whole.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        The image; NaN where it is masked.
    width : `int`
        Largest width of the result (pixel).

    Returns
    -------
    small : `numpy.ndarray`
        Means of square blocks; NaN where a block is masked as a whole.
    """
    import warnings

    import numpy as np

    # What has only a few rows keeps them.
    factor = max(1, min(-(-array.shape[1] // width), *array.shape))
    height, n_columns = (size // factor for size in array.shape)
    blocks = array[: height * factor, : n_columns * factor].reshape(height, factor, n_columns, factor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(blocks, axis=(1, 3), dtype=np.float64))


def stretch(small: np.ndarray) -> tuple[float, float]:
    """Return which values to show as black and white.

    Parameters
    ----------
    small : `numpy.ndarray`, (ny, nx)
        The image.

    Returns
    -------
    low, high : `float`
        The limits of the zscale algorithm (that of IRAF, in
        astropy.visualization).
    """
    import numpy as np
    from astropy.visualization import ZScaleInterval

    low, high = ZScaleInterval().get_limits(small[np.isfinite(small)])
    return float(low), float(high)


def as_png(small: np.ndarray, low: float, high: float) -> bytes:
    """Return an image in grey as PNG.

    Parameters
    ----------
    small : `numpy.ndarray`, (ny, nx)
        The image.
    low, high : `float`
        Values that are black and white.

    Returns
    -------
    png : `bytes`
    """
    import numpy as np
    from PIL import Image

    scaled = np.nan_to_num((small - low) / max(high - low, float(np.finfo(np.float32).tiny))).clip(0, 1)
    stream = io.BytesIO()
    # The first row of a CCD frame is at the bottom.
    Image.fromarray((255 * scaled[::-1]).astype(np.uint8)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def make_thumbnail(
    small: np.ndarray, subject: Subject, dataset_type: str, detector: str, collection: str, *, reference: bool
) -> Thumbnail:
    """Stretch a small image as is usual for CCD frames.

    Parameters
    ----------
    small : `numpy.ndarray`, (ny, nx)
        The image; NaN where it is masked.
    subject, dataset_type, detector, collection, reference
        As of `Thumbnail`.

    Returns
    -------
    thumbnail : `Thumbnail`
    """
    low, high = stretch(small)
    png = base64.b64encode(as_png(small, low, high)).decode("ascii")
    height, width = small.shape
    return Thumbnail(subject, dataset_type, detector, collection, reference, png, width, height, low, high)
