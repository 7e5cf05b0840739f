# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock header service: announces each file of an image after readout."""

from __future__ import annotations

__all__ = ["HeaderServiceCsc"]

import asyncio
from pathlib import Path
from typing import Any

from ...observatory.sal import salobj
from ..raws import RawFiles
from .base import SimulatedCsc


class HeaderServiceCsc(SimulatedCsc):
    """Announces the files of each image after its readout.

    The simulated camera's files have their headers already, so the image
    itself is announced, with one event for each detector.

    Parameters
    ----------
    files : `RawFiles`
        Where the camera writes its images.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(self, *, files: RawFiles, initial_state: Any = None) -> None:
        components = files.instrument.components
        super().__init__(components.header_service, initial_state=initial_state)
        self._files = files
        # Without history: it may report an image of another day.
        self._camera = salobj.Remote(
            self.domain, components.camera, readonly=True, include=["endReadout"], evt_max_history=0
        )
        self._camera.evt_endReadout.callback = self._announce

    async def _announce(self, data: Any) -> None:
        if not self.enabled:
            return
        for detector in self._files.detectors:
            await self._announce_file(data.imageName, self._files.path(data.imageName, detector))

    async def _announce_file(self, image_name: str, path: Path) -> None:
        try:
            status = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            # A camera that starts reports an image that was taken before.
            return
        await self.evt_largeFileObjectAvailable.set_write(
            url=path.as_uri(),
            generator=self.salinfo.name,
            version=1.0,
            byteSize=status.st_size,
            mimeType="application/fits",
            id=image_name,
        )
