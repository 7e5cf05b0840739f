# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What collections hold of a dataset type, and for when."""

from __future__ import annotations

__all__ = ["held", "unit_of"]

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ..decertification import Unit, Valid
from ._certifying import associations

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DataCoordinate, DatasetRef


def held(
    butler: Butler,
    dataset_type: str,
    collections: Collection[str],
    wanted: Callable[[DataCoordinate], bool],
) -> dict[str, dict[Unit, list[Valid]]]:
    """Return what collections have for some data ids.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_type : `str`
        Its name.
    collections : `~collections.abc.Collection` [`str`]
        Names of collections that exist, not of chains.
    wanted : callable
        Takes a data id, returns whether it is one of them.

    Returns
    -------
    held : `dict`
        By collection and unit. What is in a RUN or TAGGED collection is valid
        at all times.
    """
    from lsst.daf.butler import Timespan

    always = Timespan(None, None)
    found: dict[str, dict[Unit, list[Valid]]] = {name: {} for name in collections}
    for each in associations(butler, dataset_type, collections, calibrations_only=False):
        if wanted(each.ref.dataId):
            begin, end = (each.timespan or always).nsec
            valid = Valid(begin, end, each.ref.run, str(each.ref.id))
            found[each.collection].setdefault(unit_of(each.ref), []).append(valid)
    return found


def unit_of(ref: DatasetRef) -> Unit:
    """Return what a calibration is for."""
    physical_filter = ref.dataId.get("physical_filter")
    return Unit(int(ref.dataId["detector"]), None if physical_filter is None else str(physical_filter))
