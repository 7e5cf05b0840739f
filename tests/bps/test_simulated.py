# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day of LATISS whose jobs Parsl runs, without an OCPS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.cli import ExitCode, main

from .conftest import need_bps

pytestmark = [pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(600)]

DAY = """
script_mode: BIAS_DARK
generate_calibrations: true
n_bias: 10
n_dark: 2
exp_times_dark: 15
certify_calib_begin_date: "2026-11-01"
certify_calib_end_date: "2026-12-01"
"""


def test_a_day_of_latiss_is_certified_by_jobs_of_bps(tmp_path: Path) -> None:
    need_bps()
    (tmp_path / "day.yaml").write_text(DAY)
    words = ["simulate", str(tmp_path / "day.yaml"), "--workdir", str(tmp_path / "w"), "--scale", "16"]
    words += ["--time-scale", "0.001", "--job-service", "bps", "--json", str(tmp_path / "run.json")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == ExitCode.SUCCESS, result.output
    assert "Jobs: through bps" in result.output
    report = json.loads((tmp_path / "run.json").read_text())
    sources = [certification["source"] for certification in report["certifications"]]
    assert len(sources) == 2
    assert all(source.startswith(f"u/bps/{report['run_id']}_") for source in sources)
    with Butler.from_config(str(tmp_path / "w" / "repo")) as butler:
        [bias] = butler.query_datasets("bias", collections=f"{sources[0]}/run")
        assert bias.run == f"{sources[0]}/run"


def test_a_fault_of_the_ocps_is_refused_where_there_is_none(tmp_path: Path) -> None:
    words = ["simulate", "--workdir", str(tmp_path), "--job-service", "bps", "--fault", "job-fails"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == ExitCode.INVALID
    assert "--fault job-fails: strikes the OCPS, and bps runs the jobs" in result.output
