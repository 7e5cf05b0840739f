# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A combined image and the one in use, applied to the same frames.

Frames are read as verification has processed them, with the new image. What
the one in use would have left of them follows by arithmetic: biases and darks
are subtracted, flats divided.
"""

from __future__ import annotations

__all__ = ["left_by_both", "read_residuals", "residuals_of"]

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..comparison import AmplifierResiduals, Residual
from ..ports import Applied
from ..products import Product
from ._collections import datasets, in_use
from ._header import read_detector
from ._residuals import measure

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

Section = tuple[slice, slice]
"""Rows and columns of an amplifier."""


def left_by_both(
    product: Product, frame: np.ndarray, exp_time: float, new: np.ndarray, old: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the new image and the one in use leave of a frame.

    Parameters
    ----------
    product : `Product`
        What they are of.
    frame : `numpy.ndarray`, (ny, nx)
        The frame, corrected with the new one.
    exp_time : `float`
        Its exposure time (s), in which darks are normalised to a second.
    new, old : `numpy.ndarray`, (ny, nx)
        The new image and the one in use.

    Returns
    -------
    by_new, by_old : `numpy.ndarray`, (ny, nx)
        In the unit of the frame; for flats, the relative difference to the
        median of what the new one leaves.
    """
    import numpy as np

    if product is Product.BIAS:
        return frame, frame + (new - old)
    if product is Product.DARK:
        return frame, frame + exp_time * (new - old)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_old = frame * new / old
        by_new, by_old = (image / np.nanmedian(image) - 1 for image in (frame, by_old))
    # Where the new one is 0 the frame is lost, which is not due to the old.
    return by_new, np.where((new == 0) & (old != 0), 0.0, by_old)


def residuals_of(
    product: Product,
    detector: int,
    sections: Mapping[str, Section],
    frames: Iterable[tuple[np.ndarray, float]],
    new: np.ndarray,
    old: np.ndarray,
    n_combined: int,
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
    frames : `~collections.abc.Iterable`
        The frames, corrected with the new one, and their exposure times (s).
    new, old : `numpy.ndarray`, (ny, nx)
        The new image and the one in use.
    n_combined : `int`
        How many frames the new one was made of, these among them; 0 if these
        were held out.

    Returns
    -------
    residuals : `tuple` [`AmplifierResiduals`, ...]
    """
    found: dict[str, tuple[list[Residual], list[Residual]]] = {name: ([], []) for name in sections}
    for frame, exp_time in frames:
        by_new, by_old = left_by_both(product, frame, exp_time, new, old)
        for name, section in sections.items():
            found[name][0].append(measure(by_new[section], n_combined))
            found[name][1].append(measure(by_old[section]))
    return tuple(
        AmplifierResiduals(detector, name, tuple(by_new), tuple(by_old), new[sections[name]].size)
        for name, (by_new, by_old) in found.items()
    )


def read_residuals(butler: Butler, applied: Applied) -> tuple[str, tuple[AmplifierResiduals, ...]]:
    """Apply new images and those in use to frames.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    applied : `Applied`
        The new images and the frames.

    Returns
    -------
    reference : `str`
        RUN collections of those in use; "" if there is none.
    residuals : `tuple` [`AmplifierResiduals`, ...]
        Of the detectors for which there is one.

    Raises
    ------
    LookupError
        If frames are missing.
    """
    exp_times = dict(applied.exposures)
    frames: dict[int, list[DatasetRef]] = {}
    for ref in butler.query_datasets(
        applied.frame_type,
        collections=applied.frame_collection,
        find_first=False,
        with_dimension_records=True,
        explain=False,
        limit=None,
    ):
        if ref.dataId["exposure"] in exp_times:
            frames.setdefault(int(ref.dataId["detector"]), []).append(ref)
    residuals: list[AmplifierResiduals] = []
    runs = []
    for new in datasets(butler, applied.dataset_type, applied.run_collection):
        detector = int(new.dataId["detector"])
        mine = sorted(frames.get(detector, []), key=lambda ref: int(ref.dataId["exposure"]))
        if len(mine) != len(exp_times):
            raise LookupError(f"{applied.frame_collection} has {len(mine)} of {len(exp_times)} frames")
        old = in_use(butler, new, mine[0].dataId.records["exposure"].timespan, applied.inputs)
        if old is None:
            continue
        runs.append(old.run)
        residuals += residuals_of(
            applied.product,
            detector,
            {each.getName(): _section(each) for each in read_detector(butler, mine[0])},
            # One after the other: a frame of LSST has 64 MB.
            ((butler.get(ref).image.array, exp_times[int(ref.dataId["exposure"])]) for ref in mine),
            butler.get(new).image.array,
            butler.get(old).image.array,
            applied.n_combined,
        )
    return ", ".join(dict.fromkeys(runs)), tuple(residuals)


def _section(amplifier: Any) -> Section:
    box = amplifier.getBBox()
    begin_x, begin_y = box.getBeginX(), box.getBeginY()
    return slice(begin_y, begin_y + box.getHeight()), slice(begin_x, begin_x + box.getWidth())
