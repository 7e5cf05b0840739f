# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposures from takeImages to the Butler, through SAL."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LATISS as CAMERA
from lsst.ts.calibrationscripts.observatory.sal import LATISS, salobj
from lsst.ts.calibrationscripts.simulation.ccd import FocalPlane
from lsst.ts.calibrationscripts.simulation.cscs import CameraCsc, ObservingDay, OodsCsc, SpectrographCsc
from lsst.ts.calibrationscripts.simulation.cscs.camera import CameraErrorCode
from lsst.ts.calibrationscripts.simulation.observatory import SimulatedObservatory, SimulationSettings
from lsst.ts.calibrationscripts.simulation.raws import RawFiles, RawHeader
from reports import reported

from .conftest import DAY_OBS, NoRunner

TIMEOUT = 30.0
GROUP = "2022-09-29T14:00:00.721#1"


async def refuse(command: Any, says: str, **fields: Any) -> None:
    with pytest.raises(salobj.AckError) as caught:
        await command.set_start(**fields, timeout=TIMEOUT)
    assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_FAILED
    assert says in caught.value.ackcmd.result


class TestObservatory:
    """All CSCs together, as a client sees them."""

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest_asyncio.fixture(loop_scope="module")
    async def latiss(self, observatory: SimulatedObservatory) -> AsyncIterator[Any]:
        async with salobj.Domain() as domain, LATISS(domain) as latiss:
            yield latiss

    @pytest_asyncio.fixture(loop_scope="module")
    async def oods(self, observatory: SimulatedObservatory) -> AsyncIterator[Any]:
        async with (
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as remote,
        ):
            yield remote

    async def test_all_components_are_enabled(self, latiss: Any) -> None:
        await latiss.assert_all_enabled("all of LATISS")

    async def test_exposures_are_in_the_butler_with_their_records(
        self, observatory: SimulatedObservatory, latiss: Any, oods: Any
    ) -> None:
        # Given a filter and a grating.
        await latiss.setup_instrument(filter="SDSSr_65mm", grating=1)
        await reported(latiss.rem.atspectrograph.evt_reportedFilterPosition, name="SDSSr_65mm")
        await reported(latiss.rem.atspectrograph.evt_reportedDisperserPosition, name="holo4_003")

        # When a flat and two darks are taken.
        fields = {"group_id": GROUP, "reason": "daily", "program": "CALIB", "note": "a note"}
        ids = await latiss.take_imgtype("FLAT", 5.0, 1, **fields)
        ids += await latiss.take_imgtype("DARK", 30.0, 2, **fields)

        # Then their ids are consecutive, and the OODS announces each.
        assert [exposure - ids[0] for exposure in ids] == [0, 1, 2]
        assert ids[0] // 100_000 == 20220929
        for exposure in ids:
            data = await oods.evt_imageInOODS.next(flush=False, timeout=TIMEOUT)
            assert data.obsid == f"AT_O_20220929_{exposure % 100_000:06d}"
            assert (data.camera, data.raft, data.sensor) == ("LATISS", "", "RXX_S00")
            assert (data.statusCode, data.description) == (0, "file ingested")

        # And the Butler has them as they were taken.
        with Butler.from_config(str(observatory.repo)) as butler:
            records = [self.record(butler, exposure) for exposure in ids]
            raw = butler.get(
                "raw", instrument="LATISS", exposure=ids[0], detector=0, collections="LATISS/raw/all"
            )
        assert [record.observation_type for record in records] == ["flat", "dark", "dark"]
        assert [record.exposure_time for record in records] == [5.0, 30.0, 30.0]
        assert {record.physical_filter for record in records} == {"SDSSr_65mm~holo4_003"}
        assert {record.group for record in records} == {GROUP}
        assert {record.observation_reason for record in records} == {"daily"}
        assert {record.science_program for record in records} == {"CALIB"}
        assert raw.metadata["OBSNOTE"] == "a note"
        # In simulated time, each begins when the one before is read out.
        spans = [record.timespan for record in records]
        assert [round((s.end - s.begin).sec, 6) for s in spans] == [5.0, 30.0, 30.0]
        gaps = [(b.begin - a.end).sec for a, b in itertools.pairwise(spans)]
        assert gaps == pytest.approx([2.0, 2.0])
        assert spans[0].begin.isot.startswith("2022-09-29")

    @staticmethod
    def record(butler: Butler, exposure: int) -> Any:
        return butler.registry.expandDataId(instrument="LATISS", exposure=exposure).records["exposure"]

    async def test_oods_announces_an_image_only_when_the_butler_has_it(
        self, observatory: SimulatedObservatory, latiss: Any, oods: Any
    ) -> None:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def look(data: Any) -> None:
            with Butler.from_config(str(observatory.repo), collections="LATISS/raw/all") as butler:
                exposure = int(data.obsid[5:13]) * 100_000 + int(data.obsid[14:])
                found.set_result(
                    bool(butler.exists("raw", instrument="LATISS", exposure=exposure, detector=0))
                )

        oods.evt_imageInOODS.callback = look
        await latiss.take_imgtype("BIAS", 0, 1)

        async with asyncio.timeout(TIMEOUT):
            assert await found

    async def test_snaps_of_one_command_are_events_in_turn(self, observatory: SimulatedObservatory) -> None:
        async with (
            salobj.Domain() as domain,
            salobj.Remote(
                domain, "ATCamera", include=["takeImages", "endReadout"], evt_max_history=0
            ) as camera,
        ):
            await camera.cmd_takeImages.set_start(
                numImages=2, keyValueMap=f"imageType: BIAS, groupId: {GROUP}", timeout=TIMEOUT
            )
            events = [await camera.evt_endReadout.next(flush=False, timeout=TIMEOUT) for _ in range(2)]

        assert [(data.imageIndex, data.imagesInSequence) for data in events] == [(1, 2), (2, 2)]
        assert events[1].imageNumber == events[0].imageNumber + 1
        assert events[0].additionalKeys == "imageType:groupId"

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"keyValueMap": "imageType: OBJECT"}, "takes BIAS, DARK, FLAT"),
            ({"keyValueMap": "imageType: BIAS, oops"}, "'oops' is not of the form"),
            ({"keyValueMap": "imageType: BIAS", "numImages": 0}, "numImages=0"),
            ({"keyValueMap": "imageType: DARK", "expTime": -1.0}, "expTime=-1.0"),
        ],
    )
    async def test_camera_refuses_what_it_cannot_take(
        self, observatory: SimulatedObservatory, fields: dict[str, Any], says: str
    ) -> None:
        async with (
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATCamera", include=["takeImages"]) as camera,
        ):
            await refuse(camera.cmd_takeImages, says, **{"numImages": 1, "expTime": 0.0, **fields})

    async def test_late_client_gets_the_last_image_and_the_idle_camera(
        self, observatory: SimulatedObservatory
    ) -> None:
        topics = ["startIntegration", "endReadout", "ccsCommandState"]
        async with salobj.Domain() as domain, salobj.Remote(domain, "ATCamera", include=topics) as camera:
            begun = await camera.evt_startIntegration.aget(timeout=TIMEOUT)
            ended = await camera.evt_endReadout.aget(timeout=TIMEOUT)
            state = await camera.evt_ccsCommandState.aget(timeout=TIMEOUT)

        assert begun.imageName == ended.imageName
        assert state.substate == 1


class TestSpectrograph:
    @pytest_asyncio.fixture
    async def spectrograph(self, topics: None) -> AsyncIterator[Any]:
        async with (
            SpectrographCsc(CAMERA, time_scale=0.0),
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATSpectrograph") as remote,
        ):
            yield remote

    async def test_wheels_turn_by_slot_and_by_name(self, spectrograph: Any) -> None:
        await spectrograph.cmd_changeFilter.set_start(filter=1, name="", timeout=TIMEOUT)
        await reported(spectrograph.evt_reportedFilterPosition, name="SDSSg_65mm")

        await spectrograph.cmd_changeDisperser.set_start(disperser=0, name="SDSSy_65mm", timeout=TIMEOUT)
        position = spectrograph.evt_reportedDisperserPosition
        await reported(position, slot=2, name="SDSSy_65mm", band="SDSSy")
        await reported(spectrograph.evt_disperserInPosition, inPosition=True)

    async def test_filters_and_gratings_are_listed(self, spectrograph: Any) -> None:
        settings = await spectrograph.evt_settingsAppliedValues.aget(timeout=TIMEOUT)

        assert "SDSSr_65mm" in [name.strip() for name in settings.filterNames.split(",")]
        assert "holo4_003" in [name.strip() for name in settings.gratingNames.split(",")]

    async def test_unknown_slots_are_refused(self, spectrograph: Any) -> None:
        await refuse(spectrograph.cmd_changeFilter, "Invalid filter name 'SDSSz'", filter=0, name="SDSSz")
        await refuse(spectrograph.cmd_changeFilter, "Invalid filter id 9", filter=9, name="")
        await refuse(spectrograph.cmd_changeDisperser, "give one", disperser=1, name="holo4_003")

    async def test_nothing_turns_unless_enabled(self, spectrograph: Any) -> None:
        await spectrograph.cmd_disable.start(timeout=TIMEOUT)

        await refuse(spectrograph.cmd_changeFilter, "not allowed in state", filter=1, name="")


class TestOods:
    """The events are those of the real OODS.

    See butlerAttendant.py and imageData.py of lsst-dm/ctrl_oods, bf36dba4.
    """

    async def test_a_file_that_cannot_be_read_is_reported_without_its_image(
        self, topics: None, workdir: Path, tmp_path: Path
    ) -> None:
        # Given a file that is not an image, announced by the header service.
        path = tmp_path / "AT_O_20220929_000001.fits"
        path.write_text("not a FITS file")
        async with (
            OodsCsc(repo=workdir / "repo", files=RawFiles(tmp_path / "staging", CAMERA)),
            salobj.Controller("ATHeaderService") as header_service,
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATOODS", include=["imageInOODS"]) as remote,
        ):
            await header_service.evt_largeFileObjectAvailable.set_write(url=path.as_uri(), id=path.stem)
            data = await remote.evt_imageInOODS.next(flush=False, timeout=TIMEOUT)

        assert (data.camera, data.obsid, data.raft, data.sensor) == ("UNDEF", "??", "R??", "S??")
        assert data.statusCode == 2
        assert data.description.startswith("metadata failure: ")

    async def test_an_image_that_cannot_be_ingested_is_reported_by_its_id(
        self, topics: None, workdir: Path, tmp_path: Path
    ) -> None:
        # Given an image that is announced twice by the header service.
        files = RawFiles(tmp_path, CAMERA)
        async with (
            OodsCsc(repo=workdir / "repo", files=files) as csc,
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as remote,
        ):
            for status_code in (1, 0):
                await csc.publish("AT_O_20220929_000001", CAMERA.detectors[0], status_code, "as it is")
            failed, ingested = [
                await remote.evt_imageInOODS.next(flush=False, timeout=TIMEOUT) for _ in range(2)
            ]
        # Then the raft of the failure stays, as the detector has none.
        assert (failed.camera, failed.obsid) == ("LATISS", "2022092900001")
        assert (failed.raft, failed.sensor) == ("R??", "S00")
        assert (ingested.camera, ingested.obsid) == ("LATISS", "AT_O_20220929_000001")
        assert (ingested.raft, ingested.sensor) == ("R??", "RXX_S00")


class TestCamera:
    @staticmethod
    def camera(staging: Path, time_scale: float) -> CameraCsc:
        return CameraCsc(
            focal_plane=FocalPlane(CAMERA, scale=32),
            files=RawFiles(staging, CAMERA),
            day=ObservingDay(DAY_OBS),
            time_scale=time_scale,
        )

    async def test_image_that_cannot_be_written_is_a_fault(self, topics: None, tmp_path: Path) -> None:
        async with (
            self.camera(tmp_path / "nowhere", 0.01),
            salobj.Domain() as domain,
            salobj.Remote(
                domain, "ATCamera", include=["takeImages", "errorCode", "summaryState"], evt_max_history=0
            ) as remote,
        ):
            await remote.cmd_takeImages.set_start(
                numImages=1, expTime=1.0, keyValueMap="imageType: DARK", timeout=TIMEOUT
            )
            error = await remote.evt_errorCode.next(flush=False, timeout=TIMEOUT)
            state = await remote.evt_summaryState.aget(timeout=TIMEOUT)

        assert error.errorCode == CameraErrorCode.READOUT_FAILED
        assert "AT_O_20220929_000001 could not be written" in error.errorReport
        assert state.summaryState == salobj.State.FAULT

    async def test_camera_can_be_closed_during_a_readout(self, topics: None, tmp_path: Path) -> None:
        # Given a camera that would need two seconds to read out.
        async with (
            self.camera(tmp_path, 1.0),
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATCamera", include=["takeImages", "endReadout"]) as remote,
        ):
            await remote.cmd_takeImages.set_start(numImages=1, keyValueMap="imageType: BIAS", timeout=TIMEOUT)
            last = await remote.evt_endReadout.aget(timeout=TIMEOUT)

        # Then the command is done before the readout, which is cancelled.
        assert last.imageNumber == 0

    async def test_camera_closed_in_mid_readout_waits_for_the_frame_that_is_written(
        self, topics: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given a frame that takes a second to be written.
        written = []

        def write_slowly(camera: CameraCsc, header: RawHeader) -> None:
            time.sleep(1.0)
            written.append(header.obs_id)

        monkeypatch.setattr(CameraCsc, "write_image", write_slowly)
        # When the camera is closed at once, then it waits for its thread.
        async with (
            self.camera(tmp_path, 1.0),
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATCamera", include=["takeImages"]) as remote,
        ):
            await remote.cmd_takeImages.set_start(numImages=1, keyValueMap="imageType: BIAS", timeout=TIMEOUT)
        assert len(written) == 1

    async def test_camera_closed_in_mid_exposure_writes_to_no_closed_topic(
        self, topics: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        # Given an exposure that would take a minute.
        names = ["takeImages", "startIntegration", "ccsCommandState"]
        async with (
            salobj.Domain() as domain,
            salobj.Remote(domain, "ATCamera", include=names, evt_max_history=0) as remote,
        ):
            async with self.camera(tmp_path, 1.0):
                command = asyncio.create_task(
                    remote.cmd_takeImages.set_start(
                        numImages=1, expTime=60.0, keyValueMap="imageType: DARK", timeout=TIMEOUT
                    )
                )
                async with asyncio.timeout(TIMEOUT):
                    while (await remote.evt_startIntegration.next(flush=False)).imageNumber == 0:
                        pass
            # When the camera closes, then it has ended the command before.
            with pytest.raises(salobj.AckError) as caught:
                await command
            assert caught.value.ackcmd.ack == salobj.SalRetCode.CMD_ABORTED
            await reported(remote.evt_ccsCommandState, substate=1)
        assert "failed with data" not in caplog.text and "No longer open" not in caplog.text


async def test_observatory_continues_where_it_stopped(topics: None, tmp_path: Path) -> None:
    async def expose(scale: int | None = None) -> tuple[int, Any]:
        observatory = SimulatedObservatory(
            tmp_path, instrument=CAMERA, settings=SimulationSettings(scale), day_obs=DAY_OBS
        )
        observatory.runner = NoRunner()  # type: ignore[assignment]
        async with (
            observatory,
            salobj.Domain() as domain,
            LATISS(domain) as latiss,
            salobj.Remote(domain, "ATOODS", include=["imageInOODS"], evt_max_history=0) as oods,
        ):
            (exposure,) = await latiss.take_imgtype("DARK", 20.0, 1)
            await oods.evt_imageInOODS.next(flush=False, timeout=TIMEOUT)
            assert observatory.focal_plane.scale == 32
        with Butler.from_config(str(tmp_path / "repo")) as butler:
            return exposure, TestObservatory.record(butler, exposure).timespan

    # Given an exposure in a folder that was new.
    first, first_span = await expose(scale=32)

    # When the same folder is used again, its own scale is taken.
    second, second_span = await expose()

    # Then counter and clock continue; another scale is refused.
    assert (first, second) == (2022092900001, 2022092900002)
    assert (second_span.begin - first_span.end).sec == pytest.approx(2.0)
    with pytest.raises(ValueError, match="was made with 32"):
        await expose(scale=8)
