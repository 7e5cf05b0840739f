# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer curves are shown with the model that was fitted to them.

The stand-ins have the fields of ``PhotonTransferCurveDataset`` in lsst/ip_isr
d2a69bfd (python/lsst/ip/isr/ptcDataset.py, version 2.6), filled in as by
lsst/cp_pipe f029a3f2 (python/lsst/cp/pipe/ptc/cpPtcSolve.py): final values and
the model are NaN where the fit did not use a pair, ``ptcFitPars`` is NaN for
full covariances, whose model is kept for all pairs.
"""

from __future__ import annotations

import math
import types
from typing import Any, cast

import numpy as np
import pytest
from lsst.ts.calibrationscripts.butler._curves import points_of
from lsst.ts.calibrationscripts.butler._notes import Notes
from lsst.ts.calibrationscripts.butler._pictures import _Reader
from lsst.ts.calibrationscripts.outcomes import BadDetector, Cause, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.pages import curve_plot
from lsst.ts.calibrationscripts.products import Product
from lsst.ts.calibrationscripts.report import CurvePoints, RunReport
from lsst.ts.calibrationscripts.simulation.products import PhotonTransferCurve
from lsst.ts.calibrationscripts.simulation.tasks.ptc import PtcSolveTask
from lsst.ts.calibrationscripts.verification import judge
from named import stage

MEANS = np.array([1e3, 1e4, 5e4, 1.2e5])
USED = np.array([True, True, True, False])
GAIN, A00, NOISE_SQUARED = 1.6, -2.5e-6, 36.0


def by_equation_16(mean: np.ndarray) -> np.ndarray:
    """Evaluate the model as ip_isr's evalPtcModel does."""
    return 0.5 / (A00 * GAIN**2) * (np.exp(2 * A00 * mean * GAIN) - 1) + NOISE_SQUARED / GAIN**2


def dataset(fit: str, **changes: Any) -> Any:
    """Return a curve of one amplifier, whose variances are its model's."""
    model = by_equation_16(MEANS)
    fields: dict[str, Any] = {
        "rawMeans": MEANS,
        "rawVars": model * 1.001,
        "expIdMask": USED,
        "gain": GAIN,
        "gainUnadjusted": GAIN,
        "ptcTurnoff": 5e4,
        "finalMeans": np.where(USED, MEANS, np.nan),
        "finalVars": np.where(USED, model * 1.001, np.nan),
        "finalModelVars": np.where(USED, model, np.nan),
        "ptcFitPars": np.array([A00, GAIN, NOISE_SQUARED]),
        "covariancesModel": np.full((4, 1, 1), np.nan),
        **changes,
    }
    curve = types.SimpleNamespace(ptcFitType=fit)
    for name, value in fields.items():
        if value is not None:
            setattr(curve, name, {"C00": value})
    return curve


def residuals(points: CurvePoints) -> list[float]:
    return [variance / model - 1 for variance, model in zip(points.variances, points.expected(), strict=True)]


class TestTheModel:
    def test_is_that_of_the_dataset_also_where_the_fit_did_not_look(self) -> None:
        points = points_of(dataset("EXPAPPROXIMATION"), "C00")
        assert points.model == pytest.approx(by_equation_16(MEANS).tolist())
        assert residuals(points) == pytest.approx([0.001] * 4)
        assert points.turnoff == 5e4 and points.used == (True, True, True, False)

    def test_of_full_covariances_is_the_variance_of_its_matrices(self) -> None:
        # Given a fit that keeps no parameters
        covariances = np.full((4, 8, 8), -1.0)
        covariances[:, 0, 0] = by_equation_16(MEANS)
        curve = dataset("FULLCOVARIANCE", ptcFitPars=np.array([np.nan]), covariancesModel=covariances)
        assert points_of(curve, "C00").model == pytest.approx(by_equation_16(MEANS).tolist())

    def test_of_a_polynomial_is_evaluated_from_its_coefficients(self) -> None:
        curve = dataset("POLYNOMIAL", ptcFitPars=[40.0, 0.6, -1e-6], finalModelVars=None)
        assert points_of(curve, "C00").model == pytest.approx((40 + 0.6 * MEANS - 1e-6 * MEANS**2).tolist())

    def test_is_not_evaluated_with_a_gain_that_was_adjusted_since(self) -> None:
        points = points_of(dataset("EXPAPPROXIMATION", gain=1.1 * GAIN), "C00")
        assert points.gain == pytest.approx(1.1 * GAIN)
        assert residuals(points) == pytest.approx([0.001] * 4)

    @pytest.mark.parametrize(
        "changes",
        [
            # A bad amplifier, a model of other pairs, and a dataset of 2022
            # and before without any of it
            {"ptcFitPars": np.full(3, np.nan), "finalModelVars": np.full(4, np.nan)},
            {"ptcFitPars": np.array([np.nan]), "finalModelVars": np.ones(3)},
            {"ptcFitPars": None, "finalModelVars": None, "finalVars": None, "covariancesModel": None},
            {"ptcFitPars": [0.0, 0.0, 0.0], "finalModelVars": None},
            {"ptcFitPars": [1.0, 1e3, 0.0], "finalModelVars": None},
        ],
    )
    def test_that_is_not_known_is_replaced_by_photon_noise(self, changes: dict[str, Any]) -> None:
        points = points_of(dataset("EXPAPPROXIMATION", **changes), "C00")
        assert not points.has_model
        assert points.expected() == pytest.approx((MEANS / GAIN).tolist())

    def test_of_photon_noise_has_the_gain_of_the_fit(self) -> None:
        curve = dataset("EXPAPPROXIMATION", gain=2.0, ptcFitPars=None, finalModelVars=None)
        assert points_of(curve, "C00").expected() == pytest.approx((MEANS / GAIN).tolist())

    def test_without_a_gain_nothing_is_expected(self) -> None:
        curve = dataset(
            "EXPAPPROXIMATION", gain=np.nan, gainUnadjusted=np.nan, ptcFitPars=None, finalModelVars=None
        )
        assert all(map(math.isnan, points_of(curve, "C00").expected()))


class TestTheFigure:
    def test_names_the_model_and_draws_the_turnoff(self) -> None:
        picture = curve_plot([points_of(dataset("EXPAPPROXIMATION"), "C00")])
        assert picture is not None
        assert (
            "The line is the fitted model (EXPAPPROXIMATION); below, the residuals to it." in picture.caption
        )
        assert "The dotted line is the turn-off." in picture.caption
        assert "photon noise" not in picture.caption

    def test_says_of_which_amplifiers_the_model_is_not_known(self) -> None:
        known = points_of(dataset("EXPAPPROXIMATION"), "C00")
        unknown = CurvePoints("C01", known.means, known.variances, known.used, GAIN)
        picture = curve_plot([known, unknown])
        assert picture is not None
        assert "The fitted model of C01 is not in the dataset" in picture.caption
        assert "the residuals are those to photon noise" in picture.caption
        assert "no model" in picture.markup
        assert "turn-off" not in (curve_plot([unknown]) or picture).caption


def test_the_simulated_fit_is_in_the_dataset_as_the_real_one_is() -> None:
    # Given pairs of one amplifier, the brightest of them saturated
    means = np.array([1e4, 2e4, 4e4, 6e4, 8e4, 1.2e5])
    variances = 6.0**2 + means / GAIN - 2e-7 * means**2
    variances[-1] = 10.0
    pairs = [
        PhotonTransferCurve(
            ptcFitType="FLATPAIR",
            gain={"C00": GAIN},
            gainErr={"C00": 0.001},
            noise={"C00": 6.0 * GAIN},
            inputExpIdPairs={"C00": [(2 * i, 2 * i + 1)]},
            rawExpTimes={"C00": [float(i)]},
            rawMeans={"C00": [float(mean)]},
            rawVars={"C00": [float(variance)]},
        )
        for i, (mean, variance) in enumerate(zip(means, variances, strict=True))
    ]
    # When they are fitted
    curve = PtcSolveTask().run(pairs).outputPtcDataset
    # Then final values and the model are those of the pairs that were used
    used = np.array(curve.expIdMask["C00"])
    assert used.tolist() == [True] * 5 + [False]
    for name in ("finalMeans", "finalVars", "finalModelVars"):
        assert np.isfinite(getattr(curve, name)["C00"]).tolist() == used.tolist(), name
    assert curve.finalModelVars["C00"][:5] == pytest.approx(variances[:5].tolist(), rel=1e-3)
    assert curve.gainUnadjusted == curve.gain
    # and the desk reads it, and the JSON keeps it
    again = PhotonTransferCurve.model_validate_json(curve.model_dump_json())
    points = points_of(again, "C00")
    assert points.has_model and points.fit == "POLYNOMIAL" and points.turnoff == 8e4
    assert points.model[:5] == pytest.approx(curve.finalModelVars["C00"][:5])
    assert math.isfinite(points.model[5])


def test_of_many_detectors_those_that_fail_come_first_then_those_that_changed_most() -> None:
    # Given nine detectors: one is bad, one fails a test, two have changed
    bad = BadDetector(7, "R22_S21", Cause.FAILED, "its gains are wrong")
    about = stage("generate PTC")
    report = RunReport(
        RunState.DONE,
        instrument="LSSTComCam",
        stages=(StageResult(about, Outcome.HELD, bad_detectors=(bad,)),),
        verdicts={
            about.subject: judge({1: {"FAILURES": ["R22_S20 C00 GAIN"]}}, about.subject, n_detectors=9)
        },
    )
    reader = _Reader(cast(Any, None), report, Notes(None), end=math.inf)
    # When their curves are read
    shown = list(reader._some(Product.PTC, {i: i for i in range(9)}, {2: 0.3, 5: 0.1}, "curves"))
    # Then eight are, in this order, and the other one is named
    assert shown == [6, 7, 2, 5, 0, 1, 3, 4]
    assert reader.left_out == {"curves": ("R22_S22",)}
    # and without time none is, but all are named
    late = _Reader(cast(Any, None), report, Notes(None), end=0.0)
    assert list(late._some(Product.PTC, {0: 0, 1: 1}, {}, "curves")) == []
    assert late.left_out == {"curves": ("R22_S00", "R22_S01")}
