# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs on frames of full size cost, beside reading the frames.

A bias is made of frames of one detector of 4072 by 4000 pixels, and verified
by them. Each job is a process of its own. Compared with it is a process that
reads the same raw frames and goes through their pixels once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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

PIPETASK = ("-c", "from lsst.ctrl.mpexec.cli.pipetask import main; main()")

READ_ALL = """
import sys
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
total = 0.0
for path in sys.argv[1:]:
    total += Exposure.read_fits(path).image.array.sum(dtype="float64")
"""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    cpu: float
    """Time of the processor (s)."""

    memory: float
    """Largest resident memory (MB)."""


def cost(argv: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a process to its end, and return what it took.

    Raises
    ------
    SystemExit
        If it failed, with the last lines that it wrote.
    """
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, *argv],
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(child.pid, 0)
        # Waited for already, which Popen does not know.
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            sys.exit(output.read().decode(errors="replace")[-3000:])
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def take(root: Path, numbers: Sequence[int]) -> list[int]:
    """Make a repository with biases; return their exposure ids."""
    create_repository(root, LATISS, scale=1, generation=GENERATION)
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


def measure(root: Path, exposures: Sequence[int], start: Cost) -> tuple[Cost, Cost]:
    """Make and verify a bias of some frames; return what each took."""
    folder, name = f"pipelines/{LATISS.pipelines_folder}", f"of_{len(exposures)}"
    inputs = f"{LATISS.raw_collection},{LATISS.calib_collection}"
    made = job(root, f"$CP_PIPE_DIR/{folder}/cpBias.yaml", inputs, f"made/{name}", exposures)
    verified = job(
        root,
        f"$CP_VERIFY_DIR/{folder}/verifyBias.yaml",
        f"made/{name},{inputs}",
        f"verified/{name}",
        exposures,
    )
    for what, took in (("made", made), ("verified", verified)):
        work = took.cpu - start.cpu
        print(
            f"bias of {len(exposures)} {what}: {work:.1f} s of the processor, {work / len(exposures):.2f} s "
            f"a frame, {took.memory:.0f} MB ({took.memory - start.memory:.0f} MB above an empty job)"
        )
    return made, verified


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[5, 12, 20], help="numbers of frames")
    frames = sorted(parser.parse_args().frames)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repo"
        # The largest memory of a process begins with that of its parent.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            exposures = other.submit(take, root, range(1, frames[-1] + 1)).result()
        raws = sorted(map(str, (root / LATISS.raw_collection).rglob("*.fits")))
        # What reads a pipeline only has imported all that a job imports.
        empty = f"$CP_PIPE_DIR/pipelines/{LATISS.pipelines_folder}/cpBias.yaml"
        start = cost([*PIPETASK, "build", "-p", empty], ENVIRONMENT)
        idle = cost(["-c", READ_ALL])
        for n in frames:
            floor = cost(["-c", READ_ALL, *raws[:n]]).cpu - idle.cpu
            made, verified = measure(root, exposures[:n], start)
            print(
                f"    floor, to read {n} frames and add up their pixels: {floor:.1f} s; made: "
                f"{(made.cpu - start.cpu) / floor:.1f} times that, verified: "
                f"{(verified.cpu - start.cpu) / floor:.1f} times"
            )


if __name__ == "__main__":
    main()
