# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock ATHeaderService: tells where each image that was read out lies."""

from __future__ import annotations

__all__ = ["AtHeaderServiceCsc"]

import asyncio
from pathlib import Path
from typing import Any

from ...observatory.sal import salobj
from .atcamera import image_path
from .base import SimulatedCsc


class AtHeaderServiceCsc(SimulatedCsc):
    """Announces a file for each image, once it has been read out.

    The simulated camera's files have their headers already, so what is
    announced is the image itself.

    Parameters
    ----------
    staging : `pathlib.Path`
        Folder that the camera leaves its images in.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(self, *, staging: Path, initial_state: Any = None) -> None:
        super().__init__("ATHeaderService", initial_state=initial_state)
        self._staging = staging
        # Without history: the camera's report of an image of another day
        # is not for this run.
        self._camera = salobj.Remote(
            self.domain, "ATCamera", readonly=True, include=["endReadout"], evt_max_history=0
        )
        self._camera.evt_endReadout.callback = self._announce

    async def _announce(self, data: Any) -> None:
        path = image_path(self._staging, data.imageName)
        if not self.enabled:
            return
        try:
            status = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            # A camera that starts reports an image of some time before.
            return
        await self.evt_largeFileObjectAvailable.set_write(
            url=path.as_uri(),
            generator="ATHeaderService",
            version=1.0,
            byteSize=status.st_size,
            mimeType="application/fits",
            id=data.imageName,
        )
