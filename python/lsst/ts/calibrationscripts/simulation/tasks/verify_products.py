# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of defects, photon transfer curves and gains."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Amplifier, Detector, Exposure
from ..products import PhotonTransferCurve
from .base import DETECTOR, FRAME, TaskConfig, calibration, frame, frames, outcome, read_header
from .statistics import clipped_mean_and_stdev
from .verify import VerifyConfig, VerifyConnections, verify_amplifiers

__all__ = [
    "VerifyDefectsConfig",
    "VerifyDefectsTask",
    "VerifyGainConfig",
    "VerifyGainTask",
    "VerifyPtcConfig",
    "VerifyPtcTask",
]


class VerifyDefectsConnections(VerifyConnections, dimensions=FRAME):  # type: ignore[call-arg]
    """An image with and without its defects masked, and the difference."""

    uncorrectedExp = frame("verifyUncorrectedDefectsIsrExp", "The same image without masked defects.")


class VerifyDefectsConfig(VerifyConfig, pipelineConnections=VerifyDefectsConnections):  # type: ignore[call-arg]
    """Criteria of defects."""

    stdevTolerance = Field[float](
        doc="Largest relative increase of the noise by the mask. With 0, images without visible defects, "
        "such as biases, would fail by chance.",
        default=0.01,
    )


class VerifyDefectsTask(PipelineTask):
    """Verify defects: an image must not be worse with masked defects.

    The tests are those of cp_verify, which DMTN-101 does not define yet.
    ``OUTLIERS`` and ``STDEV``: neither the number of outliers nor the
    clipped noise increases. ``MIN`` and ``MAX``: nor do the extremes. Its
    ``PROB_TEST``, which its authors call bad, is left out.
    """

    ConfigClass = VerifyDefectsConfig
    _DefaultName = "cpVerifyDefects"

    def run(self, inputExp: Exposure, uncorrectedExp: Exposure) -> Struct:
        """Verify the defects in one image.

        Parameters
        ----------
        inputExp : `Exposure`
            Corrected image with its defects masked (ADU).
        uncorrectedExp : `Exposure`
            The same without a mask (ADU).

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): as of `VerifyTask`.
        """

        def verify(amplifier: Amplifier) -> tuple[dict[str, float], dict[str, bool]]:
            masked = self._measure(inputExp.image.array[amplifier.section])
            unmasked = self._measure(uncorrectedExp.image.array[amplifier.section])
            measured = masked | {f"UNMASKED_{name}": value for name, value in unmasked.items()}
            n_masked = np.isnan(inputExp.image.array[amplifier.section]).sum()
            largest = unmasked["STDEV"] * (1 + self.config.stdevTolerance)
            return measured | {"DEFECT_PIXELS": int(n_masked)}, {
                "OUTLIERS": masked["OUTLIERS"] <= unmasked["OUTLIERS"],
                "STDEV": masked["STDEV"] <= largest,
                "MIN": masked["MIN"] >= unmasked["MIN"],
                "MAX": masked["MAX"] <= unmasked["MAX"],
            }

        return Struct(outputStats=verify_amplifiers(inputExp.detector, verify))

    def _measure(self, pixels: np.ndarray) -> dict[str, float]:
        mean, stdev = clipped_mean_and_stdev(pixels, self.config.numSigmaClip, self.config.clipMaxIter)
        if np.isnan(stdev):
            return dict.fromkeys(("OUTLIERS", "STDEV", "MIN", "MAX"), np.nan)
        outliers = np.abs(pixels - mean) > self.config.numSigmaClip * stdev
        return {
            "OUTLIERS": int(outliers.sum()),
            "STDEV": stdev,
            "MIN": float(np.nanmin(pixels)),
            "MAX": float(np.nanmax(pixels)),
        }


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


class VerifyGainConnections(NominalConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Gains of flat pairs, and the result of their verification."""

    inputCalibs = cT.Input(
        name="cpPtcPartial",
        doc="Gain and noise of each pair.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=FRAME,
        multiple=True,
    )


class VerifyGainConfig(NominalConfig, pipelineConnections=VerifyGainConnections):  # type: ignore[call-arg]
    """Criteria of gains from flat pairs."""


class VerifyGainTask(PipelineTask):
    """Verify gains from flat pairs against nominal values.

    ``GAIN_FROM_FLAT_PAIR`` and ``ISR_NOISE``: gain and read noise, medians
    over the pairs that have one, are the nominal ones (DMTN-101 tests 6.1,
    6.2). cp_verify's correction for the signal (DM-35790) is that of real
    CCDs. The effect in the model is a fortieth of that.
    """

    ConfigClass = VerifyGainConfig
    _DefaultName = "cpVerifyGain"

    def run(self, raws: list[DeferredDatasetHandle], inputCalibs: list[PhotonTransferCurve]) -> Struct:
        """Verify the gains of a detector.

        Parameters
        ----------
        raws : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            Raw images of the detector.
        inputCalibs : `list` [`PhotonTransferCurve`]
            What `PtcExtractTask` made of the exposures.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): as of `VerifyTask`.

        Raises
        ------
        ValueError
            If there is no pair.
        """
        pairs = [curve for curve in inputCalibs if curve.gain]
        if not pairs:
            raise ValueError("No two flats have the same exposure time: there is no gain to verify.")

        def verify(amplifier: Amplifier) -> tuple[dict[str, float], dict[str, bool]]:
            name = amplifier.name
            measured = [pair for pair in pairs if np.isfinite(pair.gain[name])]
            gain, noise = (
                float(np.median(values)) if values else np.nan
                for values in ([p.gain[name] for p in measured], [p.noise[name] for p in measured])
            )
            return {
                "GAIN_FROM_FLAT_PAIR": gain,
                "AMP_GAIN": amplifier.gain,
                "ISR_NOISE": noise,
                "AMP_NOISE": amplifier.read_noise,
            }, {
                "GAIN_FROM_FLAT_PAIR": _agree(gain, amplifier.gain, self.config.gainTolerance),
                "ISR_NOISE": _agree(noise, amplifier.read_noise, self.config.noiseTolerance),
            }

        return Struct(outputStats=verify_amplifiers(_nominal_detector(raws), verify))


def _nominal_detector(raws: list[DeferredDatasetHandle]) -> Detector:
    """Read a raw image's header for the amplifiers' nominal values."""
    return Detector.from_metadata(read_header(raws[0]))


def _agree(value: float, nominal: float, tolerance: float) -> bool:
    return abs(value - nominal) < tolerance * nominal
