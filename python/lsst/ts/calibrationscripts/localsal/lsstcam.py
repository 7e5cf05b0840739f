# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of the Simonyi Survey Telescope."""

from __future__ import annotations

__all__ = ["LSSTCam", "LSSTCamUsages"]

import types
from typing import Any

from .base_camera import NoUsages
from .filter_camera import FilterCamera
from .remote import Remote


class LSSTCamUsages(NoUsages):
    """The usages of `LSSTCam`."""


class _Remotes(types.SimpleNamespace):
    """The remotes of `LSSTCam`; `None` if the usage does not need them."""

    mtcamera: Remote
    mtheaderservice: Remote
    mtoods: Remote


class LSSTCam(FilterCamera):
    """LSSTCam: MTCamera, MTHeaderService and MTOODS.

    The telescope is omitted, with which the original can change the filter:
    this package does not move it.

    Its parameters are those of `BaseCamera`.
    """

    rem: _Remotes
    component_names = ("MTCamera", "MTHeaderService", "MTOODS")
    filter_change_timeout = 120.0

    @property
    def camera(self) -> Remote:
        """The remote of MTCamera."""
        return self.rem.mtcamera

    @property
    def valid_use_cases(self) -> LSSTCamUsages:
        """The usages of this class, to which subclasses add."""
        return LSSTCamUsages()

    async def setup_instrument(self, *, filter: int | str | None = None) -> None:
        """See that a filter is in the light path.

        Parameters
        ----------
        filter : `int` or `str`, optional
            Name of the filter; a number is taken for a name. `None` asks for
            nothing.

        Raises
        ------
        RuntimeError
            If it is another one, or the present one is not known.
        """
        if filter is not None:
            await self.setup_filter(str(filter))

    async def setup_filter(self, filter: str | None) -> Any:
        """Raise an exception if another filter is in the light path."""
        current = await self.get_current_filter()
        if filter is None:
            return None
        if filter != current:
            raise RuntimeError(
                "Cannot change the LSSTCam filter without proper setup. "
                "You might want to use a dedicated operation to change filters."
            )
        self.log.warning(f"The filter {filter} is already in the light path, no change is done.")
        return None
