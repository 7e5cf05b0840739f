# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spoilt frames are named, and good ones are not.

The frames are those of the product's model of a CCD, with four amplifiers,
small. What spoils them is added in strengths from what just matters to what
cannot be overlooked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from lsst.ts.calibrationscripts.butler._measuring import measure_raw
from lsst.ts.calibrationscripts.instruments import LATISS, Detector, ImageType
from lsst.ts.calibrationscripts.pairs import times_of_pairs
from lsst.ts.calibrationscripts.simulation.ccd import ADC_MAX, CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.spoilt import (
    AmplifierMeasure,
    FrameMeasure,
    Mark,
    MarkKind,
    SeriesJudgement,
    judge_frames,
    leave_out,
)
from named import BIAS

CCD = CcdModel(Detector(0, "RXX_S00", ("C00", "C01", "C10", "C11")), scale=16, seed=10)
GEOMETRY = CCD.detector.to_metadata()
N_FRAMES = 20

Spoil = Callable[[np.ndarray, np.random.Generator], None]
"""Changes a raw image (ADU), as floating-point numbers."""


def strength(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number whose logarithm is evenly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def pixels(raw: np.ndarray) -> np.ndarray:
    """View the pixels that see light, by segment."""
    return CCD.detector.segments(raw)[..., : CCD.detector.amp_width]


def bias_of(raw: np.ndarray) -> np.ndarray:
    """Return the level of the overscan, by segment."""
    return CCD.detector.segments(raw)[..., CCD.detector.amp_width :].mean(axis=(1, 3), keepdims=True)


def settling(raw: np.ndarray, rng: np.random.Generator) -> None:
    """All levels are off, pixels more than the overscan."""
    shift = strength(rng, 40, 500) * rng.choice([-1, 1])
    raw += shift
    pixels(raw)[...] += 0.1 * shift


def level(raw: np.ndarray, rng: np.random.Generator) -> None:
    amplifier = CCD.detector.amplifiers[rng.integers(4)]
    row, column = amplifier.index
    pixels(raw)[row, :, column, :] += strength(rng, 2, 100) * rng.choice([-1, 1])


def noise(raw: np.ndarray, rng: np.random.Generator) -> None:
    """Of all amplifiers, in the overscan too."""
    extra = strength(rng, 0.7, 3.0)
    raw += rng.normal(0.0, 1.0, raw.shape) * extra * 6.4


def light(raw: np.ndarray, rng: np.random.Generator) -> None:
    """More of it on one side, as under a door."""
    y = np.linspace(0.5, 1.5, CCD.detector.shape[0]).reshape(CCD.detector.grid[0], -1, 1, 1)
    pixels(raw)[...] += y * strength(rng, 2, 500)


def glow(raw: np.ndarray, rng: np.random.Generator) -> None:
    """In the corner of an amplifier."""
    row, column = CCD.detector.amplifiers[rng.integers(4)].index
    segment = pixels(raw)[row, :, column, :]
    y, x = np.indices(segment.shape)
    extent = segment.shape[1] / 2
    segment += strength(rng, 12, 500) * np.exp(-np.hypot(y, x) / extent)


def saturation(raw: np.ndarray, rng: np.random.Generator) -> None:
    row, column = CCD.detector.amplifiers[rng.integers(4)].index
    pixels(raw)[row, : int(strength(rng, 10, 120)), column, :] = ADC_MAX


def lamp(raw: np.ndarray, rng: np.random.Generator) -> None:
    """It is dimmer, off, or brighter."""
    factor = rng.choice([0.0, rng.uniform(0.0, 0.93), rng.uniform(1.07, 1.4)])
    zero = bias_of(raw)
    pixels(raw)[...] = zero + factor * (pixels(raw) - zero)


def shutter(raw: np.ndarray, rng: np.random.Generator) -> None:
    """A blade stays in the beam, in front of a part of the detector."""
    zero = bias_of(raw)
    shadow = np.ones(CCD.detector.shape)
    shadow[: int(rng.uniform(0.1, 0.7) * shadow.shape[0])] = 1 - strength(rng, 0.02, 1.0)
    pixels(raw)[...] = zero + CCD.detector.segments(shadow) * (pixels(raw) - zero)


@dataclass(frozen=True)
class Kind:
    """A type of frame, and what can spoil it."""

    image_type: ImageType
    exp_times: tuple[float, ...]
    spoils: tuple[Spoil, ...]


KINDS = (
    Kind(ImageType.BIAS, (0.0,) * N_FRAMES, (settling, level, noise, glow, saturation)),
    Kind(ImageType.DARK, (30.0,) * N_FRAMES, (settling, light, noise, glow, saturation)),
    Kind(ImageType.DARK, (5.0,) * 4 + (15.0,) * 2 + (30.0,) * 14, (settling, light, noise, glow, saturation)),
    Kind(ImageType.FLAT, (5.0,) * N_FRAMES, (lamp, shutter, noise, saturation)),
    Kind(
        ImageType.FLAT,
        tuple(time for time in (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12) for _ in range(2)),
        (lamp, shutter, noise, saturation),
    ),
)


def measure(exposure: int, exp_time: float, raw: np.ndarray) -> FrameMeasure:
    return FrameMeasure(exposure, exp_time, measure_raw(Exposure(raw, GEOMETRY), 0, LATISS.saturated_counts))


def spoilt_by(raw: np.ndarray, spoil: Spoil, rng: np.random.Generator) -> np.ndarray:
    changed = raw.astype(float)
    spoil(changed, rng)
    return np.clip(np.rint(changed), 0, ADC_MAX).astype(np.int32)


def combined_noise(kind: Kind, raws: dict[int, np.ndarray], which: Sequence[int]) -> float:
    """Return the noise of the mean of frames, which is scaled as flats are."""
    total = 0.0
    for i in which:
        image = pixels(raws[i]) - bias_of(raws[i])
        scale = np.median(image) if kind.image_type is ImageType.FLAT else 1.0
        total = total + image / scale
    difference = np.diff((total / len(which)).reshape(CCD.detector.shape), axis=1)
    low, high = np.percentile(difference, [16, 84])
    return float(high - low)


@dataclass
class Counts:
    """What came of many sets."""

    spoilt: int = 0
    named: int = 0
    good: int = 0
    lost: int = 0
    worst: float = 0.0
    """By how much a product has more noise at most, relatively."""

    missed: tuple[str, ...] = ()


def try_set(number: int, counts: Counts) -> None:
    """Spoil 1 to 8 of 20 frames, and judge them."""
    kind = KINDS[number % len(KINDS)]
    rng = np.random.default_rng([10, number])
    raws = {
        i: CCD.expose(kind.image_type, exp_time, 100 * number + i)
        for i, exp_time in enumerate(kind.exp_times)
    }
    spoils: dict[int, Spoil] = {}
    for i in rng.choice(N_FRAMES, size=1 + number % 8, replace=False).tolist():
        spoils[i] = kind.spoils[rng.integers(len(kind.spoils))]
        raws[i] = spoilt_by(raws[i], spoils[i], rng)
    marks = judge_frames(
        kind.image_type, [measure(i, exp_time, raws[i]) for i, exp_time in enumerate(kind.exp_times)]
    )
    found = {mark.exposure for mark in marks}
    clean = [i for i in raws if i not in spoils]
    kept = [
        i for i in raws if i not in leave_out(SeriesJudgement(BIAS, tuple(raws), marks), list(raws)).excluded
    ]
    counts.spoilt += len(spoils)
    counts.named += len(found & set(spoils))
    counts.good += len(clean)
    counts.lost += len(found - set(spoils))
    counts.missed += tuple(
        f"set {number} {kind.image_type} {i} {spoil.__name__}"
        for i, spoil in spoils.items()
        if i not in found
    )
    alone = combined_noise(kind, raws, clean)
    counts.worst = max(counts.worst, combined_noise(kind, raws, kept) / alone - 1)


@pytest.mark.parametrize("first", range(len(KINDS)))
def test_of_200_sets_spoilt_frames_are_named_and_good_ones_kept(
    first: int, record_property: Callable[[str, object], None]
) -> None:
    # Given 200 sets, in which 1 to 8 of 20 frames are spoilt; a fifth here
    counts = Counts()
    for number in range(first, 200, len(KINDS)):
        try_set(number, counts)

    # Then most are named, hardly a good one is, and the product is as good
    # as if it had been made from the good frames alone
    record_property("counts", str(counts))
    assert counts.named >= 0.95 * counts.spoilt, counts
    assert counts.lost <= 0.01 * counts.good, counts
    assert counts.worst <= 0.02, counts


# How each kind of mark comes about, on numbers alone


def amplifier(name: str = "C00", **changes: Any) -> AmplifierMeasure:
    measure = AmplifierMeasure(
        detector=0,
        amplifier=name,
        overscan=2000.0,
        level=1.0,
        noise=6.0,
        read_noise=6.0,
        blocks=(0.0, 0.0, 0.0, 0.0),
        n_pixels=200_000,
        n_overscan=20_000,
        saturated=0.0,
    )
    return dataclasses.replace(measure, **changes)


def frame(exposure: int, exp_time: float = 0.0, n_changed: int = 4, **changes: Any) -> FrameMeasure:
    """Return a frame of four amplifiers, some of which are not the same."""
    names = [f"C0{i}" for i in range(4)]
    return FrameMeasure(
        exposure,
        exp_time,
        tuple(amplifier(name, **(changes if i < n_changed else {})) for i, name in enumerate(names)),
    )


def good(exposure: int, exp_time: float = 0.0) -> FrameMeasure:
    """Return a frame like the others, but for a little noise."""
    return frame(exposure, exp_time, level=1.0 + 0.01 * (exposure % 3))


def kinds_of(image_type: ImageType, frames: Sequence[FrameMeasure]) -> dict[int, list[MarkKind]]:
    kinds: dict[int, list[MarkKind]] = {}
    for mark in judge_frames(image_type, frames):
        kinds.setdefault(mark.exposure, []).append(mark.kind)
    return kinds


@pytest.mark.parametrize(
    "image_type, where, n_changed, changes, kind",
    [
        (ImageType.BIAS, 0, 4, {"level": 30.0, "overscan": 2100.0}, MarkKind.SETTLING),
        (ImageType.BIAS, 5, 4, {"overscan": 2100.0}, MarkKind.LEVEL),
        (ImageType.BIAS, 5, 1, {"level": -4.0}, MarkKind.LEVEL),
        (ImageType.BIAS, 5, 4, {"noise": 9.0, "read_noise": 9.0}, MarkKind.NOISE),
        (ImageType.BIAS, 5, 1, {"blocks": (20.0, 0.0, 0.0, 0.0)}, MarkKind.GLOW),
        (ImageType.BIAS, 5, 1, {"blocks": (0.0, -9.0, 0.0, 0.0)}, MarkKind.SHAPE),
        (ImageType.BIAS, 5, 1, {"saturated": 0.5}, MarkKind.SATURATED),
        (ImageType.DARK, 5, 4, {"level": 40.0, "blocks": (20.0, 0.0, 0.0, 0.0)}, MarkKind.LIGHT_LEAK),
        (ImageType.DARK, 0, 4, {"level": 40.0}, MarkKind.LIGHT_LEAK),
        (ImageType.DARK, 5, 1, {"level": 40.0}, MarkKind.LEVEL),
        (ImageType.DARK, 5, 1, {"noise": 9.0}, MarkKind.NOISE),
    ],
)
def test_a_spoilt_frame_is_named_by_what_it_looks_like(
    image_type: ImageType, where: int, n_changed: int, changes: dict[str, Any], kind: MarkKind
) -> None:
    frames = [good(i) for i in range(9)]
    frames[where] = frame(where, 0.0, n_changed, **changes)

    assert kinds_of(image_type, frames) == {where: [kind]}


@pytest.mark.parametrize(
    "factor, blocks, kind",
    [
        (0.0, (0.0,) * 4, MarkKind.LAMP),
        (0.9, (0.0,) * 4, MarkKind.LAMP),
        (1.0, (-900.0, 0.0, 0.0, 0.0), MarkKind.SHAPE),
    ],
)
def test_a_flat_without_its_light_is_named(factor: float, blocks: tuple[float, ...], kind: MarkKind) -> None:
    frames = [frame(i, 5.0, level=20_000.0 + i) for i in range(9)]
    frames[4] = frame(4, 5.0, level=factor * 20_000, blocks=blocks)

    assert kinds_of(ImageType.FLAT, frames) == {4: [kind]}


def test_a_mark_says_what_was_found_where_and_the_limit() -> None:
    (mark,) = judge_frames(ImageType.DARK, [*(good(i) for i in range(9)), frame(9, level=40.0)])

    assert str(mark) == (
        "exposure 9 LIGHT_LEAK: level 40 ADU, which is not within 1.2 of 1.01 ADU in detector 0 C00, "
        "and 3 more"
    )
    assert mark.amplifiers == tuple(f"detector 0 C0{i}" for i in range(4))


def test_what_scatters_in_all_frames_is_not_an_outlier() -> None:
    # Given levels that differ by more than the limit, in most frames
    frames = [frame(i, level=1.0 + 2.5 * ((i * 7) % 10 - 4.5) / 4.5) for i in range(20)]
    assert kinds_of(ImageType.BIAS, frames) == {}

    # Then only one that is far outside their scatter is
    frames[4] = frame(4, level=40.0)
    assert kinds_of(ImageType.BIAS, frames) == {4: [MarkKind.LEVEL]}


def test_the_odd_one_of_three_is_named_and_of_two_none() -> None:
    three = [good(0), frame(1, level=40.0), good(2)]

    assert kinds_of(ImageType.DARK, three) == {1: [MarkKind.LIGHT_LEAK]}
    assert kinds_of(ImageType.DARK, three[:2]) == {}


def test_all_first_frames_that_settle_are_named_as_that() -> None:
    frames = [frame(i, level=1.0, overscan=2000.0 + 200 / 2**i) for i in range(3)]
    frames += [good(i) for i in range(3, 12)]

    assert kinds_of(ImageType.BIAS, frames) == {i: [MarkKind.SETTLING] for i in range(3)}


def test_a_lamp_that_drifts_is_not_a_failure() -> None:
    frames = [frame(i, 5.0, level=20_000.0 * (1 + 0.002 * i)) for i in range(20)]

    assert kinds_of(ImageType.FLAT, frames) == {}


RAMP = tuple(time for time in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0) for _ in range(2))


def test_frames_of_several_times_are_compared_by_their_rate() -> None:
    # Given a ramp whose shutter is open 20 ms longer than it says
    frames = [frame(i, time, level=4000 * (time + 0.02)) for i, time in enumerate(RAMP)]
    assert kinds_of(ImageType.FLAT, frames) == {}

    # When the lamp gives 10 % less for one of its flats
    frames[7] = frame(7, 5.0, level=0.9 * 4000 * 5.02)

    assert kinds_of(ImageType.FLAT, frames) == {7: [MarkKind.LAMP]}


def test_a_majority_of_one_time_does_not_let_spoilt_frames_of_another_decide() -> None:
    # Given darks of which most have 30 s, and two of the three others leak
    times = [5.0] * 3 + [15.0] * 3 + [30.0] * 14
    frames = [frame(i, time, level=1.0 + 0.04 * time + 0.01 * (i % 3)) for i, time in enumerate(times)]
    frames[0] = frame(0, 5.0, level=25.0)
    frames[3] = frame(3, 15.0, level=60.0)

    assert kinds_of(ImageType.DARK, frames) == {0: [MarkKind.LIGHT_LEAK], 3: [MarkKind.LIGHT_LEAK]}


def test_flats_of_pairs_have_nearly_one_time() -> None:
    times = times_of_pairs(10, 5.0)
    frames = [frame(i, time, level=4000 * time * (1 + 0.001 * (i % 3))) for i, time in enumerate(times)]
    frames[4] = frame(4, times[4], level=0.9 * 4000 * times[4])

    assert kinds_of(ImageType.FLAT, frames) == {4: [MarkKind.LAMP]}


def test_the_end_of_a_ramp_may_be_saturated_and_its_middle_not() -> None:
    # Given a ramp that is meant to saturate at its end
    frames = [frame(i, time, level=4000 * time) for i, time in enumerate(RAMP)]
    frames[10:] = [frame(i, 20.0, level=70_000.0, saturated=0.9) for i in (10, 11)]
    assert kinds_of(ImageType.FLAT, frames) == {}

    # When a shorter one is saturated as well
    frames[4] = frame(4, 2.0, level=70_000.0, saturated=0.9)

    assert kinds_of(ImageType.FLAT, frames) == {4: [MarkKind.SATURATED]}


def test_an_amplifier_that_one_frame_lacks_is_compared_among_the_others() -> None:
    frames = [good(0), good(1), FrameMeasure(2, 0.0, ()), frame(3, level=40.0), good(4)]

    assert kinds_of(ImageType.DARK, frames) == {3: [MarkKind.LIGHT_LEAK]}


# What follows from marks


def judged(n_spoilt: int, n: int) -> SeriesJudgement:
    marks = tuple(Mark(i, MarkKind.LEVEL, "far off") for i in range(n_spoilt))
    return leave_out(SeriesJudgement(BIAS, tuple(range(n)), marks), range(n))


@pytest.mark.parametrize("n_spoilt, n", [(1, 4), (8, 20), (10, 20), (3, 7), (0, 2)])
def test_spoilt_frames_are_left_out_if_enough_are_left(n_spoilt: int, n: int) -> None:
    assert judged(n_spoilt, n).excluded == tuple(range(n_spoilt))
    assert judged(n_spoilt, n).remark == ""


@pytest.mark.parametrize(
    "n_spoilt, n, left, least", [(1, 3, 2, 3), (2, 4, 2, 3), (11, 20, 9, 10), (4, 7, 3, 4)]
)
def test_too_few_are_never_left(n_spoilt: int, n: int, left: int, least: int) -> None:
    kept = judged(n_spoilt, n)

    assert kept.excluded == ()
    assert kept.remark == (
        f"{n_spoilt} of {n} frames are spoilt: only {left} would be left, and at least {least} are needed, "
        "so all are used"
    )
