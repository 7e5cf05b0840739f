# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated observatory's Butler repository: make it, ingest raws."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .ccd import DEFAULT_SCALE, DEFAULT_SEED, CcdModel
from .exposure import DETECTOR_ID, Exposure
from .instrument import FILTERS, GRATINGS, SimulatedLatiss, physical_filter

if TYPE_CHECKING:
    import numpy as np
    from astropy.time import Time
    from lsst.daf.butler import Butler, DatasetType

__all__ = [
    "DEFAULT_GENERATION",
    "RAW_RUN",
    "REFERENCE_COLLECTION",
    "RawHeader",
    "certify_references",
    "create_repository",
    "exposure_id_of",
    "has_raw",
    "ingest_raw",
    "is_repository",
    "read_ccd",
    "read_end",
    "read_generation",
    "write_raw",
]

INSTRUMENT = "LATISS"

RAW_RUN = "LATISS/raw/all"
"""RUN collection of the raws."""

REFERENCE_COLLECTION = "LATISS/calib"
"""CALIBRATION collection of the reference calibrations; they lie in the RUN
collection ``reference`` below it."""

_SIMULATION_FILE = "simulation.json"

DEFAULT_GENERATION = "procedure"

_CALIBRATIONS = {
    "bias": ("CcdExposure", ()),
    "dark": ("CcdExposure", ()),
    "flat": ("CcdExposure", ("physical_filter",)),
    "defects": ("CcdDefects", ()),
    "ptc": ("CcdPhotonTransferCurve", ()),
}


@dataclass(frozen=True)
class RawHeader:
    """What the header of a raw image says about its exposure.

    Parameters
    ----------
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".
    image_type : `str`
        "BIAS", "DARK" or "FLAT".
    exp_time : `float`
        Exposure time (s).
    begin, end : `astropy.time.Time`
        When the exposure began and ended.
    filter_name, grating_name : `str`, optional
        What was in the beam.
    group_id : `str`, optional
        Group of exposures; its image name when empty.
    reason, program, note : `str`, optional
        As given with the exposure.
    """

    obs_id: str
    image_type: str
    exp_time: float
    begin: Time
    end: Time
    filter_name: str = FILTERS[0]
    grating_name: str = GRATINGS[0]
    group_id: str = ""
    reason: str = ""
    program: str = ""
    note: str = ""

    def to_metadata(self) -> dict[str, Any]:
        """Write the header as FITS keywords."""
        return {
            "INSTRUME": INSTRUMENT,
            "OBSID": self.obs_id,
            "IMGTYPE": self.image_type.upper(),
            "EXPTIME": self.exp_time,
            "DARKTIME": self.exp_time,
            "TIMESYS": "TAI",
            "DATE-BEG": self.begin.tai.isot,
            "DATE-END": self.end.tai.isot,
            "FILTER": self.filter_name,
            "GRATING": self.grating_name,
            "GROUPID": self.group_id or self.obs_id,
            "REASON": self.reason,
            "PROGRAM": self.program,
            "OBSNOTE": self.note,
            "EXPID": exposure_id_of(self.obs_id),
        }


def exposure_id_of(obs_id: str) -> int:
    """Return the exposure id that an image name stands for.

    Parameters
    ----------
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".

    Returns
    -------
    exposure_id : `int`
        Day and five digits of the sequence number: 2026112300007.

    Raises
    ------
    ValueError
        If the name is not of that form.
    """
    match = re.fullmatch(r"AT_[A-Z]_(\d{8})_(\d{6})", obs_id)
    if match is None or int(match[2]) > 99999:
        raise ValueError(f"{obs_id!r} is no image name of LATISS such as AT_O_20261123_000007.")
    return int(match[1]) * 100_000 + int(match[2])


def is_repository(root: Path) -> bool:
    """Return whether a folder holds a simulated repository."""
    return (root / _SIMULATION_FILE).is_file()


def read_ccd(root: Path) -> CcdModel:
    """Return the CCD model that a repository was made for.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository.

    Returns
    -------
    ccd : `CcdModel`
        The same scale and seed, hence the same detector.
    """
    settings = _settings(root)
    return CcdModel(settings["scale"], settings["seed"])


def read_generation(root: Path) -> str:
    """Return the generation of pipelines that a repository was made for.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository.

    Returns
    -------
    generation : `str`
        Its name.
    """
    return str(_settings(root)["generation"])


def _settings(root: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((root / _SIMULATION_FILE).read_text())
    return settings


def create_repository(
    root: Path,
    *,
    scale: int = DEFAULT_SCALE,
    seed: int = DEFAULT_SEED,
    generation: str = DEFAULT_GENERATION,
    reference_collection: str = REFERENCE_COLLECTION,
) -> None:
    """Make a Butler repository with LATISS and reference calibrations.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder to make; it may exist if it is empty.
    scale, seed : `int`, optional
        Of the CCD model that exposures are going to come from.
    generation : `str`, optional
        Of the pipelines that are going to run; see `read_generation`. The
        repository is the same for all, but holds the outputs of one.
    reference_collection : `str`, optional
        CALIBRATION collection for the references. They are free of noise,
        made from what the model knows, and valid for all times.

    Raises
    ------
    FileExistsError
        If there is a repository already.
    """
    from lsst.daf.butler import Butler, Config, Timespan

    root.mkdir(parents=True, exist_ok=True)
    ccd = CcdModel(scale, seed)
    with as_file(files(__package__).joinpath("butler.yaml")) as additions:
        config = Butler.makeRepo(str(root), config=Config(str(additions)))
    with Butler.from_config(config, writeable=True) as butler:
        SimulatedLatiss().register(butler.registry)
        butler.registry.registerDatasetType(_dataset_type(butler, "raw", "CcdExposure", ("exposure",), False))
        butler.collections.register(RAW_RUN)
        run = f"{reference_collection}/reference"
        butler.collections.register(run)
        certify_references(butler, ccd, run, reference_collection, Timespan(None, None))
    # Written last: only a whole repository counts as one.
    settings = {"scale": scale, "seed": seed, "generation": generation}
    (root / _SIMULATION_FILE).write_text(json.dumps(settings))


def _dataset_type(
    butler: Butler, name: str, storage_class: str, dimensions: tuple[str, ...], calibration: bool
) -> DatasetType:
    from lsst.daf.butler import DatasetType

    return DatasetType(
        name,
        {"instrument", "detector", *dimensions},
        storage_class,
        universe=butler.dimensions,
        isCalibration=calibration,
    )


def certify_references(butler: Butler, ccd: CcdModel, run: str, collection: str, timespan: Any) -> None:
    """Store calibrations made from the CCD model's truth and certify them.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        A writeable Butler.
    ccd : `CcdModel`
        The model.
    run : `str`
        RUN collection to store them in; made if absent.
    collection : `str`
        CALIBRATION collection to certify them into; made if absent.
    timespan : `lsst.daf.butler.Timespan`
        Their validity.
    """
    from lsst.daf.butler import CollectionType, DatasetRef, FileDataset

    from .formatters import ExposureFormatter

    butler.collections.register(run)
    butler.collections.register(collection, CollectionType.CALIBRATION)
    types = {}
    for name, (storage_class, dimensions) in _CALIBRATIONS.items():
        types[name] = _dataset_type(butler, name, storage_class, dimensions, True)
        butler.registry.registerDatasetType(types[name])

    data_id = {"instrument": INSTRUMENT, "detector": DETECTOR_ID}
    products = _references(ccd)
    flat = products.pop("flat")
    refs = [butler.put(product, types[name], data_id, run=run) for name, product in products.items()]

    # The lamp and the CCD look the same in all filters: one file serves all.
    flat_refs = [
        DatasetRef(
            types["flat"],
            butler.registry.expandDataId(data_id, physical_filter=physical_filter(filter_name, grating_name)),
            run=run,
        )
        for filter_name in FILTERS
        for grating_name in GRATINGS
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flat.fits"
        flat.write_fits(path)
        butler.ingest(FileDataset(str(path), flat_refs, formatter=ExposureFormatter), transfer="copy")
    butler.registry.certify(collection, [*refs, *flat_refs], timespan)


def _references(ccd: CcdModel) -> dict[str, Any]:
    """Make bias, dark, flat, defects and ptc from the model's truth."""
    from .products import Defects, PhotonTransferCurve

    detector, truth = ccd.detector, ccd.truth
    trimmed = detector.to_metadata() | {"OVERSCAN": 0, "INSTRUME": INSTRUMENT}
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
    }


def write_raw(path: Path, raw: np.ndarray, header: RawHeader, ccd: CcdModel) -> None:
    """Write a raw image as the camera's FITS file.

    Parameters
    ----------
    path : `~pathlib.Path`
        File to make.
    raw : `numpy.ndarray`
        What `CcdModel.expose` returned.
    header : `RawHeader`
        What there is to say about the exposure.
    ccd : `CcdModel`
        The model, for the geometry.
    """
    Exposure(raw, header.to_metadata() | ccd.detector.to_metadata()).write_fits(path)


def read_end(path: Path) -> float:
    """Return when the exposure of a raw image ended.

    Parameters
    ----------
    path : `~pathlib.Path`
        File that `write_raw` made.

    Returns
    -------
    end : `float`
        Its end (TAI, Unix second).
    """
    from astropy.io import fits
    from astropy.time import Time

    return float(Time(fits.getval(path, "DATE-END"), scale="tai").to_value("unix_tai"))


def ingest_raw(butler_or_root: Butler | Path, path: Path) -> int:
    """Move a raw image into the repository and register its exposure.

    Parameters
    ----------
    butler_or_root : `lsst.daf.butler.Butler` or `~pathlib.Path`
        A writeable Butler, which saves the time to open one; or the
        repository's folder.
    path : `~pathlib.Path`
        File that `write_raw` made.

    Returns
    -------
    exposure_id : `int`
        Its exposure id.

    Raises
    ------
    ValueError
        If the header lacks a keyword or has an unusable image name.
    lsst.daf.butler.registry.ConflictingDefinitionError
        If an exposure of that id is registered already.
    """
    from lsst.daf.butler import Butler

    if isinstance(butler_or_root, Butler):
        return _ingest(butler_or_root, path)
    with Butler.from_config(str(butler_or_root), writeable=True) as butler:
        return _ingest(butler, path)


def _ingest(butler: Butler, path: Path) -> int:
    from astropy.io import fits
    from lsst.daf.butler import DatasetRef, FileDataset

    from .formatters import ExposureFormatter

    header = fits.getheader(path)
    try:
        record = _exposure_record(header)
        detector = header["DETECTOR"]
    except KeyError as error:
        raise ValueError(f"{path}: no raw image of the simulated LATISS: {error.args[0]}") from error
    with butler.transaction():
        for element, key, value in (
            ("day_obs", "id", record["day_obs"]),
            ("group", "name", record["group"]),
        ):
            butler.registry.insertDimensionData(
                element, {"instrument": INSTRUMENT, key: value}, skip_existing=True
            )
        butler.registry.syncDimensionData("exposure", record)
        data_id = butler.registry.expandDataId(
            instrument=INSTRUMENT, exposure=record["id"], detector=detector
        )
        ref = DatasetRef(butler.get_dataset_type("raw"), data_id, run=RAW_RUN)
        butler.ingest(FileDataset(str(path), [ref], formatter=ExposureFormatter), transfer="hardlink")
    # A file that is moved before the registry knows of it could be lost.
    path.unlink()
    return int(record["id"])


def has_raw(butler: Butler, obs_id: str) -> bool:
    """Return whether a repository has the raw of an image.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        Of the repository.
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".
    """
    refs = butler.query_datasets(
        "raw",
        collections=RAW_RUN,
        where="instrument = name AND exposure.obs_id = obs",
        bind={"name": INSTRUMENT, "obs": obs_id},
        explain=False,
    )
    return bool(refs)


def _exposure_record(header: Any) -> dict[str, Any]:
    from astropy.time import Time
    from lsst.daf.butler import Timespan

    exposure_id = exposure_id_of(header["OBSID"])
    day_obs, seq_num = divmod(exposure_id, 100_000)
    begin, end = (Time(header[key], scale="tai") for key in ("DATE-BEG", "DATE-END"))
    return {
        "instrument": INSTRUMENT,
        "id": exposure_id,
        "obs_id": header["OBSID"],
        "physical_filter": physical_filter(header["FILTER"], header["GRATING"]),
        "group": header["GROUPID"],
        "day_obs": day_obs,
        "seq_num": seq_num,
        "seq_start": seq_num,
        "seq_end": seq_num,
        "exposure_time": header["EXPTIME"],
        "dark_time": header["DARKTIME"],
        "observation_type": header["IMGTYPE"].lower(),
        "observation_reason": header["REASON"] or "unknown",
        "science_program": header["PROGRAM"] or "unknown",
        "target_name": "unknown",
        "has_simulated": True,
        "can_see_sky": False,
        # A calibration lookup needs a time: none has an empty one.
        "timespan": Timespan(begin, max(begin, end)),
    }
