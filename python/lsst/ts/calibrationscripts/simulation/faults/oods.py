# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on the way of the images into the Butler."""

from __future__ import annotations

__all__ = ["OodsFailedIngest", "OodsForeignImages", "OodsLate", "OodsMissing", "OodsUnannounced"]

import asyncio
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from ..cscs.atoods import INGEST_FAILED, INGESTED
from .base import Proceed, StepFault


class _OodsFault(StepFault):
    component = "oods"
    counts = "image"


@dataclass(eq=False)
class OodsLate(_OodsFault):
    """An image is put aside, and ingested and announced late.

    Those that come after it are not kept waiting. Where the observatory
    closes first, the image stays in the staging folder.

    Parameters
    ----------
    when : `int`, optional
        Number of the image.
    delay : `float`, optional
        How late it is (simulated second).
    """

    delay: float = 300.0

    name = "oods-late"
    description = "ATOODS ingests and announces an image 300 simulated seconds late"
    step = "ingest"

    async def _strike(self, proceed: Proceed, image_name: str, path: Path) -> None:
        async def ingest() -> None:
            await asyncio.sleep(self.delay * self.time_scale)
            await proceed(image_name, path)

        self.csc.spawn(ingest())


class OodsMissing(_OodsFault):
    """An image is neither ingested nor announced."""

    name = "oods-missing"
    description = "ATOODS overlooks an image: it stays in the staging folder"
    step = "ingest"

    async def _strike(self, proceed: Proceed, image_name: str, path: Path) -> None:
        pass


class OodsUnannounced(_OodsFault):
    """An image is in the Butler, and nobody hears of it."""

    name = "oods-unannounced"
    description = "ATOODS ingests an image without announcing it"
    step = "publish"

    async def _strike(self, proceed: Proceed, image_name: str, status_code: int, description: str) -> None:
        pass


class OodsFailedIngest(_OodsFault):
    """An image cannot be ingested, and that is announced."""

    name = "oods-failed-ingest"
    description = "ATOODS fails to ingest an image: statusCode 1, it stays in the staging folder"
    step = "store"

    async def _strike(self, proceed: Proceed, path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


class OodsForeignImages(_OodsFault):
    """Images of other clients are announced before each of ours.

    One failed and has the number of ours, but was taken at the camera's own
    console; two have numbers that this day does not get to, and one of these
    failed too.
    """

    name = "oods-foreign-images"
    description = "from then on, ATOODS announces images of other clients, some failed, before each"
    step = "publish"

    async def intercept(self, proceed: Proceed, image_name: str, status_code: int, description: str) -> None:
        """Announce others' images first, once it is time."""
        if self.is_due() or self.struck:
            _, _, day, number = image_name.split("_")
            for others, status in (
                (f"AT_C_{day}_{number}", INGEST_FAILED),
                (f"AT_O_{day}_08{number[2:]}", INGEST_FAILED),
                (f"AT_O_{day}_09{number[2:]}", INGESTED),
            ):
                await proceed(others, status, "somebody else's (simulated)")
        await proceed(image_name, status_code, description)
