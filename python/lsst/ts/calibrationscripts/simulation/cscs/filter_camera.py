# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock camera that changes its filter itself."""

from __future__ import annotations

__all__ = ["FilterCameraCsc"]

import asyncio
from typing import Any

from ...observatory.sal import salobj
from ..ccd import FocalPlane
from ..instrument import slots
from ..raws import RawFiles
from .base import step
from .camera import CameraCsc, CommandState, ObservingDay
from .wheel import Wheel

CHANGE_TIME = 30.0
"""Time of a change of filter (s)."""

_MAX_FILTERS = 6
"""Elements of the fields that have a value for each filter."""


class FilterCameraCsc(CameraCsc):
    """A camera with filters, of which one is in the light path.

    Like the real ones it takes a filter by name only, is busy while it
    changes it, and reports ``startSetFilter`` and ``endSetFilter``.

    Parameters
    ----------
    focal_plane, files, day, time_scale, initial_state
        As of `CameraCsc`.

    Attributes
    ----------
    filters : `Wheel`
        What it holds; at the start, the first is in the light path.
    """

    def __init__(
        self,
        *,
        focal_plane: FocalPlane,
        files: RawFiles,
        day: ObservingDay,
        time_scale: float = 1.0,
        initial_state: Any = None,
    ) -> None:
        super().__init__(
            focal_plane=focal_plane, files=files, day=day, time_scale=time_scale, initial_state=initial_state
        )
        self.filters = Wheel("filter", slots(focal_plane.instrument, "filter"))

    async def start(self) -> None:
        """Report the filters that there are, and the one in place."""
        await super().start()
        await self.evt_availableFilters.set_write(
            filterNames=":".join(self.filters.names),
            filterTypes=":".join(map(_filter_type, self.filters.names)),
            maxFastChangeTime=[CHANGE_TIME] * _MAX_FILTERS,
            maxSlowChangeTime=[CHANGE_TIME] * _MAX_FILTERS,
        )
        await self._report_filter()

    async def do_setFilter(self, data: Any) -> None:  # noqa: N802
        """Put the filter of a name into the light path."""
        self.assert_enabled("setFilter")
        slot = self.filters.find(0, data.name)
        if not data.name:
            raise salobj.ExpectedError("name: is empty, so no filter was asked for.")
        await self.cmd_setFilter.ack_in_progress(data, timeout=CHANGE_TIME + 60.0)
        await self.evt_startSetFilter.set_write(filterName=data.name, filterType=_filter_type(data.name))
        await self._report_command_state(CommandState.BUSY)
        try:
            await self.turn(self.filters, slot)
        finally:
            await self._report_command_state(CommandState.IDLE)
        await self._report_filter()

    @step
    async def turn(self, wheel: Wheel, slot: int) -> None:
        """Change the filter."""
        if slot != wheel.slot:
            await asyncio.sleep(CHANGE_TIME * self._time_scale)
        wheel.slot = slot

    def in_beam(self) -> dict[str, str]:
        """Return which filter is in the light path."""
        return {"filter": self.filters.names[self.filters.slot]}

    async def _report_filter(self) -> None:
        name = self.filters.names[self.filters.slot]
        await self.evt_endSetFilter.set_write(
            filterName=name,
            filterType=_filter_type(name),
            filterSlot=self.filters.slot + 1,
            force_output=True,
        )


def _filter_type(name: str) -> str:
    """Return what the camera calls the band of a filter."""
    return "none" if name == "NONE" else name.partition("_")[0]
