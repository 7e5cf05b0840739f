# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of a camera that changes them itself."""

from __future__ import annotations

__all__ = ["FilterEvents"]

import re
from typing import Any, Protocol

from .control import WheelPosition
from .sal import UsagesResources, salobj


class _FilterCamera(Protocol):
    """What observatory-control has of such a camera."""

    @property
    def camera(self) -> salobj.Remote: ...

    @property
    def components_attr(self) -> list[str]: ...

    async def get_available_filters(self) -> list[str]: ...

    async def wheel_names(self) -> dict[str, list[str]]: ...


class FilterEvents:
    """The part of a `Control` that knows the filters of such a camera.

    It commands by name, and reports the list of its filters and, with
    ``endSetFilter``, the one in the light path. Neither tells which slot each
    filter is in, so a slot is a place in that list.
    """

    def resources(self: _FilterCamera, *, camera: str, oods: str) -> UsagesResources:
        """Return the topics that calibrations need.

        Parameters
        ----------
        camera, oods : `str`
            What the components are called in ``rem``.

        Returns
        -------
        resources : `UsagesResources`
        """
        topics = {
            camera: [
                "takeImages",
                "startIntegration",
                "endReadout",
                "ccsCommandState",
                "setFilter",
                "endSetFilter",
                "availableFilters",
            ],
            oods: ["imageInOODS"],
        }
        return UsagesResources(
            components_attr=self.components_attr,
            readonly=False,
            generics=["summaryState", "errorCode", "heartbeat"],
            **topics,
        )

    async def wait_for_camera_readiness(self) -> None:
        """Return at once: `SalCamera` has waited, and with a limit."""

    async def wheel_names(self: _FilterCamera) -> dict[str, list[str]]:
        """Return the names of the filters, by place in the list."""
        # observatory-control splits at colons, and the documentation of the
        # event says that there are commas.
        names = re.split("[:,]", ":".join(await self.get_available_filters()))
        return {"filter": [name.strip() for name in names]}

    def wheel_event(self: _FilterCamera, wheel: str) -> salobj.topics.RemoteEvent:
        """Return the event that reports which filter is in the light path."""
        return self.camera.evt_endSetFilter

    async def read_wheel(self: _FilterCamera, wheel: str, data: Any) -> WheelPosition:
        """Return which filter an event says is in the light path."""
        names = (await self.wheel_names())["filter"]
        slot = names.index(data.filterName) if data.filterName in names else None
        return WheelPosition(str(data.filterName), slot)

    async def filter_name(self: _FilterCamera, filter: int | str) -> str:
        """Return the name of a filter, by which alone it can be set."""
        if isinstance(filter, str):
            return filter
        names = (await self.wheel_names())["filter"]
        if filter not in range(len(names)):
            raise RuntimeError(f"there is no filter {filter} among {', '.join(names)}")
        return names[filter]
