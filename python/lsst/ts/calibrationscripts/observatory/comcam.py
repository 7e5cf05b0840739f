# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observatory-control object of ComCam, for calibrations."""

from __future__ import annotations

__all__ = ["CalibrationComCam", "CalibrationComCamUsages"]

from collections.abc import Iterator

from .filters import FilterEvents
from .sal import ComCam, ComCamUsages, UsagesResources


class CalibrationComCamUsages(ComCamUsages):
    """The usages of ComCam, and that of taking calibrations."""

    Calibrations = 1 << 7

    def __iter__(self) -> Iterator[int]:
        return iter([*super().__iter__(), self.Calibrations])


class CalibrationComCam(FilterEvents, ComCam):
    """ComCam with only the topics that calibrations need; a `Control`."""

    @property
    def valid_use_cases(self) -> CalibrationComCamUsages:
        """The usages that can be asked for."""
        return CalibrationComCamUsages()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """The topics of each usage."""
        usages = super().usages
        usages[CalibrationComCamUsages.Calibrations] = self.resources(camera="cccamera", oods="ccoods")
        return usages

    async def setup_instrument(
        self, *, filter: int | str | None = None, grating: int | str | None = None
    ) -> None:
        """Change the filter, unless it is in the light path."""
        if filter is not None:
            await super().setup_instrument(filter=await self.filter_name(filter))
