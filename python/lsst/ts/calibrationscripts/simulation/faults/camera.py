# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the camera."""

from __future__ import annotations

__all__ = ["CameraFault", "CameraSilent", "ReadoutNeverEnds"]

import asyncio
from typing import Any

from ..cscs.atcamera import CameraErrorCode
from .base import Proceed, StepFault


class CameraFault(StepFault):
    """The camera goes to FAULT in the midst of an exposure.

    The exposure has begun and is lost; ``takeImages`` fails.
    """

    name = "camera-fault"
    description = "ATCamera goes to FAULT while it exposes; the image is lost"
    counts = "exposure"
    component = "camera"
    step = "integrate"

    async def _strike(self, proceed: Proceed, exp_time: float) -> None:
        await proceed(exp_time / 2)
        await self.csc.fault(
            code=CameraErrorCode.EXPOSURE_FAILED,
            report="The shutter did not report its state (simulated).",
        )
        self.csc.assert_enabled("takeImages")


class CameraSilent(StepFault):
    """The camera dies when it is told to take images.

    No command of its is acknowledged any more, and its heartbeats stop; its
    summary state stays as it was last heard.
    """

    name = "camera-silent"
    description = "ATCamera acknowledges nothing any more, and its heartbeats stop"
    counts = "takeImages command"
    component = "camera"
    step = "do_takeImages"

    async def _strike(self, proceed: Proceed, data: Any) -> None:
        await self.csc.fall_silent("takeImages")


class ReadoutNeverEnds(StepFault):
    """An exposure is taken and never read out.

    ``takeImages`` completes, without ``endReadout`` and without an image.
    The next one is acknowledged as in progress, and waits for ever.
    """

    name = "readout-never-ends"
    description = "ATCamera never ends the readout of an image"
    counts = "image"
    component = "camera"
    step = "read_out"

    async def _strike(self, proceed: Proceed, frame: asyncio.Task[None], image_name: str) -> None:
        await frame
        await asyncio.Event().wait()
