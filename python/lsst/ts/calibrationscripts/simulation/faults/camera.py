# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the camera."""

from __future__ import annotations

__all__ = ["CameraFault", "CameraSilent", "ReadoutNeverEnds"]

import asyncio
from typing import Any

from ..cscs.camera import CameraErrorCode
from .base import Proceed, StepFault


class CameraFault(StepFault):
    """The camera goes to FAULT during an exposure.

    The exposure is lost, and ``takeImages`` fails.
    """

    name = "camera-fault"
    description = "ATCamera goes to FAULT during an exposure; the image is lost"
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
    """The camera dies when it gets the command to take images.

    It acknowledges no more commands, and its heartbeats stop. Its summary
    state does not change.
    """

    name = "camera-silent"
    description = "ATCamera acknowledges no more commands, and its heartbeats stop"
    counts = "takeImages command"
    component = "camera"
    step = "do_takeImages"

    async def _strike(self, proceed: Proceed, data: Any) -> None:
        await self.csc.fall_silent("takeImages")


class ReadoutNeverEnds(StepFault):
    """An exposure is taken, but its readout does not end.

    ``takeImages`` completes, without ``endReadout`` and without an image.
    The next one is acknowledged as in progress and never ends.
    """

    name = "readout-never-ends"
    description = "the readout of an image by ATCamera does not end"
    counts = "image"
    component = "camera"
    step = "read_out"

    async def _strike(self, proceed: Proceed, frame: asyncio.Task[None], image_name: str) -> None:
        await frame
        await asyncio.Event().wait()
