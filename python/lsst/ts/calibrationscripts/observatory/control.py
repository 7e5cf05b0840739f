# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a calibration script needs of observatory-control."""

from __future__ import annotations

__all__ = ["Control", "WheelPosition", "image_id"]

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .sal import salobj


class WheelPosition(NamedTuple):
    """What of a wheel is in the beam."""

    name: str

    slot: int | None
    """`None` if it has none."""


class Control(Protocol):
    """A camera and what belongs to it, as observatory-control groups them.

    The classes of observatory-control have all but the methods for the
    wheels. They should override ``wait_for_camera_readiness``, as `SalCamera`
    waits itself.
    """

    fast_timeout: float
    """Longest wait for an event that has been published before (s)."""

    log: logging.Logger

    start_task: asyncio.Future[Any]
    """Done when all remotes have started."""

    rem: Any
    """The remotes, by name of the component in lower case."""

    async def assert_all_enabled(self, message: str = "") -> None:
        """Raise an error that names the components that are not ENABLED."""

    async def setup_instrument(
        self, *, filter: int | str | None = None, grating: int | str | None = None
    ) -> None:
        """Turn wheels to a slot, or to what is in it by name."""

    async def wheel_names(self) -> Mapping[str, Sequence[str]]:
        """Return the names of what is in each wheel, by slot.

        Raises
        ------
        RuntimeError
            If they are not known.
        """

    def wheel_event(self, wheel: str) -> salobj.topics.RemoteEvent:
        """Return the event that reports the position of a wheel.

        Parameters
        ----------
        wheel : `str`
            Such as "filter".

        Returns
        -------
        event : `salobj.topics.RemoteEvent`
        """

    async def read_wheel(self, wheel: str, data: Any) -> WheelPosition:
        """Return what the data of such an event say.

        Raises
        ------
        RuntimeError
            If that cannot be known.
        """

    async def take_imgtype(
        self,
        imgtype: str,
        exptime: float,
        n: int,
        *,
        group_id: str,
        reason: str | None,
        program: str | None,
        note: str | None,
    ) -> Sequence[int]:
        """Take ``n`` images; return their ids, see `image_id`."""


def image_id(name: str) -> int:
    """Return the id that observatory-control makes of an image's name.

    Parameters
    ----------
    name : `str`
        Such as "AT_O_20220406_000007".

    Returns
    -------
    image : `int`
        Such as 2022040600007.
    """
    _, _, day_obs, seq_num = name.split("_")
    return int(day_obs + seq_num[1:])
