# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated repository, and the pipetask that runs in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.instruments import LATISS, Instrument
from lsst.ts.calibrationscripts.pipelines import pipeline_uri
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS
from lsst.ts.calibrationscripts.simulation.raws import RawHeader, ingest_raw, write_raw
from lsst.ts.calibrationscripts.simulation.repository import create_repository, read_focal_plane

DAY = "20261123"


class Observatory:
    """A repository, CCDs, and `pipetask` as the OCPS runs it.

    But for the list of installed packages, which takes long.
    """

    def __init__(
        self, root: Path, generation: str, *, instrument: Instrument = LATISS, scale: int = 8
    ) -> None:
        create_repository(root, instrument, generation=generation, scale=scale)
        self.root = root
        self.instrument = instrument
        self.ccds = read_focal_plane(root, instrument).ccds
        self.ccd = self.ccds[0]
        self.butler = Butler.from_config(str(root), writeable=True)
        self._environment = PIPELINE_ENVIRONMENTS[generation]
        self._sequence = 0

    def take(
        self, image_type: str, times: Iterable[float], filter_name: str = "empty_1", lamp: float = 1.0
    ) -> list[int]:
        """Take exposures, 40 s from one to the next, and ingest them.

        The lamp may be brighter or fainter than it is supposed to be.
        """
        ids = []
        for exp_time in times:
            self._sequence += 1
            begin = Time("2026-11-23T18:00:00", scale="tai") + TimeDelta(40.0 * self._sequence, format="sec")
            header = RawHeader(
                instrument=self.instrument,
                obs_id=f"AT_O_{DAY}_{self._sequence:06d}",
                image_type=image_type,
                exp_time=exp_time,
                begin=begin,
                end=begin + TimeDelta(exp_time, format="sec"),
                in_beam={"filter": filter_name},
                reason="daily",
            )
            for ccd in self.ccds.values():
                raw = ccd.expose(image_type, exp_time * lamp, header.exposure_id, header.physical_filter)
                path = self.root.parent / f"{header.obs_id}.fits"
                write_raw(path, raw, header, ccd)
                ingest_raw(self.butler, path, self.instrument)
            ids.append(header.exposure_id)
        return ids

    def pipetask(
        self, job: str, pipeline: str, inputs: str, exposures: Iterable[int], *options: str
    ) -> tuple[int, str]:
        """Run a job; return its exit code and what it says."""
        from lsst.ctrl.mpexec.cli.pipetask import cli
        from lsst.daf.butler.cli.utils import LogCliRunner

        detectors, ids = (", ".join(map(str, ids)) for ids in (self.ccds, exposures))
        name = self.instrument.name
        query = f"instrument='{name}' AND detector IN ({detectors}) AND exposure IN ({ids})"
        pipeline = pipeline_uri(pipeline, self.instrument)
        arguments = ["run", "-p", pipeline, "-b", str(self.root), "-o", f"u/ocps/{job}"]
        arguments += [
            "-i",
            self.instrument.raw_collection,
            "-j",
            "1",
            "-i",
            inputs,
            "--register-dataset-types",
            "--no-versions",
            *options,
        ]
        arguments += ["--output-run", f"u/ocps/{job}/run", "-d", query]
        result = LogCliRunner().invoke(cli, arguments, env=self._environment)
        return result.exit_code, f"{result.output}\n{result.exception!r}"

    def run(self, job: str, pipeline: str, inputs: str, exposures: Iterable[int], *options: str) -> Butler:
        """Run a job that has to succeed; return a Butler on its outputs."""
        code, output = self.pipetask(job, pipeline, inputs, exposures, *options)
        assert code == 0, output
        return self.butler.clone(collections=f"u/ocps/{job}/run")

    def certify(self, job: str, dataset_type: str, collection: str) -> None:
        """Certify a job's product with the Butler's own function."""
        from lsst.daf.butler.script import certifyCalibrations

        certifyCalibrations(
            str(self.root), f"u/ocps/{job}", collection, dataset_type, "2026-11-01", "2026-12-01", False
        )
        self.butler.registry.refresh()

    def close(self) -> None:
        self.butler.close()


@pytest.fixture(scope="package")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    """One repository for all tests of a package; each names its own jobs.

    It runs the pipelines of 2022.
    """
    observatory = Observatory(tmp_path_factory.mktemp("observatory") / "repo", "2022")
    yield observatory
    observatory.close()


@pytest.fixture(scope="package")
def current_observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    """The same with the pipelines of today."""
    observatory = Observatory(tmp_path_factory.mktemp("current") / "repo", "current")
    yield observatory
    observatory.close()
