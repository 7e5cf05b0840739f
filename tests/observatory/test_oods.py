# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are followed into the Butler, each by its own clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, LSSTCOMCAM, Instrument
from lsst.ts.calibrationscripts.observatory.image_names import exposure_id
from lsst.ts.calibrationscripts.observatory.oods import OodsIngest
from lsst.ts.calibrationscripts.observatory.sal import salobj
from lsst.ts.calibrationscripts.observatory.watch import ComponentWatch
from lsst.ts.calibrationscripts.ports import IngestReport, LostRaw, ObservatoryError
from virtual_time import virtually

TIMEOUT = 60.0
"""What a test waits for at most (s)."""

SHORT = 0.5
"""Time after which frames that never arrive are overdue (s)."""

DAY = 20220929
FIRST, SECOND, THIRD = (DAY * 100_000 + i for i in (1, 2, 3))


def obsid(exposure: int, prefix: str = LATISS.image_prefix) -> str:
    return f"{prefix}_O_{DAY}_{exposure % 100_000:06d}"


class MockOods(salobj.BaseCsc):
    """An OODS that publishes what the test wants.

    By default it says what the real one says of LATISS (lsst-dm/ctrl_oods,
    bf36dba4, imageData.py, butlerAttendant.py and oods_csc.py).
    """

    version = "test"
    valid_simulation_modes = (0,)

    def __init__(self) -> None:
        super().__init__("ATOODS", initial_state=salobj.State.ENABLED)

    async def publish(self, image: int | str, status: int = 0, **kwargs: Any) -> None:
        fields = {
            "camera": "LATISS",
            "obsid": image if isinstance(image, str) else obsid(image),
            "raft": None,
            "sensor": "RXX_S00",
            "statusCode": status,
            "description": "" if status else "file ingested",
        }
        await self.evt_imageInOODS.set_write(**fields | kwargs, force_output=True)

    async def fail(self, exposure: int, description: str) -> None:
        """Publish that an image could be read, but not ingested."""
        await self.publish(
            str(exposure), 1, raft="R??", sensor="S00", description=f"ingest failure: {description}"
        )

    async def remark(self, description: str) -> None:
        """Publish that a file could not be read."""
        await self.publish("??", 2, camera="UNDEF", raft="R??", sensor="S??", description=description)


@pytest_asyncio.fixture
async def oods(topics: None) -> AsyncIterator[MockOods]:
    async with MockOods() as csc:
        yield csc


@pytest_asyncio.fixture
async def remote(domain: Any, oods: MockOods) -> AsyncIterator[Any]:
    async with salobj.Remote(
        domain, "ATOODS", include=["imageInOODS", "summaryState", "errorCode", "heartbeat"]
    ) as remote:
        yield remote


def make_ingest(
    remote: Any,
    raws: Any,
    timeout: float = TIMEOUT,
    instrument: Instrument = LATISS,
    detectors: tuple[int, ...] = (0,),
    watch: Any = None,
) -> OodsIngest:
    return OodsIngest(remote, raws, instrument, detectors, timeout, watch or ComponentWatch([remote]))


def expect(ingest: OodsIngest, *exposures: int) -> None:
    for exposure in exposures:
        ingest.expect(exposure)


async def received(remote: Any, image: int | str, sensor: str = "RXX_S00") -> None:
    """Wait until what was published of a frame has come through."""
    name = image if isinstance(image, str) else obsid(image)
    async with asyncio.timeout(TIMEOUT):
        while True:
            data = remote.evt_imageInOODS.get()
            if data is not None and (data.obsid, data.sensor) == (name, sensor):
                return
            await asyncio.sleep(0.01)


async def test_ingested_frames_are_waited_for(remote: Any, oods: MockOods, raws: Any) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST, SECOND)
    report = asyncio.create_task(ingest.wait([FIRST, SECOND]))
    await oods.publish(SECOND)
    await oods.publish(FIRST)
    assert await report == IngestReport()
    # What the OODS said needs no confirmation.
    assert raws.asked == [frozenset()]


async def test_a_frame_may_be_heard_of_before_it_is_expected(remote: Any, oods: MockOods, raws: Any) -> None:
    ingest = make_ingest(remote, raws)
    await oods.publish(FIRST)
    await oods.publish(SECOND)
    expect(ingest, SECOND)
    assert await ingest.wait([SECOND]) == IngestReport()
    expect(ingest, FIRST)
    assert await ingest.wait([FIRST]) == IngestReport()


async def test_images_of_others_are_not_taken_for_ours(remote: Any, oods: MockOods, raws: Any) -> None:
    ingest = make_ingest(remote, raws, timeout=SHORT)
    # Given events of other images, other cameras and odd names, then ours.
    await oods.publish("AT_C_20220929_000001")
    await oods.publish("AT_O_20220930_000001")
    await oods.publish("CC_O_20220929_000001", raft="R22", sensor="S11")
    await oods.publish(FIRST, camera="LSSTComCam")
    await oods.fail(DAY * 100_000 + 10**12 + 1, "an image of the camera's own console")
    await oods.publish("AT_O_20220929_1")
    await oods.publish("")
    await oods.publish("../AT_O_20220929_000001.fits")
    await oods.publish(SECOND)
    await received(remote, SECOND)
    expect(ingest, FIRST, SECOND)
    assert await ingest.wait([FIRST, SECOND]) == IngestReport(missing=(FIRST,))
    assert raws.asked == [frozenset({FIRST})]


@pytest.mark.parametrize(
    ("raft", "sensor"), [("", "RXX_S00"), ("R??", "RXX_S00"), ("R00", "S00"), ("RXX", "S00"), ("", "")]
)
async def test_the_one_detector_goes_by_several_names(
    remote: Any, oods: MockOods, raws: Any, raft: str, sensor: str
) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST)
    await oods.publish(FIRST, raft=raft, sensor=sensor)
    assert await ingest.wait([FIRST]) == IngestReport()


async def test_a_frame_is_ingested_once_all_its_detectors_are(remote: Any, oods: MockOods, raws: Any) -> None:
    # Given a run that processes two of a raft's nine detectors.
    ingest = make_ingest(remote, raws, SHORT, LSSTCOMCAM, (0, 4))
    first, second = (obsid(exposure, LSSTCOMCAM.image_prefix) for exposure in (FIRST, SECOND))
    for sensor in ("S00", "S11"):
        await oods.publish(first, camera=LSSTCOMCAM.name, raft="R22", sensor=sensor)
    for raft, sensor in (("R22", "S00"), ("R22", "S22"), ("R00", "S11")):
        await oods.publish(second, camera=LSSTCOMCAM.name, raft=raft, sensor=sensor)
    await oods.publish(second, camera=LSSTCOMCAM.name, raft="R22", sensor="S22")
    await received(remote, second, "S22")
    expect(ingest, FIRST, SECOND)
    # Then the other is not there, though a detector of it is
    lost = (LostRaw(SECOND, 4),)
    assert await ingest.wait([FIRST, SECOND]) == IngestReport(missing=(SECOND,), lost=lost)


async def test_nothing_is_lost_of_the_events_of_all_detectors(remote: Any, oods: MockOods, raws: Any) -> None:
    # Given 20 exposures of LSSTCam, an event for each of its detectors
    ingest = make_ingest(remote, raws, TIMEOUT, LSSTCAM, LSSTCAM.detector_ids())
    exposures = range(FIRST, FIRST + 20)
    expect(ingest, *exposures)
    report = asyncio.create_task(ingest.wait(exposures))
    bad, bad_exposure = LSSTCAM.detectors[94], FIRST + 6
    # When they come at once, exposures beside each other, and one has failed
    for detector in LSSTCAM.detectors:
        raft, _, sensor = detector.name.partition("_")
        for exposure in exposures:
            fields = {"camera": LSSTCAM.name, "raft": raft, "sensor": sensor}
            if (exposure, detector) == (bad_exposure, bad):
                fields |= {"raft": "R??", "sensor": f"S{bad.id:02d}", "description": "disk full"}
                await oods.publish(str(exposure), 1, **fields)
            else:
                await oods.publish(obsid(exposure, LSSTCAM.image_prefix), **fields)
    # Then the wait ends without looking at the clock, and names the failure
    text = "status 1, disk full"
    assert await report == IngestReport(
        failures=((bad_exposure, text),), lost=(LostRaw(bad_exposure, bad.id, text),)
    )


async def test_a_failure_of_a_detector_that_is_not_known_is_a_remark(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    ingest = make_ingest(remote, raws, SHORT, LSSTCOMCAM, (0, 4))
    expect(ingest, FIRST)
    fields = {"camera": LSSTCOMCAM.name, "raft": "R??", "sensor": "S??", "description": "no detector"}
    await oods.publish(str(FIRST), 1, **fields)
    report = await ingest.wait([FIRST])
    assert report.missing == (FIRST,) and len(report.lost) == 2
    assert report.remark == f"ATOODS: exposure {FIRST}, R??_S??: status 1, no detector"


async def test_a_failure_is_told_with_its_description(remote: Any, oods: MockOods, raws: Any) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST, SECOND, THIRD)
    await oods.publish(FIRST)
    await oods.publish(SECOND, 1, description="bad header")
    await oods.publish(THIRD, 7)
    assert await ingest.wait([FIRST, SECOND, THIRD]) == IngestReport(
        failures=((SECOND, "status 1, bad header"), (THIRD, "status 7, no description"))
    )


async def test_failures_are_recognised_by_the_exposure_id_that_they_give(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST, SECOND)
    await oods.fail(FIRST, "disk full")
    # The raft of the failure stays in the events that give none.
    await oods.publish(SECOND)
    assert await ingest.wait([FIRST, SECOND]) == IngestReport(
        failures=((FIRST, "status 1, ingest failure: disk full"),)
    )
    assert remote.evt_imageInOODS.get().raft == "R??"


async def test_a_failure_of_one_of_many_detectors_is_recognised_by_its_number(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    ingest = make_ingest(remote, raws, SHORT, LSSTCOMCAM, (4,))
    expect(ingest, FIRST)
    fields = {"camera": LSSTCOMCAM.name, "raft": "R??", "description": "disk full"}
    await oods.publish(str(FIRST), 1, sensor="S08", **fields)
    await oods.publish(str(FIRST), 1, sensor="S04", **fields)
    assert (await ingest.wait([FIRST])).failures == ((FIRST, "status 1, disk full"),)


async def test_a_file_that_could_not_be_read_is_a_remark_about_what_is_missing(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    ingest = make_ingest(remote, raws, timeout=SHORT)
    await oods.publish(SECOND)
    # Given a file that could not be read before, and one while we wait
    await oods.remark("an old file")
    await received(remote, "??", "S??")
    await asyncio.sleep(2 * SHORT)
    expect(ingest, FIRST, SECOND)
    await oods.remark("metadata failure: no header")
    assert await ingest.wait([FIRST, SECOND]) == IngestReport(
        missing=(FIRST,), remark="ATOODS: status 2, metadata failure: no header"
    )


async def test_a_remark_is_not_remarked_where_all_frames_came(remote: Any, oods: MockOods, raws: Any) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST)
    await oods.remark("metadata failure: no header")
    await oods.publish(FIRST)
    assert await ingest.wait([FIRST]) == IngestReport()


async def test_a_failure_that_was_made_good_is_none(remote: Any, oods: MockOods, raws: Any) -> None:
    # Given an OODS that failed at first, and a frame that is there by now.
    raws.present.add((FIRST, 0))
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST)
    await oods.publish(FIRST, 1, description="database is locked")
    assert await ingest.wait([FIRST]) == IngestReport(late=(FIRST,))


async def test_overdue_frames_are_looked_for_before_they_are_given_up(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    raws.present.add((SECOND, 0))
    ingest = make_ingest(remote, raws, timeout=SHORT)
    await oods.publish(THIRD)
    await received(remote, THIRD)
    expect(ingest, FIRST, SECOND, THIRD)
    report = await ingest.wait([FIRST, SECOND, THIRD])
    assert report == IngestReport(missing=(FIRST,), late=(SECOND,))
    assert raws.asked == [frozenset({FIRST, SECOND})]


async def test_an_oods_that_was_lost_is_remarked_where_frames_are_overdue(
    remote: Any, oods: MockOods, raws: Any, domain: Any
) -> None:
    # Given an OODS that fails, and is back before anything is overdue.
    ingest = make_ingest(remote, raws, timeout=3.0)
    expect(ingest, FIRST, SECOND)
    await oods.publish(SECOND)
    report = asyncio.create_task(ingest.wait([FIRST, SECOND]))
    async with salobj.Remote(domain, "ATOODS", include=["summaryState"]) as commander:
        await oods.fault(code=2, report="no Butler")
        await asyncio.sleep(2 * ComponentWatch.POLL_INTERVAL)
        for command in ("standby", "start", "enable"):
            await getattr(commander, f"cmd_{command}").start(timeout=TIMEOUT)
    remark = (await report).remark
    assert await report == IngestReport(missing=(FIRST,), remark=remark)
    assert remark == "ATOODS went to FAULT (error 2: no Butler)"


async def test_an_oods_that_was_lost_is_not_remarked_where_all_frames_came(
    remote: Any, oods: MockOods, raws: Any
) -> None:
    ingest = make_ingest(remote, raws)
    expect(ingest, FIRST)
    await oods.publish(FIRST)
    await oods.fault(code=2, report="no Butler")
    assert await ingest.wait([FIRST]) == IngestReport()


async def test_a_repository_that_cannot_be_asked_is_told(remote: Any, oods: MockOods) -> None:
    class Unreadable:
        async def raws(self, exposures: Any) -> frozenset[tuple[int, int]]:
            raise ObservatoryError("the disk is gone")

    ingest = make_ingest(remote, Unreadable(), timeout=SHORT)
    expect(ingest, FIRST)
    with pytest.raises(ObservatoryError, match="the disk is gone"):
        await ingest.wait([FIRST])


class Untroubled:
    """A watch that sees no trouble."""

    async def observe(self, component: str, work: Any) -> tuple[Any, str]:
        return await work, ""


def test_each_frame_is_overdue_by_its_own_readout(raws: Any) -> None:
    """In virtual time, with nothing of SAL but the callback."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        event = SimpleNamespace(callback=None)
        remote = SimpleNamespace(salinfo=SimpleNamespace(name_index="ATOODS"), evt_imageInOODS=event)
        ingest = make_ingest(remote, raws, timeout=120, watch=Untroubled())

        async def receive(exposure: int) -> None:
            await event.callback(
                SimpleNamespace(
                    camera="LATISS",
                    obsid=obsid(exposure),
                    raft="",
                    sensor="RXX_S00",
                    statusCode=0,
                    description="",
                )
            )

        # Given frames read out at 0 s and at 100 s, and the wait for both.
        ingest.expect(FIRST)
        await asyncio.sleep(100)
        ingest.expect(SECOND)
        report = asyncio.create_task(ingest.wait([FIRST, SECOND]))
        # When the second one comes 119 s after its readout, the first never.
        await asyncio.sleep(119)
        await receive(SECOND)
        # Then each has had its own time, and no more.
        assert await report == IngestReport(missing=(FIRST,))
        assert loop.time() == 219

        # And a frame that is overdue already costs no further wait.
        ingest.expect(THIRD)
        await asyncio.sleep(500)
        assert await ingest.wait([THIRD]) == IngestReport(missing=(THIRD,))
        assert loop.time() == 719

    virtually(work())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AT_O_20220406_000007", 2022040600007),
        # Another camera's image, as of the same time.
        ("MC_O_20220406_000007", None),
        # Other controllers, when they counted by themselves and since then
        # (obs_lsst 0e84d755, translators/lsst.py: compute_exposure_id).
        ("AT_C_20220406_000007", 3022040600007),
        ("AT_C_20231004_000007", 3023100400007),
        ("AT_C_20231005_000007", 2023100500007),
        ("AT_C_20261125_000004", 2026112500004),
        ("AT_S_20250417_000004", 7025041700004),
        ("AT_S_20261125_000004", 2026112500004),
        ("AT_H_20261125_000004", 4026112500004),
        ("AT_X_20261125_000004", None),
        # A number that is no longer unique.
        ("AT_O_20220406_123456", None),
        ("AT_O_20220406_7", None),
        # The id itself, of an image that could not be ingested.
        ("2022040600007", 2022040600007),
        ("20220406", None),
        ("??", None),
        ("AT_O_20220406_000007.fits", None),
        ("", None),
    ],
)
def test_exposure_ids_come_from_image_names(name: str, expected: int | None) -> None:
    assert exposure_id(name, LATISS.image_prefix) == expected
