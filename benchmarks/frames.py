# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs on frames of full size cost, beside reading the frames.

A bias is made of frames of one detector of 4072 by 4000 pixels, and verified
by them. Each job is a process of its own, of which three things are told:

- the time on the wall and that of the processor, both without those of a job
  that only reads its pipeline, which is the start and the imports of pipetask;
- the first of these beside that of a process that reads the same raw frames,
  one after the other, and adds up their pixels, which is the floor;
- its largest memory.

The same jobs on small frames tell what pipetask does beside the pixels: it
makes the graph, asks the registry and waits for the disk at each of its
entries. Each is the median of several runs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts import simulation
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import create_repository, read_focal_plane

GENERATION = "current"
TREES = Path(simulation.__file__).parent / GENERATION
ENVIRONMENT = {"CP_PIPE_DIR": str(TREES / "cp_pipe"), "CP_VERIFY_DIR": str(TREES / "cp_verify")}
FIRST = Time("2026-11-25T14:00:00", scale="tai")

SMALL = 64
"""Scale of frames whose pixels take no time, only their jobs do."""

PIPETASK = ("-c", "from lsst.ctrl.mpexec.cli.pipetask import main; main()")

READ_ALL = """
import sys
from astropy.io import fits
total = 0.0
for path in sys.argv[1:]:
    total += fits.getdata(path, memmap=False).sum(dtype="float64")
"""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall: float
    """Time until it ended (s)."""

    cpu: float
    """Time of the processor (s)."""

    memory: float
    """Largest resident memory (MB)."""

    def __sub__(self, other: Cost) -> Cost:
        """Return what it took beyond another; the memory is the whole."""
        return Cost(self.wall - other.wall, self.cpu - other.cpu, self.memory)

    @classmethod
    def median(cls, costs: Sequence[Cost]) -> Cost:
        """Return the median of each."""
        return cls(*(statistics.median(values) for values in zip(*map(astuple, costs), strict=True)))


def cost(argv: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a process to its end, and return what it took.

    Raises
    ------
    SystemExit
        If it failed, with the last lines that it wrote.
    """
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, *argv],
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
        # Waited for already, which Popen does not know.
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            sys.exit(output.read().decode(errors="replace")[-3000:])
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def take(root: Path, numbers: Sequence[int], scale: int = 1) -> list[int]:
    """Make a repository with biases; return their exposure ids."""
    create_repository(root, LATISS, scale=scale, generation=GENERATION)
    ccd = read_focal_plane(root, LATISS).ccds[0]
    with Butler.from_config(str(root), writeable=True) as butler:
        exposures = []
        for number in numbers:
            begin = FIRST + TimeDelta(3.0 * number, format="sec")
            header = RawHeader(LATISS, f"AT_O_20261125_{number:06}", "BIAS", 0.0, begin, begin)
            path = root.parent / f"{header.obs_id}.fits"
            write_raw(path, ccd.expose("BIAS", 0.0, header.exposure_id), header, ccd)
            exposures.append(ingest_raw(butler, path, LATISS))
    return exposures


def job(root: Path, pipeline: str, inputs: str, run: str, exposures: Sequence[int], *options: str) -> Cost:
    """Run a pipeline of the simulated camera on exposures."""
    listed = ", ".join(map(str, exposures))
    where = f"instrument = '{LATISS.name}' AND detector = 0 AND exposure IN ({listed})"
    argv = [*PIPETASK, "run", "-b", str(root), "-p", pipeline, "-i", inputs]
    argv += ["--output-run", run, "-d", where, "--register-dataset-types", *options]
    return cost(argv, ENVIRONMENT)


class Benchmark:
    """Jobs on the frames of a repository.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository, which is made.
    n : `int`
        Number of biases in it.
    scale : `int`
        How much smaller than real ones they are.
    repeat : `int`
        How often each job is run.
    """

    FOLDER = f"pipelines/{LATISS.pipelines_folder}"

    def __init__(self, root: Path, n: int, scale: int, repeat: int) -> None:
        # The largest memory of a process begins with that of its parent.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            self._exposures = other.submit(take, root, range(1, n + 1), scale).result()
        self._root = root
        self._raws = sorted(map(str, (root / LATISS.raw_collection).rglob("*.fits")))
        self._repeat = repeat
        self._n_runs = 0

    def read(self, n: int) -> Cost:
        """Read some frames, and add up their pixels."""
        return self._median(lambda: cost(["-c", READ_ALL, *self._raws[:n]]))

    def build(self) -> Cost:
        """Let pipetask read a pipeline, and nothing else."""
        argv = [*PIPETASK, "build", "-p", f"$CP_PIPE_DIR/{self.FOLDER}/cpBias.yaml"]
        return self._median(lambda: cost(argv, ENVIRONMENT))

    def bias(self, n: int) -> tuple[Cost, Cost]:
        """Make a bias of some frames, and verify it by them."""
        made, verified = [], []
        for _ in range(self._repeat):
            self._n_runs += 1
            inputs = f"{LATISS.raw_collection},{LATISS.calib_collection}"
            name, chosen = f"{n}/{self._n_runs}", self._exposures[:n]
            pipeline = f"$CP_PIPE_DIR/{self.FOLDER}/cpBias.yaml"
            made.append(job(self._root, pipeline, inputs, f"made/{name}", chosen))
            pipeline, inputs = f"$CP_VERIFY_DIR/{self.FOLDER}/verifyBias.yaml", f"made/{name},{inputs}"
            verified.append(job(self._root, pipeline, inputs, f"verified/{name}", chosen))
            # What is removed is not written to the disk beside the next job.
            for kind in ("made", "verified"):
                shutil.rmtree(self._root / kind)
        return Cost.median(made), Cost.median(verified)

    def _median(self, run: Callable[[], Cost]) -> Cost:
        return Cost.median([run() for _ in range(self._repeat)])


def show(n: int | str, what: str, took: Cost, floor: float = 0.0) -> None:
    """Print a row of the table, which is 64 columns wide."""
    ratio = f"{took.wall / floor:.1f}" if floor else ""
    print(f"{n:<7}{what:<26}{took.wall:>7.2f}s{took.cpu:>7.2f}s{ratio:>9}{took.memory:>7.0f}", flush=True)


def load() -> str:
    """Return how many processes have wanted a core in the last minutes."""
    return "load " + ", ".join(f"{number:.1f}" for number in os.getloadavg())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[5, 12, 20], help="numbers of frames")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each job (default: 3)")
    arguments = parser.parse_args()
    frames = sorted(arguments.frames)
    with tempfile.TemporaryDirectory() as folder:
        large = Benchmark(Path(folder) / "large", frames[-1], 1, arguments.repeat)
        small = Benchmark(Path(folder) / "small", frames[-1], SMALL, arguments.repeat)
        print(
            f"{len(os.sched_getaffinity(0))} cores, CPython {platform.python_version()}, "
            f"median of {arguments.repeat}, {load()}"
        )
        idle, start = large.read(0), large.build()
        print(f"{'frames':<7}{'what':<26}{'wall':>8}{'cpu':>8}{'x floor':>9}{'MB':>7}")
        show("", "pipetask reads a pipeline", start)
        for n in frames:
            floor = large.read(n) - idle
            show(n, "floor: read and added up", floor, floor.wall)
            kinds = zip(("made", "verified"), large.bias(n), small.bias(n), strict=True)
            for what, took, of_small in kinds:
                show(n, what, took - start, floor.wall)
                show(n, f"  of frames of scale {SMALL}", of_small - start, floor.wall)
    print(load())


if __name__ == "__main__":
    main()
