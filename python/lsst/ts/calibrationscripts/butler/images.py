# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a product: the new one, the one in use, and their frames."""

from __future__ import annotations

__all__ = ["ImagePair", "NoImageError", "masks_of", "read_curve", "read_frame", "read_pair"]

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..config import PRODUCT_PARAMETERS
from ..outcomes import StageResult
from ..pipelines import pipelines_of
from ..products import Product, StageKind, Subject
from ..report import CurvePoints, RunReport
from ._collections import datasets, in_use, run_of
from ._curves import points_of
from ._thumbnail import as_png, shrink, stretch

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

_WIDTH = 1024
"""Largest width of a picture (pixel)."""

_IMAGES = (Product.BIAS, Product.DARK, Product.FLAT)

_DIFFERENCE_SIGMA = 5.0
"""Differences are shown up to this many standard deviations."""

_MAD_TO_SIGMA = 1.4826


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

        sigma = _MAD_TO_SIGMA * float(np.nanmedian(np.abs(self.difference)))
        return _DIFFERENCE_SIGMA * sigma or float(np.nanmax(np.abs(self.difference))) or 1.0

    @cached_property
    def difference(self) -> np.ndarray:
        """The new one less the old one."""
        if self.old is None:
            raise NoImageError("there is nothing else to compare with")
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


def read_pair(report: RunReport, subject: Subject, detector: int) -> ImagePair:
    """Read a product of a run, and what its frames would find without it.

    Parameters
    ----------
    report : `RunReport`
        The run.
    subject : `Subject`
        Which product: a BIAS, DARK, FLAT or DEFECTS.
    detector : `int`
        Id of the detector.

    Returns
    -------
    pair : `ImagePair`

    Raises
    ------
    NoImageError
        If the run has not made it.
    """
    from lsst.daf.butler import Butler

    if subject.product not in (*_IMAGES, Product.DEFECTS):
        raise NoImageError(f"{subject} is not an image")
    dataset_type = pipelines_of(report.config).generators[subject.product].dataset_type
    run_collection = _stage(report, StageKind.GENERATE, subject).collection or ""
    with Butler.from_config(str(report.config["repo"])) as butler:
        run = run_of(butler, run_collection)
        new = _of_detector(butler, dataset_type, run, detector)
        old = next(_in_use(butler, report, subject, new), None)
        of_both = [None if ref is None else butler.get(ref) for ref in (new, old)]
        if subject.product is Product.DEFECTS:
            of_new, of_old = masks_of(of_both)
        else:
            of_new, of_old = (None if each is None else each.image.array for each in of_both)
        assert of_new is not None, "the new one exists"
        return ImagePair(
            shrink(of_new, _WIDTH),
            None if of_old is None else shrink(of_old, _WIDTH),
            new.run,
            "" if old is None else old.run,
            is_mask=subject.product is Product.DEFECTS,
        )


def masks_of(defects: Sequence[Iterable[Any] | None]) -> list[np.ndarray | None]:
    """Draw defects, all to the same size.

    Parameters
    ----------
    defects : `~collections.abc.Sequence`
        Sets of defects, each with ``getBBox`` as those of ip_isr have; `None`
        for one that does not exist.

    Returns
    -------
    masks : `list` [`numpy.ndarray` or `None`]
        1 where a pixel is a defect, else 0. They reach as far as defects do.
    """
    import numpy as np

    boxes = [None if each is None else [one.getBBox() for one in each] for each in defects]
    known = [box for each in boxes for box in each or ()]
    shape = (
        max((box.getBeginY() + box.getHeight() for box in known), default=1),
        max((box.getBeginX() + box.getWidth() for box in known), default=1),
    )
    masks: list[np.ndarray | None] = []
    for each in boxes:
        mask = None if each is None else np.zeros(shape)
        for box in each or ():
            assert mask is not None, "there are boxes in it"
            x, y = box.getBeginX(), box.getBeginY()
            mask[y : y + box.getHeight(), x : x + box.getWidth()] = 1.0
        masks.append(mask)
    return masks


def read_frame(report: RunReport, subject: Subject, exposure: int, detector: int) -> bytes:
    """Read a frame as verification has processed it.

    Parameters
    ----------
    report : `RunReport`
        The run.
    subject : `Subject`
        What it was verified for.
    exposure, detector : `int`
        Ids of the frame.

    Returns
    -------
    png : `bytes`

    Raises
    ------
    NoImageError
        If there is none.
    """
    from lsst.daf.butler import Butler

    verifier = pipelines_of(report.config).verifiers.get(subject.product)
    if verifier is None or verifier.per_exposure is None:
        raise NoImageError(f"no frames are processed for {subject}")
    collection = _stage(report, StageKind.VERIFY, subject).collection or ""
    with Butler.from_config(str(report.config["repo"])) as butler:
        for ref in datasets(butler, verifier.per_exposure, run_of(butler, collection)):
            if (ref.dataId["exposure"], ref.dataId["detector"]) == (exposure, detector):
                small = shrink(butler.get(ref).image.array, _WIDTH)
                return as_png(small, *stretch(small))
    raise NoImageError(f"no {verifier.per_exposure} of exposure {exposure}, detector {detector}")


def read_curve(report: RunReport, subject: Subject, detector: int) -> tuple[CurvePoints, ...]:
    """Read the points of a photon transfer curve.

    Parameters
    ----------
    report : `RunReport`
        The run.
    subject : `Subject`
        The product.
    detector : `int`
        Id of the detector.

    Returns
    -------
    points : `tuple` [`CurvePoints`, ...]
        By amplifier.

    Raises
    ------
    NoImageError
        If the run has not made it.
    """
    from lsst.daf.butler import Butler

    if subject.product is not Product.PTC:
        raise NoImageError(f"{subject} is not a photon transfer curve")
    dataset_type = pipelines_of(report.config).generators[subject.product].dataset_type
    collection = _stage(report, StageKind.GENERATE, subject).collection or ""
    with Butler.from_config(str(report.config["repo"])) as butler:
        curve = butler.get(_of_detector(butler, dataset_type, run_of(butler, collection), detector))
    return tuple(points_of(curve, amplifier) for amplifier in curve.gain)


def _stage(report: RunReport, kind: StageKind, subject: Subject) -> StageResult:
    for result in report.stages:
        if result.stage.kind is kind and result.stage.subject == subject and result.collection:
            return result
    raise NoImageError(f"run {report.run_id} has no job to {kind} {subject}")


def _of_detector(butler: Butler, dataset_type: str, run: str, detector: int) -> DatasetRef:
    for ref in datasets(butler, dataset_type, run):
        if ref.dataId["detector"] == detector:
            return ref
    raise NoImageError(f"{run} has no {dataset_type} of detector {detector}")


def _in_use(butler: Butler, report: RunReport, subject: Subject, new: DatasetRef) -> Iterator[DatasetRef]:
    """Yield what frames of the run find, if it is not the product itself."""
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
    for record in records:
        ref = in_use(butler, new, record.timespan, collections)
        if ref is not None:
            yield ref
