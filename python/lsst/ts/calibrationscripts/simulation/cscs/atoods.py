# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock ATOODS: ingests each image into the Butler, and says when."""

from __future__ import annotations

__all__ = ["AtOodsCsc"]

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...observatory.sal import salobj
from ..exposure import DETECTOR_NAME
from ..repository import INSTRUMENT, has_raw, ingest_raw
from .base import SimulatedCsc, step

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

_T = TypeVar("_T")

INGESTED = 0
"""``imageInOODS.statusCode`` of an image that is in the Butler."""

INGEST_FAILED = 1
"""``imageInOODS.statusCode`` of an image that could not be ingested."""


class AtOodsCsc(SimulatedCsc):
    """Ingests announced images, one at a time, in a thread of its own.

    Parameters
    ----------
    repo : `pathlib.Path`
        Butler repository.
    staging : `pathlib.Path`, optional
        Folder whose images, left from before, are ingested at the start.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(self, *, repo: Path, staging: Path | None = None, initial_state: Any = None) -> None:
        super().__init__("ATOODS", initial_state=initial_state)
        self._repo = repo
        self._staging = staging
        self._butler: Butler | None = None
        self._images: asyncio.Queue[tuple[str, Path]] = asyncio.Queue()
        # One thread for all: a Butler on SQLite is best kept in the thread
        # that opened it, and ingesting in turn needs no locks.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ATOODS")
        self._worker: asyncio.Task[None] | None = None
        self._header_service = salobj.Remote(
            self.domain,
            "ATHeaderService",
            readonly=True,
            include=["largeFileObjectAvailable"],
            evt_max_history=0,
        )
        self._header_service.evt_largeFileObjectAvailable.callback = self._receive

    async def start(self) -> None:
        """Begin to ingest, with what lies there from before."""
        await super().start()
        if self._staging is not None:
            for path in await self._in_thread(self._find_leftovers, self._staging):
                self._images.put_nowait((path.stem, path))
        self._worker = asyncio.create_task(self._work(), name="ATOODS")

    async def close_tasks(self) -> None:
        """Stop after the image at hand and close the Butler."""
        await super().close_tasks()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._in_thread(self._close_butler)
        self._thread.shutdown()

    @step
    async def ingest(self, image_name: str, path: Path) -> None:
        """Ingest an image and publish ``imageInOODS``.

        Parameters
        ----------
        image_name : `str`
            Such as AT_O_20220406_000007.
        path : `pathlib.Path`
            Where it lies; it is moved into the repository.
        """
        try:
            await self.store(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what clients must hear.
            await self.publish(image_name, INGEST_FAILED, f"{type(error).__name__}: {error}")
        else:
            await self.publish(image_name, INGESTED, "file ingested")

    @step
    async def store(self, path: Path) -> None:
        """Move an image into the Butler repository."""
        await self._in_thread(self._ingest, path)

    @step
    async def publish(self, image_name: str, status_code: int, description: str) -> None:
        """Publish ``imageInOODS``.

        Parameters
        ----------
        image_name : `str`
            Such as AT_O_20220406_000007.
        status_code : `int`
            `INGESTED`, or anything above for an error.
        description : `str`
            What the code means.
        """
        raft, _, sensor = DETECTOR_NAME.partition("_")
        await self.evt_imageInOODS.set_write(
            camera=INSTRUMENT,
            obsid=image_name,
            raft=raft,
            sensor=sensor,
            statusCode=status_code,
            description=description,
            force_output=True,
        )

    async def _receive(self, data: Any) -> None:
        if self.enabled:
            self._images.put_nowait((data.id, Path(url2pathname(urlsplit(data.url).path))))

    async def _work(self) -> None:
        while True:
            await self.ingest(*await self._images.get())

    async def _in_thread(self, action: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action, *args)

    def _ingest(self, path: Path) -> None:
        ingest_raw(self._open_butler(), path)

    def _find_leftovers(self, staging: Path) -> list[Path]:
        """Return the images in a folder that the Butler does not have."""
        leftovers = []
        for path in sorted(staging.glob("*.fits")):
            if has_raw(self._open_butler(), path.stem):
                # Ingested, but not yet removed when its process was killed.
                path.unlink()
            else:
                leftovers.append(path)
        return leftovers

    def _open_butler(self) -> Butler:
        if self._butler is None:
            from lsst.daf.butler import Butler

            self._butler = Butler.from_config(str(self._repo), writeable=True)
        return self._butler

    def _close_butler(self) -> None:
        if self._butler is not None:
            self._butler.close()
