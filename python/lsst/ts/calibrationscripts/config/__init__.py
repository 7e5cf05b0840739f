# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an observer's YAML text to a configuration, or to its problems."""

from __future__ import annotations

__all__ = [
    "DARK_COUNTS",
    "LONGEST_SOUGHT",
    "N_TRIALS",
    "PRODUCT_PARAMETERS",
    "SERIES_PARAMETERS",
    "SHORTEST_SOUGHT",
    "CalibrationConfig",
    "ConfigurationError",
    "FlatSet",
    "Problem",
    "ProductConfig",
    "Series",
    "count_amplifiers",
    "document_path",
    "is_masked",
    "load_schema",
    "masked",
    "never_fails",
    "parameters_owner",
    "parse",
    "parse_date",
    "schema_text",
]

from collections.abc import Callable, Mapping
from typing import Any

from ..instruments import Instrument
from ._camera import count_amplifiers, never_fails
from ._counts import DARK_COUNTS, LONGEST_SOUGHT, N_TRIALS, SHORTEST_SOUGHT
from ._dates import parse_date
from ._model import CalibrationConfig, ProductConfig
from ._parameters import PRODUCT_PARAMETERS, SERIES_PARAMETERS, parameters_owner
from ._problems import ConfigurationError, Problem
from ._schema import document_path, load_schema, schema_text
from ._secrets import is_masked, masked
from ._series import FlatSet, Series


def parse(
    text: str,
    instrument: Instrument,
    earlier: Callable[[str, str | None], Mapping[str, Any]] | None = None,
    find_generation: Callable[[str], tuple[str, str]] | None = None,
) -> CalibrationConfig:
    """Read and check a configuration.

    Parameters
    ----------
    text : `str`
        YAML, as an observer types it. Empty text means the defaults. A
        key ``metadata``, which the script queue adds, is ignored.
    instrument : `Instrument`
        The camera that takes the frames.
    earlier : `~collections.abc.Callable`, optional
        Takes the id that the text gives as ``resume``, and its
        ``journal_dir`` or `None`, and returns the configuration of that run,
        as from `CalibrationConfig.to_dict`. It raises `LookupError`, with a
        message for the observer and, if it is not to write another id, the
        remedy, if there is none that can be resumed. It is called if a run
        is resumed, at most once. Without it, what depends on that run is not
        checked.
    find_generation : `~collections.abc.Callable`, optional
        Finds out which pipelines there are, where the text leaves that open:
        takes the URI or label of the Butler repository, and returns the name
        of a generation and why it is this one. It is called at most once.
        Without it, the newest generation is taken.

    Returns
    -------
    config : `CalibrationConfig`
        With every default filled in and every series of exposures resolved;
        ``pipeline_generation`` is the name of one, never ``auto``.
        If a run is resumed, that run's configuration, in which what the text
        has beside the id replaces values.

    Raises
    ------
    ConfigurationError
        If anything is wrong; it lists all problems together.

    Notes
    -----
    Each side of SAL parses a text once. The side that sends it, which
    validates or plans, has no journals and leaves ``earlier`` out. The side
    that runs it, a script, gives ``earlier``, so that the look-up of the run
    needs no parse before.
    """
    # A schema is printed without this.
    from ._checks import check
    from ._text import read

    return check(read(text, instrument), instrument, earlier, find_generation)
