# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""ComCam and LSSTCam, which change their filter themselves, on SAL.

What observatory-control does is that of ts_observatory_control 760c5356:
``setup_instrument`` sends setFilter with a name and waits for endSetFilter;
ComCam does nothing if the filter is in place, and LSSTCam refuses another one
without the telescope. Topics and fields are those of ts_xml a724e1ac.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.config import Series, parse
from lsst.ts.calibrationscripts.instruments import LSSTCAM, LSSTCOMCAM, ImageType, Instrument
from lsst.ts.calibrationscripts.localsal.interfaces import get_component_info
from lsst.ts.calibrationscripts.observatory.camera import SalCamera
from lsst.ts.calibrationscripts.observatory.comcam import CalibrationComCam, CalibrationComCamUsages
from lsst.ts.calibrationscripts.observatory.lsstcam import CalibrationLSSTCam, CalibrationLSSTCamUsages
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.plan import PlannedExposure
from lsst.ts.calibrationscripts.ports import CameraError
from lsst.ts.calibrationscripts.simulation.ccd import FocalPlane
from lsst.ts.calibrationscripts.simulation.cscs import FilterCameraCsc, ObservingDay, SimulatedCsc
from lsst.ts.calibrationscripts.simulation.raws import RawFiles

BIAS = PlannedExposure(ImageType.BIAS, "BIAS", 0.0, False, 1, 1)
SELECTED = (3,)
"""The one detector that is simulated."""

COMCAM_FILTERS = ["r_03", "g_01", "i_06", "NONE"]


class Camera(FilterCameraCsc):
    """A camera that notes its commands, and may stop at a wrong filter."""

    def __init__(self, instrument: Instrument, staging: Path) -> None:
        self.asked: list[str] = []
        self.wrong = False
        super().__init__(
            focal_plane=FocalPlane(instrument, 64, detectors=SELECTED),
            files=RawFiles(staging, instrument, SELECTED),
            day=ObservingDay(datetime.date(2024, 11, 5)),
            time_scale=0.002,
        )

    async def do_setFilter(self, data: Any) -> None:
        self.asked.append(data.name)
        await super().do_setFilter(data)

    async def turn(self, wheel: Any, slot: int) -> None:
        await super().turn(wheel, slot + self.wrong)


class Observatory:
    """The three components of a camera, and the remotes that command them."""

    csc: Camera
    control: Any
    watch: ComponentWatch

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument

    def make_camera(self, config: str = "") -> SalCamera:
        return SalCamera(self.control, self.instrument, parse(config, self.instrument), self.watch)

    def flats(self, config: str) -> Series:
        return parse(config, self.instrument).series[-1]

    async def set_up(self, config: str) -> None:
        await self.make_camera(config).set_up(self.flats(config))

    async def current(self) -> str:
        return str(await self.control.get_current_filter())


async def observe(instrument: Instrument, control: Any, staging: Path) -> AsyncIterator[Observatory]:
    observatory = Observatory(instrument)
    observatory.csc = Camera(instrument, staging)
    others = [SimulatedCsc(instrument.components.header_service), SimulatedCsc(instrument.components.oods)]
    cscs = (observatory.csc, *others)
    try:
        await asyncio.gather(*(csc.start_task for csc in cscs))
        observatory.control = control()
        await observatory.control.start_task
        observatory.watch = ComponentWatch(vars(observatory.control.rem).values())
        yield observatory
        await observatory.control.close()
    finally:
        await asyncio.gather(*(csc.close() for csc in cscs))


@pytest.fixture
def topics(module_topics: None) -> None:
    """Let the tests share the topics."""


@pytest_asyncio.fixture
async def comcam(domain: Any, tmp_path: Path) -> AsyncIterator[Observatory]:
    def control() -> CalibrationComCam:
        return CalibrationComCam(domain=domain, intended_usage=CalibrationComCamUsages.Calibrations)

    async for observatory in observe(LSSTCOMCAM, control, tmp_path):
        yield observatory


@pytest_asyncio.fixture
async def lsstcam(domain: Any, tmp_path: Path) -> AsyncIterator[Observatory]:
    def control() -> CalibrationLSSTCam:
        return CalibrationLSSTCam(domain=domain, intended_usage=CalibrationLSSTCamUsages.Calibrations)

    async for observatory in observe(LSSTCAM, control, tmp_path):
        yield observatory


def test_the_camera_components_have_the_topics_of_ts_xml() -> None:
    for name in ("CCCamera", "MTCamera"):
        info = get_component_info(name)
        assert {"setFilter", "takeImages"} <= set(info.names("cmd_"))
        fields = info.topics["evt_endSetFilter"].fields
        assert [each for each in fields if each.startswith("filter")] == [
            "filterName",
            "filterType",
            "filterSlot",
            "filterPosition",
        ]
        assert info.topics["evt_availableFilters"].fields["maxFastChangeTime"].count == 6
    for name in ("CCOODS", "MTOODS"):
        assert "raft" in get_component_info(name).topics["evt_imageInOODS"].fields


async def test_comcam_is_ready_and_takes_frames_of_its_own_name(comcam: Observatory) -> None:
    assert await comcam.make_camera("filter: i_06").check() == ()
    assert await comcam.make_camera().take(BIAS, "2024-11-05T14:00:00.000#1") == 2024110500001


@pytest.mark.parametrize("given", ["i_06", 2])
async def test_a_filter_of_comcam_is_set_by_name_from_its_name_or_place(
    given: str | int, comcam: Observatory
) -> None:
    await comcam.set_up(f"filter: {given}")
    assert (comcam.csc.asked, await comcam.current()) == (["i_06"], "i_06")
    assert await comcam.make_camera().physical_filter(comcam.flats("")) == "i_06"


async def test_a_filter_that_is_in_place_is_not_set_again(comcam: Observatory) -> None:
    await comcam.set_up("filter: r_03")
    await comcam.set_up("filter: 0")
    assert comcam.csc.asked == []


async def test_a_filter_that_comcam_does_not_have_is_refused_with_those_it_has(comcam: Observatory) -> None:
    (problem,) = await comcam.make_camera("filter: z_03").check()
    assert problem == (
        "filter: z_03: CCCamera does not have this filter; write one of r_03 (slot 0), g_01 (slot 1), "
        "i_06 (slot 2), NONE (slot 3)"
    )


async def test_a_filter_that_is_reported_as_another_is_an_error(comcam: Observatory) -> None:
    comcam.csc.wrong = True
    with pytest.raises(CameraError, match=r"CCCamera reports filter i_06 \(slot 2\) after g_01 was selected"):
        comcam.control.fast_timeout = 0.3
        await comcam.set_up("filter: g_01")


async def test_filters_that_are_listed_with_commas_are_understood(comcam: Observatory) -> None:
    # The documentation of availableFilters says so; observatory-control
    # splits at colons.
    await comcam.csc.evt_availableFilters.set_write(filterNames="r_03, g_01,i_06,NONE")
    event = comcam.control.camera.evt_availableFilters
    while "," not in event.get().filterNames:
        await event.next(flush=False, timeout=10)
    assert await comcam.control.wheel_names() == {"filter": COMCAM_FILTERS}


async def test_flats_of_lsstcam_through_the_filter_in_place_command_nothing(lsstcam: Observatory) -> None:
    config = "filter: r_57"
    assert await lsstcam.make_camera(config).check() == ()
    await lsstcam.set_up(config)
    assert await lsstcam.make_camera(config).physical_filter(lsstcam.flats(config)) == "r_57"
    assert lsstcam.csc.asked == []


@pytest.mark.parametrize("given", ["i_39", 3])
async def test_flats_of_lsstcam_through_another_filter_are_refused_before_the_first_frame(
    given: str | int, lsstcam: Observatory
) -> None:
    assert await lsstcam.make_camera(f"filter: {given}").check() == (
        "filter: i_39: MTCamera has r_57 in the light path, and a run does not change the filter of LSSTCam; "
        "change it first, or leave filter out",
    )
    assert lsstcam.csc.asked == []


async def test_a_filter_of_lsstcam_that_was_changed_since_is_an_error_and_not_undone(
    lsstcam: Observatory,
) -> None:
    with pytest.raises(CameraError, match=r"MTCamera did not select .*Cannot change the LSSTCam filter"):
        await lsstcam.set_up("filter: i_39")
    assert lsstcam.csc.asked == []
