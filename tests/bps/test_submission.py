# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bps is given, which quanta it puts together, and what its logs say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.bps import clustering
from lsst.ts.calibrationscripts.bps.logs import cause_and_end, worth_reading
from lsst.ts.calibrationscripts.bps.site import SiteError, read_site
from lsst.ts.calibrationscripts.bps.submission import make_submission
from lsst.ts.calibrationscripts.cli._inputs import Configuration
from lsst.ts.calibrationscripts.cli._job_service import with_job_service
from lsst.ts.calibrationscripts.instruments import LSSTCAM
from lsst.ts.calibrationscripts.plan import JobRequest

SITES = Path(__file__).parents[2] / "doc" / "engineers" / "sites"

REQUEST = JobRequest(
    "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml",
    ("u/bps/1_a", "LATISS/calib"),
    ("-c", "a:b=1", "-c", "a:c=2", "--fail-fast", "--no-versions", "--timeout", "60"),
    "LATISS",
    (0,),
    (2026112300001,),
    4,
)


def site(folder: Path, **settings: Any) -> Any:
    path = folder / "site.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "wmsServiceClass": "lsst.ctrl.bps.parsl.ParslService",
                "computeSite": "here",
                "site": {"here": {"class": "lsst.ctrl.bps.parsl.sites.Local", "cores": 1}},
                **settings,
            }
        )
    )
    return read_site(path)


def submission(folder: Path, request: JobRequest = REQUEST, **settings: Any) -> dict[str, Any]:
    return make_submission(
        "1_a",
        request,
        site(folder, **settings),
        folder / "submit",
        repo="/repo/LATISS",
        raws="LATISS/raw/all",
        output="u/bps/1_a",
    )


def test_a_submission_has_the_collections_and_data_of_the_request(tmp_path: Path) -> None:
    settings = submission(tmp_path)
    assert settings["payload"] == {
        "payloadName": "cpBias",
        "butlerConfig": "/repo/LATISS",
        "inCollection": "LATISS/raw/all,u/bps/1_a,LATISS/calib",
        "dataQuery": REQUEST.data_query,
        "output": "u/bps/1_a",
        "outputRun": "u/bps/1_a/run",
    }
    assert settings["includeConfigs"] == str(tmp_path / "site.yaml")
    assert settings["submitPath"] == str(tmp_path / "submit")


def test_options_go_to_the_command_that_knows_them(tmp_path: Path) -> None:
    settings = submission(tmp_path)
    assert settings["extraQgraphOptions"] == "-c a:b=1 -c a:c=2"
    assert settings["extraRunQuantumOptions"] == "-j 4 --timeout 60 --fail-fast"


def test_of_many_detectors_each_has_one_process(tmp_path: Path) -> None:
    many = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0, 1), (2026112300001,), 4)
    settings = submission(tmp_path, many)
    assert (settings["requestCpus"], settings["extraRunQuantumOptions"]) == (1, "-j 1")


def test_a_site_may_set_the_last_step_and_clusters(tmp_path: Path) -> None:
    assert submission(tmp_path)["finalJob"] == {"requestCpus": 1}
    own = submission(
        tmp_path, finalJob={"requestCpus": 4}, clusterAlgorithm="mine", parsl={"log_level": "INFO"}
    )
    assert not {"finalJob", "clusterAlgorithm", "parsl"} & set(own)
    # But not where its restart finds what has been done.
    assert own["site"] == {"here": {"run_dir": "runinfo"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "does not exist; name a file"),
        ("a: [", "is not YAML"),
        ("- a", "has no settings; write for example wmsServiceClass"),
        ("computeSite: here", "does not say which batch system; write for example wmsServiceClass"),
        ("wmsServiceClass: lsst.ctrl.bps.parsl.ParslService", "write computeSite and the site of that name"),
    ],
)
def test_a_site_file_that_cannot_be_used_says_what_to_write(
    text: str | None, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SiteError, match=rf"bps_config: {path} .*{problem}|{problem}"):
        read_site(path)


@pytest.mark.parametrize("path", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_site_files_of_the_documentation_can_be_used(path: Path) -> None:
    found = read_site(path)
    assert found.is_slurm is ("slurm" in path.stem)
    assert found.is_parsl is ("parsl" in path.stem)


@dataclass(frozen=True)
class Key:
    name: str


class DataId:
    def __init__(self, *dimensions: str) -> None:
        self.dimensions = SimpleNamespace(names=dimensions)


def test_quanta_of_a_detector_are_together_and_no_cluster_waits_for_itself() -> None:
    networkx = pytest.importorskip("networkx")
    # Given a verification: two tasks by detector, a merge of all detectors,
    # and another that uses both, by detector again.
    keys = {name: Key(name) for name in ("isr", "measure", "merge", "apply")}
    tasks = networkx.DiGraph()
    for one, other in (("isr", "measure"), ("measure", "merge"), ("merge", "apply"), ("isr", "apply")):
        tasks.add_edge(keys[one], keys[other])
    by_detector, of_all = {DataId("detector", "exposure"): 1}, {DataId("exposure"): 1}
    qgraph = SimpleNamespace(
        pipeline_graph=SimpleNamespace(make_task_xgraph=lambda: tasks),
        quanta_by_task={"isr": by_detector, "measure": by_detector, "merge": of_all, "apply": by_detector},
    )
    assert clustering._steps(qgraph) == {0: ["isr", "measure"], 1: ["merge"], 2: ["apply"]}


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        (1, {"pipetasks": "isr", "dimensions": "detector"}),
        (8, {"pipetasks": "isr", "partitionDimensions": "detector", "partitionMaxSize": 8}),
    ],
)
def test_a_process_works_on_as_many_detectors_as_the_site_says(
    together: int, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = pytest.importorskip("lsst.ctrl.bps.quantum_clustering_funcs")
    monkeypatch.setattr(clustering, "_steps", lambda qgraph: {0: ["isr"], 1: ["merge"]})
    monkeypatch.setattr(functions, "dimension_clustering", lambda config, qgraph, name: config["cluster"])

    class Config(dict[str, object]):
        def search(self, key: str, opt: dict[str, object]) -> tuple[bool, object]:
            return True, {clustering.TOGETHER: together}.get(key, opt["default"])

    assert clustering.by_detector(Config(), None, "name") == {
        "step0": expected,
        "step1": {"pipetasks": "merge"},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    logs = tmp_path / "submit" / "logs"
    for name, text in {
        "step0/step0_0.stderr": "INFO all is well\n",
        "step0/step0_1.stderr": (
            "ERROR lsst.isr - it failed\nTraceback (most recent call last):\n  File x\n"
            "FileIntegrityError: size of file\n"
            "Traceback (most recent call last):\nlsst.MPGraphExecutorError: One or more tasks failed\n"
        ),
        "finalJob/finalJob.stderr": "ERROR nothing to register\n",
    }.items():
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(text)
    (tmp_path / "bps.log").write_text("Run Id: None\n")
    (tmp_path / "submit" / "a.qg").touch()
    return tmp_path


def test_the_log_of_the_quantum_that_failed_is_read_before_others(folder: Path) -> None:
    log = worth_reading(folder)
    assert log.name == "step0_1.stderr"
    assert cause_and_end(log) == (
        "FileIntegrityError: size of file",
        "lsst.MPGraphExecutorError: One or more tasks failed",
    )


def test_without_a_quantum_that_failed_the_last_step_or_bps_itself_is_read(folder: Path) -> None:
    logs = folder / "submit" / "logs"
    (logs / "step0" / "step0_1.stderr").unlink()
    assert worth_reading(folder).name == "finalJob.stderr"
    (logs / "finalJob" / "finalJob.stderr").unlink()
    assert worth_reading(folder).name == "bps.log"


def test_without_a_graph_the_log_of_its_making_is_read(folder: Path) -> None:
    (folder / "submit" / "logs" / "step0" / "step0_1.stderr").unlink()
    (folder / "submit" / "logs" / "finalJob" / "finalJob.stderr").unlink()
    (folder / "submit" / "a.qg").unlink()
    (folder / "submit" / "quantumGraphGeneration.out").write_text("ValueError: no detector\n")
    assert worth_reading(folder).name == "quantumGraphGeneration.out"


@pytest.mark.parametrize(
    ("text", "together"), [("", 50), ("detectors: [0, 94, 191]", 1), ("detectors: []", 50)]
)
def test_a_simulated_run_shares_its_detectors_out_to_two_processes_a_core(
    text: str, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    given = with_job_service(Configuration(text, LSSTCAM), "bps", tmp_path)
    written = read_site(Path(yaml.safe_load(given.text)["bps_config"]))
    assert written.settings["detectorsPerProcess"] == together
