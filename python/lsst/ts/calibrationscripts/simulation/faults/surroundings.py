# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what is around the camera."""

from __future__ import annotations

__all__ = [
    "BoardTooWarm",
    "DomeOpen",
    "LampCold",
    "LampOff",
    "TelescopeElsewhere",
    "WhiteLightSilent",
]

import time
from typing import TYPE_CHECKING, Any, ClassVar

from ...plan import TAI_MINUS_UTC
from ..cscs import SurroundingCsc
from ..cscs.surroundings import N_SAMPLES, DoorState, LampState
from ..repository import WorkFolderError
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory


class SurroundingsFault(StepFault):
    """Something around the camera is not as frames need it any more.

    It is so from the beginning, or from the end of the exposure before.
    """

    counts = "exposure before which"
    component = "camera"
    step = "integrate"

    whose: ClassVar[str] = "board"
    """Attribute of the surroundings that has it."""

    topic: ClassVar[str]
    """What it reports otherwise."""

    def fields(self) -> dict[str, Any]:
        """Return what it reports."""
        raise NotImplementedError

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Strike now, or intercept the exposures."""
        super().attach(observatory)
        self._around = observatory.surroundings
        if not hasattr(self._around, self.whose):
            camera = observatory.instrument.name
            raise WorkFolderError(
                f"--fault {self.name}: a simulated {camera} has nothing of that kind. Leave it out."
            )
        if self.is_due():
            self._begin()

    async def intercept(self, proceed: Proceed, exp_time: float) -> None:
        """Strike at the end of an exposure."""
        await proceed(exp_time)
        if self.is_due():
            await self._turn()

    @property
    def _its_csc(self) -> SurroundingCsc:
        csc: SurroundingCsc = getattr(self._around, self.whose)
        return csc

    def _begin(self) -> None:
        self._its_csc.put(self.topic, **self.fields())

    async def _turn(self) -> None:
        await self._its_csc.become(self.topic, **self.fields())


class LampOff(SurroundingsFault):
    """The lamp of the white light is off."""

    name = "lamp-off"
    description = "the lamp of ATWhiteLight is off"
    whose = "white_light"
    topic = "lampState"

    def fields(self) -> dict[str, Any]:
        """Return a lamp without light."""
        return {"basicState": LampState.OFF, "lightDetected": False, "setPower": 0.0}


class LampCold(SurroundingsFault):
    """The lamp of the white light was switched off, and on again."""

    name = "lamp-cold"
    description = "the lamp of ATWhiteLight is on, and not warm yet"
    whose = "white_light"
    topic = "lampState"

    def fields(self) -> dict[str, Any]:
        """Return a lamp that is warm in 15 minutes."""
        now = time.time() + TAI_MINUS_UTC.total_seconds()
        return {"basicState": LampState.WARMUP, "warmupEndTime": now + 900.0}


class DomeOpen(SurroundingsFault):
    """The main door of the dome is open."""

    name = "dome-open"
    description = "the main door of ATDome is open"
    whose = "dome"
    topic = "mainDoorState"

    def fields(self) -> dict[str, Any]:
        """Return an open door."""
        return {"state": DoorState.OPENED}


class TelescopeElsewhere(SurroundingsFault):
    """The telescope is parked."""

    name = "telescope-elsewhere"
    description = "ATMCS has the telescope in its park position"
    whose = "telescope"
    topic = "mount_AzEl_Encoders"

    def fields(self) -> dict[str, Any]:
        """Return the park position."""
        return {"elevationCalculatedAngle": [80.0] * N_SAMPLES, "azimuthCalculatedAngle": [0.0] * N_SAMPLES}


class BoardTooWarm(SurroundingsFault):
    """The board of the camera is too warm."""

    name = "board-too-warm"
    description = "the WREB of ATCamera has 31 deg C"

    def _begin(self) -> None:
        self._around.board["temp2"] = 31.0

    async def _turn(self) -> None:
        self._begin()
        await self.csc.tel_focal_plane_Reb.set_write(**self._around.board)


class WhiteLightSilent(SurroundingsFault):
    """The white light's process has died.

    One that dies later is missed only when its last heartbeat is old.
    """

    name = "white-light-silent"
    description = "ATWhiteLight reports nothing, or later no heartbeat any more"
    whose = "white_light"

    def _begin(self) -> None:
        self._its_csc.is_silent = True

    async def _turn(self) -> None:
        # The present pause of the loop ends with one more heartbeat.
        self._its_csc.heartbeat_interval = float("inf")
