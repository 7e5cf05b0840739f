# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worse calibration is never taken for one that is not worse."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from lsst.ts.calibrationscripts.butler.comparing import Corrected, residuals_of
from lsst.ts.calibrationscripts.comparison import (
    Better,
    Comparison,
    CurveFit,
    Quantity,
    compare_curves,
    compare_defects,
    compare_images,
)
from lsst.ts.calibrationscripts.outcomes import (
    AmplifierDefects,
    AmplifierGain,
    DetectorDefects,
    PreviousDefects,
)
from lsst.ts.calibrationscripts.products import Product, Subject

N, N_COMPARED = 20, 5
EVERY = 4
"""Each of this number is held out, where frames are."""

OTHERS, HELD_OUT, ANOTHER_RUN = "mean of the others", "held out", "another run"
METHODS = (OTHERS, HELD_OUT, ANOTHER_RUN)
NY, NX = 160, 64
"""Pixels of an amplifier."""

AMPLIFIERS = ("C00", "C01", "C02", "C03")
SECTIONS = {name: (slice(0, NY), slice(i * NX, (i + 1) * NX)) for i, name in enumerate(AMPLIFIERS)}
SHAPE = (NY, NX * len(AMPLIFIERS))
NOISE = 6.0
"""Read noise (ADU)."""

DARK_TIME = 30.0
LEVEL = 20_000.0

Inject = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Camera:
    """Frames of a CCD whose structure does not change, and what is made."""

    def __init__(self, product: Product, seed: int, method: str = OTHERS) -> None:
        self.product, self.method = product, method
        truth = np.random.default_rng(seed)
        y = np.linspace(0, 1, NY)[:, None]
        self.bias = 2.0 * np.exp(-8 * y) + truth.normal(0, 0.4, (1, SHAPE[1])) + np.zeros(SHAPE)
        self.dark = 0.05 + 5.0 * (truth.random(SHAPE) < 1e-3)
        self.response = 1 + 0.01 * truth.normal(0, 1, SHAPE) + 0.05 * np.cos(np.linspace(-1, 1, SHAPE[1]))

    def frames(self, n: int, rng: np.random.Generator, inject: Inject | None = None) -> list[np.ndarray]:
        """Take frames, in which everything before the product is corrected."""
        taken = []
        for _ in range(n):
            frame = rng.normal(0, NOISE, SHAPE)
            match self.product:
                case Product.BIAS:
                    frame += self.bias
                case Product.DARK:
                    frame += rng.poisson(self.dark * DARK_TIME)
                case _:
                    light = LEVEL * self.response * rng.normal(1, 0.01)
                    frame += rng.normal(light, np.sqrt(light))
            taken.append(frame if inject is None else inject(frame, rng))
        return taken

    def combine(self, frames: list[np.ndarray]) -> np.ndarray:
        if self.product is Product.FLAT:
            combined = np.mean([frame / np.median(frame) for frame in frames], axis=0)
            return combined
        return np.mean(frames, axis=0) / (DARK_TIME if self.product is Product.DARK else 1.0)

    def correct(self, frame: np.ndarray, product: np.ndarray) -> np.ndarray:
        match self.product:
            case Product.BIAS:
                return frame - product
            case Product.DARK:
                return frame - DARK_TIME * product
            case _:
                with np.errstate(divide="ignore", invalid="ignore"):
                    return frame / product

    def make(self, frames: list[np.ndarray]) -> np.ndarray:
        """Combine the frames that are not held out."""
        held_out = self.method == HELD_OUT
        return self.combine([one for i, one in enumerate(frames, 1) if not held_out or i % EVERY])

    def compare(
        self, new: np.ndarray, old: np.ndarray, frames: list[np.ndarray], earlier: list[np.ndarray]
    ) -> Comparison:
        """Compare on frames of this run, or on those of the old one."""

        def on(chosen: list[np.ndarray], image: np.ndarray, n_combined: int) -> Comparison:
            left = [(self.correct(frame, image), DARK_TIME) for frame in chosen]
            residuals = residuals_of(self.product, 0, SECTIONS, Corrected(left, image, n_combined), new, old)
            return compare_images(
                Subject(self.product), residuals, reference="old/run", exposures=(), method=""
            )

        if self.method == HELD_OUT:
            return on(frames[EVERY - 1 :: EVERY], new, 0)
        own = on(frames[:: max(1, len(frames) // N_COMPARED)][:N_COMPARED], new, len(frames))
        if self.method == OTHERS:
            return own
        return on(earlier[:N_COMPARED], old, len(earlier)).together_with(own)


def in_one_amplifier(change: Inject) -> Inject:
    def inject(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        changed = image.copy()
        section = SECTIONS[AMPLIFIERS[1]]
        changed[section] = change(image[section], rng)
        return changed

    return inject


def gradient(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = 0.08 * LEVEL if image.mean() > LEVEL / 2 else 8.0
    return image + size * np.linspace(0, 1, image.shape[0])[:, None]


def hot_column(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = image.copy()
    changed[:, 20] += 0.2 * LEVEL if image.mean() > LEVEL / 2 else 40.0
    return changed


def light_leak(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    y, x = (np.linspace(-1, 1, size) for size in image.shape)
    spot = np.exp(-4 * (y[:, None] - 0.3) ** 2 - 4 * x**2)
    return image + (0.1 * LEVEL if image.mean() > LEVEL / 2 else 15.0) * spot


def noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Be as noisy as a single frame."""
    size = 10 * np.sqrt(LEVEL) if image.mean() > LEVEL / 2 else 5 * NOISE
    return image + rng.normal(0, size, image.shape)


def dead(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(image)


def wrong_gain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 1.3 * image


FAULTS: dict[str, Inject] = {
    "noise": noise,
    "gradient": gradient,
    "hot column": hot_column,
    "dead amplifier": dead,
    "light leak": light_leak,
}
IMAGES = (Product.BIAS, Product.DARK, Product.FLAT)


def worse_images(method: str) -> Iterator[tuple[str, Comparison]]:
    """Yield products that were made of frames with a fault, or damaged."""
    for product, (name, fault), seed in itertools.product(IMAGES, FAULTS.items(), range(3)):
        camera, rng = Camera(product, seed, method), np.random.default_rng(100 + seed)
        earlier = camera.frames(N, rng)
        frames = camera.frames(N, rng, in_one_amplifier(fault) if seed % 2 or fault is dead else fault)
        yield (
            f"{product} of frames with {name}",
            camera.compare(camera.make(frames), camera.combine(earlier), frames, earlier),
        )
    for product, name, seed in itertools.product(IMAGES, ("hot column", "gradient"), range(3)):
        camera, rng = Camera(product, seed, method), np.random.default_rng(200 + seed)
        earlier, frames = camera.frames(N, rng), camera.frames(N, rng)
        scale = {Product.BIAS: 1.0, Product.DARK: DARK_TIME, Product.FLAT: LEVEL}[product]
        new = FAULTS[name](camera.make(frames) * scale, rng) / scale
        yield f"damaged {product}, {name}", camera.compare(new, camera.combine(earlier), frames, earlier)
    for seed in range(3):
        camera, rng = Camera(Product.FLAT, seed, method), np.random.default_rng(300 + seed)
        earlier, frames = camera.frames(N, rng), camera.frames(N, rng)
        new = in_one_amplifier(wrong_gain)(camera.make(frames), rng)
        yield "FLAT with a wrong gain", camera.compare(new, camera.combine(earlier), frames, earlier)


def equal_images(method: str) -> Iterator[tuple[str, Comparison]]:
    for product, seed in itertools.product(IMAGES, range(20)):
        camera, rng = Camera(product, seed, method), np.random.default_rng(1000 + seed)
        earlier, frames = camera.frames(N, rng), camera.frames(N, rng)
        yield (
            f"{product} {seed}",
            camera.compare(camera.make(frames), camera.combine(earlier), frames, earlier),
        )


def defects(rng: np.random.Generator, gained: int, lost: int, area: int = 40, n: int = 10_000) -> Comparison:
    noise = rng.poisson(3, (len(AMPLIFIERS), 2))
    amplifiers = [
        AmplifierDefects(name, n, area + int(a), gained=int(a), lost=int(b))
        for name, (a, b) in zip(AMPLIFIERS, noise, strict=True)
    ]
    one = amplifiers[2]
    amplifiers[2] = AmplifierDefects(
        one.amplifier, n, one.area + gained, gained=(one.gained or 0) + gained, lost=(one.lost or 0) + lost
    )
    found = DetectorDefects(0, "new", 5, tuple(amplifiers), PreviousDefects("old", "old/run", 5))
    return compare_defects(Subject(Product.DEFECTS), [found])


def curves(
    rng: np.random.Generator, *, gain: float = 1.0, pairs: float = 1.0, turnoff: float = 1.0
) -> Comparison:
    truth = {(0, name): 1.25 for name in AMPLIFIERS}

    def fit(scale: float, of_turnoff: float) -> dict[tuple[int, str], CurveFit]:
        fits = {}
        for amplifier, value in truth.items():
            wrong = scale if amplifier[1] == AMPLIFIERS[1] else 1.0
            fits[amplifier] = CurveFit(
                value * wrong * rng.normal(1, 0.002), 0.002 * value, 90_000 * of_turnoff * rng.normal(1, 0.01)
            )
        return fits

    measured = {
        amplifier: AmplifierGain(*amplifier, tuple(value * pairs * rng.normal(1, 0.01, 10)), reference=value)
        for amplifier, value in truth.items()
    }
    return compare_curves(
        Subject(Product.PTC), fit(gain, turnoff), fit(1.0, 1.0), measured, reference="old/run"
    )


def worse_others() -> Iterator[tuple[str, Comparison]]:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        yield "hot column in the defects", defects(rng, 160, 0)
        yield "dead amplifier in the defects", defects(rng, 9_960, 0)
        yield "defects that are missing", defects(rng, 0, 40)
        yield "light leak in the defects", defects(rng, 800, 0)
        yield "wrong gain", curves(rng, gain=1.05)
        yield "dead amplifier in the curve", curves(rng, gain=float("nan"))
        yield "low turn-off", curves(rng, turnoff=0.8)
        yield "gain and pairs that are both wrong", curves(rng, gain=1.06, pairs=1.06)


def equal_others() -> Iterator[tuple[str, Comparison]]:
    for seed in range(20):
        rng = np.random.default_rng(500 + seed)
        yield "defects", defects(rng, 0, 0)
        yield "curve", curves(rng)


@pytest.mark.parametrize("method", METHODS)
def test_of_a_hundred_worse_products_none_is_taken_for_one_that_is_not(
    method: str, record_property: Callable[[str, object], None]
) -> None:
    cases = [*worse_images(method), *worse_others()]
    record_property("cases", len(cases))
    assert len(cases) >= 100
    taken = Counter(name for name, comparison in cases if comparison.not_worse)
    assert taken == Counter()


@pytest.mark.parametrize("method", METHODS)
def test_of_a_hundred_equal_products_few_are_called_worse(
    method: str, record_property: Callable[[str, object], None]
) -> None:
    cases = [*equal_images(method), *equal_others()]
    assert len(cases) == 100
    refused = [(name, comparison.text) for name, comparison in cases if not comparison.not_worse]
    record_property("refused", len(refused))
    assert len(refused) <= 5, refused


def test_a_mean_of_more_frames_is_better() -> None:
    camera, rng = Camera(Product.BIAS, 1), np.random.default_rng(1)
    earlier, frames = camera.frames(3, rng), camera.frames(N, rng)
    comparison = camera.compare(camera.combine(frames), camera.combine(earlier), frames, earlier)
    assert comparison.better is Better.BETTER
    assert {change.quantity for one in comparison.amplifiers for change in one.changes} >= {Quantity.NOISE}
    assert "better than that of old/run: noise in 4 amplifier(s)" in comparison.text


def test_a_mean_of_fewer_frames_is_worse() -> None:
    camera, rng = Camera(Product.BIAS, 1), np.random.default_rng(1)
    earlier, frames = camera.frames(N, rng), camera.frames(5, rng)
    comparison = camera.compare(camera.combine(frames), camera.combine(earlier), frames, earlier)
    assert comparison.better is Better.WORSE


def test_frames_that_are_unlike_are_no_improvement() -> None:
    """A dark that was taken with the light on suits its own frames only."""
    camera, rng = Camera(Product.DARK, 1), np.random.default_rng(1)
    earlier, frames = camera.frames(N, rng), camera.frames(N, rng, light_leak)
    comparison = camera.compare(camera.combine(frames), camera.combine(earlier), frames, earlier)
    assert comparison.better is Better.UNCLEAR
    assert "the camera has changed, or they are spoilt" in comparison.text


def test_frames_of_another_run_tell_that_such_a_dark_is_worse() -> None:
    camera, rng = Camera(Product.DARK, 1, ANOTHER_RUN), np.random.default_rng(1)
    earlier, frames = camera.frames(N, rng), camera.frames(N, rng, light_leak)
    comparison = camera.compare(camera.combine(frames), camera.combine(earlier), frames, earlier)
    assert comparison.better is Better.WORSE


def test_a_frame_is_compared_with_the_mean_of_the_others() -> None:
    """So that it has no advantage of having gone into the new one."""
    camera, rng = Camera(Product.BIAS, 1), np.random.default_rng(1)
    frames = camera.frames(6, rng)
    mean = camera.combine(frames)
    others = camera.combine(frames[1:])
    section = {"C00": SECTIONS["C00"]}
    of_mean = Corrected([(frames[0] - mean, 0.0)], mean, 6)
    (residual,) = residuals_of(Product.BIAS, 0, section, of_mean, mean, mean)
    of_others = Corrected([(frames[0] - others, 0.0)], others, 0)
    (expected,) = residuals_of(Product.BIAS, 0, section, of_others, others, others)
    for field in dataclasses.fields(residual.new[0]):
        if field.name != "noise":
            assert getattr(residual.new[0], field.name) == pytest.approx(getattr(expected.new[0], field.name))
    # The noise is that of a frame and a mean of six others, not of five
    ratio = residual.new[0].noise / expected.new[0].noise
    assert ratio == pytest.approx(((1 + 1 / 6) / (1 + 1 / 5)) ** 0.5)


@pytest.mark.parametrize("product", IMAGES)
@pytest.mark.parametrize("n", [3, 5, 7])
def test_means_of_the_same_few_frames_are_equal(product: Product, n: int) -> None:
    camera, rng = Camera(product, 1), np.random.default_rng(n)
    earlier, frames = camera.frames(n, rng), camera.frames(n, rng)
    comparison = camera.compare(camera.combine(frames), camera.combine(earlier), frames, earlier)
    assert comparison.better is Better.EQUAL


@pytest.mark.parametrize("gain", [5.0, 0.0, float("nan"), -1.0])
def test_a_bad_fit_is_not_excused_by_its_own_error(gain: float) -> None:
    amplifier = (0, "C00")
    old = {amplifier: CurveFit(1.25, 0.01, 90_000.0)}
    new = {amplifier: CurveFit(gain, 50.0, 90_000.0)}
    pairs = {amplifier: AmplifierGain(0, "C00", (1.25, 1.26), 1.25)}
    for measured in (pairs, {}):
        comparison = compare_curves(Subject(Product.PTC), new, old, measured, reference="old/run")
        assert comparison.better is Better.WORSE


def test_a_curve_in_use_without_a_gain_is_no_obstacle() -> None:
    amplifier = (0, "C00")
    old, new = {amplifier: CurveFit(0.0, 0.0, 0.0)}, {amplifier: CurveFit(1.25, 0.01, 90_000.0)}
    assert compare_curves(Subject(Product.PTC), new, old, {}, reference="old/run").not_worse


def test_a_turn_off_is_compared_only_where_the_one_in_use_has_one() -> None:
    amplifier = (0, "C00")
    new = {amplifier: CurveFit(1.25, 0.002, 90_000.0)}
    for turnoff, better in ((float("nan"), Better.EQUAL), (110_000.0, Better.WORSE)):
        old = {amplifier: CurveFit(1.25, 0.002, turnoff)}
        comparison = compare_curves(Subject(Product.PTC), new, old, {}, reference="old/run")
        assert comparison.better is better
    gone = {amplifier: CurveFit(1.25, 0.002, float("nan"))}
    comparison = compare_curves(Subject(Product.PTC), gone, new, {}, reference="old/run")
    assert comparison.better is Better.WORSE


def test_without_earlier_defects_it_is_the_first() -> None:
    found = DetectorDefects(0, "new", 1, (AmplifierDefects("C00", 100, 3),))
    comparison = compare_defects(Subject(Product.DEFECTS), [found])
    assert comparison.better is Better.FIRST and comparison.not_worse
    assert "first of its kind" in comparison.text
