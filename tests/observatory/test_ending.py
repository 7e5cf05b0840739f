# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written at the end of a script, and what is left as it is."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from lsst.ts.calibrationscripts.observatory.ending import write_run_report
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.reporting import WrittenReport
from named import stage


async def test_a_refused_session_leaves_the_evidence_of_those_before(tmp_path: Path) -> None:
    # Given a run with a report, and a session of it that could do nothing
    written: list[RunReport] = []

    async def write(report: RunReport, repo: str, folder: Path) -> WrittenReport:
        written.append(report)
        return WrittenReport(folder / "page", folder / "json", ())

    refused = RunReport(RunState.FAILED, run_id="20261125T180000-1", resumed=1, reason="no OODS")
    (tmp_path / f"{refused.run_id}.json").touch()
    log = logging.getLogger("script")
    await write_run_report(refused, "repo", tmp_path, log, write)
    # Then its report is that of what was done
    assert written == []
    # But one that did something has its own, and so has a first session
    ended = (StageResult(stage("verify BIAS"), Outcome.ABORTED),)
    for report in (dataclasses.replace(refused, stages=ended), dataclasses.replace(refused, resumed=0)):
        await write_run_report(report, "repo", tmp_path, log, write)
        assert written[-1] == report
