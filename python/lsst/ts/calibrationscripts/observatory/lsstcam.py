# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observatory-control object of LSSTCam, for calibrations."""

from __future__ import annotations

__all__ = ["CalibrationLSSTCam", "CalibrationLSSTCamUsages"]

from collections.abc import Iterator

from .filters import FilterEvents
from .sal import LSSTCam, LSSTCamUsages, UsagesResources


class CalibrationLSSTCamUsages(LSSTCamUsages):
    """The usages of LSSTCam, and that of taking calibrations."""

    Calibrations = 1 << 7

    def __iter__(self) -> Iterator[int]:
        return iter([*super().__iter__(), self.Calibrations])


class CalibrationLSSTCam(FilterEvents, LSSTCam):
    """LSSTCam with only the topics that calibrations need; a `Control`."""

    @property
    def valid_use_cases(self) -> CalibrationLSSTCamUsages:
        """The usages that can be asked for."""
        return CalibrationLSSTCamUsages()

    @property
    def usages(self) -> dict[int, UsagesResources]:
        """The topics of each usage."""
        usages = super().usages
        usages[CalibrationLSSTCamUsages.Calibrations] = self.resources(camera="mtcamera", oods="mtoods")
        return usages

    async def setup_instrument(
        self, *, filter: int | str | None = None, grating: int | str | None = None
    ) -> None:
        """Raise an error if another filter is in the light path."""
        # The original would warn that it is in place already.
        if filter is not None and (name := await self.filter_name(filter)) != await self.get_current_filter():
            await super().setup_instrument(filter=name)
