# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain for remotes, and a Butler with what a test needs."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.sal import salobj
from postgres import ADMINISTRATOR, Database, Server


@pytest_asyncio.fixture
async def domain(topics: None) -> AsyncIterator[Any]:
    async with salobj.Domain() as domain:
        yield domain


@dataclasses.dataclass
class Raws:
    """The one question that the OODS client asks of a repository."""

    present: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    asked: list[frozenset[int]] = dataclasses.field(default_factory=list)

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        self.asked.append(frozenset(exposures))
        return frozenset(key for key in self.present if key[0] in exposures)


@pytest.fixture
def raws() -> Raws:
    return Raws()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database | None]:
    """Make the database of a registry; none for SQLite, which has a file."""
    if request.param == "sqlite":
        yield None
        return
    server: Server = request.getfixturevalue("postgresql_server")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PGUSER", ADMINISTRATOR)
        yield server.create_database()
