# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations as a job will look them up, found or missed beforehand."""

from __future__ import annotations

__all__ = ["unavailable"]

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..instruments import same_filter
from ..ports import Lookup
from ._collections import exists

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, Timespan


class _Calibration(NamedTuple):
    """A calibration in a collection."""

    detector: int | None
    physical_filter: str | None
    collection: str
    timespan: Timespan


def unavailable(
    butler: Butler, lookups: Collection[Lookup], instrument: str, detectors: Sequence[int]
) -> Mapping[Lookup, tuple[int, ...]]:
    """Return the detectors for which look-ups will find nothing.

    There is one query for each dataset type.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    lookups : `~collections.abc.Collection` [`Lookup`]
        What jobs will look up.
    instrument : `str`
        The Butler's name of the instrument.
    detectors : `~collections.abc.Sequence` [`int`]
        Ids of the detectors that are processed.

    Returns
    -------
    missing : `~collections.abc.Mapping` [`Lookup`, `tuple` [`int`, ...]]
        Without look-ups that find a calibration for all, and without those in
        collections of which none exists.
    """
    searched = {names: _searched(butler, names) for names in {lookup.collections for lookup in lookups}}
    lookups = [lookup for lookup in lookups if searched[lookup.collections]]
    times = {time: _timespan(*time) for lookup in lookups for time in lookup.times}
    if not times:
        return {}
    hull = _timespan(min(begin for begin, _ in times), max(end for _, end in times))
    missing: dict[Lookup, tuple[int, ...]] = {}
    for dataset_type in sorted({lookup.dataset_type for lookup in lookups}):
        same_type = [lookup for lookup in lookups if lookup.dataset_type == dataset_type]
        names = {name for lookup in same_type for name in searched[lookup.collections]}
        calibrations = _find(butler, dataset_type, names, hull, {"instrument": instrument})
        for lookup in same_type:
            there = [one for one in calibrations if _fits(one, lookup, searched[lookup.collections])]
            wanted = [times[time] for time in lookup.times]
            if lacking := tuple(each for each in detectors if not _has_all(there, each, wanted)):
                missing[lookup] = lacking
    return missing


def _searched(butler: Butler, names: Sequence[str]) -> frozenset[str]:
    """Return the collections in which datasets of such collections are."""
    there = [name for name in names if exists(butler, name)]
    return frozenset(butler.collections.query(there, flatten_chains=True)) if there else frozenset()


def _find(
    butler: Butler,
    dataset_type: str,
    collections: Collection[str],
    time: Timespan,
    data_id: Mapping[str, str],
) -> list[_Calibration]:
    """Return the calibrations of a type that are valid at some time."""
    from lsst.daf.butler import MissingDatasetTypeError

    try:
        known = butler.get_dataset_type(dataset_type)
    except MissingDatasetTypeError:
        return []
    with butler.query() as query:
        query = query.join_dataset_search(known, sorted(collections)).where(data_id)
        # Those of a collection without validity ranges are always valid.
        timespan = query.expression_factory[dataset_type].timespan
        rows = query.where(timespan.overlaps(time)).general(
            known.dimensions,
            dataset_fields={dataset_type: {"collection", "timespan"}},
            find_first=False,
        )
        return [_calibration(row, dataset_type) for row in rows]


def _calibration(row: Mapping[str, Any], dataset_type: str) -> _Calibration:
    return _Calibration(
        row.get("detector"),
        row.get("physical_filter"),
        row[f"{dataset_type}.collection"],
        row[f"{dataset_type}.timespan"],
    )


def _fits(calibration: _Calibration, lookup: Lookup, collections: Collection[str]) -> bool:
    wanted, has = lookup.physical_filter, calibration.physical_filter
    return calibration.collection in collections and not (wanted and has and not same_filter(has, wanted))


def _has_all(calibrations: Sequence[_Calibration], detector: int, times: Sequence[Timespan]) -> bool:
    """Return whether there is a calibration of a detector at all times."""
    ranges = [one.timespan for one in calibrations if one.detector in (detector, None)]
    return all(any(valid.overlaps(time) for valid in ranges) for time in times)


def _timespan(begin: float, end: float) -> Timespan:
    import astropy.time
    from lsst.daf.butler import Timespan

    first, last = (astropy.time.Time(time, format="unix_tai") for time in (begin, end))
    # A bias has begun and ended at the same time.
    return Timespan(first, last) if begin < end else Timespan.fromInstant(first)
