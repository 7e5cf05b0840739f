# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the Butler repository: what other clients do to it."""

from __future__ import annotations

__all__ = [
    "CertificationConflict",
    "CollectionChanged",
    "CollectionRemoved",
    "RepositoryLocked",
    "RepositoryStaysLocked",
]

import abc
import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..cscs.ocps import OcpsJob
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DataCoordinate
    from sqlalchemy import Connection

    from ..observatory import SimulatedObservatory

_LOCK_TIMEOUT = 60
"""Longest wait for a lock that another client may have (s)."""


class _RepositoryFault(StepFault):
    """Strikes between the end of a job and its result.

    The procedure has then made its first checks, and will next read or
    certify what the job has made.
    """

    component = "ocps"
    counts = "result"
    step = "publish_result"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the results."""
        super().attach(observatory)
        self.repo = observatory.repo
        self.collection = observatory.calib_collection
        self.references = f"{observatory.instrument.calib_collection}/reference"


@dataclass(eq=False)
class RepositoryLocked(_RepositoryFault):
    """Another connection locks the registry's database.

    Parameters
    ----------
    when : `int`, optional
        Number of the result.
    duration : `float`, optional
        Duration of the lock (second). Not simulated seconds: a Butler on
        SQLite waits for up to 300 real ones, one on PostgreSQL for ever.
    """

    duration: float = 5.0

    name = "repository-locked"
    description = "another process locks the repository for 5 s when a job has ended"

    _connection: Connection | None = field(default=None, init=False, repr=False)

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        self._connection = await asyncio.to_thread(_lock, self.repo)
        self.csc.spawn(self._release_later())
        await proceed(job)

    async def detach(self) -> None:
        """Release the lock, if it is still held."""
        if self._connection is not None:
            self._connection.close()

    async def _release_later(self) -> None:
        if math.isfinite(self.duration):
            await asyncio.sleep(self.duration)
            await self.detach()


@dataclass(eq=False)
class RepositoryStaysLocked(RepositoryLocked):
    """The lock is not released before the observatory closes."""

    duration: float = math.inf

    name = "repository-stays-locked"
    description = "another process locks the repository when a job has ended, until this one ends"


class _Intrusion(_RepositoryFault, abc.ABC):
    """Another client changes the repository with a Butler."""

    async def _strike(self, proceed: Proceed, job: OcpsJob) -> None:
        await asyncio.to_thread(self._with_butler, self.intrude)
        await proceed(job)

    async def detach(self) -> None:
        """Undo what would disturb another run."""
        if self.struck:
            await asyncio.to_thread(self._with_butler, self.undo)

    @abc.abstractmethod
    def intrude(self, butler: Butler) -> None:
        """Change the repository."""

    @abc.abstractmethod
    def undo(self, butler: Butler) -> None:
        """Undo the change, as far as another run needs that."""

    def _with_butler(self, action: Callable[[Butler], None]) -> None:
        from lsst.daf.butler import Butler

        with Butler.from_config(str(self.repo), writeable=True) as butler:
            action(butler)


class CollectionRemoved(_Intrusion):
    """The collection to certify into is removed, with all its contents.

    It is not restored. A certification makes a new one.
    """

    name = "collection-removed"
    description = "another client removes calib_collection when a job has ended"

    def intrude(self, butler: Butler) -> None:
        """Remove the collection."""
        _remove(butler, self.collection)

    def undo(self, butler: Butler) -> None:
        """Do nothing: the collection is not restored."""


class CollectionChanged(_Intrusion):
    """The collection to certify into is replaced by a RUN of its name."""

    name = "collection-changed"
    description = "another client replaces calib_collection by a RUN collection when a job has ended"

    def intrude(self, butler: Butler) -> None:
        """Replace the collection."""
        _remove(butler, self.collection)
        butler.collections.register(self.collection)

    def undo(self, butler: Butler) -> None:
        """Remove the RUN collection."""
        _remove(butler, self.collection)


class CertificationConflict(_Intrusion):
    """Another client certifies other calibrations for all times.

    These are bias, dark, flat, defects and ptc of the simulation's
    references, but not the types of which something is certified already.
    It is undone when the observatory closes.
    """

    name = "certification-conflict"
    description = "another client certifies into calib_collection, for all times, when a job has ended"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the results."""
        super().attach(observatory)
        self._certified: dict[str, list[DataCoordinate]] = {}

    def intrude(self, butler: Butler) -> None:
        """Certify what can be certified."""
        from lsst.daf.butler import CollectionType, Timespan
        from lsst.daf.butler.registry import ConflictingDefinitionError

        butler.collections.register(self.collection, CollectionType.CALIBRATION)
        (info,) = butler.collections.query_info(self.references, include_summary=True)
        for dataset_type in sorted(info.dataset_types or ()):
            refs = butler.query_datasets(dataset_type, collections=self.references, limit=None)
            try:
                butler.registry.certify(self.collection, refs, Timespan(None, None))
            except ConflictingDefinitionError:
                continue
            self._certified[dataset_type] = [ref.dataId for ref in refs]

    def undo(self, butler: Butler) -> None:
        """Decertify what was certified."""
        from lsst.daf.butler import Timespan

        for dataset_type, data_ids in self._certified.items():
            butler.registry.decertify(self.collection, dataset_type, Timespan(None, None), dataIds=data_ids)


def _lock(repo: Path) -> Connection:
    """Keep everybody else from reading and writing a registry."""
    import sqlalchemy
    from lsst.daf.butler import ButlerConfig

    url = ButlerConfig(str(repo))["registry", "db"].replace("<butlerRoot>", str(repo))
    if url.startswith("sqlite"):
        options = {"timeout": _LOCK_TIMEOUT, "isolation_level": None, "check_same_thread": False}
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=options)
        connection = engine.connect()
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        return connection
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    connection = engine.connect()
    connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_TIMEOUT}s'")
    tables = ", ".join(f'"{name}"' for name in sorted(sqlalchemy.inspect(connection).get_table_names()))
    connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    return connection


def _remove(butler: Butler, collection: str) -> None:
    """Remove a collection, if it exists, also from the chains it is in."""
    from lsst.daf.butler import MissingCollectionError

    try:
        info = butler.collections.get_info(collection, include_parents=True)
    except MissingCollectionError:
        return
    for parent in info.parents or ():
        butler.collections.remove_from_chain(parent, collection)
    butler.collections.x_remove(collection)
