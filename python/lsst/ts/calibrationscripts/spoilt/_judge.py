# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges frames one by one, by what the others of their series are like."""

from __future__ import annotations

__all__ = ["judge_frames"]

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..instruments import ImageType
from ._outliers import find_outliers
from ._quantities import FRAME_LIMITS, FrameLimits, quantities
from ._records import MIN_FRAMES, AmplifierMeasure, FrameMeasure, Mark, MarkKind


@dataclass(frozen=True)
class _Finding:
    """That one number of a frame is not right."""

    index: int
    what: str
    amplifier: str
    excess: float
    """Difference, in units of the limit; negative if it is too low."""

    text: str


def judge_frames(
    image_type: ImageType, frames: Sequence[FrameMeasure], limits: FrameLimits = FRAME_LIMITS
) -> tuple[Mark, ...]:
    """Judge the frames of a series.

    Parameters
    ----------
    image_type : `ImageType`
        What they are.
    frames : sequence of `FrameMeasure`
        In the order in which they were taken. They may have several
        exposure times: then levels are compared by their rate.
    limits : `FrameLimits`, optional
        How far they may be from each other.

    Returns
    -------
    marks : `tuple` [`Mark`, ...]
        In the order of frames. Of fewer than `MIN_FRAMES` frames only
        saturated ones are found.
    """
    saturated = _saturated(image_type, frames, limits)
    marks = {i: [_mark(frames[i], MarkKind.SATURATED, found)] for i, found in saturated.items()}
    # What is clipped is not a measure of anything else.
    rest = [i for i in range(len(frames)) if i not in saturated and not _is_clipped(frames[i], limits)]
    by_frame: dict[int, list[_Finding]] = {}
    if len(rest) >= MIN_FRAMES:
        for found in _findings(image_type, [frames[i] for i in rest], limits):
            by_frame.setdefault(rest[found.index], []).append(found)
    first = next((i for i in rest if not _has_level(by_frame.get(i, ()))), len(frames))
    for i, findings in sorted(by_frame.items()):
        n_amplifiers = len(frames[i].amplifiers)
        is_first = i < first and not any(j in saturated for j in range(i))
        for kind, of_kind in _kinds(image_type, findings, n_amplifiers, is_first=is_first).items():
            marks.setdefault(i, []).append(_mark(frames[i], kind, of_kind))
    return tuple(mark for i in sorted(marks) for mark in marks[i])


def _has_level(findings: Iterable[_Finding]) -> bool:
    return any(found.what in ("level", "overscan") for found in findings)


def _kinds(
    image_type: ImageType, findings: Sequence[_Finding], n_amplifiers: int, *, is_first: bool
) -> dict[MarkKind, list[_Finding]]:
    """Say what the findings on a frame mean."""

    def of(*what: str) -> list[_Finding]:
        return [found for found in findings if found.what in what]

    level, overscan, shape = of("level"), of("overscan"), of("shape")
    many = 2 * len(level) >= n_amplifiers
    kinds: dict[MarkKind, list[_Finding]] = {}
    # A glow is a little of the level too, and another level has another
    # shape and noise.
    if many or overscan or (level and not shape):
        kinds[_kind_of_level(image_type, level, many=many, settles=bool(overscan), is_first=is_first)] = [
            *level,
            *overscan,
        ]
    elif shape:
        brighter = sum(found.excess for found in shape) > 0
        kinds[MarkKind.GLOW if brighter and image_type is not ImageType.FLAT else MarkKind.SHAPE] = shape
    if noise := of("read noise") or (not many and of("noise")):
        kinds[MarkKind.NOISE] = noise
    return kinds


def _kind_of_level(
    image_type: ImageType, level: Sequence[_Finding], *, many: bool, settles: bool, is_first: bool
) -> MarkKind:
    """Say what it means that a level is wrong, or that of the overscan."""
    if many and not settles:
        if image_type is ImageType.FLAT:
            return MarkKind.LAMP
        if image_type is ImageType.DARK and all(found.excess > 0 for found in level):
            return MarkKind.LIGHT_LEAK
    return MarkKind.SETTLING if is_first else MarkKind.LEVEL


def _mark(frame: FrameMeasure, kind: MarkKind, findings: Sequence[_Finding]) -> Mark:
    worst = max(findings, key=lambda found: abs(found.excess))
    amplifiers = tuple(dict.fromkeys(found.amplifier for found in findings))
    others = f", and {len(amplifiers) - 1} more" if len(amplifiers) > 1 else ""
    return Mark(frame.exposure, kind, f"{worst.text} in {worst.amplifier}{others}", amplifiers)


def _is_clipped(frame: FrameMeasure, limits: FrameLimits) -> bool:
    return any(each.saturated > limits.saturated for each in frame.amplifiers)


def _saturated(
    image_type: ImageType, frames: Sequence[FrameMeasure], limits: FrameLimits
) -> dict[int, list[_Finding]]:
    """Find the frames that are saturated and should not be.

    The longest flats of a ramp may be meant to saturate: there, a frame is
    spoilt only if one that is at least as long is not saturated.
    """
    found: dict[int, list[_Finding]] = {}
    times = {frame.exp_time for frame in frames}
    is_ramp = image_type is ImageType.FLAT and len(times) > 1
    good = max((frame.exp_time for frame in frames if not _is_clipped(frame, limits)), default=0.0)
    for i, frame in enumerate(frames):
        if is_ramp and frame.exp_time > good:
            continue
        for each in frame.amplifiers:
            if each.saturated > limits.saturated:
                text = (
                    f"{each.saturated:.1%} of the pixels are saturated, at most {limits.saturated:.1%} may be"
                )
                excess = each.saturated / limits.saturated
                found.setdefault(i, []).append(_Finding(i, "saturated", each.name, excess, text))
    return found


def _findings(
    image_type: ImageType, frames: Sequence[FrameMeasure], limits: FrameLimits
) -> Iterator[_Finding]:
    """Compare every number of every amplifier among the frames."""
    names = {(each.detector, each.amplifier) for frame in frames for each in frame.amplifiers}
    for place in sorted(names):
        found = [
            (i, frame.exp_time, each)
            for i, frame in enumerate(frames)
            for each in frame.amplifiers
            if (each.detector, each.amplifier) == place
        ]
        indices, times, measures = (list(column) for column in zip(*found, strict=True))
        if len(measures) >= MIN_FRAMES:
            for one in _compare(image_type, times, measures, limits):
                yield replace(one, index=indices[one.index])


def _compare(
    image_type: ImageType, times: Sequence[float], measures: Sequence[AmplifierMeasure], limits: FrameLimits
) -> Iterator[_Finding]:
    """Compare what was measured of one amplifier."""
    for quantity in quantities(image_type, times, measures, limits):
        found = find_outliers(
            quantity.x,
            quantity.y,
            tolerance=quantity.tolerance,
            error=quantity.error,
            scatter=limits.scatter,
        )
        for one in found:
            text = (
                f"{quantity.what} {one.value:,.4g}{quantity.unit}, which is not within {one.limit:,.3g} of "
                f"{one.expected:,.4g}{quantity.unit}"
            )
            excess = (one.value - one.expected) / one.limit
            yield _Finding(one.index, quantity.what, measures[one.index].name, excess, text)
