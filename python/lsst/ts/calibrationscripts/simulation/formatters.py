# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the simulated Butler repository stores images."""

from __future__ import annotations

from typing import Any

from lsst.daf.butler import FormatterV2
from lsst.resources import ResourcePath

from .exposure import Exposure

__all__ = ["ExposureFormatter"]


class ExposureFormatter(FormatterV2):
    """FITS files with an image and its keywords.

    Notes
    -----
    The read parameter ``rows``, a pair (first, one after the last), reads
    a part of the image from the disk; so a stack of images can be combined
    without being in memory.
    """

    default_extension = ".fits"
    can_read_from_local_file = True

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        """Read an `Exposure`; see `lsst.daf.butler.FormatterV2`."""
        parameters = self.file_descriptor.parameters or {}
        return Exposure.read_fits(path, rows=parameters.get("rows"))

    def write_local_file(self, in_memory_dataset: Exposure, uri: ResourcePath) -> None:
        """Write an `Exposure`; see `lsst.daf.butler.FormatterV2`."""
        in_memory_dataset.write_fits(uri.ospath)
