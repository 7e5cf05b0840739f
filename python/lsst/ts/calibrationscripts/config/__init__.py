# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an observer's YAML text to a configuration, or to its problems."""

from __future__ import annotations

__all__ = [
    "CalibrationConfig",
    "ConfigurationError",
    "FlatSet",
    "ImageType",
    "Problem",
    "Series",
    "flat_pairs",
    "load_schema",
    "parse",
    "schema_text",
]

from ._checks import check
from ._model import CalibrationConfig, FlatSet, ImageType, Series, flat_pairs
from ._problems import ConfigurationError, Problem
from ._schema import load_schema, schema_text
from ._text import read


def parse(text: str) -> CalibrationConfig:
    """Read and check a configuration.

    Parameters
    ----------
    text : `str`
        YAML, as an observer types it. Empty text stands for the defaults. A
        key ``metadata``, which the script queue adds, is passed over.

    Returns
    -------
    config : `CalibrationConfig`
        With every default filled in and every series of exposures resolved.

    Raises
    ------
    ConfigurationError
        If anything is wrong; it lists all problems together.
    """
    return check(read(text))
