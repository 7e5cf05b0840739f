# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instrument as the procedure's camera, through observatory-control."""

from __future__ import annotations

__all__ = ["SalCamera"]

from ..config import CalibrationConfig, Series
from ..instruments import ImageType, Instrument
from ..plan import PlannedExposure
from ..ports import CameraError, ComponentLostError
from ..wheels import selected, setting_names, unknown_settings
from .control import Control, WheelPosition, image_id
from .errors import SAL_ERRORS, explain
from .image_names import exposure_id
from .in_beam import in_beam, not_in_place
from .sal import salobj
from .watch import ComponentWatch


class SalCamera:
    """A `Camera` over observatory-control.

    Parameters
    ----------
    control : `Control`
        The instrument. Its remotes have started.
    instrument : `Instrument`
        Names of its components and wheels.
    config : `CalibrationConfig`
        Filters, gratings, and what goes into the headers of the frames.
    watch : `ComponentWatch`
        Watches the components of the instrument.
    """

    EXPOSURE_MARGIN = 60.0
    """What a frame may take beyond its exposure time until the camera has
    acknowledged it: observatory-control waits up to 5 s for the camera to be
    ready, which then takes seconds to clear and to answer (s)."""

    READOUT_TIMEOUT = 30.0
    """Longest that a readout may take; that of LATISS takes 2 s (s)."""

    def __init__(
        self, control: Control, instrument: Instrument, config: CalibrationConfig, watch: ComponentWatch
    ) -> None:
        self._control = control
        self._instrument = instrument
        self._config = config
        self._watch = watch
        self._components = instrument.components
        self._camera: salobj.Remote = getattr(control.rem, self._components.camera.lower())
        self._wheel_component = self._components.spectrograph or self._components.camera

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from taking the frames, if anything."""
        try:
            await self._control.assert_all_enabled(
                f"All components of {self._instrument.name} must be ENABLED."
            )
        except SAL_ERRORS as error:
            return (explain(error),)
        if silent := await self._watch.check(self._components.names):
            return silent
        flats = [series for series in self._config.series if series.image_type is ImageType.FLAT]
        if not any(map(self._selected, flats)):
            return ()
        try:
            names = await self._control.wheel_names()
        except SAL_ERRORS as error:
            kinds = " and ".join(f"{wheel}s" for wheel in self._instrument.wheels)
            return (f"{self._wheel_component} does not report its {kinds}: {explain(error)}",)
        problems = [
            problem for series in flats for problem in unknown_settings(series, self._instrument, names)
        ]
        if problems or self._instrument.wheels_turn:
            return tuple(problems)
        return await not_in_place(self._control, self._instrument, flats, names)

    async def physical_filter(self, series: Series) -> str:
        """Return the Butler's name of what a series is to be taken through."""
        wheels = self._instrument.wheels
        try:
            names = await self._control.wheel_names() if wheels else {}
            current = await in_beam(self._control, self._instrument)
        except SAL_ERRORS as error:
            raise CameraError(
                f"{self._wheel_component} does not report its {' and '.join(wheels)}: {explain(error)}"
            ) from error
        for problem in unknown_settings(series, self._instrument, names):
            raise CameraError(problem)
        return "~".join((current | setting_names(series, self._instrument, names)).values())

    async def set_up(self, series: Series) -> None:
        """Select filter and grating of a series and read them back."""
        wanted = self._selected(series)
        if not wanted:
            return
        component = self._wheel_component
        for wheel in wanted:
            self._control.wheel_event(wheel).flush()
        try:
            async with self._watch.timeout(self._instrument.wheel_timeout):
                await self._watch.guard(component, self._control.setup_instrument(**wanted))
        except (ComponentLostError, *SAL_ERRORS) as error:
            raise CameraError(
                f"{component} did not select {wanted}: {self._reason(component, error)}. "
                f"Check {component} before running again."
            ) from error
        for wheel, value in wanted.items():
            position = await self._read_back(wheel, value)
            if value not in position:
                raise CameraError(
                    f"{component} reports {wheel} {position.name} (slot {position.slot}) after "
                    f"{value} was selected. Check the wheel before running again."
                )

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Take a frame; return its exposure id once it is read out.

        A caller that is stopped while it awaits this in a task of its own
        may still await the task: the camera finishes the frame.
        """
        for component in self._components.exposing:
            if trouble := await self._watch.explain(component):
                raise CameraError(f"{exposure.label}: not taken, {trouble}. Check {component}.")
        camera = self._components.camera
        try:
            return await self._watch.guard(camera, self._expose(exposure, group_id))
        except ComponentLostError as error:
            raise CameraError(f"{exposure.label}: lost, {error}. Check {camera}.") from error

    def _selected(self, series: Series) -> dict[str, int | str]:
        """Return what the observer selects, by wheel of the instrument."""
        return selected(series, self._instrument)

    async def _read_back(self, wheel: str, value: int | str) -> WheelPosition:
        """Return the position that was selected, or the last one reported.

        The report may come after the acknowledgement of the command.
        """
        event, position = self._control.wheel_event(wheel), None
        try:
            async with self._watch.timeout(self._control.fast_timeout):
                position = await self._control.read_wheel(wheel, await event.aget())
                while value not in position:
                    position = await self._control.read_wheel(wheel, await event.next(flush=False))
        except TimeoutError as error:
            if position is None:
                raise CameraError(f"{self._wheel_component} does not report its {wheel} position") from error
        return position

    def _reason(self, component: str, error: BaseException) -> str:
        """Return why a command failed: the fault, where there is one."""
        return self._watch.describe(component) or explain(error)

    async def _expose(self, exposure: PlannedExposure, group_id: str) -> int:
        await self._wait_until_ready()
        camera = self._components.camera
        before = self._camera.evt_startIntegration.get()
        try:
            async with self._watch.timeout(exposure.exp_time + self.EXPOSURE_MARGIN):
                (taken,) = await self._control.take_imgtype(
                    exposure.image_type.value,
                    exposure.exp_time,
                    1,
                    group_id=group_id,
                    reason=self._config.reason,
                    program=self._config.program,
                    note=self._config.note,
                )
        except SAL_ERRORS as error:
            begun = self._camera.evt_startIntegration.get()
            if begun is before or not isinstance(error, TimeoutError | salobj.AckTimeoutError):
                raise CameraError(
                    f"{exposure.label}: not taken, {self._reason(camera, error)}. Check {camera}."
                ) from error
            # Only the acknowledgement is missing: the frame may well be good.
            taken = image_id(begun.imageName)
            self._control.log.warning(f"{exposure.label}: {explain(error)}, but {begun.imageName} has begun.")
        # observatory-control returns before the readout.
        timeout = self.READOUT_TIMEOUT
        try:
            name = await self._wait_for_readout(taken, timeout)
        except TimeoutError as error:
            raise CameraError(
                f"{exposure.label}: exposure {taken} was not read out within {timeout:g} s. Check {camera}."
            ) from error
        # observatory-control does not look at the controller in the name.
        return exposure_id(name, self._instrument.image_prefix) or int(taken)

    async def _wait_until_ready(self) -> None:
        """Wait until the last image is read out, if it can still be."""
        last = self._camera.evt_startIntegration.get()
        if last is not None:
            heartbeat = self._camera.evt_heartbeat.get()
            # By the camera's own clock.
            age = 0.0 if heartbeat is None else heartbeat.private_sndStamp - last.private_sndStamp
            try:
                await self._wait_for_readout(
                    image_id(last.imageName), last.exposureTime + self.READOUT_TIMEOUT - age
                )
            except TimeoutError:
                self._control.log.warning(
                    f"{last.imageName} was never read out; the next image does not wait for it."
                )
        # The first event from here on is that of the next image.
        self._camera.evt_startIntegration.flush()

    async def _wait_for_readout(self, image: int, timeout: float) -> str:
        """Wait until an image is read out, or raise `TimeoutError`.

        Return its name.
        """
        read_out = self._camera.evt_endReadout
        async with self._watch.timeout(timeout):
            last = read_out.get()
            while last is None or image_id(last.imageName) != image:
                last = await read_out.next(flush=False)
        return str(last.imageName)
