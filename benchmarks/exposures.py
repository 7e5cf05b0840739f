# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs beside its exposures and jobs, and what it grows by.

``calibscripts simulate`` runs a configuration, with small frames: the script,
the Butler and the jobs are real. The simulated camera, OODS and OCPS are in
the same process, so that all numbers are upper limits of those of a script.

Without options a run of 1,000 biases that are exposed in no time shows how
its memory, and the time between two frames, grow. With ``--nominal`` the
daily default is run with its real exposure times, which takes 15 minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml
from lsst.ts.calibrationscripts.codec import read_document
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.offline import tai_now
from lsst.ts.calibrationscripts.products import StageKind
from lsst.ts.calibrationscripts.record import Span
from lsst.ts.calibrationscripts.report import RunReport

PERIOD = 0.05
"""Between two looks at the memory of a run (s)."""


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    report: RunReport
    memory: list[tuple[float, float]]
    """When (TAI, Unix time, s) which memory was resident (MB)."""

    largest: float
    """Its largest resident memory, without that of its jobs (MB)."""

    cpu: float
    """Time of the processor, with that of its jobs (s)."""

    def memory_at(self, moment: float) -> float:
        return next((size for when, size in self.memory if when >= moment), self.memory[-1][1])


def status_of(pid: int) -> dict[str, float]:
    """Return the resident memory of a process, now and at most (MB)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM") if name in fields}


def run(config: dict[str, object], time_scale: float) -> Ran:
    """Run a configuration, and return what it has taken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        argv = [sys.executable, "-m", "lsst.ts.calibrationscripts", "simulate", str(folder / "config.yaml")]
        argv += ["--workdir", str(folder / "observatory"), "--json", str(folder / "run.json")]
        argv += ["--scale", "64", "--time-scale", str(time_scale)]
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        memory, largest = [], 0.0
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if sizes := status_of(child.pid):
                memory.append((tai_now(), sizes["VmRSS"]))
                largest = sizes["VmHWM"]
            time.sleep(PERIOD)
        child.returncode = os.waitstatus_to_exitcode(status)
        report = read_document((folder / "run.json").read_text()).report
    return Ran(report, memory, largest, used.ru_utime + used.ru_stime)


def frames_of(report: RunReport) -> list[Span]:
    """Return the frames of a run, in their order."""
    return [span for span in report.timeline if span.frame and span.stage.kind is StageKind.EXPOSE]


def between(frames: Sequence[Span]) -> float:
    """Return the median time from a frame's end to the next one (s)."""
    return statistics.median(after.begin - before.end for before, after in pairwise(frames))


def tell_growth(n_frames: int, *, verify: bool) -> None:
    ran = run(
        {
            "script_mode": "BIAS",
            "n_bias": n_frames,
            "n_discard_bias": 0,
            "do_verify": verify,
            "job_timeout": 3600,
        },
        time_scale=0.0,
    )
    frames, n = frames_of(ran.report), min(100, n_frames)
    print(f"{len(frames)} biases, verified: {verify}. The run ended {ran.report.state}")
    first, last = between(frames[:n]), between(frames[-n:])
    print(
        f"    from frame to frame: {1000 * first:.0f} ms in the first {n}, {1000 * last:.0f} ms in the last"
    )
    marks = [k for k in (1, 100, 300, n_frames) if k <= n_frames]
    sizes = {k: ran.memory_at(frames[k - 1].end) for k in marks}
    print("    memory: " + ", ".join(f"{size:.0f} MB after {k}" for k, size in sizes.items()), end="")
    print(f"; {ran.largest:.0f} MB at most")
    if n_frames > 300:
        # Until then it is buffers and caches that fill up.
        grown = (sizes[n_frames] - sizes[300]) * 2**20 / (n_frames - 300)
        print(f"    {grown / 1000:.1f} kB more with each exposure after the first 300")
    print(f"    {ran.cpu:.0f} s of the processor, with making frames and jobs")


def tell_overhead() -> None:
    """Compare a run with its exposures and the jobs that it waits for."""
    ran = run({}, time_scale=1.0)
    frames = frames_of(ran.report)
    exposing = sum(float(span.frame.rsplit(", ", 1)[1].removesuffix(" s")) for span in frames)
    reading = len(frames) * LATISS.readout_time
    begin = min(span.begin for span in ran.report.timeline)
    end = max(span.end for span in ran.report.timeline)
    last_jobs = end - frames[-1].end
    ratio = (end - begin) / (exposing + reading + last_jobs)
    print(f"The daily default, {len(frames)} frames: {end - begin:.1f} s. It ended {ran.report.state}")
    print(f"    {exposing:.0f} s shutter, {reading:.0f} s readout, {last_jobs:.1f} s last jobs: {ratio:.4f}")
    print(f"    {1000 * between(frames):.0f} ms from frame to frame; {ran.largest:.0f} MB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nominal", action="store_true", help="run the daily default in real time")
    parser.add_argument("--frames", type=int, nargs="*", default=[1000], metavar="N", help="how many biases")
    parser.add_argument("--verify", action="store_true", help="verify the biases too")
    args = parser.parse_args()
    if args.nominal:
        tell_overhead()
    else:
        for n_frames in args.frames:
            tell_growth(n_frames, verify=args.verify)
