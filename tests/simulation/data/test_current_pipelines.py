# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's pipelines, as `pipetask run` executes them, and their statistics."""

from __future__ import annotations

from typing import Any

import pytest
from lsst.daf.butler import Butler, CollectionType
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.products import Product

from .conftest import Observatory

PIPELINES = GENERATIONS["current"]
REFERENCES = "LATISS/calib"
PASSED = {"SUCCESS": True}


def generate(
    observatory: Observatory, product: Product, exposures: list[int], inputs: str = REFERENCES
) -> str:
    """Make a product; return the job's collection."""
    generator = PIPELINES.generators[product]
    job = f"{product}{exposures[0]}"
    butler = observatory.run(job, generator.path, inputs, exposures)
    if generator.per_exposure:
        used = butler.query_datasets(generator.per_exposure)
        assert {ref.dataId["exposure"] for ref in used} == set(exposures)
    return f"u/ocps/{job}"


def verify(observatory: Observatory, product: Product, exposures: list[int], inputs: str) -> Butler:
    """Verify a product; return a Butler on what was found."""
    verifier = PIPELINES.verifiers[product]
    butler = observatory.run(f"verify{product}{exposures[0]}", verifier.path, inputs, exposures)
    if verifier.per_exposure:
        used = butler.query_datasets(verifier.per_exposure)
        assert {ref.dataId["exposure"] for ref in used} == set(exposures)
    return butler


def statistics(butler: Butler, product: Product, **data_id: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = butler.get(PIPELINES.verifiers[product].statistics, data_id, instrument="LATISS")
    return found


def all_passed(exposures: list[int]) -> dict[Any, Any]:
    return dict.fromkeys(exposures, PASSED) | PASSED


@pytest.mark.slow
def test_three_exposures_of_each_type_make_calibrations_that_pass(current_observatory: Observatory) -> None:
    observatory = current_observatory
    observatory.butler.collections.register("LATISS/calib/few", CollectionType.CALIBRATION)
    inputs = f"LATISS/calib/few,{REFERENCES}"

    # Given few biases and darks, when they are combined and certified, then
    # they pass: noise that is too low is not a failure.
    for product, times in ((Product.BIAS, [0.0] * 3), (Product.DARK, [1.0] * 3)):
        exposures = observatory.take(product, times)
        made = generate(observatory, product, exposures, inputs)
        observatory.certify(made.removeprefix("u/ocps/"), product.lower(), "LATISS/calib/few")
        butler = verify(observatory, product, exposures, f"{made},{REFERENCES}")
        assert statistics(butler, product) == all_passed(exposures)

    # Given flats through two filters, then each has statistics of its own.
    taken = {name: observatory.take("FLAT", [5.0] * 3, f"{name}_65mm") for name in ("SDSSg", "SDSSr")}
    exposures = [exposure for some in taken.values() for exposure in some]
    made = generate(observatory, Product.FLAT, exposures, inputs)
    observatory.certify(made.removeprefix("u/ocps/"), "flat", "LATISS/calib/few")
    butler = verify(observatory, Product.FLAT, exposures, f"{made},{inputs}")
    for name, some in taken.items():
        found = statistics(butler, Product.FLAT, physical_filter=f"{name}_65mm~empty_1")
        assert found == all_passed(some)


@pytest.mark.slow
def test_exposures_that_fail_say_so(current_observatory: Observatory) -> None:
    # Given a bias, and a flat that passes for one,
    good, bad = current_observatory.take("BIAS", [0]) + current_observatory.take("FLAT", [1])
    found = statistics(verify(current_observatory, Product.BIAS, [good, bad], REFERENCES), Product.BIAS)
    # then the flat's level and noise fail.
    assert found[good] == PASSED
    assert found[bad]["SUCCESS"] is False
    assert {"RXX_S00 C00 MEAN", "RXX_S00 C00 NOISE"} <= set(found[bad]["FAILURES"])
    assert found["SUCCESS"] is False


@pytest.mark.slow
def test_defects_of_two_filters_are_merged_and_pass(current_observatory: Observatory) -> None:
    # Given what defects are built on, its flats through two filters,
    observatory, inputs = current_observatory, REFERENCES
    taken = {
        Product.BIAS_BOOTSTRAP: observatory.take("BIAS", [0] * 2),
        Product.DARK_BOOTSTRAP: observatory.take("DARK", [10] * 2),
        Product.FLAT_BOOTSTRAP: observatory.take("FLAT", [2] * 2, "SDSSg_65mm")
        + observatory.take("FLAT", [2] * 2, "SDSSr_65mm"),
    }
    for product, some in taken.items():
        inputs = f"{generate(observatory, product, some, inputs)},{inputs}"
    # when defects are made and verified,
    exposures = [exposure for some in taken.values() for exposure in some]
    made = generate(observatory, Product.DEFECTS, exposures, inputs)
    butler = verify(observatory, Product.DEFECTS, exposures, f"{made},{REFERENCES}")
    # then each filter gave some, and every exposure passes.
    by_filter = observatory.butler.clone(collections=f"{made}/run").query_datasets(
        "cpDefectsFromFlatBootstrap"
    )
    assert len(by_filter) == 2
    assert statistics(butler, Product.DEFECTS) == all_passed(exposures)


@pytest.mark.slow
def test_curve_and_gains_are_verified_by_detector(current_observatory: Observatory) -> None:
    # Given pairs, one of them saturated,
    exposures = current_observatory.take("FLAT", [5, 5, 20, 20, 45, 45])
    # when curve and gains are made and verified, then both pass.
    for product in (Product.PTC, Product.GAIN):
        made = generate(current_observatory, product, exposures)
        butler = verify(current_observatory, product, exposures, f"{made},{REFERENCES}")
        assert statistics(butler, product) == {"RXX_S00": PASSED} | PASSED
