# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault does to SAL and the Butler what its name says, and once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from lsst.daf.butler import Butler, CollectionType, MissingCollectionError, Timespan
from lsst.ts.calibrationscripts.observatory.sal import LATISS, salobj
from lsst.ts.calibrationscripts.simulation.faults import FAULTS, Fault, parse_fault
from lsst.ts.calibrationscripts.simulation.faults.ocps import OcpsReorders
from lsst.ts.calibrationscripts.simulation.faults.oods import OodsLate
from lsst.ts.calibrationscripts.simulation.faults.repository import RepositoryLocked
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory

DAY_OBS = datetime.date(2022, 9, 29)
TIMEOUT = 60.0
"""Longest wait for what comes (s)."""

MOMENT = 0.3
"""Wait for what must not come (s)."""

CALIB = "LATISS/calib/daily"
BIAS = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
EMPTY = "description: no task\ntasks: {}\n"
"""A pipeline that `pipetask` gives up within a moment, with exit code 1."""


def image(number: int) -> str:
    return f"AT_O_20220929_{number:06d}"


class Client:
    """Takes images and submits jobs, and writes down all that it hears."""

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

    def ingested(self) -> list[str]:
        with Butler.from_config(str(self.observatory.repo)) as butler:
            records = butler.query_dimension_records("exposure", instrument="LATISS", explain=False)
        return sorted(record.obs_id for record in records)

    async def take(self, n: int = 1, exp_time: float = 0.0) -> None:
        await self.camera.cmd_takeImages.set_start(
            numImages=n, expTime=exp_time, keyValueMap="imageType: DARK", timeout=TIMEOUT
        )

    async def submit(self, pipeline: str | Path, data_query: str = "instrument = 'LATISS'") -> Any:
        return await self.ocps.cmd_execute.set_start(
            pipeline=str(pipeline),
            config="-i LATISS/calib --register-dataset-types",
            data_query=data_query,
            timeout=TIMEOUT,
            wait_done=False,
        )

    async def run(self, pipeline: str | Path, data_query: str = "instrument = 'LATISS'") -> tuple[str, Any]:
        """Run a job until its command is done; return its id and the end."""
        ack = await self.submit(pipeline, data_query)
        job_id: str = json.loads(ack.result)["job_id"]
        return job_id, await self.ocps.cmd_execute.next_ackcmd(ack, timeout=TIMEOUT)

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


@pytest.fixture
def sky(topics: None, tmp_path: Path) -> Sky:
    @contextlib.asynccontextmanager
    async def sky(*faults: str | Fault) -> AsyncIterator[Client]:
        made = [fault if isinstance(fault, Fault) else parse_fault(fault) for fault in faults]
        async with (
            SimulatedObservatory(tmp_path, scale=32, day_obs=DAY_OBS, faults=made) as observatory,
            salobj.Domain() as domain,
            salobj.Remote(
                domain,
                "ATCamera",
                include=["takeImages", "endReadout", "summaryState", "errorCode", "heartbeat"],
            ) as camera,
            salobj.Remote(domain, "ATSpectrograph") as spectrograph,
            salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as oods,
            salobj.Remote(domain, "OCPS", 1, evt_max_history=0) as ocps,
        ):
            yield Client(observatory, (camera, spectrograph, oods, ocps))

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
    def test_what_is_no_fault_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=text) as caught:
            parse_fault(text)
        assert says in str(caught.value)


class TestCamera:
    async def test_camera_fault_loses_the_exposure_and_takes_no_other(self, sky: Sky) -> None:
        async with sky("camera-fault:2") as client:
            await client.take()
            with pytest.raises(salobj.AckError) as caught:
                await client.take(2)
            assert "Fault state: errorCode=2" in caught.value.ackcmd.result
            state = await client.camera.evt_summaryState.aget(timeout=TIMEOUT)
            assert state.summaryState == salobj.State.FAULT
            with pytest.raises(salobj.AckError):
                await client.take()
            await client.hear(lambda: client.images == [(image(1), 0)])
            assert client.staged == []

        # And another observatory in the same folder has a sound camera.
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

    async def test_readout_that_never_ends_keeps_the_next_image_waiting(self, sky: Sky) -> None:
        async with sky("readout-never-ends:2") as client:
            await client.take(2)
            ack = await client.camera.cmd_takeImages.set_start(
                numImages=1, keyValueMap="imageType: BIAS", timeout=TIMEOUT, wait_done=False
            )
            assert ack.ack == salobj.SalRetCode.CMD_INPROGRESS
            await asyncio.sleep(MOMENT)
            assert (await client.camera.evt_endReadout.aget(timeout=TIMEOUT)).imageName == image(1)
            assert client.staged == []
        async with sky() as client:
            await client.take()
            await client.hear(lambda: bool(client.images))
            assert client.ingested() == [image(1), image(2)]


class TestSpectrograph:
    async def test_wheel_gives_up_once(self, sky: Sky) -> None:
        async with sky("wheel-timeout:2") as client:
            await client.spectrograph.cmd_changeFilter.set_start(filter=0, name="SDSSg_65mm", timeout=TIMEOUT)
            with pytest.raises(salobj.AckError) as caught:
                await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)
            assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_TIMEOUT
            position = await client.spectrograph.evt_disperserInPosition.aget(timeout=TIMEOUT)
            assert not position.inPosition
            await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)

    async def test_filter_wheel_reports_another_slot(self, sky: Sky) -> None:
        async with sky("wrong-filter") as client:
            await client.spectrograph.cmd_changeDisperser.set_start(disperser=1, name="", timeout=TIMEOUT)
            await client.spectrograph.cmd_changeFilter.set_start(filter=0, name="SDSSg_65mm", timeout=TIMEOUT)
            spectrograph = client.spectrograph
            grating = await spectrograph.evt_reportedDisperserPosition.aget(timeout=TIMEOUT)
            filter_ = await spectrograph.evt_reportedFilterPosition.aget(timeout=TIMEOUT)
        assert grating.slot == 1
        assert filter_.slot == 2 and filter_.name != "SDSSg_65mm"


class TestOods:
    async def test_late_image_does_not_keep_others(self, sky: Sky) -> None:
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
            # The camera goes on after it; how it was ingested is past here.
            await client.hear(lambda: (image(4), 0) in client.images)
            assert client.ingested() == [image(n) for n in (1, 2, 3, 4)]
            assert client.staged == []

    async def test_last_image_counts_though_it_was_never_ingested(self, sky: Sky) -> None:
        async with sky("oods-missing") as client:
            await client.take()
            await asyncio.sleep(MOMENT)
            assert client.staged == [image(1)]
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

    async def test_failed_ingest_is_told_and_made_good_later(self, sky: Sky) -> None:
        async with sky("oods-failed-ingest:2") as client:
            await client.take(2)
            await client.hear(lambda: client.images == [(image(1), 0), (image(2), 1)])
            assert client.staged == [image(2)]
            assert client.ingested() == [image(1)]
        async with sky() as client:
            await client.take()
            await client.hear(lambda: (image(3), 0) in client.images)
            assert client.ingested() == [image(1), image(2), image(3)]

    async def test_images_of_others_are_announced_before_ours(self, sky: Sky) -> None:
        async with sky("oods-foreign-images:2") as client:
            await client.take(3)
            await client.hear(lambda: (image(3), 0) in client.images)
            assert client.images[0] == (image(1), 0)
            assert client.images[1:5] == [
                ("AT_C_20220929_000002", 1),
                ("AT_O_20220929_080002", 1),
                ("AT_O_20220929_090002", 0),
                (image(2), 0),
            ]
            assert len(client.images) == 9
            assert client.ingested() == [image(1), image(2), image(3)]

    async def test_faults_come_together(self, sky: Sky) -> None:
        async with sky("oods-missing:1", "oods-failed-ingest:1", "oods-unannounced:2") as client:
            await client.take(4)
            await client.hear(lambda: (image(4), 0) in client.images)
            # The second is the first to be stored, the third the second
            # that there is something to tell of.
            assert client.images == [(image(2), 1), (image(4), 0)]
            assert client.ingested() == [image(3), image(4)]
