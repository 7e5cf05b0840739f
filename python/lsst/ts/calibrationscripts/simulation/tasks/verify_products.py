# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of defects, photon transfer curves and gains."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct

from ..exposure import Amplifier, Detector, Exposure
from ..products import PhotonTransferCurve
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


class VerifyDefectsConnections(  # type: ignore[call-arg]
    VerifyConnections, dimensions=("instrument", "exposure", "detector")
):
    """An image with and without its defects masked, and what that changes."""

    uncorrectedExp = cT.Input(
        name="verifyUncorrectedDefectsIsrExp",
        doc="The same image, with no defects masked.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
    )


class VerifyDefectsConfig(VerifyConfig, pipelineConnections=VerifyDefectsConnections):  # type: ignore[call-arg]
    """Criteria of defects."""

    stdevTolerance = Field[float](
        doc="Largest relative increase of the noise by the mask. Without one, chance would fail images "
        "whose defects do not stand out, such as biases.",
        default=0.01,
    )


class VerifyDefectsTask(PipelineTask):
    """Verify defects: an image is no worse for having them masked.

    The tests are those of cp_verify, which DMTN-101 does not define yet.
    ``OUTLIERS`` and ``STDEV``: neither the number of outliers nor the
    clipped noise grows. ``MIN`` and ``MAX``: nor do the extremes. Its
    ``PROB_TEST``, which it calls bad itself, is left out.
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


class VerifyPtcConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """A photon transfer curve, and what its verification found."""

    raws = cT.Input(
        name="raw",
        doc="Raw images, for which the curve is valid and whose headers have the nominal values.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    inputCalib = cT.PrerequisiteInput(
        name="ptc",
        doc="Photon transfer curve.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=("instrument", "detector"),
        isCalibration=True,
    )
    outputStats = cT.Output(
        name="verifyPtcDetStats",
        doc="Statistics of the detector and the outcome of each test.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "detector"),
    )


class VerifyPtcConfig(PipelineTaskConfig, pipelineConnections=VerifyPtcConnections):  # type: ignore[call-arg]
    """Criteria of photon transfer curves."""

    gainTolerance = Field[float](
        doc="Largest relative difference of the gain to the nominal one.", default=0.05
    )
    noiseTolerance = Field[float](
        doc="Largest relative difference of the read noise to the nominal one.", default=0.05
    )
    minTurnoff = Field[float](doc="Least signal at the turn-off (electron).", default=90_000.0)

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class VerifyPtcTask(PipelineTask):
    """Verify a photon transfer curve against nominal values.

    ``PTC_GAIN`` and ``PTC_NOISE``: gain and read noise are the nominal
    ones (DMTN-101 tests 16.1, 16.2). ``PTC_TURNOFF``: the turn-off lies
    above the required full well (16.3). Flats that all stay below it do
    not show where it lies; they pass.
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


class VerifyGainConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "detector")
):
    """Gains of flat pairs, and what their verification found."""

    raws = cT.Input(
        name="raw",
        doc="Raw images, whose headers have the nominal values.",
        storageClass="CcdExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )
    inputCalibs = cT.Input(
        name="cpPtcPartial",
        doc="Gain and noise of each pair.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
    )
    outputStats = cT.Output(
        name="verifyGainDetStats",
        doc="Statistics of the detector and the outcome of each test.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "detector"),
    )


class VerifyGainConfig(PipelineTaskConfig, pipelineConnections=VerifyGainConnections):  # type: ignore[call-arg]
    """Criteria of gains from flat pairs."""

    gainTolerance = Field[float](
        doc="Largest relative difference of the gain to the nominal one.", default=0.05
    )
    noiseTolerance = Field[float](
        doc="Largest relative difference of the read noise to the nominal one.", default=0.05
    )

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


class VerifyGainTask(PipelineTask):
    """Verify gains from flat pairs against nominal values.

    ``GAIN_FROM_FLAT_PAIR`` and ``ISR_NOISE``: gain and read noise, medians
    over the pairs that have one, are the nominal ones (DMTN-101 tests 6.1,
    6.2). cp_verify's correction for the signal (DM-35790) is that of real
    CCDs; the model's effect is a fortieth of it.
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
    return Detector.from_metadata(raws[0].get(parameters={"rows": (0, 1)}).metadata)


def _agree(value: float, nominal: float, tolerance: float) -> bool:
    return abs(value - nominal) < tolerance * nominal
