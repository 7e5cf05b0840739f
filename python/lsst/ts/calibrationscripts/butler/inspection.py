# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository has that runs need; it is looked at only."""

from __future__ import annotations

__all__ = ["RepositoryContent", "inspect", "known_labels", "try_writing"]

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..instruments import Instrument
from ._collections import exists
from ._visiting import OpenRepository, try_to_write, visit

if TYPE_CHECKING:
    from lsst.daf.butler import Butler


@dataclass(frozen=True)
class RepositoryContent:
    """What a repository has."""

    collections: Mapping[str, str | None]
    """Of those asked for: the type, such as "CALIBRATION"; `None` if there
    is no collection of that name."""

    dataset_types: Mapping[str, frozenset[str]]
    """The required dimensions of each dataset type."""

    detectors: frozenset[int]
    """Ids of the instrument's detectors; none if it is not registered."""


async def inspect(
    repo: str, instrument: Instrument, collections: Collection[str], timeout: float
) -> RepositoryContent:
    """Look at a repository.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    instrument : `Instrument`
        Whose detectors are looked for.
    collections : `~collections.abc.Collection` [`str`]
        Names of collections to look for.
    timeout : `float`
        Longest that it may take (s).

    Returns
    -------
    content : `RepositoryContent`

    Raises
    ------
    ObservatoryError
        If it cannot be looked at.
    """

    def look(butler: Butler) -> RepositoryContent:
        records = butler.query_dimension_records(
            "detector",
            where="instrument = instrument_name",
            bind={"instrument_name": instrument.name},
            explain=False,
        )
        return RepositoryContent(
            {name: _type_of(butler, name) for name in collections},
            {
                dataset_type.name: frozenset(dataset_type.dimensions.required)
                for dataset_type in butler.registry.queryDatasetTypes()
            },
            frozenset(int(record.id) for record in records),
        )

    return await visit(OpenRepository(repo), "look at it", look, timeout=timeout)


def _type_of(butler: Butler, collection: str) -> str | None:
    return butler.collections.get_info(collection).type.name if exists(butler, collection) else None


async def try_writing(repo: str, timeout: float) -> None:
    """See whether certifications can be written; nothing is.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    timeout : `float`
        Longest that it may take (s).

    Raises
    ------
    ObservatoryError
        If they cannot.
    """
    await visit(
        OpenRepository(repo), "write into the registry", try_to_write, timeout=timeout, writeable=True
    )


def known_labels() -> tuple[str, ...]:
    """Return the labels of repositories that this account's index has."""
    from lsst.daf.butler import Butler

    return tuple(sorted(Butler.get_known_repos()))
