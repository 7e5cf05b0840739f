# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""LATISS, as the simulated Butler repository registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsst.daf.butler import DataId
from lsst.pipe.base import Instrument
from lsst.utils.introspection import get_full_type_name

from .exposure import DETECTOR_ID, DETECTOR_NAME

if TYPE_CHECKING:
    from lsst.daf.butler import FormatterV2, Registry

__all__ = ["FILTERS", "GRATINGS", "SimulatedLatiss", "physical_filter"]

FILTERS = ("empty_1", "SDSSg_65mm", "SDSSr_65mm", "SDSSi_65mm", "BG40_65mm_1")
"""What the filter wheel holds."""

GRATINGS = ("empty_1", "holo4_003", "SDSSy_65mm", "blue300lpmm_qn1")
"""What the grating wheel holds."""

# Broad bands, where filter and grating give one.
_BANDS = {"SDSSg_65mm": "g", "SDSSr_65mm": "r", "SDSSi_65mm": "i", "SDSSy_65mm": "y"}


def physical_filter(filter_name: str, grating_name: str) -> str:
    """Name the ``physical_filter`` of a filter and a grating.

    Parameters
    ----------
    filter_name, grating_name : `str`
        What is in the beam.

    Returns
    -------
    name : `str`
        The Butler's name, such as "SDSSr_65mm~empty_1".
    """
    return f"{filter_name}~{grating_name}"


class SimulatedLatiss(Instrument):
    """LATISS with one detector and every filter and grating pair."""

    @classmethod
    def getName(cls) -> str:
        """Return the name that dimension records use."""
        return "LATISS"

    def register(self, registry: Registry, *, update: bool = False) -> None:
        """Insert the instrument, its detector and its filters.

        Parameters
        ----------
        registry : `lsst.daf.butler.Registry`
            Where to.
        update : `bool`, optional
            Replace records that differ.
        """
        name = self.getName()
        with registry.transaction():
            registry.syncDimensionData(
                "instrument",
                {
                    "name": name,
                    "detector_max": 1,
                    # The largest exposure id before the year 3000.
                    "visit_max": 2999123199999,
                    "exposure_max": 2999123199999,
                    "visit_system": 0,
                    "class_name": get_full_type_name(type(self)),
                },
                update=update,
            )
            registry.syncDimensionData(
                "detector",
                {
                    "instrument": name,
                    "id": DETECTOR_ID,
                    "full_name": DETECTOR_NAME,
                    "name_in_raft": DETECTOR_NAME.partition("_")[2],
                    "raft": DETECTOR_NAME.partition("_")[0],
                    "purpose": "SCIENCE",
                },
                update=update,
            )
            for filter_name in FILTERS:
                for grating_name in GRATINGS:
                    registry.syncDimensionData(
                        "physical_filter",
                        {
                            "instrument": name,
                            "name": physical_filter(filter_name, grating_name),
                            "band": _BANDS.get(filter_name) or _BANDS.get(grating_name) or "white",
                        },
                        update=update,
                    )

    def getRawFormatter(self, dataId: DataId) -> type[FormatterV2]:
        """Return the formatter of raw images."""
        from .formatters import ExposureFormatter

        return ExposureFormatter
