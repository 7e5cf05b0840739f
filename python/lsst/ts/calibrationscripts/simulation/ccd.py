# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of a CCD that makes raw images, and a camera of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import instruments
from .exposure import Detector

__all__ = ["DEFAULT_SCALE", "DEFAULT_SEED", "CcdModel", "CcdTruth", "FocalPlane", "default_scale"]

DEFAULT_SCALE = 8

_MANY = 9.1
"""From this area on, in CCDs, a camera is simulated with smaller ones."""

_SCALE_OF_MANY = 64

DEFAULT_SEED = 20220929

GAIN = 1.25
"""Typical gain (electron/ADU); the amplifiers scatter by 3 % about it."""

READ_NOISE = 8.0
"""Typical read noise (electron); the amplifiers scatter by 3 % about it."""

DARK_CURRENT = 0.05
"""Typical dark current (electron/s)."""

HOT_PIXELS = 1e-3
"""Fraction of pixels with a dark current of 3 to 50 electron/s."""

DEAD_PIXELS = 2e-4
"""Fraction of single pixels that see less than 30 % of the light."""

FLAT_FLUX = 4800.0
"""Light of the flat-field lamp in the centre (electron/s, no filter)."""

FILTER_TRANSMISSION = {
    "SDSSg_65mm": 0.75,
    "SDSSr_65mm": 0.9,
    "SDSSi_65mm": 0.85,
    "SDSSy_65mm": 0.6,
    "BG40_65mm_1": 0.8,
    "holo4_003": 0.8,
}
"""Part of the lamp's light that a filter or grating transmits. All others
transmit everything."""

FULL_WELL = 180_000.0
"""Charge at which a pixel saturates (electron)."""

ADC_MAX = 2**18 - 1
"""Largest value of the 18-bit converter (ADU)."""

BRIGHTER_FATTER = -5e-8
"""Change of a flat's variance with its signal (1/electron), relative to the
Poisson variance: the first term of Astier et al. 2019, eq. 16."""

COSMIC_RAYS = 1.2
"""Hits per second on the whole CCD (36 square centimetres). The pixels of a
smaller CCD have the same size, so it has fewer hits."""


@dataclass(frozen=True)
class CcdTruth:
    """The true properties of a CCD, which the pipelines have to measure.

    Parameters
    ----------
    gain : `dict` [`str`, `float`]
        Gain by amplifier (electron/ADU).
    read_noise : `dict` [`str`, `float`]
        Read noise by amplifier (electron).
    bias_level : `dict` [`str`, `float`]
        Level of the overscan by amplifier (ADU).
    bias : `numpy.ndarray`, (ny, nx)
        Bias structure that remains after the overscan is subtracted (ADU).
    dark : `numpy.ndarray`, (ny, nx)
        Dark current (electron/s), hot pixels included.
    response : `numpy.ndarray`, (ny, nx)
        Light that each pixel records, 1 for a good one in the centre.
    hot, dead : `numpy.ndarray`, (ny, nx)
        Masks of hot and dead pixels.
    full_well : `float`
        Charge at which a pixel saturates (electron).
    brighter_fatter : `float`
        Relative change of a flat's variance with its signal (1/electron).
    """

    gain: dict[str, float]
    read_noise: dict[str, float]
    bias_level: dict[str, float]
    bias: np.ndarray
    dark: np.ndarray
    response: np.ndarray
    hot: np.ndarray
    dead: np.ndarray
    full_well: float = FULL_WELL
    brighter_fatter: float = BRIGHTER_FATTER


class CcdModel:
    """A CCD of the types that the cameras have.

    Parameters
    ----------
    detector : `lsst.ts.calibrationscripts.instruments.Detector`
        Id, name, amplifiers and type.
    scale : `int`
        How much smaller than the real detector: of an ITL CCD with 16
        amplifiers, 1 gives 4072 by 4000 pixels and 8 gives 512 by 500.
    seed : `int`
        With the detector's id it determines the detector and its images.

    Attributes
    ----------
    detector : `lsst.ts.calibrationscripts.simulation.exposure.Detector`
        Geometry; nominal gains and read noises are the true ones.
    truth : `CcdTruth`
        What the images are made from.

    Raises
    ------
    ValueError
        If the scale leaves an amplifier without pixels, or the amplifiers
        do not fill a rectangle.
    """

    def __init__(
        self, detector: instruments.Detector, scale: int = DEFAULT_SCALE, seed: int = DEFAULT_SEED
    ) -> None:
        if not 1 <= scale <= 64:
            raise ValueError(f"scale: {scale} is not in 1 to 64.")
        self.scale = scale
        self.seed = seed
        self._id = detector.id
        self._area = detector.area
        rng = self._random()
        n = len(detector.amplifiers)

        def by_amplifier(values: np.ndarray) -> dict[str, float]:
            return dict(zip(detector.amplifiers, values.tolist(), strict=True))

        gains = by_amplifier(GAIN * (1 + 0.03 * rng.standard_normal(n).clip(-2, 2)))
        noises = by_amplifier(READ_NOISE * (1 + 0.03 * rng.standard_normal(n).clip(-2, 2)))
        self.detector = Detector(
            id=detector.id,
            name=detector.name,
            amp_width=math.ceil(detector.ccd.amplifier_columns / scale),
            amp_height=detector.ccd.amplifier_rows // scale,
            overscan=max(16, detector.ccd.overscan // scale),
            gains=gains,
            read_noises=noises,
        )
        hot, dead = self._defects(rng)
        dark = np.full(self.detector.shape, DARK_CURRENT, np.float32)
        dark[hot] = np.exp(rng.uniform(np.log(3.0), np.log(50.0), int(hot.sum())))
        response = self._illumination()
        response[dead] *= rng.uniform(0.0, 0.3, int(dead.sum()))
        self.truth = CcdTruth(
            gain=gains,
            read_noise=noises,
            bias_level=by_amplifier(rng.uniform(1000.0, 3000.0, n)),
            bias=self._bias_structure(rng),
            dark=dark,
            response=response,
            hot=hot,
            dead=dead,
        )

    def _random(self, *key: int) -> np.random.Generator:
        """Return random numbers of this detector."""
        # numpy fills short keys with 0, so an id of 0 changes nothing.
        return np.random.default_rng([self.seed, *key, self._id])

    def _defects(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        dead = rng.random(self.detector.shape) < DEAD_PIXELS
        for _ in range(2):
            # A blocked column: dead from some row to its far end.
            row, column = (int(rng.integers(size)) for size in (self.detector.amp_height, dead.shape[1]))
            dead[row : row + self.detector.amp_height // 4, column] = True
        hot = (rng.random(self.detector.shape) < HOT_PIXELS) & ~dead
        return hot, dead

    def _illumination(self) -> np.ndarray:
        """Return the lamp's light, 8 % less of it in the corners."""
        y, x = (np.linspace(-1.0, 1.0, size, dtype=np.float32) for size in self.detector.shape)
        return np.asarray(1.0 - 0.04 * (y[:, None] ** 2 + x[None, :] ** 2), np.float32)

    def _bias_structure(self, rng: np.random.Generator) -> np.ndarray:
        """Add a slope that decays along the columns to a column pattern."""
        height, width = self.detector.amp_height, self.detector.amp_width
        n_rows, n_columns = self.detector.grid
        amplitude = rng.uniform(3.0, 10.0, (n_rows, 1, n_columns, 1))
        decay = np.exp(-np.linspace(0.0, 6.0, height))[None, :, None, None]
        columns = rng.normal(0.0, 1.0, (n_rows, 1, n_columns, width))
        return np.asarray(amplitude * decay + columns, np.float32).reshape(self.detector.shape)

    def expose(
        self, image_type: str, exp_time: float, exposure_id: int, physical_filter: str = ""
    ) -> np.ndarray:
        """Take an exposure.

        Parameters
        ----------
        image_type : `str`
            "BIAS", "DARK" or "FLAT", in any case.
        exp_time : `float`
            Exposure time (s); a bias takes none.
        exposure_id : `int`
            Exposure id; the same one always gives the same image.
        physical_filter : `str`, optional
            Filter and grating, joined by "~", which dim a flat. By default
            nothing is in the beam.

        Returns
        -------
        raw : `numpy.ndarray`
            Raw image (ADU), int32, with each amplifier's serial overscan
            on the right of its segment: an array of rows * amp_height by
            columns * (amp_width + overscan).

        Raises
        ------
        ValueError
            If the image type is unknown or the time negative.

        Notes
        -----
        Shot noise and read noise are drawn together as one Gaussian of
        their summed variance. Where that differs from a Poisson variate,
        below some ten electrons, read noise dominates.
        """
        kind = image_type.upper()
        if kind not in ("BIAS", "DARK", "FLAT"):
            raise ValueError(f"image_type: {image_type!r} is not BIAS, DARK or FLAT.")
        if exp_time < 0:
            raise ValueError(f"exp_time: {exp_time} s is negative.")
        seconds = 0.0 if kind == "BIAS" else exp_time
        rng = self._random(exposure_id)

        signal = self.truth.dark * np.float32(seconds)
        if kind == "FLAT":
            lamp = FLAT_FLUX * seconds * _transmission(physical_filter) * (1 + 5e-4 * rng.standard_normal())
            signal += self.truth.response * np.float32(lamp)
        self._add_cosmic_rays(signal, rng, seconds)
        return self._read_out(signal, rng)

    def _read_out(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Turn charge (electron) into a raw image (ADU), with its noise."""
        detector, truth = self.detector, self.truth
        n_columns = detector.grid[1] * (detector.amp_width + detector.overscan)
        raw = rng.standard_normal((detector.shape[0], n_columns), dtype=np.float32)
        segments = detector.segments(raw)
        pixels, overscan = segments[..., : detector.amp_width], segments[..., detector.amp_width :]
        noise = detector.per_segment(truth.read_noise)
        overscan *= noise
        charge = detector.segments(signal)
        variance = charge * np.float32(truth.brighter_fatter)
        variance += 1.0
        variance *= charge
        variance += noise * noise
        np.sqrt(variance, out=variance)
        pixels *= variance
        pixels += charge
        np.minimum(pixels, np.float32(truth.full_well), out=pixels)

        segments /= detector.per_segment(truth.gain)
        segments += detector.per_segment(truth.bias_level) + np.float32(rng.normal(0.0, 2.0))
        pixels += detector.segments(truth.bias)
        np.rint(raw, out=raw)
        np.clip(raw, 0, ADC_MAX, out=raw)
        return raw.astype(np.int32)

    def _add_cosmic_rays(self, signal: np.ndarray, rng: np.random.Generator, seconds: float) -> None:
        """Draw short straight tracks of 500 to 3000 electrons a pixel."""
        for _ in range(rng.poisson(COSMIC_RAYS * self._area * seconds / self.scale**2)):
            steps = np.arange(rng.integers(2, 7))
            angle = rng.uniform(0.0, 2 * np.pi)
            start = rng.uniform(0, signal.shape)
            rows = np.rint(start[0] + steps * np.sin(angle)).astype(int)
            columns = np.rint(start[1] + steps * np.cos(angle)).astype(int)
            inside = (rows >= 0) & (rows < signal.shape[0]) & (columns >= 0) & (columns < signal.shape[1])
            signal[rows[inside], columns[inside]] += rng.uniform(500.0, 3000.0, int(inside.sum()))


def _transmission(physical_filter: str) -> float:
    return math.prod(FILTER_TRANSMISSION.get(element, 1.0) for element in physical_filter.split("~"))


def default_scale(area: float) -> int:
    """Return the scale of CCDs if none is asked for.

    Parameters
    ----------
    area : `float`
        Of all CCDs, relative to that of an ITL CCD.

    Returns
    -------
    scale : `int`
    """
    return DEFAULT_SCALE if area < _MANY else _SCALE_OF_MANY


class FocalPlane:
    """The CCDs of a camera.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.
    scale, seed : `int`, optional
        Of each CCD; see `CcdModel`.
    detectors : `tuple` [`int`, ...], optional
        Ids of those that are simulated; by default all.

    Attributes
    ----------
    ccds : `dict` [`int`, `CcdModel`]
        The model of each CCD, by detector id.
    """

    def __init__(
        self,
        instrument: instruments.Instrument,
        scale: int = DEFAULT_SCALE,
        seed: int = DEFAULT_SEED,
        detectors: tuple[int, ...] = (),
    ) -> None:
        self.instrument = instrument
        self.scale = scale
        self.seed = seed
        ids = set(instrument.detector_ids(detectors))
        self.ccds = {each.id: CcdModel(each, scale, seed) for each in instrument.detectors if each.id in ids}
