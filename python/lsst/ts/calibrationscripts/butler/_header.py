# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a corrected image says of its amplifiers."""

from __future__ import annotations

__all__ = ["Header", "finite", "read_detector", "read_header"]

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef

_LEVEL_KEYS = ("LSST ISR OVERSCAN SERIAL MEDIAN {}", "OSLV{}")
"""Under what ISR notes the level of an amplifier's overscan: that of LSST,
and that of the simulated observatory."""


class Header(NamedTuple):
    """What is known of a corrected image without reading its pixels."""

    unit: str
    """ADU or electron."""

    nominal_noise: Mapping[str, float]
    """By amplifier, in that unit."""

    level: Mapping[str, float]
    """Of the overscan, by amplifier (ADU); nothing if it is not known."""


def read_header(butler: Butler, ref: DatasetRef) -> Header:
    """Read what a corrected image says of its amplifiers.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    ref : `lsst.daf.butler.DatasetRef`
        The image.

    Returns
    -------
    header : `Header`
        The nominal noise is that which ISR noted, as cp_verify takes it;
        if it noted none, that of the detector.
    """
    detector, metadata = _read(butler, ref)
    electrons = (
        str(metadata.get("LSST ISR UNITS", metadata.get("BUNIT", "adu"))).lower().startswith("electron")
    )
    nominal: dict[str, float] = {}
    level: dict[str, float] = {}
    for amplifier in detector:
        name = amplifier.getName()
        noise = float(metadata.get(f"LSST ISR READNOISE {name}", amplifier.getReadNoise()))
        gain = float(metadata.get(f"LSST ISR GAIN {name}", amplifier.getGain()))
        nominal[name] = noise if electrons else noise / gain
        for key in _LEVEL_KEYS:
            if (noted := metadata.get(key.format(name), None)) is not None:
                level[name] = float(noted)
                break
    return Header("electron" if electrons else "ADU", nominal, level)


def read_detector(butler: Butler, ref: DatasetRef) -> Any:
    """Read the geometry of an image's detector.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    ref : `lsst.daf.butler.DatasetRef`
        The image; a raw one has it too.

    Returns
    -------
    detector : `lsst.afw.cameraGeom.Detector`
        Or what has the same methods.
    """
    return _read(butler, ref)[0]


def _read(butler: Butler, ref: DatasetRef) -> tuple[Any, Any]:
    """Read detector and metadata, and no pixels where that is possible."""
    storage_class = ref.datasetType.storageClass
    if {"detector", "metadata"} <= set(storage_class.components):
        return butler.get(ref.makeComponentRef("detector")), butler.get(ref.makeComponentRef("metadata"))
    rows = {"rows": (0, 1)} if "rows" in storage_class.parameters else None
    image = butler.get(ref, parameters=rows)
    return image.getDetector(), image.getMetadata()


def finite(value: object) -> float | None:
    """Return a measurement to six digits, or `None` if there is none."""
    return float(f"{value:.6g}") if isinstance(value, int | float) and math.isfinite(value) else None
