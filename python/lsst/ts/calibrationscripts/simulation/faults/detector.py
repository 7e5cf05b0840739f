# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the detectors: pixels that are no longer as they were."""

from __future__ import annotations

__all__ = ["DeadAmplifier", "HotRegion"]

import abc
from typing import Any

from ..ccd import CcdModel
from .base import Proceed, StepFault

_HOT = 30.0
"""Dark current of a hot region (electron/s)."""


class _DetectorFault(StepFault):
    """Changes the detectors of a camera from an exposure on."""

    counts = "takeImages command"
    component = "camera"
    step = "do_takeImages"

    def attach(self, observatory: Any) -> None:
        """Intercept the command."""
        super().attach(observatory)
        self.ccds = observatory.focal_plane.ccds

    async def _strike(self, proceed: Proceed, data: Any) -> None:
        for ccd in self.ccds.values():
            self.change(ccd)
        await proceed(data)

    @abc.abstractmethod
    def change(self, ccd: CcdModel) -> None:
        """Change a detector."""


class HotRegion(_DetectorFault):
    """The middle of the first amplifier is hot, a sixteenth of its area."""

    name = "hot-region"
    description = "a sixteenth of amplifier C00 is hot from an exposure on"

    def change(self, ccd: CcdModel) -> None:
        """Raise the dark current."""
        region = ccd.truth.dark[ccd.detector.amplifiers[0].section]
        rows, columns = (slice(size // 2, size // 2 + size // 4) for size in region.shape)
        region[rows, columns] = _HOT


class DeadAmplifier(_DetectorFault):
    """The first amplifier records no light."""

    name = "dead-amplifier"
    description = "amplifier C00 records no light from an exposure on"

    def change(self, ccd: CcdModel) -> None:
        """Take the light away."""
        ccd.truth.response[ccd.detector.amplifiers[0].section] = 0.0
