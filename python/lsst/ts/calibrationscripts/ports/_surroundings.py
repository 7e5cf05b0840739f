# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is around a camera: telescope, dome, lamp, temperature."""

from __future__ import annotations

__all__ = ["Surroundings"]

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..preconditions import Precondition, Reading


class Surroundings(Protocol):
    """What preconditions are about."""

    async def read(self, preconditions: Sequence[Precondition]) -> Mapping[Precondition, Reading]:
        """Return what there is to know of preconditions.

        Called before the run begins and before each series that the camera
        has to take frames of. What does not answer in time is not known; it
        raises nothing.
        """
