# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A combined image and the one in use, applied to the same frames.

Frames are read as a verification has processed them, with the new image or
with another. What each image would have left of them follows by arithmetic:
biases and darks are subtracted, flats divided.
"""

from __future__ import annotations

__all__ = ["Corrected", "left_by", "read_residuals", "residuals_of"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..comparison import AmplifierResiduals, Residual
from ..ports import Applied
from ..products import Product
from ._collections import datasets, found_for, in_use
from ._header import read_detector
from ._residuals import measure

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

Section = tuple[slice, slice]
"""Rows and columns of an amplifier."""


@dataclass(frozen=True)
class Corrected:
    """Frames of a detector that were corrected with an image."""

    frames: Iterable[tuple[np.ndarray, float]]
    """The frames and their exposure times (s)."""

    image: np.ndarray
    """What they were corrected with."""

    n_combined: int
    """How many frames it is the mean of, these among them; 0 if they are
    not."""


def left_by(
    product: Product, frame: np.ndarray, exp_time: float, applied: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """Return what an image would leave of a frame.

    Parameters
    ----------
    product : `Product`
        What it is of.
    frame : `numpy.ndarray`, (ny, nx)
        The frame, corrected with another image.
    exp_time : `float`
        Its exposure time (s), in which darks are normalised to a second.
    applied : `numpy.ndarray`, (ny, nx)
        The image that it was corrected with.
    image : `numpy.ndarray`, (ny, nx)
        The image.

    Returns
    -------
    left : `numpy.ndarray`, (ny, nx)
        In the unit of the frame; for flats, the relative difference to the
        median of what is left.
    """
    import numpy as np

    if product is Product.BIAS:
        return frame + (applied - image)
    if product is Product.DARK:
        return frame + exp_time * (applied - image)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = frame if image is applied else frame * applied / image
        left = left / np.nanmedian(left) - 1
    # Where what was applied is 0 the frame is lost, which is not due to it.
    return np.where((applied == 0) & (image != 0), 0.0, left)


def residuals_of(
    product: Product,
    detector: int,
    sections: Mapping[str, Section],
    corrected: Corrected,
    new: np.ndarray,
    old: np.ndarray,
) -> tuple[AmplifierResiduals, ...]:
    """Measure what both leave of frames of a detector.

    Parameters
    ----------
    product : `Product`
        What they are of.
    detector : `int`
        Its id.
    sections : `~collections.abc.Mapping`
        The pixels of each amplifier.
    corrected : `Corrected`
        The frames.
    new, old : `numpy.ndarray`, (ny, nx)
        The new image and the one in use. One of them may be what the frames
        were corrected with.

    Returns
    -------
    residuals : `tuple` [`AmplifierResiduals`, ...]
    """
    found: dict[str, tuple[list[Residual], list[Residual]]] = {name: ([], []) for name in sections}
    for frame, exp_time in corrected.frames:
        for side, image in enumerate((new, old)):
            left = left_by(product, frame, exp_time, corrected.image, image)
            n_combined = corrected.n_combined if image is corrected.image else 0
            for name, section in sections.items():
                found[name][side].append(measure(left[section], n_combined))
    return tuple(
        AmplifierResiduals(detector, name, tuple(by_new), tuple(by_old), new[sections[name]].size)
        for name, (by_new, by_old) in found.items()
    )


def read_residuals(butler: Butler, applied: Applied) -> tuple[str, tuple[AmplifierResiduals, ...]]:
    """Apply a new image and that in use to frames.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    applied : `Applied`
        The new image and the frames.

    Returns
    -------
    reference : `str`
        RUN collection of the one in use; "" if there is none.
    residuals : `tuple` [`AmplifierResiduals`, ...]

    Raises
    ------
    LookupError
        If the new image or frames are missing, or were taken through another
        filter.
    """
    made = datasets(butler, applied.dataset_type, applied.run_collection)
    new = next((ref for ref in made if ref.dataId["detector"] == applied.detector), None)
    if new is None:
        raise LookupError(f"{applied.run_collection} has none of detector {applied.detector}")
    frames = _frames(butler, applied, new)
    (own,) = butler.query_dimension_records(
        "exposure", instrument=new.dataId["instrument"], exposure=applied.exposure
    )
    old = in_use(butler, new, own.timespan, applied.inputs)
    if old is None:
        return "", ()
    taken = frames[0].dataId.records["exposure"].timespan
    corrected_with = next(iter(found_for(butler, new, taken, applied.frames.corrected_with)), None)
    if corrected_with is None:
        raise LookupError(f"what corrected the frames in {applied.frames.collection} is not found any more")
    images = {ref.id: butler.get(ref).image.array for ref in {new, old, corrected_with}}
    corrected = Corrected(
        # One after the other: a frame of LSST has 64 MB.
        ((butler.get(ref).image.array, _exp_time(ref)) for ref in frames),
        images[corrected_with.id],
        applied.frames.n_combined,
    )
    sections = {each.getName(): _section(each) for each in read_detector(butler, frames[0])}
    return old.run, residuals_of(
        applied.product, applied.detector, sections, corrected, images[new.id], images[old.id]
    )


def _frames(butler: Butler, applied: Applied, new: DatasetRef) -> list[DatasetRef]:
    """Return the frames of the detector, in order."""
    wanted = applied.frames
    frames = [
        ref
        for ref in butler.query_datasets(
            wanted.dataset_type,
            collections=wanted.collection,
            find_first=False,
            with_dimension_records=True,
            data_id={"instrument": new.dataId["instrument"], "detector": applied.detector},
            explain=False,
            limit=None,
        )
        if ref.dataId["exposure"] in wanted.exposures
    ]
    if len(frames) != len(wanted.exposures):
        raise LookupError(f"{wanted.collection} has {len(frames)} of {len(wanted.exposures)} frames")
    through = new.dataId.get("physical_filter")
    for ref in frames:
        own = ref.dataId.records["exposure"].physical_filter
        if through is not None and own != through:
            raise LookupError(f"exposure {ref.dataId['exposure']} was taken through {own}, not {through}")
    return sorted(frames, key=lambda ref: int(ref.dataId["exposure"]))


def _exp_time(ref: DatasetRef) -> float:
    return float(ref.dataId.records["exposure"].exposure_time)


def _section(amplifier: Any) -> Section:
    box = amplifier.getBBox()
    begin_x, begin_y = box.getBeginX(), box.getBeginY()
    return slice(begin_y, begin_y + box.getHeight()), slice(begin_x, begin_x + box.getWidth())
