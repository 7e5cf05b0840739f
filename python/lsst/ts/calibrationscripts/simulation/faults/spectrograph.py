# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the spectrograph's wheels."""

from __future__ import annotations

__all__ = ["WheelTimeout", "WrongFilter"]

from ..cscs.atspectrograph import Wheel
from .base import Proceed, StepFault


class WheelTimeout(StepFault):
    """A wheel does not get to its slot: the command ends with CMD_TIMEOUT."""

    name = "wheel-timeout"
    description = "ATSpectrograph gives up turning a wheel: the command ends in CMD_TIMEOUT"
    counts = "wheel move"
    component = "spectrograph"
    step = "turn"

    async def _strike(self, proceed: Proceed, wheel: Wheel, slot: int) -> None:
        raise TimeoutError(f"The {wheel.kind} wheel did not reach slot {slot}.")


class WrongFilter(StepFault):
    """The filter wheel stops a slot too far, and reports where it is."""

    name = "wrong-filter"
    description = "ATSpectrograph's filter wheel stops, and reports itself, at the next slot"
    counts = "filter wheel move"
    component = "spectrograph"
    step = "turn"

    def concerns(self, wheel: Wheel, slot: int) -> bool:
        """Return whether it is the filter wheel that turns."""
        return wheel.kind == "filter"

    async def _strike(self, proceed: Proceed, wheel: Wheel, slot: int) -> None:
        await proceed(wheel, (slot + 1) % len(wheel.names))
