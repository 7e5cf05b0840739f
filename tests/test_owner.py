# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run and a work folder have one owner, and no file beside is trusted."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts import reporting
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.cli._report import open_trend
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.atomic import replace_file
from lsst.ts.calibrationscripts.files.journal import (
    FileJournal,
    claim_run,
    load_record,
    lock_earlier_run,
    newest_run,
    run_lock,
)
from lsst.ts.calibrationscripts.files.lock import Lock, LockedError
from lsst.ts.calibrationscripts.files.private import file_mode, one_line, read_text
from lsst.ts.calibrationscripts.files.trend_index import TrendIndex
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory import connection, foresight
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.queue import QueuedScript, ScriptResult
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.pages import trend_page
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.procedure import Outlook
from lsst.ts.calibrationscripts.record import Frame, JobRecord, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from lsst.ts.calibrationscripts.reporting import write_report
from lsst.ts.calibrationscripts.simulation.repository import (
    WorkFolderError,
    create_repository,
    is_repository,
    remove_unfinished,
)
from lsst.ts.calibrationscripts.trend import Source
from named import BIAS, stage

RUN_ID = "20261123T053300-100001"
FIRST = 2026112300001
REQUEST = JobRequest(
    "verifyBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), tuple(FIRST + i for i in range(3))
)

TIMEOUT = 240.0
"""What a test waits for another process at most (s)."""


def a_record(run_id: str = RUN_ID) -> RunRecord:
    """Return the record of a run that has certified a BIAS."""
    return RunRecord(
        run_id,
        parse("script_mode: BIAS", LATISS).to_dict(),
        frames=tuple(Frame(BIAS, i + 1, f"2026-11-23T05:33:00.000#{i + 1}", FIRST + i) for i in range(3)),
        jobs=(JobRecord(stage("verify BIAS"), "d4", REQUEST),),
        stages=(StageResult(stage("verify BIAS"), Outcome.PASSED, job_id="d4", collection="u/ocps/d4"),),
        certifications=(
            Certification("bias", "u/ocps/d3", "LATISS/calib/daily.1", "2026-11-23", "2026-11-24"),
        ),
    )


def calibscripts(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@contextlib.contextmanager
def process(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python code in a process of its own; kill it at the end."""
    program = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate(timeout=TIMEOUT)


@contextlib.contextmanager
def owner_of(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock."""
    code = (
        "import pathlib, sys\n"
        "from lsst.ts.calibrationscripts.files.lock import Lock\n"
        "lock = Lock(pathlib.Path(sys.argv[1]))\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with process(code, file) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        yield program


def kill(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait(timeout=TIMEOUT)


# 1. One owner


def test_a_lock_says_who_holds_it_and_ends_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    # Given a process that holds a lock
    with owner_of(file) as program:
        # Then nobody else gets it, and learns who has it
        with pytest.raises(LockedError) as refusal:
            Lock(file).acquire()
        owner = refusal.value.owner
        assert owner is not None
        assert (owner.pid, owner.host) == (program.pid, socket.gethostname())
        assert owner.since.endswith("Z") and str(file) in owner.command
        assert f"process {program.pid} on {socket.gethostname()} since 20" in str(refusal.value)
        # When it is killed, the lock is free, whatever its file says
        kill(program)
        assert file.exists()
        lock = Lock(file)
        lock.acquire()
    assert lock.held
    # And a lock that is released leaves nothing
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_two_owners_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = (Lock(tmp_path / "run.lock") for _ in range(2))
    first.acquire()
    first.acquire()
    with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
        second.acquire()
    first.release()
    second.acquire()
    # What the first does no longer concerns the second
    first.release()
    with pytest.raises(LockedError):
        first.acquire()
    second.release()


@pytest.mark.parametrize("text", ["", "[]", "{" * 5000, '{"pid": "x"}', "\x1b[31m"])
def test_an_owner_that_does_not_say_who_it_is_still_holds_the_lock(text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    lock = Lock(file)
    lock.acquire()
    file.write_text(text)
    with pytest.raises(LockedError, match="which has not said who it is"):
        Lock(file).acquire()
    lock.release()


def test_an_owners_name_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    lock = Lock(file)
    lock.acquire()
    file.write_text(json.dumps({"pid": 1, "host": "h\x1b[2J\n", "since": "s", "command": "c" * 900}))
    with pytest.raises(LockedError) as refusal:
        Lock(file).acquire()
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 400
    lock.release()


def test_a_running_run_is_neither_resumed_nor_its_journal_written(tmp_path: Path) -> None:
    # Given a run of another process
    record = a_record()
    FileJournal(tmp_path, RUN_ID).write(record)
    with owner_of(tmp_path / f"{RUN_ID}.lock") as program:
        # Then it cannot be resumed
        with pytest.raises(LookupError) as refusal:
            lock_earlier_run(tmp_path, RUN_ID)
        what, remedy = refusal.value.args
        assert f"that run is running: process {program.pid} on " in what
        assert remedy == "wait for its end, or stop it first"
        # And nobody else writes its journal
        with pytest.raises(ObservatoryError, match=f"is written by process {program.pid} on "):
            FileJournal(tmp_path, RUN_ID).write(RunRecord(RUN_ID, {}))
        assert f"process {program.pid}" in FileJournal(tmp_path, RUN_ID).check()[0]
        assert load_record(tmp_path, RUN_ID) == record
        # When its process is killed, both are possible
        kill(program)
    lock = lock_earlier_run(tmp_path, RUN_ID)
    FileJournal(tmp_path, RUN_ID, lock).write(record)
    lock.release()
    assert [file.name for file in tmp_path.iterdir()] == [f"{RUN_ID}.journal.json"]


def test_the_command_run_says_who_runs_the_run(tmp_path: Path) -> None:
    FileJournal(tmp_path, RUN_ID).write(a_record())
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"resume": RUN_ID, "journal_dir": str(tmp_path)}))
    with owner_of(tmp_path / f"{RUN_ID}.lock") as program:
        result = calibscripts("run", config)
    assert result.exit_code == 2
    assert f"that run is running: process {program.pid} on " in result.stderr
    assert "wait for its end, or stop it first" in result.stderr


def make_script(index: int) -> MakeLatissCalibrations:
    return MakeLatissCalibrations(index=index)


async def see_nothing(*args: object) -> Outlook:
    return Outlook()


async def test_a_script_owns_its_run_until_its_end(
    topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileJournal(tmp_path, RUN_ID).write(a_record())
    # There is no repository here, which would be refused.
    monkeypatch.setattr(foresight, "look_ahead", see_nothing)
    text = yaml.safe_dump({"resume": RUN_ID, "journal_dir": str(tmp_path)})
    # Given a script that is to resume a run
    async with QueuedScript(make_script) as first:
        await first.configure(text)
        # Then another script is refused, and says who has it
        async with QueuedScript(make_script) as second:
            with pytest.raises(salobj.AckError):
                await second.configure(text)
            await second.wait_for("CONFIGURE_FAILED", timeout=TIMEOUT)
            reason = second.result().reason
            assert f"that run is running: process {os.getpid()} on " in reason
            assert "wait for its end, or stop it first" in reason
        await first.stop()
        await first.wait_for("STOPPED", timeout=TIMEOUT)
    # When it has ended, a third one has it
    async with QueuedScript(make_script) as third:
        await third.configure(text)
        with pytest.raises(LookupError):
            lock_earlier_run(tmp_path, RUN_ID)
    lock_earlier_run(tmp_path, RUN_ID).release()


@pytest.mark.parametrize("extra", [{"n_bias": 30}, {}], ids=["invalid", "no-remotes"])
async def test_a_configuration_that_fails_releases_the_run(
    extra: dict[str, Any], topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileJournal(tmp_path, RUN_ID).write(a_record())
    monkeypatch.setattr(connection, "_START_TIMEOUT", 0.0)
    text = yaml.safe_dump({"resume": RUN_ID, "journal_dir": str(tmp_path)} | extra)
    async with QueuedScript(make_script) as queued:
        with pytest.raises(salobj.AckError):
            await queued.configure(text)
        await queued.wait_for("CONFIGURE_FAILED", timeout=TIMEOUT)
        lock_earlier_run(tmp_path, RUN_ID).release()


@pytest.mark.slow
def test_two_simulations_in_one_work_folder_exclude_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    config = tmp_path / "config.yaml"
    config.write_text("{script_mode: BIAS, n_bias: 3, do_verify: false}")
    code = "from lsst.ts.calibrationscripts.cli import main; main()"
    # Given a simulation that begins in a folder
    with process(code, "simulate", config, "--workdir", folder) as first:
        wait_for(folder / "observatory.lock", first)
        # Then a second one is refused at once, and says who is there
        second = subprocess.run(
            [sys.executable, "-c", code, "simulate", str(config), "--workdir", str(folder)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert second.returncode == 2, second.stderr
        assert f"is used by process {first.pid} on {socket.gethostname()} since " in second.stderr
        assert "Traceback" not in second.stderr


@pytest.mark.slow
def test_a_repository_that_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    config = tmp_path / "config.yaml"
    config.write_text("{script_mode: BIAS, n_bias: 3, do_verify: false}")
    code = "from lsst.ts.calibrationscripts.cli import main; main()"
    # Given a simulation that is killed while it makes the repository
    with process(code, "simulate", config, "--workdir", folder) as first:
        wait_for(folder / "unfinished_repo" / "gen3.sqlite3", first)
        kill(first)
    assert not is_repository(folder / "repo")
    # Then the next one makes it again, says so, and runs
    third = subprocess.run(
        [sys.executable, "-c", code, "simulate", str(config), "--workdir", str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert third.returncode == 0, third.stderr
    assert "was not finished when its process ended" in third.stderr
    assert not (folder / "unfinished_repo").exists() and not (folder / "observatory.lock").exists()
    # And its files are its user's
    files = list((folder / "journal").iterdir())
    assert sorted(file.suffix for file in files) == [".html", ".json", ".json", ".sqlite3"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def wait_for(file: Path, program: subprocess.Popen[str]) -> None:
    end = time.monotonic() + TIMEOUT
    while not file.exists() or not file.stat().st_size:
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)


# 2. Run ids


def test_scripts_of_one_index_in_one_second_have_runs_of_their_own(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from lsst.ts.calibrationscripts.files.journal import claim_run\n"
        "run_id, lock = claim_run(pathlib.Path(sys.argv[1]), sys.argv[2])\n"
        "print(run_id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(process(code, tmp_path / "j", RUN_ID)) for _ in range(4)]
        ids = [program.stdout.readline().strip() for program in programs if program.stdout]
        assert sorted(ids) == [RUN_ID, f"{RUN_ID}-2", f"{RUN_ID}-3", f"{RUN_ID}-4"]
    # And each can be resumed by its id
    assert all(parse(f"resume: {run_id}", LATISS, lambda *_: {}).resume == run_id for run_id in ids)


@pytest.mark.parametrize("suffix", [".journal.json", ".json", ".html"])
def test_a_new_run_takes_the_place_of_no_earlier_one(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"{RUN_ID}{suffix}").write_text("")
    run_id, lock = claim_run(tmp_path, RUN_ID)
    lock.release()
    assert run_id == f"{RUN_ID}-2"


# 3. Nothing after a certification turns the run into an error


def a_report(**changes: Any) -> RunReport:
    return RunReport(
        **{
            "state": RunState.DONE,
            "run_id": RUN_ID,
            "exposures": {"BIAS": (FIRST,)},
            "config": parse("", LATISS).to_dict() | {"repo": "/repo/LATISS"},
        }
        | changes
    )


@pytest.mark.parametrize(
    ("failing", "lost"),
    [
        ("run_page", f"{RUN_ID}.html is not written"),
        ("write_document", f"{RUN_ID}.json is not written"),
        ("gather", "statistics and images are not shown"),
        ("TrendIndex", "the run is not compared with earlier ones"),
    ],
)
def test_what_fails_in_a_report_takes_nothing_else_with_it(
    failing: str, lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **settings: object) -> None:
        raise RecursionError("too much")

    monkeypatch.setattr(reporting, failing, fail)
    written = write_report(a_report(), str(tmp_path / "none"), tmp_path)
    problems = [problem for problem in written.problems if "Not shown: the repository" not in problem]
    assert [f"{lost}: too much" in problem for problem in problems] == [True]
    missing = {"run_page": ".html", "write_document": ".json", "TrendIndex": ".sqlite3"}.get(failing)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".html", ".sqlite3"} - {missing}


def test_a_full_disk_leaves_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / f"{RUN_ID}.json", "earlier")

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    written = write_report(a_report(), str(tmp_path / "none"), tmp_path)
    assert len([problem for problem in written.problems if "No space left" in problem]) == 2
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(found) == {f"{RUN_ID}.json", "trend.sqlite3"} and found[f"{RUN_ID}.json"] == b"earlier"


FOREIGN = {
    "settings.json": ('{"a": 1}', "no run_id"),
    "half.json": ('{"format": 1, "run_id": "x', "not JSON"),
    "my.own.json": ("[]", "not a mapping"),
    "binary.json": (b"\xff\xfe\x00", "decode"),
    "deep.json": ("[" * 10_000, "brackets in each other"),
    "odd.json": (json.dumps(to_json(a_report(run_id="../../x"))), "not the id of a run"),
    "huge-id.json": (json.dumps(to_json(a_report(exposures={"BIAS": (10**30,)}))), "not an exposure id"),
}


def write_foreign(folder: Path) -> None:
    for name, (content, _) in FOREIGN.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "link.json").symlink_to(folder / "settings.json")
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.json")


def test_files_beside_the_journals_are_named_and_skipped(tmp_path: Path) -> None:
    # Given a run, and files that no run has left
    (tmp_path / f"{RUN_ID}.json").write_text(write_document(RunDocument(a_report())))
    (tmp_path / f"{RUN_ID}.journal.json").write_text("{}")
    write_foreign(tmp_path)
    # Then the run is read, and each of the others is named with the reason
    with TrendIndex(tmp_path) as index:
        assert index.update() == 1 + len(FOREIGN) + 3
        assert index.count(Source("/repo/LATISS", "LATISS")) == (1, 0, 0)
        reasons = dict(text.split(": ", 1) for text in index.skipped())
    assert set(reasons) == {*FOREIGN, "link.json", "dangling.json", "pipe.json"}
    assert all(why in reasons[name] for name, (_, why) in FOREIGN.items())
    assert "symbolic link" in reasons["link.json"] and "regular file" in reasons["pipe.json"]
    # And a run's log, the page of many runs and stderr name them
    written = write_report(a_report(run_id=f"{RUN_ID}-2"), str(tmp_path / "none"), tmp_path)
    (problem,) = [text for text in written.problems if "Not shown: the repository" not in text]
    assert "runs have not left: " in problem and problem.endswith("and 6 more")
    with open_trend(tmp_path, None, None) as (history, notes, _):
        page = trend_page(history, notes)
    result = calibscripts("trend", "--journals", tmp_path)
    for name in reasons:
        assert name in page and f"no run has left it: {name}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_result_that_cannot_be_written_does_not_change_the_exit_code(tmp_path: Path) -> None:
    from lsst.ts.calibrationscripts.cli._results import exit_code, result_to, to_run_json

    with result_to(tmp_path / "none" / "run.json") as write:
        write(to_run_json(a_report()))
    assert exit_code(a_report()) == 0


@pytest.mark.parametrize(
    ("state", "code"), [("DONE", 0), ("FAILED", 1), ("STOPPED", 1)], ids=["done", "failed", "stopped"]
)
def test_the_exit_code_is_that_of_the_scripts_state(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsst.ts.calibrationscripts.cli import _script
    from lsst.ts.calibrationscripts.cli._program import run_program
    from lsst.ts.calibrationscripts.cli._results import exit_code

    # Given a script whose report says DONE, and which ends as it does
    class Script:
        def __init__(self, index: int) -> None:
            self.report = a_report()

    async def run_script(make: Any, *args: Any, **kwargs: Any) -> ScriptResult:
        make(index=1)
        reason = "" if state == "DONE" else "the end"
        return ScriptResult(state, reason, (), (), None, None, ())

    monkeypatch.setattr(_script, "script_class", lambda instrument: Script)
    monkeypatch.setattr(_script, "run_script", run_script)
    report = run_program(_script.run_on_sal("", parse("", LATISS), LATISS))
    # Then the shell gets what the queue does.
    assert report.state == state
    assert exit_code(report) == code


# 4. What journals hold

CHANGES: dict[str, tuple[list[Any], Any, str]] = {
    "another run": (["run_id"], "20261123T053300-1", "that of run 20261123T053300-1"),
    "no day": (["frames", 0, "exposure"], 42, "42 is not an exposure id"),
    "negative": (["frames", 0, "exposure"], -FIRST, "not an exposure id"),
    "too large": (["frames", 0, "exposure"], 10**40, "not an exposure id"),
    "one exposure twice": (["frames", 0, "exposure"], FIRST + 1, f"exposure {FIRST + 1} is there twice"),
    "one frame twice": (["frames", 0, "number"], 2, "one of them is there twice"),
    "number": (["frames", 0, "number"], -2, "frames[0].number"),
    "group with a path": (["frames", 0, "group_id"], "../x", "frames[0].group_id"),
    "group with controls": (["frames", 0, "group_id"], "a\nb", "frames[0].group_id"),
    "empty group": (["frames", 0, "group_id"], "", "frames[0].group_id"),
    "job with a path": (["jobs", 0, "job_id"], "../../etc", "jobs[0].job_id"),
    "job of a stage": (["stages", 0, "job_id"], "a/b", "stages[0].job_id"),
    "absolute collection": (["stages", 0, "collection"], "/etc", "stages[0].collection"),
    "collection upwards": (["stages", 0, "collection"], "u/../x", "stages[0].collection"),
    "source": (["certifications", 0, "source"], "u/ocps/d3\x00", "certifications[0].source"),
    "target": (["certifications", 0, "collection"], "a//b", "certifications[0].collection"),
    "type of dataset": (["certifications", 0, "dataset_type"], "a/b", "certifications[0].dataset_type"),
}


@pytest.mark.parametrize(("path", "value", "why"), CHANGES.values(), ids=CHANGES)
def test_a_journal_that_cannot_be_a_runs_is_refused(
    path: list[Any], value: Any, why: str, tmp_path: Path
) -> None:
    data: Any = to_json(a_record())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / f"{RUN_ID}.journal.json").write_text(json.dumps(data))
    with pytest.raises(LookupError) as refusal:
        load_record(tmp_path, RUN_ID)
    assert why in str(refusal.value) and str(refusal.value).isprintable()


def test_a_huge_or_deep_journal_is_refused_quickly(tmp_path: Path) -> None:
    file = tmp_path / f"{RUN_ID}.journal.json"
    cases = {
        "larger than 16 MB": lambda: os.truncate(file, 200 * 2**20),
        "brackets in each other": lambda: file.write_text("[" * 10_000 + "]" * 10_000),
        "cannot be read": lambda: file.write_text('"\\' * 5_000_000),
        "cannot be": lambda: file.write_text("9" * 10_000_000),
    }
    for why, make in cases.items():
        file.write_text("")
        make()
        began = time.process_time()
        with pytest.raises(LookupError, match=why) as refusal:
            load_record(tmp_path, RUN_ID)
        assert time.process_time() - began < 20
        assert len(str(refusal.value)) < 800


def test_no_run_id_reaches_another_file(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    journals.mkdir()
    FileJournal(tmp_path, RUN_ID).write(a_record())
    for run_id in (f"../{RUN_ID}", str(tmp_path / RUN_ID), "", ".", "a\nb", "a" * 65):
        for read in (load_record, lock_earlier_run):
            with pytest.raises(LookupError, match="is not the id of a run"):
                read(journals, run_id)
    result = calibscripts("simulate", "--workdir", tmp_path, "--resume", f"../{RUN_ID}")
    assert result.exit_code == 2 and "not the id of a run" in result.stderr


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    journals, victim = tmp_path / "journals", tmp_path / "victim"
    journals.mkdir()
    FileJournal(tmp_path, RUN_ID).write(a_record())
    victim.write_text("mine")
    file = journals / f"{RUN_ID}.journal.json"
    # Given a journal that is a link, it is neither read nor the newest
    file.symlink_to(tmp_path / file.name)
    with pytest.raises(LookupError, match="symbolic link, which is not followed"):
        load_record(journals, RUN_ID)
    assert newest_run(journals) is None
    # And what a link leads to is not written, wherever the link is
    for link in (file, journals / f"{file.name}.new"):
        link.unlink(missing_ok=True)
        link.symlink_to(victim)
        FileJournal(journals, RUN_ID).write(a_record())
        assert victim.read_text() == "mine"
        assert not file.is_symlink() and load_record(journals, RUN_ID) == a_record()
    (journals / f"{RUN_ID}.lock").symlink_to(victim)
    with pytest.raises(ObservatoryError):
        FileJournal(journals, RUN_ID).write(a_record())
    assert victim.read_text() == "mine"
    # But the folder may be a link, as where it is on another disk
    (tmp_path / "link").symlink_to(journals)
    (journals / f"{RUN_ID}.lock").unlink()
    FileJournal(tmp_path / "link", RUN_ID).write(a_record())
    assert load_record(tmp_path / "link", RUN_ID) == a_record()


@pytest.mark.parametrize(("shared", "mode"), [(None, 0o600), (0o755, 0o600), (0o770, 0o660)])
def test_files_are_private_unless_the_group_may_write_into_their_folder(
    shared: int | None, mode: int, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "journals"
    before = os.umask(0o022)
    try:
        if shared is not None:
            folder.mkdir(parents=True)
            folder.chmod(shared)
        journal = FileJournal(folder, RUN_ID)
        assert journal.check() == ()
        journal.write(a_record())
        _, lock = claim_run(folder, "20261123T053300-100002")
        write_report(a_report(), str(tmp_path / "none"), folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == (shared or 0o700)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {mode} == {file_mode(folder)}
    assert len(list(folder.iterdir())) == 5
    lock.release()


# 5. Work folders, --resume, report


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("observatory") / "repo"
    create_repository(root, LATISS, scale=32)
    return root


def test_a_half_made_repository_is_removed_only_if_nothing_was_taken(repository: Path) -> None:
    kind = repository / "simulation.json"
    kept = kind.read_text()
    kind.unlink()
    # Given frames or runs, or files that are not its own, all stays
    other = repository / "notes.txt"
    other.write_text("mine")
    with pytest.raises(WorkFolderError, match=r"notes\.txt, which may be of value"):
        remove_unfinished(repository, LATISS, [])
    other.unlink()
    with pytest.raises(WorkFolderError, match=r"AT_O_1\.fits, which may be of value"):
        remove_unfinished(repository, LATISS, [repository.parent / "staging" / "AT_O_1.fits"])
    assert (repository / "butler.yaml").exists()
    # Without them it is removed, and a draft with it
    (repository.parent / "unfinished_repo").mkdir()
    assert remove_unfinished(repository, LATISS, [])
    assert list(repository.parent.iterdir()) == []
    assert not remove_unfinished(repository, LATISS, [])
    # And another kind of half: its description
    repository.mkdir()
    kind.write_text(kept[:-5])
    from lsst.ts.calibrationscripts.simulation.repository import read_kind

    with pytest.raises(WorkFolderError, match="another version"):
        read_kind(repository)


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "gen3.sqlite3").write_text("something else")
    with pytest.raises(WorkFolderError, match="which may be of value"):
        remove_unfinished(repo, LATISS, [])
    assert (repo / "gen3.sqlite3").read_text() == "something else"


@pytest.mark.parametrize("run_id", ["", " ", "x: y", "a\nn_bias: 3"])
def test_an_empty_run_id_is_refused_with_what_to_write(run_id: str, tmp_path: Path) -> None:
    FileJournal(tmp_path / "w" / "journal", "x").check()
    FileJournal(tmp_path / "w" / "journal", RUN_ID).write(a_record())
    result = calibscripts("simulate", "--workdir", tmp_path / "w", "--resume", run_id)
    assert result.exit_code == 2
    assert f"Write --resume alone for the newest run of the work folder ({RUN_ID})" in result.stderr
    assert "Traceback" not in result.stderr


def written_report(**changes: Any) -> str:
    return json.dumps(to_json(a_report()) | changes)


BAD_REPORTS = {
    "deep": "[" * 10_000 + "]" * 10_000,
    "deep in a run": written_report(config={"a": "DEEP"}).replace('"DEEP"', "[" * 5000 + "]" * 5000),
    "long number": "9" * 100_000,
    "long text": written_report(state="x" * 5_000_000),
    "wrong types": written_report(stages=3, exposures=[], gains={"a": 1}),
    "a list": "[1, 2]",
    "unfinished": '{"format": 1, "run_id": "' + "\\" * 100_000,
    "controls": written_report(state="\x1b[2J\n"),
}


@pytest.mark.parametrize("text", BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_report_survives_any_json(text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    result = calibscripts("report", file, "-o", tmp_path / "run.html")
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1 and len(result.stderr) < 800
    assert result.stderr.rstrip("\n").isprintable()


def test_report_refuses_what_is_huge_or_no_file(tmp_path: Path) -> None:
    huge, pipe = tmp_path / "huge.json", tmp_path / "pipe.json"
    huge.touch()
    os.truncate(huge, 200 * 2**20)
    os.mkfifo(pipe)
    for file, why in ((huge, "larger than 64 MB"), (pipe, "not a regular file"), (tmp_path, "regular file")):
        result = calibscripts("report", file, "-o", tmp_path / "run.html")
        assert result.exit_code == 2 and why in result.stderr


def test_report_follows_the_link_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(written_report())
    (tmp_path / "link.json").symlink_to("run.json")
    result = calibscripts("report", tmp_path / "link.json", "-o", tmp_path / "run.html")
    assert result.exit_code == 0, result.output


def test_brackets_in_texts_are_no_depth(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps(["[" * 1000, '\\"[{' * 200, [{}] * 500]))
    assert json.loads(read_text(file))
    assert one_line("a\n\tb\x1b") == "a b" and one_line("x" * 900, 10) == "xxxxxxx..."


def test_a_lock_that_cannot_be_taken_is_a_problem_before_the_run(tmp_path: Path) -> None:
    # Given a folder in which nothing can be made
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "journals"
    run_id, lock = claim_run(folder, RUN_ID)
    # Then the run has an id, and its check says what to do
    assert (run_id, lock.held) == (RUN_ID, False)
    (problem,) = FileJournal(folder, run_id, lock).check()
    assert problem.startswith("the journal cannot be written in") and "Write another journal_dir" in problem
    assert run_lock(folder, run_id).held is False
