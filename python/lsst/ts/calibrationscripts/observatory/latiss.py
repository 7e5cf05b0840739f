# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observatory-control object of LATISS, for calibrations."""

from __future__ import annotations

__all__ = ["CalibrationLatiss", "CalibrationUsages"]

from collections.abc import Iterator
from typing import Any

from .control import WheelPosition
from .sal import LATISS, LATISSUsages, UsagesResources, salobj


class CalibrationUsages(LATISSUsages):
    """The usages of LATISS, and that of taking calibrations."""

    Calibrations = 1 << 7

    def __iter__(self) -> Iterator[int]:
        return iter([*super().__iter__(), self.Calibrations])


class CalibrationLatiss(LATISS):
    """LATISS with only the topics that calibrations need.

    No usage of the original has the events of ingested images and of the
    filters in the spectrograph; to subscribe to all topics of the four
    components would take seconds. It is a `Control`.
    """

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
            atcamera=["takeImages", "startIntegration", "endReadout", "ccsCommandState", "focal_plane_Reb"],
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
        """Return at once: `SalCamera` has waited, and with a limit.

        The original waits without end for an image whose readout a fault
        has cut short, and half a minute where no image was ever taken.
        """

    async def wheel_names(self) -> dict[str, list[str]]:
        """Return the names of what is in each wheel, by slot."""
        filters, gratings, _ = await self.get_available_instrument_setup()
        return {
            "filter": [name.strip() for name in filters],
            "grating": [name.strip() for name in gratings],
        }

    def wheel_event(self, wheel: str) -> salobj.topics.RemoteEvent:
        """Return the event that reports the position of a wheel."""
        spectrograph = self.rem.atspectrograph
        return {
            "filter": spectrograph.evt_reportedFilterPosition,
            "grating": spectrograph.evt_reportedDisperserPosition,
        }[wheel]

    async def read_wheel(self, wheel: str, data: Any) -> WheelPosition:
        """Return what such an event says."""
        return WheelPosition(data.name, data.slot)
