# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OODS, which ingests the procedure's frames into the Butler."""

from __future__ import annotations

__all__ = ["OodsIngest"]

import asyncio
import re
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from ..instruments import Instrument
from ..ports import CalibrationRepository, IngestReport, LostRaw
from .image_names import exposure_id
from .sal import salobj
from .watch import ComponentWatch

_RAFT_UNKNOWN = "R??"
_DETECTOR_ID = re.compile(r"S(\d{2,3})")

_OBSID_UNKNOWN = "??"
"""In an event about a file that is not an image, or is of none that is
known: a remark."""

_MAX_REMARKS = 3
"""Remarks that are kept; more of the same kind tell nothing new."""


class OodsIngest:
    """An `Ingest` that listens to the OODS.

    The event of every image is kept, since it can come before the exposure is
    known to be this run's. Those of other runs are never asked for. A camera
    of 189 detectors sends 3,780 for 20 frames, and the queue of a topic holds
    the last 100: a callback, which waits for nothing, takes each before
    salobj reads the next.

    Parameters
    ----------
    remote : `salobj.Remote`
        The OODS, with the event imageInOODS.
    repository : `CalibrationRepository`
        Where overdue frames are looked for.
    instrument : `Instrument`
        The instrument that takes the frames.
    detectors : `tuple` [`int`, ...]
        Ids of the detectors that are processed.
    timeout : `float`
        Time from the end of readout until a frame is overdue (s).
    watch : `ComponentWatch`
        Watches the OODS. The wait goes on if the OODS is lost, as it may
        come back and ingest what it has missed.
    """

    def __init__(
        self,
        remote: salobj.Remote,
        repository: CalibrationRepository,
        instrument: Instrument,
        detectors: tuple[int, ...],
        timeout: float,
        watch: ComponentWatch,
    ) -> None:
        self._name = remote.salinfo.name_index
        self._watch = watch
        self._repository = repository
        self._instrument = instrument
        self._detectors = detectors
        self._timeout = timeout
        self._deadlines: dict[int, float] = {}
        self._arrivals: dict[tuple[int, int], asyncio.Future[str]] = {}
        self._remarks: deque[tuple[float, str]] = deque(maxlen=_MAX_REMARKS)
        remote.evt_imageInOODS.callback = self._on_image

    def expect(self, exposure: int) -> None:
        """Start the clock of a frame that has been read out."""
        self._deadlines[exposure] = asyncio.get_running_loop().time() + self._timeout

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        """Wait until each is ingested, has failed or is overdue."""
        keys = [(exposure, detector) for exposure in exposures for detector in self._detectors]
        outcomes, trouble = await self._watch.observe(self._name, self._outcomes(keys))
        descriptions = dict(zip(keys, outcomes, strict=True))
        suspects = {key for key, description in descriptions.items() if description != ""}
        lost = suspects - await self._repository.raws({exposure for exposure, _ in suspects})
        # In the order of their keys, so that each run says the same.
        failures = {key[0]: descriptions[key] for key in sorted(lost) if descriptions[key] is not None}
        return IngestReport(
            missing=tuple(sorted({exposure for exposure, _ in lost} - set(failures))),
            failures=tuple(sorted((exposure, str(text)) for exposure, text in failures.items())),
            late=tuple(sorted({exposure for exposure, _ in suspects} - {exposure for exposure, _ in lost})),
            remark=self._remark(exposures, trouble) if None in outcomes else "",
            lost=tuple(LostRaw(*key, descriptions[key] or "") for key in sorted(lost))
            if len(self._detectors) > 1
            else (),
        )

    def _remark(self, exposures: Collection[int], trouble: str) -> str:
        """Return what has happened to the OODS since these were read out."""
        begin = min(self._deadlines[exposure] for exposure in exposures) - self._timeout
        remarks = [text for time, text in self._remarks if time >= begin]
        return "; ".join(dict.fromkeys(filter(None, [trouble, *remarks])))

    async def _outcomes(self, keys: Sequence[tuple[int, int]]) -> list[str | None]:
        return await asyncio.gather(*map(self._outcome, keys))

    async def _outcome(self, key: tuple[int, int]) -> str | None:
        """Return "" if ingested, why not, or `None` if no event came."""
        try:
            async with asyncio.timeout_at(self._deadlines[key[0]]):
                return await asyncio.shield(self._arrival(key))
        except TimeoutError:
            return None

    def _arrival(self, key: tuple[int, int]) -> asyncio.Future[str]:
        return self._arrivals.setdefault(key, asyncio.get_running_loop().create_future())

    async def _on_image(self, data: Any) -> None:
        failed = f"status {data.statusCode}, {data.description or 'no description'}"
        if data.obsid == _OBSID_UNKNOWN:
            self._note_remark(failed)
            return
        if data.camera != self._instrument.name:
            return
        exposure = exposure_id(data.obsid, self._instrument.image_prefix)
        detector = self._detector(data.raft, data.sensor)
        if exposure is not None and detector is None and data.statusCode > 0:
            self._note_remark(f"exposure {exposure}, {data.raft}_{data.sensor}: {failed}")
        if exposure is None or detector is None:
            return
        arrival = self._arrival((exposure, detector))
        if not arrival.done():
            arrival.set_result(failed if data.statusCode > 0 else "")

    def _note_remark(self, text: str) -> None:
        self._remarks.append((asyncio.get_running_loop().time(), f"{self._name}: {text}"))

    def _detector(self, raft: str, sensor: str) -> int | None:
        """Return the id of the detector that an event is about."""
        if len(self._instrument.detectors) == 1:
            # Its raft is that of the event before, as the OODS has none.
            return self._instrument.detectors[0].id
        if raft == _RAFT_UNKNOWN and (match := _DETECTOR_ID.fullmatch(sensor)):
            return int(match[1])
        detector = self._instrument.find_detector(raft, sensor)
        return None if detector is None else detector.id
