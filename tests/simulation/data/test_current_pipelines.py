# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's pipelines, as `pipetask run` executes them, and their statistics."""

from __future__ import annotations

from typing import Any

import pytest
from lsst.daf.butler import Butler, CollectionType, Timespan
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
    butler = observatory.run(job, generator.path, inputs, exposures, *generator.workarounds)
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
def test_flats_that_fail_are_written_as_the_real_merge_writes_them(current_observatory: Observatory) -> None:
    # Given a flat, and a bias that passes for one,
    good, bad = current_observatory.take("FLAT", [5.0]) + current_observatory.take("BIAS", [0.0])
    butler = verify(current_observatory, Product.FLAT, [good, bad], REFERENCES)
    # then the run statistics hide what failed: CpVerifyRunMergeByFilterTask
    # looks at the exposure's own VERIFY alone (cp_verify 5855743,
    # mergeResults.py),
    of_filter = {"instrument": "LATISS", "physical_filter": "empty_1~empty_1"}
    assert butler.get("verifyFlatStats", of_filter) == {
        good: PASSED,
        bad: {"SUCCESS": False, "FAILURES": []},
        "SUCCESS": False,
    }
    # and those of the exposure list it.
    by_exposure = {
        exposure: butler.get("verifyFlatExpStats", instrument="LATISS", exposure=exposure)
        for exposure in (good, bad)
    }
    whole = {"EXP": {"SCATTER": 0.0}, "VERIFY": {"EXP": {"SCATTER": True}}}
    assert by_exposure[good] == {"RXX_S00": PASSED, **whole, "SUCCESS": True}
    failures = by_exposure[bad]["RXX_S00"].pop("FAILURES")
    assert by_exposure[bad] == {"RXX_S00": {"SUCCESS": False}, **whole, "SUCCESS": False}
    assert "C00 NOISE" in failures


@pytest.mark.slow
def test_one_bias_combined_fails_and_its_job_does_not(current_observatory: Observatory) -> None:
    # Given one bias, combined, then nothing is left of it: 0 / 0.
    (exposure,) = current_observatory.take("BIAS", [0.0])
    made = generate(current_observatory, Product.BIAS, [exposure])
    butler = verify(current_observatory, Product.BIAS, [exposure], f"{made},{REFERENCES}")
    found = statistics(butler, Product.BIAS)
    assert found["SUCCESS"] is found[exposure]["SUCCESS"] is False
    amplifiers = [amplifier.name for amplifier in current_observatory.ccd.detector]
    for test in ("MEAN", "CR_NOISE"):
        assert {f"RXX_S00 {name} {test}" for name in amplifiers} <= set(found[exposure]["FAILURES"])


@pytest.mark.slow
def test_defects_of_two_filters_are_merged(current_observatory: Observatory) -> None:
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
    # when defects are made,
    exposures = [exposure for some in taken.values() for exposure in some]
    made = generate(observatory, Product.DEFECTS, exposures, inputs)
    # then each filter gave some.
    outputs = observatory.butler.clone(collections=f"{made}/run")
    assert len(outputs.query_datasets("cpDefectsFromFlatBootstrap")) == 2
    assert len(outputs.query_datasets("defects")) == 1


@pytest.mark.slow
def test_a_curve_is_verified_by_detector(current_observatory: Observatory) -> None:
    # Given pairs, one of them saturated,
    exposures = current_observatory.take("FLAT", [5, 5, 20, 20, 45, 45])
    # when a curve is made and verified, then it passes.
    made = generate(current_observatory, Product.PTC, exposures)
    butler = verify(current_observatory, Product.PTC, exposures, f"{made},{REFERENCES}")
    assert statistics(butler, Product.PTC) == {"RXX_S00": PASSED} | PASSED


@pytest.mark.slow
def test_gains_come_from_neighbours(current_observatory: Observatory) -> None:
    # Given times that are pairs, or not, by their order,
    exposures = current_observatory.take("FLAT", [5, 5, 5, 2, 5, 2, 1, 1.004])
    made = generate(current_observatory, Product.GAIN, exposures)
    # then there is one dataset for the first flat of each pair, and no other.
    outputs = current_observatory.butler.clone(collections=f"{made}/run")
    refs = outputs.query_datasets("cpPtcPartial")
    assert {ref.dataId["exposure"] for ref in refs} == {exposures[0], exposures[6]}


@pytest.mark.slow
def test_without_the_workaround_a_curve_asks_for_what_does_not_exist(
    current_observatory: Observatory, caplog: pytest.LogCaptureFixture
) -> None:
    exposures = current_observatory.take("FLAT", [5, 5])
    generator = PIPELINES.generators[Product.GAIN]
    code, _ = current_observatory.pipetask("noEfd", generator.path, REFERENCES, exposures)
    assert code == 1
    assert "no photodiode data" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["crosstalk", "linearizer", "ptc"])
def test_a_job_fails_without_its_prerequisites(current_observatory: Observatory, missing: str) -> None:
    # Given a collection that has all but one,
    observatory, collection = current_observatory, f"LATISS/calib/no_{missing}"
    observatory.butler.collections.register(collection, CollectionType.CALIBRATION)
    refs = [
        ref
        for name in PIPELINES.generators[Product.BIAS].prerequisites
        if name != missing
        for ref in observatory.butler.query_datasets(name, collections=f"{REFERENCES}/reference")
    ]
    observatory.butler.registry.certify(collection, refs, Timespan(None, None))
    # then a bias cannot be made with it.
    path, exposures = PIPELINES.generators[Product.BIAS].path, observatory.take("BIAS", [0, 0])
    code, output = observatory.pipetask(f"no_{missing}", path, collection, exposures)
    assert code == 1
    assert f"cpBiasIsr.{missing}" in output


@pytest.mark.slow
def test_defects_are_verified_by_visit_and_calibration_frames_have_none(
    current_observatory: Observatory, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a flat, which is not on the sky (obs_base defines visits of those),
    observatory = current_observatory
    (exposure,) = observatory.take("FLAT", [5.0])
    path = "${CP_VERIFY_DIR}/pipelines/{folder}/verifyDefects.yaml"
    # then there is nothing to verify: verifyDefectsLSST.yaml merges by visit
    # (cp_verify 5855743, mergeResults.py),
    observatory.pipetask("noVisit", path, REFERENCES, [exposure])
    assert "QuantumGraph will be empty" in caplog.text
    assert "QuantumGraph contains no quanta" in caplog.text
    # and with a visit there would be.
    define_visit(observatory, exposure)
    butler = observatory.run("visit", path, REFERENCES, [exposure])
    of_visit = {"instrument": "LATISS", "visit": exposure}
    assert butler.get("verifyDefectsExpStats", of_visit) == {str(exposure): PASSED} | PASSED
    assert butler.get("verifyDefectsStats", instrument="LATISS") == {exposure: PASSED} | PASSED


def define_visit(observatory: Observatory, exposure: int) -> None:
    """Define the visit of an exposure, as if it were on the sky."""
    registry = observatory.butler.registry
    (record,) = observatory.butler.query_dimension_records("exposure", instrument="LATISS", exposure=exposure)
    visit = {
        "instrument": "LATISS",
        "id": exposure,
        "name": record.obs_id,
        "physical_filter": record.physical_filter,
        "day_obs": record.day_obs,
        "timespan": record.timespan,
    }
    registry.syncDimensionData("visit", visit)
    registry.insertDimensionData(
        "visit_definition", {"instrument": "LATISS", "exposure": exposure, "visit": exposure}
    )
