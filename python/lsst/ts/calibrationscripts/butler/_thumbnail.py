# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, made small for a page."""

from __future__ import annotations

__all__ = ["make_thumbnail"]

import base64
import io
from typing import TYPE_CHECKING

from ..products import Subject
from ..report import Thumbnail

if TYPE_CHECKING:
    import numpy as np

_THUMBNAIL_WIDTH = 256


def make_thumbnail(
    array: np.ndarray, subject: Subject, dataset_type: str, detector: str, collection: str, *, reference: bool
) -> Thumbnail:
    """Make an image small, and stretch it as is usual for CCD frames.

    Parameters
    ----------
    array : `numpy.ndarray`, (ny, nx)
        The image; NaN where it is masked.
    subject, dataset_type, detector, collection, reference
        As of `Thumbnail`.

    Returns
    -------
    thumbnail : `Thumbnail`
        Means of square blocks, between the limits of the zscale algorithm
        (that of IRAF, in astropy.visualization).
    """
    import warnings

    import numpy as np
    from astropy.visualization import ZScaleInterval
    from PIL import Image

    factor = -(-array.shape[1] // _THUMBNAIL_WIDTH)
    height, width = (size // factor for size in array.shape)
    blocks = array[: height * factor, : width * factor].reshape(height, factor, width, factor)
    with warnings.catch_warnings():
        # Blocks that are masked as a whole stay NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        small: np.ndarray = np.asarray(np.nanmean(blocks, axis=(1, 3), dtype=np.float64))
    low, high = ZScaleInterval().get_limits(small[np.isfinite(small)])
    scaled = np.nan_to_num((small - low) / max(high - low, np.finfo(np.float32).tiny)).clip(0, 1)
    stream = io.BytesIO()
    # The first row of a CCD frame is at the bottom.
    Image.fromarray((255 * scaled[::-1]).astype(np.uint8)).save(stream, "PNG", optimize=True)
    png = base64.b64encode(stream.getvalue()).decode("ascii")
    return Thumbnail(
        subject, dataset_type, detector, collection, reference, png, width, height, float(low), float(high)
    )
