# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects of a run, and the earlier ones that they are compared with."""

from __future__ import annotations

__all__ = ["read_defects"]

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ..judgement import Box, measure_defects
from ..outcomes import DetectorDefects, PreviousDefects
from ._collections import in_use
from ._header import read_detector

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef


def read_defects(
    butler: Butler,
    refs: Collection[DatasetRef],
    instrument: Instrument,
    exposure: int,
    inputs: Sequence[str],
) -> tuple[DetectorDefects, ...]:
    """Read and measure defects.

    The datasets are `lsst.ip.isr.Defects` (ip_isr d2a69bfd), or have what is
    used of them: an iteration over what has ``getBBox``.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    refs : `~collections.abc.Collection` [`lsst.daf.butler.DatasetRef`]
        The defects that a job has made, one of each detector.
    instrument : `Instrument`
        Whose raw frames have the geometry of the detectors.
    exposure : `int`
        Id of an exposure that the defects were made from. What it finds in
        the input collections is compared with, so what is valid when it
        begins.
    inputs : `~collections.abc.Sequence` [`str`]
        The job's input collections.

    Returns
    -------
    defects : `tuple` [`DetectorDefects`, ...]
        In the order of their detectors.

    Raises
    ------
    LookupError
        If there is no raw frame of a detector.
    """
    raws = {
        ref.dataId["detector"]: ref
        for ref in butler.query_datasets(
            "raw",
            collections=instrument.raw_collection,
            where="instrument = instrument_name AND exposure = exposure_id",
            bind={"instrument_name": instrument.name, "exposure_id": exposure},
            with_dimension_records=True,
            explain=False,
            limit=None,
        )
    }
    measured = []
    for ref in sorted(refs, key=lambda ref: int(ref.dataId["detector"])):
        raw = raws.get(ref.dataId["detector"])
        if raw is None:
            raise LookupError(f"exposure {exposure} has no raw frame of detector {ref.dataId['detector']}")
        measured.append(
            _measured(butler, ref, raw, in_use(butler, ref, raw.dataId.records["exposure"].timespan, inputs))
        )
    return tuple(measured)


def _measured(
    butler: Butler, ref: DatasetRef, raw: DatasetRef, earlier: DatasetRef | None
) -> DetectorDefects:
    amplifiers = {each.getName(): _box(each) for each in read_detector(butler, raw)}
    boxes = [_box(defect) for defect in butler.get(ref)]
    before = None if earlier is None else [_box(defect) for defect in butler.get(earlier)]
    return DetectorDefects(
        detector=int(ref.dataId["detector"]),
        dataset=str(ref.id),
        n_boxes=len(boxes),
        amplifiers=measure_defects(boxes, amplifiers, before),
        previous=None
        if earlier is None or before is None
        else PreviousDefects(str(earlier.id), earlier.run, len(before)),
    )


def _box(of: Any) -> Box:
    box = of.getBBox()
    return Box(box.getBeginX(), box.getBeginY(), box.getWidth(), box.getHeight())
