# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that several notices have."""

from __future__ import annotations

__all__ = ["no_effect", "not_taken"]

from collections.abc import Sequence

from ..instruments import ImageType
from ._values import ParsedConfig


def no_effect(keys: Sequence[str], why: str) -> str:
    """Return that parameters change nothing.

    Parameters
    ----------
    keys : `~collections.abc.Sequence` [`str`]
        Their names.
    why : `str`
        The reason, without a full stop.

    Returns
    -------
    notice : `str`
        A sentence.
    """
    return f"{', '.join(keys)} {'has' if len(keys) == 1 else 'have'} no effect: {why}."


def not_taken(image_type: ImageType, parsed: ParsedConfig) -> str:
    """Return why frames are not taken, for `no_effect`.

    Parameters
    ----------
    image_type : `ImageType`
        Their type.
    parsed : `ParsedConfig`
        The configuration.

    Returns
    -------
    why : `str`
        Without a full stop.
    """
    return f"no {image_type.lower()}s are taken in script_mode {parsed.values['script_mode']}"
