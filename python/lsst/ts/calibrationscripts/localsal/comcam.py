# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commissioning camera of the Simonyi Survey Telescope."""

from __future__ import annotations

__all__ = ["ComCam", "ComCamUsages"]

import types
from typing import Any

from .base_camera import NoUsages
from .filter_camera import FilterCamera
from .remote import Remote


class ComCamUsages(NoUsages):
    """The usages of `ComCam`."""


class _Remotes(types.SimpleNamespace):
    """The remotes of `ComCam`; `None` if the usage does not need them."""

    cccamera: Remote
    ccheaderservice: Remote
    ccoods: Remote


class ComCam(FilterCamera):
    """ComCam: CCCamera, CCHeaderService and CCOODS.

    Its parameters are those of `BaseCamera`.
    """

    rem: _Remotes
    component_names = ("CCCamera", "CCHeaderService", "CCOODS")
    filter_change_timeout = 60.0

    @property
    def camera(self) -> Remote:
        """The remote of CCCamera."""
        return self.rem.cccamera

    @property
    def valid_use_cases(self) -> ComCamUsages:
        """The usages of this class, to which subclasses add."""
        return ComCamUsages()

    async def setup_instrument(self, *, filter: int | str | None = None) -> None:
        """Change the filter, unless it is in the light path.

        Parameters
        ----------
        filter : `int` or `str`, optional
            Name of the filter; a number is sent as a name. `None` changes
            nothing.

        Raises
        ------
        AckError
            If the command fails.
        RuntimeError
            If the present filter is not known.
        """
        if filter is not None and str(filter) != await self.get_current_filter():
            await self.setup_filter(str(filter))

    async def setup_filter(self, filter: str | None) -> Any:
        """Change the filter, to the same one too."""
        return None if filter is None else await self._set_filter(filter)
