# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of one detector among good ones: the last that is simulated."""

from __future__ import annotations

__all__ = ["BadDetector", "DetectorFailedIngest", "DetectorLate", "DetectorMissing"]

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Proceed, StepFault
from .oods import OodsFailedIngest, OodsLate, OodsMissing

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory

_NOISE = 3.0
"""Factor by which the read noise of a bad detector is too large."""


class _OneDetector(StepFault):
    """What the OODS does with the files of the last simulated detector."""

    counts = "image from which on"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the step."""
        super().attach(observatory)
        self._files = observatory.files

    def concerns(self, path: Path) -> bool:
        """Return whether a file is of that detector."""
        return self._files.identify(path)[1] == self._files.detectors[-1]

    def is_due(self) -> bool:
        """Count the files of that detector; strike from one on."""
        self.occasions += 1
        self.struck += self.occasions >= self.when
        return self.occasions >= self.when


@dataclass(eq=False)
class DetectorLate(_OneDetector, OodsLate):
    """The images of one detector are ingested and announced late.

    Parameters
    ----------
    when : `int`, optional
        Number of the first image.
    delay : `float`, optional
        The delay (simulated second).
    """

    name = "detector-late"
    description = "the OODS ingests and announces each image of the last detector 300 simulated seconds late"


class DetectorMissing(_OneDetector, OodsMissing):
    """The images of one detector are neither ingested nor announced."""

    name = "detector-missing"
    description = "the OODS ignores each image of the last detector: they stay in the staging folder"


class DetectorFailedIngest(_OneDetector, OodsFailedIngest):
    """The images of one detector cannot be ingested; that is announced."""

    name = "detector-failed-ingest"
    description = "the OODS fails to ingest each image of the last detector: statusCode 1"


class BadDetector(StepFault):
    """All amplifiers of one detector are noisy, from an exposure on."""

    name = "bad-detector"
    description = "all amplifiers of the last detector have three times their read noise, from an exposure on"
    counts = "takeImages command"
    component = "camera"
    step = "do_takeImages"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the command."""
        super().attach(observatory)
        *_, self._ccd = observatory.focal_plane.ccds.values()

    async def _strike(self, proceed: Proceed, data: Any) -> None:
        # The nominal noise stays as it was.
        noise = {name: _NOISE * value for name, value in self._ccd.truth.read_noise.items()}
        self._ccd.truth = dataclasses.replace(self._ccd.truth, read_noise=noise)
        await proceed(data)
