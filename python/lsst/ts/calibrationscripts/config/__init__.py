# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an observer's YAML text to a configuration, or to its problems."""

from __future__ import annotations

__all__ = [
    "CalibrationConfig",
    "ConfigurationError",
    "FlatSet",
    "Problem",
    "Series",
    "flat_pairs",
    "load_schema",
    "parse",
    "schema_text",
]

from collections.abc import Callable, Mapping
from typing import Any

from ._checks import check
from ._model import CalibrationConfig, FlatSet, Series, flat_pairs
from ._problems import ConfigurationError, Problem
from ._resume import find_earlier
from ._schema import load_schema, schema_text
from ._text import read


def parse(text: str, earlier: Callable[[str], Mapping[str, Any]] | None = None) -> CalibrationConfig:
    """Read and check a configuration.

    Parameters
    ----------
    text : `str`
        YAML, as an observer types it. Empty text stands for the defaults. A
        key ``metadata``, which the script queue adds, is passed over.
    earlier : `~collections.abc.Callable`, optional
        Takes the id that the text gives as ``resume`` and returns the
        configuration of that run, as from `CalibrationConfig.to_dict`; it
        raises `LookupError`, with a message for the observer, if there is
        none. Without it, what depends on that run is not checked.

    Returns
    -------
    config : `CalibrationConfig`
        With every default filled in and every series of exposures resolved.
        Where a run is carried on, that run's configuration with the text laid
        over it.

    Raises
    ------
    ConfigurationError
        If anything is wrong; it lists all problems together.
    """
    written = read(text)
    return check(written, find_earlier(written, earlier))
