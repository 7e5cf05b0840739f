# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of frames, and what is said of them."""

from __future__ import annotations

__all__ = [
    "MIN_FRAMES",
    "AmplifierMeasure",
    "FrameMeasure",
    "Mark",
    "MarkKind",
    "SeriesJudgement",
    "leave_out",
    "with_named",
]

import datetime
import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from ..products import Subject

MIN_FRAMES = 3
"""Fewer are not compared, and no fewer are left to a series: of two that
differ, nothing says which is right."""


class MarkKind(enum.StrEnum):
    """What is wrong with a frame."""

    SETTLING = "SETTLING"
    """It is one of the first, and the electronics had not settled."""

    LEVEL = "LEVEL"
    """Its level, or that of its overscan, is not that of the others."""

    LIGHT_LEAK = "LIGHT_LEAK"
    """A dark has light in most amplifiers."""

    LAMP = "LAMP"
    """A flat has more or less light: the lamp or the shutter failed."""

    NOISE = "NOISE"
    """It has more or less noise."""

    GLOW = "GLOW"
    """A part of it is brighter, with no more light on the whole."""

    SHAPE = "SHAPE"
    """It has another shape, such as a shadow or a gradient."""

    SATURATED = "SATURATED"
    HEADER = "HEADER"
    """The Butler has it as something else than what was asked for."""

    PERSON = "PERSON"
    """A person does not want it to be used."""

    @property
    def needs_series(self) -> bool:
        """Whether other frames, or a plan, may be needed to find it."""
        return self is not MarkKind.SATURATED


@dataclass(frozen=True)
class AmplifierMeasure:
    """What was measured of an amplifier of a raw frame (ADU)."""

    detector: int
    amplifier: str

    overscan: float
    """Level of the serial overscan."""

    level: float
    """Median of the means of its blocks, above the overscan."""

    noise: float
    """Standard deviation of a pixel, from differences of neighbours."""

    read_noise: float
    """The same in the overscan."""

    blocks: tuple[float, ...]
    """Mean of each block of pixels, above the level."""

    n_pixels: int
    n_overscan: int
    """Pixels that these are from."""

    saturated: float
    """Part of the pixels that are saturated."""

    @property
    def name(self) -> str:
        """What people read."""
        return f"detector {self.detector} {self.amplifier}"

    @property
    def level_error(self) -> float:
        """Standard error of the level (ADU)."""
        from_overscan = self.read_noise**2 / max(self.n_overscan, 1)
        # That of a median is larger by the root of pi / 2.
        return float((1.57 * self.noise**2 / max(self.n_pixels, 1) + from_overscan) ** 0.5)

    @property
    def block_error(self) -> float:
        """Standard error of a block (ADU)."""
        return float(self.noise * (len(self.blocks) / max(self.n_pixels, 1)) ** 0.5)


@dataclass(frozen=True)
class FrameMeasure:
    """What was measured of a raw frame."""

    exposure: int
    exp_time: float
    """Exposure time (s)."""

    amplifiers: tuple[AmplifierMeasure, ...]


@dataclass(frozen=True)
class Mark:
    """Why a frame is spoilt."""

    exposure: int
    kind: MarkKind
    text: str
    """What was found, and what the limit is."""

    amplifiers: tuple[str, ...] = ()
    """Which are affected, such as ``detector 0 C07``; none for what is about
    the frame."""

    by: str = ""
    """Name of the person, where one has made it and is known."""

    time: float | None = None
    """When a person has made it: TAI, as a Unix timestamp (s)."""

    run: str = ""
    """Id of the run that has noted it, if that is another one."""

    @property
    def is_named(self) -> bool:
        """Whether a person has named the frame for this very run."""
        return self.kind is MarkKind.PERSON and not self.run

    @property
    def found(self) -> str:
        """What was found, by whom and in which other run."""
        text = self.text
        if self.kind is MarkKind.PERSON:
            day = "" if self.time is None else f", {_date(self.time)} TAI"
            text += f" (left out by {self.by or 'a person'}{day})"
        return f"{text} (noted by run {self.run})" if self.run else text

    def __str__(self) -> str:
        return f"exposure {self.exposure} {self.kind}: {self.found}"


def _date(time: float) -> str:
    return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class SeriesJudgement:
    """What is known of the frames of a series, and what follows from it."""

    series: Subject

    judged: tuple[int, ...]
    """Exposure ids of the frames that were judged."""

    marks: tuple[Mark, ...] = ()
    excluded: tuple[int, ...] = ()
    """Exposure ids of those that nothing is made from."""

    remark: str = ""
    """Why spoilt frames are used although they are to be left out; "" if
    that is not so."""

    unmeasured: tuple[str, ...] = ()
    """Why frames could not be measured, so that nothing is said of them."""

    @property
    def spoilt(self) -> tuple[int, ...]:
        """Exposure ids of the frames that have marks, in order."""
        return tuple(sorted({mark.exposure for mark in self.marks}))

    @property
    def unusable(self) -> tuple[int, ...]:
        """Exposure ids of frames that are not what was asked for.

        Those are found by this run and not left out, so that its series fails.
        """
        wrong = {mark.exposure for mark in self.marks if mark.kind is MarkKind.HEADER and not mark.run}
        return tuple(sorted(wrong.difference(self.excluded)))


def with_named(
    judgement: SeriesJudgement, named: Collection[int], mark: Callable[[int], Mark]
) -> SeriesJudgement:
    """Mark the frames that a person has named, and no others.

    Parameters
    ----------
    judgement : `SeriesJudgement`
        With marks; those of frames that were named before stay.
    named : collection of `int`
        Exposure ids, also of frames of other series.
    mark : callable
        Makes the mark of a frame.

    Returns
    -------
    judgement : `SeriesJudgement`
    """
    before = {each.exposure: each for each in judgement.marks if each.is_named}
    others = [each for each in judgement.marks if not each.is_named]
    own = [before.get(i) or mark(i) for i in judgement.judged if i in named]
    return replace(judgement, marks=(*others, *own))


def leave_out(
    judgement: SeriesJudgement, kept: Sequence[int], *, named: Collection[int] = (), spoilt: bool = True
) -> SeriesJudgement:
    """Leave frames of a series out, the spoilt ones if enough are left.

    Parameters
    ----------
    judgement : `SeriesJudgement`
        With marks.
    kept : sequence of `int`
        Exposure ids of the frames that are to be processed.
    named : collection of `int`, optional
        Exposure ids that a person has named; they are left out in any case.
    spoilt : `bool`, optional
        Whether those are to be left out that are spoilt.

    Returns
    -------
    judgement : `SeriesJudgement`
        With all spoilt frames excluded, or none of them: where fewer than
        `MIN_FRAMES` or than half of the frames would be left, it is as
        likely that those are the spoilt ones.
    """
    others = tuple(i for i in kept if i not in named)
    marked = {mark.exposure for mark in judgement.marks if not mark.is_named} if spoilt else set()
    bad = {i for i in others if i in marked}
    n_left, least = len(others) - len(bad), max(MIN_FRAMES, (len(others) + 1) // 2)
    if not bad or n_left >= least:
        excluded = tuple(i for i in kept if i in named or i in bad)
        return replace(judgement, excluded=excluded, remark="")
    reason = (
        f"{len(bad)} of {len(others)} frames are spoilt: only {n_left} would be left, and at least {least} "
        "are needed, so all are used"
    )
    return replace(judgement, excluded=tuple(i for i in kept if i in named), remark=reason)
