# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of corrected images, with the tests of cp_verify.

The criteria are those of DMTN-101 as cp_verify applies them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Amplifier, Detector, Exposure
from .base import FRAME, TaskConfig, frame, outcome
from .moments import Pixels, clipped_mean_and_stdev
from .statistics import HIT_SIGMA, reject_cosmic_rays

__all__ = [
    "VerifyConfig",
    "VerifyFlatConfig",
    "VerifyFlatTask",
    "VerifyReadNoiseConfig",
    "VerifyReadNoiseTask",
    "verify_amplifiers",
]


class VerifyConnections(PipelineTaskConnections, dimensions=FRAME):  # type: ignore[call-arg]
    """A corrected image, and the result of its verification."""

    inputExp = frame("verifyProc", "Corrected image.")
    outputStats = outcome("verifyDetStats", "Statistics of the image and outcome of each test.", FRAME)


class VerifyConfig(TaskConfig, pipelineConnections=VerifyConnections):  # type: ignore[call-arg]
    """How statistics are clipped."""

    numSigmaClip = Field[float](doc="Clipping threshold, in standard deviations.", default=5.0)
    clipMaxIter = Field[int](doc="Clipping iterations.", default=3)


class VerifyTask(PipelineTask):
    """Measure each amplifier and compare it with the criteria.

    A subclass defines what is measured and the criteria.
    """

    ConfigClass = VerifyConfig
    _DefaultName = "cpVerify"

    def run(self, inputExp: Exposure) -> Struct:
        """Verify one image.

        Parameters
        ----------
        inputExp : `Exposure`
            Corrected image (ADU).

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): statistics by amplifier in ``AMP``
            and of the detector in ``DET`` (ADU), the outcome of the tests
            in ``VERIFY``, in the same way, and ``SUCCESS``.
        """
        array = inputExp.image.array

        def verify(amplifier: Amplifier) -> tuple[dict[str, float], dict[str, bool]]:
            measured = self.measure(array[amplifier.section])
            return measured, self.judge(measured, amplifier)

        # 0 / 0 is not a number, and what is not a number fails its test.
        with np.errstate(divide="ignore", invalid="ignore"):
            statistics = verify_amplifiers(inputExp.detector, verify)
            detector = self.measure_detector(statistics["AMP"])
            if detector:
                statistics["DET"] = detector
                outcome = _with_success(self.judge_detector(detector))
                statistics["VERIFY"]["DET"] = outcome
                statistics["SUCCESS"] &= outcome["SUCCESS"]
        return Struct(outputStats=statistics)

    def measure(self, pixels: np.ndarray) -> dict[str, float]:
        """Measure the pixels of an amplifier: statistic name to value."""
        raise NotImplementedError

    def judge(self, measured: dict[str, float], amplifier: Amplifier) -> dict[str, bool]:
        """Compare an amplifier's statistics with the criteria."""
        raise NotImplementedError

    def measure_detector(self, measured: dict[str, dict[str, float]]) -> dict[str, float]:
        """Measure the detector from its amplifiers; nothing by default."""
        return {}

    def judge_detector(self, measured: dict[str, float]) -> dict[str, bool]:
        """Compare the detector's statistics with the criteria."""
        return {}


def verify_amplifiers(
    detector: Detector,
    verify: Callable[[Amplifier], tuple[dict[str, float], dict[str, bool]]],
) -> dict[str, Any]:
    """Verify each amplifier of a detector.

    Parameters
    ----------
    detector : `Detector`
        The detector, with its amplifiers' nominal properties.
    verify : `~collections.abc.Callable`
        Takes an amplifier; returns its statistics and the outcomes of its
        tests, both by name.

    Returns
    -------
    statistics : `dict`
        The statistics by amplifier in ``AMP``, the outcomes by amplifier
        in ``AMP`` of ``VERIFY``, and ``SUCCESS``.
    """
    found = dict(zip(detector.gains, map(verify, detector.amplifiers), strict=True))
    measured = {name: statistics for name, (statistics, _) in found.items()}
    passed = {name: _with_success(outcome) for name, (_, outcome) in found.items()}
    success = all(outcome["SUCCESS"] for outcome in passed.values())
    return {"AMP": measured, "VERIFY": {"AMP": passed}, "SUCCESS": success}


def _with_success(outcome: dict[str, bool]) -> dict[str, bool]:
    return outcome | {"SUCCESS": all(outcome.values())}


class VerifyReadNoiseConfig(VerifyConfig, pipelineConnections=VerifyConnections):  # type: ignore[call-arg]
    """Criteria of biases and darks."""

    noiseTolerance = Field[float](
        doc="Largest relative difference of the noise to the nominal read noise.", default=0.05
    )
    noiseTwoSided = Field[bool](
        doc="Does noise that is too low fail too? cp_verify tested that until 2023.", default=True
    )
    crNoiseTolerance = Field[float](
        doc="Largest relative difference of the clipped noise to that without cosmic rays.", default=0.05
    )


class VerifyReadNoiseTask(VerifyTask):
    """Verify a bias or a dark: only read noise must be left in it.

    ``MEAN``: below the noise (DMTN-101 tests 4.2, 5.2). ``NOISE``: the
    nominal read noise (4.3, 5.3). ``CR_NOISE``: equal with cosmic rays
    removed and with pixels clipped (4.4, 5.4). ``READ_NOISE_CONSISTENT``,
    of the overscan, fails nothing; it is listed with what has failed.
    """

    ConfigClass = VerifyReadNoiseConfig
    _DefaultName = "cpVerifyReadNoise"

    def run(self, inputExp: Exposure) -> Struct:
        """Verify one image, and note whether its overscan agrees."""
        statistics = super().run(inputExp).outputStats
        measured = {
            amplifier.name: inputExp.metadata[f"OSNS{amplifier.name}"] for amplifier in inputExp.detector
        }
        for amplifier in inputExp.detector:
            excess = measured[amplifier.name] * amplifier.gain / amplifier.read_noise - 1
            outcome = statistics["VERIFY"]["AMP"][amplifier.name]
            outcome["READ_NOISE_CONSISTENT"] = bool(excess <= self.config.noiseTolerance)
        statistics["METADATA"] = {"READ_NOISE_ADU": measured}
        return Struct(outputStats=statistics)

    def measure(self, pixels: np.ndarray) -> dict[str, float]:
        """Measure mean, clipped noise, and noise without cosmic rays."""
        found = Pixels(pixels)
        clipped = found.clipped(self.config.numSigmaClip, self.config.clipMaxIter)
        level, noise = clipped.mean, clipped.stdev
        # Most biases have no pixel that is so bright.
        cleaned = found
        if found.moments.largest > level + HIT_SIGMA * noise:
            cleaned = Pixels(reject_cosmic_rays(pixels, level, noise))
        return {"MEAN": found.moments.mean, "NOISE": noise, "CR_NOISE": cleaned.moments.stdev}

    def judge(self, measured: dict[str, float], amplifier: Amplifier) -> dict[str, bool]:
        """Test the noise against the nominal one, which is in electrons."""
        noise, cr_noise = measured["NOISE"], measured["CR_NOISE"]
        nominal = amplifier.read_noise / amplifier.gain
        excess = (noise - nominal) / nominal
        if self.config.noiseTwoSided:
            excess = abs(excess)
        return {
            "MEAN": bool(abs(measured["MEAN"]) < noise),
            "NOISE": bool(excess <= self.config.noiseTolerance),
            "CR_NOISE": bool(np.divide(abs(noise - cr_noise), cr_noise) <= self.config.crNoiseTolerance),
        }


class VerifyFlatConfig(VerifyConfig, pipelineConnections=VerifyConnections):  # type: ignore[call-arg]
    """Criteria of flats."""

    scatterTolerance = Field[float](
        doc="Largest scatter of the amplifiers' means, relative to the detector's.", default=0.05
    )


class VerifyFlatTask(VerifyTask):
    """Verify a flat: only shot noise must be left in it.

    ``NOISE``: no more than Poisson noise (DMTN-101 test 10.X).
    ``SCATTER``, of the detector: the amplifiers' means agree (10.Y).
    """

    ConfigClass = VerifyFlatConfig
    _DefaultName = "cpVerifyFlat"

    def measure(self, pixels: np.ndarray) -> dict[str, float]:
        """Measure clipped mean and noise."""
        mean, noise = clipped_mean_and_stdev(pixels, self.config.numSigmaClip, self.config.clipMaxIter)
        return {"MEAN": mean, "NOISE": noise}

    def judge(self, measured: dict[str, float], amplifier: Amplifier) -> dict[str, bool]:
        """Test the noise against the root of the mean (both ADU)."""
        return {"NOISE": bool(measured["NOISE"] <= np.sqrt(max(measured["MEAN"], 0.0)))}

    def measure_detector(self, measured: dict[str, dict[str, float]]) -> dict[str, float]:
        """Measure mean and scatter of the amplifiers' means (ADU)."""
        means = np.array([statistics["MEAN"] for statistics in measured.values()])
        return {"MEAN": float(means.mean()), "SCATTER": float(means.std())}

    def judge_detector(self, measured: dict[str, float]) -> dict[str, bool]:
        """Test the scatter relative to the mean."""
        return {
            "SCATTER": bool(np.divide(measured["SCATTER"], measured["MEAN"]) <= self.config.scatterTolerance)
        }
