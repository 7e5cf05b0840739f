# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script costs before and after its frames.

Each step is measured in processes of its own; the table has medians. The SAL
provider is that of ``CALIBSCRIPTS_SAL``, ``local`` by default; with
``salobj`` the topics are on a broker. The simulated observatory is in the
process of the script, so that its times are upper limits: those of the run
are of the thread of the event loop, in which no frame is simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from lsst.ts.calibrationscripts import get_scripts_dir
from lsst.ts.calibrationscripts.instruments import LATISS

N_FRAMES = 15
CONFIG = {
    "script_mode": "BIAS",
    "n_bias": N_FRAMES,
    "generate_calibrations": False,
    "do_verify": False,
    "certify_calib_begin_date": "2026-11-01",
    "certify_calib_end_date": "2026-12-01",
}


class Steps:
    """Notes what each step takes.

    Parameters
    ----------
    clock : callable, optional
        Returns the time of the processor (s).
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.taken: dict[str, tuple[float, float]] = {}
        self.clock = clock
        self._last = clock(), time.monotonic()

    def end(self, step: str) -> None:
        """Note the end of a step."""
        now = self.clock(), time.monotonic()
        self.taken[step] = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now


async def live(workdir: Path) -> dict[str, tuple[float, float]]:
    """Lead a script from its start to its end."""
    steps = Steps()
    from lsst.ts.calibrationscripts.observatory import sal
    from lsst.ts.calibrationscripts.observatory.scripts import script_class
    from lsst.ts.calibrationscripts.report_process import write_in_process

    make = script_class(LATISS)
    make.write_report = staticmethod(write_in_process)
    steps.end("import the script")
    # What else is needed here is not the script's.
    from lsst.ts.calibrationscripts.observatory.queue import QueuedScript, next_group_id
    from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings

    sal.salobj.set_test_topic_subname(randomize=True)
    settings = SimulationSettings(scale=64)
    async with SimulatedObservatory(workdir, instrument=LATISS, settings=settings, time_scale=0.001) as there:
        config = CONFIG | {"repo": str(there.repo), "journal_dir": str(workdir / "runs")}
        in_loop = Steps(time.thread_time)
        steps.end("")
        async with QueuedScript(make) as queued:
            queued.script.environment = there.pipelines_environment
            steps.end("start, until UNCONFIGURED")
            await queued.configure(yaml.safe_dump(config))
            steps.end("configure")
            in_loop.end("")
            await queued.run(next_group_id(), timeout=600)
            if queued.state != "DONE":
                raise RuntimeError(queued.result().reason)
            in_loop.end(f"run of {N_FRAMES} frames, with its report")
            steps.end("")
        steps.end("exit")
    taken = steps.taken | in_loop.taken
    del taken[""]
    return taken | {"exit": taken.pop("exit")}


def of_process(*words: str) -> tuple[float, float]:
    """Return what a process takes."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each step is measured")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(asyncio.run(live(given.one))))
        return
    os.environ.setdefault("CALIBSCRIPTS_SAL", "local")
    script = str(get_scripts_dir() / LATISS.scripts[0])
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(given.times):
        found.setdefault("Python alone", []).append(of_process("-c", ""))
        found.setdefault("script 0 --schema", []).append(of_process(script, "0", "--schema"))
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(
                [sys.executable, __file__, "--one", folder], check=True, stdout=subprocess.PIPE, text=True
            )
        for step, taken in json.loads(ended.stdout.splitlines()[-1]).items():
            found.setdefault(step, []).append(tuple(taken))
    print(f"{'Step':44} {'CPU':>8} {'time':>8}")
    for step, times in found.items():
        cpu, wall = (statistics.median(values) for values in zip(*times, strict=True))
        print(f"{step:44} {cpu:6.2f} s {wall:6.2f} s")


if __name__ == "__main__":
    main()
