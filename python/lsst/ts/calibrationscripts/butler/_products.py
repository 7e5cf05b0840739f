# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs have put into the repository, and when."""

from __future__ import annotations

__all__ = ["first_written", "found_before", "product_records"]

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..proof import ProductRecord
from ._collections import datasets

if TYPE_CHECKING:
    from lsst.daf.butler import Butler


def product_records(butler: Butler, dataset_type: str, run: str) -> tuple[ProductRecord, ...]:
    """Return the datasets of a type that a job has made.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_type : `str`
        Their type.
    run : `str`
        RUN collection of the job.

    Returns
    -------
    products : `tuple` [`ProductRecord`, ...]
    """
    times = _written(butler, dataset_type, run)
    return tuple(
        ProductRecord(
            str(ref.id),
            int(ref.dataId["detector"]),
            None if ref.dataId.get("physical_filter") is None else str(ref.dataId["physical_filter"]),
            ref.run,
            times.get(str(ref.id)),
        )
        for ref in datasets(butler, dataset_type, run)
    )


def first_written(butler: Butler, dataset_types: Collection[str], run: str) -> float | None:
    """Return when a job has put the first of some datasets there.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_types : `~collections.abc.Collection` [`str`]
        Which; some need not exist.
    run : `str`
        RUN collection of the job.

    Returns
    -------
    time : `float` or `None`
        TAI, as a Unix timestamp (s); `None` if it has none of them.
    """
    found = (_written(butler, each, run, first=True) for each in dataset_types)
    return min((time for times in found for time in times.values()), default=None)


def found_before(butler: Butler, dataset_type: str, collection: str, run: str) -> tuple[str, ...]:
    """Return where a job found datasets of a type before those of a run.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_type : `str`
        The type.
    collection : `str`
        The job's output collection: a chain of its own RUN and of where it
        looked.
    run : `str`
        The RUN collection that it was to find.

    Returns
    -------
    collections : `tuple` [`str`, ...]
        Also those whose datasets are for other times or detectors.
    """
    names = butler.collections.query(collection, flatten_chains=True)[1:]
    before = list(itertools.takewhile(lambda name: name != run, names))
    found = butler.collections.query_info(before, include_summary=True) if before else ()
    with_such = {info.name for info in found if dataset_type in (info.dataset_types or ())}
    return tuple(name for name in before if name in with_such)


def _written(butler: Butler, dataset_type: str, run: str, *, first: bool = False) -> dict[str, float]:
    """Return when datasets were put there, by UUID; none if none exist.

    The process that puts a dataset takes the time, by its own clock
    (daf_butler 78e7f29: registry/datasets/byDimensions/_manager.py). What is
    transferred there after a batch job has the time of that.
    """
    from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

    try:
        known = butler.get_dataset_type(dataset_type)
        with butler.query() as query:
            rows = query.join_dataset_search(known, run).general(
                known.dimensions,
                dataset_fields={dataset_type: {"dataset_id", "ingest_date"}},
                find_first=False,
            )
            if first:
                rows = rows.order_by(f"{dataset_type}.ingest_date").limit(1)
            return {
                str(row[f"{dataset_type}.dataset_id"]): float(row[f"{dataset_type}.ingest_date"].unix_tai)
                for row in rows
            }
    except (MissingCollectionError, MissingDatasetTypeError):
        return {}
