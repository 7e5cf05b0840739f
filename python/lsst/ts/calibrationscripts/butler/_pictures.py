# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves, maps of defects, and where amplifiers are in pictures."""

from __future__ import annotations

__all__ = ["with_pictures"]

import base64
import io
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ..instruments import INSTRUMENTS
from ..outcomes import DetectorDefects, by_amplifier
from ..pipelines import pipelines_of
from ..products import Product, StageKind, Subject
from ..report import Area, DetectorCurves, Evidence, RunReport, Thumbnail
from ._collections import run_of, with_records
from ._curves import points_of
from ._header import read_detector
from ._notes import Notes
from .images import masks_of

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

T = TypeVar("T")

_MAX_DETECTORS = 8
"""Detectors of which curves and defects are shown."""

_WIDTH = 384
"""Largest width of a map of defects (pixel)."""

_Box = tuple[int, int, int, int]
"""First column and row, width and height (pixel)."""

_GOOD, _KEPT, _GAINED, _LOST = (238, 238, 238), (90, 90, 90), (213, 94, 0), (0, 114, 178)
"""Colours of pixels: no defects, those that were and are, new and gone."""


def with_pictures(
    butler: Butler, report: RunReport, evidence: Evidence, notes: Notes, time_limit: float
) -> Evidence:
    """Add what a page shows beside statistics and combined images.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    report : `RunReport`
        The run.
    evidence : `Evidence`
        What has been read.
    notes : `Notes`
        Gets what is left out; it has what was before.
    time_limit : `float`
        What cannot be read in this time is left out (s).

    Returns
    -------
    evidence : `Evidence`
        With photon transfer curves, maps of defects, and where amplifiers
        are in the pictures. Its notes say what could not be read, and why.
    """
    reader = _Reader(butler, report, notes, time.monotonic() + time_limit)
    thumbnails = [*evidence.thumbnails, *reader.attempt(reader.defect_maps, "defects")]
    curves = reader.attempt(reader.curves, "photon transfer curves")
    names = {thumbnail.detector for thumbnail in thumbnails}
    areas = dict(reader.attempt(lambda: reader.areas(names), "where amplifiers are"))
    return replace(
        evidence,
        thumbnails=tuple(replace(each, areas=areas.get(each.detector, ())) for each in thumbnails),
        curves=tuple(curves),
        left_out=reader.left_out,
        notes=tuple(notes),
    )


class _Reader:
    """Reads them of one run.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    report : `RunReport`
        The run.
    notes : `Notes`
        Gets what is left out.
    end : `float`
        When to stop (monotonic clock, s).
    """

    def __init__(self, butler: Butler, report: RunReport, notes: Notes, end: float) -> None:
        self._butler = butler
        self._report = report
        self._notes = notes
        self._end = end
        self._known_boxes: dict[str, list[tuple[str, _Box]]] = {}
        self.left_out: dict[str, tuple[str, ...]] = {}

    def attempt(self, read: Callable[[], Iterator[T]], what: str) -> list[T]:
        """Read things; note why if one fails, which ends it."""
        found: list[T] = []
        self._notes.attempt(lambda: found.extend(read()), what)
        return found

    def _some(
        self, product: Product, items: Mapping[int, T], change: Mapping[int, float], where: str
    ) -> Iterator[T]:
        """Yield as many as are shown, and keep the names of the others.

        The first are detectors that fail, then those that changed most.
        """
        failing = set(self._failing(product))
        order = sorted(items, key=lambda i: (i not in failing, -change.get(i, 0.0), i))
        for n, detector in enumerate(order):
            if n == _MAX_DETECTORS or time.monotonic() > self._end:
                self.left_out[where] = tuple(self._name_of(one) for one in sorted(order[n:]))
                return
            yield items[detector]

    def _failing(self, product: Product) -> Iterator[int]:
        """Yield detectors of which a product is bad, or fails a test."""
        for result in self._report.stages:
            if result.stage.subject.product is product:
                yield from (bad.detector for bad in result.bad_detectors)
        ids = {name: detector for detector, name in self._names.items()}
        for subject, verdict in self._report.verdicts.items():
            for unit in verdict.results if subject.product is product else ():
                yield from (ids[each.detector] for each in unit.failures if each.detector in ids)

    @cached_property
    def _names(self) -> dict[int, str]:
        instrument = INSTRUMENTS.get(self._report.instrument)
        return {one.id: one.name for one in instrument.detectors} if instrument else {}

    def _name_of(self, detector: int) -> str:
        return self._names.get(detector, f"detector {detector}")

    def curves(self) -> Iterator[DetectorCurves]:
        """Read photon transfer curves, by detector."""
        for result in self._report.stages:
            subject = result.stage.subject
            is_curve = result.stage.kind is StageKind.GENERATE and subject.product is Product.PTC
            if not (is_curve and result.collection):
                continue
            dataset_type = pipelines_of(self._report.config).generators[Product.PTC].dataset_type
            refs = with_records(self._butler, dataset_type, run_of(self._butler, result.collection))
            by_detector = {int(ref.dataId["detector"]): ref for ref in refs}
            for ref in self._some(Product.PTC, by_detector, self._gain_changes(), "curves"):
                curve = self._butler.get(ref)
                yield DetectorCurves(
                    _name(ref), tuple(points_of(curve, amplifier) for amplifier in curve.gain)
                )

    def _gain_changes(self) -> dict[int, float]:
        """Return the largest difference of a gain to the reference."""
        changes: dict[int, float] = {}
        for each in by_amplifier(self._report.gains):
            change = abs(each.difference or 0.0)
            changes[each.detector] = max(change, changes.get(each.detector, 0.0))
        return changes

    def defect_maps(self) -> Iterator[Thumbnail]:
        """Draw defects, and what has changed of them."""
        found = {one.detector: one for one in self._report.defects}
        changes = {one.detector: float(one.gained + one.lost) for one in self._report.defects}
        for one in self._some(Product.DEFECTS, found, changes, "defects"):
            new = self._dataset(one.dataset)
            if new is not None:
                yield self._defect_map(one, new)

    def _defect_map(self, one: DetectorDefects, new: DatasetRef) -> Thumbnail:
        old = self._dataset(one.previous.dataset) if one.previous else None
        of_new, of_old = masks_of([None if ref is None else self._butler.get(ref) for ref in (new, old)])
        assert of_new is not None, "the new ones exist"
        size = self._size(_name(new))
        is_new = _blocks(of_new, size)
        was = is_new if of_old is None else _blocks(of_old, size)
        return _draw(is_new, was, _name(new), new)

    def _size(self, detector: str) -> tuple[int, int] | None:
        """Return height and width of a detector, if they are known."""
        boxes = [box for _, box in self._boxes(detector)]
        if not boxes:
            return None
        return max(y + height for _, y, _, height in boxes), max(x + width for x, _, width, _ in boxes)

    def areas(self, names: set[str]) -> Iterator[tuple[str, tuple[Area, ...]]]:
        """Read where amplifiers are, by the name of their detector."""
        for name in names:
            total_height, total_width = self._size(name) or (1, 1)
            yield (
                name,
                tuple(
                    # The first row of a CCD frame is at the bottom.
                    Area(
                        amplifier,
                        round(x / total_width, 4),
                        round(1 - (y + height) / total_height, 4),
                        round(width / total_width, 4),
                        round(height / total_height, 4),
                    )
                    for amplifier, (x, y, width, height) in self._boxes(name)
                ),
            )

    def _boxes(self, detector: str) -> list[tuple[str, _Box]]:
        """Return the boxes of a detector's amplifiers; none if not known."""
        if detector not in self._known_boxes:
            ref = self._raws.get(detector)
            amplifiers = () if ref is None else read_detector(self._butler, ref)
            self._known_boxes[detector] = [(each.getName(), _box(each.getBBox())) for each in amplifiers]
        return self._known_boxes[detector]

    @cached_property
    def _raws(self) -> dict[str, DatasetRef]:
        """The first frame of each detector, which has its geometry."""
        exposure = next((ids[0] for ids in self._report.exposures.values() if ids), None)
        instrument = INSTRUMENTS.get(self._report.instrument)
        if exposure is None or instrument is None:
            return {}
        refs = self._butler.query_datasets(
            "raw",
            collections=instrument.raw_collection,
            where="instrument = instrument_name AND exposure = exposure_id",
            bind={"instrument_name": instrument.name, "exposure_id": exposure},
            with_dimension_records=True,
            explain=False,
            limit=None,
        )
        return {_name(ref): ref for ref in refs}

    def _dataset(self, dataset: str) -> DatasetRef | None:
        return self._butler.get_dataset(uuid.UUID(dataset), dimension_records=True)


def _name(ref: DatasetRef) -> str:
    return str(ref.dataId.records["detector"].full_name)


def _box(box: Any) -> _Box:
    return box.getBeginX(), box.getBeginY(), box.getWidth(), box.getHeight()


def _blocks(mask: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Return which square blocks of a detector have a defect."""
    import numpy as np

    height, width = (max(pair) for pair in zip(mask.shape, size or mask.shape, strict=True))
    factor = max(1, -(-width // _WIDTH))
    whole = np.zeros((-(-height // factor) * factor, -(-width // factor) * factor), bool)
    whole[: mask.shape[0], : mask.shape[1]] = mask > 0
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor)
    return np.asarray(blocks.any(axis=(1, 3)))


def _draw(new: np.ndarray, old: np.ndarray, detector: str, ref: DatasetRef) -> Thumbnail:
    """Draw which blocks have defects, had some, or both."""
    import numpy as np
    from PIL import Image

    colours = np.full((*new.shape, 3), _GOOD, np.uint8)
    for where, colour in ((new & old, _KEPT), (new & ~old, _GAINED), (old & ~new, _LOST)):
        colours[where] = colour
    stream = io.BytesIO()
    Image.fromarray(colours[::-1]).save(stream, "PNG", optimize=True)
    height, width = new.shape
    return Thumbnail(
        Subject(Product.DEFECTS),
        ref.datasetType.name,
        detector,
        ref.run,
        reference=False,
        png=base64.b64encode(stream.getvalue()).decode("ascii"),
        width=width,
        height=height,
        low=0.0,
        high=1.0,
    )
