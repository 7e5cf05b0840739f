# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock OODS: ingests each image into the Butler and announces it."""

from __future__ import annotations

__all__ = ["OodsCsc"]

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...instruments import Detector
from ...observatory.sal import salobj
from ..raws import RawFiles, exposure_id_of, has_raw, ingest_raws
from .base import SimulatedCsc, step

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

_T = TypeVar("_T")

INGESTED = 0
"""``imageInOODS.statusCode`` of an image that is in the Butler."""

INGEST_FAILED = 1
"""``imageInOODS.statusCode`` of an image that could not be ingested."""

METADATA_FAILED = 2
"""``imageInOODS.statusCode`` of a file whose header could not be read."""


class OodsCsc(SimulatedCsc):
    """Ingests announced images in its own thread.

    Like the real one, it ingests the files together that have arrived. If
    that fails, each is ingested alone.

    Files that are present at the start are ingested too. There is one
    ``imageInOODS`` for each detector of an image, with the fields that the
    real OODS gives it (lsst-dm/ctrl_oods, bf36dba4).

    Parameters
    ----------
    repo : `pathlib.Path`
        Butler repository.
    files : `RawFiles`
        Where the camera writes its images.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    def __init__(self, *, repo: Path, files: RawFiles, initial_state: Any = None) -> None:
        self._instrument = files.instrument
        super().__init__(self._instrument.components.oods, initial_state=initial_state)
        self._repo = repo
        self._files = files
        self._butler: Butler | None = None
        self._paths: asyncio.Queue[Path] = asyncio.Queue()
        self._waiting: list[tuple[Path, asyncio.Future[None]]] = []
        # One thread for all: a Butler on SQLite is best used in the thread
        # that opened it, and one ingest at a time needs no locks.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self.salinfo.name)
        self._worker: asyncio.Task[None] | None = None
        self._header_service = salobj.Remote(
            self.domain,
            self._instrument.components.header_service,
            readonly=True,
            include=["largeFileObjectAvailable"],
            evt_max_history=0,
        )
        self._header_service.evt_largeFileObjectAvailable.callback = self._receive

    async def start(self) -> None:
        """Begin to ingest, first the files that are present already."""
        await super().start()
        for path in await self._in_thread(self._find_leftovers):
            self._paths.put_nowait(path)
        self._worker = asyncio.create_task(self._work(), name=self.salinfo.name)

    async def close_tasks(self) -> None:
        """Stop after the present file and close the Butler."""
        await super().close_tasks()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._in_thread(self._close_butler)
        self._thread.shutdown()

    @step
    async def ingest(self, path: Path) -> None:
        """Ingest a detector's part of an image; publish ``imageInOODS``.

        Parameters
        ----------
        path : `pathlib.Path`
            The file; it is moved into the repository.
        """
        image_name, detector = self._files.identify(path)
        try:
            await self._in_thread(_read_header, path)
        except OSError as error:
            await self.publish(image_name, detector, METADATA_FAILED, f"metadata failure: {error}")
            return
        try:
            await self.store(path)
        except Exception as error:  # noqa: BLE001 - clients must hear of every error.
            await self.publish(image_name, detector, INGEST_FAILED, f"ingest failure: {error}")
        else:
            await self.publish(image_name, detector, INGESTED, "file ingested")

    @step
    async def store(self, path: Path) -> None:
        """Move a file into the Butler repository."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((path, stored))
        if len(self._waiting) == 1:
            self.spawn(self._store_waiting())
        await stored

    async def _store_waiting(self) -> None:
        """Ingest what has come in while the thread was busy."""
        await self._in_thread(self._open_butler)
        waiting, self._waiting = self._waiting, []
        errors = await self._in_thread(self._ingest, [path for path, _ in waiting])
        for (_, stored), error in zip(waiting, errors, strict=True):
            if stored.cancelled():
                continue
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)

    @step
    async def publish(self, image_name: str, detector: Detector, status_code: int, description: str) -> None:
        """Publish ``imageInOODS``.

        Parameters
        ----------
        image_name : `str`
            Such as AT_O_20220406_000007.
        detector : `Detector`
            The detector.
        status_code : `int`
            `INGESTED`, `INGEST_FAILED` or `METADATA_FAILED`. Only in the
            first case does the OODS know the image's name.
        description : `str`
            What the code means.
        """
        fields = self._fields(image_name, detector, status_code)
        await self.evt_imageInOODS.set_write(
            **fields, statusCode=status_code, description=description, force_output=True
        )

    def _fields(self, image_name: str, detector: Detector, status_code: int) -> dict[str, str | None]:
        """Return what an event says of an image."""
        camera, unknown_raft = self._instrument.name, "R??"
        if status_code == INGESTED:
            raft, _, sensor = detector.name.partition("_")
            if len(self._instrument.detectors) == 1:
                # Its record has no raft: the event keeps its last one.
                return {"camera": camera, "obsid": image_name, "raft": None, "sensor": detector.name}
            return {"camera": camera, "obsid": image_name, "raft": raft, "sensor": sensor}
        if status_code == INGEST_FAILED:
            exposure = exposure_id_of(image_name, self._instrument)
            sensor = f"S{detector.id:02d}"
            return {"camera": camera, "obsid": str(exposure), "raft": unknown_raft, "sensor": sensor}
        return {"camera": "UNDEF", "obsid": "??", "raft": unknown_raft, "sensor": "S??"}

    async def _receive(self, data: Any) -> None:
        if self.enabled:
            self._paths.put_nowait(Path(url2pathname(urlsplit(data.url).path)))

    async def _work(self) -> None:
        while True:
            images: dict[str, list[Path]] = {}
            path = await self._paths.get()
            while True:
                images.setdefault(self._files.identify(path)[0], []).append(path)
                if self._paths.empty():
                    break
                path = self._paths.get_nowait()
            # The files of an image together, but one image after the other.
            for paths in images.values():
                await asyncio.gather(*map(self.ingest, paths))

    async def _in_thread(self, action: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, action, *args)

    def _ingest(self, paths: Sequence[Path]) -> list[Exception | None]:
        """Ingest files; return why each could not be ingested, if so."""
        try:
            ingest_raws(self._open_butler(), paths, self._instrument)
        except Exception as error:  # noqa: BLE001 - clients must hear of every error.
            if len(paths) == 1:
                return [error]
            return [each for path in paths for each in self._ingest([path])]
        return [None] * len(paths)

    def _find_leftovers(self) -> list[Path]:
        """Return the files that the Butler does not have."""
        leftovers = []
        for path in self._files.present():
            image_name, detector = self._files.identify(path)
            if has_raw(self._open_butler(), image_name, self._instrument, detector):
                # The process was killed between ingesting and removing it.
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


def _read_header(path: Path) -> None:
    """Raise `OSError` if a file has no header that can be read."""
    from astropy.io import fits

    fits.getheader(path)
