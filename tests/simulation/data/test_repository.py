# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated repository: references, ingest, and what the Butler knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time
from lsst.daf.butler import Butler
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.observatory import (
    SimulatedObservatory,
    SimulationSettings,
    WorkFolderError,
)
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, exposure_id_of, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import (
    RepositoryKind,
    create_repository,
    is_repository,
    read_focal_plane,
    read_kind,
)

from .conftest import Observatory

NOW = Time("2026-11-23T18:00:00", scale="tai")


def write(observatory: Observatory, path: Path, obs_id: str) -> Path:
    ccd = observatory.ccd
    write_raw(path, ccd.expose("BIAS", 0, 1), RawHeader(LATISS, obs_id, "BIAS", 0.0, NOW, NOW), ccd)
    return path


def test_an_image_name_stands_for_an_exposure_id() -> None:
    assert exposure_id_of("AT_O_20220406_000007", LATISS) == 2022040600007


@pytest.mark.parametrize("obs_id", ["AT_O_20220406_7", "MC_O_20220406_000007", "AT_O_20220406_100000", ""])
def test_other_image_names_are_refused(obs_id: str) -> None:
    with pytest.raises(ValueError, match="not an image name"):
        exposure_id_of(obs_id, LATISS)


def test_a_repository_remembers_what_it_is_for(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    assert not is_repository(root)
    create_repository(
        root, LATISS, scale=32, seed=5, generation="current", reference_collection="LATISS/calib/other"
    )
    assert is_repository(root)
    assert read_kind(root) == RepositoryKind("LATISS", 32, 5, "current")
    focal_plane = read_focal_plane(root, LATISS)
    assert (focal_plane.scale, focal_plane.seed) == (32, 5)
    with Butler.from_config(str(root)) as butler:
        assert butler.query_datasets("bias", collections="LATISS/calib/other", find_first=False)
    with pytest.raises(FileExistsError):
        create_repository(root, LATISS)


@pytest.mark.parametrize(("made", "wanted"), [("2022", "current"), ("current", "2022")])
async def test_a_work_folder_belongs_to_one_generation(
    topics: None, tmp_path: Path, made: str, wanted: str
) -> None:
    create_repository(tmp_path / "repo", LATISS, scale=32, generation=made)
    with pytest.raises(WorkFolderError) as refusal:
        async with SimulatedObservatory(
            tmp_path, instrument=LATISS, settings=SimulationSettings(generation=wanted)
        ):
            pass
    for part in (
        f"pipeline_generation: {wanted}",
        f"made for the pipelines of generation {made}",
        "--workdir",
    ):
        assert part in str(refusal.value)


def test_an_unknown_generation_is_refused() -> None:
    with pytest.raises(ValueError, match="'2023' is none of current, 2022"):
        SimulationSettings(generation="2023")


def test_every_product_has_a_reference_for_a_new_exposure(observatory: Observatory) -> None:
    (exposure,) = observatory.take("FLAT", [5], filter_name="SDSSr_65mm")
    butler = observatory.butler.clone(collections="LATISS/calib")
    truth = observatory.ccd.truth
    bias, dark, flat, defects, ptc = (
        butler.get(name, instrument="LATISS", detector=0, exposure=exposure)
        for name in ("bias", "dark", "flat", "defects", "ptc")
    )
    assert np.array_equal(bias.getImage().getArray(), truth.bias)
    assert flat.image.array.mean() == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(defects.mask(truth.hot.shape), truth.hot | truth.dead)
    assert ptc.gain == truth.gain
    assert ptc.noise == truth.read_noise
    assert dark.image.array.max() > 2
    # Looked up by pipelines, and not applied: the CCDs have no such effects.
    for name in ("crosstalk", "linearizer", "bfk", "cti"):
        assert butler.get(name, instrument="LATISS", detector=0, exposure=exposure) == {"standIn": True}


def test_a_repository_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    kind = {"instrument": "LATISS", "scale": 8, "seed": 1, "generation": "procedure"}
    (tmp_path / "simulation.json").write_text(json.dumps(kind))
    with pytest.raises(WorkFolderError, match="another version of this program"):
        read_kind(tmp_path)


def test_an_ingested_exposure_is_known_with_its_header(observatory: Observatory) -> None:
    (exposure,) = observatory.take("DARK", [30.0])
    (record,) = observatory.butler.query_dimension_records("exposure", instrument="LATISS", exposure=exposure)
    assert record.obs_id == f"AT_O_20261123_{exposure % 100_000:06d}"
    assert record.day_obs == 20261123
    assert record.physical_filter == "empty_1~empty_1"
    assert (record.observation_type, record.exposure_time) == ("dark", 30.0)
    assert record.observation_reason == "daily"
    assert record.group == record.obs_id
    assert (record.timespan.end - record.timespan.begin).sec == pytest.approx(30.0)
    raw = observatory.butler.get(
        "raw", instrument="LATISS", detector=0, exposure=exposure, collections="LATISS/raw/all"
    )
    assert np.array_equal(raw.image.array, observatory.ccd.expose("DARK", 30.0, exposure))


def test_ingest_moves_the_file_and_needs_no_butler(observatory: Observatory, tmp_path: Path) -> None:
    path = write(observatory, tmp_path / "raw.fits", "AT_O_20261122_000001")
    assert ingest_raw(observatory.root, path, LATISS) == 2026112200001
    assert not path.exists()


def test_an_exposure_is_ingested_once(observatory: Observatory, tmp_path: Path) -> None:
    ingest_raw(observatory.butler, write(observatory, tmp_path / "a.fits", "AT_O_20261122_000002"), LATISS)
    again = write(observatory, tmp_path / "b.fits", "AT_O_20261122_000002")
    with pytest.raises(ConflictingDefinitionError):
        ingest_raw(observatory.butler, again, LATISS)
    assert again.exists()


def test_other_files_are_not_ingested(observatory: Observatory, tmp_path: Path) -> None:
    from astropy.io import fits

    fits.PrimaryHDU(np.zeros((2, 2), np.int32)).writeto(tmp_path / "other.fits")
    with pytest.raises(ValueError, match="not a raw image"):
        ingest_raw(observatory.butler, tmp_path / "other.fits", LATISS)
