# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photon transfer: gains from flat pairs, and the curve through them."""

from __future__ import annotations

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DataCoordinate, DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import (
    InputQuantizedConnection,
    NoWorkFound,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConnections,
    QuantaAdjuster,
    QuantumContext,
    Struct,
)

from ...pairs import PairRule
from ..exposure import Exposure
from ..products import PhotonTransferCurve
from .base import DETECTOR, FRAME, TaskConfig, frames, product, read_header
from .photon_transfer import fit_curve, measure_pair

__all__ = [
    "PtcExtractConfig",
    "PtcExtractPairConfig",
    "PtcExtractPairTask",
    "PtcExtractTask",
    "PtcSolveConfig",
    "PtcSolveTask",
]


class PtcExtractConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Corrected flats of a detector, and the result of each pair."""

    inputExp = frames("cpPtcProc", "Corrected flats.")
    outputCovariances = cT.Output(
        name="cpPtcExtract",
        doc="Gain and noise of a pair, for its first exposure; a dummy for each other one.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=FRAME,
        isCalibration=True,
        multiple=True,
    )


class PtcExtractConfig(TaskConfig, pipelineConnections=PtcExtractConnections):  # type: ignore[call-arg]
    """No options."""


class PtcExtractTask(PipelineTask):
    """Estimate gains as in 2022: of the first two flats of each time."""

    ConfigClass = PtcExtractConfig
    _DefaultName = "cpPtcExtract"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, measure and write; see `lsst.pipe.base.PipelineTask`."""
        handles = {int(ref.dataId["exposure"]): butlerQC.get(ref) for ref in inputRefs.inputExp}
        curves = self.run(handles).outputCovariances
        for ref in outputRefs.outputCovariances:
            butlerQC.put(curves[int(ref.dataId["exposure"])], ref)

    def run(self, handles: dict[int, DeferredDatasetHandle]) -> Struct:
        """Measure all pairs, with at most two images in memory.

        Parameters
        ----------
        handles : `dict` [`int`, `lsst.daf.butler.DeferredDatasetHandle`]
            The flats by exposure id.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputCovariances`` (`dict` [`int`, `PhotonTransferCurve`]):
            by exposure id.
        """
        ids = sorted(handles)
        times = [float(read_header(handles[exposure_id])["EXPTIME"]) for exposure_id in ids]
        pairs = [(ids[i], ids[j]) for i, j in PairRule.FIRST_TWO.pairs(times)]
        self.log.info("Found %d flat pairs in %d exposures.", len(pairs), len(handles))
        curves = {exposure_id: PhotonTransferCurve(ptcFitType="DUMMY") for exposure_id in ids}
        for first, second in pairs:
            curves[first] = _measure((first, second), handles[first].get(), handles[second].get())
        return Struct(outputCovariances=curves)


class PtcExtractPairConnections(PipelineTaskConnections, dimensions=FRAME):  # type: ignore[call-arg]
    """The corrected flats of a pair, and the result for the first one."""

    inputExp = frames("cpPtcIsrExp", "Corrected flats.")
    outputCovariance = cT.Output(
        name="cpPtcPartial",
        doc="Gain and noise of a pair.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=FRAME,
        isCalibration=True,
    )

    def adjust_all_quanta(self, adjuster: QuantaAdjuster) -> None:
        """Give the second flat of a pair to the quantum of the first one.

        Parameters
        ----------
        adjuster : `lsst.pipe.base.QuantaAdjuster`
            The quanta; there is one for each frame.
        """
        by_detector: dict[int, list[DataCoordinate]] = {}
        for quantum in sorted(adjuster.iter_data_ids(), key=lambda quantum: quantum["exposure"]):
            by_detector.setdefault(int(quantum["detector"]), []).append(quantum)
        for quanta in by_detector.values():
            exposures = [adjuster.expand_quantum_data_id(quantum).records["exposure"] for quantum in quanta]
            pairs = PairRule.NEIGHBOURS.pairs([float(exposure.exposure_time) for exposure in exposures])
            for first, second in pairs:
                (flat,) = adjuster.get_inputs(quanta[second])["inputExp"]
                adjuster.add_input(quanta[first], "inputExp", flat)
                adjuster.remove_quantum(quanta[second])


class PtcExtractPairConfig(TaskConfig, pipelineConnections=PtcExtractPairConnections):  # type: ignore[call-arg]
    """What is asked for beside the images."""

    useEfdPhotodiodeData = Field[bool](
        doc="Ask the EFD for photodiode data? There are none: the job fails.", default=False
    )


class PtcExtractPairTask(PipelineTask):
    """Estimate gains as today: of two flats in succession.

    The graph has the pairs. There is nothing of a flat that has no partner.
    """

    ConfigClass = PtcExtractPairConfig
    _DefaultName = "cpPtcExtractPair"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, measure and write; see `lsst.pipe.base.PipelineTask`."""
        flats = sorted(inputRefs.inputExp, key=lambda ref: ref.dataId["exposure"])
        if len(flats) == 1:
            raise NoWorkFound(f"Exposure {flats[0].dataId['exposure']} does not have a pair.")
        ids = tuple(int(ref.dataId["exposure"]) for ref in flats)
        butlerQC.put(self.run(ids, [butlerQC.get(ref) for ref in flats]), outputRefs)

    def run(self, ids: tuple[int, ...], handles: list[DeferredDatasetHandle]) -> Struct:
        """Measure one pair.

        Parameters
        ----------
        ids : `tuple` [`int`, ...]
            The exposure ids of both flats.
        handles : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            The flats.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputCovariance`` (`PhotonTransferCurve`).

        Raises
        ------
        RuntimeError
            If photodiode data are asked for.
        """
        if self.config.useEfdPhotodiodeData:
            raise RuntimeError("The EFD has no photodiode data of this camera.")
        (first, second), (first_flat, second_flat) = ids, handles
        return Struct(outputCovariance=_measure((first, second), first_flat.get(), second_flat.get()))


def _measure(ids: tuple[int, int], first: Exposure, second: Exposure) -> PhotonTransferCurve:
    """Measure all amplifiers of a pair."""
    curve = PhotonTransferCurve(ptcFitType="FLATPAIR")
    for amplifier in first.detector:
        name = amplifier.name
        overscan_noise = np.hypot(first.metadata[f"OSNS{name}"], second.metadata[f"OSNS{name}"])
        read_noise = float(overscan_noise) / np.sqrt(2)
        pair = measure_pair(
            first.image.array[amplifier.section], second.image.array[amplifier.section], read_noise
        )
        curve.gain[name] = pair.gain
        curve.gainErr[name] = pair.gain_error
        curve.noise[name] = read_noise * pair.gain
        curve.inputExpIdPairs[name] = [ids]
        curve.rawExpTimes[name] = [first.metadata["EXPTIME"]]
        curve.rawMeans[name] = [pair.mean]
        curve.rawVars[name] = [pair.variance]
    return curve


class PtcSolveConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """The results of the pairs, and the curve through them."""

    inputCovariances = cT.Input(
        name="cpPtcExtract",
        doc="Mean and variance of each pair.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=FRAME,
        isCalibration=True,
        multiple=True,
    )
    outputPtcDataset = product("ptc", "Photon transfer curve.", "CcdPhotonTransferCurve")


class PtcSolveConfig(TaskConfig, pipelineConnections=PtcSolveConnections):  # type: ignore[call-arg]
    """No options."""


class PtcSolveTask(PipelineTask):
    """Fit a photon transfer curve to each amplifier's pairs."""

    ConfigClass = PtcSolveConfig
    _DefaultName = "cpPtcSolve"

    def run(self, inputCovariances: list[PhotonTransferCurve]) -> Struct:
        """Fit the curves.

        Parameters
        ----------
        inputCovariances : `list` [`PhotonTransferCurve`]
            What was made of the exposures.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputPtcDataset`` (`PhotonTransferCurve`): the pairs in the
            order of their exposure times, and the fit.

        Raises
        ------
        ValueError
            If there is no pair.
        """
        pairs = [curve for curve in inputCovariances if curve.gain]
        if not pairs:
            raise ValueError("No flats are a pair: there is nothing to fit.")
        names = list(pairs[0].gain)
        pairs.sort(key=lambda pair: (pair.rawExpTimes[names[0]], pair.inputExpIdPairs[names[0]]))
        curve = PhotonTransferCurve(ptcFitType="POLYNOMIAL")
        for name in names:
            for field in ("inputExpIdPairs", "rawExpTimes", "rawMeans", "rawVars"):
                getattr(curve, field)[name] = [getattr(pair, field)[name][0] for pair in pairs]
            gains = np.array([pair.gain[name] for pair in pairs])
            errors = np.array([pair.gainErr[name] for pair in pairs])
            noises = np.array([pair.noise[name] for pair in pairs])
            read_noise = float(np.nanmean(noises / gains)) if np.isfinite(gains).any() else np.nan
            means, variances = np.array(curve.rawMeans[name]), np.array(curve.rawVars[name])
            fit = fit_curve(means, variances, errors / gains, read_noise)
            curve.gain[name] = curve.gainUnadjusted[name] = fit.gain
            curve.gainErr[name] = fit.gain_error
            curve.noise[name] = read_noise * fit.gain
            curve.noiseList[name] = noises.tolist()
            curve.expIdMask[name] = fit.used.tolist()
            curve.ptcTurnoff[name] = fit.turnoff
            # As in cp_pipe f029a3f2 (cpPtcSolve.py), not of pairs left out.
            for final, values in (
                (curve.finalMeans, means),
                (curve.finalVars, variances),
                (curve.finalModelVars, fit.variances(means)),
            ):
                final[name] = np.where(fit.used, values, np.nan).tolist()
            curve.ptcFitPars[name] = list(fit.coefficients)
            curve.a00[name] = fit.nonlinearity
        self.log.info("Median gain %.3f electron/ADU.", np.median(list(curve.gain.values())))
        return Struct(outputPtcDataset=curve)
