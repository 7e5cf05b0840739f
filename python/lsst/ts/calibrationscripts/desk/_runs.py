# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desk shows of runs, read from their files and the Butler."""

from __future__ import annotations

__all__ = ["ProductLine", "Runs", "UnknownError"]

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..butler.images import ImagePair, ShownFrame, read_curve, read_frame, read_pair
from ..deciding import WaitingProduct, waiting_of
from ..files.journal import load_record, written_at
from ..files.private import read_text
from ..files.runs import load_document
from ..files.trend_index import NEWEST_RUNS, DamagedIndexError, TrendIndex
from ..outcomes import Outcome
from ..pages import Picture, curve_plot, quantity_pictures
from ..products import Product, Subject
from ..record import RunRecord
from ..report import RunDocument
from ..trend import BIAS_LEVEL, DEFECT_AREA, DEFECT_NUMBER, GAIN, READ_NOISE, source_of
from ._evidence import ProductEvidence, evidence_of

_QUANTITIES = {
    Product.BIAS: (READ_NOISE, BIAS_LEVEL),
    Product.PTC: (GAIN,),
    Product.GAIN: (GAIN,),
    Product.DEFECTS: (DEFECT_AREA, DEFECT_NUMBER),
}
"""What the trend has of a product."""


class UnknownError(LookupError):
    """There is nothing of that name; says what."""


_READ_TIMEOUT = 60.0
"""Longest wait for another picture that is being read (s)."""


@dataclass(frozen=True)
class ProductLine:
    """A product of a run in a list."""

    subject: Subject
    outcome: Outcome
    reason: str


class Runs:
    """Reads what runs have left in a folder.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where they have left it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pair: tuple[tuple[str, str, int], ImagePair] | None = None
        """The images that were looked at last, of which a page has three."""
        self._reading = threading.Lock()

    def record(self, run_id: str) -> RunRecord:
        """Read the journal of a run.

        Raises
        ------
        UnknownError
            If there is none that can be read.
        """
        try:
            return load_record(self._folder, run_id)
        except LookupError as error:
            raise UnknownError(f"run {run_id}: {error.args[0]}") from error

    def document(self, run_id: str) -> RunDocument | None:
        """Read the JSON of a run; `None` if it has left none yet."""
        try:
            return load_document(self._folder, run_id)
        except LookupError as error:
            raise UnknownError(f"run {run_id}: {error}") from error

    def read(self, run_id: str) -> tuple[RunRecord, RunDocument | None]:
        """Read the journal of a run, and its JSON if there is one."""
        return self.record(run_id), self.document(run_id)

    def page(self, run_id: str) -> str:
        """Read the page of a run."""
        try:
            return read_text(self._folder / f"{run_id}.html")
        except (OSError, ValueError) as error:
            raise UnknownError(f"the page of run {run_id}: {error}") from error

    def waiting(self, run_id: str) -> tuple[WaitingProduct, ...]:
        """Return what waits of a run."""
        return self.waiting_of(self.record(run_id))

    def waiting_of(self, record: RunRecord) -> tuple[WaitingProduct, ...]:
        """Return what waits of a run that has been read."""
        return tuple(waiting_of(record, written_at(self._folder, record.run_id)))

    def products(self, record: RunRecord) -> tuple[ProductLine, ...]:
        """Return how the last stage of each product ended."""
        lines: dict[Subject, ProductLine] = {}
        for result in record.stages:
            subject = result.stage.subject
            if not subject.product.is_bootstrap:
                lines[subject] = ProductLine(subject, result.outcome, result.reason)
        return tuple(lines.values())

    def evidence(self, run_id: str, product: str) -> ProductEvidence:
        """Return what is known of a product of a run."""
        record, document = self.read(run_id)
        subject = self._subject(record, product)
        waiting = next((one for one in self.waiting_of(record) if one.subject == subject), None)
        return evidence_of(record, document, subject, waiting)

    def trend(self, run_id: str, product: str) -> tuple[Picture, ...]:
        """Draw what the product has been in earlier runs."""
        record, document = self.read(run_id)
        subject = self._subject(record, product)
        if document is None:
            return ()
        quantities = _QUANTITIES.get(subject.product, ())
        try:
            with TrendIndex(self._folder) as index:
                index.update(newest=NEWEST_RUNS)
                history = index.history(source_of(document))
                time = next((run.time for run in history.runs if run.name == run_id), None)
                if time is None:
                    return ()
                pictures = quantity_pictures(history.until(time), quantities)
                return tuple(each.picture for each in pictures)
        except DamagedIndexError as error:
            raise UnknownError(str(error)) from error

    def image(self, run_id: str, product: str, detector: int, kind: str) -> Callable[[], bytes]:
        """Return what reads a picture of a product: new, old, difference."""
        if kind not in ("new", "old", "difference"):
            raise UnknownError(f"no picture is called {kind}")

        def read() -> bytes:
            key = (run_id, product, detector)
            if not self._reading.acquire(timeout=_READ_TIMEOUT):
                raise TimeoutError
            try:
                if self._pair is None or self._pair[0] != key:
                    subject, document = self._made(run_id, product)
                    self._pair = (key, read_pair(document.report, subject, detector))
                pair = self._pair[1]
            finally:
                self._reading.release()
            return pair.png(kind)

        return read

    def curve(self, run_id: str, product: str, detector: int) -> Callable[[], Picture | None]:
        """Return what draws the photon transfer curve of a detector."""

        def read() -> Picture | None:
            subject, document = self._made(run_id, product)
            return curve_plot(read_curve(document.report, subject, detector))

        return read

    def frame(self, run_id: str, product: str, exposure: int, detector: int) -> Callable[[], ShownFrame]:
        """Return what reads a picture of a frame, as it was verified."""

        def read() -> ShownFrame:
            subject, document = self._made(run_id, product)
            return read_frame(document.report, subject, exposure, detector)

        return read

    def _made(self, run_id: str, product: str) -> tuple[Subject, RunDocument]:
        record, document = self.read(run_id)
        if document is None:
            raise UnknownError(f"run {run_id} has left no JSON yet")
        return self._subject(record, product), document

    @staticmethod
    def _subject(record: RunRecord, name: str) -> Subject:
        for result in record.stages:
            if result.stage.subject.name == name:
                return result.stage.subject
        raise UnknownError(f"run {record.run_id} has no {name}")
