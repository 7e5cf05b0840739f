# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others hear of simulated runs: the Watcher, readers, persons."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from lsst.ts.calibrationscripts.files.journal import load_record
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory.make_latiss_calibrations import MakeLatissCalibrations
from lsst.ts.calibrationscripts.observatory.notifying import AppriseNotifier
from lsst.ts.calibrationscripts.observatory.queue import QueueOptions, ScriptResult, run_script
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.report import RunReport
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from standin_watcher import Watcher, load_rule

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

TIMEOUT = 250.0
"""What a test waits for at most (s)."""

FEW = {"n_bias": 3, "n_dark": 3, "exp_times_dark": 1}

# Made from three frames only, a bias of the procedure's generation of the
# pipelines has too much noise to pass.
BAD_BIAS = {"script_mode": "BIAS", "generate_calibrations": True, **FEW}


class Runs:
    """Runs of the script, with what differs from the defaults."""

    def __init__(self, observatory: SimulatedObservatory, journals: Path) -> None:
        self._here = {
            "repo": str(observatory.repo),
            "ocps_log_path": observatory.ocps_log_path,
            "journal_dir": str(journals),
            "pipeline_generation": "2022",
        }
        self.result: ScriptResult | None = None
        self.script: Any = None

    async def run(self, log_level: int = 0, **config: Any) -> RunReport:
        def make(index: int) -> MakeLatissCalibrations:
            self.script = MakeLatissCalibrations(index=index)
            return self.script

        self.result = await run_script(
            make,
            yaml.safe_dump(self._here | config),
            group_id="2022-09-29T14:00:00.000",
            timeout=TIMEOUT,
            options=QueueOptions(log_level=log_level),
        )
        report = self.script.report
        assert isinstance(report, RunReport), self.result.reason
        return report

    @property
    def log(self) -> str:
        assert self.result is not None
        return "\n".join(message.text for message in self.result.messages)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observatory(
    module_topics: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedObservatory]:
    async with SimulatedObservatory(
        tmp_path_factory.mktemp("observatory"),
        instrument=LATISS,
        settings=SimulationSettings(scale=32, generation="2022"),
        time_scale=0.005,
        day_obs=datetime.date(2022, 9, 29),
    ) as observatory:
        yield observatory


@pytest.fixture
def runs(observatory: SimulatedObservatory, tmp_path: Path) -> Runs:
    return Runs(observatory, tmp_path / "journals")


# The Watcher


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(module_topics: None) -> AsyncIterator[Watcher]:
    products = ({"product": product, "poll_interval": 0.1} for product in ("BIAS", "DARK", "FLAT"))
    async with Watcher(load_rule(), *products) as watcher:
        yield watcher


async def test_the_watcher_has_one_alarm_a_failing_product_within_10_s(
    runs: Runs, watcher: Watcher, record_property: Any
) -> None:
    # Given a script whose log is to have warnings only
    # When a bias fails, then the alarm is there within 10 s of the verdict
    report = await runs.run(log_level=logging.WARNING, **BAD_BIAS)
    (ended,) = [span.end for span in report.timeline if span.name == "verify BIAS"]
    ((when, severity, reason),) = watcher.rules[0].alarm.published
    record_property("alarm after the verdict", f"{when - ended:.3f} s (limit 10 s)")
    assert -1 < when - ended < 10
    assert severity.name == "SERIOUS" and "3 of 3 exposures fail NOISE" in reason
    # When a dark passes, then there is no alarm on it
    report = await runs.run(log_level=logging.WARNING, script_mode="DARK", **FEW)
    assert report.complete
    assert watcher.published() == {"BIAS": ["SERIOUS"], "DARK": [], "FLAT": []}
    # When a bias passes, then the alarm is cleared.
    report = await runs.run(log_level=logging.WARNING, script_mode="BIAS", **FEW)
    assert report.complete
    assert watcher.published() == {"BIAS": ["SERIOUS", "NONE"], "DARK": [], "FLAT": []}


# Readers


async def test_the_files_of_a_run_are_published_and_announced(
    runs: Runs, module_topics: None, tmp_path: Path
) -> None:
    place = tmp_path / "published"
    async with salobj.Domain() as domain:
        remote = salobj.Remote(domain, "Script", 0, readonly=True, include=["largeFileObjectAvailable"])
        await remote.start_task
        remote.evt_largeFileObjectAvailable.flush()
        report = await runs.run(script_mode="BIAS", publish=str(place), **FEW)
        announced = [
            await remote.evt_largeFileObjectAvailable.next(flush=False, timeout=TIMEOUT) for _ in range(2)
        ]
    for data, kind in zip(announced, ("html", "json"), strict=True):
        copy = place / f"{report.run_id}.{kind}"
        content = copy.read_bytes()
        assert content == (tmp_path / "journals" / copy.name).read_bytes()
        assert (data.id, data.url) == (report.run_id, copy.as_uri())
        assert (data.mimeType, data.byteSize, data.version) == (kind.upper(), len(content), 1)
        assert data.checkSum == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert f"Published: {copy.as_uri()}" in runs.log


async def test_a_place_that_cannot_be_written_leaves_the_run_done(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    report = await runs.run(
        script_mode="BIAS", do_verify=False, publish=str(tmp_path / "file" / "folder"), **FEW
    )
    assert report.state == "DONE"
    assert f"The run's report is not published in {tmp_path}/file/folder: " in runs.log


# Persons


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Serve a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(TIMEOUT)
        yield server


@pytest.mark.usefixtures("no_sender_left")
async def test_a_target_that_hangs_delays_nothing_and_is_logged(
    runs: Runs,
    silent: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    pytest.importorskip("apprise", reason="apprise is not installed: install the extra [notify]")
    # Given an address with a secret, whose target accepts and never answers
    address = f"json://user:s3cret@127.0.0.1:{silent.getsockname()[1]}/t0ken"
    spent = [timed(monkeypatch, AppriseNotifier, method) for method in ("send", "close")]
    report = await runs.run(notify=[address], **BAD_BIAS)
    # Then the message was on its way, and the run did not wait for it
    connection, _ = await asyncio.to_thread(silent.accept)
    connection.close()
    assert report.state == "DONE"
    record_property("delay by a target that hangs", f"{sum(map(sum, spent)):.3f} s")
    assert all(len(times) == 1 and times[0] < 2 for times in spent)
    # and the log says what is known of it
    assert "The message 'LATISS BIAS: HELD' to json://*** (number 1)" in runs.log
    assert load_record(tmp_path / "journals", report.run_id).notified == ("BIAS",)
    # and nothing that the run has left has the secret.
    files = [file for file in (tmp_path / "journals").iterdir() if file.is_file()]
    assert {file.suffix for file in files} >= {".html", ".json"}
    left = runs.log + "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    assert "json://***" in left
    assert "s3cret" not in left and "t0ken" not in left


def timed(monkeypatch: pytest.MonkeyPatch, cls: type, name: str) -> list[float]:
    """Return how long the calls of a method will have taken (s)."""
    original, times = getattr(cls, name), []

    def call(*args: Any) -> None:
        begun = time.monotonic()
        original(*args)
        times.append(time.monotonic() - begun)

    monkeypatch.setattr(cls, name, call)
    return times


@pytest.mark.usefixtures("no_sender_left")
async def test_an_address_that_apprise_does_not_know_is_refused(runs: Runs) -> None:
    pytest.importorskip("apprise", reason="apprise is not installed: install the extra [notify]")
    with pytest.raises(AssertionError, match="apprise does not know such an address: pigeon://"):
        await runs.run(notify=["pigeon://s3cret"], **BAD_BIAS)
    assert "s3cret" not in runs.log


async def test_without_apprise_a_run_that_is_to_notify_is_refused(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AssertionError, match="install ts-calibrationscripts\\[notify\\]"):
        await runs.run(notify=["json://s3cret"], **BAD_BIAS)
    assert "s3cret" not in f"{runs.log} {runs.result}"
