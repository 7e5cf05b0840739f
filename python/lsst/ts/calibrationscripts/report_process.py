# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, written by a process of its own.

A script that is started by a queue then loads neither a plotting library nor
the images of its evidence, and a read of the repository that hangs ends with
that process, which a thread cannot.
"""

from __future__ import annotations

__all__ = ["write_in_process"]

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from .files.private import one_line
from .files.runs import load_document
from .report import Evidence, RunDocument, RunReport
from .reporting import UNREAD, WrittenReport, write_json, write_report
from .threads import in_thread


async def write_in_process(report: RunReport, repo: str, folder: Path) -> WrittenReport:
    """Write the JSON and the page of a run.

    The JSON, with what the run itself knows, is written first and by this
    process: it is there, whatever becomes of the other one.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the Butler repository.
    folder : `pathlib.Path`
        Where to write; earlier runs there are its history.

    Returns
    -------
    written : `WrittenReport`

    Raises
    ------
    OSError
        If the JSON cannot be written, or the process cannot be started.
    RuntimeError
        If the process fails, with the last line of what it wrote.
    """
    document = RunDocument(report, Evidence(notes=(UNREAD,)))
    await in_thread(lambda: write_json(folder / f"{report.run_id}.json", document))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(folder),
        report.run_id,
        repo,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # A signal to the script is for the script alone.
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = one_line(errors.decode(errors="replace").strip().rpartition("\n")[2])
        raise RuntimeError(f"the process that writes it ended with code {process.returncode}: {last}")
    return _read(output)


def _read(output: bytes) -> WrittenReport:
    found = json.loads(output)
    return WrittenReport(
        Path(found["page"]), Path(found["json"]), tuple(found["warnings"]), tuple(found["problems"])
    )


def _main(folder: Path, run_id: str, repo: str) -> None:
    """Complete the report of a run from its JSON, and print what was done."""
    document = load_document(folder, run_id)
    if document is None:
        sys.exit(f"{folder / run_id}.json does not exist")
    written = write_report(document.report, repo, folder)
    print(json.dumps(written._asdict(), default=str))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *sys.argv[2:])
