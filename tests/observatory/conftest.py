# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain for remotes, a Butler with what a test needs, and PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.sal import salobj
from postgres import NotInstalledError, Server, running_server


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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """Run PostgreSQL, or skip the tests that use it."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server())
        except NotInstalledError as error:
            pytest.skip(str(error))
        yield server
