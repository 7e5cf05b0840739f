# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw images: their headers, their files, and their way into the Butler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..instruments import Detector, Instrument
from ..observatory.image_names import exposure_id
from .exposure import Exposure
from .instrument import physical_filter

if TYPE_CHECKING:
    import numpy as np
    from astropy.time import Time
    from lsst.daf.butler import Butler

    from .ccd import CcdModel

__all__ = [
    "RawFiles",
    "RawHeader",
    "exposure_id_of",
    "has_raw",
    "ingest_raw",
    "ingest_raws",
    "read_end",
    "write_raw",
]

DRAFT_SUFFIX = ".part"
"""Suffix of an image's file until it has been read out."""


@dataclass(frozen=True)
class RawHeader:
    """What the header of a raw image says about its exposure.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".
    image_type : `str`
        "BIAS", "DARK" or "FLAT".
    exp_time : `float`
        Exposure time (s).
    begin, end : `astropy.time.Time`
        When the exposure began and ended.
    in_beam : mapping of `str` to `str`, optional
        What each wheel had in the beam; see `physical_filter`.
    group_id : `str`, optional
        Group of exposures; by default its image name.
    reason, program, note : `str`, optional
        As given with the exposure.
    """

    instrument: Instrument
    obs_id: str
    image_type: str
    exp_time: float
    begin: Time
    end: Time
    in_beam: Mapping[str, str] = field(default_factory=dict)
    group_id: str = ""
    reason: str = ""
    program: str = ""
    note: str = ""

    @property
    def exposure_id(self) -> int:
        """The id of the exposure."""
        return exposure_id_of(self.obs_id, self.instrument)

    @property
    def shutter_time(self) -> float:
        """How long the shutter was open (s): that of LSSTCam is measured."""
        differs = (self.exposure_id * 3 % 5 - 2) * 1e-3 if self.instrument.name == "LSSTCam" else 0.0
        return round(self.exp_time + differs, 6) if self.image_type.upper() == "FLAT" else 0.0

    @property
    def physical_filter(self) -> str:
        """The Butler's name of what was in the beam."""
        return physical_filter(self.instrument, self.in_beam)

    def to_metadata(self) -> dict[str, Any]:
        """Return the header as FITS keywords."""
        wheels = (wheel.upper() for wheel in self.instrument.wheels)
        return {
            "INSTRUME": self.instrument.name,
            "OBSID": self.obs_id,
            "IMGTYPE": self.image_type.upper(),
            "EXPTIME": self.exp_time,
            "SHUTTIME": self.shutter_time,
            "DARKTIME": self.exp_time,
            "TIMESYS": "TAI",
            "DATE-BEG": self.begin.tai.isot,
            "DATE-END": self.end.tai.isot,
            **dict(zip(wheels, self.physical_filter.split("~"), strict=True)),
            "GROUPID": self.group_id or self.obs_id,
            "REASON": self.reason,
            "PROGRAM": self.program,
            "OBSNOTE": self.note,
            "EXPID": self.exposure_id,
        }


def exposure_id_of(obs_id: str, instrument: Instrument) -> int:
    """Return the exposure id that belongs to an image name.

    Parameters
    ----------
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".
    instrument : `Instrument`
        The camera that took the image.

    Returns
    -------
    exposure_id : `int`
        Day and five digits of the sequence number: 2026112300007.

    Raises
    ------
    ValueError
        If the name is not of that form.
    """
    prefix = instrument.image_prefix
    found = exposure_id(obs_id, prefix) if obs_id.startswith(prefix) else None
    if found is None:
        raise ValueError(
            f"{obs_id!r} is not an image name of {instrument.name}, such as {prefix}_O_20261123_000007."
        )
    return found


@dataclass(frozen=True)
class RawFiles:
    """Where the camera leaves its images for the OODS.

    There is one file for each detector. Its name is that of the image; if
    the camera has several detectors, that of the detector follows.

    Parameters
    ----------
    folder : `pathlib.Path`
        The folder between camera and OODS.
    instrument : `Instrument`
        The camera.
    selected : `tuple` [`int`, ...], optional
        Ids of the detectors that are simulated; none means all.
    """

    folder: Path
    instrument: Instrument
    selected: tuple[int, ...] = ()

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors of which it writes images."""
        ids = set(self.instrument.detector_ids(self.selected))
        return tuple(detector for detector in self.instrument.detectors if detector.id in ids)

    def path(self, image_name: str, detector: Detector) -> Path:
        """Return where a detector's part of an image is."""
        return self.folder / f"{image_name}{self._suffix(detector)}.fits"

    def draft(self, image_name: str, detector: Detector) -> Path:
        """Return where it is until it has been read out."""
        return self.path(image_name, detector).with_suffix(DRAFT_SUFFIX)

    def identify(self, path: Path) -> tuple[str, Detector]:
        """Return the image and the detector that a file belongs to.

        Parameters
        ----------
        path : `pathlib.Path`
            Such as `path` returned it.

        Returns
        -------
        image_name : `str`
        detector : `Detector`

        Raises
        ------
        ValueError
            If the camera does not have the detector.
        """
        for detector in self.instrument.detectors:
            suffix = self._suffix(detector)
            if path.stem.endswith(suffix):
                return path.stem.removesuffix(suffix), detector
        raise ValueError(f"{path.name}: {self.instrument.name} does not have this detector.")

    def present(self, pattern: str = "*") -> list[Path]:
        """Return the files of images that were read out.

        Parameters
        ----------
        pattern : `str`, optional
            The names of the images, with wild cards.

        Returns
        -------
        paths : `list` [`pathlib.Path`]
            In the order of their names.
        """
        return sorted(self.folder.glob(f"{pattern}.fits"))

    def remove_drafts(self) -> None:
        """Remove images whose readout was interrupted."""
        for path in self.folder.glob(f"*{DRAFT_SUFFIX}"):
            path.unlink()

    def _suffix(self, detector: Detector) -> str:
        return f"_{detector.name}" if len(self.instrument.detectors) > 1 else ""


def write_raw(path: Path, raw: np.ndarray, header: RawHeader, ccd: CcdModel) -> None:
    """Write a raw image as the camera's FITS file.

    Parameters
    ----------
    path : `~pathlib.Path`
        File to make.
    raw : `numpy.ndarray`
        What `CcdModel.expose` returned.
    header : `RawHeader`
        Of the exposure.
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


def ingest_raw(butler_or_root: Butler | Path, path: Path, instrument: Instrument) -> int:
    """Move a raw image into the repository and register its exposure.

    Parameters
    ----------
    butler_or_root : `lsst.daf.butler.Butler` or `~pathlib.Path`
        A writeable Butler, which saves the time to open one; or the
        repository's folder.
    path : `~pathlib.Path`
        File that `write_raw` made.
    instrument : `Instrument`
        The camera that took it.

    Returns
    -------
    exposure_id : `int`
        Its exposure id.

    Raises
    ------
    ValueError
        If the header lacks a keyword or has an unusable image name.
    lsst.daf.butler.registry.ConflictingDefinitionError
        If the image is registered already.
    """
    from lsst.daf.butler import Butler

    if isinstance(butler_or_root, Butler):
        return ingest_raws(butler_or_root, [path], instrument)[0]
    with Butler.from_config(str(butler_or_root), writeable=True) as butler:
        return ingest_raws(butler, [path], instrument)[0]


def ingest_raws(butler: Butler, paths: Sequence[Path], instrument: Instrument) -> list[int]:
    """Move raw images into the repository together: all, or none.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        A writeable Butler.
    paths : `~collections.abc.Sequence` [`~pathlib.Path`]
        Files that `write_raw` made.
    instrument : `Instrument`
        The camera that took them.

    Returns
    -------
    exposure_ids : `list` [`int`]
        Of each file.

    Raises
    ------
    ValueError, lsst.daf.butler.registry.ConflictingDefinitionError
        As of `ingest_raw`.
    """
    from lsst.daf.butler import DatasetRef, FileDataset

    from .formatters import ExposureFormatter

    read = [_read_record(path, instrument) for path in paths]
    with butler.transaction():
        for record in {record["id"]: record for record, _ in read}.values():
            for element, key, value in (
                ("day_obs", "id", record["day_obs"]),
                ("group", "name", record["group"]),
            ):
                butler.registry.insertDimensionData(
                    element, {"instrument": instrument.name, key: value}, skip_existing=True
                )
            butler.registry.syncDimensionData("exposure", record)
        dataset_type = butler.get_dataset_type("raw")
        files = []
        for path, (record, detector) in zip(paths, read, strict=True):
            data_id = butler.registry.expandDataId(
                instrument=instrument.name, exposure=record["id"], detector=detector
            )
            ref = DatasetRef(dataset_type, data_id, run=instrument.raw_collection)
            files.append(FileDataset(str(path), [ref], formatter=ExposureFormatter))
        butler.ingest(*files, transfer="hardlink")
    # A file that is moved before the registry has it could be lost.
    for path in paths:
        path.unlink()
    return [int(record["id"]) for record, _ in read]


def _read_record(path: Path, instrument: Instrument) -> tuple[dict[str, Any], int]:
    """Return the record of a file's exposure, and its detector."""
    from astropy.io import fits

    header = fits.getheader(path)
    try:
        return _exposure_record(header, instrument), header["DETECTOR"]
    except KeyError as error:
        raise ValueError(
            f"{path} is not a raw image of the simulated {instrument.name}: {error.args[0]}"
        ) from error


def has_raw(butler: Butler, obs_id: str, instrument: Instrument, detector: Detector) -> bool:
    """Return whether a repository has the raw of an image.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        Of the repository.
    obs_id : `str`
        Image name, such as "AT_O_20261123_000007".
    instrument : `Instrument`
        The camera.
    detector : `Detector`
        The detector whose part of the image is meant.

    Returns
    -------
    exists : `bool`
    """
    refs = butler.query_datasets(
        "raw",
        collections=instrument.raw_collection,
        where="instrument = name AND exposure.obs_id = obs AND detector = id",
        bind={"name": instrument.name, "obs": obs_id, "id": detector.id},
        explain=False,
    )
    return bool(refs)


def _exposure_record(header: Any, instrument: Instrument) -> dict[str, Any]:
    from astropy.time import Time
    from lsst.daf.butler import Timespan

    exposure_id = exposure_id_of(header["OBSID"], instrument)
    day_obs, seq_num = divmod(exposure_id, 100_000)
    begin, end = (Time(header[key], scale="tai") for key in ("DATE-BEG", "DATE-END"))
    return {
        "instrument": instrument.name,
        "id": exposure_id,
        "obs_id": header["OBSID"],
        "physical_filter": physical_filter(
            instrument, {wheel: header[wheel.upper()] for wheel in instrument.wheels}
        ),
        "group": header["GROUPID"],
        "day_obs": day_obs,
        "seq_num": seq_num,
        "seq_start": seq_num,
        "seq_end": seq_num,
        # As obs_lsst 0e84d755 has it of LSSTCam; of LATISS both are the same.
        "exposure_time": header["SHUTTIME"] if header["SHUTTIME"] > 0 else header["EXPTIME"],
        "dark_time": header["DARKTIME"],
        "observation_type": header["IMGTYPE"].lower(),
        "observation_reason": header["REASON"] or "unknown",
        "science_program": header["PROGRAM"] or "unknown",
        "target_name": "unknown",
        "has_simulated": True,
        "can_see_sky": False,
        # A calibration lookup needs a timespan that is not empty.
        "timespan": Timespan(begin, max(begin, end)),
    }
