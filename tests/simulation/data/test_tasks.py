# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks by themselves, without a repository."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.time import Time
from lsst.pex.config import FieldValidationError
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, Instrument
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import Box, Defects, PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.raws import RawHeader
from lsst.ts.calibrationscripts.simulation.tasks.flat_gradients import ApplyGradientsTask, FitGradientsTask
from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrConfig, IsrTask
from lsst.ts.calibrationscripts.simulation.tasks.merge import MergeExposureTask, MergeRunTask
from lsst.ts.calibrationscripts.simulation.tasks.ptc import PtcSolveTask
from lsst.ts.calibrationscripts.simulation.tasks.verify import (
    VerifyFlatTask,
    VerifyReadNoiseConfig,
    VerifyReadNoiseTask,
)

NOW = Time("2026-11-23T18:00:00", scale="tai")


@pytest.fixture(scope="module")
def ccd() -> CcdModel:
    return CcdModel(LATISS.detectors[0], scale=8, seed=3)


def raw(ccd: CcdModel, image_type: str, exp_time: float, exposure_id: int = 1) -> Exposure:
    return Exposure(
        ccd.expose(image_type, exp_time, exposure_id),
        ccd.detector.to_metadata() | {"DARKTIME": exp_time, "EXPTIME": exp_time, "IMGTYPE": image_type},
    )


def noisy(ccd: CcdModel, noise: float = 1.0, mean: float = 0.0) -> Exposure:
    """Make a corrected image with so many times the nominal read noise."""
    pixels = np.random.default_rng(4).standard_normal(ccd.detector.shape)
    for amplifier in ccd.detector:
        pixels[amplifier.section] *= noise * amplifier.read_noise / amplifier.gain
    overscan = {f"OSNS{amplifier.name}": amplifier.read_noise / amplifier.gain for amplifier in ccd.detector}
    metadata = ccd.detector.to_metadata() | {"OVERSCAN": 0} | overscan
    return Exposure((pixels + mean).astype(np.float32), metadata)


def failures(statistics: dict[str, Any]) -> set[str]:
    return {
        test
        for outcome in statistics["VERIFY"]["AMP"].values()
        for test, passed in outcome.items()
        if not passed
    } - {"SUCCESS"}


def test_the_overscan_is_subtracted_cut_off_and_measured(ccd: CcdModel) -> None:
    image = IsrTask().run(raw(ccd, "BIAS", 0)).outputExposure
    assert image.image.array.shape == ccd.detector.shape
    assert image.image.array.dtype == np.float32
    np.testing.assert_allclose(image.image.array.mean(), ccd.truth.bias.mean(), atol=0.2)
    assert image.metadata["OSNSC03"] * ccd.truth.gain["C03"] == pytest.approx(
        ccd.truth.read_noise["C03"], rel=0.05
    )
    assert image.metadata["ISRMEAN"] == pytest.approx(image.image.array.mean(), rel=1e-4)


def test_all_corrections_leave_a_flat_flat(ccd: CcdModel) -> None:
    truth, trimmed = ccd.truth, ccd.detector.to_metadata()
    gain = ccd.detector.per_segment(truth.gain)
    dark, flat = (
        Exposure((ccd.detector.segments(electrons) / gain).reshape(ccd.detector.shape), trimmed)
        for electrons in (truth.dark, truth.response)
    )
    defects = Defects.from_mask(truth.dead, 0)
    image = IsrTask().run(raw(ccd, "FLAT", 5), Exposure(truth.bias, trimmed), dark, flat, defects)
    array = image.outputExposure.image.array
    assert np.isnan(array[truth.dead]).all()
    means = [np.nanmean(array[amplifier.section]) for amplifier in ccd.detector]
    np.testing.assert_allclose(means, np.mean(means), rtol=2e-3)


@pytest.mark.parametrize("name", ["doCrosstalk", "doLinearize", "doBrighterFatter"])
def test_corrections_of_what_is_not_simulated_are_refused(name: str) -> None:
    config = IsrConfig()
    config.update(**{name: False})
    config.validate()
    config.update(**{name: True})
    with pytest.raises(FieldValidationError, match=name):
        config.validate()


def test_nominal_read_noise_passes(ccd: CcdModel) -> None:
    statistics = VerifyReadNoiseTask().run(noisy(ccd)).outputStats
    assert statistics["SUCCESS"] is True
    assert set(statistics["AMP"]["C00"]) == {"MEAN", "NOISE", "CR_NOISE"}
    assert statistics["VERIFY"]["AMP"]["C00"] == {
        "MEAN": True,
        "NOISE": True,
        "CR_NOISE": True,
        "SUCCESS": True,
        "READ_NOISE_CONSISTENT": True,
    }


@pytest.mark.parametrize(("noise", "two_sided", "failed"), [
    (1.08, True, {"NOISE"}),
    (1.08, False, {"NOISE"}),
    # A bias of three frames leaves sqrt(1 - 1/3) of the noise of each.
    (np.sqrt(2 / 3), True, {"NOISE"}),
    (np.sqrt(2 / 3), False, set()),
    (np.sqrt(19 / 20), True, set()),
])  # fmt: skip
def test_noise_is_compared_with_the_nominal_one(
    ccd: CcdModel, noise: float, two_sided: bool, failed: set[str]
) -> None:
    config = VerifyReadNoiseConfig()
    config.noiseTwoSided = two_sided
    assert failures(VerifyReadNoiseTask(config=config).run(noisy(ccd, noise)).outputStats) == failed


def test_a_level_above_the_noise_fails(ccd: CcdModel) -> None:
    assert failures(VerifyReadNoiseTask().run(noisy(ccd, mean=20.0)).outputStats) == {"MEAN"}


def test_a_cosmic_ray_is_removed_and_many_faint_ones_fail(ccd: CcdModel) -> None:
    image = noisy(ccd)
    image.image.array[100, 100:105] += 2000.0
    assert failures(VerifyReadNoiseTask().run(image).outputStats) == set()
    hit = np.random.default_rng(5).random(image.image.array.shape) < 0.01
    image.image.array[hit] += 37.0
    assert "CR_NOISE" in failures(VerifyReadNoiseTask().run(image).outputStats)


def test_what_is_not_a_number_fails_its_tests_and_the_job_does_not(ccd: CcdModel) -> None:
    # Given an amplifier without a pixel, its statistics are not numbers.
    image = noisy(ccd)
    dead = ccd.detector.amplifiers[5]
    image.image.array[dead.section] = np.nan
    outcome = VerifyReadNoiseTask().run(image).outputStats["VERIFY"]["AMP"]
    # Then all three comparisons are False, as in cp_verify 5855743,
    # verifyBias.py: PROCESSING is there only if a task has raised.
    assert outcome[dead.name] == {
        "MEAN": False,
        "NOISE": False,
        "CR_NOISE": False,
        "SUCCESS": False,
        "READ_NOISE_CONSISTENT": True,
    }
    assert outcome["C00"]["SUCCESS"]


def test_overscan_noise_is_listed_only_where_a_test_has_failed(ccd: CcdModel) -> None:
    # Given overscans that are noisier than their amplifiers,
    image = noisy(ccd, 1.08)
    good, bad = ccd.detector.amplifiers[:2]
    image.image.array[good.section] = noisy(ccd).image.array[good.section]
    image.metadata |= {f"OSNS{each.name}": 2 * each.read_noise / each.gain for each in (good, bad)}
    statistics = VerifyReadNoiseTask().run(image).outputStats
    # then that fails no amplifier and is listed with what failed, as by
    # cp_verify 5855743, mergeResults.py.
    assert statistics["VERIFY"]["AMP"][good.name]["READ_NOISE_CONSISTENT"] is False
    failures = MergeExposureTask().run({"RXX_S00": statistics}).outputStats["RXX_S00"]["FAILURES"]
    assert [failure for failure in failures if failure.startswith((good.name, bad.name))] == [
        f"{bad.name} NOISE",
        f"{bad.name} READ_NOISE_CONSISTENT",
    ]


def test_a_flat_is_compared_with_poisson_noise_and_its_scatter(ccd: CcdModel) -> None:
    rng = np.random.default_rng(6)
    metadata = ccd.detector.to_metadata() | {"OVERSCAN": 0}
    array = rng.normal(20_000.0, 0.9 * np.sqrt(20_000.0), ccd.detector.shape)
    good = VerifyFlatTask().run(Exposure(array, metadata)).outputStats
    assert good["SUCCESS"] is True
    assert good["DET"]["SCATTER"] < 10

    array[ccd.detector.amplifiers[0].section] *= 1.4
    bad = VerifyFlatTask().run(Exposure(array, metadata)).outputStats
    assert bad["VERIFY"]["DET"] == {"SCATTER": False, "SUCCESS": False}
    assert failures(bad) == {"NOISE"}
    merged = MergeExposureTask().run({"RXX_S00": bad}).outputStats
    assert merged == {"RXX_S00": {"SUCCESS": False, "FAILURES": ["SCATTER", "C00 NOISE"]}, "SUCCESS": False}


@pytest.mark.parametrize(("says_false", "failed"), [
    (False, {"FAILURES": ["RXX_S00 C00 NOISE", "RXX_S00 SCATTER"]}),
    (True, {"SUCCESS": False, "FAILURES": ["RXX_S00 C00 NOISE", "RXX_S00 SCATTER"]}),
])  # fmt: skip
def test_run_statistics_have_the_shape_of_their_generation(says_false: bool, failed: dict[str, Any]) -> None:
    task = MergeRunTask()
    task.config = MergeRunTask.ConfigClass()
    task.config.failureHasSuccess = says_false
    by_exposure = {
        2026112300002: {"RXX_S00": {"SUCCESS": True}, "SUCCESS": True},
        2026112300001: {
            "RXX_S00": {"SUCCESS": False, "FAILURES": ["C00 NOISE", "SCATTER"]},
            "SUCCESS": False,
        },
    }
    assert task.run(by_exposure).outputStats == {
        2026112300001: failed,
        2026112300002: {"SUCCESS": True},
        "SUCCESS": False,
    }


def test_a_curve_without_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="there is nothing to fit"):
        PtcSolveTask().run([PhotonTransferCurve(ptcFitType="DUMMY")])


def test_a_box_is_a_rectangle() -> None:
    assert Defects(detector=0, boxes=(Box(1, 2, 3, 4),)).mask((10, 10)).sum() == 12


class Stored:
    """What a task reads as it needs it."""

    def __init__(self, detector: int, what: Any) -> None:
        self.dataId, self._what = {"detector": detector}, what

    def get(self) -> Any:
        return self._what


def test_flats_of_lsstcam_are_normalized_in_the_middle_of_the_focal_plane(ccd: CcdModel) -> None:
    # Given flats of which one of the middle is twice as bright, and has a
    # defect, and defects of more detectors than there are flats,
    flats = {level: Exposure(np.full((8, 8), level, np.float32), {}) for level in (1.0, 2.0)}
    flats[2.0].image.array[3, 3] = 900.0
    stored = [Stored(0, flats[1.0]), Stored(94, flats[2.0])]
    defects = [Stored(i, Defects(detector=i, boxes=(Box(3, 3, 1, 1),))) for i in (0, 1, 94)]
    # when the gradient is measured and applied,
    gradient = FitGradientsTask().run(stored, defects).output_gradient
    made = ApplyGradientsTask().run(flats[1.0], {}, gradient).output_flat
    # then the others are relative to that one.
    np.testing.assert_array_equal(made.image.array, np.full((8, 8), 0.5, np.float32))
    # As the real task (cp_pipe f029a3f2), it has nothing to fit without it.
    with pytest.raises(ValueError, match="middle"):
        FitGradientsTask().run(stored[:1], defects)


def test_the_butler_has_the_time_that_the_shutter_of_lsstcam_was_open() -> None:
    # obs_lsst 0e84d755: translators/lsstCam.py takes SHUTTIME, if it is not 0,
    # translators/latiss.py EXPTIME.
    def header(camera: Instrument, image_type: str, number: int) -> dict[str, Any]:
        obs_id = f"{camera.image_prefix}_O_20261123_{number:06d}"
        return RawHeader(camera, obs_id, image_type, 5.0, NOW, NOW).to_metadata()

    measured = [header(LSSTCAM, "FLAT", number)["SHUTTIME"] for number in range(1, 21)]
    assert {header(LSSTCAM, "FLAT", number)["EXPTIME"] for number in range(1, 21)} == {5.0}
    assert len(set(measured)) > 1
    # No pair is lost for that.
    assert max(measured) - min(measured) < 0.005
    assert header(LSSTCAM, "DARK", 1)["SHUTTIME"] == 0.0
    assert header(LATISS, "FLAT", 1)["SHUTTIME"] == 5.0
