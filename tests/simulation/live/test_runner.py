# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in forked children end as they would in a shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.simulation.runner import PipetaskRunner, RunnerDiedError

TIMEOUT = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner() -> AsyncIterator[PipetaskRunner]:
    async with PipetaskRunner(env={"CP_PIPE_DIR": "/pipelines"}) as runner:
        yield runner


def behind(gate: Any) -> list[str]:
    return ["build", "-p", str(gate.path), "--show", "pipeline"]


async def is_gone(pid: int) -> bool:
    for _ in range(200):
        # If nothing reaps orphans, a dead one remains as a zombie.
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)
                continue
        return True
    return False


@pytest.mark.asyncio(loop_scope="module")
class TestJobs:
    @pytest.mark.parametrize(
        ("argv", "code", "says"),
        [
            (["run", "--help"], 0, "Usage: pipetask run"),
            (["no-such-command"], 2, "No such command 'no-such-command'"),
            (["build", "-p", "/no/such/pipeline.yaml"], 1, "FileNotFoundError"),
        ],
    )
    async def test_exit_code_and_log_are_those_of_pipetask(
        self, runner: PipetaskRunner, tmp_path: Path, argv: list[str], code: int, says: str
    ) -> None:
        job = await runner.start(argv, log=tmp_path / "ocps.log")

        assert await job.wait(TIMEOUT) == code
        assert says in (tmp_path / "ocps.log").read_text()

    async def test_job_has_its_own_folder_and_environment(
        self, runner: PipetaskRunner, tmp_path: Path
    ) -> None:
        # Given a pipeline that only its environment and folder lead to.
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "mine.yaml").write_text("description: mine\nimports: ${OTHER_DIR}/other.yaml\n")
        (tmp_path / "other.yaml").write_text("description: other\ntasks: {}\n")

        job = await runner.start(
            ["build", "-p", "mine.yaml", "--show", "pipeline"],
            log=tmp_path / "ocps.log",
            cwd=tmp_path / "in",
            env={"OTHER_DIR": str(tmp_path)},
        )

        assert await job.wait(TIMEOUT) == 0, (tmp_path / "ocps.log").read_text()
        assert "description: mine" in (tmp_path / "ocps.log").read_text()

    async def test_jobs_run_at_the_same_time_and_one_is_killed(
        self, runner: PipetaskRunner, tmp_path: Path, gates: Any
    ) -> None:
        # Given two jobs that both wait while they run.
        both = [gates.make(), gates.make()]
        jobs = [await runner.start(behind(gate), log=tmp_path / "ocps.log") for gate in both]
        for gate in both:
            await gate.reached()

        # When one is killed and the other may continue.
        await jobs[0].kill()
        assert await jobs[0].wait(TIMEOUT) == -signal.SIGKILL
        assert not jobs[1].done
        both[1].open()

        # Then the other ends normally.
        assert await jobs[1].wait(TIMEOUT) == 0
        await jobs[0].kill()

    async def test_wait_has_a_limit_that_does_not_end_the_job(
        self, runner: PipetaskRunner, tmp_path: Path, gates: Any
    ) -> None:
        gate = gates.make()
        job = await runner.start(behind(gate), log=tmp_path / "ocps.log")
        await gate.reached()

        with pytest.raises(TimeoutError):
            await job.wait(0.01)

        assert not job.done
        await job.kill()
        assert await job.wait(TIMEOUT) == -signal.SIGKILL

    async def test_log_that_cannot_be_written_is_refused_at_once(
        self, runner: PipetaskRunner, tmp_path: Path
    ) -> None:
        with pytest.raises(FileNotFoundError):
            await runner.start(["--help"], log=tmp_path / "none" / "ocps.log")


async def test_death_of_the_runner_fails_its_jobs(tmp_path: Path, gates: Any) -> None:
    # Given a runner with a running job.
    gate = gates.make()
    async with PipetaskRunner() as runner:
        job = await runner.start(behind(gate), log=tmp_path / "ocps.log")
        await gate.reached()
        assert runner.pid is not None

        # When the runner's process dies.
        os.kill(runner.pid, signal.SIGKILL)

        # Then the job has failed, runs no more, and no other starts.
        with pytest.raises(RunnerDiedError, match="code -9"):
            await job.wait(TIMEOUT)
        assert job.pid is not None
        assert await is_gone(job.pid)
        with pytest.raises(RunnerDiedError):
            await runner.start(["--help"], log=tmp_path / "next.log")


async def test_closing_ends_running_jobs(tmp_path: Path, gates: Any) -> None:
    gate = gates.make()
    async with PipetaskRunner() as runner:
        job = await runner.start(behind(gate), log=tmp_path / "ocps.log")
        await gate.reached()
        zygote = runner.pid

    assert zygote is not None
    assert job.pid is not None
    assert await is_gone(zygote)
    assert await is_gone(job.pid)
    assert job.done


async def test_closing_before_the_imports_are_done_is_clean() -> None:
    async with PipetaskRunner() as runner:
        zygote = runner.pid

    assert zygote is not None
    assert await is_gone(zygote)


async def test_import_that_fails_is_reported(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('no click today')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    async with PipetaskRunner(env={"PYTHONPATH": path}) as runner:
        with pytest.raises(RunnerDiedError, match="no click today"):
            await runner.wait_ready()
