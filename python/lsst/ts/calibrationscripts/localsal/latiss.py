# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera and spectrograph of the Auxiliary Telescope."""

from __future__ import annotations

__all__ = ["LATISS", "LATISSUsages"]

import asyncio
import types
from typing import Any

from .base_camera import BaseCamera, NoUsages
from .remote import Remote


class LATISSUsages(NoUsages):
    """The usages of `LATISS`."""


class _Remotes(types.SimpleNamespace):
    """The remotes of `LATISS`; `None` if the usage does not need them."""

    atcamera: Remote
    atspectrograph: Remote
    atheaderservice: Remote
    atoods: Remote


class LATISS(BaseCamera):
    """LATISS: ATCamera, ATSpectrograph, ATHeaderService and ATOODS.

    Its parameters are those of `BaseCamera`.
    """

    rem: _Remotes
    component_names = ("ATCamera", "ATSpectrograph", "ATHeaderService", "ATOODS")

    @property
    def camera(self) -> Remote:
        """The remote of ATCamera."""
        return self.rem.atcamera

    @property
    def valid_use_cases(self) -> LATISSUsages:
        """The usages of this class, to which subclasses add."""
        return LATISSUsages()

    async def setup_instrument(
        self, *, filter: int | str | None = None, grating: int | str | None = None
    ) -> None:
        """Set up the spectrograph.

        Parameters
        ----------
        filter, grating : `int` or `str`, optional
            Id or name of the filter and the grating; `None` changes nothing.

        Raises
        ------
        AckError
            If a command fails.
        """
        commands = []
        async with self.cmd_lock:
            for value, field, command in (
                (filter, "filter", self.rem.atspectrograph.cmd_changeFilter),
                (grating, "disperser", self.rem.atspectrograph.cmd_changeDisperser),
            ):
                if value is not None:
                    slot, name = (0, value) if isinstance(value, str) else (value, "")
                    fields: dict[str, Any] = {field: slot, "name": name}
                    commands.append(command.set_start(**fields, timeout=self.long_timeout))
            await asyncio.gather(*commands)

    async def get_available_instrument_setup(self) -> tuple[list[str], list[str], list[float]]:
        """Return the filters and gratings, and the limits of the stage (mm).

        Returns
        -------
        filters, gratings : `list` [`str`]
            Names in the order of the slots; they may have blanks.
        limits : `list` [`float`]
            Least and greatest position of the linear stage (mm).

        Raises
        ------
        RuntimeError
            If the spectrograph has not reported them.
        """
        try:
            values = await self.rem.atspectrograph.evt_settingsAppliedValues.aget(timeout=self.fast_timeout)
        except TimeoutError:
            raise RuntimeError(
                "Could not determine instrument setup. "
                "Make sure ATSpectrograph is running, enabled and configured."
            ) from None
        return (
            values.filterNames.split(","),
            values.gratingNames.split(","),
            [values.linearStageMinPos, values.linearStageMaxPos],
        )
