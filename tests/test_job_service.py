# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service runs the jobs, as the configuration says."""

from __future__ import annotations

import datetime
from pathlib import Path, PurePath

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts.cli import ExitCode, main
from lsst.ts.calibrationscripts.config import CalibrationConfig, ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.job_names import names_of
from lsst.ts.calibrationscripts.observatory.jobs import check_site
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.report import itinerary

BPS = "job_service: bps\nbps_config: /etc/site.yaml\n"


def read(text: str) -> CalibrationConfig:
    return parse(text, LATISS)


def test_without_a_word_about_it_the_ocps_runs_the_jobs() -> None:
    config = read("")
    assert config.job_service == "ocps"
    assert names_of(config, PurePath("/journals")).collection("a") == "u/ocps/a"


def test_with_bps_names_follow_from_the_id_and_the_folder_of_journals() -> None:
    names = names_of(read(BPS), PurePath("/journals"))
    assert names.collection("1_a") == "u/bps/1_a"
    assert names.run_collection("1_a") == "u/bps/1_a/run"
    assert names.log_path("1_a") == "/journals/bps/1_a/bps.log"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job_service: bps", r"job_service: 'bps'.*nothing says which batch system.*write bps_config: /"),
        ("job_service: slurm", r"job_service: 'slurm'"),
        (
            "job_service: bps\nbps_config: site.yaml",
            r"bps_config.*is not an absolute path.*write the whole path",
        ),
        (
            f"{BPS}release: true\ngenerate_calibrations: false",
            r"release.*has to wait for its jobs.*write release: False",
        ),
    ],
)
def test_what_cannot_be_used_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(text)


def test_a_run_that_is_resumed_keeps_its_service() -> None:
    earlier = read(BPS).to_dict()
    resumed = parse("resume: a", LATISS, lambda run_id, folder: earlier)
    assert (resumed.job_service, resumed.bps_config) == ("bps", "/etc/site.yaml")
    with pytest.raises(ConfigurationError, match=r"that run has its jobs with bps.*leave job_service out"):
        parse("resume: a\njob_service: ocps", LATISS, lambda run_id, folder: earlier)


def test_notices_say_what_has_no_effect() -> None:
    assert "bps_config has no effect with job_service: ocps." in read("bps_config: /etc/site.yaml").notices
    log = "ocps_log_path: /scratch/{job_id}.log"
    assert "ocps_log_path has no effect with job_service: bps." in read(f"{BPS}{log}").notices


def test_the_plan_says_that_jobs_go_to_a_batch_system() -> None:
    begin = datetime.datetime(2026, 11, 23, 18, tzinfo=datetime.UTC)
    config = read(BPS)
    text = itinerary(config, make_plan(config, LATISS, begin), LATISS, begin)
    assert "Jobs: through bps, on the batch system of /etc/site.yaml" in text


def test_a_script_refuses_a_site_file_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    config = read(f"job_service: bps\nbps_config: {path}")
    with pytest.raises(ObservatoryError, match=f"bps_config: {path} does not exist"):
        check_site(config)
    path.write_text("wmsServiceClass: lsst.ctrl.bps.htcondor.HTCondorService")
    check_site(config)


def test_a_work_folder_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bias.yaml").write_text("script_mode: BIAS")
    words = ["simulate", str(tmp_path / "bias.yaml"), "--workdir", str(tmp_path / "file" / "w")]
    result = CliRunner().invoke(main, [*words, "--job-service", "bps"])
    assert result.exit_code == ExitCode.INVALID
    assert "Not a directory. Name another work folder (--workdir)." in " ".join(result.output.split())
