# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains of amplifiers relative to each other, from the steps in a flat."""

from __future__ import annotations

import lsst.pipe.base.connectionTypes as cT
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.pex.config import Field
from lsst.pipe.base import PipelineTask, PipelineTaskConnections, Struct

from ..exposure import Exposure
from ..products import PhotonTransferCurve
from .base import DETECTOR, TaskConfig, frames, product

__all__ = ["AdjustGainRatiosConfig", "AdjustGainRatiosTask", "gain_ratios"]


class AdjustGainRatiosConnections(PipelineTaskConnections, dimensions=DETECTOR):  # type: ignore[call-arg]
    """Corrected flats and their curve, and the curve that is certified."""

    exposures = frames("cpPtcIsrExp", "Corrected flats.")
    input_ptc = cT.Input(
        name="ptcUnadjusted",
        doc="Photon transfer curve, each amplifier by itself.",
        storageClass="CcdPhotonTransferCurve",
        dimensions=DETECTOR,
        isCalibration=True,
    )
    output_ptc = product("ptc", "Photon transfer curve.", "CcdPhotonTransferCurve")


class AdjustGainRatiosConfig(  # type: ignore[call-arg]
    TaskConfig, pipelineConnections=AdjustGainRatiosConnections
):
    """Which flats are used, and how."""

    min_adu = Field[float](doc="Signal above which a flat is used (ADU).", default=1000.0)
    max_adu = Field[float](doc="Signal below which a flat is used (ADU).", default=20_000.0)
    bin_factor = Field[int](doc="Size of the bins whose medians are used (pixel).", default=8)


class AdjustGainRatiosTask(PipelineTask):
    """Adjust the ratios of the gains until a flat has no steps.

    The median gain remains. As in cp_pipe, no gain remains if no pair is
    between the limits.
    """

    ConfigClass = AdjustGainRatiosConfig
    _DefaultName = "cpPtcAdjustGainRatios"

    def run(self, exposures: list[DeferredDatasetHandle], input_ptc: PhotonTransferCurve) -> Struct:
        """Adjust the gains.

        Parameters
        ----------
        exposures : `list` [`lsst.daf.butler.DeferredDatasetHandle`]
            The flats. The first one of each pair is read.
        input_ptc : `PhotonTransferCurve`
            Their curve.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``output_ptc`` (`PhotonTransferCurve`): the same with other
            gains.
        """
        names = list(input_ptc.gain)
        signals = np.nanmean([input_ptc.rawMeans[name] for name in names], axis=0)
        pairs = input_ptc.inputExpIdPairs[names[0]]
        wanted = {
            first
            for (first, _), signal in zip(pairs, signals, strict=True)
            if self.config.min_adu < signal < self.config.max_adu
        }
        ratios = [
            gain_ratios(handle.get(), input_ptc.gain, self.config.bin_factor)
            for handle in exposures
            if handle.dataId["exposure"] in wanted
        ]
        self.log.info("Adjusting gains by %d of %d pairs.", len(ratios), len(pairs))
        ratio = np.median(ratios, axis=0) if ratios else np.full(len(names), np.nan)
        adjusted = np.array([input_ptc.gain[name] for name in names]) * np.median(ratio) / ratio
        gain = dict(zip(names, adjusted.tolist(), strict=True))
        return Struct(output_ptc=input_ptc.model_copy(update={"gain": gain}))


def gain_ratios(flat: Exposure, gain: dict[str, float], bin_factor: int) -> np.ndarray:
    """Measure how much the gains of amplifiers are too large in a flat.

    Parameters
    ----------
    flat : `Exposure`
        Corrected flat (ADU). NaN is left out.
    gain : `dict` [`str`, `float`]
        The gains that are assumed (electron/ADU), by amplifier.
    bin_factor : `int`
        Size of the bins whose medians are used (pixel).

    Returns
    -------
    ratios : `numpy.ndarray`, (n,)
        For each amplifier the factor by which it is brighter than a smooth
        illumination says: a polynomial of the second order in both
        directions, fitted to the logarithm of all bins at once.
    """
    detector = flat.detector
    rows, values = [], []
    for number, amplifier in enumerate(detector):
        y, x = (np.arange(part.start, part.stop) for part in amplifier.section)
        y, x = (pixels[: len(pixels) // bin_factor * bin_factor] for pixels in (y, x))
        pixels = flat.image.array[np.ix_(y, x)] * gain[amplifier.name]
        bins = pixels.reshape(len(y) // bin_factor, bin_factor, len(x) // bin_factor, bin_factor)
        height, width = detector.shape
        v, u = np.meshgrid(y[::bin_factor] / height - 0.5, x[::bin_factor] / width - 0.5, indexing="ij")
        steps = np.zeros((v.size, len(detector)))
        steps[:, number] = 1.0
        rows.append(np.column_stack([np.ravel([u, v, u * u, u * v, v * v]).reshape(5, -1).T, steps]))
        values.append(np.nanmedian(bins, axis=(1, 3)).ravel())
    signal = np.concatenate(values)
    good = signal > 0
    fitted, *_ = np.linalg.lstsq(np.concatenate(rows)[good], np.log(signal[good]), rcond=None)
    return np.asarray(np.exp(fitted[5:]))
