# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's wheels, and its records in the simulated Butler repository."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..instruments import LSSTCAM, LSSTCOMCAM, Instrument

if TYPE_CHECKING:
    from lsst.daf.butler import Registry

__all__ = ["FILTERS", "GRATINGS", "physical_filter", "physical_filters", "register_instrument", "slots"]

FILTERS = ("empty_1", "SDSSg_65mm", "SDSSr_65mm", "SDSSi_65mm", "BG40_65mm_1")
"""What the filter wheel holds."""

GRATINGS = ("empty_1", "holo4_003", "SDSSy_65mm", "blue300lpmm_qn1")
"""What the grating wheel holds."""

_SLOTS = {"filter": FILTERS, "grating": GRATINGS}

_FILTERS_OF = {
    LSSTCOMCAM.name: ("r_03", "g_01", "i_06", "NONE"),
    LSSTCAM.name: ("r_57", "u_24", "g_6", "i_39", "z_20", "NONE"),
}
"""The filters of cameras that change them themselves, by the names that they
have there. In the Butler, NONE is none."""

# Broad bands, where filter and grating give one.
_BANDS = {"SDSSg_65mm": "g", "SDSSr_65mm": "r", "SDSSi_65mm": "i", "SDSSy_65mm": "y"}
_OF_BAND = re.compile("([ugrizy])_\\d+")

_EXPOSURE_MAX = 2999123199999
"""The largest exposure id before the year 3000."""


def slots(instrument: Instrument, wheel: str) -> tuple[str, ...]:
    """Return what a wheel holds, by slot.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.
    wheel : `str`
        One of its wheels.

    Returns
    -------
    names : `tuple` [`str`, ...]
    """
    return _FILTERS_OF.get(instrument.name, _SLOTS[wheel])


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
    names = (in_beam.get(wheel, slots(instrument, wheel)[0]) for wheel in instrument.wheels)
    return "~".join(names).replace("NONE", "none")


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
    combinations = itertools.product(*(slots(instrument, wheel) for wheel in instrument.wheels))
    return ["~".join(names).replace("NONE", "none") for names in combinations]


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
                "detector_max": 1 + max(each.id for each in (*instrument.detectors, *instrument.guiders)),
                "visit_max": _EXPOSURE_MAX,
                "exposure_max": _EXPOSURE_MAX,
                "visit_system": 0,
                # No pipeline here names a class, so there is none of ours.
                "class_name": "lsst.pipe.base.Instrument",
            },
        )
        for detector in (*instrument.detectors, *instrument.guiders):
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
                    "purpose": detector.ccd.purpose,
                },
            )
        for name in physical_filters(instrument):
            registry.syncDimensionData(
                "physical_filter",
                {"instrument": instrument.name, "name": name, "band": _band(name)},
            )


def _band(name: str) -> str:
    """Return the band of a physical filter."""
    bands = [_BANDS[element] for element in name.split("~") if element in _BANDS]
    if matched := _OF_BAND.fullmatch(name):
        bands.append(matched[1])
    return bands[0] if bands else "white"
