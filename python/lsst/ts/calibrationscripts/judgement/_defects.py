# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges defects by themselves: how many, how large, and what changed.

verifyDefects of cp_verify (5855743) compares on-sky frames with and without
the mask. It merges by visit, which calibrations have not, so that it finds
nothing to do; and its own tests ask that the mask makes an image no worse,
not that the mask is right.
"""

from __future__ import annotations

__all__ = ["DEFECT_LIMITS", "DefectLimits", "judge_defects"]

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ..outcomes import AmplifierDefects, DetectorDefects
from ._records import Fault, Judgement


@dataclass(frozen=True)
class DefectLimits:
    """What defects may be. Fractions of pixels, so 0.01 is 1 %.

    Notes
    -----
    DMTN-101 (71b0985) has no numbers for defects. It asks that the map is
    complete, and that pixels in it are looked at that nothing shows to be
    bad: hence a limit for what is lost as well as for what is gained.

    The numbers come from CCD-012, the specification of the CCDs of LSST:
    less than 0.5 % of the pixels may be defective, without those at the edge
    (lsst-camera-dh/eotest 3a00287d).
    """

    max_count: float
    """Most boxes of a detector, for each of its pixels: CCD-012, if each
    pixel is a box of its own."""

    max_area: float
    """Largest area of the defects of a detector. Twice CCD-012, as cp_pipe
    calls a pixel dead that lacks 10 % of the light (LATISS/cpDefects.yaml,
    f029a3f2), and the tests of the camera one that lacks 20 %
    (SITCOMTN-148)."""

    max_amplifier: float
    """Area from which an amplifier is as good as masked. In one without
    signal noise decides for each pixel, so that about half of them are
    defects; a good one may have 0.5 %. A tenth is far from both."""

    max_factor: float
    """Largest factor by which the area of a detector may change. Chosen, not
    derived: from one campaign of LSSTCam to the next, a year later, most
    amplifiers had as many bright pixels as before (SITCOMTN-148)."""

    least_change: float
    """A smaller change of a detector's area is right by any factor: a fifth
    of CCD-012. Chosen too, as the first defects that are measured follow
    lists of a few boxes."""

    max_change: float
    """Largest area that an amplifier may gain, or lose: what CCD-012 lets it
    have. Of LATISS, it is two columns of an amplifier, and not three."""


DEFECT_LIMITS = DefectLimits(
    max_count=0.005,
    max_area=0.01,
    max_amplifier=0.1,
    max_factor=2.0,
    least_change=0.001,
    max_change=0.005,
)
"""For every camera."""


def judge_defects(
    defects: Iterable[DetectorDefects], detectors: Collection[int], limits: DefectLimits = DEFECT_LIMITS
) -> Judgement:
    """Judge the defects that a run has found.

    What the earlier ones have as well is not a fault: LATISS has been
    delivered with a masked amplifier (obs_lsst_data 2b88b0fc).

    Parameters
    ----------
    defects : `~collections.abc.Iterable` [`DetectorDefects`]
        Of each detector, compared with earlier ones where they exist.
    detectors : collection of `int`
        Ids of the detectors that were to be measured.
    limits : `DefectLimits`, optional
        What defects may be.

    Returns
    -------
    judgement : `Judgement`
        Passed if there is no fault.
    """
    found = list(defects)
    missing = [
        Fault(detector, "MISSING", f"detector {detector} has no defects dataset")
        for detector in sorted(set(detectors) - {one.detector for one in found})
    ]
    faults = [*missing, *(fault for one in found for fault in _faults_of_detector(one, limits))]
    compared = not missing and all(one.previous is not None for one in found)
    return Judgement(tuple(faults), not faults, compared)


def _faults_of_detector(one: DetectorDefects, limits: DefectLimits) -> Iterator[Fault]:
    def fault(test: str, text: str) -> Fault:
        return Fault(one.detector, test, f"detector {one.detector}: {text}")

    before = one.previous
    if not one.n_boxes and before is not None and before.n_boxes:
        yield fault("NONE", f"there are no defects, and {before.n_boxes} boxes of them before")
        return
    for amplifier in one.amplifiers:
        yield from _faults_of_amplifier(one.detector, amplifier, limits)
    # An amplifier that was masked before is not looked at again.
    usable = [each for each in one.amplifiers if not _is_masked(each.previous_area, each, limits)]
    n_pixels = sum(each.n_pixels for each in usable)
    most = limits.max_count * n_pixels
    if one.n_boxes > most and not (before is not None and before.n_boxes > most):
        yield fault("COUNT", f"there are {one.n_boxes} boxes, at most {most:.0f} are right")
    area = sum(each.area for each in usable)
    area_before = None if before is None else sum(each.previous_area or 0 for each in usable)
    largest = limits.max_area * n_pixels
    if area > largest and not (area_before is not None and area_before > largest):
        yield fault(
            "AREA",
            f"{area / n_pixels:.2%} of the pixels are defects, at most {limits.max_area:.2%} is right",
        )
    if area_before is None or abs(area - area_before) <= limits.least_change * n_pixels:
        return
    if max(area, area_before) > limits.max_factor * min(area, area_before):
        yield fault(
            "CHANGE",
            f"{area} pixels are defects, and {area_before} before; a factor of {limits.max_factor:g} at "
            "most is right",
        )


def _is_masked(area: int | None, amplifier: AmplifierDefects, limits: DefectLimits) -> bool:
    return area is not None and area > limits.max_amplifier * amplifier.n_pixels


def _faults_of_amplifier(detector: int, one: AmplifierDefects, limits: DefectLimits) -> Iterator[Fault]:
    def fault(test: str, text: str) -> Fault:
        return Fault(detector, test, f"detector {detector} {one.amplifier}: {text}", one.amplifier)

    if _is_masked(one.area, one, limits) and not _is_masked(one.previous_area, one, limits):
        yield fault(
            "AMPLIFIER",
            f"{one.area / one.n_pixels:.1%} of its pixels are defects, at most {limits.max_amplifier:.1%} "
            "is right",
        )
    for test, change in (("GAINED", one.gained), ("LOST", one.lost)):
        if change is not None and change > limits.max_change * one.n_pixels:
            yield fault(
                test,
                f"{change} of its {one.n_pixels} pixels were {test.lower()}, at most "
                f"{limits.max_change * one.n_pixels:.0f} are right",
            )
