# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the spectrograph's wheels."""

from __future__ import annotations

__all__ = ["WheelMoved", "WheelTimeout", "WrongFilter"]

from typing import TYPE_CHECKING

from ..cscs.wheel import Wheel
from .base import Proceed, StepFault
from .camera import CameraFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory


class WheelTimeout(StepFault):
    """A wheel does not reach its slot: the command ends with CMD_TIMEOUT."""

    name = "wheel-timeout"
    description = "a wheel of ATSpectrograph does not reach its slot: the command ends with CMD_TIMEOUT"
    counts = "wheel move"
    component = "spectrograph"
    step = "turn"

    async def _strike(self, proceed: Proceed, wheel: Wheel, slot: int) -> None:
        raise TimeoutError(f"The {wheel.kind} wheel did not reach slot {slot}.")


class WrongFilter(StepFault):
    """The filter wheel stops one slot too far, and reports that slot."""

    name = "wrong-filter"
    description = "the filter wheel of ATSpectrograph stops one slot too far, and reports that slot"
    counts = "filter wheel move"
    component = "spectrograph"
    step = "turn"

    def concerns(self, wheel: Wheel, slot: int) -> bool:
        """Return whether the filter wheel turns."""
        return wheel.kind == "filter"

    async def _strike(self, proceed: Proceed, wheel: Wheel, slot: int) -> None:
        await proceed(wheel, (slot + 1) % len(wheel.names))


class WheelMoved(CameraFault):
    """The filter wheel is turned between this session and the next one.

    It begins one slot further than where another observatory begins, and
    the camera fails in the middle of a series.
    """

    name = "wheel-moved"
    description = (
        "ATCamera goes to FAULT during an exposure, and the filter wheel is turned before the next run"
    )

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Turn the wheel before its component starts."""
        super().attach(observatory)
        observatory.spectrograph.filters.slot += 1
