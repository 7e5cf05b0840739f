# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is around a camera, read over SAL from mock components."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, ImageType
from lsst.ts.calibrationscripts.observatory.connection import Connection
from lsst.ts.calibrationscripts.observatory.latiss import CalibrationLatiss, CalibrationUsages
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.surroundings import SalSurroundings, needed_for, topics_of
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.preconditions import Finding, Precondition, Standing, judge, preconditions_of
from lsst.ts.calibrationscripts.simulation.cscs import SimulatedCsc, SurroundingCsc, Surroundings
from lsst.ts.calibrationscripts.simulation.cscs.surroundings import DoorState, LampState
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.repository import WorkFolderError

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

ALL = preconditions_of("LATISS")


@pytest_asyncio.fixture
async def around(topics: None) -> AsyncIterator[Surroundings]:
    """Start all that is around LATISS, and its camera."""
    async with contextlib.AsyncExitStack() as stack:
        camera = await stack.enter_async_context(SimulatedCsc("ATCamera"))
        surroundings = Surroundings(LATISS, camera)
        for csc in surroundings.cscs:
            await stack.enter_async_context(csc)
        yield surroundings


@contextlib.asynccontextmanager
async def reader(domain: Any, needed: tuple[Precondition, ...] = ALL) -> AsyncIterator[SalSurroundings]:
    """Read what preconditions need, with remotes of its own."""
    remotes = {
        name: salobj.Remote(domain, name, readonly=True, include=list(topics))
        for name, topics in topics_of(needed).items()
    }
    await asyncio.gather(*(remote.start_task for remote in remotes.values()))
    yield SalSurroundings(remotes)


async def unmet(surroundings: SalSurroundings, *needed: Precondition) -> list[Finding]:
    readings = await asyncio.wait_for(surroundings.read(needed or ALL), TIMEOUT)
    return [each for each in judge(readings) if each.standing is not Standing.MET]


async def first_unmet(surroundings: SalSurroundings, *needed: Precondition) -> Finding:
    """Read again and again until something is not met."""
    async with asyncio.timeout(TIMEOUT):
        while not (found := await unmet(surroundings, *needed)):  # noqa: ASYNC110 - no one sets it
            await asyncio.sleep(0.1)
    return found[0]


def about(*components: str) -> tuple[Precondition, ...]:
    return tuple(each for each in ALL if each.component in components)


async def test_all_is_met_where_flats_are_taken(around: Surroundings, domain: Any) -> None:
    async with reader(domain) as surroundings:
        assert await unmet(surroundings) == []


@pytest.mark.parametrize(
    ("csc", "topic", "fields", "said"),
    [
        ("white_light", "lampState", {"basicState": LampState.OFF}, "the lamp of the white light is OFF"),
        ("white_light", "shutterState", {"actualState": 1}, "the shutter of the white light is CLOSED"),
        ("dome", "mainDoorState", {"state": DoorState.OPENED}, "the main door of the dome is OPENED"),
        ("dome", "dropoutDoorState", {"state": 4}, "the dropout door of the dome is OPENING"),
        ("dome", "position", {"azimuthPosition": 90.0}, "the azimuth of the dome is 90.0 deg"),
        # The newest of the samples counts.
        (
            "telescope",
            "mount_AzEl_Encoders",
            {"elevationCalculatedAngle": [39.0] * 99 + [80.0]},
            "the elevation of the telescope is 80.0 deg",
        ),
        ("cover", "m1CoverState", {"state": 1}, "the cover of the primary mirror is CLOSED"),
    ],
)
async def test_what_is_elsewhere_is_read(
    around: Surroundings, domain: Any, csc: str, topic: str, fields: dict[str, Any], said: str
) -> None:
    mock: SurroundingCsc = getattr(around, csc)
    await mock.become(topic, **fields)
    async with reader(domain) as surroundings:
        (finding,) = await unmet(surroundings)
        assert finding.standing is Standing.UNMET
        assert said in finding.text


async def test_a_warm_board_is_read_as_it_changes(around: Surroundings, domain: Any) -> None:
    async with reader(domain, about("ATCamera")) as surroundings:
        assert await unmet(surroundings, *about("ATCamera")) == []
        around.board["temp2"] = 31.0
        found = await first_unmet(surroundings, *about("ATCamera"))
        assert "the temperature of the WREB is 31.0 deg C" in found.text


async def test_a_lamp_that_warms_up_says_when_it_is_warm(around: Surroundings, domain: Any) -> None:
    async with reader(domain, about("ATWhiteLight")) as surroundings:
        (lamp, _) = about("ATWhiteLight")
        sent = around.white_light.evt_lampState.data.private_sndStamp
        await around.white_light.become("lampState", basicState=LampState.WARMUP, warmupEndTime=sent + 900)
        found = await first_unmet(surroundings, lamp)
        seconds = float(found.text.partition("which it will be in ")[2].partition(" s")[0])
        assert 900 - TIMEOUT < seconds <= 900


async def test_components_that_do_not_exist_are_not_known(
    topics: None, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SalSurroundings, "PATIENCE", 0.5)
    async with reader(domain) as surroundings:
        found = await unmet(surroundings)
        # One message for each component, however much it would tell.
        assert [each.component for each in found] == list(topics_of(ALL))
        assert {each.standing for each in found} == {Standing.UNKNOWN}
        assert all("sends no heartbeat" in each.text for each in found)


async def test_a_component_that_died_is_not_believed(
    around: Surroundings, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SalSurroundings, "PATIENCE", 0.5)
    monkeypatch.setattr(SalSurroundings, "HEARTBEAT_TIMEOUT", 2.5)
    async with reader(domain, about("ATWhiteLight")) as surroundings:
        assert await unmet(surroundings, *about("ATWhiteLight")) == []
        # Given a lamp that is ON by the last event of a process that is dead
        await around.white_light.close()
        found = await first_unmet(surroundings, *about("ATWhiteLight"))
        assert found.standing is Standing.UNKNOWN
        assert found.text.startswith("ATWhiteLight sends no heartbeat")


async def test_telemetry_that_stopped_is_too_old(around: Surroundings, domain: Any) -> None:
    (board,) = about("ATCamera")
    async with reader(domain, (board,)) as surroundings:
        assert await unmet(surroundings, board) == []
        # The same, for one who wants it newer than it can be
        (finding,) = judge(surroundings.now([dataclasses.replace(board, max_age=1e-9)]))
        assert finding.standing is Standing.UNKNOWN
        assert "ATCamera last published focal_plane_Reb" in finding.text


async def test_the_first_telemetry_is_waited_for(
    topics: None, domain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a camera that lives, and publishes a temperature only each minute
    monkeypatch.setattr(SalSurroundings, "PATIENCE", 0.1)
    async with SimulatedCsc("ATCamera") as camera, reader(domain, about("ATCamera")) as surroundings:
        reading = asyncio.create_task(unmet(surroundings, *about("ATCamera")))
        await asyncio.sleep(1.0)
        assert not reading.done()
        await camera.tel_focal_plane_Reb.set_write(temp2=27.0)
        assert await asyncio.wait_for(reading, TIMEOUT) == []


async def test_what_is_not_met_at_the_configuration_is_a_warning(
    around: Surroundings, domain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await around.white_light.become("lampState", basicState=LampState.OFF)
    await around.cover.close()
    async with reader(domain, about("ATWhiteLight", "ATCamera")) as surroundings:
        with caplog.at_level(logging.WARNING):
            # Telemetry has not come yet, which means nothing.
            surroundings.preview(about("ATWhiteLight", "ATCamera"), logging.getLogger("script"))
        (record,) = [each for each in caplog.records if each.name == "script"]
        assert record.message.startswith("Not met now, and looked at again before frames are taken: ATWhite")


# The faults of the simulated observatory


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lamp-off", "the lamp of the white light is OFF, not ON."),
        ("lamp-cold", "the lamp of the white light is WARMUP, not ON, which it will be in "),
        ("dome-open", "the main door of the dome is OPENED, not CLOSED."),
        ("telescope-elsewhere", "the elevation of the telescope is 80.0 deg, not 38 to 40 deg."),
        ("board-too-warm", "the temperature of the WREB is 31.0 deg C, not 26 to 29 deg C."),
        ("white-light-silent", "it is not known whether the lamp of the white light is ON"),
    ],
)
@pytest.mark.parametrize("when", [1, 2])
async def test_a_fault_strikes_before_an_exposure(
    topics: None, domain: Any, monkeypatch: pytest.MonkeyPatch, name: str, said: str, when: int
) -> None:
    monkeypatch.setattr(SalSurroundings, "PATIENCE", 2.0)
    monkeypatch.setattr(SalSurroundings, "HEARTBEAT_TIMEOUT", 1.5)
    async with contextlib.AsyncExitStack() as stack:
        # Given a fault, and a camera that has the one step that it is about
        camera = SimulatedCsc("ATCamera")
        surroundings = Surroundings(LATISS, camera)
        fault = parse_fault(f"{name}:{when}")
        fault.attach(
            SimpleNamespace(camera=camera, surroundings=surroundings, time_scale=1, instrument=LATISS)
        )
        for csc in (camera, *surroundings.cscs):
            await stack.enter_async_context(csc)
        reads = await stack.enter_async_context(reader(domain))
        if when == 2:
            assert await unmet(reads) == []
            assert not fault.struck
            # When it has taken an exposure
            await camera.interceptors["integrate"][0](lambda exp_time: asyncio.sleep(0), 5.0)
        # Then something is not as it should be
        assert fault.struck == 1
        assert said in (await first_unmet(reads)).text


def test_a_camera_that_has_no_lamp_has_no_fault_of_it() -> None:
    observatory = SimpleNamespace(
        camera=SimpleNamespace(intercept=lambda *args: None),
        surroundings=SimpleNamespace(),
        time_scale=1,
        instrument=LSSTCAM,
    )
    for name in ("lamp-off", "board-too-warm"):
        with pytest.raises(WorkFolderError, match=f"--fault {name}: a simulated LSSTCam has nothing"):
            parse_fault(name).attach(observatory)


# The connection


async def test_the_connection_reads_all_that_latiss_needs(around: Surroundings, domain: Any) -> None:
    log = logging.getLogger("test")
    control = CalibrationLatiss(domain=domain, log=log, intended_usage=CalibrationUsages.Calibrations)
    connection = Connection(control, LATISS, domain, ocps=True)
    connection.look_around(topics_of(ALL), domain)
    await connection.start()
    try:
        assert await unmet(connection.surroundings) == []
    finally:
        await connection.close()
    # The camera's remote is that of the control: another one costs time.
    assert len(list(topics_of(ALL))) == 5


def plan_of(text: str, instrument: Any = LATISS) -> Any:
    config = parse(text, instrument)
    return config, make_plan(config, instrument)


def test_only_what_is_needed_is_read() -> None:
    def components(text: str) -> list[str]:
        config, plan = plan_of(text)
        return list(topics_of(needed_for("LATISS", config, plan)))

    assert components("script_mode: BIAS_DARK") == ["ATCamera"]
    assert components("script_mode: FLAT") == ["ATWhiteLight", "ATDome", "ATMCS", "ATPneumatics", "ATCamera"]
    assert components("{script_mode: FLAT, ignore: [atdome, atmcs]}") == [
        "ATWhiteLight",
        "ATPneumatics",
        "ATCamera",
    ]
    assert components("preconditions: off") == []
    assert components("exposures: {BIAS: [2022092900004, 2022092900005]}") == []


def test_lsstcam_needs_the_states_of_the_dome_for_flats() -> None:
    needed = preconditions_of(LSSTCAM.name, [ImageType.FLAT])
    assert topics_of(needed) == {
        "MTDomeTrajectory": {"heartbeat", "summaryState"},
        "MTDome": {"heartbeat", "summaryState"},
    }


@pytest.mark.parametrize("state", ["ENABLED", "DISABLED", "STANDBY"])
async def test_a_disabled_dome_will_do_for_lsstcam(topics: None, domain: Any, state: str) -> None:
    needed = preconditions_of(LSSTCAM.name)
    async with (
        SurroundingCsc("MTDome", {}, initial_state=salobj.State[state]),
        SurroundingCsc("MTDomeTrajectory", {}),
        reader(domain, needed) as surroundings,
    ):
        found = await unmet(surroundings, *needed)
        assert [each.text for each in found] == (
            []
            if state != "STANDBY"
            else [
                f"MTDome: the summary state of MTDome is STANDBY, not DISABLED or ENABLED. {needed[1].remedy}"
            ]
        )
