# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the simulated Butler repository stores images and statistics."""

from __future__ import annotations

from typing import Any

import yaml
from lsst.daf.butler import FormatterV2
from lsst.daf.butler.formatters.yaml import YamlFormatter
from lsst.resources import ResourcePath

from .exposure import Exposure

__all__ = ["ExposureFormatter", "StatisticsFormatter"]


class ExposureFormatter(FormatterV2):
    """FITS files with an image and its keywords.

    Notes
    -----
    With the read parameter ``rows``, a pair (first, one after the last),
    only a part of the image is read from the disk. So a stack of images can
    be combined that does not fit into memory.
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


class StatisticsFormatter(YamlFormatter):
    """The Butler's YAML files, by libyaml, which is ten times as fast.

    A job reads and writes one file for each detector and exposure.
    """

    def read_from_uri(self, uri: ResourcePath, component: str | None = None, expected_size: int = -1) -> Any:
        """Read statistics; see `lsst.daf.butler.FormatterV2`."""
        return yaml.load(uri.read(), Loader=yaml.CSafeLoader)

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Write statistics; see `lsst.daf.butler.FormatterV2`."""
        text: str = yaml.dump(in_memory_dataset, Dumper=yaml.CSafeDumper)
        return text.encode()
