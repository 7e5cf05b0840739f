# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of both generations of pipelines, and the CCD's truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from lsst.ts.calibrationscripts.pipelines import GENERATIONS, PipelineSet
from lsst.ts.calibrationscripts.products import Product
from lsst.ts.calibrationscripts.simulation.ccd import FLAT_FLUX
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve

from .conftest import Observatory

DETECTOR = {"instrument": "LATISS", "detector": 0}
REFERENCES = "LATISS/calib"

Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Site:
    """An observatory, and which pipelines there are."""

    generation: str
    observatory: Observatory

    @property
    def pipelines(self) -> PipelineSet:
        return GENERATIONS[self.generation]

    def options(self, product: Product) -> tuple[str, ...]:
        generator = self.pipelines.generators[product]
        return generator.workarounds + generator.options


@pytest.fixture(params=list(GENERATIONS))
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "current":
        yield Site("current", request.getfixturevalue("current_observatory"))
    else:
        yield Site("2022", request.getfixturevalue("observatory"))


def errors(measured: Mapping[str, float], truth: Mapping[str, float]) -> np.ndarray:
    """Relative errors by amplifier."""
    return np.array([measured[name] / truth[name] - 1 for name in truth])


def described(errors: np.ndarray) -> str:
    return f"median error {np.median(errors):+.2%}, largest {np.abs(errors).max():.2%}"


@pytest.mark.slow
def test_gains_of_a_flat_pair_are_true(site: Site, record_property: Record) -> None:
    exposures = site.observatory.take("FLAT", [5, 5, 5, 1.2])
    generator = site.pipelines.generators[Product.GAIN]
    options = site.options(Product.PTC)
    butler = site.observatory.run("gain", generator.path, REFERENCES, exposures, *options)
    pair, *others = (
        butler.get(generator.dataset_type, ref.dataId)
        for ref in sorted(
            butler.query_datasets(generator.dataset_type), key=lambda ref: ref.dataId["exposure"]
        )
    )
    gain = errors(pair.gain, site.observatory.ccd.truth.gain)
    noise = errors(pair.noise, site.observatory.ccd.truth.read_noise)
    record_property(f"gain of a flat pair ({site.generation})", described(gain))
    assert abs(np.median(gain)) < 0.02
    assert abs(np.median(noise)) < 0.02
    assert pair.inputExpIdPairs["C00"] == [tuple(exposures[:2])]
    # In 2022 the other flats had dummies; today they have nothing.
    dummies = 3 if site.generation == "2022" else 0
    assert others == [PhotonTransferCurve(ptcFitType="DUMMY")] * dummies
    assert not butler.query_datasets("ptc", explain=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "times", [(5, 10, 15, 20, 25, 30, 35, 45), (0.1, 0.35, 0.6, 0.8, 1.0, 1.35, 1.6)], ids=["long", "short"]
)
def test_a_photon_transfer_curve_is_true(
    site: Site, times: tuple[float, ...], record_property: Record
) -> None:
    exposures = site.observatory.take("FLAT", [time for time in times for _ in range(2)])
    curve = solve(site, f"ptc{times[0]}", exposures)
    truth = site.observatory.ccd.truth
    gain = errors(curve.gain, truth.gain)
    record_property(
        f"gain of a curve, {len(times)} pairs of {times[0]} to {times[-1]} s ({site.generation})",
        described(gain),
    )
    assert abs(np.median(gain)) < 0.01
    assert abs(np.median(errors(curve.noise, truth.read_noise))) < 0.02
    assert curve.rawExpTimes["C00"] == list(times)
    assert curve.inputExpIdPairs["C00"] == list(zip(exposures[::2], exposures[1::2], strict=True))
    # Only pairs that saturate are above the turn-off.
    assert curve.expIdMask["C00"] == [FLAT_FLUX * time < truth.full_well for time in times]
    assert curve.ptcTurnoff["C00"] * truth.gain["C00"] < truth.full_well


@pytest.mark.slow
def test_an_outlying_pair_does_not_spoil_the_curve(site: Site, record_property: Record) -> None:
    # Given six pairs, with a lamp that fails in one frame of the third,
    times = [2, 2, 4, 4, 6]
    exposures = site.observatory.take("FLAT", times)
    exposures += site.observatory.take("FLAT", [6], lamp=0.6)
    exposures += site.observatory.take("FLAT", [8, 8, 10, 10, 12, 12])
    # when a curve is fitted, then it leaves this pair out.
    curve = solve(site, "outlier", exposures)
    gain = errors(curve.gain, site.observatory.ccd.truth.gain)
    record_property(f"gain of a curve with an outlying pair ({site.generation})", described(gain))
    assert abs(np.median(gain)) < 0.01
    for name, used in curve.expIdMask.items():
        assert not used[2], name


def solve(site: Site, job: str, exposures: list[int]) -> PhotonTransferCurve:
    generator = site.pipelines.generators[Product.PTC]
    options = site.options(Product.PTC)
    butler = site.observatory.run(job, generator.path, REFERENCES, exposures, *options)
    curve: PhotonTransferCurve = butler.get(generator.dataset_type, DETECTOR)
    return curve


@pytest.mark.slow
def test_defects_are_those_of_the_ccd(site: Site, record_property: Record) -> None:
    # Given exposures of each type,
    taken = {
        "BIAS": site.observatory.take("BIAS", [0, 0, 0]),
        "DARK": site.observatory.take("DARK", [5, 5, 5, 10, 15, 20]),
        "FLAT": site.observatory.take("FLAT", [1.0, 1.0, 1.6]),
    }
    # when defects are made from them and what they are built on,
    generators, inputs = site.pipelines.generators, REFERENCES
    for product in (*generators[Product.DEFECTS].built_on, Product.DEFECTS):
        used = [exposure for frames in generators[product].frames for exposure in taken[frames.value]]
        path, options = generators[product].path, site.options(product)
        butler = site.observatory.run(f"make{product}", path, inputs, used, *options)
        inputs = f"u/ocps/make{product},{inputs}"
    # then they are those of the CCD.
    truth = site.observatory.ccd.truth
    mask = butler.get("defects", DETECTOR).mask(truth.hot.shape)
    bad = truth.hot | truth.dead
    record_property(
        f"defects ({site.generation})",
        f"hot pixels found {mask[truth.hot].mean():.1%}, dead {mask[truth.dead].mean():.1%}, "
        f"false {mask[~bad].mean():.5%}",
    )
    assert mask[truth.hot].mean() >= 0.95
    assert mask[truth.dead].mean() >= 0.95
    assert mask[~bad].mean() <= 0.001
