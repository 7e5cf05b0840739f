# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cameras of observatory-control have in common."""

from __future__ import annotations

__all__ = ["BaseCamera", "NoUsages"]

import asyncio
import datetime
import logging
from collections.abc import Iterator
from typing import Any, ClassVar

from .base import current_tai
from .domain import Domain
from .remote import Remote
from .remote_group import RemoteGroup

IMAGE_TYPES = ("BIAS", "DARK", "FLAT")
"""The image types that this package takes."""

_IDLE = 1
"""Field ``substate`` of ccsCommandState of a camera that awaits commands."""


class NoUsages:
    """The usages of a camera; a bit mask, to which subclasses add.

    The usages of observatory-control (bits 0 to 6) are omitted: this package
    takes no images with them.
    """

    def __iter__(self) -> Iterator[int]:
        return iter(())


class BaseCamera(RemoteGroup):
    """A camera, its header service and its OODS.

    Parameters
    ----------
    domain : `Domain`, optional
        The domain of the remotes; by default one of its own.
    log : `logging.Logger`, optional
        The parent of its logger.
    intended_usage : `int`, optional
        Bit mask of ``valid_use_cases``, which limits the components and
        topics that are read; by default all are.

    Attributes
    ----------
    read_out_time : `float`
        Time to read out an image (s).
    min_exptime : `float`
        Shortest exposure time with an open shutter (s).
    cmd_lock : `asyncio.Lock`
        Locked while the instrument is set up or exposes.
    """

    component_names: ClassVar[tuple[str, ...]]
    """Its SAL components; a class attribute of the subclass."""

    def __init__(
        self,
        domain: Domain | None = None,
        log: logging.Logger | None = None,
        intended_usage: int | None = None,
    ) -> None:
        super().__init__(
            components=list(self.component_names), domain=domain, log=log, intended_usage=intended_usage
        )
        self.read_out_time = 2.0
        self.min_exptime = 0.1
        self.cmd_lock = asyncio.Lock()

    @property
    def camera(self) -> Remote:
        """The remote of the camera."""
        raise NotImplementedError

    async def take_imgtype(
        self,
        imgtype: str,
        exptime: float,
        n: int,
        *,
        group_id: str | None = None,
        reason: str | None = None,
        program: str | None = None,
        note: str | None = None,
    ) -> list[int]:
        """Take images, one after the other.

        Parameters
        ----------
        imgtype : `str`
            "BIAS", "DARK" or "FLAT".
        exptime : `float`
            Exposure time (s); ignored for biases.
        n : `int`
            Number of images.
        group_id : `str`, optional
            Group id; by default a new one.
        reason, program, note : `str`, optional
            Values for the header.

        Returns
        -------
        exposures : `list` [`int`]
            Exposure ids.

        Raises
        ------
        AckError
            If the camera fails or refuses the command.
        RuntimeError
            If the image type is unknown, the exposure is too short for the
            shutter, or an image does not start.
        """
        if imgtype not in IMAGE_TYPES:
            raise RuntimeError(f"Invalid imgtype:{imgtype}. Must be one of {list(IMAGE_TYPES)}")
        shutter = imgtype == "FLAT"
        if shutter and exptime < self.min_exptime:
            raise RuntimeError(
                f"Minimum allowed open-shutter exposure time is {self.min_exptime}. Got {exptime}."
            )
        key_values = _key_value_map(imgtype, group_id, reason, program)
        exp_time = 0.0 if imgtype == "BIAS" else float(exptime)
        async with self.cmd_lock:
            return [
                await self._take_image(
                    timeout=(exp_time + self.read_out_time) * n + self.long_long_timeout,
                    numImages=1,
                    expTime=exp_time,
                    shutter=shutter,
                    keyValueMap=key_values,
                    obsNote=note or "",
                )
                for _ in range(n)
            ]

    async def wait_for_camera_readiness(self) -> None:
        """Wait until the last image that was started is read out."""
        camera = self.camera
        camera.evt_endReadout.flush()
        try:
            integration, readout = await asyncio.gather(
                camera.evt_startIntegration.aget(timeout=self.long_timeout),
                camera.evt_endReadout.aget(timeout=self.long_timeout),
            )
        except TimeoutError:
            self.log.info(
                "Timeout getting last camera start integration and/or end readout events. "
                "Assuming camera is ready to take data."
            )
            return
        while readout.imageName != integration.imageName:
            self.log.info(
                f"Last integration started: {integration.imageName}, "
                f"last integration completed: {readout.imageName}."
            )
            timeout = self.long_timeout + integration.exposureTime * 2.0 + self.read_out_time
            try:
                readout = await camera.evt_endReadout.next(flush=False, timeout=timeout)
            except TimeoutError:
                self.log.warning(
                    f"No new end readout event in {timeout}s. "
                    "Cannot determine if camera is ready to take data. Continuing..."
                )
        camera.evt_startIntegration.flush()

    async def _wait_for_idle_camera(self) -> None:
        """Wait until the camera accepts commands, if it reports that."""
        event = getattr(self.camera, "evt_ccsCommandState", None)
        if event is None:
            return
        try:
            data = await event.aget(timeout=self.fast_timeout)
            event.flush()
            while data.substate != _IDLE:
                data = await event.next(flush=False, timeout=self.fast_timeout)
        except TimeoutError:
            self.log.warning("Could not determine CCS Command State; ignoring.")

    async def _take_image(self, timeout: float, **fields: Any) -> int:
        """Take an image and return its id, from its startIntegration event."""
        await self.wait_for_camera_readiness()
        await self._wait_for_idle_camera()
        await self.camera.cmd_takeImages.set_start(**fields, timeout=timeout)
        try:
            data = await self.camera.evt_startIntegration.next(flush=False, timeout=self.long_long_timeout)
        except TimeoutError:
            raise RuntimeError("Timeout waiting for endReadout event. Expected 1 got 0.") from None
        # The id of AT_O_20220406_000007 is 2022040600007.
        _, _, day_obs, seq_num = data.imageName.split("_")
        return int(day_obs + seq_num[1:])


def _key_value_map(imgtype: str, group_id: str | None, reason: str | None, program: str | None) -> str:
    """Return the field ``keyValueMap`` of the takeImages command."""
    values = {
        "imageType": imgtype,
        "groupId": _next_group_id() if group_id is None else group_id,
        "testType": imgtype,
        "stutterRows": 0,
        "stutterNShifts": 0,
        "stutterDelay": 0.0,
        "reason": reason,
        "program": program,
    }
    return ", ".join(f"{key}: {value}" for key, value in values.items() if value is not None)


def _next_group_id() -> str:
    """Return a new group id: the current TAI date and time, ISO format."""
    tai = datetime.datetime.fromtimestamp(current_tai(), datetime.UTC)
    return tai.replace(tzinfo=None).isoformat(timespec="milliseconds")
