# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cameras of the Simonyi Survey Telescope have in common."""

from __future__ import annotations

__all__ = ["FilterCamera"]

from typing import Any

from .base_camera import BaseCamera

_UNKNOWN = "Either data was never published or historical data is not working properly."


class FilterCamera(BaseCamera):
    """A camera that changes its filter itself.

    Attributes
    ----------
    filter_change_timeout : `float`
        Longest wait for the command, and then for the filter to be in
        position (s).
    """

    filter_change_timeout: float

    async def get_current_filter(self) -> str:
        """Return the name of the filter in the light path.

        Raises
        ------
        RuntimeError
            If the camera has not reported it.
        """
        try:
            data = await self.camera.evt_endSetFilter.aget(timeout=self.fast_timeout)
        except TimeoutError:
            raise RuntimeError(f"Could not determine current filter. {_UNKNOWN}") from None
        return str(data.filterName)

    async def get_available_filters(self) -> list[str]:
        """Return the names of the filters that can be asked for.

        Raises
        ------
        RuntimeError
            If the camera has not reported them.
        """
        try:
            data = await self.camera.evt_availableFilters.aget(timeout=self.fast_timeout)
        except TimeoutError:
            raise RuntimeError(f"Could not determine available filters. {_UNKNOWN}") from None
        return str(data.filterNames).split(":")

    async def get_available_instrument_setup(self) -> list[str]:
        """Return what `get_available_filters` does."""
        return await self.get_available_filters()

    async def _set_filter(self, name: str) -> Any:
        """Change the filter; return the data of endSetFilter."""
        async with self.cmd_lock:
            self.camera.evt_endSetFilter.flush()
            await self.camera.cmd_setFilter.set_start(name=name, timeout=self.filter_change_timeout)
            data = await self.camera.evt_endSetFilter.next(flush=False, timeout=self.filter_change_timeout)
            self.log.info(f"Filter {data.filterName} in position.")
            return data
