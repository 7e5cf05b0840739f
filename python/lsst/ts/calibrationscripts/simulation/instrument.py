# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's wheels, and its records in the simulated Butler repository."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..instruments import Instrument

if TYPE_CHECKING:
    from lsst.daf.butler import Registry

__all__ = ["FILTERS", "GRATINGS", "physical_filter", "physical_filters", "register_instrument"]

FILTERS = ("empty_1", "SDSSg_65mm", "SDSSr_65mm", "SDSSi_65mm", "BG40_65mm_1")
"""What the filter wheel holds."""

GRATINGS = ("empty_1", "holo4_003", "SDSSy_65mm", "blue300lpmm_qn1")
"""What the grating wheel holds."""

_SLOTS = {"filter": FILTERS, "grating": GRATINGS}

# Broad bands, where filter and grating give one.
_BANDS = {"SDSSg_65mm": "g", "SDSSr_65mm": "r", "SDSSi_65mm": "i", "SDSSy_65mm": "y"}

_EXPOSURE_MAX = 2999123199999
"""The largest exposure id before the year 3000."""


def physical_filter(instrument: Instrument, in_beam: Mapping[str, str]) -> str:
    """Name the ``physical_filter`` of what is in the beam.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.
    in_beam : mapping of `str` to `str`
        By wheel. A wheel that is left out is at its first slot.

    Returns
    -------
    name : `str`
        The Butler's name, such as "SDSSr_65mm~empty_1".
    """
    return "~".join(in_beam.get(wheel, _SLOTS[wheel][0]) for wheel in instrument.wheels)


def physical_filters(instrument: Instrument) -> list[str]:
    """Return the name of each combination of the wheels' slots.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    names : `list` [`str`]
    """
    return ["~".join(names) for names in itertools.product(*(_SLOTS[wheel] for wheel in instrument.wheels))]


def register_instrument(registry: Registry, instrument: Instrument) -> None:
    """Insert a camera, its detectors and its filters.

    Parameters
    ----------
    registry : `lsst.daf.butler.Registry`
        Where to.
    instrument : `Instrument`
        The camera.
    """
    with registry.transaction():
        registry.syncDimensionData(
            "instrument",
            {
                "name": instrument.name,
                "detector_max": 1 + max(detector.id for detector in instrument.detectors),
                "visit_max": _EXPOSURE_MAX,
                "exposure_max": _EXPOSURE_MAX,
                "visit_system": 0,
                # No pipeline here names a class, so there is none of ours.
                "class_name": "lsst.pipe.base.Instrument",
            },
        )
        for detector in instrument.detectors:
            raft: str | None
            raft, _, sensor = detector.name.partition("_")
            if len(instrument.detectors) == 1:
                # As LATISS in obs_lsst.
                raft, sensor = None, detector.name
            registry.syncDimensionData(
                "detector",
                {
                    "instrument": instrument.name,
                    "id": detector.id,
                    "full_name": detector.name,
                    "name_in_raft": sensor,
                    "raft": raft,
                    "purpose": "SCIENCE",
                },
            )
        for name in physical_filters(instrument):
            bands = [_BANDS[element] for element in name.split("~") if element in _BANDS]
            registry.syncDimensionData(
                "physical_filter",
                {"instrument": instrument.name, "name": name, "band": bands[0] if bands else "white"},
            )
