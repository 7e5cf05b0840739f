# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock ATSpectrograph: two wheels that turn when they are told to."""

from __future__ import annotations

__all__ = ["AtSpectrographCsc", "Wheel"]

import asyncio
from typing import Any

from ...observatory.sal import salobj
from ..instrument import FILTERS, GRATINGS
from .base import SimulatedCsc, step

SLOT_TIME = 4.0
"""Time that a wheel takes from one slot to the next (second)."""

LINEAR_STAGE_RANGE = (0.0, 74.0)
"""Travel of the linear stage (mm)."""


class Wheel:
    """A wheel with named slots.

    Parameters
    ----------
    kind : `str`
        What it carries, for messages.
    names : `tuple` [`str`, ...]
        Name by slot.
    """

    def __init__(self, kind: str, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.names = names
        self.slot = 0

    def find(self, slot: int, name: str) -> int:
        """Return the slot that a command asks for.

        Raises
        ------
        lsst.ts.salobj.ExpectedError
            If both are given or there is no such slot.
        """
        if name and slot:
            raise salobj.ExpectedError(f"Both {self.kind} id {slot} and name {name!r} given: give one.")
        if name:
            if name not in self.names:
                raise salobj.ExpectedError(
                    f"Invalid {self.kind} name {name!r}: must be one of {', '.join(self.names)}."
                )
            return self.names.index(name)
        if slot not in range(len(self.names)):
            raise salobj.ExpectedError(f"Invalid {self.kind} id {slot}: must be 0 to {len(self.names) - 1}.")
        return slot


class AtSpectrographCsc(SimulatedCsc):
    """Filter wheel, grating wheel and a linear stage that stays in place.

    Parameters
    ----------
    time_scale : `float`, optional
        What a simulated second lasts (second).
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(self, *, time_scale: float = 1.0, initial_state: Any = None) -> None:
        super().__init__("ATSpectrograph", initial_state=initial_state)
        self.time_scale = time_scale
        self._filters = Wheel("filter", FILTERS)
        self._gratings = Wheel("disperser", GRATINGS)

    async def start(self) -> None:
        """Report settings and positions, as after a configuration."""
        await super().start()
        await self.evt_settingsAppliedValues.set_write(
            # With the blank that the real settings have after the comma.
            filterNames=", ".join(FILTERS),
            gratingNames=", ".join(GRATINGS),
            linearStageMinPos=LINEAR_STAGE_RANGE[0],
            linearStageMaxPos=LINEAR_STAGE_RANGE[1],
        )
        await self.evt_reportedLinearStagePosition.set_write(position=LINEAR_STAGE_RANGE[0])
        await self._report(self._filters, self.evt_filterInPosition, self.evt_reportedFilterPosition)
        await self._report(self._gratings, self.evt_disperserInPosition, self.evt_reportedDisperserPosition)

    async def do_changeFilter(self, data: Any) -> None:  # noqa: N802
        """Turn the filter wheel, by ``filter`` (slot) or ``name``."""
        self.assert_enabled("changeFilter")
        slot = self._filters.find(data.filter, data.name)
        await self.evt_filterInPosition.set_write(inPosition=False)
        await self.turn(self._filters, slot)
        await self._report(self._filters, self.evt_filterInPosition, self.evt_reportedFilterPosition)

    async def do_changeDisperser(self, data: Any) -> None:  # noqa: N802
        """Turn the grating wheel, by ``disperser`` (slot) or ``name``."""
        self.assert_enabled("changeDisperser")
        slot = self._gratings.find(data.disperser, data.name)
        await self.evt_disperserInPosition.set_write(inPosition=False)
        await self.turn(self._gratings, slot)
        await self._report(self._gratings, self.evt_disperserInPosition, self.evt_reportedDisperserPosition)

    @step
    async def turn(self, wheel: Wheel, slot: int) -> None:
        """Turn a wheel the shorter way round."""
        steps = abs(slot - wheel.slot)
        await asyncio.sleep(min(steps, len(wheel.names) - steps) * SLOT_TIME * self.time_scale)
        wheel.slot = slot

    async def _report(
        self,
        wheel: Wheel,
        in_position: salobj.topics.ControllerEvent,
        position: salobj.topics.ControllerEvent,
    ) -> None:
        name = wheel.names[wheel.slot]
        await position.set_write(slot=wheel.slot, name=name, band=name.partition("_")[0])
        await in_position.set_write(inPosition=True)
