# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the spectrograph's wheels."""

from __future__ import annotations

__all__ = ["WheelTimeout", "WrongFilter"]

from ..cscs.spectrograph import Wheel
from .base import Proceed, StepFault


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
