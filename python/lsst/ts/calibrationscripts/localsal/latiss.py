# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera and spectrograph of the Auxiliary Telescope."""

from __future__ import annotations

__all__ = ["LATISS", "CameraExposure", "LATISSUsages"]

import asyncio
import dataclasses
import datetime
import enum
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from .base import current_tai
from .domain import Domain
from .remote import Remote
from .remote_group import RemoteGroup, Usages, UsagesResources

IMAGE_TYPES = ("BIAS", "DARK", "FLAT")
"""The image types that this package takes."""


class CameraSubstate(enum.IntEnum):
    """Substate of the ccsCommandState event."""

    IDLE = 1
    BUSY = 2


class LATISSUsages(Usages):
    """What `LATISS` may be used for; a bit mask."""

    TakeImage = 1 << 3
    Setup = 1 << 4
    TakeImageFull = 1 << 5
    DryTest = 1 << 6

    def __iter__(self) -> Iterator[int]:
        return iter(
            [
                self.All,
                self.StateTransition,
                self.MonitorState,
                self.MonitorHeartBeat,
                self.TakeImage,
                self.Setup,
                self.TakeImageFull,
                self.DryTest,
            ]
        )


@dataclasses.dataclass
class CameraExposure:
    """A series of exposures that differ in nothing."""

    exp_time: float
    """Exposure time (s)."""

    shutter: bool
    """Does the shutter open?"""

    image_type: str
    """Image type."""

    group_id: str
    """Group id."""

    n: int
    """Number of exposures."""

    n_snaps: int
    """Number of images in an exposure."""

    test_type: str | None = None
    """Header keyword testType; by default the image type."""

    reason: str | None = None
    """Why it is taken."""

    program: str | None = None
    """Program it belongs to."""

    sensors: str | None = None
    """Sensors to read; LATISS has one."""

    note: str | None = None
    """Note of the observer."""

    def get_key_value_map(self) -> str:
        """Return the keyValueMap of the takeImages command."""
        values = {
            "imageType": self.image_type,
            "groupId": self.group_id,
            "testType": self.image_type if self.test_type is None else self.test_type,
            "stutterRows": 0,
            "stutterNShifts": 0,
            "stutterDelay": 0.0,
        }
        if self.reason is not None:
            values["reason"] = self.reason
        if self.program is not None:
            values["program"] = self.program
        return ", ".join(f"{key}: {value}" for key, value in values.items())


_CAMERA_TOPICS = ("takeImages", "endReadout", "startIntegration")
_SPECTROGRAPH_TOPICS = (
    "changeFilter",
    "changeDisperser",
    "moveLinearStage",
    "reportedFilterPosition",
    "reportedDisperserPosition",
    "reportedLinearStagePosition",
)


class LATISS(RemoteGroup):
    """LATISS: ATCamera, ATSpectrograph, ATHeaderService and ATOODS.

    Parameters
    ----------
    domain : `Domain`, optional
        The domain of the remotes; by default one of its own.
    log : `logging.Logger`, optional
        The parent of its logger.
    intended_usage : `int`, optional
        Bit mask of `LATISSUsages`; by default all topics are loaded.

    Attributes
    ----------
    read_out_time : `float`
        Time to read an image (s).
    shutter_time : `float`
        Time to open or close the shutter (s).
    min_exptime : `float`
        Shortest exposure with an open shutter (s).
    cmd_lock : `asyncio.Lock`
        Held while the instrument is set up or exposes.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        log: logging.Logger | None = None,
        intended_usage: int | None = None,
    ) -> None:
        super().__init__(
            components=["ATCamera", "ATSpectrograph", "ATHeaderService", "ATOODS"],
            domain=domain,
            log=log,
            intended_usage=intended_usage,
        )
        self.read_out_time = 2.0
        self.shutter_time = 1.0
        self.min_exptime = 0.1
        self.instrument_setup_attributes = {"filter", "grating", "linear_stage"}
        self.cmd_lock = asyncio.Lock()

    @property
    def camera(self) -> Remote:
        """The remote of ATCamera."""
        remote: Remote = self.rem.atcamera
        return remote

    @property
    def valid_use_cases(self) -> LATISSUsages:
        """The usages of this class."""
        return LATISSUsages()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """What each usage needs; subclasses add to it."""
        if self._usages is None:
            cases = self.valid_use_cases
            usages = super().usages

            def resources(components: list[str], **topics: tuple[str, ...]) -> UsagesResources:
                return UsagesResources(
                    components_attr=components, readonly=False, generics=["summaryState"], **topics
                )

            usages[cases.All] = resources(
                self.components_attr,
                atcamera=_CAMERA_TOPICS,
                atspectrograph=_SPECTROGRAPH_TOPICS,
                atheaderservice=("largeFileObjectAvailable",),
            )
            usages[cases.TakeImage] = resources(["atcamera"], atcamera=_CAMERA_TOPICS)
            usages[cases.Setup] = resources(["atspectrograph"], atspectrograph=_SPECTROGRAPH_TOPICS)
            usages[cases.TakeImageFull] = resources(
                ["atcamera", "atspectrograph", "atheaderservice"],
                atcamera=_CAMERA_TOPICS,
                atspectrograph=_SPECTROGRAPH_TOPICS,
                atheaderservice=("largeFileObjectAvailable",),
            )
            usages[cases.DryTest] = UsagesResources(components_attr=(), readonly=True)
            self._usages = usages
        return self._usages

    def check_kwargs(self, **kwargs: Any) -> None:
        """Raise `RuntimeError` if an argument does not set up LATISS."""
        for key in kwargs:
            if key not in self.instrument_setup_attributes:
                raise RuntimeError(
                    f"Invalid argument {key}. Must be one of {self.instrument_setup_attributes}."
                )

    async def setup_instrument(self, **kwargs: int | float | str | None) -> None:
        """Set up the spectrograph.

        Parameters
        ----------
        **kwargs
            ``filter``, ``grating`` and ``linear_stage``; see `setup_atspec`.

        Raises
        ------
        RuntimeError
            If there are other arguments.
        """
        self.check_kwargs(**kwargs)

        def int_or_str(key: str) -> int | str | None:
            value = kwargs.get(key)
            return value if value is None or isinstance(value, int) else str(value)

        stage = kwargs.get("linear_stage")
        await self.setup_atspec(
            filter=int_or_str("filter"),
            grating=int_or_str("grating"),
            linear_stage=None if stage is None else float(stage),
        )

    async def setup_atspec(
        self,
        filter: int | str | None = None,
        grating: int | str | None = None,
        linear_stage: float | None = None,
    ) -> None:
        """Set up the spectrograph; `None` leaves a part as it is.

        Parameters
        ----------
        filter : `int` or `str`, optional
            Id or name of a filter.
        grating : `int` or `str`, optional
            Id or name of a grating.
        linear_stage : `float`, optional
            Position of the linear stage (mm).

        Raises
        ------
        RuntimeError
            If a filter or grating is neither.
        """
        commands: list[tuple[str, dict[str, Any]]] = []
        for command, field, value in (
            ("changeFilter", "filter", filter),
            ("changeDisperser", "disperser", grating),
        ):
            if value is None:
                continue
            if not isinstance(value, int | str):
                raise RuntimeError(f"{command} wants a string or an int, got {type(value)}:{value}")
            is_id = isinstance(value, int)
            commands.append((command, {field: value if is_id else 0, "name": "" if is_id else value}))
        if linear_stage is not None:
            commands.append(("moveLinearStage", {"distanceFromHome": float(linear_stage)}))
        if not commands:
            return
        async with self.cmd_lock:
            await asyncio.gather(
                *(
                    getattr(self.rem.atspectrograph, f"cmd_{command}").set_start(
                        **fields, timeout=self.long_timeout
                    )
                    for command, fields in commands
                )
            )

    async def get_setup(self) -> tuple[str, str, float]:
        """Return the filter, the grating and the stage position (mm).

        Raises
        ------
        asyncio.TimeoutError
            If the spectrograph has not reported them.
        """
        spectrograph = self.rem.atspectrograph
        filter_data = await spectrograph.evt_reportedFilterPosition.aget(timeout=self.fast_timeout)
        grating_data = await spectrograph.evt_reportedDisperserPosition.aget(timeout=self.fast_timeout)
        stage_data = await spectrograph.evt_reportedLinearStagePosition.aget(timeout=self.fast_timeout)
        return filter_data.name, grating_data.name, stage_data.position

    async def get_available_instrument_setup(self) -> tuple[list[str], list[str], list[float]]:
        """Return the filters, the gratings and the limits of the stage (mm).

        Raises
        ------
        RuntimeError
            If the spectrograph has not reported them.
        """
        try:
            values = await self.rem.atspectrograph.evt_settingsAppliedValues.aget(timeout=self.fast_timeout)
        except TimeoutError:
            raise RuntimeError(
                "Could not determine instrument setup. "
                "Make sure ATSpectrograph is running, enabled and configured."
            ) from None
        return (
            values.filterNames.split(","),
            values.gratingNames.split(","),
            [values.linearStageMinPos, values.linearStageMaxPos],
        )

    async def take_bias(
        self,
        nbias: int,
        group_id: str | None = None,
        test_type: str | None = None,
        reason: str | None = None,
        program: str | None = None,
        sensors: str | None = None,
        note: str | None = None,
        checkpoint: Callable[[str], Awaitable[Any]] | None = None,
    ) -> list[int]:
        """Take biases; see `take_imgtype`."""
        return await self.take_imgtype(
            imgtype="BIAS",
            exptime=0.0,
            n=nbias,
            group_id=group_id,
            test_type=test_type,
            reason=reason,
            program=program,
            sensors=sensors,
            note=note,
            checkpoint=checkpoint,
        )

    async def take_darks(
        self,
        exptime: float,
        ndarks: int,
        group_id: str | None = None,
        test_type: str | None = None,
        reason: str | None = None,
        program: str | None = None,
        sensors: str | None = None,
        note: str | None = None,
        checkpoint: Callable[[str], Awaitable[Any]] | None = None,
    ) -> list[int]:
        """Take darks; see `take_imgtype`."""
        return await self.take_imgtype(
            imgtype="DARK",
            exptime=exptime,
            n=ndarks,
            group_id=group_id,
            test_type=test_type,
            reason=reason,
            program=program,
            sensors=sensors,
            note=note,
            checkpoint=checkpoint,
        )

    async def take_flats(
        self,
        exptime: float,
        nflats: int,
        group_id: str | None = None,
        test_type: str | None = None,
        reason: str | None = None,
        program: str | None = None,
        sensors: str | None = None,
        note: str | None = None,
        checkpoint: Callable[[str], Awaitable[Any]] | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """Take flats; see `take_imgtype`."""
        return await self.take_imgtype(
            imgtype="FLAT",
            exptime=exptime,
            n=nflats,
            group_id=group_id,
            test_type=test_type,
            reason=reason,
            program=program,
            sensors=sensors,
            note=note,
            checkpoint=checkpoint,
            **kwargs,
        )

    async def take_imgtype(
        self,
        imgtype: str,
        exptime: float,
        n: int,
        n_snaps: int = 1,
        n_shift: int | None = None,
        row_shift: int | None = None,
        group_id: str | None = None,
        test_type: str | None = None,
        reason: str | None = None,
        program: str | None = None,
        sensors: str | None = None,
        note: str | None = None,
        checkpoint: Callable[[str], Awaitable[Any]] | None = None,
        **kwargs: int | float | str,
    ) -> list[int]:
        """Take exposures.

        Parameters
        ----------
        imgtype : `str`
            "BIAS", "DARK" or "FLAT".
        exptime : `float`
            Exposure time (s).
        n : `int`
            Number of exposures.
        n_snaps : `int`, optional
            Number of images in an exposure.
        n_shift, row_shift : `int`, optional
            Of stuttered images, which these types are not.
        group_id : `str`, optional
            Group id; by default a new one.
        test_type : `str`, optional
            Header keyword testType; by default the image type.
        reason, program, note : `str`, optional
            For the header.
        sensors : `str`, optional
            Ignored: LATISS has one.
        checkpoint : coroutine function, optional
            Called with a text before the exposures.
        **kwargs
            Set-up for flats; see `setup_instrument`.

        Returns
        -------
        exposures : `list` [`int`]
            Exposure ids.

        Raises
        ------
        RuntimeError
            If an argument is invalid or an image does not appear.
        """
        self.check_kwargs(**kwargs)
        if imgtype not in IMAGE_TYPES:
            raise RuntimeError(f"Invalid imgtype:{imgtype}. Must be one of {list(IMAGE_TYPES)}")
        if group_id is None:
            group_id = self.next_group_id()
        is_open = imgtype == "FLAT"
        if is_open:
            await self.setup_instrument(**kwargs)
        if checkpoint is not None:
            await checkpoint(f"Expose {n} {imgtype}")
        return await self.expose(
            CameraExposure(
                exp_time=0.0 if imgtype == "BIAS" else exptime,
                shutter=is_open,
                image_type=imgtype,
                group_id=group_id,
                n=n,
                n_snaps=n_snaps,
                test_type=test_type,
                reason=reason,
                program=program,
                sensors=sensors,
                note=note,
            )
        )

    async def expose(self, camera_exposure: CameraExposure) -> list[int]:
        """Take exposures, one after the other.

        Parameters
        ----------
        camera_exposure : `CameraExposure`
            What to take.

        Returns
        -------
        exposures : `list` [`int`]
            Exposure ids.

        Raises
        ------
        RuntimeError
            If the exposure is too short for the shutter, or an image does
            not appear.
        """
        async with self.cmd_lock:
            if camera_exposure.shutter and camera_exposure.exp_time < self.min_exptime:
                raise RuntimeError(
                    f"Minimum allowed open-shutter exposure time is {self.min_exptime}. "
                    f"Got {camera_exposure.exp_time}."
                )
            exposures = []
            for _ in range(camera_exposure.n):
                exposures += await self._take_snaps(camera_exposure)
            return exposures

    async def wait_for_camera_readiness(self) -> None:
        """Wait until the last integration that was begun is read out."""
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

    async def wait_for_camera_state(self, substate: CameraSubstate) -> None:
        """Wait until the camera's command state is the one wanted.

        Parameters
        ----------
        substate : `CameraSubstate`
            The state wanted.
        """
        event = getattr(self.camera, "evt_ccsCommandState", None)
        if event is None:
            return
        try:
            data = await event.aget(timeout=self.fast_timeout)
            event.flush()
            while data.substate != substate:
                data = await event.next(flush=False, timeout=self.fast_timeout)
        except TimeoutError:
            self.log.warning("Could not determine CCS Command State; ignoring.")

    async def next_exposure_id(self) -> int:
        """Return the id of the next image, from its startIntegration event.

        Raises
        ------
        asyncio.TimeoutError
            If there is none in time.
        """
        data = await self.camera.evt_startIntegration.next(flush=False, timeout=self.long_long_timeout)
        # AT_O_20220406_000007 is 2022040600007.
        _, _, day_obs, seq_num = data.imageName.split("_")
        return int(day_obs + seq_num[1:])

    @staticmethod
    def next_group_id() -> str:
        """Return a new group id: the TAI date and time, in ISO format."""
        tai = datetime.datetime.fromtimestamp(current_tai(), datetime.UTC)
        return tai.replace(tzinfo=None).isoformat(timespec="milliseconds")

    async def _take_snaps(self, camera_exposure: CameraExposure) -> list[int]:
        self.camera.cmd_takeImages.set(
            numImages=camera_exposure.n_snaps,
            expTime=float(camera_exposure.exp_time),
            shutter=bool(camera_exposure.shutter),
            keyValueMap=camera_exposure.get_key_value_map(),
            sensors="",
            obsNote=camera_exposure.note or "",
        )
        timeout = (
            float(camera_exposure.exp_time) + self.read_out_time
        ) * camera_exposure.n + self.long_long_timeout
        await self.wait_for_camera_readiness()
        await self.wait_for_camera_state(CameraSubstate.IDLE)
        await self.camera.cmd_takeImages.start(timeout=timeout)
        exposures: list[int] = []
        for _ in range(camera_exposure.n_snaps):
            try:
                exposures.append(await self.next_exposure_id())
            except TimeoutError:
                raise RuntimeError(
                    "Timeout waiting for endReadout event. "
                    f"Expected {camera_exposure.n_snaps} got {len(exposures)}."
                ) from None
        return exposures
