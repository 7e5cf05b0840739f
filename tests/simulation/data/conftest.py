# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated repository, and the pipetask that runs in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.instrument import physical_filter
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS
from lsst.ts.calibrationscripts.simulation.repository import (
    RawHeader,
    create_repository,
    exposure_id_of,
    ingest_raw,
    read_ccd,
    write_raw,
)

DAY = "20261123"


class Observatory:
    """A repository, a CCD, and `pipetask` as the OCPS runs it."""

    def __init__(self, root: Path, generation: str) -> None:
        create_repository(root, generation=generation)
        self.root = root
        self.ccd: CcdModel = read_ccd(root)
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
                obs_id=f"AT_O_{DAY}_{self._sequence:06d}",
                image_type=image_type,
                exp_time=exp_time,
                begin=begin,
                end=begin + TimeDelta(exp_time, format="sec"),
                filter_name=filter_name,
                reason="daily",
            )
            raw = self.ccd.expose(
                image_type,
                exp_time * lamp,
                exposure_id_of(header.obs_id),
                physical_filter(filter_name, "empty_1"),
            )
            path = self.root.parent / f"{header.obs_id}.fits"
            write_raw(path, raw, header, self.ccd)
            ids.append(ingest_raw(self.butler, path))
        return ids

    def pipetask(
        self, job: str, pipeline: str, inputs: str, exposures: Iterable[int], *options: str
    ) -> tuple[int, str]:
        """Run a job; return its exit code and what it says."""
        from lsst.ctrl.mpexec.cli.pipetask import cli
        from lsst.daf.butler.cli.utils import LogCliRunner

        query = f"instrument='LATISS' AND detector IN (0) AND exposure IN ({', '.join(map(str, exposures))})"
        arguments = ["run", "-p", pipeline, "-b", str(self.root), "-o", f"u/ocps/{job}"]
        arguments += ["-i", "LATISS/raw/all", "-j", "1", "-i", inputs, "--register-dataset-types", *options]
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
    """One repository for all tests of a package; each names its own jobs."""
    observatory = Observatory(tmp_path_factory.mktemp("observatory") / "repo", "procedure")
    yield observatory
    observatory.close()


@pytest.fixture(scope="package")
def current_observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    """The same with the pipelines of today."""
    observatory = Observatory(tmp_path_factory.mktemp("current") / "repo", "current")
    yield observatory
    observatory.close()
