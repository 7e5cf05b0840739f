# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on HTCondor, by what ``bps`` answers for it.

HTCondor's daemons cannot be installed here. So a program stands in for bps
that answers as lsst/ctrl_bps eacc068a does with the plugin of
lsst/ctrl_bps_htcondor 793c5bcb: drivers.py prints the id of a run,
`status_driver` has the state as exit code, `cancel` prints a line for each
run, and a restart that fails has exit code 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from lsst.ts.calibrationscripts.bps.jobs import BpsJobs
from lsst.ts.calibrationscripts.bps.site import read_site
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import JobLostError, JobResult, JobTimeoutError, ObservatoryError

from .conftest import need_bps

SERVICE = "lsst.ctrl.bps.htcondor.HTCondorService"
SUCCEEDED, UNKNOWN, RUNNING, DELETED, FAILED = 0, 10, 15, 16, 19

SUBMITTED = "Run Id: 8154.0\nRun Name: u_bps_run\n"
REFUSED = "RuntimeError: Submission failed: unable to retrieve DAGMan job information\n"
NOT_RESTARTED = "Restart failed: HTCondor rescue DAG(s) not found in '/scratch/submit'\n"
CANCELED = "Successfully canceled job with id 'sched01#8154.0#1795685238'\n"
NOT_CANCELED = "Couldn't cancel job with id '8154.0' (no such bps job in batch queue)\n"

STAND_IN = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
words = [word for word in sys.argv[1:] if word != "--long-log"]
with (here / "asked").open("a") as stream:
    stream.write(json.dumps(words) + "\\n")
known = {{"submit": set(), "status": {{"--hist"}}, "restart": set(), "cancel": set()}}
options = {{word for word in words if word.startswith("--")}}
if options and options != {{"--wms-service-class", "--id"}} | known[words[0]]:
    sys.exit(2)
answers = json.loads((here / "answers.json").read_text())
answer = answers[words[0]].pop(0) if len(answers[words[0]]) > 1 else answers[words[0]][0]
(here / "answers.json").write_text(json.dumps(answers))
if words[0] == "submit":
    folder = pathlib.Path(words[1]).parent / "submit"
    folder.mkdir()
    if answer[2]:
        (folder / "u_bps_run.qg").touch()
sys.stdout.write(answer[1])
sys.exit(answer[0])
"""


class HTCondor:
    """Answers of bps, in the order in which they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        program = self.folder / "bps"
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)
        for name in ("pipetask", "butler"):
            (self.folder / name).touch(0o755)
        self.answers(submit=[[0, SUBMITTED, True]], status=[[SUCCEEDED, ""]])

    def answers(self, **answers: list[Any]) -> None:
        file = self.folder / "answers.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(before | answers))

    def asked(self, command: str) -> list[list[str]]:
        lines = (self.folder / "asked").read_text().splitlines()
        return [words for words in map(json.loads, lines) if words[0] == command]


@pytest.fixture
def htcondor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HTCondor:
    need_bps()
    monkeypatch.setattr(BpsJobs, "POLL", 0.01)
    monkeypatch.setattr(BpsJobs, "LOST_AFTER", 0.3)
    return HTCondor(tmp_path)


@pytest.fixture
def jobs(htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BpsJobs:
    return make_jobs(htcondor, tmp_path, monkeypatch)


def make_jobs(
    htcondor: HTCondor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    ended: int = 3,
    job_timeout: float = 60.0,
) -> BpsJobs:
    """Return the service, with so many of three quanta that ended well."""
    site = folder / "site.yaml"
    site.write_text(f"wmsServiceClass: {SERVICE}\ncomputeSite: usdf\n")

    async def count(*words: str, **options: Any) -> tuple[int, str]:
        return 0, json.dumps({"cpBiasIsr": [3, ended]})

    jobs = BpsJobs(
        read_site(site),
        repo="/repo/LATISS",
        raws="LATISS/raw/all",
        journals=folder,
        run_id="1",
        job_timeout=job_timeout,
        environment={"PATH": str(htcondor.folder)},
    )
    monkeypatch.setattr(jobs, "_ask", count)
    return jobs


REQUEST = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), (2026112300001,))


async def test_a_job_ends_as_its_status_says(jobs: BpsJobs, htcondor: HTCondor) -> None:
    htcondor.answers(status=[[RUNNING, ""], [RUNNING, ""], [SUCCEEDED, ""]])
    job_id = await jobs.submit(REQUEST)
    assert await jobs.result(job_id) == JobResult(job_id, 0)
    # It is asked for by HTCondor's own id.
    assert (
        htcondor.asked("status")
        == [["status", "--wms-service-class", SERVICE, "--hist", "7", "--id", "8154.0"]] * 3
    )


@pytest.mark.parametrize("state", [FAILED, DELETED])
async def test_a_workflow_that_failed_is_a_failed_job(state: int, jobs: BpsJobs, htcondor: HTCondor) -> None:
    htcondor.answers(status=[[state, ""]])
    job_id = await jobs.submit(REQUEST)
    assert await jobs.result(job_id) == JobResult(job_id, 1)


async def test_success_is_not_believed_without_all_quanta(
    htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(htcondor, tmp_path, monkeypatch, ended=2)
    job_id = await jobs.submit(REQUEST)
    assert await jobs.result(job_id) == JobResult(job_id, 1)
    assert (await jobs.log_tail(job_id))[-1] == "Not ended well: 1 of 3 quanta of cpBiasIsr."


async def test_a_submission_that_is_refused_may_be_repeated(jobs: BpsJobs, htcondor: HTCondor) -> None:
    htcondor.answers(submit=[[1, REFUSED, True]])
    job_id = await jobs.submit(REQUEST)
    with pytest.raises(JobLostError, match=r"did not take job 1_.*unable to retrieve DAGMan job"):
        await jobs.result(job_id)


async def test_a_pipeline_that_gives_no_graph_is_a_failed_job(jobs: BpsJobs, htcondor: HTCondor) -> None:
    # Submitted again, it would fail again.
    htcondor.answers(submit=[[1, "Generating quantum graph failed with non-zero exit code (1)\n", False]])
    job_id = await jobs.submit(REQUEST)
    assert await jobs.result(job_id) == JobResult(job_id, 1)


async def test_a_queue_that_does_not_answer_for_a_while_loses_no_job(
    jobs: BpsJobs, htcondor: HTCondor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BpsJobs, "LOST_AFTER", 60.0)
    # bps ends with exit code 1 if it cannot reach the schedd.
    htcondor.answers(status=[[RUNNING, ""], [1, "HTCondorLocateError"], [UNKNOWN, ""], [SUCCEEDED, ""]])
    job_id = await jobs.submit(REQUEST)
    assert await jobs.result(job_id) == JobResult(job_id, 0)


async def test_a_job_that_is_not_known_for_long_is_lost(jobs: BpsJobs, htcondor: HTCondor) -> None:
    htcondor.answers(status=[[UNKNOWN, ""]])
    job_id = await jobs.submit(REQUEST)
    with pytest.raises(JobLostError, match="has not known job"):
        await jobs.result(job_id)


async def test_a_job_that_a_queue_keeps_is_given_up_in_time_and_canceled(
    htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(htcondor, tmp_path, monkeypatch, job_timeout=3.0)
    htcondor.answers(status=[[14, ""]], cancel=[[0, CANCELED]])
    job_id = await jobs.submit(REQUEST)
    with pytest.raises(JobTimeoutError, match="did not end within 3 s"):
        await jobs.result(job_id)
    await jobs.abort(job_id)
    assert htcondor.asked("cancel") == [["cancel", "--wms-service-class", SERVICE, "--id", "8154.0"]]


async def test_a_cancellation_that_is_refused_says_why(jobs: BpsJobs, htcondor: HTCondor) -> None:
    htcondor.answers(status=[[RUNNING, ""]], cancel=[[0, NOT_CANCELED]])
    job_id = await jobs.submit(REQUEST)
    waits = asyncio.create_task(jobs.result(job_id))
    with pytest.raises(ObservatoryError, match="no such bps job in batch queue"):
        await jobs.abort(job_id)
    waits.cancel()


class TestResume:
    """What becomes of a job whose script was killed: HTCondor has it yet."""

    async def test_one_that_runs_is_waited_for(
        self, jobs: BpsJobs, htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = await jobs.submit(REQUEST)
        await jobs.result(job_id)
        later = make_jobs(htcondor, tmp_path, monkeypatch)
        htcondor.answers(status=[[RUNNING, ""], [SUCCEEDED, ""]])
        assert await later.resume(job_id)
        assert await later.result(job_id) == JobResult(job_id, 0)
        assert not htcondor.asked("restart")

    async def test_one_that_failed_is_restarted_from_its_folder(
        self, jobs: BpsJobs, htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = await jobs.submit(REQUEST)
        await jobs.result(job_id)
        later = make_jobs(htcondor, tmp_path, monkeypatch)
        htcondor.answers(
            status=[[FAILED, ""], [SUCCEEDED, ""]], restart=[[0, SUBMITTED.replace("8154", "8200")]]
        )
        assert await later.resume(job_id)
        assert await later.result(job_id) == JobResult(job_id, 0)
        folder = str(tmp_path / "bps" / job_id / "submit")
        assert htcondor.asked("restart") == [["restart", "--wms-service-class", SERVICE, "--id", folder]]
        assert htcondor.asked("status")[-1][-1] == "8200.0"

    async def test_one_that_cannot_be_restarted_may_be_submitted_again(
        self, jobs: BpsJobs, htcondor: HTCondor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = await jobs.submit(REQUEST)
        await jobs.result(job_id)
        later = make_jobs(htcondor, tmp_path, monkeypatch)
        htcondor.answers(status=[[FAILED, ""]], restart=[[0, NOT_RESTARTED]])
        assert await later.resume(job_id)
        with pytest.raises(JobLostError, match="Restart failed: HTCondor rescue DAG"):
            await later.result(job_id)

    async def test_one_that_was_never_submitted_is_not_continued(self, jobs: BpsJobs) -> None:
        assert not await jobs.resume("1_0123456789ab")


def test_the_commands_and_options_are_those_of_bps() -> None:
    commands = pytest.importorskip("lsst.ctrl.bps.cli.cmd.commands")
    for name, more in (("status", {"--hist"}), ("restart", set()), ("cancel", set())):
        options = {option for each in getattr(commands, name).params for option in each.opts}
        assert {"--wms-service-class", "--id"} | more <= options, name
