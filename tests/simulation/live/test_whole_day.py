# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole simulated day with each generation of pipelines, by the commands.

Each day is played once, with small frames, and its tests look at it.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from lsst.daf.butler import Butler, CollectionType
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document, to_json
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.products import Product
from test_config import FAILING

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ALL = """\
script_mode: BIAS_DARK_FLAT
exp_times_flat: [4, 4, 12, 12, 25, 25]
exp_times_dark: 15
generate_calibrations: true
do_defects: true
do_ptc: true
calib_collection: LATISS/calib/daily/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04T12:00:00"
certify_calib_end_date: "2022-11-05T12:00:00"
"""
# Today too little noise fails nothing; in 2022, few frames failed NOISE.
DAYS = {
    "current": f"{ALL}n_bias: 3\nn_dark: 3\n",
    "2022": f"{ALL}n_bias: 18\nn_dark: 18\npipeline_generation: '2022'\n",
}


def calibscripts(*args: object, folder: Path) -> tuple[int, str]:
    """Run a command in a shell; return its exit code and what it says."""
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    done = subprocess.run(
        command + [str(arg) for arg in args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    return done.returncode, done.stdout


@dataclass(frozen=True)
class Day:
    """A work folder, and what two commands said: the run, and its resume."""

    generation: str
    folder: Path
    output: str
    data: Mapping[str, Any]
    left_before: Mapping[str, int]
    resumed: str
    data_resumed: Mapping[str, Any]

    @property
    def repo(self) -> str:
        return str(self.folder / "w/repo")

    @property
    def stages(self) -> dict[str, Any]:
        return {stage["name"]: stage for stage in self.data["stages"]}

    def butler(self, collection: str) -> Butler:
        return Butler.from_config(self.repo, collections=[collection])


def left(folder: Path) -> dict[str, int]:
    """Count what a run leaves that a resume must not add to."""
    with Butler.from_config(str(folder / "w/repo")) as butler:
        return {
            "jobs": len(list((folder / "w/uws/jobs").iterdir())),
            "runs": len(butler.collections.query("*", collection_types=CollectionType.RUN)),
            "exposures": len(butler.query_dimension_records("exposure", instrument="LATISS")),
            "certifications": sum(
                len(
                    list(
                        butler.registry.queryDatasetAssociations(
                            name, "LATISS/calib/daily/*", flattenChains=True
                        )
                    )
                )
                for name in ("bias", "dark", "flat", "defects", "ptc")
            ),
        }


@pytest.fixture(scope="module", params=["current", pytest.param("2022", marks=pytest.mark.nightly)])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp(f"day{request.param}")
    (folder / "day.yaml").write_text(DAYS[request.param])
    arguments = ("simulate", "day.yaml", "--workdir", "w", "--scale", 16, "--json")
    code, output = calibscripts(*arguments, "run.json", folder=folder)
    assert code == 0, output
    before = left(folder)
    code, resumed = calibscripts(*arguments, "resumed.json", "--resume", folder=folder)
    assert code == 0, resumed
    data, data_resumed = (json.loads((folder / name).read_text()) for name in ("run.json", "resumed.json"))
    return Day(request.param, folder, output, data, before, resumed, data_resumed)


def test_all_that_was_asked_for_passes_and_is_certified(day: Day) -> None:
    assert day.data["state"] == "DONE"
    assert {stage["outcome"] for stage in day.data["stages"]} == {"PASSED", "CERTIFIED"}
    certified = sorted(entry["dataset_type"] for entry in day.data["certifications"])
    assert certified == ["bias", "dark", "defects", "flat", "ptc"]
    # Three pairs of 16 amplifiers
    assert len(day.data["gains"]) == 3 * 16
    # What has a pipeline that verifies it has a verdict of its own.
    verified = {product.value for product in GENERATIONS[day.generation].verifiers}
    assert set(day.data["verdicts"]) == verified
    assert all(verdict["passed"] for verdict in day.data["verdicts"].values())
    assert f"Pipelines: generation {day.generation} of cp_pipe and cp_verify" in day.output
    assert "Everything that was asked for passed" in day.output


def test_each_product_is_found_at_the_date_of_the_frames(day: Day) -> None:
    collection = day.data["config"]["calib_collection"]
    with day.butler(collection) as butler:
        for ids in day.data["exposures"].values():
            of_frame = {"instrument": "LATISS", "detector": 0, "exposure": ids[-1]}
            for image_type in ("bias", "dark"):
                assert butler.get(image_type, of_frame).getMetadata()["IMGTYPE"] == image_type.upper()
            assert len(butler.get("defects", of_frame)) > 0
            assert len(butler.get("ptc", of_frame).gain) == 16
        flat = butler.get("flat", instrument="LATISS", detector=0, exposure=day.data["exposures"]["FLAT"][-1])
        assert flat.getMetadata()["NCOMBINE"] == 6


def test_datasets_are_those_of_the_generation(day: Day) -> None:
    curve, gains = {
        # cp_pipe f029a3f2, cpPtcLSST.yaml: there is no dataset of the second
        # flat of a pair, and the curve is adjusted before it is "ptc".
        "current": ({"ptcUnadjusted", "ptc"}, {"cpPtcPartial": 3}),
        # cp_pipe ff196a94, cpPtc.yaml: the second has a dummy.
        "2022": ({"ptc"}, {"cpPtcExtract": 6}),
    }[day.generation]
    run = f"{day.stages['generate PTC']['collection']}/run"
    with day.butler(run) as butler:
        made = butler.collections.query_info(run, include_summary=True)[0].dataset_types
        assert made is not None
        assert {name for name in made if name.startswith("ptc") and "_" not in name} == curve
        for name, number in gains.items():
            refs = butler.query_datasets(name)
            assert len(refs) == number
            assert refs[0].datasetType.isCalibration()
            first = day.data["gains"][0]["exposures"]
            measured = butler.get(name, instrument="LATISS", detector=0, exposure=first[0]).gain
    of_first = {gain["amplifier"]: gain["gain"] for gain in day.data["gains"] if gain["exposures"] == first}
    assert measured == of_first


def test_a_resume_of_the_finished_run_does_nothing(day: Day) -> None:
    assert left(day.folder) == day.left_before
    assert "Nothing is left of run" in day.resumed
    assert day.data_resumed["repeats"] == []
    assert day.data_resumed["run_id"] == day.data["run_id"]
    for name in ("state", "exposures", "discarded", "stages", "verdicts", "gains"):
        assert day.data_resumed[name] == day.data[name], name


@pytest.mark.parametrize("image_type", ["BIAS", "DARK", "FLAT"])
def test_verdict_and_run_agree(day: Day, image_type: str, tmp_path: Path) -> None:
    # Given the statistics as the Butler has them,
    verifier = GENERATIONS[day.generation].verifiers[Product(image_type)]
    of_run = {"instrument": "LATISS"}
    if verifier.by_physical_filter:
        of_run["physical_filter"] = "empty_1~empty_1"
    (tmp_path / "exposures").mkdir()
    with day.butler(f"{day.stages[f'verify {image_type}']['collection']}/run") as butler:
        statistics = butler.get(verifier.statistics, of_run)
        for exposure in statistics.keys() - {"SUCCESS"}:
            found = butler.get(f"verify{image_type.capitalize()}ExpStats", of_run, exposure=exposure)
            (tmp_path / f"exposures/{exposure}.yaml").write_text(yaml.safe_dump(found))
    (tmp_path / "stats.yaml").write_text(yaml.safe_dump(statistics))
    # when the command judges them, then its verdict is that of the run.
    arguments = ["verdict", str(tmp_path / "stats.yaml"), "--type", image_type, "--json"]
    arguments += ["--exposure-stats", str(tmp_path / "exposures")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == day.data["verdicts"][image_type]


def test_the_page_is_written_and_made_again_from_the_json(day: Day, tmp_path: Path) -> None:
    journal = day.folder / "w/journal"
    (document,) = (path for path in journal.glob("*.json") if not path.name.endswith(".journal.json"))
    # The JSON is that of the resumed run, and is read as it was written.
    assert to_json(read_document(document.read_text()).report) == day.data_resumed
    page = (document.with_suffix(".html")).read_text()
    result = CliRunner().invoke(main, ["report", str(document), "-o", str(tmp_path / "again.html")])
    assert result.exit_code == 0, result.output
    again = (tmp_path / "again.html").read_text()
    for text in (words(page), words(again)):
        for product in ("BIAS", "DARK", "FLAT", "DEFECTS", "PTC"):
            assert f"{product}: certified" in text
        # Those of three frames have more noise than the references.
        assert "see how it compares with the one that was in use. If that one is to be used, undo it" in text
    assert words(page) == words(again)
    # Nothing beside it is unknown, which a run would tell.
    assert "that runs have not left" not in day.output + day.resumed


def words(page: str) -> str:
    """Return what a page says, without figures."""
    text = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_procedures_failing_example(tmp_path: Path) -> None:
    # Given 3 biases and 3 darks, made into calibrations and verified in 2022
    (tmp_path / "config.yaml").write_text(FAILING)
    arguments = ("simulate", "config.yaml", "--workdir", "w", "--json", "run.json")
    code, output = calibscripts(*arguments, folder=tmp_path)
    # Then BIAS is held, as every amplifier of every exposure fails NOISE
    assert code == 3, output
    data = json.loads((tmp_path / "run.json").read_text())
    assert data["state"] == "DONE"
    verdict = data["verdicts"]["BIAS"]
    assert [exposure["counts"] for exposure in verdict["exposures"]] == [{"NOISE": 16}] * 3
    assert verdict["thresholds"] == {
        "failures_per_detector_per_test_type": 8,
        "failed_detectors": 1,
        "failed_tests_per_exposure": 8,
        "failed_exposures": 3,
    }
    assert verdict["n_failed_exposures"] == 3
    stages = {stage["name"]: stage for stage in data["stages"]}
    assert stages["verify BIAS"]["outcome"] == "HELD"
    for name in ("certify BIAS", "generate DARK", "verify DARK", "certify DARK"):
        assert stages[name]["outcome"] == "SKIPPED"
        assert "verify BIAS ended HELD" in stages[name]["reason"]
    assert data["certifications"] == []
    assert "BIAS calibration failed verification and will not be certified." in output
    assert Path(stages["verify BIAS"]["log"]).is_file()
