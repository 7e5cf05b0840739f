# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script on the simulated observatory, as queue and operator see it.

All tests share one observatory, so each leaves it as it was: ENABLED, with no
job running.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner, Result
from leaks import no_tasks_left
from lsst.daf.butler import Butler, CollectionType, Timespan
from lsst.ts.calibrationscripts import reporting
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files.journal import FileJournal, lock_earlier_run
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory import connection, ending, foresight, publishing, script
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.queue import (
    FINAL_STATES,
    LogMessage,
    QueuedScript,
    QueueHooks,
    QueueOptions,
    ScriptResult,
    run_script,
)
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.procedure import _procedure, remaining
from lsst.ts.calibrationscripts.record import Frame, RunRecord
from lsst.ts.calibrationscripts.report import Evidence, RunReport, next_steps
from lsst.ts.calibrationscripts.simulation.cscs.surroundings import LampState
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from lsst.ts.calibrationscripts.simulation.pace import as_simulated
from named import BIAS

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT = 100.0
"""What a test waits for at most (s)."""

STOP_TIMEOUT = 10.0
"""Longest that an operator's stop may take (s)."""

GROUP_ID = "2022-09-29T14:00:00.000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observatory(
    module_topics: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedObservatory]:
    async with (
        no_tasks_left(),
        SimulatedObservatory(
            tmp_path_factory.mktemp("observatory"),
            instrument=LATISS,
            settings=SimulationSettings(scale=32),
            time_scale=0.005,
            day_obs=datetime.date(2022, 9, 29),
        ) as observatory,
    ):
        yield observatory


class Run:
    """A run of the script, and what it publishes."""

    def __init__(self, observatory: SimulatedObservatory, **config: Any) -> None:
        here = {"repo": str(observatory.repo), "ocps_log_path": observatory.ocps_log_path}
        self.config = yaml.safe_dump(here | config)
        self.job_has_started = asyncio.Event()
        self.script: Any = None

    @property
    def report(self) -> RunReport:
        report = self.script.report
        assert isinstance(report, RunReport)
        return report

    def outcome(self, stage: str) -> Outcome:
        return next(result.outcome for result in self.report.stages if result.name == stage)

    def make_script(self, index: int) -> MakeLatissCalibrations:
        self.script = MakeLatissCalibrations(index=index)
        return self.script

    def on_message(self, message: LogMessage) -> None:
        if ": job " in message.text:
            self.job_has_started.set()

    @property
    def file_of_bias(self) -> str:
        """The pipeline of biases that the script reads."""
        return f"{self.script.environment['CP_PIPE_DIR']}/pipelines/LATISS/cpBias.yaml"

    async def to_its_end(self, on_paused: Any = None, **options: Any) -> ScriptResult:
        return await run_script(
            self.make_script,
            self.config,
            group_id=GROUP_ID,
            timeout=TIMEOUT,
            options=QueueOptions(**options),
            hooks=QueueHooks(on_message=self.on_message, on_paused=on_paused),
        )


def texts(result: ScriptResult, level: int = logging.WARNING) -> str:
    return "\n".join(message.text for message in result.messages if message.level >= level)


# Configuration


async def test_the_queue_learns_what_is_planned(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="FLAT", n_flat=3, exp_times_flat=15, filter="SDSSr_65mm")
    plan = make_plan(parse(run.config, LATISS), LATISS)
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        result = queued.result()
        assert result.states == ("UNCONFIGURED", "CONFIGURED")
        assert result.duration == plan.duration
        assert result.metadata.nimages == len(plan.exposures) == 4
        assert (result.metadata.instrument, result.metadata.filters) == ("LATISS", "SDSSr_65mm")
        await queued.stop()
        await queued.wait_for("STOPPED", timeout=TIMEOUT)
    assert run.script.report is None


async def test_the_notices_of_the_plan_are_in_the_log(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="FLAT", n_flat=2, exp_times_flat=[1, 2], background_task_timeout=5)
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        async with asyncio.timeout(TIMEOUT):
            while "Expected end:" not in texts(queued.result(), logging.INFO):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    notices = make_plan(parse(run.config, LATISS), LATISS).notices
    assert notices
    (logged,) = [message.text for message in queued.result().messages if "Expected end:" in message.text]
    assert all(f"Note: {notice}" in " ".join(logged.split()) for notice in notices)


async def test_a_resumed_run_is_parsed_and_planned_once(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given the journal of an earlier run in a folder of its own
    text = f"{{script_mode: BIAS, repo: {observatory.repo}}}"
    earlier = RunRecord("20220929T140000-1", parse(text, LATISS).to_dict())
    FileJournal(tmp_path, earlier.run_id).write(earlier)
    calls: list[str] = []
    for name, original in (("parse", parse), ("make_plan", make_plan)):
        noted = functools.partial(noting, calls, original)
        monkeypatch.setattr(script, name, noted)
    # When the script is configured to resume it
    run = Run(observatory)
    run.config = yaml.safe_dump({"resume": earlier.run_id, "journal_dir": str(tmp_path)})
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        assert queued.result().metadata.nimages == 21
    assert calls == ["parse", "make_plan"]


async def test_a_resumed_run_announces_what_is_left(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    # Given a run that took the first four of its biases
    text = f"{{script_mode: BIAS, n_bias: 9, repo: {observatory.repo}}}"
    record = RunRecord("20220929T140000-1", parse(text, LATISS).to_dict())
    for number in range(1, 5):
        record = record.with_frame(Frame(BIAS, number, f"group#{number}", 2022092900000 + number))
    FileJournal(tmp_path, record.run_id).write(record)
    config = parse(text, LATISS)
    plan = make_plan(config, LATISS)
    # When the script is configured to resume it
    run = Run(observatory)
    run.config = yaml.safe_dump({"resume": record.run_id, "journal_dir": str(tmp_path)})
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        result = queued.result()
        # Then the queue and the log count the other six
        assert result.metadata.nimages == 6
        assert result.duration == pytest.approx(remaining(plan, config, record).duration)
        assert result.duration < plan.duration
        async with asyncio.timeout(TIMEOUT):
            while "What is left of run" not in texts(queued.result(), logging.INFO):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert f"What is left of run {record.run_id}: 6 exposures" in texts(queued.result(), logging.INFO)


async def test_the_remotes_are_closed_together(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given remotes that take a while to close
    closing, most = 0, 0
    close = salobj.Remote.close

    async def close_slowly(remote: Any) -> None:
        nonlocal closing, most
        closing += 1
        most = max(most, closing)
        await asyncio.sleep(0.3)
        await close(remote)
        closing -= 1

    run = Run(observatory)
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        monkeypatch.setattr(salobj.Remote, "close", close_slowly)
        await queued.stop()
        await queued.wait_for("STOPPED", timeout=TIMEOUT)
        await run.script.done_task
        # Then all are closed at the same time, and before the domain: five
        # that take frames and process them, four that flats depend on
        assert (most, closing) == (9, 0)
        monkeypatch.undo()


async def test_remotes_that_do_not_close_do_not_hold_up_the_end(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_CLOSE_TIMEOUT", 0.1)
    released = asyncio.Event()

    async def never_close(remote: Any) -> None:
        await released.wait()

    run = Run(observatory)
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        with monkeypatch.context() as patch:
            patch.setattr(salobj.Remote, "close", never_close)
            await queued.stop()
            # Then the domain closes them in its own way.
            await asyncio.wait_for(asyncio.shield(run.script.done_task), TIMEOUT)
        released.set()


# What is around the camera


async def test_a_run_whose_lamp_is_off_takes_no_frame(observatory: SimulatedObservatory) -> None:
    lamp = observatory.surroundings.white_light
    # Given a lamp that is off when the script is configured, and when it runs
    await lamp.become("lampState", basicState=LampState.OFF)
    run = Run(observatory, script_mode="FLAT", n_flat=2)
    before = observatory.camera.evt_startIntegration.data.imageName
    try:
        result = await run.to_its_end()
    finally:
        await lamp.become("lampState", basicState=LampState.ON)
    # Then it is configured with a warning, and fails before the first frame
    assert result.states[:2] == ("UNCONFIGURED", "CONFIGURED")
    assert "Not met now, and looked at again before frames are taken: ATWhiteLight: the lamp" in texts(result)
    assert result.state == "FAILED"
    assert "ATWhiteLight: the lamp of the white light is OFF, not ON." in result.reason
    assert "preconditions: warn" in result.reason
    assert "Traceback" not in texts(result)
    assert observatory.camera.evt_startIntegration.data.imageName == before
    assert run.report.journal == ""


@pytest.fixture
def sighup() -> Iterator[None]:
    """Have SIGHUP handled, though nohup may have started the tests."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, previous)


async def test_sighup_stops_in_order_like_sigterm(sighup: None, observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIAS", n_bias=2)

    async def hang_up(queued: QueuedScript) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    result = await run.to_its_end(pause_checkpoint="BIAS 2/.*", on_paused=hang_up)
    assert result.states[-2:] == ("STOPPING", "STOPPED")
    assert run.report.state == "STOPPED"
    assert "Stopped by a termination signal." in texts(result, logging.INFO)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


async def test_a_report_that_is_given_up_writes_nothing_any_more(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a Butler that hangs while the report reads it
    hangs, released, read = threading.Event(), threading.Event(), threading.Event()

    def hang(report: RunReport, repo: str, warn: object) -> Evidence:
        if not Path(report.journal).is_relative_to(tmp_path):
            # One that an earlier test has given up, on a busy machine.
            return Evidence()
        hangs.set()
        assert released.wait(TIMEOUT)
        read.set()
        return Evidence(notes=("read late",))

    async def write(report: RunReport, repo: str, folder: Path) -> reporting.WrittenReport:
        writing = asyncio.create_task(ending.write_in_thread(report, repo, folder))
        assert await asyncio.to_thread(hangs.wait, TIMEOUT)
        writing.cancel()
        return await writing

    monkeypatch.setattr(reporting, "gather", hang)
    monkeypatch.setattr(MakeLatissCalibrations, "write_report", staticmethod(write))
    monkeypatch.setattr(ending, "_REPORT_TIMEOUTS", {RunState.STOPPED: TIMEOUT})
    run = Run(observatory, script_mode="BIAS", journal_dir=str(tmp_path))
    result = await run.to_its_end(pause_checkpoint="BIAS 2/.*", on_paused=QueuedScript.stop)
    assert "The run's report" in texts(result)
    # When it answers after all, then the page stays as it is.
    released.set()
    assert await asyncio.to_thread(read.wait, TIMEOUT)
    await asyncio.sleep(0.5)
    page = tmp_path / f"{run.report.run_id}.html"
    assert "read late" not in page.read_text(encoding="utf-8")


def noting(calls: list[str], original: Any, *args: Any) -> Any:
    calls.append(original.__name__)
    return original(*args)


async def test_a_bad_configuration_is_refused_with_every_problem(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIASES", n_bias=-1, exp_time_dark=5, n_dark="three")
    result = await run.to_its_end()
    assert result.state == "CONFIGURE_FAILED"
    assert result.metadata is None
    for words in ("BIASES", "n_bias", "exp_time_dark", "did you mean exp_times_dark", "n_dark"):
        assert words in result.reason
    # It is for the observer to fix: no traceback.
    assert result.reason in texts(result, logging.ERROR)
    assert "".join(message.traceback for message in result.messages) == ""


async def test_a_text_that_is_not_a_mapping_is_refused(observatory: SimulatedObservatory) -> None:
    run = Run(observatory)
    run.config = "n_bias=3"
    result = await run.to_its_end()
    assert result.state == "CONFIGURE_FAILED"
    assert "n_bias: 3" in result.reason


async def test_frames_that_a_resumed_run_does_not_have_are_refused_when_it_is_configured(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    # Given a run of five biases
    record = RunRecord("20220929T140000-1", parse("{script_mode: BIAS, n_bias: 4}", LATISS).to_dict())
    for number in range(1, 6):
        record = record.with_frame(Frame(BIAS, number, f"group#{number}", 2022092900000 + number))
    FileJournal(tmp_path, record.run_id).write(record)
    # When it is to be resumed without a frame of another
    run = Run(observatory)
    run.config = yaml.safe_dump(
        {"resume": record.run_id, "journal_dir": str(tmp_path), "without": [2022092900009]}
    )
    result = await run.to_its_end()
    # Then that is refused by name, and the run can be resumed
    assert result.state == "CONFIGURE_FAILED"
    assert "without: 2022092900009 is not a frame of this run" in result.reason
    lock_earlier_run(tmp_path, record.run_id).release()


async def test_remotes_that_do_not_start_are_reported(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_START_TIMEOUT", 0.0)
    result = await Run(observatory).to_its_end()
    assert result.state == "CONFIGURE_FAILED"
    assert "SAL" in result.reason and "0 s" in result.reason


# What keeps a run from beginning


def assert_refused(run: Run, result: ScriptResult) -> None:
    """See that a script is not queued, and why, without a traceback."""
    assert (result.state, result.metadata) == ("CONFIGURE_FAILED", None)
    assert run.script.report is None
    assert result.reason in texts(result, logging.ERROR)
    assert "".join(message.traceback for message in result.messages) == ""


@contextlib.asynccontextmanager
async def disabled(*cscs: Any) -> AsyncIterator[None]:
    """Disable components and enable them again."""
    async with salobj.Domain() as domain, contextlib.AsyncExitStack() as stack:
        remotes = [
            await stack.enter_async_context(salobj.Remote(domain, csc.salinfo.name, csc.salinfo.index))
            for csc in cscs
        ]
        try:
            for remote in remotes:
                await remote.cmd_disable.start(timeout=TIMEOUT)
            yield
        finally:
            for remote in remotes:
                await remote.cmd_enable.start(timeout=TIMEOUT)


async def test_every_problem_is_reported_before_the_first_exposure(
    observatory: SimulatedObservatory,
) -> None:
    # Given two components that are DISABLED, which configuring does not need,
    # and a collection that is removed after the script is configured.
    collection = "LATISS/calib/weekly"
    with Butler.from_config(str(observatory.repo), writeable=True) as butler:
        butler.collections.register(collection, CollectionType.CHAINED)
    run = Run(observatory, script_mode="BIAS", input_collections_verify_bias=f"{collection},LATISS/calib")
    async with (
        disabled(observatory.ocps, observatory.header_service),
        QueuedScript(run.make_script) as queued,
    ):
        await queued.configure(run.config)
        with Butler.from_config(str(observatory.repo), writeable=True) as butler:
            butler.collections.x_remove(collection)
        await queued.run(GROUP_ID, timeout=TIMEOUT)
        await queued.wait_for("FAILED", timeout=TIMEOUT)
    result = queued.result()
    # Then the run looks again.
    for words in ("OCPS:1 is DISABLED", "atheaderservice", f"{collection} does not exist"):
        assert words in result.reason
    # Once, not for each calibration that it cannot have.
    assert result.reason.count(collection) == 1
    assert result.checkpoints == ()
    assert run.report.exposures == {"BIAS": ()}
    # And there is no journal to name, and nothing to resume.
    (summary,) = [message.text for message in result.messages if "The script ended FAILED" in message.text]
    assert summary.endswith("\nNothing was begun. Correct it and run again.")
    assert "Journal" not in summary and "resume" not in summary
    assert run.report.journal == ""
    assert next_steps(run.report) == ("Nothing was begun. Correct it and run again.",)
    assert "".join(message.traceback for message in result.messages) == ""


async def test_an_unknown_filter_is_refused_before_the_first_exposure(
    observatory: SimulatedObservatory,
) -> None:
    run = Run(observatory, script_mode="FLAT", filter="SDSSz")
    result = await run.to_its_end()
    assert_refused(run, result)
    # Once, though it is found in two places.
    assert "filter: SDSSz: ATSpectrograph does not have this filter; write one of empty_1" in result.reason
    assert result.reason.count("filter: SDSSz") == 1


async def test_calibrations_that_jobs_need_are_missed_before_the_first_exposure(
    observatory: SimulatedObservatory,
) -> None:
    # Given a collection that exists, and has no calibrations.
    run = Run(observatory, script_mode="BIAS", input_collections_verify_bias="LATISS/raw/all")
    result = await run.to_its_end()
    assert result.state == "FAILED"
    reason = result.reason.removeprefix("Error in run: ")
    missing = [line.partition(": none for detector 0 in LATISS/raw/all ")[0] for line in reason.splitlines()]
    assert missing == ["crosstalk", "linearizer", "ptc", "bias", "defects"]
    # The log said so when the script was configured; an earlier script of the
    # queue might still have made them.
    assert (
        texts(result).count("Forecast: verify BIAS is certain to fail: crosstalk: none for detector 0") == 1
    )
    assert run.report.exposures == {"BIAS": ()}
    assert result.checkpoints == ()


async def test_an_option_for_an_unknown_task_is_refused_before_the_first_exposure(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the pipelines of the observatory at hand, as the environment says
    for name, folder in observatory.pipelines_environment.items():
        monkeypatch.setenv(name, folder)
    run = Run(
        observatory,
        script_mode="BIAS",
        generate_calibrations=True,
        config_options_bias="-c cpBiasIssr:doDefect=False",
    )
    result = await run.to_its_end()
    assert_refused(run, result)
    assert (
        f"-c cpBiasIssr:doDefect=False: {run.file_of_bias} has no task cpBiasIssr, but cpBiasCombine, "
        "cpBiasIsr. Write one of those in its place, or leave the option out"
    ) in result.reason


async def test_without_a_repository_nothing_begins(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIAS", repo="/no/such/repo")
    result = await run.to_its_end()
    assert_refused(run, result)
    assert "/no/such/repo" in result.reason and "configuration key 'repo'" in result.reason


async def test_a_collection_that_does_not_exist_is_refused_when_configured(
    observatory: SimulatedObservatory,
) -> None:
    run = Run(observatory, script_mode="BIAS", input_collections_verify_bias="LATISS/calib/wekly")
    result = await run.to_its_end()
    assert_refused(run, result)
    assert "input collection LATISS/calib/wekly does not exist" in result.reason


async def test_a_repository_that_does_not_answer_is_left_to_the_run(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a repository that takes longer than the look at it may
    monkeypatch.setattr(foresight, "_LOOK_TIMEOUT", 0.0)
    run = Run(observatory, script_mode="BIAS", input_collections_verify_bias="LATISS/calib/wekly")
    result = await run.to_its_end()
    # Then the script is configured with a warning, and its run refuses.
    assert result.state == "FAILED"
    assert "did not answer within 0 s; the run looks again" in texts(result)
    assert "input collection LATISS/calib/wekly does not exist" in result.reason


async def validate(folder: Path, **data: Any) -> Result:
    """Validate a configuration by the command."""
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(data))
    return await asyncio.to_thread(CliRunner().invoke, main, ["validate", str(file)])


async def test_the_command_looks_for_the_flat_of_each_filter(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    # Given a repository that has no flat of a filter
    data = {"repo": str(observatory.repo), "script_mode": "FLAT", "grating": "empty_1"}
    result = await validate(tmp_path, **data, filter="SDSSz_65mm")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "verify FLAT is certain to fail: flat: none for detector 0 through SDSSz_65mm~empty_1" in text
    assert "generate_calibrations: true" in text
    # Then of another nothing is said, and strict refuses the one.
    assert "Forecast" not in (await validate(tmp_path, **data, filter="SDSSr_65mm")).stdout
    result = await validate(tmp_path, **data, filter="SDSSz_65mm", strict=True)
    assert result.exit_code == 2 and "strict: verify FLAT" in result.stderr


async def test_the_command_says_what_the_run_would_refuse(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    data = {"repo": str(observatory.repo), "script_mode": "BIAS", "generate_calibrations": True}
    result = await validate(tmp_path, **data, calib_collection="LATISS/raw/all")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "the run is certain to fail: calib_collection LATISS/raw/all is a RUN collection" in text


async def test_flats_of_a_filter_that_is_not_known_yet_are_left_to_the_run(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    # Given a collection that has the flats of other filters for all times
    collection = "LATISS/calib/of_one_filter"
    with Butler.from_config(str(observatory.repo), writeable=True) as butler:
        butler.collections.register(collection, CollectionType.CALIBRATION)
        refs = butler.query_datasets(
            "flat", collections="LATISS/calib/reference", limit=None, find_first=False
        )
        flats = [ref for ref in refs if ref.dataId["physical_filter"].startswith("SDSSi_65mm~")]
        assert flats
        butler.registry.certify(collection, flats, Timespan(None, None))
    data = {"repo": str(observatory.repo), "script_mode": "FLAT", "generate_calibrations": True}
    data["calib_collection"] = collection
    # When the grating stays as it is, only the run knows the physical filter.
    result = await validate(tmp_path, **data, filter="SDSSr_65mm")
    assert "has calibrations already" not in result.stdout
    # With both, it is known to be another, or the same.
    result = await validate(tmp_path, **data, filter="SDSSr_65mm", grating="empty_1")
    assert "has calibrations already" not in result.stdout
    result = await validate(tmp_path, **data, filter="SDSSi_65mm", grating="empty_1")
    assert "has calibrations already" in " ".join(result.stdout.split())


async def test_a_refused_run_can_be_resumed_at_once(
    observatory: SimulatedObservatory, tmp_path: Path
) -> None:
    text = f"{{script_mode: BIAS, repo: {observatory.repo}, calib_collection: LATISS/raw/all}}"
    config = parse(f"{text[:-1]}, generate_calibrations: true}}", LATISS)
    FileJournal(tmp_path, "20220929T140000-2").write(RunRecord("20220929T140000-2", config.to_dict()))
    run = Run(observatory)
    run.config = yaml.safe_dump({"resume": "20220929T140000-2", "journal_dir": str(tmp_path)})
    result = await run.to_its_end()
    assert_refused(run, result)
    assert "LATISS/raw/all is a RUN collection" in result.reason
    lock_earlier_run(tmp_path, "20220929T140000-2").release()


ONE_BIAS = {"script_mode": "BIAS", "n_bias": 1, "generate_calibrations": True}


async def test_strict_refuses_what_is_certain_to_fail(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, **ONE_BIAS, calib_collection="LATISS/calib/one", strict=True)
    result = await run.to_its_end()
    assert_refused(run, result)
    for words in ("strict: verify BIAS is certain to fail", "combined from one frame", "Write n_bias: 20"):
        assert words in result.reason


async def test_without_strict_the_forecast_is_a_warning(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, **ONE_BIAS, calib_collection="LATISS/calib/one")
    async with QueuedScript(run.make_script) as queued:
        await queued.configure(run.config)
        async with asyncio.timeout(TIMEOUT):
            while "Forecast: verify BIAS is certain to fail" not in texts(queued.result()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert queued.result().state == "CONFIGURED"


@pytest.mark.parametrize("simulated", [False, True])
async def test_the_disk_is_forecast_for_the_frames_that_are_taken(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch, *, simulated: bool
) -> None:
    # Given room for frames of the simulation, and not for those of LATISS
    monkeypatch.setattr(ButlerRepository, "free_space", lambda repository: 10**9)
    run = Run(observatory, script_mode="BIAS")
    async with QueuedScript(run.make_script) as queued:
        if simulated:
            run.script.planned_as = as_simulated(observatory.focal_plane, observatory.time_scale)
        await queued.configure(run.config)
        result = queued.result()
    assert result.states[-1] == "CONFIGURED"
    is_foretold = "are needed on the disk of" in texts(result)
    assert is_foretold is not simulated


# Runs


@pytest.mark.slow
async def test_a_run_pauses_is_resumed_and_ends_done(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIAS", n_bias=4, program="BLOCK-T60", reason="daily", n_processes=1)
    at_pause: list[tuple[str, ...]] = []

    async def resume(queued: QueuedScript) -> None:
        at_pause.append(queued.result().checkpoints)
        await queued.resume()

    result = await run.to_its_end(pause_checkpoint="BIAS [23]/.*", on_paused=resume, block_id="BLOCK-T60")
    # Then the operator sees how far the run is, and how it ends.
    assert result.states == (
        *("UNCONFIGURED", "CONFIGURED", "RUNNING", "PAUSED", "RUNNING", "PAUSED"),
        *("RUNNING", "ENDING", "DONE"),
    )
    frames = tuple(f"BIAS {i}/5, 0 s" for i in range(1, 6))
    assert at_pause == [frames[:2], frames[:3]]
    assert result.checkpoints[:5] == frames
    assert all(name.startswith("Processing, ") for name in result.checkpoints[5:])

    # And the report has what is in the Butler.
    report = run.report
    assert report.state == "DONE" and report.complete, report
    assert len(report.exposures["BIAS"]) == 5 and report.discarded["BIAS"] == report.exposures["BIAS"][:1]
    assert run.outcome("verify BIAS") is Outcome.PASSED
    assert [exposure.exposure for exposure in report.verdicts[BIAS].results] == list(
        report.exposures["BIAS"][1:]
    )
    with Butler.from_config(str(observatory.repo)) as butler:
        records = {
            record.id: record
            for record in butler.query_dimension_records("exposure", instrument="LATISS", explain=False)
        }
    for number, exposure in enumerate(report.exposures["BIAS"], 1):
        record = records[exposure]
        assert (record.science_program, record.observation_reason) == ("BLOCK-T60", "daily")
        # Each frame is a group of its own, by which it can be found again.
        assert record.group == f"BLOCK-T60_{run.script.salinfo.index}#{number}"


@pytest.mark.parametrize("stopped", [False, True], ids=["fails", "stopped"])
async def test_a_report_that_is_not_written_leaves_the_run_done(
    stopped: bool, observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a run that has ended, whose report then fails or takes too long
    reporting, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def write_report(*args: object) -> None:
        loop.call_soon_threadsafe(reporting.set)
        may_end.wait(TIMEOUT if stopped else 0.0)
        raise RecursionError("the page is too deep")

    monkeypatch.setattr(ending, "write_report", write_report)
    run = Run(observatory, script_mode="BIAS", n_bias=3, do_verify=False, journal_dir=str(tmp_path))
    async with QueuedScript(run.make_script) as queued, asyncio.TaskGroup() as tasks:
        await queued.configure(run.config)
        tasks.create_task(queued.run(GROUP_ID, timeout=TIMEOUT))
        async with asyncio.timeout(TIMEOUT):
            await reporting.wait()
        if stopped:
            await queued.stop()
        await queued.wait_for(*FINAL_STATES, timeout=TIMEOUT)
    may_end.set()
    # Then the run is what it was, and is free to be resumed
    result = queued.result()
    assert (result.state, run.report.state, run.report.complete) == ("DONE", "DONE", True)
    why = "it was stopped" if stopped else "the page is too deep"
    assert f"The run's report in {tmp_path} is not complete: {why}" in texts(result)
    lock_earlier_run(tmp_path, run.report.run_id).release()


@pytest.mark.slow
async def test_certifying_again_is_refused_before_the_first_exposure(
    observatory: SimulatedObservatory,
) -> None:
    config = {
        "script_mode": "BIAS",
        "n_bias": 3,
        "generate_calibrations": True,
        "do_verify": False,
        "calib_collection": "LATISS/calib/again",
    }
    # Given a bias that was certified for all the time of the defaults.
    first = Run(observatory, **config)
    assert (await first.to_its_end()).state == "DONE"
    assert first.outcome("certify BIAS") is Outcome.CERTIFIED
    # When the same is asked for again.
    second = Run(observatory, **config)
    result = await second.to_its_end()
    # Then the message says what to write instead, before anything is done.
    assert_refused(second, result)
    for words in ("LATISS/calib/again has calibrations already (bias", "Write another calib_collection"):
        assert words in result.reason


async def test_a_paused_run_can_be_stopped(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIAS_DARK")
    result = await run.to_its_end(pause_checkpoint="BIAS 2/.*", on_paused=QueuedScript.stop)
    assert result.states[-3:] == ("PAUSED", "STOPPING", "STOPPED")
    assert run.report.state == "STOPPED"
    assert {name: len(ids) for name, ids in run.report.exposures.items()} == {"BIAS": 1, "DARK": 0}
    assert {result.outcome for result in run.report.stages} == {Outcome.ABORTED}


@pytest.mark.slow
async def test_a_stop_at_a_checkpoint_aborts_the_job_beside_it(observatory: SimulatedObservatory) -> None:
    # Given biases that are verified while the script waits to take darks.
    run = Run(observatory, script_mode="BIAS_DARK", n_bias=2, n_dark=5, exp_times_dark=5)

    async def resume(queued: QueuedScript) -> None:
        await asyncio.wait_for(run.job_has_started.wait(), TIMEOUT)
        await queued.resume()

    # When it is to stop at the second dark.
    result = await run.to_its_end(pause_checkpoint="DARK 1/.*", stop_checkpoint="DARK 2/.*", on_paused=resume)
    # Then no job runs on, and the report has the outcome of each stage.
    assert result.states[-2:] == ("STOPPING", "STOPPED")
    assert run.report.state == "STOPPED"
    assert len(run.report.exposures["DARK"]) == 1
    assert run.outcome("verify BIAS") is Outcome.ABORTED
    assert run.outcome("verify DARK") is Outcome.ABORTED
    assert_no_job_runs(observatory, run)


@pytest.mark.slow
async def test_a_stop_command_ends_a_run_within_seconds(observatory: SimulatedObservatory) -> None:
    run = Run(observatory, script_mode="BIAS", n_bias=2)
    async with QueuedScript(run.make_script, QueueHooks(on_message=run.on_message)) as queued:
        await queued.configure(run.config)
        running = asyncio.create_task(queued.run(GROUP_ID, timeout=TIMEOUT))
        await asyncio.wait_for(run.job_has_started.wait(), TIMEOUT)
        # When the operator presses stop, and again.
        await asyncio.gather(queued.stop(), queued.stop())
        assert await queued.wait_for("STOPPED", timeout=STOP_TIMEOUT) == "STOPPED"
        await running
    assert run.report.state == "STOPPED"
    assert run.outcome("expose BIAS") is Outcome.PASSED
    assert run.outcome("verify BIAS") is Outcome.ABORTED
    assert_no_job_runs(observatory, run)


@pytest.mark.slow
async def test_a_stop_ends_in_the_time_of_the_queue_though_the_ocps_answers_nothing(
    observatory: SimulatedObservatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a queue that waits 10 s, and 1 s for the script (ts_scriptqueue
    # 688c7ad, script_queue.py: do_stopScripts), and an OCPS that is mute
    mute, heard = asyncio.Event(), asyncio.Event()

    async def be_mute(job: object) -> None:
        heard.set()
        await mute.wait()

    abort = observatory.ocps._abort
    monkeypatch.setattr(observatory.ocps, "_abort", be_mute)
    run = Run(observatory, script_mode="BIAS", n_bias=2)
    async with QueuedScript(run.make_script, QueueHooks(on_message=run.on_message)) as queued:
        await queued.configure(run.config)
        running = asyncio.create_task(queued.run(GROUP_ID, timeout=TIMEOUT))
        await asyncio.wait_for(run.job_has_started.wait(), TIMEOUT)
        loop = asyncio.get_running_loop()
        begin, late = loop.time(), asyncio.create_task(lag(loop.time()))
        # When the operator presses stop
        await queued.stop()
        await asyncio.wait_for(run.script.done_task, TIMEOUT)
        took = loop.time() - begin
        late.cancel()
        await running
    # Then the script has ended in that time, but for what the machine is late
    assert heard.is_set() and run.report.state == "STOPPED"
    assert took - _LAG[0] < 10 + 1
    mute.set()
    for job in observatory.ocps.jobs.values():
        await abort(job)


_LAG = [0.0]


async def lag(begin: float) -> None:
    """Sum up how late the event loop is (s)."""
    _LAG[0], last = 0.0, begin
    while True:
        await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time()
        _LAG[0] += now - last - 0.05
        last = now


async def test_the_limits_of_a_stop_come_to_what_the_queue_allows() -> None:
    stopped = RunState.STOPPED
    waits = _procedure._ABANDON_TIMEOUT + _procedure._STOPPED_FLUSH_TIMEOUT
    waits += ending._REPORT_TIMEOUTS[stopped] + publishing._TIMEOUTS[stopped]
    # A minimal script takes 2.1 s more on salobj 8.2 over Kafka, and the
    # remotes are closed meanwhile.
    assert waits + 2.1 <= 11


def assert_no_job_runs(observatory: SimulatedObservatory, run: Run) -> None:
    job_ids = [result.job_id for result in run.report.stages if result.job_id]
    assert job_ids
    for job_id in job_ids:
        assert observatory.ocps.jobs[job_id].phase == "aborted"
        assert observatory.ocps.jobs[job_id].done.is_set()
