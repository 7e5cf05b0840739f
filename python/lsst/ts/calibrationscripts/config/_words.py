# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that several notices have."""

from __future__ import annotations

__all__ = ["no_effect"]

from collections.abc import Sequence


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
