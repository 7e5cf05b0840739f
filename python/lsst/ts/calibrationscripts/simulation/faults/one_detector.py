# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of one detector among good ones, in every image."""

from __future__ import annotations

__all__ = ["BadDetector", "DetectorFailedIngest", "DetectorLate", "DetectorMissing"]

import asyncio
import dataclasses
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Fault, Proceed, StepFault

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory

_COUNTS = "detector among those simulated, by its place"

_NOISE = 3.0
"""Factor by which the read noise of a bad detector is too large."""


class _OneDetector(StepFault):
    """What the OODS does with the files of one detector."""

    component = "oods"
    counts = _COUNTS

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the step."""
        super().attach(observatory)
        self._files = observatory.files

    def concerns(self, path: Path) -> bool:
        """Return whether a file is of the detector."""
        _, detector = self._files.identify(path)
        return self._files.detectors.index(detector) == self.when - 1

    def is_due(self) -> bool:
        """Count each file of the detector, and strike."""
        self.occasions += 1
        self.struck += 1
        return True


@dataclass(eq=False)
class DetectorLate(_OneDetector):
    """The images of one detector are ingested and announced late.

    Parameters
    ----------
    when : `int`, optional
        Place of the detector among those simulated.
    delay : `float`, optional
        The delay (simulated second).
    """

    delay: float = 300.0

    name = "detector-late"
    description = "the OODS ingests and announces each image of one detector 300 simulated seconds late"
    step = "ingest"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        async def ingest() -> None:
            await asyncio.sleep(self.delay * self.time_scale)
            await proceed(path)

        self.csc.spawn(ingest())


class DetectorMissing(_OneDetector):
    """The images of one detector are neither ingested nor announced."""

    name = "detector-missing"
    description = "the OODS ignores each image of one detector: they stay in the staging folder"
    step = "ingest"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        pass


class DetectorFailedIngest(_OneDetector):
    """The images of one detector cannot be ingested; that is announced."""

    name = "detector-failed-ingest"
    description = "the OODS fails to ingest each image of one detector: statusCode 1"
    step = "store"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


class BadDetector(Fault):
    """All amplifiers of one detector are noisy, from the beginning."""

    name = "bad-detector"
    description = "all amplifiers of one detector have three times their read noise"
    counts = _COUNTS

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Raise the noise; the nominal one stays as it was."""
        for place, ccd in enumerate(observatory.focal_plane.ccds.values(), start=1):
            if place == self.when:
                noise = {name: _NOISE * value for name, value in ccd.truth.read_noise.items()}
                ccd.truth = dataclasses.replace(ccd.truth, read_noise=noise)
                self.struck += 1
