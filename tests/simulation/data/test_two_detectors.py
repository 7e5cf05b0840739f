# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository and the pipelines of a camera of two detectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lsst.daf.butler import CollectionType
from lsst.ts.calibrationscripts.instruments import Detector
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.products import Product, Subject
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel, FocalPlane
from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrTask
from lsst.ts.calibrationscripts.verification import Verdict, judge
from made_up_camera import DUO, EIGHT

from .conftest import Observatory

PIPELINES = GENERATIONS["current"]
REFERENCES = "Duo/calib"
NAMES = ["R00_S00", "R00_S01"]


@pytest.fixture(scope="module")
def duo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    observatory = Observatory(tmp_path_factory.mktemp("duo") / "repo", "current", instrument=DUO, scale=16)
    yield observatory
    observatory.close()


def test_detectors_have_their_amplifiers_and_differ() -> None:
    first, second = FocalPlane(DUO, scale=8).ccds.values()
    assert [amplifier.name for amplifier in first.detector] == list(EIGHT)
    assert first.detector.shape == (250, 512)
    assert (first.detector.name, second.detector.name) == ("R00_S00", "R00_S01")
    assert first.truth.gain != second.truth.gain
    assert not np.array_equal(first.truth.hot, second.truth.hot)
    assert not np.array_equal(first.expose("BIAS", 0, 1), second.expose("BIAS", 0, 1))


def test_rows_of_amplifiers_are_counted_from_the_lowest() -> None:
    # Given three rows of two amplifiers,
    names = tuple(f"C{row}{column}" for row in range(3) for column in range(2))
    ccd = CcdModel(Detector(5, "R01_S11", names), scale=32)
    # then row 2 is the lowest, in the image and after the correction.
    assert {a.name: a.index for a in ccd.detector}["C21"] == (0, 1)
    assert ccd.detector.shape == (3 * ccd.detector.amp_height, 2 * ccd.detector.amp_width)
    raw = ccd.expose("BIAS", 0, 1)
    raw[: ccd.detector.amp_height] += 1000
    from lsst.ts.calibrationscripts.simulation.exposure import Exposure

    image = IsrTask().run(Exposure(raw, ccd.detector.to_metadata())).outputExposure
    noise = image.metadata["OSNSC21"] * ccd.truth.gain["C21"]
    assert noise == pytest.approx(ccd.truth.read_noise["C21"], rel=0.1)
    assert image.metadata["OSLVC20"] > ccd.truth.bias_level["C20"] + 900


def test_amplifiers_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="R01_S11: amplifiers C00, C11 do not fill rows and columns"):
        CcdModel(Detector(5, "R01_S11", ("C00", "C11")))


def test_every_detector_has_raws_and_references(duo: Observatory) -> None:
    (exposure,) = duo.take("FLAT", [5], filter_name="SDSSr_65mm")
    (record,) = duo.butler.query_dimension_records("exposure", instrument="Duo", exposure=exposure)
    assert record.physical_filter == "SDSSr_65mm"
    butler = duo.butler.clone(collections=["Duo/raw/all", REFERENCES])
    for detector, ccd in duo.ccds.items():
        data_id = {"instrument": "Duo", "detector": detector, "exposure": exposure}
        raw = butler.get("raw", data_id)
        assert np.array_equal(raw.image.array, ccd.expose("FLAT", 5, exposure, "SDSSr_65mm"))
        assert raw.detector.name == NAMES[detector]
        assert butler.get("ptc", data_id).gain == ccd.truth.gain
        for name in ("bias", "dark", "flat", "defects"):
            assert butler.get(name, data_id)


def verify(duo: Observatory, product: Product, exposures: list[int], inputs: str, **of: Any) -> Verdict:
    """Verify a product; return what the procedure's rule makes of it."""
    verifier = PIPELINES.verifiers[product]
    butler = duo.run(f"verify{product}{exposures[0]}", verifier.path, inputs, exposures)
    statistics = butler.get(verifier.statistics, of, instrument="Duo")
    return judge(statistics, Subject(product), n_detectors=2, threshold=4, key=verifier.key)


@pytest.mark.slow
def test_biases_of_both_detectors_are_combined_verified_and_judged(duo: Observatory) -> None:
    # Given three biases, when they are combined,
    exposures = duo.take("BIAS", [0, 0, 0])
    generator = PIPELINES.generators[Product.BIAS]
    made = duo.run("makeBias", generator.path, REFERENCES, exposures)
    assert len(made.query_datasets(generator.per_exposure)) == 6
    # then each detector has its own bias, which can be certified,
    duo.butler.collections.register("Duo/calib/daily", CollectionType.CALIBRATION)
    duo.certify("makeBias", "bias", "Duo/calib/daily")
    daily = duo.butler.clone(collections="Duo/calib/daily")
    for detector, ccd in duo.ccds.items():
        bias = daily.get("bias", instrument="Duo", detector=detector, exposure=exposures[0])
        assert abs(np.mean(bias.image.array - ccd.truth.bias)) < 0.2
    # and passes.
    verdict = verify(duo, Product.BIAS, exposures, f"Duo/calib/daily,{REFERENCES}")
    assert verdict.passed
    assert [result.exposure for result in verdict.results] == exposures


@pytest.mark.slow
def test_one_frame_of_one_detector_keeps_a_job_from_what_it_does_with_all(duo: Observatory) -> None:
    # Given biases of which one file is cut off, when they are verified,
    exposures = duo.take("BIAS", [0, 0])
    (ref,) = duo.butler.query_datasets(
        "raw", "Duo/raw/all", where=f"instrument = 'Duo' AND detector = 1 AND exposure = {exposures[1]}"
    )
    path = Path(duo.butler.getURI(ref).ospath)
    path.write_bytes(path.read_bytes()[:2880])
    verifier = PIPELINES.verifiers[Product.BIAS]
    code, _ = duo.pipetask("cutOff", verifier.path, REFERENCES, exposures)
    # then the real pipetask merges nothing of that exposure, nor of the run,
    # and tells by what it has made of each frame which detector it was.
    assert code == 1
    run = "u/ocps/cutOff/run"
    assert verifier.per_exposure is not None
    made = duo.butler.query_datasets(verifier.per_exposure, run)
    assert {(ref.dataId["exposure"], ref.dataId["detector"]) for ref in made} == {
        (exposures[0], 0),
        (exposures[0], 1),
        (exposures[1], 0),
    }
    (merged,) = duo.butler.query_datasets("verifyBiasExpStats", run)
    assert merged.dataId["exposure"] == exposures[0]
    assert not duo.butler.query_datasets(verifier.statistics, run, explain=False)


@pytest.mark.slow
def test_failures_name_each_detector(duo: Observatory) -> None:
    # Given a flat, when it is verified as a bias, then both detectors fail.
    exposures = duo.take("FLAT", [1])
    verdict = verify(duo, Product.BIAS, exposures, REFERENCES)
    assert not verdict.passed
    (result,) = verdict.results
    failed = {(test.detector, test.amplifier) for test in result.failures if test.test == "NOISE"}
    assert failed == {(name, amplifier) for name in NAMES for amplifier in EIGHT}


@pytest.mark.slow
def test_curves_of_both_detectors_are_true_and_judged(duo: Observatory) -> None:
    # Given flat pairs, when a curve is made and verified,
    exposures = duo.take("FLAT", [5, 5, 10, 10, 25, 25], filter_name="SDSSr_65mm")
    generator = PIPELINES.generators[Product.PTC]
    duo.run("makePtc", generator.path, REFERENCES, exposures, *generator.workarounds)
    made = duo.butler.clone(collections="u/ocps/makePtc/run")
    # then each detector has its own gains,
    for detector, ccd in duo.ccds.items():
        curve = made.get("ptc", instrument="Duo", detector=detector)
        errors = [curve.gain[name] / gain - 1 for name, gain in ccd.truth.gain.items()]
        assert list(curve.gain) == list(EIGHT)
        assert abs(np.median(errors)) < 0.02
    # and both pass.
    assert verify(duo, Product.PTC, exposures, f"u/ocps/makePtc,{REFERENCES}").passed
