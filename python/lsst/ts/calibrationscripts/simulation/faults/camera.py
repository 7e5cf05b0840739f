# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the camera."""

from __future__ import annotations

__all__ = ["CameraFault", "CameraSilent", "HeaderWrongFilter", "HeaderWrongType", "ReadoutNeverEnds"]

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cscs.camera import CameraErrorCode
from ..instrument import slots
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory


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


class _LyingHeader(StepFault):
    """The header of an image says something else than what was exposed."""

    counts = "image"
    component = "camera"
    step = "read_out"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the readout."""
        super().attach(observatory)
        self._files = observatory.files

    async def _strike(self, proceed: Proceed, frame: asyncio.Task[None], image_name: str) -> None:
        await frame
        for detector in self._files.detectors:
            await asyncio.to_thread(self._falsify, self._files.draft(image_name, detector))
        await proceed(frame, image_name)

    def _falsify(self, draft: Path) -> None:
        from astropy.io import fits

        with fits.open(draft, mode="update") as file:
            self.falsify(file[0].header)

    def falsify(self, header: Any) -> None:
        """Make a FITS header say something else."""
        raise NotImplementedError


class HeaderWrongType(_LyingHeader):
    """The header of an image has another image type."""

    name = "header-wrong-type"
    description = "the header of an image says DARK, or BIAS if it is a DARK"

    def falsify(self, header: Any) -> None:
        """Change the image type."""
        header["IMGTYPE"] = "BIAS" if header["IMGTYPE"] == "DARK" else "DARK"


class HeaderWrongFilter(_LyingHeader):
    """The header of an image has another filter."""

    name = "header-wrong-filter"
    description = "the header of an image names the filter in the next slot of the wheel"

    def falsify(self, header: Any) -> None:
        """Change the filter."""
        names = [name.replace("NONE", "none") for name in slots(self._files.instrument, "filter")]
        header["FILTER"] = names[(names.index(header["FILTER"]) + 1) % len(names)]
