# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of all 189 detectors of LSSTCam costs, beside its jobs.

Each row is measured in a process of its own: time of the processor, whatever
else the machine does, and the largest memory. Give names of rows to measure
these alone; ``--python-path`` measures other sources, such as earlier ones.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

N_EXPOSURES = 100
FIRST = 2026112500001

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
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _tell(args.rows[0], Path(args.rows[1]))
    else:
        for each in args.rows or ROWS:
            _measure(each, args.python_path)
