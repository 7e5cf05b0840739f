# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock ATCamera: exposures of the CCD model, left as FITS raws."""

from __future__ import annotations

__all__ = ["AtCameraCsc", "CameraErrorCode", "image_path"]

import asyncio
import datetime
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...observatory.sal import salobj
from ..ccd import CcdModel
from ..instrument import FILTERS, GRATINGS, physical_filter
from ..repository import RawHeader, exposure_id_of, write_raw
from .base import SimulatedCsc, step

READ_OUT_TIME = 2.0
"""Time from the end of an exposure to that of its readout (second)."""

FIRST_EXPOSURE_HOUR = 14
"""Hour (TAI) of the observing day at which its calibrations begin."""

DRAFT_SUFFIX = ".part"
"""Suffix of an image's file until it has been read out."""

_IMAGE_TYPES = ("BIAS", "DARK", "FLAT")


class CommandState(enum.IntEnum):
    """What the camera's control system does: ``ccsCommandState.substate``."""

    IDLE = 1
    BUSY = 2


class CameraErrorCode(enum.IntEnum):
    """Why the camera went to FAULT: ``errorCode.errorCode``."""

    READOUT_FAILED = 1
    EXPOSURE_FAILED = 2


def image_path(staging: Path, image_name: str) -> Path:
    """Return where the camera leaves an image.

    Parameters
    ----------
    staging : `pathlib.Path`
        Folder between the camera and the OODS.
    image_name : `str`
        Such as AT_O_20220406_000007.
    """
    return staging / f"{image_name}.fits"


def _draft(staging: Path, image_name: str) -> Path:
    return staging / f"{image_name}{DRAFT_SUFFIX}"


@dataclass(frozen=True)
class _Request:
    """One ``takeImages`` command, taken apart."""

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
            # Only the first colon divides: a group id has more of them.
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


class AtCameraCsc(SimulatedCsc):
    """A camera that exposes a `CcdModel` in simulated time.

    An exposure lasts ``exp_time * time_scale``; what it writes down, in
    events and headers, is simulated time: days of their own, in which each
    exposure begins when the one before has been read out. As with the real
    camera, ``takeImages`` completes at the end of the last exposure, before
    its readout.

    Parameters
    ----------
    ccd : `CcdModel`
        Makes the images.
    staging : `pathlib.Path`
        Folder to leave them in; see `image_path`.
    day_obs : `datetime.date`
        Observing day of the image names.
    last_seq_num : `int`, optional
        Sequence number of the day's last image, 0 if there is none.
    not_before : `float`, optional
        Time that no exposure begins before (TAI, Unix second).
    time_scale : `float`, optional
        What a simulated second lasts (second).
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(
        self,
        *,
        ccd: CcdModel,
        staging: Path,
        day_obs: datetime.date,
        last_seq_num: int = 0,
        not_before: float = 0.0,
        time_scale: float = 1.0,
        initial_state: Any = None,
    ) -> None:
        super().__init__("ATCamera", initial_state=initial_state)
        self.ccd = ccd
        self.staging = staging
        self.day_obs = day_obs
        self.time_scale = time_scale
        self._seq_num = last_seq_num
        start = datetime.datetime.combine(day_obs, datetime.time(FIRST_EXPOSURE_HOUR), tzinfo=datetime.UTC)
        self._clock = max(start.timestamp(), not_before)
        self._readout: asyncio.Task[None] | None = None
        self._spectrograph = salobj.Remote(
            self.domain,
            "ATSpectrograph",
            readonly=True,
            include=["reportedFilterPosition", "reportedDisperserPosition"],
        )

    async def start(self) -> None:
        """Report the last image taken, for those who wait for it to end."""
        await super().start()
        await self._report_command_state(CommandState.IDLE)
        image = self._image_fields(1, 1, {})
        await self.evt_startIntegration.set_write(**image)
        await self.evt_endReadout.set_write(**image)

    async def close_tasks(self) -> None:
        """Give up the readout that may still go on."""
        await super().close_tasks()
        if self._readout is not None:
            self._readout.cancel()
            await asyncio.gather(self._readout, return_exceptions=True)

    @step
    async def do_takeImages(self, data: Any) -> None:  # noqa: N802
        """Take ``numImages`` exposures of ``expTime``."""
        self.assert_enabled("takeImages")
        request = _Request.parse(data)
        duration = request.n * (request.exp_time + READ_OUT_TIME) * self.time_scale
        await self.cmd_takeImages.ack_in_progress(data, timeout=duration + 60.0)
        await self._report_command_state(CommandState.BUSY)
        try:
            for index in range(1, request.n + 1):
                if self._readout is not None:
                    await asyncio.shield(self._readout)
                    # A readout that failed has put the camera in FAULT.
                    self.assert_enabled("takeImages")
                await self.expose(request, index)
        finally:
            await self._report_command_state(CommandState.IDLE)

    async def expose(self, request: _Request, index: int) -> None:
        """Take one exposure and leave its readout to go on by itself."""
        self._seq_num += 1
        begin = self._clock
        self._clock += request.exp_time + READ_OUT_TIME
        fields = self._image_fields(index, request.n, request.key_values)
        fields["timestampAcquisitionStart"] = begin
        header = self._header(fields["imageName"], request, begin)
        await self.evt_startIntegration.set_write(exposureTime=request.exp_time, mode="normal", **fields)
        frame = asyncio.create_task(asyncio.to_thread(self.write_image, header))
        try:
            await self.integrate(request.exp_time)
        except (asyncio.CancelledError, salobj.ExpectedError):
            await asyncio.gather(frame, return_exceptions=True)
            raise
        self._readout = asyncio.create_task(self._read_out(frame, request, fields))

    @step
    async def integrate(self, exp_time: float) -> None:
        """Let an exposure last its time."""
        await asyncio.sleep(exp_time * self.time_scale)

    def write_image(self, header: RawHeader) -> None:
        """Make the image. Runs in a thread.

        It does not bear its name before it has been read out.
        """
        raw = self.ccd.expose(
            header.image_type,
            header.exp_time,
            exposure_id_of(header.obs_id),
            physical_filter(header.filter_name, header.grating_name),
        )
        write_raw(_draft(self.staging, header.obs_id), raw, header, self.ccd)

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
            timestampEndOfReadout=timestamp + READ_OUT_TIME,
            **fields,
        )

    @step
    async def read_out(self, frame: asyncio.Task[None], image_name: str) -> None:
        """Read an image out and leave it for the OODS."""
        await asyncio.sleep(READ_OUT_TIME * self.time_scale)
        await frame
        path = image_path(self.staging, image_name)
        await asyncio.to_thread(_draft(self.staging, image_name).replace, path)

    def _image_fields(self, index: int, n: int, key_values: dict[str, str]) -> dict[str, Any]:
        """Return what the events say about the image of the counter."""
        day = f"{self.day_obs:%Y%m%d}"
        return {
            "additionalKeys": ":".join(key_values),
            # A colon divides the values, so one inside is escaped.
            "additionalValues": ":".join(value.replace(":", r"\:") for value in key_values.values()),
            "imagesInSequence": n,
            "imageName": f"AT_O_{day}_{self._seq_num:06d}",
            "imageIndex": index,
            "imageSource": "AT",
            "imageController": "O",
            "imageDate": day,
            "imageNumber": self._seq_num,
        }

    def _header(self, image_name: str, request: _Request, begin: float) -> RawHeader:
        from astropy.time import Time

        filter_, grating = (
            self._spectrograph.evt_reportedFilterPosition.get(),
            self._spectrograph.evt_reportedDisperserPosition.get(),
        )
        return RawHeader(
            obs_id=image_name,
            image_type=request.key_values["imageType"],
            exp_time=request.exp_time,
            begin=Time(begin, format="unix_tai", scale="tai"),
            end=Time(begin + request.exp_time, format="unix_tai", scale="tai"),
            filter_name=FILTERS[0] if filter_ is None else filter_.name,
            grating_name=GRATINGS[0] if grating is None else grating.name,
            group_id=request.key_values.get("groupId", ""),
            reason=request.key_values.get("reason", ""),
            program=request.key_values.get("program", ""),
            note=request.note,
        )

    async def _report_command_state(self, state: CommandState) -> None:
        await self.evt_ccsCommandState.set_write(substate=state)
