# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of a raw frame before anything is made from it."""

from __future__ import annotations

__all__ = ["measure_frame", "measure_raw", "raw_level", "sample"]

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ..spoilt import AmplifierMeasure
from ._residuals import MAD_TO_SIGMA

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler

_GRID = 4
"""Rows and columns of blocks that an amplifier is divided into."""

_MAX_PIXELS = 250_000
"""Pixels of an amplifier that are looked at. Their level is known to a
hundredth of an ADU, and a frame of LATISS is measured in half a second."""

_MOST_DETECTORS = 9
"""Detectors of a frame that are looked at. What spoils a frame, such as a
lamp, is seen by all; 197 of LSSTCam would take minutes for each frame."""

_CLIP = 4.0
"""Pixels farther from the median are left out: cosmic rays, hot and dead
pixels (standard deviations)."""


def raw_level(butler: Butler, instrument: Instrument, exposure: int, detectors: Sequence[int]) -> float:
    """Return the median level of a raw frame, in a sample of many detectors.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    instrument : `Instrument`
        The camera.
    exposure : `int`
        Id of the exposure.
    detectors : `~collections.abc.Sequence` [`int`]
        Ids of the detectors. Those without a frame are left out.

    Returns
    -------
    level : `float`
        Above the bias (ADU).

    Raises
    ------
    ValueError
        If an amplifier has no serial overscan.
    """
    import numpy as np

    raws = (
        _read(butler, instrument, exposure, detector)
        for detector in sample(_present(butler, instrument, exposure, detectors))
    )
    return float(np.median([_level_of(raw) for raw in raws]))


def _level_of(raw: Any) -> float:
    """Return the median level of the amplifiers of a raw frame (ADU)."""
    import numpy as np

    array = raw.image.array
    levels = []
    for amplifier in raw.getDetector():
        pixels, overscan = _boxes(array, amplifier)
        levels.append(np.median(pixels) - np.median(_settled(overscan)))
    return float(np.median(levels))


def measure_frame(
    butler: Butler, instrument: Instrument, exposure: int, detectors: Sequence[int]
) -> tuple[AmplifierMeasure, ...]:
    """Measure the amplifiers of a raw frame, in a sample of many detectors.

    Parameters
    ----------
    butler, instrument, exposure, detectors
        As of `raw_level`.

    Returns
    -------
    measures : `tuple` [`AmplifierMeasure`, ...]

    Raises
    ------
    ValueError
        As `measure_raw`.
    """
    return tuple(
        each
        for detector in sample(_present(butler, instrument, exposure, detectors))
        for each in measure_raw(
            _read(butler, instrument, exposure, detector), detector, instrument.saturated_counts
        )
    )


def _present(
    butler: Butler, instrument: Instrument, exposure: int, detectors: Sequence[int]
) -> Sequence[int]:
    """Return the detectors whose frame is there; all if none is."""
    if len(detectors) == 1:
        return detectors
    refs = butler.query_datasets(
        "raw",
        collections=instrument.raw_collection,
        where="instrument = instrument_name AND exposure = exposure_id",
        bind={"instrument_name": instrument.name, "exposure_id": exposure},
        explain=False,
        limit=None,
    )
    there = {ref.dataId["detector"] for ref in refs}
    return [each for each in detectors if each in there] or detectors


def sample(detectors: Sequence[int]) -> Sequence[int]:
    """Return which detectors of a frame are looked at.

    Parameters
    ----------
    detectors : `~collections.abc.Sequence` [`int`]
        Ids of those that are processed.

    Returns
    -------
    ids : `~collections.abc.Sequence` [`int`]
        All of a few; of many, some, which are spread evenly over their ids
        and so over the rafts.
    """
    step = max(1, -(-len(detectors) // _MOST_DETECTORS))
    return detectors[step // 2 :: step]


def _read(butler: Butler, instrument: Instrument, exposure: int, detector: int) -> Any:
    return butler.get(
        "raw",
        instrument=instrument.name,
        exposure=exposure,
        detector=detector,
        collections=instrument.raw_collection,
    )


def measure_raw(raw: Any, detector: int, saturated_counts: float) -> tuple[AmplifierMeasure, ...]:
    """Measure the amplifiers of a raw frame.

    Parameters
    ----------
    raw : `lsst.afw.image.Exposure`
        As obs_lsst reads it: assembled, with overscan, in ADU.
    detector : `int`
        The detector's id.
    saturated_counts : `float`
        From here a pixel is saturated (ADU, with the bias).

    Returns
    -------
    measures : `tuple` [`AmplifierMeasure`, ...]

    Raises
    ------
    ValueError
        If an amplifier has no serial overscan or too few pixels.

    Notes
    -----
    ISR takes pixels and overscan from the same boxes (ip_isr, d2a69bfd).
    """
    array = raw.image.array
    measures = []
    for amplifier in raw.getDetector():
        pixels, overscan = _boxes(array, amplifier)
        if min(pixels.shape) < 2 * _GRID:
            raise ValueError(f"amplifier {amplifier.getName()} has too few pixels")
        measures.append(_measure(pixels, overscan, detector, amplifier.getName(), saturated_counts))
    return tuple(measures)


def _boxes(array: np.ndarray, amplifier: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of an amplifier, and its serial overscan."""
    pixels = _cut(array, amplifier.getRawDataBBox())
    overscan = _cut(array, amplifier.getRawSerialOverscanBBox())
    if not overscan.size:
        raise ValueError(f"amplifier {amplifier.getName()} has no overscan")
    return pixels, overscan


def _settled(overscan: np.ndarray) -> np.ndarray:
    """Leave out the first columns: they have charge of the last pixels."""
    return overscan[:, overscan.shape[1] // 4 :]


def _cut(array: np.ndarray, box: Any) -> np.ndarray:
    """Return a box of an image, with every few rows only if it is large."""
    x, y, width, height = box.getBeginX(), box.getBeginY(), box.getWidth(), box.getHeight()
    step = max(1, width * height // _MAX_PIXELS)
    return array[y : y + height : step, x : x + width]


def _measure(
    pixels: np.ndarray, overscan: np.ndarray, detector: int, amplifier: str, saturated_counts: float
) -> AmplifierMeasure:
    import numpy as np

    overscan = _settled(overscan).astype(np.float32)
    bias = float(_means(overscan.reshape(1, -1))[0])
    blocks = _means(_blocks(pixels).astype(np.float32)) - bias
    level = float(np.median(blocks))
    return AmplifierMeasure(
        detector=detector,
        amplifier=amplifier,
        overscan=bias,
        level=level,
        noise=_noise(pixels),
        read_noise=_noise(overscan),
        blocks=tuple((blocks - level).tolist()),
        n_pixels=pixels.size,
        n_overscan=overscan.size,
        saturated=float(np.mean(pixels >= saturated_counts)),
    )


def _blocks(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels of each block, a block a row."""
    height, width = (size // _GRID for size in pixels.shape)
    grid = pixels[: height * _GRID, : width * _GRID].reshape(_GRID, height, _GRID, width)
    return grid.swapaxes(1, 2).reshape(_GRID**2, -1)


def _means(rows: np.ndarray) -> np.ndarray:
    """Return the mean of each row, without the pixels that are far from it."""
    import numpy as np

    distance = rows - np.median(rows, axis=1, keepdims=True)
    size = np.abs(distance)
    inside = size <= _CLIP * _deviation(size)
    return np.asarray((rows * inside).sum(axis=1) / inside.sum(axis=1))


def _noise(array: np.ndarray) -> float:
    """Return the noise of a pixel, from neighbours: without the structure."""
    import numpy as np

    differences = np.diff(array.astype(np.float32), axis=1).reshape(1, -1)
    size = np.abs(differences)
    inside = size <= _CLIP * _deviation(size)
    return float((differences[inside].var() / 2) ** 0.5)


def _deviation(distances: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each row of distances."""
    import numpy as np

    # Of whole numbers, half may be the median itself.
    return MAD_TO_SIGMA * np.maximum(np.median(distances, axis=1, keepdims=True), 0.5)
