# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Biases that are compared on frames that they were not made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document
from lsst.ts.calibrationscripts.comparison import Better
from lsst.ts.calibrationscripts.files.journal import newest_run
from lsst.ts.calibrationscripts.report import RunReport

CONFIG = """
script_mode: BIAS
generate_calibrations: true
n_bias: 8
number_verification_tests_threshold_bias: 17
calib_collection: LATISS/calib/daily/{name}
hold_out: {hold_out}
"""


@pytest.mark.slow
def test_a_bias_is_compared_on_frames_that_it_was_not_made_from(tmp_path: Path) -> None:
    workdir = tmp_path / "w"

    def simulate(name: str, hold_out: str) -> RunReport:
        config = tmp_path / f"{name}.yaml"
        config.write_text(CONFIG.format(name=name, hold_out=hold_out), encoding="utf-8")
        result = CliRunner().invoke(
            main, ["simulate", str(config), "--workdir", str(workdir), "--scale", "16"]
        )
        assert result.exit_code == 0, result.output
        journals = workdir / "journal"
        document = (journals / f"{newest_run(journals)}.json").read_text(encoding="utf-8")
        return read_document(document).report

    # Given a bias of which every fourth frame was held out
    report = simulate("first", "4")
    (proof,), (first,) = report.proofs, report.comparisons
    assert len(proof.frames) == 6 and len(proof.held_out) == 2
    # Then the two that were are what it was compared on
    assert first.exposures == tuple(frame.exposure for frame in proof.held_out)
    assert first.better is not Better.FIRST and first.amplifiers
    # and neither is among what the combined bias was made of
    with Butler.from_config(str(workdir / "repo")) as butler:
        found = butler.find_dataset(
            "bias", instrument="LATISS", detector=0, collections=proof.datasets[0].run
        )
        assert found is not None and str(found.id) == proof.datasets[0].id
    assert sorted(proof.generation.request.exposures) == sorted(frame.exposure for frame in proof.frames)

    # When the next one is compared on the frames of that run
    (second,) = simulate("second", report.run_id).comparisons
    # Then they are, beside its own
    assert f"frames of run {report.run_id}, and each of 5" in second.method
    assert {frame.exposure for frame in proof.frames} >= set(second.exposures[:5])
    assert second.better is not Better.FIRST and second.amplifiers
