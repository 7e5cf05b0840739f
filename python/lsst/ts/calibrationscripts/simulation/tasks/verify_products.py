# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of photon transfer curves."""

from __future__ import annotations

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

    minTurnoff = Field[float](doc="Smallest signal at the turn-off (electron).", default=90_000.0)


class VerifyPtcTask(PipelineTask):
    """Verify a photon transfer curve against nominal values.

    ``PTC_GAIN`` and ``PTC_NOISE``: gain and read noise are the nominal
    ones (DMTN-101 tests 16.1, 16.2). ``PTC_TURNOFF``: the turn-off is
    above the required full well (16.3). Flats that are all fainter do not
    show where it is; they pass.
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
            measured = {
                "PTC_GAIN": gain,
                "AMP_GAIN": amplifier.gain,
                "PTC_NOISE": noise,
                "AMP_NOISE": amplifier.read_noise,
                "PTC_TURNOFF": turnoff,
                "PTC_MAX_RAW_MEANS": float(np.nanmax(inputCalib.rawMeans[name])),
            }
            reached = measured["PTC_MAX_RAW_MEANS"] > turnoff
            return measured, {
                "PTC_GAIN": _agree(gain, amplifier.gain, config.gainTolerance),
                "PTC_NOISE": _agree(noise, amplifier.read_noise, config.noiseTolerance),
                "PTC_TURNOFF": turnoff * gain > config.minTurnoff if reached else turnoff > 0,
            }

        return Struct(outputStats=verify_amplifiers(_nominal_detector(raws), verify))


def _nominal_detector(raws: list[DeferredDatasetHandle]) -> Detector:
    """Read a raw image's header for the amplifiers' nominal values."""
    return Detector.from_metadata(read_header(raws[0]))


def _agree(value: float, nominal: float, tolerance: float) -> bool:
    return abs(value - nominal) < tolerance * nominal
