# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock white light, dome, telescope and mirror cover, and a temperature.

Nothing moves: all is where flats need it, unless it is put elsewhere.
"""

from __future__ import annotations

__all__ = ["LampState", "SurroundingCsc", "Surroundings"]

import asyncio
import enum
from typing import Any

from ...instruments import LATISS, LSSTCAM, Instrument
from .base import SimulatedCsc

TELEMETRY_INTERVAL = 1.0
"""Time between two messages of telemetry, whatever the time scale (second)."""

N_SAMPLES = 100
"""Samples in a message of the telescope's encoders."""


class LampState(enum.IntEnum):
    """State of the lamp: ``lampState.basicState``."""

    OFF = 1
    ON = 2
    WARMUP = 4


class DoorState(enum.IntEnum):
    """State of a door of the dome."""

    CLOSED = 1
    OPENED = 2


LAMP_SHUTTER_OPEN = 2
COVER_OPENED = 2

DOME_AZIMUTH = 3.2
TELESCOPE_ELEVATION = 39.0
TELESCOPE_AZIMUTH = 188.7
"""Where flats are taken (deg)."""

BOARD_TEMPERATURE = 27.6
"""Of the WREB (deg C)."""


class SurroundingCsc(SimulatedCsc):
    """A component that reports a state, and moves nothing.

    Parameters
    ----------
    name : `str`
        SAL component name.
    events, telemetry : `dict` [`str`, `dict`]
        What it reports: fields and values by topic.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.

    Attributes
    ----------
    is_silent : `bool`
        Set before it starts: it never reports anything.
    """

    def __init__(
        self,
        name: str,
        events: dict[str, dict[str, Any]],
        telemetry: dict[str, dict[str, Any]] | None = None,
        *,
        initial_state: Any = None,
    ) -> None:
        super().__init__(name, initial_state=initial_state)
        self._events = events
        self._telemetry = telemetry or {}
        self.is_silent = False

    async def start(self) -> None:
        """Report all there is."""
        if self.is_silent:
            self.heartbeat_interval = float("inf")
        await super().start()
        if self.is_silent:
            return
        for topic in self._events:
            await self._report(topic)
        if self._telemetry:
            self.spawn(report_telemetry(self, self._telemetry))

    def put(self, topic: str, **fields: Any) -> None:
        """Have something be elsewhere; telemetry tells it, events do not.

        Parameters
        ----------
        topic : `str`
            Name of an event or of telemetry, without prefix.
        **fields
            Fields and values.
        """
        (self._telemetry if topic in self._telemetry else self._events)[topic] |= fields

    async def become(self, topic: str, **fields: Any) -> None:
        """Report at once that something is elsewhere, once it has started.

        Parameters
        ----------
        topic : `str`
            Name of an event or of telemetry, without prefix.
        **fields
            Fields and values.
        """
        self.put(topic, **fields)
        if topic in self._events:
            await self._report(topic)
        else:
            await getattr(self, f"tel_{topic}").set_write(**self._telemetry[topic])

    async def _report(self, topic: str) -> None:
        await getattr(self, f"evt_{topic}").set_write(**self._events[topic])


async def report_telemetry(csc: SimulatedCsc, telemetry: dict[str, dict[str, Any]]) -> None:
    """Repeat telemetry until cancelled.

    Parameters
    ----------
    csc : `SimulatedCsc`
        Whose it is.
    telemetry : `dict` [`str`, `dict`]
        Fields and values by topic, as they are at each time.
    """
    await asyncio.shield(csc.start_task)
    while True:
        for topic, fields in telemetry.items():
            await getattr(csc, f"tel_{topic}").set_write(**fields)
        await asyncio.sleep(TELEMETRY_INTERVAL)


class Surroundings:
    """What is around a simulated camera.

    Parameters
    ----------
    instrument : `Instrument`
        The camera. LATISS has what its flats need, LSSTCam a dome whose
        states are known, and others have nothing.
    camera : `SimulatedCsc`
        Its CSC, which reports the temperature.

    Attributes
    ----------
    cscs : `tuple` [`SurroundingCsc`, ...]
        The CSCs.
    white_light, dome, telescope, cover : `SurroundingCsc`
        Those of LATISS.
    board : `dict` [`str`, `float`]
        Temperatures of the board of LATISS (deg C), by field.
    """

    def __init__(self, instrument: Instrument, camera: SimulatedCsc) -> None:
        self.cscs: tuple[SurroundingCsc, ...] = ()
        if instrument.name == LSSTCAM.name:
            self.cscs = (SurroundingCsc("MTDomeTrajectory", {}), SurroundingCsc("MTDome", {}))
        if instrument.name != LATISS.name:
            return
        self.white_light = SurroundingCsc(
            "ATWhiteLight",
            {
                "lampState": {"basicState": LampState.ON, "lightDetected": True, "setPower": 910.0},
                "shutterState": {"commandedState": LAMP_SHUTTER_OPEN, "actualState": LAMP_SHUTTER_OPEN},
            },
        )
        self.dome = SurroundingCsc(
            "ATDome",
            {
                "mainDoorState": {"state": DoorState.CLOSED},
                "dropoutDoorState": {"state": DoorState.CLOSED},
            },
            {"position": {"azimuthPosition": DOME_AZIMUTH}},
        )
        self.telescope = SurroundingCsc(
            "ATMCS",
            {},
            {
                "mount_AzEl_Encoders": {
                    "elevationCalculatedAngle": [TELESCOPE_ELEVATION] * N_SAMPLES,
                    "azimuthCalculatedAngle": [TELESCOPE_AZIMUTH] * N_SAMPLES,
                }
            },
        )
        self.cover = SurroundingCsc("ATPneumatics", {"m1CoverState": {"state": COVER_OPENED}})
        self.cscs = (self.white_light, self.dome, self.telescope, self.cover)
        self.board = {"temp2": BOARD_TEMPERATURE}
        camera.spawn(report_telemetry(camera, {"focal_plane_Reb": self.board}))
