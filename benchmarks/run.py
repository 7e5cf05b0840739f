# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant to be fast, as ratios measured in one run.

A ratio of two times taken side by side says the same on a slow machine as
on a fast one, and on a busy one as on an idle one, nearly.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
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
from lsst.ts.calibrationscripts.codec import to_json
from lsst.ts.calibrationscripts.files.index import RunIndex
from lsst.ts.calibrationscripts.files.journal import load_record, runs_in
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
from lsst.ts.calibrationscripts.outcomes import Gain, RunState
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.record import Frame, RunRecord
from lsst.ts.calibrationscripts.report import Evidence, Place, RunDocument, RunReport, Statistics
from lsst.ts.calibrationscripts.simulation.runner import PipetaskRunner
from lsst.ts.calibrationscripts.simulation.tasks.statistics import clipped_stack_mean
from lsst.ts.calibrationscripts.verification import judge

N_TIMES = 5
N_RUNS = 10_000
N_FRAMES = 20


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
                await asyncio.to_thread(
                    python, "-c", "from lsst.ctrl.mpexec.cli.pipetask import main; main()", *argv
                )
                plain.append(time.perf_counter() - begin)
    tell(
        "a job of the forking runner against a pipetask process",
        statistics.median(forked),
        statistics.median(plain),
    )


def listing() -> None:
    """Compare the desk's list of 10,000 runs with reading their journals."""
    record = RunRecord(
        "20250101T000000-1",
        {"calib_collection": "LATISS/calib/daily"},
        state=RunState.DONE,
        frames=tuple(Frame(Subject(Product.BIAS), i + 1, f"g#{i}", 2025010100001 + i) for i in range(20)),
    )
    text = json.dumps(to_json(record))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(N_RUNS):
            run_id = f"20250101T{i:06}-1"
            (folder / f"{run_id}.journal.json").write_text(text.replace(record.run_id, run_id))
        index = RunIndex(folder, lambda record: 0)
        begin = time.perf_counter()
        index.update()
        first = time.perf_counter() - begin

        def listed() -> None:
            index.update()
            index.lines()
            index.count()

        def read() -> None:
            for run_id, _ in runs_in(folder)[: N_RUNS // 100]:
                load_record(folder, run_id)

        one, other = measure(listed, read)
    tell(f"list of {N_RUNS} runs against reading a hundredth of their journals", one, other)
    print(f"    (the first list, which reads them all: {first:.1f} s)")


def blocks() -> None:
    """Judge the BLOCKs of the tests, which are made after those in use."""
    files = sorted(map(str, (Path(__file__).parents[1] / "tests" / "blocks").glob("*.json")))
    command = [sys.executable, "-m", "lsst.ts.calibrationscripts", "validate", *files]

    def judged() -> None:
        # Exit code 2: some are made to be refused.
        subprocess.run(command, check=False, capture_output=True)

    times = measure(judged, lambda: python("-c", "import yaml, click, jsonschema"))
    tell(f"{len(files)} BLOCKs judged against importing yaml, click and jsonschema", *times)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    judged()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"    (time of the processor, whatever else it does: {spent:.2f} s)")


def page() -> None:
    """Measure the page of a run of all 189 detectors of LSSTCam."""
    # Without those of the corners.
    detectors = INSTRUMENTS["LSSTCam"].detectors[:189]
    places = tuple(Place(d.id, d.name, amplifier) for d in detectors for amplifier in d.amplifiers)
    exposures = tuple(2025010100001 + i for i in range(N_FRAMES))
    chance = np.random.default_rng(1)

    def rows(centre: float) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(chance.normal(centre, 0.1, len(places)).round(4).tolist()) for _ in exposures)

    subjects = [Subject(product) for product in (Product.BIAS, Product.DARK, Product.FLAT)]
    found = [f"{place.name} {place.amplifier} NOISE" for place in places[::7]]
    document = RunDocument(
        RunReport(
            RunState.DONE,
            run_id="20250101T000000-1",
            verdicts={
                each: judge({i: {"FAILURES": found} for i in exposures}, each, n_detectors=189)
                for each in subjects
            },
            gains=tuple(
                Gain((exposures[0], exposures[1]), 5.0, place.detector, place.amplifier, 1.5, 7.0, 1.5)
                for place in places
            ),
        ),
        Evidence(
            tuple(
                Statistics(
                    each,
                    "ADU",
                    exposures,
                    places,
                    {"MEAN": rows(0.0), "NOISE": rows(5.4)},
                    nominal_noise=tuple(5.4 for _ in places),
                )
                for each in subjects
            )
        ),
    )
    begin = time.process_time()
    html = run_page(document)
    took, n = time.process_time() - begin, len(detectors)
    size = len(html.encode())
    print(
        f"page of {n} detectors, 3 products of {N_FRAMES} frames: {took:.1f} s of the processor, "
        f"{size / 1e6:.1f} MB; "
        f"{1000 * took / n:.0f} ms and {size / n / 1000:.1f} kB a detector"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        if (shown := rendered(file)) is not None:
            print(f"    shown by Chromium in {shown:.1f} s, {1000 * shown / n:.0f} ms a detector")


def rendered(file: Path) -> float | None:
    """Return how long Chromium takes to show a page (s), if it is there."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        view = browser.new_page()
        view.set_default_timeout(240_000)
        view.goto("about:blank")
        begin = time.perf_counter()
        view.goto(file.as_uri())
        view.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        took = time.perf_counter() - begin
        browser.close()
    return took


if __name__ == "__main__":
    blocks()
    page()
    listing()
    schema()
    combination()
    asyncio.run(jobs())
