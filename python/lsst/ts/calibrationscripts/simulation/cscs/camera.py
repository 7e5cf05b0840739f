# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock camera: exposures of the CCD models, written as FITS raws."""

from __future__ import annotations

__all__ = ["CameraCsc", "CameraErrorCode", "ObservingDay"]

import asyncio
import datetime
import enum
from dataclasses import dataclass
from typing import Any

from ...observatory.sal import salobj
from ..ccd import FocalPlane
from ..raws import RawFiles, RawHeader, write_raw
from .base import SimulatedCsc, step

FIRST_EXPOSURE_HOUR = 14
"""Hour (TAI) of the observing day at which its calibrations begin."""

_IMAGE_TYPES = ("BIAS", "DARK", "FLAT")


class CommandState(enum.IntEnum):
    """State of the camera's control system: ``ccsCommandState.substate``."""

    IDLE = 1
    BUSY = 2


class CameraErrorCode(enum.IntEnum):
    """Why the camera is in FAULT: ``errorCode.errorCode``."""

    READOUT_FAILED = 1
    EXPOSURE_FAILED = 2


@dataclass(frozen=True)
class ObservingDay:
    """The day of the exposures, and what has been taken of it.

    Parameters
    ----------
    date : `datetime.date`
        Observing day of the image names.
    last_seq_num : `int`, optional
        Sequence number of the day's last image, 0 if there is none.
    end : `float`, optional
        When that image's exposure ended (TAI, Unix second).
    """

    date: datetime.date
    last_seq_num: int = 0
    end: float = 0.0


@dataclass(frozen=True)
class _Request:
    """What one ``takeImages`` command asks for."""

    n: int
    exp_time: float
    key_values: dict[str, str]
    note: str

    @classmethod
    def parse(cls, data: Any) -> _Request:
        """Read the fields of the command.

        Raises
        ------
        lsst.ts.salobj.ExpectedError
            If the camera cannot do what they say.
        """
        if data.numImages < 1:
            raise salobj.ExpectedError(f"numImages={data.numImages} must be at least 1.")
        if data.expTime < 0:
            raise salobj.ExpectedError(f"expTime={data.expTime} must not be negative.")
        key_values = {}
        for item in data.keyValueMap.split(","):
            # Only the first colon separates: a group id has more colons.
            key, colon, value = item.partition(":")
            if not colon:
                raise salobj.ExpectedError(f"keyValueMap: {item.strip()!r} is not of the form 'key: value'.")
            key_values[key.strip()] = value.strip()
        image_type = key_values.get("imageType", "")
        if image_type not in _IMAGE_TYPES:
            raise salobj.ExpectedError(
                f"imageType={image_type!r}: this simulated camera takes {', '.join(_IMAGE_TYPES)}."
            )
        return cls(data.numImages, data.expTime, key_values, data.obsNote)


class CameraCsc(SimulatedCsc):
    """A camera that exposes its CCDs in simulated time.

    An exposure lasts ``exp_time * time_scale``. The times in events and
    headers are simulated: each exposure begins when the one before has been
    read out. As with the real camera, ``takeImages`` completes at the end of
    the last exposure, before its readout.

    Parameters
    ----------
    focal_plane : `FocalPlane`
        Makes the images, one for each detector.
    files : `RawFiles`
        Where to write them.
    day : `ObservingDay`
        Day of the exposures.
    time_scale : `float`, optional
        Duration of a simulated second (second).
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(
        self,
        *,
        focal_plane: FocalPlane,
        files: RawFiles,
        day: ObservingDay,
        time_scale: float = 1.0,
        initial_state: Any = None,
    ) -> None:
        self._instrument = focal_plane.instrument
        super().__init__(self._instrument.components.camera, initial_state=initial_state)
        self._focal_plane = focal_plane
        self._files = files
        self._day = day
        self._seq_num = day.last_seq_num
        self._time_scale = time_scale
        start = datetime.datetime.combine(day.date, datetime.time(FIRST_EXPOSURE_HOUR), tzinfo=datetime.UTC)
        self._clock = max(start.timestamp(), day.end + self._instrument.readout_time)
        self._exposing: asyncio.Task[None] | None = None
        self._readout: asyncio.Task[None] | None = None
        self._frame: asyncio.Task[None] | None = None
        self._spectrograph: Any = None
        if name := self._instrument.components.spectrograph:
            self._spectrograph = salobj.Remote(
                self.domain,
                name,
                readonly=True,
                include=["reportedFilterPosition", "reportedDisperserPosition"],
            )

    async def start(self) -> None:
        """Report the last image, for clients that wait for its end."""
        await super().start()
        await self._report_command_state(CommandState.IDLE)
        image = self._image_fields(1, 1, {})
        await self.evt_startIntegration.set_write(**image)
        await self.evt_endReadout.set_write(**image)

    async def close_tasks(self) -> None:
        """Cancel what is under way, while its topics are still open."""
        await super().close_tasks()
        # An exposure that is cancelled begins no readout.
        for task in (self._exposing, self._readout):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._frame is not None:
            # A readout that is cancelled does not wait for it.
            await asyncio.gather(self._frame, return_exceptions=True)

    @step
    async def do_takeImages(self, data: Any) -> None:  # noqa: N802
        """Take ``numImages`` exposures of ``expTime``."""
        self.assert_enabled("takeImages")
        request = _Request.parse(data)
        duration = request.n * (request.exp_time + self._instrument.readout_time) * self._time_scale
        await self.cmd_takeImages.ack_in_progress(data, timeout=duration + 60.0)
        # A task of its own, as the command is only cancelled once the topics
        # are closed.
        self._exposing = asyncio.create_task(self._take(request))
        await self._exposing

    async def _take(self, request: _Request) -> None:
        await self._report_command_state(CommandState.BUSY)
        try:
            for index in range(1, request.n + 1):
                if self._readout is not None:
                    await asyncio.shield(self._readout)
                    # After a readout that failed the camera is in FAULT.
                    self.assert_enabled("takeImages")
                await self.expose(request, index)
        finally:
            await self._report_command_state(CommandState.IDLE)

    async def expose(self, request: _Request, index: int) -> None:
        """Take one exposure; its readout runs in the background."""
        self._seq_num += 1
        begin = self._clock
        self._clock += request.exp_time + self._instrument.readout_time
        fields = self._image_fields(index, request.n, request.key_values)
        fields["timestampAcquisitionStart"] = begin
        header = self._header(fields["imageName"], request, begin)
        await self.evt_startIntegration.set_write(exposureTime=request.exp_time, mode="normal", **fields)
        frame = self._frame = asyncio.create_task(asyncio.to_thread(self.write_image, header))
        try:
            await self.integrate(request.exp_time)
        except (asyncio.CancelledError, salobj.ExpectedError):
            await asyncio.gather(frame, return_exceptions=True)
            raise
        self._readout = asyncio.create_task(self._read_out(frame, request, fields))

    @step
    async def integrate(self, exp_time: float) -> None:
        """Wait for the exposure time."""
        await asyncio.sleep(exp_time * self._time_scale)

    def write_image(self, header: RawHeader) -> None:
        """Make the image of each detector. Runs in a thread.

        The files have their names only after the readout.
        """
        for detector in self._files.detectors:
            ccd = self._focal_plane.ccds[detector.id]
            raw = ccd.expose(header.image_type, header.exp_time, header.exposure_id, header.physical_filter)
            write_raw(self._files.draft(header.obs_id, detector), raw, header, ccd)

    async def _read_out(self, frame: asyncio.Task[None], request: _Request, fields: dict[str, Any]) -> None:
        timestamp = fields["timestampAcquisitionStart"] + request.exp_time
        await self.evt_startReadout.set_write(
            exposureTime=request.exp_time, timestampStartOfReadout=timestamp, **fields
        )
        try:
            await self.read_out(frame, fields["imageName"])
        except (OSError, ValueError, MemoryError) as error:
            await self.fault(
                code=CameraErrorCode.READOUT_FAILED,
                report=f"{fields['imageName']} could not be written: {error!r}",
            )
            return
        await self.evt_endReadout.set_write(
            requestedExposureTime=request.exp_time,
            timestampEndOfReadout=timestamp + self._instrument.readout_time,
            **fields,
        )

    @step
    async def read_out(self, frame: asyncio.Task[None], image_name: str) -> None:
        """Read an image out and give its files their names."""
        await asyncio.sleep(self._instrument.readout_time * self._time_scale)
        await frame
        for detector in self._files.detectors:
            draft = self._files.draft(image_name, detector)
            await asyncio.to_thread(draft.replace, self._files.path(image_name, detector))

    def _image_fields(self, index: int, n: int, key_values: dict[str, str]) -> dict[str, Any]:
        """Return what the events say about the present image."""
        day, prefix = f"{self._day.date:%Y%m%d}", self._instrument.image_prefix
        return {
            "additionalKeys": ":".join(key_values),
            # A colon separates the values, so a colon in one is escaped.
            "additionalValues": ":".join(value.replace(":", r"\:") for value in key_values.values()),
            "imagesInSequence": n,
            "imageName": f"{prefix}_O_{day}_{self._seq_num:06d}",
            "imageIndex": index,
            "imageSource": prefix,
            "imageController": "O",
            "imageDate": day,
            "imageNumber": self._seq_num,
        }

    def _header(self, image_name: str, request: _Request, begin: float) -> RawHeader:
        from astropy.time import Time

        return RawHeader(
            instrument=self._instrument,
            obs_id=image_name,
            image_type=request.key_values["imageType"],
            exp_time=request.exp_time,
            begin=Time(begin, format="unix_tai", scale="tai"),
            end=Time(begin + request.exp_time, format="unix_tai", scale="tai"),
            in_beam=self.in_beam(),
            group_id=request.key_values.get("groupId", ""),
            reason=request.key_values.get("reason", ""),
            program=request.key_values.get("program", ""),
            note=request.note,
        )

    def in_beam(self) -> dict[str, str]:
        """Return what each wheel has in the beam, as far as is known."""
        positions = {
            "filter": self._spectrograph.evt_reportedFilterPosition.get(),
            "grating": self._spectrograph.evt_reportedDisperserPosition.get(),
        }
        return {wheel: position.name for wheel, position in positions.items() if position is not None}

    async def _report_command_state(self, state: CommandState) -> None:
        await self.evt_ccsCommandState.set_write(substate=state)
