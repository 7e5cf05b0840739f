# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the simulated Butler repository stores images and statistics."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from lsst.daf.butler import FormatterV2
from lsst.daf.butler.formatters.json import JsonFormatter
from lsst.daf.butler.formatters.yaml import YamlFormatter
from lsst.resources import ResourcePath

from .exposure import Exposure
from .products import Defects

__all__ = ["DefectsFormatter", "ExposureFormatter", "StatisticsFormatter"]


class ExposureFormatter(FormatterV2):
    """FITS files with an image and its keywords.

    Notes
    -----
    The pixels are read from the disk when they are asked for, and only
    those. With the read parameter ``rows``, a pair (first, one after the
    last), these rows are read at once, and are the image.
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


class DefectsFormatter(JsonFormatter):
    """The Butler's JSON files, each of which a process reads once.

    A job applies the same 25,000 defects to each of its frames.
    """

    def read_from_uri(self, uri: ResourcePath, component: str | None = None, expected_size: int = -1) -> Any:
        """Read `Defects`; see `lsst.daf.butler.FormatterV2`."""
        if not uri.isLocal:
            return super().read_from_uri(uri, component, expected_size)
        return _read_defects(uri.ospath, Path(uri.ospath).stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read_defects(path: str, changed: int) -> Defects:
    """Read defects, which nothing can change once they are read."""
    return Defects.model_validate_json(Path(path).read_bytes())


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
