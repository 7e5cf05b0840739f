# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command finish says where it cannot collect anything.

That it collects is shown on the simulated observatory.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.journal import FileJournal, run_lock
from lsst.ts.calibrationscripts.finishing import JobsAtWork
from lsst.ts.calibrationscripts.finishing._log import ended_by
from lsst.ts.calibrationscripts.finishing._merge import merged
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.ocps_names import OcpsNames
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState
from lsst.ts.calibrationscripts.plan import JobRequest, make_plan
from lsst.ts.calibrationscripts.ports import JobLostError, JobRefusedError, JobResult, ObservatoryError
from lsst.ts.calibrationscripts.record import JobRecord, RunRecord
from named import stage
from test_release import RELEASED, Later, session


def finish(folder: Path, run_id: str = "run") -> Result:
    return CliRunner().invoke(main, ["finish", run_id, "--journals", str(folder)])


def leave(folder: Path, record: RunRecord) -> None:
    """Leave the journal of a run, whose groups have names as in SAL."""
    frames = tuple(dataclasses.replace(frame, group_id=f"g{i}") for i, frame in enumerate(record.frames))
    jobs = tuple(dataclasses.replace(job, job_id=f"j{i}") for i, job in enumerate(record.jobs))
    stages = tuple(dataclasses.replace(result, job_id=None, collection=None) for result in record.stages)
    named = dataclasses.replace(record, frames=frames, jobs=jobs, stages=stages)
    FileJournal(folder, record.run_id).write(named)


def a_job(name: str = "verify BIAS") -> JobRecord:
    request = JobRequest("verifyBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), (2026112500001,))
    return JobRecord(stage(name), "abc", request, 0.0)


@pytest.mark.parametrize("run_id", ["run", "../run", ""])
def test_a_run_that_does_not_exist_is_refused_without_a_traceback(tmp_path: Path, run_id: str) -> None:
    result = finish(tmp_path, run_id)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert result.stdout == "" and result.stderr.strip()


def test_a_run_that_was_not_released_is_told_what_resumes_it(tmp_path: Path) -> None:
    leave(tmp_path, RunRecord("run", {"release": False}, jobs=(a_job(),)))
    result = finish(tmp_path)
    assert result.exit_code == 2
    assert "it was not released" in result.stderr and "'resume: run'" in result.stderr


def test_a_run_that_ended_before_all_was_submitted_is_told_what_submits_the_rest(tmp_path: Path) -> None:
    # Given a session that was killed when it had submitted one job of four
    world = Later()

    def kill(event: str) -> None:
        if event == "DARK 2/4, 5 s":
            world.on_event = None
            world.kill()

    world.on_event = kill
    session(world)
    leave(tmp_path, read_record(world.journal))
    before = (tmp_path / "run.journal.json").read_text()
    result = finish(tmp_path)
    assert result.exit_code == 2
    assert "before all was submitted: verify DARK, verify FLAT, measure GAIN" in result.stderr
    assert "takes and submits the rest; finish it then" in result.stderr
    # And its journal is as it was.
    assert (tmp_path / "run.journal.json").read_text() == before


def test_a_run_that_another_process_has_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, RunRecord("run", {"release": True}, jobs=(a_job(),)))
    lock = run_lock(tmp_path, "run")
    lock.acquire()
    try:
        result = finish(tmp_path)
    finally:
        lock.release()
    assert result.exit_code == 2
    assert "that run is running: process" in result.stderr and "wait for its end" in result.stderr


def test_a_repository_that_is_not_there_is_a_sentence_and_changes_nothing(tmp_path: Path) -> None:
    world = Later()
    session(world, RELEASED.replace("}", f", repo: {tmp_path}/nowhere}}"))
    leave(tmp_path, read_record(world.journal))
    before = (tmp_path / "run.journal.json").read_text()
    result = finish(tmp_path)
    assert result.exit_code == 2, result.output
    assert "nowhere" in result.stderr and "Traceback" not in result.output
    assert (tmp_path / "run.journal.json").read_text() == before


def test_the_help_has_an_example_and_the_exit_codes() -> None:
    text = CliRunner().invoke(main, ["finish", "--help"]).output
    assert "calibscripts finish 2026" in text and "0  everything passed" in text


# Logs

TRACEBACK = """\
lsst.ctrl.mpexec.mpGraphExecutor ERROR: Task failed
Traceback (most recent call last):
  File "x.py", line 1, in run
lsst.ctrl.mpexec.mpGraphExecutor.MPGraphExecutorError: One or more tasks failed during execution.
"""


@pytest.mark.parametrize(
    ("text", "age", "cause"),
    [
        ("", 1000, None),
        ("INFO: Executed 3 quanta\n", 1000, None),
        ("OCPS: pipetask ended with exit code 0\n", 0, None),
        ("lots\nOCPS: pipetask ended with exit code 1\n", 0, "pipetask ended with exit code 1"),
        ("OCPS: aborted by request\n\n", 0, "aborted by request"),
        (TRACEBACK, 10, None),
        (TRACEBACK, 1000, TRACEBACK.splitlines()[-1]),
        (f"{TRACEBACK}INFO: next quantum\n", 1000, None),
        ("x" * 10_000 + "\nValueError: no\n", 1000, "ValueError: no"),
    ],
)
def test_a_log_says_that_a_job_failed_only_if_nothing_can_follow(
    tmp_path: Path, text: str, age: float, cause: str | None
) -> None:
    log = tmp_path / "ocps.log"
    log.write_text(text)
    os.utime(log, (time.time() - age,) * 2)
    assert ended_by(log) == cause


async def test_a_log_that_is_not_there_says_nothing_until_it_is(tmp_path: Path) -> None:
    jobs = JobsAtWork(OcpsNames(f"{tmp_path}/{{job_id}}.log"))
    waiting = asyncio.create_task(jobs.result("abc"))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    (tmp_path / "abc.log").write_text("OCPS: killed after 3600 s\n")
    with pytest.raises(ObservatoryError, match="job abc failed, says its log: killed after 3600 s"):
        await asyncio.wait_for(waiting, 30)


class Ocps:
    """An OCPS that says one thing."""

    def __init__(self, said: JobResult | Exception) -> None:
        self._said = said
        self.aborted: list[str] = []

    async def result(self, job_id: str) -> JobResult:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said

    async def abort(self, job_id: str) -> None:
        self.aborted.append(job_id)


async def test_what_the_ocps_says_counts_unless_it_has_lost_the_job(tmp_path: Path) -> None:
    said = JobResult("abc", 1)
    names = OcpsNames(f"{tmp_path}/{{job_id}}")
    assert await JobsAtWork(names, Ocps(said)).result("abc") == said
    lost = asyncio.create_task(JobsAtWork(names, Ocps(JobLostError("gone"))).result("abc"))
    done, _ = await asyncio.wait({lost}, timeout=0.3)
    assert not done
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)


async def test_it_starts_no_job_and_aborts_one_only_through_the_ocps(tmp_path: Path) -> None:
    request: Any = a_job().request
    with pytest.raises(JobRefusedError, match="resume the run first"):
        await JobsAtWork(OcpsNames("{job_id}")).submit(request)
    with pytest.raises(ObservatoryError, match="without --ocps"):
        await JobsAtWork(OcpsNames("{job_id}")).abort("abc")
    ocps = Ocps(JobResult("abc", 0))
    await JobsAtWork(OcpsNames("{job_id}"), ocps).abort("abc")
    assert ocps.aborted == ["abc"]


# The report


def test_what_had_failed_before_stays_in_the_report_of_the_whole_run() -> None:
    # Given a run whose darks were never ingested
    world = Later()
    report = session(world)
    record = read_record(world.journal)
    plan = make_plan(parse(RELEASED, LATISS), LATISS)
    # When the others are collected
    chosen = [stage("verify BIAS"), stage("verify FLAT"), stage("measure GAIN")]
    collected = dict.fromkeys(chosen, Outcome.PASSED)
    part = session(world, resume=True)
    part_stages = tuple(each for each in part.stages if "DARK" not in each.name)
    exposures = {key: ids for key, ids in part.exposures.items() if key is not ImageType.DARK}
    part = dataclasses.replace(part, stages=part_stages, exposures=exposures)
    whole = merged(part, plan, record, report)
    # Then all stages and frames are there, in the order of the plan
    assert [each.stage for each in whole.stages] == [each.id for each in plan.stages]
    outcome = {each.stage: each.outcome for each in whole.stages}
    assert {each: outcome[each] for each in chosen} == collected
    assert outcome[stage("verify DARK")] is Outcome.PENDING
    assert whole.exposures == report.exposures and whole.discarded == report.discarded
    assert [span.frame for span in whole.timeline if span.frame] == world.taken
    assert whole.state is RunState.DONE
