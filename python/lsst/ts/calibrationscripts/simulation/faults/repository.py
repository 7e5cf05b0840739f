# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the Butler repository: what others do to it."""

from __future__ import annotations

__all__ = ["CertificationConflict", "CollectionChanged", "CollectionRemoved", "RepositoryLocked"]

import abc
import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..cscs.ocps import OcpsJob
from ..repository import REFERENCE_COLLECTION
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DataCoordinate

    from ..observatory import SimulatedObservatory

_LOCK_TIMEOUT = 60.0
"""Longest wait for a lock that others may hold (s)."""


class _RepositoryFault(StepFault):
    """Strikes between the end of a job and its result.

    The procedure has then checked what it can check beforehand, and is about
    to read or to certify what the job has made.
    """

    component = "ocps"
    counts = "result"
    step = "publish_result"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the results."""
        super().attach(observatory)
        self.repo = observatory.repo
        self.collection = observatory.calib_collection


@dataclass(eq=False)
class RepositoryLocked(_RepositoryFault):
    """Another connection has the registry's database for itself.

    Parameters
    ----------
    when : `int`, optional
        Number of the result.
    duration : `float`, optional
        For how long (second). Not simulated seconds: a Butler on SQLite waits
        for up to 300 real ones.
    """

    duration: float = 5.0

    name = "repository-locked"
    description = "another process locks the repository for 5 s when a job has ended"

    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        self._connection = await asyncio.to_thread(_lock, self.repo)
        self.csc.spawn(self._release_later())
        await proceed(job)

    async def detach(self) -> None:
        """Release the lock, should it still be held."""
        if self._connection is not None:
            self._connection.close()

    async def _release_later(self) -> None:
        await asyncio.sleep(self.duration)
        await self.detach()


class _Intrusion(_RepositoryFault, abc.ABC):
    """Somebody with a Butler changes the repository."""

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        await asyncio.to_thread(self._visit, self.intrude)
        await proceed(job)

    async def detach(self) -> None:
        """Undo what would be in the way of another run."""
        if self.struck:
            await asyncio.to_thread(self._visit, self.make_good)

    @abc.abstractmethod
    def intrude(self, butler: Butler) -> None:
        """Do the damage."""

    @abc.abstractmethod
    def make_good(self, butler: Butler) -> None:
        """Undo it, as far as another run needs that."""

    def _visit(self, action: Callable[[Butler], None]) -> None:
        from lsst.daf.butler import Butler

        with Butler.from_config(str(self.repo), writeable=True) as butler:
            action(butler)


class CollectionRemoved(_Intrusion):
    """The collection to certify into is removed, with all that is in it.

    It stays away; a certification makes it anew.
    """

    name = "collection-removed"
    description = "somebody removes calib_collection when a job has ended"

    def intrude(self, butler: Butler) -> None:
        """Remove the collection."""
        _remove(butler, self.collection)

    def make_good(self, butler: Butler) -> None:
        """Leave it at that."""


class CollectionChanged(_Intrusion):
    """The collection to certify into is replaced by a RUN of its name."""

    name = "collection-changed"
    description = "somebody replaces calib_collection by a RUN collection when a job has ended"

    def intrude(self, butler: Butler) -> None:
        """Replace the collection."""
        _remove(butler, self.collection)
        butler.collections.register(self.collection)

    def make_good(self, butler: Butler) -> None:
        """Remove what replaced it."""
        _remove(butler, self.collection)


class CertificationConflict(_Intrusion):
    """Somebody certifies other calibrations for all times.

    Bias, dark, flat, defects and ptc of the simulation's references; those
    types left out that something is certified of already. It is undone when
    the observatory closes.
    """

    name = "certification-conflict"
    description = "somebody certifies into calib_collection, for all times, when a job has ended"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the results."""
        super().attach(observatory)
        self._certified: dict[str, list[DataCoordinate]] = {}

    def intrude(self, butler: Butler) -> None:
        """Certify what can be certified."""
        from lsst.daf.butler import CollectionType, Timespan
        from lsst.daf.butler.registry import ConflictingDefinitionError

        butler.collections.register(self.collection, CollectionType.CALIBRATION)
        run = f"{REFERENCE_COLLECTION}/reference"
        (info,) = butler.collections.query_info(run, include_summary=True)
        for dataset_type in sorted(info.dataset_types or ()):
            refs = butler.query_datasets(dataset_type, collections=run, limit=None)
            try:
                butler.registry.certify(self.collection, refs, Timespan(None, None))
            except ConflictingDefinitionError:
                continue
            self._certified[dataset_type] = [ref.dataId for ref in refs]

    def make_good(self, butler: Butler) -> None:
        """Take back what was certified."""
        from lsst.daf.butler import Timespan

        for dataset_type, data_ids in self._certified.items():
            butler.registry.decertify(self.collection, dataset_type, Timespan(None, None), dataIds=data_ids)


def _lock(repo: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        repo / "gen3.sqlite3", timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def _remove(butler: Butler, collection: str) -> None:
    """Remove a collection, if there is one, also from the chains it is in."""
    from lsst.daf.butler import MissingCollectionError

    try:
        info = butler.collections.get_info(collection, include_parents=True)
    except MissingCollectionError:
        return
    for parent in info.parents or ():
        butler.collections.remove_from_chain(parent, collection)
    butler.collections.x_remove(collection)
