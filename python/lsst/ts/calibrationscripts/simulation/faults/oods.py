# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults between the camera and the Butler."""

from __future__ import annotations

__all__ = [
    "OodsFailedIngest",
    "OodsForeignImages",
    "OodsLate",
    "OodsMissing",
    "OodsUnannounced",
    "OodsUnreadableFile",
]

import asyncio
import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from ...instruments import Detector
from ..cscs.oods import INGEST_FAILED, INGESTED
from .base import Proceed, StepFault


class _OodsFault(StepFault):
    """A fault in what the OODS does with a detector's part of an image."""

    component = "oods"
    counts = "image"


@dataclass(eq=False)
class OodsLate(_OodsFault):
    """An image is ingested and announced late.

    Later images do not wait for it. If the observatory closes first, the
    image stays in the staging folder.

    Parameters
    ----------
    when : `int`, optional
        Number of the image.
    delay : `float`, optional
        The delay (simulated second).
    """

    delay: float = 300.0

    name = "oods-late"
    description = "ATOODS ingests and announces an image 300 simulated seconds late"
    step = "ingest"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        async def ingest() -> None:
            await asyncio.sleep(self.delay * self.time_scale)
            await proceed(path)

        self.csc.spawn(ingest())


class OodsMissing(_OodsFault):
    """An image is neither ingested nor announced."""

    name = "oods-missing"
    description = "ATOODS ignores an image: it stays in the staging folder"
    step = "ingest"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        pass


class OodsUnannounced(_OodsFault):
    """An image is ingested, but not announced."""

    name = "oods-unannounced"
    description = "ATOODS ingests an image without announcing it"
    step = "publish"

    async def _strike(
        self, proceed: Proceed, image_name: str, detector: Detector, status_code: int, description: str
    ) -> None:
        pass


class OodsFailedIngest(_OodsFault):
    """An image cannot be ingested, and that is announced."""

    name = "oods-failed-ingest"
    description = "ATOODS fails to ingest an image: statusCode 1, it stays in the staging folder"
    step = "store"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


@dataclass(eq=False)
class OodsUnreadableFile(_OodsFault):
    """The OODS cannot read the file of an image, nor know whose it is.

    The event says so of image "??". The file is whole again when the
    observatory closes.
    """

    name = "oods-unreadable-file"
    description = 'ATOODS cannot read the file of an image: statusCode 2, of image "??"; it stays where it is'
    step = "ingest"

    _whole: dict[Path, bytes] = field(default_factory=dict, init=False, repr=False)

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        self._whole[path] = await asyncio.to_thread(path.read_bytes)
        await asyncio.to_thread(path.write_bytes, b"")
        await proceed(path)

    async def detach(self) -> None:
        """Write the file as it was."""
        for path, content in self._whole.items():
            await asyncio.to_thread(path.write_bytes, content)


class OodsForeignImages(_OodsFault):
    """Images of other clients are announced before each of ours.

    One has the number of ours, but comes from a controller that counts by
    itself, and failed. Two have numbers that this day does not reach, and one
    of these failed too.
    """

    name = "oods-foreign-images"
    description = "from this one on, ATOODS announces images of other clients, some failed, before each"
    step = "publish"

    async def intercept(
        self, proceed: Proceed, image_name: str, detector: Detector, status_code: int, description: str
    ) -> None:
        """Announce other clients' images first, from the occasion on."""
        if self.is_due() or self.struck:
            prefix, _, day, number = image_name.split("_")
            for other, status in (
                (f"{prefix}_H_{day}_{number}", INGEST_FAILED),
                (f"{prefix}_O_{day}_08{number[2:]}", INGEST_FAILED),
                (f"{prefix}_O_{day}_09{number[2:]}", INGESTED),
            ):
                await proceed(other, detector, status, "of another client (simulated)")
        await proceed(image_name, detector, status_code, description)
