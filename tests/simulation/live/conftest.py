# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated observatory for a module's tests, and jobs that wait."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from leaks import no_tasks_left
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from lsst.ts.calibrationscripts.simulation.repository import create_repository

DAY_OBS = datetime.date(2022, 9, 29)
SCALE = 32


@pytest.fixture(scope="session")
def _new_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new") / "repo"
    create_repository(root, LATISS, scale=SCALE)
    return root


@pytest.fixture
def workdir(_new_repository: Path, tmp_path: Path) -> Path:
    """Make a work folder with a repository, by a copy, which is faster."""
    folder = tmp_path / "observatory"
    shutil.copytree(_new_repository, folder / "repo")
    return folder


class NoRunner:
    """A runner for an observatory that gets no jobs: it imports nothing."""

    async def __aenter__(self) -> NoRunner:
        return self

    async def __aexit__(self, *args: object) -> None:
        return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observatory(
    module_topics: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedObservatory]:
    async with (
        no_tasks_left(),
        SimulatedObservatory(
            tmp_path_factory.mktemp("observatory"),
            instrument=LATISS,
            settings=SimulationSettings(scale=SCALE),
            day_obs=DAY_OBS,
        ) as observatory,
    ):
        yield observatory


class Gate:
    """A pipeline file whose reader waits until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: int | None = None
        os.mkfifo(path)

    async def reached(self) -> None:
        """Wait until a job reads the pipeline, which then waits."""
        for _ in range(600):
            try:
                # Without a reader, a FIFO refuses a writer that does not wait.
                self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return
        raise AssertionError(f"{self.path} has no reader")

    def open(self, pipeline: str = "description: gated\ntasks: {}\n") -> None:
        """Give the job its pipeline."""
        assert self._writer is not None
        os.write(self._writer, pipeline.encode())
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


class Gates:
    """Makes gates, and closes them at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gates: list[Gate] = []

    def make(self) -> Gate:
        gate = Gate(self._folder / f"gate{len(self._gates)}.yaml")
        self._gates.append(gate)
        return gate

    def close(self) -> None:
        for gate in self._gates:
            gate.close()


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Gates]:
    gates = Gates(tmp_path)
    yield gates
    gates.close()
