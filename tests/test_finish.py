# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command finish says where it cannot collect anything.

That it collects is shown on the simulated observatory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import threading
import time
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document, read_record, write_document
from lsst.ts.calibrationscripts.config import CalibrationConfig, parse
from lsst.ts.calibrationscripts.files.journal import FileJournal, run_lock
from lsst.ts.calibrationscripts.finishing import JobsAtWork, Means, _finish
from lsst.ts.calibrationscripts.finishing import finish as collect
from lsst.ts.calibrationscripts.finishing._log import ended_by
from lsst.ts.calibrationscripts.finishing._merge import merged
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.ocps_names import OcpsNames
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState
from lsst.ts.calibrationscripts.plan import JobRequest, make_plan
from lsst.ts.calibrationscripts.ports import JobLostError, JobRefusedError, JobResult, ObservatoryError
from lsst.ts.calibrationscripts.record import JobRecord, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from named import stage
from remedies import one_line
from test_release import RELEASED, Later, session
from world import _Repository


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


def test_a_simulated_run_that_was_not_released_is_told_the_command_that_resumes_it(tmp_path: Path) -> None:
    command = "calibscripts simulate --workdir w --resume run"
    leave(tmp_path, RunRecord("run", {"release": False}, jobs=(a_job(),)))
    report = RunReport(RunState.DONE, run_id="run", resume_command=command)
    (tmp_path / "run.json").write_text(write_document(RunDocument(report)), encoding="utf-8")
    said = one_line(finish(tmp_path).stderr)
    assert f"'{command}' resumes it" in said and "script queue" not in said


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


# What it leaves, beside a script that waits


DARKS = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 5%s}"


def released(folder: Path, **config: Any) -> tuple[Later, RunRecord]:
    """Leave a released run whose jobs have ended, and whose dark fails."""
    world = Later(failing_types=frozenset({"DARK"}))
    report = session(world, DARKS % ", release: true")
    world.end_jobs()
    record = read_record(world.journal)
    frames = tuple(dataclasses.replace(frame, group_id=f"g{i}") for i, frame in enumerate(record.frames))
    for i, frame in enumerate(record.frames):
        assert frame.exposure is not None
        label, known = world.exposures[frame.exposure]
        world.exposures[frame.exposure] = label, dataclasses.replace(known, group=f"g{i}")
    whole = dataclasses.replace(
        record, run_id="run", frames=frames, config={**record.config, **config}, instrument="LATISS"
    )
    FileJournal(folder, "run").write(whole)
    told = dataclasses.replace(
        report, instrument="LATISS", versions={"cp_pipe": "w_2026_44"}, config=whole.config
    )
    (folder / "run.json").write_text(write_document(RunDocument(told)), encoding="utf-8")
    return world, whole


def finish_in(world: Later, patch: pytest.MonkeyPatch) -> None:
    """Make a command's repository and jobs those of a world."""
    patch.setattr(_finish, "ButlerRepository", lambda *args: _Repository(world))
    patch.setattr(_finish, "JobsAtWork", lambda *args: world)


@pytest.fixture
def in_world(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda world: finish_in(world, monkeypatch)


def test_messages_are_sent_as_by_a_script_and_once(tmp_path: Path, in_world: Any) -> None:
    world, _ = released(tmp_path)
    in_world(world)
    addresses: list[tuple[str, ...]] = []

    @contextlib.asynccontextmanager
    async def notify(config: CalibrationConfig) -> AsyncIterator[Later]:
        addresses.append(config.notify)
        yield world

    means = Means(world, notify=notify, addresses=["/home/ann/apprise.conf"])
    finished = asyncio.run(collect(tmp_path, "run", means))
    # Then the message is that of a script that waits for its jobs
    attached = Later(notifies=True, failing_types=frozenset({"DARK"}))
    session(attached, DARKS % "")
    assert world.messages == attached.messages and len(world.messages) == 1
    assert addresses == [("/home/ann/apprise.conf",)]
    # and the journal knows of it, so that nothing sends it again.
    assert json.loads((tmp_path / "run.journal.json").read_text())["notified"] == ["DARK"]
    assert not finished.report.complete


def test_the_command_sends_to_the_file_that_is_named_and_says_so(tmp_path: Path, in_world: Any) -> None:
    pytest.importorskip("apprise", reason="apprise is not installed: install the extra [notify]")
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    world, _ = released(tmp_path)
    in_world(world)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (file := tmp_path / "apprise.conf").write_text(f"json://127.0.0.1:{server.server_port}\n")
        words = ["finish", "run", "--journals", str(tmp_path), "--notify", str(file)]
        result = CliRunner().invoke(main, words)
        server.shutdown()
        thread.join()
    # Then it has arrived when the command ends
    assert [each["title"] for each in got] == ["LATISS DARK: HELD"]
    assert f"Sent 'LATISS DARK: HELD' to {file}" in one_line(result.output)
    assert result.exit_code == 3


def test_an_address_that_is_none_is_refused_and_changes_nothing(tmp_path: Path, in_world: Any) -> None:
    world, _ = released(tmp_path)
    in_world(world)
    before = (tmp_path / "run.journal.json").read_text()
    result = CliRunner().invoke(main, ["finish", "run", "--journals", str(tmp_path), "--notify", "ann"])
    assert result.exit_code == 2 and "write addresses of apprise" in result.stderr
    assert (tmp_path / "run.journal.json").read_text() == before


def test_an_address_that_was_secret_is_said_to_get_no_message(tmp_path: Path, in_world: Any) -> None:
    world, _ = released(tmp_path, notify=["slack://***"])
    in_world(world)
    result = finish(tmp_path)
    assert result.exit_code == 3, result.output
    assert "No messages go to slack://***" in result.output and "--notify ADDRESS sends them" in result.output


def test_where_messages_cannot_be_sent_the_run_is_finished_without(tmp_path: Path, in_world: Any) -> None:
    # Given a file of addresses that is not on this computer
    world, _ = released(tmp_path, notify=["/nowhere/apprise.conf"])
    in_world(world)
    result = finish(tmp_path)
    assert result.exit_code == 3, result.output
    assert "No messages are sent." in result.output and "/nowhere/apprise.conf" in result.output
    assert "verify DARK: HELD" in result.output


def test_the_report_names_camera_and_versions_and_its_copies_are_brought_up_to_date(
    tmp_path: Path, in_world: Any
) -> None:
    # Given that the script has published what it knew when it ended
    place = tmp_path / "published"
    folder = tmp_path / "journals"
    folder.mkdir()
    world, _ = released(folder, publish=str(place))
    in_world(world)
    result = finish(folder)
    assert result.exit_code == 3, result.output
    report = read_document((folder / "run.json").read_text()).report
    # Then the report has what a script writes that waits
    assert (report.instrument, report.resumed) == ("LATISS", 1)
    assert report.versions == {"cp_pipe": "w_2026_44"}
    # and so have the copies, which are named.
    for kind in ("html", "json"):
        assert (place / f"run.{kind}").read_bytes() == (folder / f"run.{kind}").read_bytes()
        assert f"Published: {(place / f'run.{kind}').as_uri()}" in result.output


def test_copies_that_cannot_be_made_are_named_and_the_report_is_written(
    tmp_path: Path, in_world: Any
) -> None:
    (place := tmp_path / "published").write_text("a file, and no folder")
    world, _ = released(tmp_path, publish=str(place))
    in_world(world)
    result = finish(tmp_path)
    assert result.exit_code == 3, result.output
    assert f"in {place} are not brought up to date" in one_line(result.output)
    assert "The report is written. Copy" in one_line(result.output)
    assert not read_document((tmp_path / "run.json").read_text()).report.pending
