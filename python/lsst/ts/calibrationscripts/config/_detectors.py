# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of detectors in a configuration."""

from __future__ import annotations

__all__ = ["parse_detectors"]

from collections.abc import Sequence

from ..instruments import Instrument, named_detectors
from ._problems import Unusable

_FEW = 6
"""So many ids are listed as they can be written."""


def parse_detectors(value: Sequence[int], instrument: Instrument) -> tuple[int, ...]:
    """Return the detectors to process.

    Parameters
    ----------
    value : `~collections.abc.Sequence` [`int`]
        Ids as they were written.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    ids : `tuple` [`int`, ...]

    Raises
    ------
    Unusable
        If one is not processed, or is named twice.
    """
    ids = tuple(int(detector) for detector in value)
    known = instrument.detector_ids()
    guiders = {guider.id: guider.name for guider in instrument.guiders}
    for unknown in (detector for detector in ids if detector not in known):
        listed = str(list(known)) if len(known) <= _FEW else f"ids of {named_detectors(known)}"
        what = f"{instrument.name} has no detector {unknown}"
        if unknown in guiders:
            what = f"{unknown} is {guiders[unknown]}, a guider, which is not processed"
        raise Unusable(what, f"write {listed}, or leave detectors out for all")
    if len(set(ids)) < len(ids):
        raise Unusable("names a detector twice", f"write {sorted(set(ids))}")
    return ids
