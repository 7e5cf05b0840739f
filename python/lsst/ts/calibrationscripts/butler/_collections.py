# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections, and the datasets in them."""

from __future__ import annotations

__all__ = ["datasets", "exists", "run_of"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef


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
