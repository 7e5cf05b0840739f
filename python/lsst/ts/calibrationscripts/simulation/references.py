# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference calibrations, made from the truth of CCD models."""

from __future__ import annotations

__all__ = ["calibrations_of", "put_references"]

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from .ccd import CcdModel, FocalPlane
from .exposure import Exposure
from .instrument import physical_filters

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DatasetRef

_STAND_INS = ("crosstalk", "linearizer", "bfk", "cti")
"""Calibrations that pipelines look up, of effects that the CCDs lack."""

_STAND_IN = {"standIn": True}

_GRADIENT = "flat_gradient_reference"
"""That of the sky, in which the light of the simulated dome does not
differ."""

_Types = Mapping[str, tuple[str, tuple[str, ...]]]

_CALIBRATIONS: _Types = {
    "bias": ("CcdExposure", ("detector",)),
    "dark": ("CcdExposure", ("detector",)),
    "flat": ("CcdExposure", ("detector", "physical_filter")),
    "defects": ("CcdDefects", ("detector",)),
    "ptc": ("CcdPhotonTransferCurve", ("detector",)),
    **dict.fromkeys(_STAND_INS, ("StructuredDataDict", ("detector",))),
}

_MANUAL: _Types = {"manual_defects": ("CcdDefects", ("detector",))}

_OF_CAMERAS: Mapping[str, _Types] = {
    "LSSTComCam": _MANUAL,
    "LSSTCam": {**_MANUAL, _GRADIENT: ("StructuredDataDict", ("physical_filter",))},
}
"""Those that only pipelines of some cameras look up: cp_pipe f029a3f2."""


def calibrations_of(instrument: Instrument) -> _Types:
    """Return storage class and dimensions of each reference.

    Parameters
    ----------
    instrument : `Instrument`
        The camera, which all have as a dimension too.

    Returns
    -------
    types : `~collections.abc.Mapping` [`str`, `tuple`]
        By dataset type.
    """
    return {**_CALIBRATIONS, **_OF_CAMERAS.get(instrument.name, {})}


def put_references(butler: Butler, focal_plane: FocalPlane, run: str) -> list[DatasetRef]:
    """Store the references of detectors.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        A writeable Butler, which knows their dataset types.
    focal_plane : `FocalPlane`
        The models.
    run : `str`
        RUN collection to store them in.

    Returns
    -------
    refs : `list` [`lsst.daf.butler.DatasetRef`]
        With that of all detectors, unless it was there.
    """
    instrument = focal_plane.instrument
    types, filters = calibrations_of(instrument), physical_filters(instrument)
    refs: list[DatasetRef] = []
    if _GRADIENT in types and not butler.query_datasets(_GRADIENT, run, explain=False):
        refs += [
            butler.put(_STAND_IN, _GRADIENT, run=run, instrument=instrument.name, physical_filter=name)
            for name in filters
        ]
    for detector, ccd in focal_plane.ccds.items():
        data_id = {"instrument": instrument.name, "detector": detector}
        products = _references(ccd, instrument)
        refs += _put_flat(butler, products.pop("flat"), data_id, filters, run)
        refs += [
            butler.put(product, name, data_id, run=run) for name, product in products.items() if name in types
        ]
    return refs


def _put_flat(
    butler: Butler, flat: Exposure, data_id: dict[str, Any], filters: list[str], run: str
) -> list[DatasetRef]:
    """Store one file as the flat of all filters, which all look the same."""
    from lsst.daf.butler import DatasetRef, FileDataset

    from .formatters import ExposureFormatter

    refs = [
        DatasetRef(
            butler.get_dataset_type("flat"),
            butler.registry.expandDataId(data_id, physical_filter=name),
            run=run,
        )
        for name in filters
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flat.fits"
        flat.write_fits(path)
        butler.ingest(FileDataset(str(path), refs, formatter=ExposureFormatter), transfer="copy")
    return refs


def _references(ccd: CcdModel, instrument: Instrument) -> dict[str, Any]:
    """Make bias, dark, flat, defects and ptc from a model's truth."""
    from .products import Defects, PhotonTransferCurve

    detector, truth = ccd.detector, ccd.truth
    trimmed = detector.to_metadata() | {"OVERSCAN": 0, "INSTRUME": instrument.name}
    gain = detector.per_segment(truth.gain)

    def in_adu(electrons: np.ndarray) -> np.ndarray:
        return (detector.segments(electrons) / gain).reshape(detector.shape)

    flat = in_adu(truth.response)
    flat /= flat.mean()
    return {
        "bias": Exposure(truth.bias, trimmed | {"IMGTYPE": "BIAS"}),
        "dark": Exposure(in_adu(truth.dark), trimmed | {"IMGTYPE": "DARK"}),
        "flat": Exposure(flat, trimmed | {"IMGTYPE": "FLAT"}),
        "defects": Defects.from_mask(truth.hot | truth.dead, detector.id),
        "ptc": PhotonTransferCurve(
            ptcFitType="TRUTH",
            gain=truth.gain,
            noise=truth.read_noise,
            a00=dict.fromkeys(truth.gain, truth.brighter_fatter),
        ),
        # No person has looked at simulated detectors.
        "manual_defects": Defects(detector=detector.id, boxes=()),
        **dict.fromkeys(_STAND_INS, _STAND_IN),
    }
