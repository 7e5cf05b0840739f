# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections, and the datasets in them."""

from __future__ import annotations

__all__ = ["datasets", "exists", "found_for", "in_use", "run_of", "with_records"]

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef, Timespan


def exists(butler: Butler, collection: str) -> bool:
    """Return whether there is a collection of that name."""
    from lsst.daf.butler import MissingCollectionError

    try:
        butler.collections.get_info(collection)
    except MissingCollectionError:
        return False
    return True


def run_of(butler: Butler, collection: str) -> str:
    """Return the RUN collection of a job's output collection.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    collection : `str`
        A chain of what the job made and what it read, in this order; or
        the RUN collection itself.

    Returns
    -------
    run : `str`

    Raises
    ------
    lsst.daf.butler.MissingCollectionError
        If the collection does not exist.
    """
    children = butler.collections.get_info(collection).children
    return children[0] if children else collection


def datasets(butler: Butler, dataset_type: str, run: str) -> list[DatasetRef]:
    """Return the datasets of a run; none if run or type do not exist."""
    from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

    try:
        return butler.query_datasets(
            dataset_type, collections=run, find_first=False, explain=False, limit=None
        )
    except (MissingCollectionError, MissingDatasetTypeError):
        return []


def with_records(butler: Butler, dataset_type: str, run: str) -> list[DatasetRef]:
    """Return the datasets of a run, with what is known of their dimensions.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_type : `str`
        Their type.
    run : `str`
        The RUN collection.

    Returns
    -------
    refs : `list` [`lsst.daf.butler.DatasetRef`]

    Raises
    ------
    lsst.daf.butler.MissingCollectionError
        If the run does not exist.
    lsst.daf.butler.MissingDatasetTypeError
        If the type does not.
    """
    return butler.query_datasets(
        dataset_type,
        collections=run,
        find_first=False,
        with_dimension_records=True,
        explain=False,
        limit=None,
    )


def in_use(butler: Butler, ref: DatasetRef, time: Timespan, inputs: Sequence[str]) -> DatasetRef | None:
    """Find what a frame would find if a dataset had not been made.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    ref : `lsst.daf.butler.DatasetRef`
        The dataset. Its RUN collection is left out: a run that is resumed
        after its certification would find its own.
    time : `lsst.daf.butler.Timespan`
        When the frame was taken; what is valid when it begins is found.
    inputs : `~collections.abc.Sequence` [`str`]
        Where to look.

    Returns
    -------
    other : `lsst.daf.butler.DatasetRef` or `None`
    """
    return next((found for found in found_for(butler, ref, time, inputs) if found.run != ref.run), None)


def found_for(
    butler: Butler, ref: DatasetRef, time: Timespan, collections: Sequence[str]
) -> Iterator[DatasetRef]:
    """Yield what a frame finds in collections, in their order.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    ref : `lsst.daf.butler.DatasetRef`
        A dataset of the type and data id to look for.
    time : `lsst.daf.butler.Timespan`
        When the frame was taken; what is valid when it begins is found.
    collections : `~collections.abc.Sequence` [`str`]
        Where to look. Those that do not exist hold nothing.

    Yields
    ------
    found : `lsst.daf.butler.DatasetRef`
        One at most for each collection.
    """
    from lsst.daf.butler import Timespan

    # An instant has one calibration; a frame over two validity ranges two.
    begins = Timespan.fromInstant(time.begin)
    for collection in _flat(butler, collections):
        found = butler.find_dataset(ref.datasetType.name, ref.dataId, collections=collection, timespan=begins)
        if found is not None:
            yield found


def _flat(butler: Butler, inputs: Sequence[str]) -> Iterator[str]:
    """Yield the collections that a search visits, in its order."""
    for name in inputs:
        if exists(butler, name):
            yield from butler.collections.query(name, flatten_chains=True)
