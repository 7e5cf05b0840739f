# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""LATISS as the procedure's camera, through observatory-control."""

from __future__ import annotations

__all__ = ["CalibrationLatiss", "CalibrationUsages", "LatissCamera", "image_id"]

import asyncio
from collections.abc import Iterator
from typing import Any

from ..config import CalibrationConfig, Series
from ..instruments import ImageType
from ..plan import PlannedExposure
from ..ports import CameraError, ComponentLostError
from .errors import SAL_ERRORS, explain
from .sal import LATISS, LATISSUsages, UsagesResources, salobj
from .watch import ComponentWatch

_EXPOSING = ("ATCamera", "ATHeaderService")
"""What a frame needs: without a header it is never ingested."""

_COMPONENTS = (*_EXPOSING, "ATSpectrograph", "ATOODS")


class CalibrationUsages(LATISSUsages):
    """The usages of LATISS, and that of taking calibrations."""

    Calibrations = 1 << 7

    def __iter__(self) -> Iterator[int]:
        return iter([*super().__iter__(), self.Calibrations])


class CalibrationLatiss(LATISS):
    """LATISS with just the topics that calibrations need.

    None of its own usages has the OODS tell of ingested images, or the
    spectrograph of its filters; all topics of its four components would
    take seconds to subscribe to.
    """

    READOUT_TIMEOUT = 30.0
    """Longest that a readout may take; the camera's own takes 2 s (s)."""

    @property
    def valid_use_cases(self) -> CalibrationUsages:
        """The usages that can be asked for."""
        return CalibrationUsages()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """The topics of each usage."""
        usages = super().usages
        usages[CalibrationUsages.Calibrations] = UsagesResources(
            components_attr=self.components_attr,
            readonly=False,
            generics=["summaryState", "errorCode", "heartbeat"],
            atcamera=["takeImages", "startIntegration", "endReadout", "ccsCommandState"],
            atspectrograph=[
                "changeFilter",
                "changeDisperser",
                "reportedFilterPosition",
                "reportedDisperserPosition",
                "settingsAppliedValues",
            ],
            atoods=["imageInOODS"],
        )
        return usages

    async def wait_for_camera_readiness(self) -> None:
        """Wait until the last image is read out, if that can still be.

        The original waits without end for an image whose readout a fault
        has cut short, and half a minute where no image was ever taken.
        """
        last = self.camera.evt_startIntegration.get()
        if last is not None:
            heartbeat = self.camera.evt_heartbeat.get()
            # By the camera's own clock.
            age = 0.0 if heartbeat is None else heartbeat.private_sndStamp - last.private_sndStamp
            try:
                await self.wait_for_readout(
                    image_id(last.imageName), last.exposureTime + self.READOUT_TIMEOUT - age
                )
            except TimeoutError:
                self.log.warning(f"{last.imageName} was never read out; the next image does not wait for it.")
        # The first one to come from here on is the one that is taken next.
        self.camera.evt_startIntegration.flush()

    async def wait_for_readout(self, image: int, timeout: float) -> None:
        """Wait until an image is read out.

        Parameters
        ----------
        image : `int`
            Its id; see `image_id`.
        timeout : `float`
            Longest wait (s).

        Raises
        ------
        asyncio.TimeoutError
            If it is not read out in time.
        """
        read_out = self.camera.evt_endReadout
        async with asyncio.timeout(timeout):
            last = read_out.get()
            while last is None or image_id(last.imageName) != image:
                last = await read_out.next(flush=False)


def image_id(name: str) -> int:
    """Return an image's id as observatory-control makes it of its name.

    Parameters
    ----------
    name : `str`
        Such as "AT_O_20220406_000007".
    """
    _, _, day_obs, seq_num = name.split("_")
    return int(day_obs + seq_num[1:])


class LatissCamera:
    """A `Camera` over observatory-control.

    Parameters
    ----------
    latiss : `CalibrationLatiss`
        Its remotes are started.
    config : `CalibrationConfig`
        Filter, grating, and what goes into the frames' headers.
    watch : `ComponentWatch`
        Knows the components of LATISS.
    """

    SETUP_TIMEOUT = 90.0
    """Longest that the wheels may take: one may take 30 s, and the
    spectrograph's words that it is in progress extend that (s)."""

    EXPOSURE_MARGIN = 60.0
    """What a frame may take beyond its time until the camera has
    acknowledged it: it is ready before, which observatory-control asks for up
    to 5 s, and takes seconds to clear and to answer (s)."""

    def __init__(self, latiss: CalibrationLatiss, config: CalibrationConfig, watch: ComponentWatch) -> None:
        self._latiss = latiss
        self._config = config
        self._watch = watch

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from taking the frames, if anything."""
        try:
            await self._latiss.assert_all_enabled("All components of LATISS must be ENABLED.")
        except SAL_ERRORS as error:
            return (explain(error),)
        if silent := await self._watch.check(_COMPONENTS):
            return silent
        flats = [series for series in self._config.series if series.image_type is ImageType.FLAT]
        if all(series.filter is None and series.grating is None for series in flats):
            return ()
        try:
            filters, gratings, _ = await self._latiss.get_available_instrument_setup()
        except SAL_ERRORS as error:
            return (f"the filters and gratings in the spectrograph are not known: {explain(error)}",)
        return tuple(
            problem
            for series in flats
            for key, value, names in (
                ("filter", series.filter, filters),
                ("grating", series.grating, gratings),
            )
            for problem in _unknown(key, value, [name.strip() for name in names])
        )

    async def physical_filter(self, series: Series) -> str:
        """Return the Butler's name of what a series is to be taken through."""
        spectrograph, timeout = self._latiss.rem.atspectrograph, self._latiss.fast_timeout
        try:
            filters, gratings, _ = await self._latiss.get_available_instrument_setup()
            filter_now = (await spectrograph.evt_reportedFilterPosition.aget(timeout=timeout)).name
            grating_now = (await spectrograph.evt_reportedDisperserPosition.aget(timeout=timeout)).name
        except SAL_ERRORS as error:
            raise CameraError(
                f"ATSpectrograph does not tell which filter and grating it has: {explain(error)}"
            ) from error
        return "~".join(
            (
                _name("filter", series.filter, filters, filter_now),
                _name("grating", series.grating, gratings, grating_now),
            )
        )

    async def set_up(self, series: Series) -> None:
        """Select filter and grating of a series and read them back."""
        wanted = {
            key: value
            for key, value in (("filter", series.filter), ("grating", series.grating))
            if value is not None
        }
        if not wanted:
            return
        spectrograph = self._latiss.rem.atspectrograph
        positions = {
            "filter": spectrograph.evt_reportedFilterPosition,
            "grating": spectrograph.evt_reportedDisperserPosition,
        }
        for key in wanted:
            positions[key].flush()
        try:
            async with asyncio.timeout(self.SETUP_TIMEOUT):
                await self._watch.guard("ATSpectrograph", self._latiss.setup_instrument(**wanted))
        except (ComponentLostError, *SAL_ERRORS) as error:
            raise CameraError(
                f"ATSpectrograph did not select {wanted}: {self._reason('ATSpectrograph', error)}. "
                "Check ATSpectrograph before running again."
            ) from error
        for key, value in wanted.items():
            position = await self._read_back(key, value, positions[key])
            if value not in (position.name, position.slot):
                raise CameraError(
                    f"ATSpectrograph reports {key} {position.name} (slot {position.slot}) after "
                    f"{value} was selected. Check the wheel before running again."
                )

    async def _read_back(self, key: str, value: int | str, event: salobj.topics.RemoteEvent) -> Any:
        """Return the position that was selected, or the last one reported.

        The report may come after the acknowledgement of the command.
        """
        position = None
        try:
            async with asyncio.timeout(self._latiss.fast_timeout):
                position = await event.aget()
                while value not in (position.name, position.slot):
                    position = await event.next(flush=False)
        except TimeoutError as error:
            if position is None:
                raise CameraError(f"ATSpectrograph does not report its {key} position") from error
        return position

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Take a frame; return its exposure id once it is read out.

        Whoever awaits it in a task of its own, and is stopped, may still
        await that: the camera goes on by itself.
        """
        for component in _EXPOSING:
            if trouble := await self._watch.explain(component):
                raise CameraError(f"{exposure.label}: not taken, {trouble}. Check {component}.")
        try:
            return await self._watch.guard("ATCamera", self._expose(exposure, group_id))
        except ComponentLostError as error:
            raise CameraError(f"{exposure.label}: lost, {error}. Check ATCamera.") from error

    def _reason(self, component: str, error: BaseException) -> str:
        """Return why a command failed: the fault, where there is one."""
        return self._watch.describe(component) or explain(error)

    async def _expose(self, exposure: PlannedExposure, group_id: str) -> int:
        await self._latiss.wait_for_camera_readiness()
        before = self._latiss.camera.evt_startIntegration.get()
        try:
            async with asyncio.timeout(exposure.exp_time + self.EXPOSURE_MARGIN):
                (taken,) = await self._latiss.take_imgtype(
                    exposure.image_type.value,
                    exposure.exp_time,
                    1,
                    group_id=group_id,
                    reason=self._config.reason,
                    program=self._config.program,
                    note=self._config.note,
                )
        except SAL_ERRORS as error:
            begun = self._latiss.camera.evt_startIntegration.get()
            if begun is before or not isinstance(error, TimeoutError | salobj.AckTimeoutError):
                raise CameraError(
                    f"{exposure.label}: not taken, {self._reason('ATCamera', error)}. Check ATCamera."
                ) from error
            # Only the acknowledgement is missing: the frame may well be good.
            taken = image_id(begun.imageName)
            self._latiss.log.warning(f"{exposure.label}: {explain(error)}, but {begun.imageName} has begun.")
        # observatory-control returns before the readout.
        timeout = self._latiss.READOUT_TIMEOUT
        try:
            await self._latiss.wait_for_readout(taken, timeout)
        except TimeoutError as error:
            raise CameraError(
                f"{exposure.label}: exposure {taken} was not read out within {timeout:g} s. Check ATCamera."
            ) from error
        return int(taken)


def _unknown(key: str, value: int | str | None, names: list[str]) -> Iterator[str]:
    if value is None or value in names or value in range(len(names)):
        return
    known = ", ".join(f"{name} (slot {slot})" for slot, name in enumerate(names) if name)
    yield f"{key}: {value}: the spectrograph has no such {key}; write one of {known}"


def _name(key: str, value: int | str | None, names: list[str], current: str) -> str:
    if value is None:
        return current
    names = [name.strip() for name in names]
    for problem in _unknown(key, value, names):
        raise CameraError(problem)
    return value if isinstance(value, str) else names[value]
