# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A combined image and the one in use, in the same stretch."""

from __future__ import annotations

__all__ = ["ImagePair", "NoImageError", "old_of", "replaced_by"]

import base64
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..config import PRODUCT_PARAMETERS
from ..products import Subject
from ..report import Replaced, RunReport
from ._collections import in_use
from ._residuals import MAD_TO_SIGMA
from ._thumbnail import as_png, shrink, stretch

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

_DIFFERENCE_SIGMA = 5.0
"""Differences are shown up to this many standard deviations."""


class NoImageError(LookupError):
    """An image does not exist; says why."""


@dataclass(frozen=True)
class ImagePair:
    """A product and what would be used without it, made small."""

    new: np.ndarray
    old: np.ndarray | None
    """`None` if there is nothing else."""

    new_run: str
    old_run: str
    """RUN collections; "" if there is none."""

    is_mask: bool = False
    """Whether they are 1 where a pixel is a defect, else 0."""

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Values that are black and white, for both."""
        return (0.0, float(self.new.max()) or 1.0) if self.is_mask else stretch(self.new)

    @cached_property
    def difference_limit(self) -> float:
        """Difference that is white; black is as far below 0."""
        import numpy as np

        sizes = np.abs(self.difference[np.isfinite(self.difference)])
        if not sizes.size:
            return 1.0
        sigma = MAD_TO_SIGMA * float(np.median(sizes))
        return _DIFFERENCE_SIGMA * sigma or float(sizes.max()) or 1.0

    @cached_property
    def difference(self) -> np.ndarray:
        """The new one less the old one."""
        if self.old is None:
            raise NoImageError("there is nothing else to compare with")
        if self.old.shape != self.new.shape:
            raise NoImageError(f"that of {self.old_run} has another size than that of {self.new_run}")
        return self.new - self.old

    def png(self, kind: str) -> bytes:
        """Return a picture.

        Parameters
        ----------
        kind : `str`
            ``new``, ``old`` or ``difference``.

        Returns
        -------
        png : `bytes`

        Raises
        ------
        NoImageError
            If there is none.
        """
        if kind == "difference":
            limit = self.difference_limit
            return as_png(self.difference, -limit, limit)
        image = {"new": self.new, "old": self.old}.get(kind)
        if image is None:
            raise NoImageError("there is nothing else to compare with")
        return as_png(image, *self.limits)


def old_of(butler: Butler, report: RunReport, subject: Subject, new: DatasetRef) -> DatasetRef | None:
    """Find what frames of a run would find without a product of it.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    report : `RunReport`
        The run.
    subject : `Subject`
        The product.
    new : `lsst.daf.butler.DatasetRef`
        Its dataset.

    Returns
    -------
    old : `lsst.daf.butler.DatasetRef` or `None`
        That of the first frame that finds one.
    """
    parameters = PRODUCT_PARAMETERS[subject.product]
    option = parameters.verify_inputs or parameters.inputs
    collections = [name.strip() for name in str(report.config.get(option, "")).split(",")]
    exposures = [exposure for ids in report.exposures.values() for exposure in ids]
    records = butler.query_dimension_records(
        "exposure",
        where="instrument = inst AND exposure IN (ids)",
        bind={"inst": new.dataId["instrument"], "ids": exposures},
        explain=False,
    )
    found = (in_use(butler, new, record.timespan, collections) for record in records)
    return next((old for old in found if old is not None), None)


def replaced_by(butler: Butler, small: np.ndarray, new: DatasetRef, old: DatasetRef, width: int) -> Replaced:
    """Draw the image that is in use beside a new one.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    small : `numpy.ndarray`, (ny, nx)
        The new image, made small.
    new, old : `lsst.daf.butler.DatasetRef`
        The new image, and the one in use.
    width : `int`
        Largest width of the pictures (pixel).

    Returns
    -------
    replaced : `Replaced`

    Raises
    ------
    NoImageError
        If they cannot be compared.
    """
    pair = ImagePair(small, shrink(butler.get(old).image.array, width), new.run, old.run)
    limit = pair.difference_limit
    if not math.isfinite(limit):
        raise NoImageError(f"the difference to that of {old.run} is not finite")
    of_old, of_difference = (
        base64.b64encode(pair.png(kind)).decode("ascii") for kind in ("old", "difference")
    )
    return Replaced(old.run, of_old, of_difference, limit)
