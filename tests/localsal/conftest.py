# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small components to test with, written for either provider of SAL."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory import sal
from lsst.ts.calibrationscripts.observatory.sal import salobj

TIMEOUT = 30.0
"""Time limit of each wait (s)."""


class MockOcps(salobj.BaseCsc):
    """An OCPS whose ``execute`` does what its ``pipeline`` says."""

    version = "test"

    def __init__(self, index: int = 1, **kwargs: Any) -> None:
        self.waiting = asyncio.Event()
        self.release = asyncio.Event()
        self.executed: list[str] = []
        super().__init__("OCPS", index, **{"initial_state": salobj.State.ENABLED} | kwargs)

    async def do_execute(self, data: Any) -> None:
        self.assert_enabled("execute")
        self.executed.append(data.pipeline)
        await getattr(self, data.pipeline)(data)

    async def do_abort_job(self, data: Any) -> None:
        await self.evt_job_result.set_write(job_id=data.job_id, exit_code=255)

    async def complete(self, data: Any) -> None:
        pass

    async def refuse(self, data: Any) -> None:
        raise salobj.ExpectedError("unknown pipeline")

    async def crash(self, data: Any) -> None:
        raise ValueError("a defect")

    async def time_out(self, data: Any) -> None:
        raise TimeoutError

    async def cancel(self, data: Any) -> None:
        raise asyncio.CancelledError

    async def wait(self, data: Any) -> None:
        self.waiting.set()
        await asyncio.wait_for(self.release.wait(), timeout=TIMEOUT)

    async def job(self, data: Any) -> None:
        await self.cmd_execute.ack_in_progress(data, timeout=TIMEOUT, result='{"job_id": "1"}')
        await self.wait(data)


class WaitingScript(salobj.BaseScript):
    """A script with two checkpoints that does what its configuration says."""

    def __init__(self, index: int) -> None:
        super().__init__(index, descr="waits")

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "error": {"type": "string", "default": ""},
                "wait": {"type": "boolean", "default": False},
                "camera": {"type": "object", "properties": {"gain": {"type": "number", "default": 1.5}}},
            },
            "additionalProperties": False,
        }

    async def configure(self, config: types.SimpleNamespace) -> None:
        if config.error == "configure":
            raise salobj.ExpectedError("not like this")
        self.config = config

    def set_metadata(self, metadata: Any) -> None:
        metadata.duration = 12.5
        metadata.totalCheckpoints = 2

    async def run(self) -> None:
        await self.checkpoint("first")
        if self.config.wait:
            await asyncio.wait_for(asyncio.Event().wait(), timeout=TIMEOUT)
        if self.config.error:
            raise salobj.ExpectedError(self.config.error)
        await self.checkpoint("second")


@pytest.fixture(scope="session")
def only_local() -> None:
    if sal.provider() is not sal.SalProvider.LOCAL:
        pytest.skip("concerns only localsal")


@pytest_asyncio.fixture
async def domain(topics: None) -> AsyncIterator[Any]:
    async with salobj.Domain() as domain:
        yield domain


@pytest_asyncio.fixture
async def ocps(topics: None) -> AsyncIterator[MockOcps]:
    async with MockOcps() as csc:
        yield csc


@pytest_asyncio.fixture
async def ocps_remote(domain: Any, ocps: MockOcps) -> AsyncIterator[Any]:
    async with salobj.Remote(domain, "OCPS", 1) as remote:
        yield remote


@pytest.fixture
def make_ocps() -> Callable[..., MockOcps]:
    return MockOcps


@pytest_asyncio.fixture
async def script(topics: None) -> AsyncIterator[WaitingScript]:
    async with WaitingScript(5) as script:
        yield script


@pytest_asyncio.fixture
async def script_remote(domain: Any, script: WaitingScript) -> AsyncIterator[Any]:
    async with salobj.Remote(domain, "Script", 5) as remote:
        yield remote


@pytest.fixture
def script_class(topics: None) -> type[WaitingScript]:
    return WaitingScript
