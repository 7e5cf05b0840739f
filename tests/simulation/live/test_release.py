# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script ends before its jobs, and others collect what they make."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.codec import read_document
from lsst.ts.calibrationscripts.files.journal import load_record, lock_earlier_run
from lsst.ts.calibrationscripts.finishing import FinishError, Means, finish
from lsst.ts.calibrationscripts.observatory.listening import listen_to_ocps
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.queue import QueueHooks, ScriptResult, run_script
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(900)]

TIMEOUT = 600.0


class Log:
    """An operator whose log is kept."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def info(self, text: str) -> None:
        self.texts.append(text)

    warning = error = info

    def verdict(self, text: str, *, passed: bool) -> None:
        self.texts.append(text)

    async def checkpoint(self, name: str) -> None:
        """Do nothing."""


class Runs:
    """Scripts on one observatory, and where they leave their journals."""

    def __init__(self, observatory: SimulatedObservatory, folder: Path) -> None:
        self.observatory = observatory
        self.folder = folder
        self.ended_at = 0.0

    async def script(self, **config: Any) -> tuple[RunReport, ScriptResult]:
        here = {"ocps_log_path": self.observatory.ocps_log_path, "journal_dir": str(self.folder)}
        if "resume" not in config:
            here["repo"] = str(self.observatory.repo)
        scripts: list[Any] = []

        def make(index: int) -> Any:
            scripts.append(MakeLatissCalibrations(index=index))
            return scripts[0]

        result = await run_script(
            make,
            yaml.safe_dump(here | config),
            group_id="2022-09-29T14:00:00.000",
            timeout=TIMEOUT,
            hooks=QueueHooks(),
        )
        self.ended_at = time.monotonic()
        report = scripts[0].report
        assert isinstance(report, RunReport), result.reason
        return report, result

    async def released(self) -> RunReport:
        report, result = await self.script(script_mode="BIAS", n_bias=3, n_discard_bias=0, release=True)
        assert result.state == "DONE"
        return report

    def jobs(self, report: RunReport) -> list[Any]:
        return [self.observatory.ocps.jobs[result.job_id] for result in report.stages if result.job_id]

    def written(self, run_id: str) -> RunReport:
        return read_document((self.folder / f"{run_id}.json").read_text()).report


@pytest.fixture
def runs(observatory: SimulatedObservatory, tmp_path: Path) -> Runs:
    return Runs(observatory, tmp_path / "journal")


def outcome(report: RunReport, name: str) -> tuple[Outcome, str]:
    return next((each.outcome, each.reason) for each in report.stages if each.name == name)


async def test_the_script_ends_within_5_s_of_the_last_ingest_and_its_jobs_run_on(runs: Runs) -> None:
    # Given when the last frame was ingested
    ingested: list[float] = []
    oods = runs.observatory.oods
    write = oods.evt_imageInOODS.set_write

    async def note(**values: Any) -> Any:
        ingested.append(time.monotonic())
        return await write(**values)

    oods.evt_imageInOODS.set_write = note
    try:
        report = await runs.released()
    finally:
        del oods.evt_imageInOODS.set_write
    # Then the script has ended in time, and its job has not
    assert len(ingested) == 3
    assert runs.ended_at - ingested[-1] < 5
    (job,) = runs.jobs(report)
    assert not job.aborted
    assert outcome(report, "verify BIAS")[0] is Outcome.PENDING
    # and the page and the JSON of the run say what is to come
    assert outcome(runs.written(report.run_id), "verify BIAS")[0] is Outcome.PENDING
    page = (runs.folder / f"{report.run_id}.html").read_text()
    assert f"calibscripts finish {report.run_id}" in page
    # When it is finished, which waits for the job
    finished = await finish(runs.folder, report.run_id, Means(Log()))
    assert job.phase == "completed"
    # Then all is there that a script on the same frames would give that waits
    ids = [int(exposure) for exposure in report.exposures["BIAS"]]
    attached, _ = await runs.script(exposures={"BIAS": ids})
    assert finished.report.verdicts == attached.verdicts
    assert [each.outcome for each in finished.report.stages] == [each.outcome for each in attached.stages]
    assert [each.reason for each in finished.report.stages] == [each.reason for each in attached.stages]
    assert finished.report.judgements == attached.judgements
    assert finished.report.exposures == attached.exposures
    assert finished.report.state == "DONE" and finished.report.complete
    # in its JSON, with its pictures, and in its journal
    assert runs.written(report.run_id) == finished.report
    document = json.loads((runs.folder / f"{report.run_id}.json").read_text())
    assert document["evidence"]["thumbnails"] and not document["evidence"]["notes"]
    assert document["evidence"]["versions"]["daf_butler"]
    assert load_record(runs.folder, report.run_id).state == "DONE"
    # And a second time nothing is left, which is no error.
    again = await finish(runs.folder, report.run_id, Means(Log()))
    assert (again.page, again.report) == (None, finished.report)


async def test_a_resume_in_the_queue_waits_for_the_job_and_gives_the_verdict(runs: Runs) -> None:
    report = await runs.released()
    resumed, result = await runs.script(resume=report.run_id)
    assert result.state == "DONE" and resumed.complete
    assert outcome(resumed, "verify BIAS") == (Outcome.PASSED, "0 of 3 exposures failed")
    assert len(runs.jobs(resumed)) == 1 and runs.jobs(resumed) == runs.jobs(report)
    assert not resumed.repeats


async def test_one_finisher_at_a_time_and_one_that_is_interrupted_loses_nothing(runs: Runs) -> None:
    report = await runs.released()
    (job,) = runs.jobs(report)
    # Given one who waits for the job
    first = asyncio.create_task(finish(runs.folder, report.run_id, Means(Log())))
    while not first.done() and load_record(runs.folder, report.run_id).state != "RUNNING":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    # Then another is told who that is
    with pytest.raises(FinishError, match="that run is running: process"):
        await finish(runs.folder, report.run_id, Means(Log()))
    # and if the first one gives up, the second collects.
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not job.aborted
    lock_earlier_run(runs.folder, report.run_id).release()
    finished = await finish(runs.folder, report.run_id, Means(Log()))
    assert finished.report.complete


async def test_a_job_that_fails_meanwhile_is_known_by_its_log(runs: Runs) -> None:
    fault = parse_fault("job-fails")
    fault.attach(runs.observatory)
    try:
        report = await runs.released()
        log = Log()
        finished = await finish(runs.folder, report.run_id, Means(log))
    finally:
        await fault.detach()
    result, reason = outcome(finished.report, "verify BIAS")
    assert result is Outcome.FAILED
    assert "failed, says its log: pipetask ended with exit code" in reason
    # And a resume in the queue runs it anew.
    resumed, _ = await runs.script(resume=report.run_id, release=False)
    assert resumed.complete


async def test_a_job_that_fails_is_heard_of_where_there_is_sal(runs: Runs, tmp_path: Path) -> None:
    fault = parse_fault("job-fails")
    fault.attach(runs.observatory)
    try:
        report = await runs.released()
        # Given that its log is not to be read here
        file = runs.folder / f"{report.run_id}.journal.json"
        journal = json.loads(file.read_text())
        journal["config"]["ocps_log_path"] = f"{tmp_path}/elsewhere/{{job_id}}.log"
        file.write_text(json.dumps(journal))
        finished = await finish(runs.folder, report.run_id, Means(Log(), listen_to_ocps))
    finally:
        await fault.detach()
    result, reason = outcome(finished.report, "verify BIAS")
    assert result is Outcome.FAILED and "ended with exit code 1" in reason


async def test_a_run_that_was_not_released_is_refused(runs: Runs) -> None:
    report, _ = await runs.script(script_mode="BIAS", n_bias=2, n_discard_bias=0, do_verify=False)
    with pytest.raises(FinishError, match="was not released"):
        await finish(runs.folder, report.run_id, Means(Log()))
    with pytest.raises(FinishError, match="no journal of it"):
        await finish(runs.folder, "nothing", Means(Log()))
