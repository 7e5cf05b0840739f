# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock spectrograph: two wheels and a linear stage."""

from __future__ import annotations

__all__ = ["SpectrographCsc"]

import asyncio
from typing import Any

from ...instruments import Instrument
from ...observatory.sal import salobj
from ..instrument import FILTERS, GRATINGS
from .base import SimulatedCsc, step
from .wheel import Wheel

SLOT_TIME = 4.0
"""Time of a wheel from one slot to the next (second)."""

LINEAR_STAGE_RANGE = (0.0, 74.0)
"""Travel of the linear stage (mm)."""


class SpectrographCsc(SimulatedCsc):
    """Filter wheel, grating wheel, and a linear stage that does not move.

    Parameters
    ----------
    instrument : `Instrument`
        The camera whose light it sees, which has a spectrograph.
    time_scale : `float`, optional
        Duration of a simulated second (second).
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.

    Attributes
    ----------
    filters, gratings : `Wheel`
        The wheels.
    """

    def __init__(self, instrument: Instrument, *, time_scale: float = 1.0, initial_state: Any = None) -> None:
        assert instrument.components.spectrograph is not None
        super().__init__(instrument.components.spectrograph, initial_state=initial_state)
        self._time_scale = time_scale
        self.filters = Wheel("filter", FILTERS)
        self.gratings = Wheel("disperser", GRATINGS)

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
        await self._report(self.filters, self.evt_filterInPosition, self.evt_reportedFilterPosition)
        await self._report(self.gratings, self.evt_disperserInPosition, self.evt_reportedDisperserPosition)

    async def do_changeFilter(self, data: Any) -> None:  # noqa: N802
        """Turn the filter wheel, by ``filter`` (slot) or ``name``."""
        self.assert_enabled("changeFilter")
        slot = self.filters.find(data.filter, data.name)
        await self.evt_filterInPosition.set_write(inPosition=False)
        await self.turn(self.filters, slot)
        await self._report(self.filters, self.evt_filterInPosition, self.evt_reportedFilterPosition)

    async def do_changeDisperser(self, data: Any) -> None:  # noqa: N802
        """Turn the grating wheel, by ``disperser`` (slot) or ``name``."""
        self.assert_enabled("changeDisperser")
        slot = self.gratings.find(data.disperser, data.name)
        await self.evt_disperserInPosition.set_write(inPosition=False)
        await self.turn(self.gratings, slot)
        await self._report(self.gratings, self.evt_disperserInPosition, self.evt_reportedDisperserPosition)

    @step
    async def turn(self, wheel: Wheel, slot: int) -> None:
        """Turn a wheel in the shorter direction."""
        steps = abs(slot - wheel.slot)
        await asyncio.sleep(min(steps, len(wheel.names) - steps) * SLOT_TIME * self._time_scale)
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
