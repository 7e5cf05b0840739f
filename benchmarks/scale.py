# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of all 189 detectors of LSSTCam costs, beside its jobs.

Each row is measured in a process of its own: time of the processor, whatever
else the machine does, and the largest memory. Give names of rows to measure
these alone; ``--python-path`` measures other sources, such as earlier ones.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsst.ts.calibrationscripts.report import RunDocument

N_EXPOSURES = 100
FIRST = 2026112500001
N_RUNS = 5_000

Row = Callable[[Path], Iterator[str]]
ROWS: dict[str, Row] = {}


def row(function: Row) -> Row:
    """Make a function a row of the table; it yields what it has done."""
    ROWS[function.__name__] = function
    return function


def _statistics(share: float) -> dict[int, dict[str, list[str]]]:
    """Return statistics of all detectors, a share of whose tests fail."""
    from lsst.ts.calibrationscripts.instruments import INSTRUMENTS

    chance = random.Random(1)  # noqa: S311 - only to look like noise
    texts = [(each.name, name) for each in INSTRUMENTS["LSSTCam"].detectors for name in each.amplifiers]
    return {
        FIRST + i: {
            "FAILURES": [f"{detector} {name} NOISE" for detector, name in texts if chance.random() < share]
        }
        for i in range(N_EXPOSURES)
    }


def _verdict(share: float, folder: Path) -> Iterator[str]:
    from lsst.ts.calibrationscripts.codec import read_document, write_document
    from lsst.ts.calibrationscripts.files.private import read_text
    from lsst.ts.calibrationscripts.outcomes import RunState
    from lsst.ts.calibrationscripts.products import Product, Subject
    from lsst.ts.calibrationscripts.report import RunDocument, RunReport, verdict_text
    from lsst.ts.calibrationscripts.verification import judge

    subject, file = Subject(Product.BIAS), folder / "run.json"
    statistics = _statistics(share)
    yield "made statistics"
    verdict = judge(statistics, subject, n_detectors=189)
    del statistics
    yield f"judged {sum(len(result.failures) for result in verdict.results)} failures"
    text = verdict_text(verdict)
    yield f"text of {len(text.splitlines())} lines"
    document = RunDocument(RunReport(RunState.DONE, run_id="run-1", verdicts={subject: verdict}))
    file.write_text(write_document(document))
    yield f"wrote JSON, {file.stat().st_size / 1e6:.1f} MB"
    assert read_document(read_text(file)) == document
    yield "read it back"


@row
def verdict_all(folder: Path) -> Iterator[str]:
    """Verdict, text and JSON, every amplifier of each exposure fails."""
    return _verdict(1.0, folder)


@row
def verdict_most(folder: Path) -> Iterator[str]:
    """Likewise, but no exposure has the failures of another."""
    return _verdict(0.9, folder)


@row
def page_all(folder: Path) -> Iterator[str]:
    """The page of such a run."""
    from lsst.ts.calibrationscripts.outcomes import RunState
    from lsst.ts.calibrationscripts.pages import run_page
    from lsst.ts.calibrationscripts.products import Product, Subject
    from lsst.ts.calibrationscripts.report import RunDocument, RunReport
    from lsst.ts.calibrationscripts.verification import judge

    subject = Subject(Product.BIAS)
    verdict = judge(_statistics(1.0), subject, n_detectors=189)
    yield "judged"
    html = run_page(RunDocument(RunReport(RunState.DONE, run_id="run-1", verdicts={subject: verdict})))
    (folder / "run.html").write_text(html, encoding="utf-8")
    yield f"made page, {len(html.encode()) / 1e6:.2f} MB"


def _document(number: int, chance: random.Random) -> RunDocument:
    """Return what is left by a run of all detectors: biases and flat pairs."""
    from lsst.ts.calibrationscripts.instruments import INSTRUMENTS
    from lsst.ts.calibrationscripts.outcomes import Gain, RunState
    from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
    from lsst.ts.calibrationscripts.report import Evidence, Place, RunDocument, RunReport, Span, Statistics

    detectors = INSTRUMENTS["LSSTCam"].detectors
    places = tuple(Place(each.id, each.name, name) for each in detectors for name in each.amplifiers)
    noise = tuple(5.4 + 0.02 * chance.random() for _ in places)
    bias = Subject(Product.BIAS)
    began = 86_400.0 * (20_000 + number)
    return RunDocument(
        RunReport(
            RunState.DONE,
            run_id=f"run-{number}",
            gains=tuple(
                Gain(
                    (FIRST, FIRST + 1), 5.0, each.detector, each.amplifier, 1.5 + 0.01 * chance.random(), 7.0
                )
                for each in places
            ),
            timeline=(Span(StageId(StageKind.EXPOSE, bias), began, began + 60),),
            config={"repo": "/repo/main"},
        ),
        Evidence(
            (
                Statistics(
                    bias,
                    "ADU",
                    (FIRST,),
                    places,
                    {"NOISE": (noise,)},
                    level=tuple(20_000 + chance.random() for _ in places),
                ),
            )
        ),
    )


def _make_runs(folder: Path, n_runs: int) -> None:
    """Make an index of many runs: 20 that differ, repeated at other times.

    The JSON of them is not written as a whole: that would be 4 GB.
    """
    from lsst.ts.calibrationscripts.files import trend_index

    folder.mkdir(exist_ok=True)
    for number in range(n_runs):
        (folder / f"run-{number}.json").write_text("{}")
    chance = random.Random(1)  # noqa: S311 - only to look like noise
    real, trend_index.load_file = (
        trend_index.load_file,
        lambda file: _document(int(file.stem.removeprefix("run-")), chance),
    )
    try:
        with trend_index.TrendIndex(folder) as index:
            index.update(newest=20)
    finally:
        trend_index.load_file = real
    with contextlib.closing(sqlite3.connect(folder / "trend.sqlite3")) as database, database:
        database.execute("CREATE TEMP TABLE copy (run INTEGER PRIMARY KEY, time REAL, like INTEGER, at REAL)")
        made = database.execute("SELECT id, time, name FROM run ORDER BY id").fetchall()
        others = {f"run-{number}" for number in range(n_runs)} - {name for _, _, name in made}
        for i, name in enumerate(sorted(others, key=lambda name: int(name.removeprefix("run-")))):
            status = (folder / f"{name}.json").stat()
            time = 86_400.0 * (20_000 + int(name.removeprefix("run-")))
            like, at, _ = made[i % len(made)]
            new = database.execute(
                "INSERT INTO run "
                "(file, modified, size, problem, repo, instrument, name, time, n_values, jobs) "
                "SELECT ?, ?, ?, problem, repo, instrument, ?, ?, n_values, jobs FROM run WHERE id = ?",
                (f"{name}.json", status.st_mtime_ns, status.st_size, name, time, like),
            ).lastrowid
            database.execute("INSERT INTO copy VALUES (?, ?, ?, ?)", (new, time, like, at))
        # In the order of the table, so that no page is written twice.
        database.execute(
            "INSERT INTO value SELECT kind.id, copy.time, copy.run, value.data FROM kind CROSS JOIN copy "
            "CROSS JOIN value ON value.kind = kind.id AND value.time = copy.at AND value.run = copy.like"
        )


@row
def trend_first(folder: Path) -> Iterator[str]:
    """The first look at the JSON of 20 runs, which reads them all."""
    from lsst.ts.calibrationscripts.codec import write_document
    from lsst.ts.calibrationscripts.files.trend_index import TrendIndex

    chance = random.Random(1)  # noqa: S311 - only to look like noise
    for number in range(20):
        (folder / f"run-{number}.json").write_text(write_document(_document(number, chance)))
    yield f"made them, {(folder / 'run-0.json').stat().st_size / 1e6:.1f} MB each"
    with TrendIndex(folder) as index:
        index.update()
    yield "read them"


@row
def journal(folder: Path) -> Iterator[str]:
    """The journal of 1,000 frames, written at each step of the run."""
    import asyncio

    from lsst.ts.calibrationscripts.files.journal import FileJournal, claim_run, load_record
    from lsst.ts.calibrationscripts.observatory.journal import BackgroundJournal
    from lsst.ts.calibrationscripts.outcomes import RunState
    from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
    from lsst.ts.calibrationscripts.record import Frame, RunRecord, Span

    bias = Subject(Product.BIAS)
    stage = StageId(StageKind.EXPOSE, bias)
    file = FileJournal(folder, *claim_run(folder, "run-1"))

    async def write(first: int, record: RunRecord) -> RunRecord:
        journal = BackgroundJournal(file)
        for i in range(first, first + 100):
            asked = Frame(bias, i, f"2026-11-25T00:00:00.000#{i}")
            record = record.with_frame(asked)
            journal.write(record)
            await journal.flush()
            span = Span(stage, 1e9 + i, 1e9 + i + 1, f"BIAS {i}/1000, 0 s")
            taken = Frame(bias, i, asked.group_id, FIRST + i)
            record = replace(record.with_frame(taken), timeline=(*record.timeline, span))
            journal.write(record)
            await journal.flush()
        return record

    record = RunRecord("run-1", {"n_bias": 1000})
    for first in range(1, 1001, 100):
        record = asyncio.run(write(first, record))
        if first in (1, 901):
            yield f"100 frames written, from frame {first}"
        else:
            yield "100 more"
    assert load_record(folder, "run-1") == record
    yield f"read {Path(file.path).stat().st_size / 1000:.0f} kB, as if its process had been killed"
    file.write(ended := replace(record, state=RunState.DONE))
    yield "written at its end"
    assert load_record(folder, "run-1") == ended
    yield f"read {Path(file.path).stat().st_size / 1000:.0f} kB"


def _many_runs() -> Path:
    return Path(os.environ["CALIBSCRIPTS_BENCHMARK_RUNS"])


@row
def trend_remarks(folder: Path) -> Iterator[str]:
    """A run is compared with 5,000 earlier ones, as a script does."""
    from lsst.ts.calibrationscripts.reporting import unlike_earlier

    document = _document(N_RUNS, random.Random(2))  # noqa: S311 - only to look like noise
    yield "made a run"
    warnings, problems = unlike_earlier(document, _many_runs())
    assert not problems
    yield f"compared it: {len(warnings)} remarks"


@row
def trend_page(folder: Path) -> Iterator[str]:
    """The page of 5,000 runs, as ``calibscripts trend`` makes it."""
    from lsst.ts.calibrationscripts.files.trend_index import TrendIndex
    from lsst.ts.calibrationscripts.pages import trend_page
    from lsst.ts.calibrationscripts.trend import remarks

    with TrendIndex(_many_runs()) as index:
        yield f"opened the index, read {index.update()} files"
        history = index.history(index.newest_source())
        assert len(history.runs) == N_RUNS
        yield f"found {len(history.runs)} runs"
        n_remarks = len(remarks(history.earlier, history.runs[-1]))
        yield f"compared the newest: {n_remarks} remarks"
        html = trend_page(history)
    yield f"made page, {len(html.encode()) / 1e6:.2f} MB"


def _tell(name: str, folder: Path) -> None:
    """Do what a row is about, and print the time of each step."""
    before = time.process_time()
    print(f"    {before:6.2f} s  started")
    for what in ROWS[name](folder):
        now = time.process_time()
        print(f"    {now - before:6.2f} s  {what}")
        before = now


def _measure(name: str, python_path: str | None) -> None:
    """Print what a row costs, as a process of its own."""
    environment = dict(os.environ)
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen([sys.executable, __file__, "--child", name, folder], env=environment)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    print(
        f"{name}: {used.ru_utime + used.ru_stime:.2f} s CPU, {used.ru_maxrss / 1024:.0f} MB"
        + (f"; it FAILED ({child.returncode})" if child.returncode else "")
        + f". {ROWS[name].__doc__}",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--python-path", help="where the sources are")
    parser.add_argument("--runs", type=Path, help="keep the index of many runs here, or use the one there")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _tell(args.rows[0], Path(args.rows[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            runs = args.runs or Path(name)
            os.environ["CALIBSCRIPTS_BENCHMARK_RUNS"] = str(runs)
            chosen = args.rows or list(ROWS)
            if {"trend_remarks", "trend_page"} & set(chosen) and not (runs / "run-0.json").exists():
                _make_runs(runs, N_RUNS)
            for each in chosen:
                _measure(each, args.python_path)
