# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""LATISS takes exposures with a small camera and a small spectrograph."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory.sal import LATISS, LATISSUsages, UsagesResources, salobj

TIMEOUT = 30.0
READY = "AT_O_20261122_000001"


class MockCamera(salobj.BaseCsc):
    version = "test"

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.readout: asyncio.Event = asyncio.Event()
        self.readout.set()
        self._readouts: set[asyncio.Task[None]] = set()
        super().__init__("ATCamera", initial_state=salobj.State.ENABLED, allow_missing_callbacks=True)

    async def start(self) -> None:
        await super().start()
        await self.evt_startIntegration.set_write(imageName=READY)
        await self.evt_endReadout.set_write(imageName=READY)
        await self.evt_ccsCommandState.set_write(substate=1)

    async def do_takeImages(self, data: Any) -> None:
        self.assert_enabled()
        for image_index in range(data.numImages):
            self.taken.append(data)
            name = f"AT_O_20261123_{len(self.taken):06d}"
            await self.evt_startIntegration.set_write(
                imageName=name, imageIndex=image_index + 1, exposureTime=data.expTime
            )
            task = asyncio.create_task(self._read_out(name))
            self._readouts.add(task)
            task.add_done_callback(self._readouts.discard)

    async def _read_out(self, name: str) -> None:
        await asyncio.wait_for(self.readout.wait(), timeout=TIMEOUT)
        await self.evt_endReadout.set_write(imageName=name)


class MockSpectrograph(salobj.BaseCsc):
    version = "test"

    def __init__(self) -> None:
        super().__init__("ATSpectrograph", initial_state=salobj.State.ENABLED, allow_missing_callbacks=True)

    async def start(self) -> None:
        await super().start()
        await self.evt_settingsAppliedValues.set_write(
            filterNames="empty_1, SDSSr_65mm",
            gratingNames="empty_1,holo4_003",
            linearStageMinPos=1.0,
            linearStageMaxPos=79.0,
        )

    async def do_changeFilter(self, data: Any) -> None:
        await self.evt_reportedFilterPosition.set_write(slot=data.filter, name=data.name)

    async def do_changeDisperser(self, data: Any) -> None:
        await self.evt_reportedDisperserPosition.set_write(slot=data.disperser, name=data.name)


class ImageUsages(LATISSUsages):
    Images = 1 << 7

    def __iter__(self) -> Any:
        return iter([*super().__iter__(), self.Images])


class ImageLatiss(LATISS):
    """LATISS without ccsCommandState, which not every usage reads."""

    @property
    def valid_use_cases(self) -> Any:
        return ImageUsages()

    @property
    def usages(self) -> Any:
        usages = super().usages
        usages[ImageUsages.Images] = UsagesResources(
            components_attr=["atcamera", "atspectrograph"],
            readonly=False,
            generics=["summaryState"],
            atcamera=["takeImages", "startIntegration", "endReadout"],
            atspectrograph=["reportedFilterPosition", "reportedDisperserPosition", "settingsAppliedValues"],
        )
        return usages


@pytest_asyncio.fixture
async def camera(topics: None) -> AsyncIterator[MockCamera]:
    async with MockCamera() as csc:
        yield csc


@pytest_asyncio.fixture
async def spectrograph(topics: None) -> AsyncIterator[MockSpectrograph]:
    async with MockSpectrograph() as csc:
        yield csc


@pytest_asyncio.fixture
async def latiss(domain: Any, camera: Any, spectrograph: Any) -> AsyncIterator[Any]:
    async with ImageLatiss(domain=domain, intended_usage=ImageUsages.Images) as latiss:
        yield latiss


async def test_biases_are_taken_one_by_one(latiss: Any, camera: MockCamera) -> None:
    assert await latiss.take_imgtype("BIAS", 0.0, 2, group_id="g") == [2026112300001, 2026112300002]
    assert [(data.numImages, data.expTime, data.shutter) for data in camera.taken] == [(1, 0.0, False)] * 2


async def test_the_header_gets_the_values_given(latiss: Any, camera: MockCamera) -> None:
    ids = await latiss.take_imgtype(
        imgtype="DARK", exptime=30.0, n=1, group_id="g", reason="daily", program="CALIB", note="cloudy"
    )
    assert ids == [2026112300001]
    (data,) = camera.taken
    assert data.keyValueMap == (
        "imageType: DARK, groupId: g, testType: DARK, stutterRows: 0, stutterNShifts: 0, stutterDelay: 0.0, "
        "reason: daily, program: CALIB"
    )
    assert (data.obsNote, data.expTime, data.shutter) == ("cloudy", 30.0, False)


async def test_flats_open_the_shutter(latiss: Any, camera: MockCamera) -> None:
    await latiss.take_imgtype("FLAT", 2.0, 1)
    assert camera.taken[0].shutter


async def test_what_the_camera_cannot_take_is_rejected(latiss: Any, camera: MockCamera) -> None:
    with pytest.raises(RuntimeError, match=r"Minimum allowed open-shutter exposure time is 0\.1"):
        await latiss.take_imgtype("FLAT", 0.05, 1)
    with pytest.raises(RuntimeError, match="Invalid imgtype:GUESS"):
        await latiss.take_imgtype("GUESS", 1.0, 1)
    assert camera.taken == []


async def test_images_without_a_group_get_a_new_one(latiss: Any, camera: MockCamera) -> None:
    await latiss.take_imgtype("DARK", 1.0, 1)
    group = camera.taken[0].keyValueMap.split(", ")[1].removeprefix("groupId: ")
    tai = datetime.datetime.fromisoformat(group)
    assert abs(tai - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)) < datetime.timedelta(minutes=5)


async def test_the_next_exposure_waits_for_the_readout(latiss: Any, camera: MockCamera) -> None:
    camera.readout.clear()
    taking = asyncio.create_task(latiss.take_imgtype("BIAS", 0.0, 2))
    async with asyncio.timeout(TIMEOUT):
        while not camera.taken:  # noqa: ASYNC110 - the camera notes it in a list
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert len(camera.taken) == 1
    camera.readout.set()
    assert len(await asyncio.wait_for(taking, timeout=TIMEOUT)) == 2


async def test_exposures_and_set_up_exclude_each_other(latiss: Any) -> None:
    async with latiss.cmd_lock:
        taking = asyncio.create_task(latiss.take_imgtype("BIAS", 0.0, 1))
        setting = asyncio.create_task(latiss.setup_instrument(filter=1))
        await asyncio.sleep(0.05)
        assert not taking.done()
        assert not setting.done()
    await asyncio.wait_for(asyncio.gather(taking, setting), timeout=TIMEOUT)


async def test_a_camera_that_is_not_enabled_rejects_commands(latiss: Any, camera: MockCamera) -> None:
    await camera.fault(code=1, report="no cooling")
    with pytest.raises(salobj.AckError, match="no cooling"):
        await latiss.take_imgtype("BIAS", 0.0, 1)


async def test_an_image_that_does_not_start_is_an_error(latiss: Any, camera: MockCamera) -> None:
    async def nothing(data: Any) -> None:
        pass

    camera.cmd_takeImages.callback = nothing
    latiss.long_long_timeout = 0.1
    with pytest.raises(RuntimeError, match="Expected 1 got 0"):
        await latiss.take_imgtype("BIAS", 0.0, 1)


async def test_a_camera_without_history_counts_as_ready(domain: Any) -> None:
    async with ImageLatiss(domain=domain, intended_usage=ImageUsages.Images) as latiss:
        latiss.long_timeout = 0.1
        await latiss.wait_for_camera_readiness()


async def until_substate(camera: Any, substate: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while camera.evt_ccsCommandState.get().substate != substate:  # noqa: ASYNC110 - get() has no event
            await asyncio.sleep(0.01)


async def test_the_command_state_is_waited_for_where_it_is_read(camera: MockCamera, domain: Any) -> None:
    async with LATISS(domain=domain) as latiss:
        await camera.evt_ccsCommandState.set_write(substate=2)
        await until_substate(latiss.camera, 2)
        taking = asyncio.create_task(latiss.take_imgtype("BIAS", 0.0, 1))
        await asyncio.sleep(0.1)
        assert not camera.taken
        await camera.evt_ccsCommandState.set_write(substate=1)
        assert await asyncio.wait_for(taking, timeout=TIMEOUT) == [2026112300001]
        await camera.evt_ccsCommandState.set_write(substate=2)
        await until_substate(latiss.camera, 2)
        latiss.fast_timeout = 0.1
        assert await latiss.take_imgtype("BIAS", 0.0, 1) == [2026112300002]


async def test_the_filters_and_gratings_are_reported(latiss: Any) -> None:
    filters, gratings, stage = await latiss.get_available_instrument_setup()
    assert filters == ["empty_1", " SDSSr_65mm"]
    assert gratings == ["empty_1", "holo4_003"]
    assert stage == [1.0, 79.0]


async def test_those_of_a_silent_spectrograph_are_not_known(domain: Any) -> None:
    async with ImageLatiss(domain=domain, intended_usage=ImageUsages.Images) as latiss:
        latiss.fast_timeout = 0.1
        with pytest.raises(RuntimeError, match="Make sure ATSpectrograph is running"):
            await latiss.get_available_instrument_setup()


async def test_the_spectrograph_is_set_up_by_name_or_id(latiss: Any) -> None:
    await latiss.setup_instrument(filter="SDSSr_65mm", grating=2)
    spectrograph = latiss.rem.atspectrograph
    assert (await spectrograph.evt_reportedFilterPosition.aget(timeout=TIMEOUT)).name == "SDSSr_65mm"
    assert (await spectrograph.evt_reportedDisperserPosition.aget(timeout=TIMEOUT)).slot == 2
