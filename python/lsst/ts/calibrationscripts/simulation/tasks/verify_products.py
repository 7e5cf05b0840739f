# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of photon transfer curves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Amplifier, Detector
from ..products import PhotonTransferCurve
from .base import DETECTOR, TaskConfig, calibration, frames, outcome, read_header
from .verify import verify_amplifiers

__all__ = ["VerifyPtcConfig", "VerifyPtcTask"]


class NominalConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Raw images with the nominal values, and the result."""

    raws = frames("raw", "Raw images. Their headers have the nominal values.")
    outputStats = outcome("verifyDetStats", "Statistics of the detector and outcome of each test.", DETECTOR)


class NominalConfig(TaskConfig, pipelineConnections=NominalConnections):  # type: ignore[call-arg]
    """How close to the nominal values measured ones must be."""

    gainTolerance = Field[float](
        doc="Largest relative difference of the gain to the nominal one.", default=0.05
    )
    noiseTolerance = Field[float](
        doc="Largest relative difference of the read noise to the nominal one.", default=0.05
    )


class VerifyPtcConnections(NominalConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """A photon transfer curve, and the result of its verification."""

    inputCalib = calibration("ptc", "Photon transfer curve.", "CcdPhotonTransferCurve")


class VerifyPtcConfig(NominalConfig, pipelineConnections=VerifyPtcConnections):  # type: ignore[call-arg]
    """Criteria of photon transfer curves."""

    minTurnoff = Field[float](doc="Signal that the turn-off must exceed (electron).", default=90_000.0)
    maxNoiseScatter = Field[float](
        doc="Scatter below which the pairs' read noises agree (electron).", default=1.25
    )
    minA00 = Field[float](doc="Limit of the brighter-fatter term a00 of an ITL CCD.", default=-4.56e-6)
    maxA00 = Field[float](doc="Its other limit.", default=6.91e-7)


class VerifyPtcTask(PipelineTask):
    """Verify a photon transfer curve against nominal values.

    ``PTC_GAIN`` and ``PTC_NOISE``: gain and read noise are the nominal
    ones (DMTN-101 tests 16.1, 16.2). ``NOISE_SIGNAL_INDEPENDENCE``: the
    read noise is the same in all pairs; a single pair fails.
    ``PTC_TURNOFF``: the turn-off is above the required full well (16.3);
    flats that are all fainter fail. ``PTC_BFE_A00``: the brighter-fatter
    effect is that of such a CCD (16.4).
    """

    ConfigClass = VerifyPtcConfig
    _DefaultName = "cpVerifyPtc"

    def run(self, raws: list[DeferredDatasetHandle], inputCalib: PhotonTransferCurve) -> Struct:
        """Verify a curve.

        Parameters
        ----------
        raws : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            Raw images of the detector.
        inputCalib : `PhotonTransferCurve`
            The curve.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): as of `VerifyTask`.
        """
        config = self.config

        def verify(amplifier: Amplifier) -> tuple[dict[str, Any], dict[str, bool]]:
            name = amplifier.name
            gain, noise, turnoff = (
                values[name] for values in (inputCalib.gain, inputCalib.noise, inputCalib.ptcTurnoff)
            )
            used = np.array(inputCalib.expIdMask[name], bool)
            noises = np.array(inputCalib.noiseList[name])[used]
            a00 = inputCalib.a00[name]
            measured = {
                "PTC_GAIN": gain,
                "AMP_GAIN": amplifier.gain,
                "PTC_NOISE": noise,
                "AMP_NOISE": amplifier.read_noise,
                "PTC_TURNOFF": turnoff,
                "PTC_MAX_RAW_MEANS": float(np.nanmax(inputCalib.rawMeans[name])),
                "PTC_BFE_A00": a00,
            }
            return measured, {
                "PTC_GAIN": _agree(gain, amplifier.gain, config.gainTolerance),
                "PTC_NOISE": _agree(noise, amplifier.read_noise, config.noiseTolerance),
                "NOISE_SIGNAL_INDEPENDENCE": _reduced_chi_squared(noises) < config.maxNoiseScatter,
                "PTC_TURNOFF": turnoff * gain > config.minTurnoff,
                "PTC_BFE_A00": config.minA00 < a00 < config.maxA00,
            }

        return Struct(outputStats=verify_amplifiers(_nominal_detector(raws), verify))


def _nominal_detector(raws: list[DeferredDatasetHandle]) -> Detector:
    """Read a raw image's header for the amplifiers' nominal values."""
    return Detector.from_metadata(read_header(raws[0]))


def _agree(value: float, nominal: float, tolerance: float) -> bool:
    return abs(value - nominal) < tolerance * nominal


def _reduced_chi_squared(noises: np.ndarray) -> float:
    """Return what cp_verify calls so: the variance, divided by the scatter.

    Of one value it is 0 / 0: not a number, which fails its test.
    """
    scatter = float(noises.std()) if len(noises) else 0.0
    return scatter**2 / scatter if scatter > 0 else math.nan
