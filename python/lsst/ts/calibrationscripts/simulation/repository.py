# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated observatory's Butler repository, with its references."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ..pipelines import GENERATIONS, NEWEST
from .ccd import DEFAULT_SCALE, DEFAULT_SEED, FocalPlane
from .instrument import register_instrument
from .references import calibrations_of, put_references

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetType

__all__ = [
    "DEFAULT_GENERATION",
    "RepositoryKind",
    "WorkFolderError",
    "add_detectors",
    "certify_references",
    "create_repository",
    "is_repository",
    "read_focal_plane",
    "read_kind",
    "remove_unfinished",
]

_KIND_FILE = "simulation.json"

DEFAULT_GENERATION = NEWEST


class WorkFolderError(ValueError):
    """A work folder cannot be used: it is another's, or of another kind."""


@dataclass(frozen=True)
class RepositoryKind:
    """What a repository was made for; only that fits into it.

    Parameters
    ----------
    instrument : `str`
        Name of the camera.
    scale, seed : `int`
        Of the CCD models; see `CcdModel`.
    generation : `str`
        Of the pipelines.
    detectors : `tuple` [`int`, ...], optional
        Ids of the detectors that have references; none means all. More can
        be added.
    """

    instrument: str
    scale: int
    seed: int
    generation: str
    detectors: tuple[int, ...] = ()


def is_repository(root: Path) -> bool:
    """Return whether a folder has a simulated repository.

    Parameters
    ----------
    root : `~pathlib.Path`
        The folder.

    Returns
    -------
    exists : `bool`
    """
    return (root / _KIND_FILE).is_file()


def read_kind(root: Path) -> RepositoryKind:
    """Return what a repository was made for.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository.

    Returns
    -------
    kind : `RepositoryKind`

    Raises
    ------
    WorkFolderError
        If another version of this program made the repository.
    """
    try:
        kind = RepositoryKind(**json.loads((root / _KIND_FILE).read_text()))
        kind = dataclasses.replace(kind, detectors=tuple(kind.detectors))
        GENERATIONS[kind.generation]
    except (TypeError, ValueError, KeyError) as error:
        raise WorkFolderError(
            f"{root} was made by another version of this program. Name another work folder (--workdir)."
        ) from error
    return kind


def remove_unfinished(root: Path, instrument: Instrument, leftovers: Sequence[Path]) -> bool:
    """Remove a repository whose process ended before it was finished.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of a repository that is not complete, or does not exist.
    instrument : `Instrument`
        Its camera.
    leftovers : sequence of `~pathlib.Path`
        What runs have left elsewhere, if anything.

    Returns
    -------
    removed : `bool`
        Whether there was something.

    Raises
    ------
    WorkFolderError
        If something has been taken that may belong to it, or if it is
        something else. Nothing is removed then.
    """
    draft = _draft(root)
    found = draft.exists()
    shutil.rmtree(draft, ignore_errors=True)
    if not root.exists() or not any(root.iterdir()):
        return found
    held = next(chain(leftovers, _foreign_files(root, instrument)), None)
    if held is not None:
        raise WorkFolderError(
            f"{root} is not a finished simulated repository, and there is {held}, which may be of value. "
            f"Name another work folder (--workdir), or remove {root.parent}."
        )
    shutil.rmtree(root)
    return True


def _foreign_files(root: Path, instrument: Instrument) -> Iterator[Path]:
    """Yield what `create_repository` does not make, frames included."""
    references = Path(instrument.calib_collection, "reference")
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        made = inside.name == "butler.yaml" or inside.name.startswith("gen3.sqlite3")
        if not (path.is_dir() or (made and len(inside.parts) == 1) or inside.is_relative_to(references)):
            yield path
    database = root / "gen3.sqlite3"
    if database.is_file() and _has_exposures(database):
        yield database


def _has_exposures(database: Path) -> bool:
    """Return whether a registry knows of frames, wherever they are."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            return bool(connection.execute("SELECT count(*) FROM exposure").fetchone()[0])
        except sqlite3.OperationalError:
            return False  # Not even its tables were made.
        except sqlite3.DatabaseError:
            return True  # It is something else.


def _draft(root: Path) -> Path:
    """Return where a repository is made before it has its name."""
    # The Butler takes what follows a dot for a format.
    place = root.resolve()
    return place.with_name(f"unfinished_{place.name}")


def read_focal_plane(root: Path, instrument: Instrument) -> FocalPlane:
    """Return the CCD models that a repository was made for.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository.
    instrument : `Instrument`
        Its camera.

    Returns
    -------
    focal_plane : `FocalPlane`
        The same scale and seed, hence the same CCDs.
    """
    kind = read_kind(root)
    return FocalPlane(instrument, kind.scale, kind.seed, kind.detectors)


def create_repository(
    root: Path,
    instrument: Instrument,
    *,
    scale: int = DEFAULT_SCALE,
    seed: int = DEFAULT_SEED,
    generation: str = DEFAULT_GENERATION,
    reference_collection: str | None = None,
    registry: str | None = None,
    detectors: tuple[int, ...] = (),
) -> None:
    """Make a Butler repository with a camera and reference calibrations.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder to make; it may exist if it is empty. It appears when it is
        complete.
    instrument : `Instrument`
        The camera.
    scale, seed : `int`, optional
        Of the CCD models that exposures will come from.
    generation : `str`, optional
        Of the pipelines that will run. The repository is the same for all,
        but has the outputs of one.
    reference_collection : `str`, optional
        CALIBRATION collection of the references, by default that of the
        camera. They are made from the models' truth, without noise, and are
        valid at all times.
    registry : `str`, optional
        URL of an empty database for the registry, by default a SQLite file
        in the folder.
    detectors : `tuple` [`int`, ...], optional
        Ids of the detectors that get references; none means all.

    Raises
    ------
    FileExistsError
        If there is a repository already.
    """
    from lsst.daf.butler import Butler, Config, Timespan

    collection = reference_collection or instrument.calib_collection
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty.")
    draft = _draft(root)
    draft.mkdir(parents=True)
    with as_file(files(__package__).joinpath("butler.yaml")) as additions:
        additional = Config(str(additions))
    if registry is not None:
        additional["registry", "db"] = registry
    config = Butler.makeRepo(str(draft), config=additional)
    with Butler.from_config(config, writeable=True) as butler:
        register_instrument(butler.registry, instrument)
        raw = _dataset_type(butler, "raw", "CcdExposure", ("detector", "exposure"), False)
        butler.registry.registerDatasetType(raw)
        butler.collections.register(instrument.raw_collection)
        focal_plane = FocalPlane(instrument, scale, seed, detectors)
        certify_references(butler, focal_plane, f"{collection}/reference", collection, Timespan(None, None))
    _write_kind(draft, RepositoryKind(instrument.name, scale, seed, generation, detectors))
    draft.replace(root.resolve())


def _write_kind(root: Path, kind: RepositoryKind) -> None:
    (root / _KIND_FILE).write_text(json.dumps(dataclasses.asdict(kind)))


def add_detectors(root: Path, instrument: Instrument, detectors: tuple[int, ...]) -> RepositoryKind:
    """Give references to detectors that a repository was not made for.

    Parameters
    ----------
    root : `~pathlib.Path`
        Folder of the repository.
    instrument : `Instrument`
        Its camera.
    detectors : `tuple` [`int`, ...]
        Ids of the detectors; none means all.

    Returns
    -------
    kind : `RepositoryKind`
        With these detectors.
    """
    from lsst.daf.butler import Butler, Timespan

    kind = read_kind(root)
    present = set(instrument.detector_ids(kind.detectors))
    if not (wanted := set(instrument.detector_ids(detectors)) - present):
        return kind
    run, collection = f"{instrument.calib_collection}/reference", instrument.calib_collection
    with Butler.from_config(str(root), writeable=True) as butler:
        # A process may have been killed before it noted what it had added.
        added = {ref.dataId["detector"] for ref in butler.query_datasets("bias", run, explain=False)}
        if missing := tuple(sorted(wanted - added)):
            focal_plane = FocalPlane(instrument, kind.scale, kind.seed, missing)
            certify_references(butler, focal_plane, run, collection, Timespan(None, None))
    kind = dataclasses.replace(kind, detectors=tuple(sorted(present | wanted)))
    _write_kind(root, kind)
    return kind


def _dataset_type(
    butler: Butler, name: str, storage_class: str, dimensions: tuple[str, ...], calibration: bool
) -> DatasetType:
    from lsst.daf.butler import DatasetType

    return DatasetType(
        name,
        {"instrument", *dimensions},
        storage_class,
        universe=butler.dimensions,
        isCalibration=calibration,
    )


def certify_references(
    butler: Butler, focal_plane: FocalPlane, run: str, collection: str, timespan: Any
) -> None:
    """Store calibrations made from the models' truth and certify them.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        A writeable Butler.
    focal_plane : `FocalPlane`
        The models; each detector has its calibrations.
    run : `str`
        RUN collection to store them in. It is made if it does not exist.
    collection : `str`
        CALIBRATION collection to certify them into. It is made if it does
        not exist.
    timespan : `lsst.daf.butler.Timespan`
        Their validity.
    """
    from lsst.daf.butler import CollectionType

    butler.collections.register(run)
    butler.collections.register(collection, CollectionType.CALIBRATION)
    for name, (storage_class, dimensions) in calibrations_of(focal_plane.instrument).items():
        butler.registry.registerDatasetType(_dataset_type(butler, name, storage_class, dimensions, True))
    # All or nothing, and to wait for the disk once, not a thousand times.
    with butler.transaction():
        butler.registry.certify(collection, put_references(butler, focal_plane, run), timespan)
