# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant to be fast, as ratios measured in one run.

A ratio of two times taken side by side says the same on a slow machine as
on a fast one, and on a busy one as on an idle one, nearly.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.stats import sigma_clip
from lsst.ts.calibrationscripts import get_scripts_dir
from lsst.ts.calibrationscripts.simulation.runner import PipetaskRunner
from lsst.ts.calibrationscripts.simulation.tasks.statistics import clipped_stack_mean

N_TIMES = 5


def measure(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Return the median times (s) of two things done by turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(N_TIMES):
        for action, taken in zip((one, other), times, strict=True):
            begin = time.perf_counter()
            action()
            taken.append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def tell(what: str, one: float, other: float) -> None:
    print(f"{what}: {one:.2f} s against {other:.2f} s, ratio {one / other:.2f}")


def python(*args: str) -> None:
    subprocess.run([sys.executable, *args], check=True, stdout=subprocess.DEVNULL)


def schema() -> None:
    script = get_scripts_dir() / "auxtel" / "make_latiss_calibrations.py"
    times = measure(lambda: python(str(script), "0", "--schema"), lambda: python("-c", "import yaml, click"))
    tell("a script's --schema against importing yaml and click", *times)


def combination() -> None:
    stack = np.random.default_rng(1).normal(100.0, 5.0, (20, 200, 2000)).astype(np.float32)
    stack[3, ::97, ::89] += 500
    ones = np.ones(len(stack), dtype=np.float32)

    def with_astropy() -> object:
        return sigma_clip(stack, sigma=3, maxiters=3, axis=0, cenfunc="mean").mean(axis=0)

    times = measure(lambda: clipped_stack_mean(stack.copy(), ones, ones, 3.0, 3), with_astropy)
    tell("clipped mean of 20 frames against astropy's sigma_clip", *times)


async def jobs() -> None:
    argv = ["--version"]
    with tempfile.TemporaryDirectory() as folder:
        async with PipetaskRunner() as runner:
            await runner.wait_ready()
            forked, plain = [], []
            for i in range(N_TIMES):
                begin = time.perf_counter()
                job = await runner.start(argv, log=Path(folder) / f"{i}.log")
                await job.wait(timeout=60)
                forked.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                await asyncio.to_thread(python, "-m", "lsst.ctrl.mpexec.cli.pipetask", *argv)
                plain.append(time.perf_counter() - begin)
    tell(
        "a job of the forking runner against a pipetask process",
        statistics.median(forked),
        statistics.median(plain),
    )


if __name__ == "__main__":
    schema()
    combination()
    asyncio.run(jobs())
