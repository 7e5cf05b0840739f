# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""LATISS on the simulated camera and spectrograph, well and out of order."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.config import Series, parse
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType, Instrument
from lsst.ts.calibrationscripts.observatory.camera import SalCamera
from lsst.ts.calibrationscripts.observatory.latiss import CalibrationLatiss, CalibrationUsages
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.plan import PlannedExposure
from lsst.ts.calibrationscripts.ports import CameraError
from lsst.ts.calibrationscripts.simulation.ccd import FocalPlane
from lsst.ts.calibrationscripts.simulation.cscs import CameraCsc, ObservingDay, SimulatedCsc, SpectrographCsc
from lsst.ts.calibrationscripts.simulation.raws import RawFiles

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

SHORT = 0.3
"""A limit that a test runs into (s)."""

TIME_SCALE = 0.005
GROUP_ID = "2022-09-29T14:00:00.000#7"
DARK = PlannedExposure(ImageType.DARK, "DARK", 5.0, False, 2, 3)
FLAT = PlannedExposure(ImageType.FLAT, "FLAT", 0.5, False, 1, 1)


class Camera(CameraCsc):
    """A camera that notes its commands, and can be kept from obeying them."""

    def __init__(self, staging: Path) -> None:
        self.commands: list[Any] = []
        self.trouble = ""
        self.readout_may_end = threading.Event()
        self.readout_may_end.set()
        super().__init__(
            focal_plane=FocalPlane(LATISS, 32),
            files=RawFiles(staging, LATISS),
            day=ObservingDay(datetime.date(2022, 9, 29)),
            time_scale=TIME_SCALE,
        )

    async def do_takeImages(self, data: Any) -> None:
        self.commands.append(data)
        match self.trouble:
            case "refuses":
                raise salobj.ExpectedError("CCS is in FAULT")
            case "hangs":
                await asyncio.wait_for(asyncio.Event().wait(), TIMEOUT)
            case "takes nothing":
                return
            case "dies":
                await self.fall_silent("takeImages")
        await super().do_takeImages(data)
        if self.trouble == "never acknowledges":
            await asyncio.wait_for(asyncio.Event().wait(), TIMEOUT)

    async def integrate(self, exp_time: float) -> None:
        await super().integrate(exp_time)
        match self.trouble:
            case "goes to FAULT":
                await self.fault(code=5510, report="shutter stuck")
            case "hangs, then goes to FAULT":
                await self.fault(code=5510, report="shutter stuck")
                await asyncio.wait_for(asyncio.Event().wait(), TIMEOUT)
        self.assert_enabled("takeImages")

    def write_image(self, header: Any) -> None:
        super().write_image(header)
        assert self.readout_may_end.wait(TIMEOUT)

    async def close_tasks(self) -> None:
        self.readout_may_end.set()
        await super().close_tasks()


class Spectrograph(SpectrographCsc):
    """A spectrograph that notes its moves and may jam or report late."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, int, str]] = []
        self.jammed = False
        self.breaks = False
        self.reports_late = False
        self._reports: set[asyncio.Task[None]] = set()
        super().__init__(LATISS, time_scale=TIME_SCALE)

    async def do_changeFilter(self, data: Any) -> None:
        self.moves.append(("filter", data.filter, data.name))
        await super().do_changeFilter(data)

    async def do_changeDisperser(self, data: Any) -> None:
        self.moves.append(("grating", data.disperser, data.name))
        await super().do_changeDisperser(data)

    async def turn(self, wheel: Any, slot: int) -> None:
        if self.breaks:
            await self.fault(code=1, report="no power")
            await asyncio.wait_for(asyncio.Event().wait(), TIMEOUT)
        if not self.jammed:
            await super().turn(wheel, slot)

    async def _report(self, *args: Any) -> None:
        if not self.reports_late:
            await super()._report(*args)
            return
        report = asyncio.create_task(self._report_late(*args))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _report_late(self, *args: Any) -> None:
        # Long after the command's acknowledgement.
        await asyncio.sleep(SHORT)
        await super()._report(*args)


class Observatory:
    """The four components of LATISS, and the remotes that command them."""

    camera: Camera
    spectrograph: Spectrograph
    header_service: SimulatedCsc
    latiss: CalibrationLatiss
    watch: ComponentWatch
    instrument: Instrument = LATISS

    def make_camera(self, config: str = "") -> SalCamera:
        return SalCamera(self.latiss, self.instrument, parse(config, LATISS), self.watch)

    async def set_up(self, config: str) -> None:
        await self.make_camera(config).set_up(flats(config))

    async def physical_filter(self, config: str) -> str:
        return await self.make_camera(config).physical_filter(flats(config))


def flats(config: str = "") -> Series:
    return parse(config, LATISS).series[-1]


@pytest.fixture
def topics(module_topics: None) -> None:
    """Let the tests share the 250 topics of LATISS."""


@pytest_asyncio.fixture
async def observatory(domain: Any, tmp_path: Path) -> AsyncIterator[Observatory]:
    observatory = Observatory()
    observatory.spectrograph, observatory.camera = Spectrograph(), Camera(tmp_path)
    observatory.header_service = SimulatedCsc("ATHeaderService")
    others = observatory.header_service, SimulatedCsc("ATOODS")
    cscs = (observatory.spectrograph, observatory.camera, *others)
    try:
        await asyncio.gather(*(csc.start_task for csc in cscs))
        # From now on, what there is of history is these components' own.
        observatory.latiss = CalibrationLatiss(domain=domain, intended_usage=CalibrationUsages.Calibrations)
        await observatory.latiss.start_task
        observatory.watch = ComponentWatch(vars(observatory.latiss.rem).values())
        yield observatory
        await observatory.latiss.close()
    finally:
        await asyncio.gather(*(csc.close() for csc in cscs))


async def positions(observatory: Observatory) -> tuple[str, str]:
    """Return what the spectrograph reports to have in the beam."""
    remote = observatory.latiss.rem.atspectrograph
    return (
        (await remote.evt_reportedFilterPosition.aget(timeout=TIMEOUT)).name,
        (await remote.evt_reportedDisperserPosition.aget(timeout=TIMEOUT)).name,
    )


async def test_frames_have_their_exposure_ids(observatory: Observatory) -> None:
    camera = observatory.make_camera()
    assert await camera.check() == ()
    assert [await camera.take(DARK, GROUP_ID), await camera.take(FLAT, GROUP_ID)] == [
        2022092900001,
        2022092900002,
    ]
    dark, flat = observatory.camera.commands
    assert (dark.numImages, dark.expTime, dark.shutter) == (1, 5.0, False)
    assert (flat.numImages, flat.expTime, flat.shutter) == (1, 0.5, True)


async def test_a_frame_carries_what_the_observer_wrote(observatory: Observatory) -> None:
    camera = observatory.make_camera("{program: BLOCK-7, reason: daily, note: 'lamp, old'}")
    await camera.take(DARK, GROUP_ID)
    (command,) = observatory.camera.commands
    keys = dict(item.split(": ", 1) for item in command.keyValueMap.split(", "))
    assert keys["imageType"] == "DARK"
    assert keys["groupId"] == GROUP_ID
    assert (keys["program"], keys["reason"]) == ("BLOCK-7", "daily")
    assert command.obsNote == "lamp, old"


async def test_what_the_observer_did_not_write_is_left_out(observatory: Observatory) -> None:
    await observatory.make_camera().take(DARK, GROUP_ID)
    (command,) = observatory.camera.commands
    assert "program" not in command.keyValueMap and "reason" not in command.keyValueMap
    assert command.obsNote == ""


@pytest.mark.parametrize(("controller", "expected"), [("C", 3022092900001), ("H", 4022092900001)])
async def test_an_image_of_another_controller_has_the_id_that_the_butler_gives_it(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch, controller: str, expected: int
) -> None:
    # Given a camera that is commanded by its own console, in 2022
    image_fields = observatory.camera._image_fields

    def of_another(*args: Any) -> dict[str, Any]:
        fields = image_fields(*args)
        return {**fields, "imageName": fields["imageName"].replace("_O_", f"_{controller}_")}

    monkeypatch.setattr(observatory.camera, "_image_fields", of_another)
    # Then it is not the image of that number that the observatory took
    assert await observatory.make_camera().take(DARK, GROUP_ID) == expected


async def test_a_frame_is_taken_once_it_is_read_out(observatory: Observatory) -> None:
    # Given a camera whose readout goes on after the exposure.
    observatory.camera.readout_may_end.clear()
    async with salobj.Remote(
        observatory.latiss.domain, "ATCamera", include=["startReadout"], readonly=True
    ) as remote:
        taking = asyncio.create_task(observatory.make_camera().take(DARK, GROUP_ID))
        await remote.evt_startReadout.next(flush=False, timeout=TIMEOUT)
    await asyncio.wait({taking}, timeout=SHORT)
    assert not taking.done()
    observatory.camera.readout_may_end.set()
    assert await taking == 2022092900001


async def test_a_readout_that_does_not_end_is_a_camera_error(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SalCamera, "READOUT_TIMEOUT", SHORT)
    observatory.camera.readout_may_end.clear()
    with pytest.raises(CameraError, match=r"DARK 2/3, 5 s: exposure 2022092900001 was not read out within"):
        await observatory.make_camera().take(DARK, GROUP_ID)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("refuses", "CMD_FAILED: Failed: CCS is in FAULT"),
        ("takes nothing", "Timeout waiting for endReadout event. Expected 1 got 0"),
    ],
)
async def test_a_camera_that_fails_is_reported_with_the_frame(
    observatory: Observatory, trouble: str, words: str
) -> None:
    observatory.camera.trouble = trouble
    observatory.latiss.long_long_timeout = SHORT
    with pytest.raises(CameraError) as error:
        await observatory.make_camera().take(DARK, GROUP_ID)
    assert str(error.value) == f"DARK 2/3, 5 s: not taken, {words}. Check ATCamera."


async def test_a_camera_that_hangs_is_given_up(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SalCamera, "EXPOSURE_MARGIN", SHORT - DARK.exp_time)
    observatory.camera.trouble = "hangs"
    with pytest.raises(CameraError) as error:
        await observatory.make_camera().take(DARK, GROUP_ID)
    assert str(error.value) == "DARK 2/3, 5 s: not taken, no answer in time. Check ATCamera."


@pytest.mark.parametrize("trouble", ["goes to FAULT", "hangs, then goes to FAULT"])
async def test_a_camera_in_fault_is_reported_at_once(observatory: Observatory, trouble: str) -> None:
    observatory.camera.trouble = trouble
    camera = observatory.make_camera()
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(CameraError) as error:
            await camera.take(DARK, GROUP_ID)
    why = "ATCamera went to FAULT (error 5510: shutter stuck). Check ATCamera."
    assert str(error.value) in (f"DARK 2/3, 5 s: lost, {why}", f"DARK 2/3, 5 s: not taken, {why}")
    # And it is not asked for another frame.
    with pytest.raises(CameraError) as error:
        await camera.take(FLAT, GROUP_ID)
    assert str(error.value) == f"FLAT 1/1, 0.5 s: not taken, {why}"
    assert len(observatory.camera.commands) == 1


async def test_a_camera_that_dies_is_reported_before_its_time_is_up(observatory: Observatory) -> None:
    observatory.watch = ComponentWatch(vars(observatory.latiss.rem).values(), heartbeat_timeout=2.5)
    observatory.camera.trouble = "dies"
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(
            CameraError, match=r"DARK 2/3, 5 s: lost, no heartbeat of ATCamera for \d s\. Che"
        ):
            await observatory.make_camera().take(DARK, GROUP_ID)


async def test_no_frame_is_taken_that_would_have_no_header(observatory: Observatory) -> None:
    await observatory.header_service.fault(code=3, report="no disk")
    await wait_for_state(observatory.latiss.rem.atheaderservice, salobj.State.FAULT)
    with pytest.raises(CameraError, match=r"not taken, ATHeaderService went to FAULT \(error 3: no disk\)"):
        await observatory.make_camera().take(DARK, GROUP_ID)
    assert observatory.camera.commands == []


async def test_a_frame_is_not_lost_with_its_acknowledgement(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SalCamera, "EXPOSURE_MARGIN", 2 - DARK.exp_time)
    observatory.camera.trouble = "never acknowledges"
    assert await observatory.make_camera().take(DARK, GROUP_ID) == 2022092900001


async def test_a_frame_that_was_begun_can_be_had_after_a_stop(observatory: Observatory) -> None:
    # Given a script that is stopped while a frame is read out.
    observatory.camera.readout_may_end.clear()
    async with salobj.Remote(
        observatory.latiss.domain,
        "ATCamera",
        include=["startReadout"],
        readonly=True,
        evt_max_history=0,
    ) as remote:
        taking = asyncio.create_task(observatory.make_camera().take(DARK, GROUP_ID))

        async def script() -> None:
            await asyncio.shield(taking)

        running = asyncio.create_task(script())
        await remote.evt_startReadout.next(flush=False, timeout=TIMEOUT)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # Then the frame still comes to its end.
    observatory.camera.readout_may_end.set()
    assert await taking == 2022092900001


async def test_an_image_that_was_never_read_out_does_not_hold_up_the_next(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SalCamera, "READOUT_TIMEOUT", 1.0)
    camera = observatory.make_camera()
    # Given a camera that has begun an image before, and failed.
    await observatory.camera.evt_startIntegration.set_write(
        imageName="AT_O_20220928_000009", exposureTime=0.1, force_output=True
    )
    event = observatory.latiss.rem.atcamera.evt_startIntegration
    async with asyncio.timeout(TIMEOUT):
        while event.get().imageName != "AT_O_20220928_000009":
            await event.next(flush=False)
        assert await camera.take(DARK, GROUP_ID) == 2022092900001
    assert "AT_O_20220928_000009 was never read out" in caplog.text


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{filter: SDSSr_65mm, grating: blue300lpmm_qn1}", ("SDSSr_65mm", "blue300lpmm_qn1")),
        ("{filter: 3, grating: 2}", ("SDSSi_65mm", "SDSSy_65mm")),
        # Slot 0 is a choice, not nothing.
        ("{filter: 0, grating: 0}", ("empty_1", "empty_1")),
        ("filter: SDSSg_65mm", ("SDSSg_65mm", "empty_1")),
        ("grating: 1", ("empty_1", "holo4_003")),
        ("{filter: empty_1, grating: empty_1}", ("empty_1", "empty_1")),
        ("", ("empty_1", "empty_1")),
    ],
)
async def test_filter_and_grating_are_selected(
    observatory: Observatory, config: str, expected: tuple[str, str]
) -> None:
    camera = observatory.make_camera(config)
    assert await camera.check() == ()
    # What flats are taken through is known before anything moves.
    assert await camera.physical_filter(flats(config)) == "~".join(expected)
    assert observatory.spectrograph.moves == []
    await camera.set_up(flats(config))
    assert await positions(observatory) == expected
    assert len(observatory.spectrograph.moves) == config.count(":")


async def test_the_filter_in_the_beam_counts_where_none_is_wanted(observatory: Observatory) -> None:
    await observatory.set_up("filter: SDSSi_65mm")
    assert await observatory.physical_filter("") == "SDSSi_65mm~empty_1"
    assert await observatory.physical_filter("grating: 2") == "SDSSi_65mm~SDSSy_65mm"


async def test_a_position_may_be_reported_after_the_acknowledgement(observatory: Observatory) -> None:
    # Given a wheel that was elsewhere before, as is in the queue of events.
    await observatory.set_up("filter: SDSSr_65mm")
    await observatory.set_up("filter: SDSSg_65mm")
    observatory.spectrograph.reports_late = True
    await observatory.set_up("{filter: SDSSr_65mm, grating: 1}")
    assert await positions(observatory) == ("SDSSr_65mm", "holo4_003")


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("filter", "SDSSz", "write one of empty_1 (slot 0), SDSSg_65mm (slot 1), SDSSr_65mm (slot 2), "),
        ("filter", 5, "BG40_65mm_1 (slot 4)"),
        ("grating", "holo", "holo4_003 (slot 1)"),
        ("grating", 9, "blue300lpmm_qn1 (slot 3)"),
    ],
)
async def test_an_unknown_filter_is_reported_before_anything_moves(
    observatory: Observatory, key: str, value: int | str, known: str
) -> None:
    config = dataclasses.replace(parse("", LATISS), **{key: value})
    camera = SalCamera(observatory.latiss, LATISS, config, observatory.watch)
    (problem,) = await camera.check()
    assert problem.startswith(f"{key}: {value}: ATSpectrograph does not have this {key}")
    assert known in problem
    # The question for the Butler's name of it gets the same answer.
    with pytest.raises(CameraError) as error:
        await camera.physical_filter(config.series[-1])
    assert str(error.value) == problem
    assert observatory.spectrograph.moves == []


@pytest.mark.parametrize(("wheels", "expected"), [((), ""), (("filter",), "SDSSr_65mm")])
async def test_the_wheels_are_those_of_the_instrument(
    observatory: Observatory, wheels: tuple[str, ...], expected: str
) -> None:
    # Given a camera with a grating selected that it does not have
    observatory.instrument = dataclasses.replace(LATISS, wheels=wheels)
    config = "{filter: SDSSr_65mm, grating: holo}"
    # Then only its own wheels are checked, turned and named
    assert await observatory.make_camera(config).check() == ()
    assert await observatory.physical_filter(config) == expected
    await observatory.set_up(config)
    assert [wheel for wheel, *_ in observatory.spectrograph.moves] == list(wheels)


async def test_two_unknown_names_are_two_problems(observatory: Observatory) -> None:
    problems = await observatory.make_camera("{filter: SDSSz, grating: holo}").check()
    assert [problem.partition(":")[0] for problem in problems] == ["filter", "grating"]


@pytest.mark.parametrize("config", ["filter: SDSSr_65mm", "filter: 2"])
async def test_a_wheel_that_is_elsewhere_is_a_camera_error(observatory: Observatory, config: str) -> None:
    observatory.latiss.fast_timeout = SHORT
    observatory.spectrograph.jammed = True
    with pytest.raises(
        CameraError, match=r"reports filter empty_1 \(slot 0\) after (SDSSr_65mm|2) was sel.*"
    ):
        await observatory.set_up(config)


async def test_a_move_that_is_refused_is_a_camera_error(observatory: Observatory) -> None:
    with pytest.raises(CameraError, match=r"did not select \{'filter': 'SDSSz'\}: CMD_FAILED: .*SDSSz"):
        await observatory.set_up("filter: SDSSz")


async def test_a_spectrograph_that_breaks_down_is_reported_at_once(observatory: Observatory) -> None:
    observatory.spectrograph.breaks = True
    async with asyncio.timeout(TIMEOUT):
        with pytest.raises(CameraError) as error:
            await observatory.set_up("filter: SDSSr_65mm")
    assert str(error.value) == (
        "ATSpectrograph did not select {'filter': 'SDSSr_65mm'}: ATSpectrograph went to FAULT "
        "(error 1: no power). Check ATSpectrograph before running again."
    )


async def test_a_component_that_died_in_silence_is_named(observatory: Observatory) -> None:
    # Given one that is ENABLED as far as was reported.
    observatory.watch = ComponentWatch(vars(observatory.latiss.rem).values(), heartbeat_timeout=1.5)
    observatory.header_service.heartbeat_interval = TIMEOUT
    problems: tuple[str, ...] = ()
    async with asyncio.timeout(TIMEOUT):
        while not problems:
            await asyncio.sleep(SHORT)
            problems = await observatory.make_camera().check()
    (problem,) = problems
    assert problem.startswith("no heartbeat of ATHeaderService for ")


async def wait_for_state(remote: Any, state: Any) -> None:
    async with asyncio.timeout(TIMEOUT):
        while remote.evt_summaryState.get().summaryState != state:
            await remote.evt_summaryState.next(flush=False, timeout=TIMEOUT)


async def test_components_that_are_not_enabled_are_named(observatory: Observatory) -> None:
    for name in ("atheaderservice", "atoods"):
        remote = getattr(observatory.latiss.rem, name)
        async with salobj.Remote(observatory.latiss.domain, remote.salinfo.name) as commander:
            await commander.cmd_disable.start(timeout=TIMEOUT)
        await wait_for_state(remote, salobj.State.DISABLED)
    (problem,) = await observatory.make_camera().check()
    assert "atheaderservice" in problem and "atoods" in problem and "ENABLED" in problem
    assert "atcamera" not in problem


async def test_without_latiss_each_question_says_what_is_silent(own_topics: None, domain: Any) -> None:
    async with CalibrationLatiss(domain=domain, intended_usage=CalibrationUsages.Calibrations) as latiss:
        latiss.fast_timeout = SHORT
        camera = SalCamera(latiss, LATISS, parse("", LATISS), ComponentWatch(vars(latiss.rem).values()))
        (problem,) = await camera.check()
        assert "summary state for at" in problem
        with pytest.raises(CameraError, match="ATSpectrograph does not report its filter and grating"):
            await camera.physical_filter(flats())
