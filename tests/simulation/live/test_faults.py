# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault does to SAL and the Butler what its name says, and once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from lsst.daf.butler import Butler, CollectionType, MissingCollectionError, Timespan
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.simulation.faults import FAULTS, Fault, parse_fault
from lsst.ts.calibrationscripts.simulation.faults.ocps import OcpsReorders
from lsst.ts.calibrationscripts.simulation.faults.oods import OodsLate
from lsst.ts.calibrationscripts.simulation.faults.process import SecondObservatory, SecondOwner
from lsst.ts.calibrationscripts.simulation.faults.repository import RepositoryLocked, RepositoryStaysLocked
from lsst.ts.calibrationscripts.simulation.instrument import FILTERS
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory
from reports import reported

from .conftest import DAY_OBS, NoRunner

TIMEOUT = 60.0
"""Longest wait for an event (s)."""

MOMENT = 0.3
"""Wait for an event that must not come (s)."""

CALIB = "LATISS/calib/daily"
BIAS = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
VERIFY_BIAS = "${CP_VERIFY_DIR}/pipelines/LATISS/verifyBias.yaml"
EMPTY = "description: no task\ntasks: {}\n"
"""A pipeline that `pipetask` refuses immediately, with exit code 1."""


def image(number: int) -> str:
    return f"AT_O_20220929_{number:06d}"


def failed(number: int) -> str:
    """Return what the OODS calls an image that it could not ingest."""
    return f"{20220929 * 100_000 + number}"


class Client:
    """Takes images, submits jobs, and records all events."""

    def __init__(self, observatory: SimulatedObservatory, remotes: Any) -> None:
        self.observatory = observatory
        self.camera, self.spectrograph, self.oods, self.ocps = remotes
        self.images: list[tuple[str, int]] = []
        self.results: list[tuple[str, int]] = []
        self._heard = asyncio.Condition()
        self.oods.evt_imageInOODS.callback = self._hear_image
        self.ocps.evt_job_result.callback = self._hear_result

    @property
    def staged(self) -> list[str]:
        return sorted(path.stem for path in self.observatory.staging.glob("*.fits"))

    async def stages(self, images: list[str]) -> None:
        """Wait for images in the staging folder."""
        for _ in range(1000):
            if self.staged == images:
                return
            await asyncio.sleep(TIMEOUT / 1000)
        raise AssertionError(f"{self.staged} are staged, not {images}")

    def frames(self) -> list[tuple[str, str]]:
        """Return image type and filter of each frame, says the Butler."""
        with Butler.from_config(str(self.observatory.repo)) as butler:
            records = butler.query_dimension_records("exposure", instrument="LATISS", order_by="exposure")
        return [(record.observation_type, record.physical_filter) for record in records]

    def ingested(self) -> list[str]:
        with Butler.from_config(str(self.observatory.repo)) as butler:
            records = butler.query_dimension_records("exposure", instrument="LATISS", explain=False)
        return sorted(record.obs_id for record in records)

    async def take(self, n: int = 1, exp_time: float = 0.0) -> None:
        await self.camera.cmd_takeImages.set_start(
            numImages=n, expTime=exp_time, keyValueMap="imageType: DARK", timeout=TIMEOUT
        )

    async def submit(
        self, pipeline: str | Path, data_query: str = "instrument = 'LATISS'", *, wait_done: bool = False
    ) -> Any:
        return await self.ocps.cmd_execute.set_start(
            pipeline=str(pipeline),
            config="-i LATISS/calib --register-dataset-types",
            data_query=data_query,
            timeout=TIMEOUT,
            wait_done=wait_done,
        )

    async def run(self, pipeline: str | Path, data_query: str = "instrument = 'LATISS'") -> tuple[str, Any]:
        """Run a job until its command is done; return its id and the end.

        The end is awaited from the beginning: it may come before one could
        wait for what follows the first acknowledgement.
        """
        known = set(self.observatory.ocps.jobs)
        end = await self.submit(pipeline, data_query, wait_done=True)
        (job_id,) = set(self.observatory.ocps.jobs) - known
        return job_id, end

    async def hear(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT), self._heard:
            await self._heard.wait_for(what)

    async def _hear_image(self, data: Any) -> None:
        async with self._heard:
            self.images.append((data.obsid, data.statusCode))
            self._heard.notify_all()

    async def _hear_result(self, data: Any) -> None:
        async with self._heard:
            self.results.append((data.job_id, data.exit_code))
            self._heard.notify_all()


Sky = Callable[..., AbstractAsyncContextManager[Client]]


CAMERA_TOPICS = ["takeImages", "endReadout", "summaryState", "errorCode", "heartbeat"]


@contextlib.asynccontextmanager
async def connect(observatory: SimulatedObservatory) -> AsyncIterator[Client]:
    async with (
        salobj.Domain() as domain,
        salobj.Remote(domain, "ATCamera", include=CAMERA_TOPICS) as camera,
        salobj.Remote(domain, "ATSpectrograph") as spectrograph,
        salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as oods,
        salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as ocps,
    ):
        yield Client(observatory, (camera, spectrograph, oods, ocps))


def make(faults: tuple[str | Fault, ...]) -> list[Fault]:
    return [fault if isinstance(fault, Fault) else parse_fault(fault) for fault in faults]


@pytest.fixture
def sky(topics: None, workdir: Path) -> Sky:
    """Make observatories in one folder, with faults, that get no jobs."""

    @contextlib.asynccontextmanager
    async def sky(*faults: str | Fault) -> AsyncIterator[Client]:
        observatory = SimulatedObservatory(workdir, instrument=LATISS, day_obs=DAY_OBS, faults=make(faults))
        observatory.runner = NoRunner()  # type: ignore[assignment]
        async with observatory, connect(observatory) as client:
            yield client

    return sky


@pytest_asyncio.fixture(loop_scope="module")
async def shared_sky(observatory: SimulatedObservatory) -> Sky:
    """Give the module's observatory faults, which is faster."""

    @contextlib.asynccontextmanager
    async def sky(*faults: str | Fault) -> AsyncIterator[Client]:
        made = make(faults)
        for fault in made:
            fault.attach(observatory)
        async with connect(observatory) as client:
            yield client
        for fault in made:
            await fault.detach()
        for csc in observatory.cscs:
            csc.interceptors.clear()

    return sky


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.yaml"
    path.write_text(EMPTY)
    return path


class TestNames:
    @pytest.mark.parametrize("name", FAULTS)
    def test_every_fault_is_made_by_its_name(self, name: str) -> None:
        fault = parse_fault(f"{name}:3")
        assert (fault.name, fault.when, fault.struck) == (name, 3, 0)
        assert parse_fault(name).when == 1
        assert fault.description and "\n" not in fault.description and fault.counts

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("ocps-looses-result", "did you mean ocps-loses-result?"),
            ("camera", "did you mean camera-fault?"),
            ("job-fails:", "a number from 1"),
            ("job-fails:0", "a number from 1"),
            ("job-fails:second", "the job it strikes"),
        ],
    )
    def test_unknown_faults_are_refused(self, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=text) as caught:
            parse_fault(text)
        assert says in str(caught.value)


class TestCommandLine:
    def test_faults_are_listed_with_what_they_do(self) -> None:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["simulate", "--list-faults"])
        assert result.exit_code == 0
        for name, fault in FAULTS.items():
            assert any(
                name in line and fault.counts in line and fault.description in line
                for line in result.stdout.splitlines()
            )

    @pytest.mark.parametrize("text", ["camera-falt", "camera-fault:never"])
    def test_unknown_faults_are_reported_on_stderr(self, text: str, tmp_path: Path) -> None:
        result = CliRunner().invoke(main, ["simulate", "--fault", text, "--workdir", str(tmp_path / "w")])
        assert result.exit_code == 2
        assert result.stderr.startswith(f"--fault '{text}': ")
        assert not (tmp_path / "w").exists()


class TestCamera:
    async def test_camera_fault_loses_the_exposure_and_takes_no_other(self, sky: Sky) -> None:
        async with sky("camera-fault:2") as client:
            await client.take()
            with pytest.raises(salobj.AckError) as caught:
                await client.take(2)
            assert "Fault state: errorCode=2" in caught.value.ackcmd.result
            await reported(client.camera.evt_summaryState, summaryState=salobj.State.FAULT)
            with pytest.raises(salobj.AckError):
                await client.take()
            await client.hear(lambda: client.images == [(image(1), 0)])
            assert client.staged == []

        # And another observatory in the same folder works.
        async with sky() as client:
            await client.take()
            await client.hear(lambda: client.images == [(image(2), 0)])

    async def test_silent_camera_answers_nothing_and_has_no_heartbeat(self, sky: Sky) -> None:
        async with sky("camera-silent") as client:
            client.observatory.camera.heartbeat_interval = 0.01
            await client.camera.evt_heartbeat.next(flush=True, timeout=TIMEOUT)
            with pytest.raises(salobj.AckError) as caught:
                await client.camera.cmd_takeImages.set_start(
                    numImages=1, keyValueMap="imageType: BIAS", timeout=MOMENT
                )
            assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_NOACK
            with pytest.raises(salobj.AckError):
                await client.camera.cmd_disable.start(timeout=MOMENT)
            with pytest.raises(TimeoutError):
                await client.camera.evt_heartbeat.next(flush=True, timeout=MOMENT)

    async def test_readout_that_never_ends_delays_the_next_image(self, sky: Sky) -> None:
        async with sky("readout-never-ends:2") as client:
            await client.take(2)
            ack = await client.camera.cmd_takeImages.set_start(
                numImages=1, keyValueMap="imageType: BIAS", timeout=TIMEOUT, wait_done=False
            )
            assert ack.ack == salobj.SalRetCode.CMD_INPROGRESS
            await client.hear(lambda: client.images == [(image(1), 0)])
            last = client.camera.evt_endReadout.get()
            assert last.imageName == image(1)
            assert client.staged == []
        async with sky() as client:
            await client.take()
            await client.hear(lambda: bool(client.images))
            assert client.ingested() == [image(1), image(2)]

    @pytest.mark.parametrize(
        ("fault", "frame"),
        [
            ("header-wrong-type:2", ("bias", "empty_1~empty_1")),
            ("header-wrong-filter:2", ("dark", "SDSSg_65mm~empty_1")),
        ],
    )
    async def test_header_lies_about_one_image(self, fault: str, frame: tuple[str, str], sky: Sky) -> None:
        async with sky(fault) as client:
            await client.take(3)
            await client.hear(lambda: (image(3), 0) in client.images)
            true = ("dark", "empty_1~empty_1")
            assert client.frames() == [true, frame, true]


class TestSpectrograph:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_wheel_fails_once(self, shared_sky: Sky) -> None:
        async with shared_sky("wheel-timeout:2") as client:
            await client.spectrograph.cmd_changeFilter.set_start(filter=0, name="SDSSg_65mm", timeout=TIMEOUT)
            with pytest.raises(salobj.AckError) as caught:
                await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)
            assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_TIMEOUT
            await reported(client.spectrograph.evt_disperserInPosition, inPosition=False)
            await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)

    async def test_filter_wheel_reports_another_slot(self, shared_sky: Sky) -> None:
        async with shared_sky("wrong-filter") as client:
            await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)
            await client.spectrograph.cmd_changeFilter.set_start(filter=0, name="SDSSg_65mm", timeout=TIMEOUT)
            await reported(client.spectrograph.evt_reportedDisperserPosition, slot=1)
            await reported(client.spectrograph.evt_reportedFilterPosition, slot=2, name=FILTERS[2])


async def test_wheel_is_elsewhere_in_the_next_session(sky: Sky) -> None:
    async with sky("wheel-moved:2") as client:
        await client.take()
        with pytest.raises(salobj.AckError):
            await client.take()
        await client.hear(lambda: client.images == [(image(1), 0)])
    async with sky() as client:
        await client.take()
        await client.hear(lambda: client.images == [(image(2), 0)])
        assert client.frames() == [("dark", "SDSSg_65mm~empty_1"), ("dark", "empty_1~empty_1")]


class TestOods:
    async def test_late_image_does_not_delay_others(self, sky: Sky) -> None:
        async with sky(OodsLate(when=1, delay=100.0)) as client:
            await client.take(2)
            await client.hear(lambda: len(client.images) == 2)
            assert client.images == [(image(2), 0), (image(1), 0)]
            assert client.ingested() == [image(1), image(2)]

    async def test_missing_image_is_ingested_at_the_next_start(self, sky: Sky) -> None:
        async with sky("oods-missing:2") as client:
            await client.take(3)
            await client.hear(lambda: client.images == [(image(1), 0), (image(3), 0)])
            assert client.staged == [image(2)]
            assert client.ingested() == [image(1), image(3)]
        async with sky() as client:
            await client.take()
            # The camera continues after it, which was ingested at the start.
            await client.hear(lambda: (image(4), 0) in client.images)
            assert client.ingested() == [image(n) for n in (1, 2, 3, 4)]
            assert client.staged == []

    async def test_last_image_counts_though_it_was_never_ingested(self, sky: Sky) -> None:
        async with sky("oods-missing") as client:
            await client.take()
            await client.stages([image(1)])
        async with sky() as client:
            await client.take(exp_time=1.0)
            await client.hear(lambda: (image(2), 0) in client.images)
            with Butler.from_config(str(client.observatory.repo)) as butler:
                first, second = butler.query_dimension_records(
                    "exposure", instrument="LATISS", order_by="exposure"
                )
            assert (second.timespan.begin - first.timespan.end).sec == pytest.approx(2.0)

    async def test_unannounced_image_is_in_the_butler(self, sky: Sky) -> None:
        async with sky("oods-unannounced") as client:
            await client.take(2)
            await client.hear(lambda: client.images == [(image(2), 0)])
            assert client.ingested() == [image(1), image(2)]

    async def test_failed_ingest_is_announced_and_repeated_later(self, sky: Sky) -> None:
        async with sky("oods-failed-ingest:2") as client:
            await client.take(2)
            await client.hear(lambda: client.images == [(image(1), 0), (failed(2), 1)])
            assert client.staged == [image(2)]
            assert client.ingested() == [image(1)]
        async with sky() as client:
            await client.take()
            await client.hear(lambda: (image(3), 0) in client.images)
            assert client.ingested() == [image(1), image(2), image(3)]

    async def test_unreadable_file_is_announced_without_its_image(self, sky: Sky) -> None:
        async with sky("oods-unreadable-file:2") as client:
            await client.take(3)
            await client.hear(lambda: client.images == [(image(1), 0), ("??", 2), (image(3), 0)])
            assert client.staged == [image(2)]
        async with sky() as client:
            await client.take()
            await client.hear(lambda: (image(4), 0) in client.images)
            assert client.ingested() == [image(n) for n in (1, 2, 3, 4)]

    async def test_images_of_other_clients_are_announced_before_ours(self, sky: Sky) -> None:
        async with sky("oods-foreign-images:2") as client:
            await client.take(3)
            await client.hear(lambda: (image(3), 0) in client.images)
            assert client.images[0] == (image(1), 0)
            assert client.images[1:5] == [
                ("4022092900002", 1),
                ("2022092980002", 1),
                ("AT_O_20220929_090002", 0),
                (image(2), 0),
            ]
            assert len(client.images) == 9
            assert client.ingested() == [image(1), image(2), image(3)]

    async def test_faults_come_together(self, sky: Sky) -> None:
        async with sky("oods-missing:1", "oods-failed-ingest:1", "oods-unannounced:2") as client:
            await client.take(4)
            await client.hear(lambda: (image(4), 0) in client.images)
            # The second is the first to be stored, and the third is the
            # second to be announced.
            assert client.images == [(failed(2), 1), (image(4), 0)]
            assert client.ingested() == [image(3), image(4)]


def refused_by(caught: pytest.ExceptionInfo[Any]) -> str:
    assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_FAILED
    return str(caught.value.ackcmd.result)


class TestOcps:
    """With jobs that end immediately; what they do does not matter."""

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @staticmethod
    async def enable(client: Client) -> None:
        for command in ("standby", "start", "enable"):
            await getattr(client.ocps, f"cmd_{command}").start(timeout=TIMEOUT)

    async def test_job_is_refused_once(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-rejects:2") as client:
            await client.run(empty)
            with pytest.raises(salobj.AckError) as caught:
                await client.submit(empty)
            assert "503" in refused_by(caught)
            await client.run(empty)
            await client.hear(lambda: len(client.results) == 2)

    async def test_result_is_lost_though_the_command_completes(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-loses-result") as client:
            lost, end = await client.run(empty)
            assert end.ack == salobj.SalRetCode.CMD_COMPLETE
            assert client.observatory.ocps.jobs[lost].exit_code == 1
            job_id, _ = await client.run(empty)
            await client.hear(lambda: client.results == [(job_id, 1)])

    async def test_job_is_never_acknowledged_though_it_runs(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-never-acknowledges") as client:
            command = asyncio.create_task(client.submit(empty))
            await client.hear(lambda: bool(client.results))
            await asyncio.sleep(MOMENT)
            assert not command.done()
            command.cancel()
            # And later ones are answered.
            job_id, end = await client.run(empty)
            assert end.ack == salobj.SalRetCode.CMD_COMPLETE
            await client.hear(lambda: client.results[1:] == [(job_id, 1)])

    async def test_result_comes_before_the_acknowledgement(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-result-first") as client:
            command = asyncio.create_task(client.submit(empty))
            await client.hear(lambda: bool(client.results))
            ack = await command
            assert ack.ack == salobj.SalRetCode.CMD_INPROGRESS
            await client.hear(lambda: client.results == [(json.loads(ack.result)["job_id"], 1)])

    async def test_result_comes_twice(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-duplicates:2") as client:
            first, _ = await client.run(empty)
            second, _ = await client.run(empty)
            await client.hear(lambda: len(client.results) == 3)
            await client.hear(lambda: client.results == [(first, 1), (second, 1), (second, 1)])

    async def test_results_come_in_reverse_order(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky(OcpsReorders(delay=1000 * TIMEOUT)) as client:
            first = json.loads((await client.submit(empty)).result)["job_id"]
            async with asyncio.timeout(TIMEOUT):
                await client.observatory.ocps.jobs[first].done.wait()
            second, _ = await client.run(empty)
            await client.hear(lambda: len(client.results) == 2)
            await client.hear(lambda: client.results == [(second, 1), (first, 1)])

    async def test_result_without_another_to_wait_for_is_let_go(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky(OcpsReorders(delay=1.0)) as client:
            job_id, _ = await client.run(empty)
            await client.hear(lambda: client.results == [(job_id, 1)])

    async def test_results_of_others_come_before_ours(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-foreign-result") as client:
            ours = [(await client.run(empty))[0] for _ in range(2)]
            await client.hear(lambda: len(client.results) == 8)
            assert [exit_code for _, exit_code in client.results] == [1, 255, 0, 1] * 2
            assert [client.results[n][0] for n in (3, 7)] == ours
            assert len({job_id for job_id, _ in client.results}) == 8

    async def test_ocps_leaves_enabled_and_its_job_goes_on(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("ocps-leaves-enabled") as client:
            job_id, end = await client.run(empty)
            assert end.ack == salobj.SalRetCode.CMD_COMPLETE
            await client.hear(lambda: client.results == [(job_id, 1)])
            await reported(client.ocps.evt_summaryState, summaryState=salobj.State.FAULT)
            with pytest.raises(salobj.AckError) as caught:
                await client.submit(empty)
            assert "Fault state" in refused_by(caught)
            with pytest.raises(salobj.AckError) as caught:
                await client.ocps.cmd_abort_job.set_start(job_id=job_id, timeout=TIMEOUT)
            assert "Fault state" in refused_by(caught)
            # It works when it is enabled again.
            await self.enable(client)
            assert (await client.run(empty))[1].ack == salobj.SalRetCode.CMD_COMPLETE

    async def test_ocps_leaves_enabled_and_its_job_is_lost(self, shared_sky: Sky, gates: Any) -> None:
        gate = gates.make()
        async with shared_sky("ocps-loses-job") as client:
            with pytest.raises(salobj.AckError) as caught:
                await client.submit(gate.path, wait_done=True)
            assert "is lost" in refused_by(caught)
            await reported(client.ocps.evt_summaryState, summaryState=salobj.State.FAULT)
            *_, job = client.observatory.ocps.jobs.values()
            assert job.process.done
            assert client.results == []
            await self.enable(client)


def query(*numbers: int) -> str:
    exposures = ", ".join(str(2022092900000 + number) for number in numbers)
    return f"instrument = 'LATISS' AND exposure IN ({exposures})"


class TestJobs:
    """With real biases: the end of a job and its product."""

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @staticmethod
    def products(client: Client, job_id: str, dataset_type: str) -> int:
        with Butler.from_config(str(client.observatory.repo)) as butler:
            return len(butler.query_datasets(dataset_type, collections=f"u/ocps/{job_id}/run", explain=False))

    @pytest.mark.slow
    async def test_jobs_fail_as_their_fault_says(self, shared_sky: Sky) -> None:
        faults = ("job-fails:1", "job-killed:2", "job-drops-exposure:3", "disk-full:4")
        async with shared_sky(*faults) as client:
            await client.take(2)
            await client.hear(lambda: len(client.images) == 2)
            ids = [(await client.run(BIAS, query(1, 2)))[0] for _ in range(5)]

            assert [exit_code for _, exit_code in client.results] == [1, 1, 0, 1, 0]
            logs = [client.observatory.ocps.jobs[job_id].log.read_text() for job_id in ids]
            assert "simulatedFault" in logs[0]
            assert "exit code -9" in logs[1] and "executing quantum" in logs[1]
            assert "No space left on device" in logs[3]
            assert [self.products(client, job_id, "cpBiasIsrExp") for job_id in (ids[2], ids[4])] == [1, 2]
            assert [self.products(client, job_id, "bias") for job_id in ids[1:]] == [0, 1, 0, 1]

    @pytest.mark.slow
    async def test_products_are_missing_though_their_jobs_end_well(self, shared_sky: Sky) -> None:
        async with shared_sky("job-makes-nothing", "statistics-missing") as client:
            await client.take(2)
            await client.hear(lambda: len(client.images) == 2)
            ids = [(await client.run(job, query(1, 2)))[0] for job in (BIAS, BIAS, VERIFY_BIAS, VERIFY_BIAS)]

            assert [exit_code for _, exit_code in client.results] == [0] * 4
            assert [self.products(client, job_id, "bias") for job_id in ids[:2]] == [0, 1]
            assert self.products(client, ids[0], "cpBiasIsrExp") == 2
            assert [self.products(client, job_id, "verifyBiasStats") for job_id in ids[2:]] == [0, 1]
            # Who reads through the chain finds those of another run.
            with Butler.from_config(str(client.observatory.repo)) as butler:
                (stand_in,) = butler.query_datasets("verifyBiasStats", collections=f"u/ocps/{ids[2]}")
            assert stand_in.run == f"u/stranger/{ids[2]}"


class TestOtherProcesses:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest.mark.slow
    async def test_they_use_the_work_folder_and_the_job_waits(self, shared_sky: Sky, empty: Path) -> None:
        faults = (SecondOwner(1), SecondObservatory(2))
        async with shared_sky(*faults) as client:
            await client.run(empty)
            await client.run(empty)
            # There is no run to resume, and a folder that is in use.
            second_owner, second_observatory = faults
            assert (second_owner.exit_code, second_observatory.exit_code) == (2, 2)
            assert "--resume ''" in second_owner.said
            assert "is used by process" in second_observatory.said
            assert [exit_code for _, exit_code in client.results] == [1, 1]


class TestRepository:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @staticmethod
    def certify_bias(repo: Path) -> None:
        """Certify the reference bias, as if a run had done it."""
        with Butler.from_config(str(repo), writeable=True) as butler:
            butler.collections.register(CALIB, CollectionType.CALIBRATION)
            butler.collections.register("u/chain", CollectionType.CHAINED)
            butler.collections.redefine_chain("u/chain", [CALIB])
            refs = butler.query_datasets("bias", collections="LATISS/calib/reference")
            butler.registry.certify(CALIB, refs, Timespan(None, None))

    @staticmethod
    def type_of(repo: Path) -> CollectionType | None:
        with Butler.from_config(str(repo)) as butler:
            try:
                return butler.collections.get_info(CALIB).type
            except MissingCollectionError:
                return None

    @staticmethod
    def certified(repo: Path) -> list[str]:
        with Butler.from_config(str(repo)) as butler:
            return [
                name
                for name in ("bias", "dark", "defects", "flat", "ptc")
                if any(butler.registry.queryDatasetAssociations(name, collections=[CALIB]))
            ]

    async def test_locked_repository_is_released_in_the_end(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky(RepositoryLocked(duration=1.0)) as client:
            await client.run(empty)
            database = client.observatory.repo / "gen3.sqlite3"
            with (
                contextlib.closing(sqlite3.connect(database, timeout=0.0)) as connection,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                connection.execute("SELECT * FROM instrument")
            # Who waits gets it, if the event loop is not blocked.
            await asyncio.to_thread(self.type_of, client.observatory.repo)
            with contextlib.closing(sqlite3.connect(database, timeout=0.0)) as connection:
                assert connection.execute("SELECT name FROM instrument").fetchall() == [("LATISS",)]

    @pytest.mark.parametrize(
        "fault", [RepositoryLocked(duration=TIMEOUT), RepositoryStaysLocked()], ids=["long", "for-ever"]
    )
    async def test_lock_does_not_outlast_its_fault(
        self, fault: RepositoryLocked, shared_sky: Sky, empty: Path
    ) -> None:
        async with shared_sky(fault) as client:
            await client.run(empty)
            database = client.observatory.repo / "gen3.sqlite3"
            with (
                contextlib.closing(sqlite3.connect(database, timeout=0.0)) as connection,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                connection.execute("SELECT * FROM instrument")
        assert self.type_of(client.observatory.repo) is None

    async def test_collection_is_removed_from_its_chains_too(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("collection-removed:2") as client:
            repo = client.observatory.repo
            await asyncio.to_thread(self.certify_bias, repo)
            await client.run(empty)
            assert self.type_of(repo) is CollectionType.CALIBRATION
            await client.run(empty)
            assert self.type_of(repo) is None

    async def test_collection_is_of_another_type_for_a_time(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("collection-changed") as client:
            repo = client.observatory.repo
            await asyncio.to_thread(self.certify_bias, repo)
            await client.run(empty)
            assert self.type_of(repo) is CollectionType.RUN
        assert self.type_of(repo) is None

    async def test_another_client_certifies_and_it_is_undone(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("certification-conflict") as client:
            repo = client.observatory.repo
            await client.run(empty)
            assert self.certified(repo) == ["bias", "dark", "defects", "flat", "ptc"]
        assert self.certified(repo) == []

    async def test_what_is_certified_already_is_left_alone(self, shared_sky: Sky, empty: Path) -> None:
        async with shared_sky("certification-conflict") as client:
            repo = client.observatory.repo
            await asyncio.to_thread(self.certify_bias, repo)
            await client.run(empty)
        assert self.certified(repo) == ["bias"]


KILLED = """\
import sys
from pathlib import Path

from lsst.ts.calibrationscripts.observatory import sal

sal.use(sal.SalProvider.LOCAL)

from lsst.ts.calibrationscripts.files.journal import claim_run
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.faults.process import journal_maker

folder = Path(sys.argv[1])
journal = journal_maker([parse_fault("killed:2")])(folder, *claim_run(folder, "run"))
for count in (1, 2, 3):
    journal.write(RunRecord("run", {"count": count}))
"""


def test_process_is_killed_before_a_journal_write_takes_effect(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (journal,) = tmp_path.glob("run*.json")
    assert json.loads(journal.read_text())["config"] == {"count": 1}
