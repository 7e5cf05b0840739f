# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``doctor``: what it finds right, what not, and that it stays."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler, CollectionType, DatasetType
from lsst.ts.calibrationscripts.butler import generation as butler_generation
from lsst.ts.calibrationscripts.cli import _environment, _pipeline_checks, _repository_checks, doctor, main
from lsst.ts.calibrationscripts.cli._environment import check_packages, check_python, check_sal
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.files import checks as files_checks
from lsst.ts.calibrationscripts.files.journal import FileJournal, claim_run
from lsst.ts.calibrationscripts.files.lock import Lock, LockedError
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS
from lsst.ts.calibrationscripts.simulation.repository import create_repository

RUN_ID = "20261123T053300-100001"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the repository of a simulated observatory."""
    root = tmp_path_factory.mktemp("made") / "repo"
    create_repository(root, LATISS, scale=16)
    return root


class Installation:
    """An installation: a repository, pipelines, a folder of journals."""

    def __init__(self, root: Path, made: Path) -> None:
        self.root = root
        self.repo = root / "repo"
        self.journals = root / "journals"
        self.trees = root / "trees"
        self.config: dict[str, Any] = {"repo": str(self.repo), "journal_dir": str(self.journals)}
        shutil.copytree(made, self.repo)
        self.journals.mkdir()

    def add_pipelines(self, generation: str = "current") -> None:
        for folder in PIPELINE_ENVIRONMENTS[generation].values():
            shutil.copytree(folder, self.trees / Path(folder).name)

    def pipeline(self, name: str) -> Path:
        (file,) = self.trees.rglob(f"LATISS/{name}.yaml")
        return file

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.pipeline(name)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def doctor(self, *options: str) -> Result:
        file = self.root / "config.yaml"
        file.write_text(yaml.safe_dump(self.config))
        pipelines = ["--pipelines", str(self.trees)] if self.trees.exists() else []
        result = CliRunner().invoke(main, ["doctor", str(file), *pipelines, *options])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def checks(self) -> list[dict[str, str]]:
        """Return what was found, as JSON has it."""
        result = self.doctor("--json")
        found = json.loads(result.stdout)
        assert found["right"] is (result.exit_code == 0)
        assert result.exit_code == (3 if any(check["status"] == "failed" for check in found["checks"]) else 0)
        for check in found["checks"]:
            assert set(check) == {"name", "status", "message", "remedy"}
            assert check["message"] and "\n" not in check["message"] + check["remedy"]
            assert check["remedy"] or check["status"] in ("ok", "skipped")
        return list(found["checks"])

    def failures(self) -> list[dict[str, str]]:
        return [check for check in self.checks() if check["status"] == "failed"]

    def butler(self) -> Butler:
        return Butler.from_config(str(self.repo), writeable=True)


@pytest.fixture
def installation(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Return a good one, whose pipelines are not at hand yet."""
    for name in ("CP_PIPE_DIR", "CP_VERIFY_DIR", "DAF_BUTLER_REPOSITORY_INDEX", "DAF_BUTLER_REPOSITORIES"):
        monkeypatch.delenv(name, raising=False)
    # What SAL there is matters in tests of its own only.
    monkeypatch.setenv("CALIBSCRIPTS_SAL", "local")
    return Installation(tmp_path, made)


def snapshot(root: Path) -> dict[str, tuple[int, str]]:
    """Return the times and contents of all files."""
    return {
        str(file.relative_to(root)): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in root.rglob("*")
        if file.is_file() and file.name != "config.yaml"
    }


# --- a good installation ----------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_good_installation_has_nothing_to_be_fixed(installation: Installation, generation: str) -> None:
    installation.add_pipelines(generation)
    checks = installation.checks()
    statuses = {check["name"]: check["status"] for check in checks if check["status"] != "warning"}
    assert statuses == {
        **dict.fromkeys(("python", "packages", "simulation"), "ok"),
        "sal": "skipped",
        **dict.fromkeys(("generation", "pipelines", "tasks"), "ok"),
        **dict.fromkeys(("repository", "collections", "datasets", "writing", "journals", "runs"), "ok"),
    }
    messages = {check["name"]: check["message"] for check in checks if check["status"] == "ok"}
    assert messages["generation"].startswith(f"{generation}: its pipelines are in CP_PIPE_DIR=")
    # The simulated trees have fewer tasks than the real ones.
    warnings = [check["message"] for check in checks if check["status"] == "warning"]
    assert all(" has no task " in message for message in warnings)


@pytest.mark.usefixtures("without_tasks")
def test_an_engineer_reads_it_at_80_columns(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    installation.add_pipelines()
    installation.pipeline("cpFlat").unlink()
    result = installation.doctor()
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    # A path is not broken, so that it can be copied.
    assert not [line for line in lines if len(line) > 80 and str(installation.root) not in line]
    assert {line.split()[0] for line in lines[:-1] if not line.startswith(" ")} <= {
        *("ok", "warning", "failed", "skipped")
    }
    at = next(i for i, line in enumerate(lines) if line.startswith("failed"))
    below = " ".join(" ".join(lines[at : at + 5]).split())
    assert below.startswith(
        f"failed pipelines {installation.trees}/cp_pipe/pipelines/LATISS/cpFlat.yaml does not"
    )
    assert "exist -> Set up cp_pipe and cp_verify of generation current, or" in below
    assert lines[-1].startswith("1 failed, ")


def test_nothing_is_changed(installation: Installation) -> None:
    # Given an installation whose journals have no folder yet
    installation.add_pipelines()
    installation.journals.rmdir()
    before = snapshot(installation.root)
    assert installation.doctor().exit_code == 0
    assert snapshot(installation.root) == before
    assert not installation.journals.exists()


def test_nothing_is_left_in_the_folder_of_journals(installation: Installation) -> None:
    (installation.journals / "note.txt").write_text("mine")
    before = snapshot(installation.journals)
    assert installation.doctor().exit_code == 0
    assert snapshot(installation.journals) == before
    assert [file.name for file in installation.journals.iterdir()] == ["note.txt"]


def test_without_a_configuration_the_defaults_are_checked(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(installation.root / "state"))
    result = CliRunner().invoke(main, ["doctor", "--json"])
    messages = [check["message"] for check in json.loads(result.stdout)["checks"]]
    assert any(message.startswith(f"{LATISS.repo}: could not look at it") for message in messages)
    assert f"{installation.root}/state/ts_calibrationscripts: the first run makes it" in messages


def test_a_configuration_that_is_invalid_is_refused_as_elsewhere(installation: Installation) -> None:
    installation.config["n_bias"] = "many"
    result = installation.doctor()
    assert result.exit_code == 2
    assert "n_bias" in result.stderr


# --- broken ones -----------------------------------------------------------


def no_file(installation: Installation) -> None:
    installation.pipeline("cpFlat").unlink()


def no_subset(installation: Installation) -> None:
    installation.edit("cpPtc", "cpPtcGainFromFlatPairs", "gains")


def no_task(installation: Installation) -> None:
    installation.edit("cpPtc", "cpPtcExtractPair", "cpPtcExtract")


def no_dataset_type(installation: Installation) -> None:
    installation.edit("verifyBias", "verifyBiasStats", "verifyBiasRunStats")


def other_dimensions(installation: Installation) -> None:
    installation.edit("verifyFlat", "MergeRunByFilterTask", "MergeRunTask")


def a_circle(installation: Installation) -> None:
    with installation.pipeline("cpBias").open("a") as file:
        file.write("imports: $CP_PIPE_DIR/pipelines/LATISS/cpBias.yaml\n")


def unknown_label(installation: Installation) -> None:
    installation.config["config_options_bias"] = "-c cpBiasIssr:doDefect=False"


def unknown_field(installation: Installation) -> None:
    installation.config["config_options_bias"] = "-c cpBiasIsr:doDefects=False"


ANOTHER_VERSION = "Set up cp_pipe and cp_verify of generation current, or write pipeline_generation: "


@pytest.fixture
def without_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the text of pipelines alone to be checked, which is quick."""
    monkeypatch.setattr(sys, "executable", "/bin/false")


def check_one_failure(installation: Installation, name: str, message: str, remedy: str) -> None:
    """Check that something is found, and nothing else."""
    failures = installation.failures()
    assert {check["name"] for check in failures} == {name}
    assert message in failures[0]["message"]
    assert failures[0]["remedy"].startswith(remedy)


@pytest.mark.usefixtures("without_tasks")
@pytest.mark.parametrize(
    ("break_it", "name", "message", "remedy"),
    [
        (no_file, "pipelines", "LATISS/cpFlat.yaml does not exist", ANOTHER_VERSION),
        (
            no_subset,
            "pipelines",
            "cpPtc.yaml has no subset cpPtcGainFromFlatPairs, but gains",
            ANOTHER_VERSION,
        ),
        (
            no_task,
            "pipelines",
            "has no task cpPtcExtractPair, but cpPtcAdjustGainRatios, cpPtcExtract, cpPtcIsr",
            ANOTHER_VERSION,
        ),
        (a_circle, "pipelines", "cpBias.yaml imports itself: ", ANOTHER_VERSION),
        (
            unknown_label,
            "options",
            "LATISS/cpBias.yaml has no task cpBiasIssr, but cpBiasCombine, cpBiasIsr",
            "Write one of those in its place, or leave the option out",
        ),
    ],
)
def test_what_the_text_of_pipelines_lacks_is_found(
    installation: Installation,
    break_it: Callable[[Installation], None],
    name: str,
    message: str,
    remedy: str,
) -> None:
    installation.config["pipeline_generation"] = "current"
    installation.add_pipelines()
    break_it(installation)
    check_one_failure(installation, name, message, remedy)
    (tasks,) = [check for check in installation.checks() if check["name"] == "tasks"]
    assert tasks["status"] == "skipped"
    assert "pipelines were checked by their text alone (" in tasks["message"]


@pytest.mark.parametrize(
    ("break_it", "name", "message", "remedy"),
    [
        (no_dataset_type, "pipelines", "has no dataset type verifyBiasStats", ANOTHER_VERSION),
        (
            other_dimensions,
            "pipelines",
            "has verifyFlatStats by instrument, not by instrument, physical_filter",
            ANOTHER_VERSION,
        ),
        (unknown_field, "options", "IsrConfig has no field doDefects, in ", "Write a field that it has"),
    ],
)
def test_what_the_tasks_of_pipelines_lack_is_found(
    installation: Installation,
    break_it: Callable[[Installation], None],
    name: str,
    message: str,
    remedy: str,
) -> None:
    installation.config["pipeline_generation"] = "current"
    installation.add_pipelines()
    break_it(installation)
    check_one_failure(installation, name, message, remedy)


def test_tasks_that_are_elsewhere_are_not_missed(installation: Installation) -> None:
    # Given pipelines whose tasks cannot be imported here
    installation.add_pipelines()
    for file in installation.trees.rglob("*.yaml"):
        file.write_text(file.read_text().replace("lsst.ts.calibrationscripts.simulation", "not_installed"))
    checks = installation.checks()
    assert not [check for check in checks if check["status"] == "failed"]
    (tasks,) = [check for check in checks if check["name"] == "tasks"]
    assert tasks["status"] == "skipped"
    assert "13 pipelines were checked by their text alone (" in tasks["message"]
    assert "not_installed" in tasks["message"]


@pytest.mark.usefixtures("without_tasks")
def test_pipelines_that_are_not_at_hand_are_skipped(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (check,) = [check for check in installation.checks() if check["name"] == "pipelines"]
    assert check["status"] == "skipped"
    assert check["message"].startswith("CP_PIPE_DIR and CP_VERIFY_DIR not set")
    assert "--pipelines" in check["remedy"]
    # Where one folder is known, its pipelines are checked.
    monkeypatch.setenv("CP_VERIFY_DIR", PIPELINE_ENVIRONMENTS["current"]["CP_VERIFY_DIR"])
    found = [check for check in installation.checks() if check["name"] == "pipelines"]
    assert [(check["status"], check["message"][:18]) for check in found] == [
        ("skipped", "CP_PIPE_DIR not se"),
        ("ok", "4 of current have "),
    ]


def unknown_repository(installation: Installation) -> None:
    installation.config["repo"] = "/repo/that/does/not/exist"


def empty_repository(installation: Installation) -> None:
    installation.config["repo"] = str(installation.root / "empty")
    Butler.makeRepo(installation.config["repo"])


def no_input(installation: Installation) -> None:
    installation.config["input_collections_verify_bias"] = "LATISS/calib,LATISS/nothing"


def chained_calibrations(installation: Installation) -> None:
    with installation.butler() as butler:
        butler.collections.register("LATISS/calib/daily", CollectionType.CHAINED)


def wrong_dataset_type(installation: Installation) -> None:
    with installation.butler() as butler:
        butler.registry.registerDatasetType(
            DatasetType("verifyFlatStats", {"instrument"}, "StructuredDataDict", universe=butler.dimensions)
        )


def journals_in_a_file(installation: Installation) -> None:
    installation.journals.rmdir()
    installation.journals.write_text("not a folder")


@pytest.mark.parametrize(
    ("break_it", "failed"),
    [
        (
            unknown_repository,
            [
                (
                    "repository",
                    "exist: could not look at it: FileNotFoundError",
                    "Write another repo, or see that",
                )
            ],
        ),
        (
            empty_repository,
            [
                ("repository", "does not know detector 0 of LATISS", "butler register-instrument"),
                ("collections", "input collection LATISS/calib does not exist", "input_collections_*"),
                ("collections", "LATISS/raw/all, where frames are found, does not exist", "Have the OODS"),
            ],
        ),
        (no_input, [("collections", "input collection LATISS/nothing does not", "input_collections_*")]),
        (
            chained_calibrations,
            [
                (
                    "collections",
                    "LATISS/calib/daily is a CHAINED collection",
                    "Write another name as calib_coll",
                )
            ],
        ),
        (
            wrong_dataset_type,
            [
                (
                    "datasets",
                    "verifyFlatStats by instrument, but the pipelines have it by instrument, physical_filter",
                    "A dataset type cannot be changed",
                )
            ],
        ),
        (journals_in_a_file, [("journals", "journals is not a folder", "Write another journal_dir")]),
    ],
)
def test_what_is_wrong_with_a_repository_or_journals_is_found(
    installation: Installation,
    break_it: Callable[[Installation], None],
    failed: list[tuple[str, str, str]],
) -> None:
    installation.config["pipeline_generation"] = "current"
    break_it(installation)
    failures = installation.failures()
    assert len(failures) == len(failed)
    for check, (name, message, remedy) in zip(failures, failed, strict=True):
        assert check["name"] == name
        assert message in check["message"]
        assert remedy in check["remedy"]


def test_labels_are_those_of_the_index(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a label that there is not
    installation.config["repo"] = "LATIS"
    (failure,) = installation.failures()
    assert failure["message"].startswith("LATIS: could not look at it: ")
    assert failure["remedy"] == (
        "Set DAF_BUTLER_REPOSITORY_INDEX to a file that has LATIS, or write a path as repo"
    )
    # when there is an index, then it is compared with that;
    index = installation.root / "index.yaml"
    index.write_text(yaml.safe_dump({"LATISS": str(installation.repo), "LSSTCam": "/repo/main"}))
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(index))
    (failure,) = installation.failures()
    assert failure["remedy"] == (
        f"Write a path as repo, or one of the labels of DAF_BUTLER_REPOSITORY_INDEX={index}: LATISS, LSSTCam"
    )
    # when it has the label, then the repository is found.
    installation.config["repo"] = "LATISS"
    assert not installation.failures()
    # An index that is missing is named.
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", f"{index}.missing")
    (failure,) = installation.failures()
    assert failure["remedy"].startswith(f"DAF_BUTLER_REPOSITORY_INDEX={index}.missing has no labels. Set ")


def test_what_a_repository_that_does_not_open_hides_is_skipped(installation: Installation) -> None:
    unknown_repository(installation)
    skipped = {
        check["name"]: check["message"] for check in installation.checks() if check["status"] == "skipped"
    }
    assert {name for name, text in skipped.items() if text == "the repository cannot be looked at"} == {
        *("collections", "datasets", "writing")
    }


def test_a_repository_that_does_not_answer_is_not_waited_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a database that accepts a connection and then says nothing
    answer = threading.Event()
    installation.config["pipeline_generation"] = "current"
    monkeypatch.setattr(Butler, "from_config", lambda repo, **kwargs: answer.wait(60))
    monkeypatch.setattr(_repository_checks, "_TIMEOUT", 0.05)
    (failure,) = installation.failures()
    answer.set()
    assert failure["message"].startswith(f"{installation.repo}: could not look at it within 0.05 s")


def test_a_disk_that_does_not_answer_is_not_waited_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given disks of pipelines and of journals that hang
    answer = threading.Event()
    monkeypatch.setattr(butler_generation, "find_generation", lambda *args: answer.wait(60))
    monkeypatch.setattr(_pipeline_checks, "read_pipelines", lambda *args: answer.wait(60))
    monkeypatch.setattr(files_checks, "check_journals", lambda *args: answer.wait(60))
    monkeypatch.setattr(doctor, "_GENERATION_TIMEOUT", 0.05)
    monkeypatch.setattr(doctor, "_DISK_TIMEOUT", 0.05)
    monkeypatch.setattr(_pipeline_checks, "_TIMEOUT", 0.05)
    installation.add_pipelines()
    found = installation.checks()
    answer.set()
    (chosen,) = [check["message"] for check in found if check["name"] == "generation"]
    assert chosen == "current: the disk of the pipelines does not answer, and this is the newest"
    assert [(check["name"], check["message"]) for check in found if check["status"] == "failed"] == [
        ("pipelines", "the files were not read within 0.05 s"),
        ("journals", f"{installation.journals} does not answer within 0.05 s"),
    ]


def test_a_repository_that_cannot_be_written_is_found(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def connect_to_read(target: str, **kwargs: Any) -> sqlite3.Connection:
        return connect(target.replace("mode=rwc", "mode=ro"), **kwargs)

    monkeypatch.setattr(sqlite3, "connect", connect_to_read)
    (failure,) = installation.failures()
    assert failure["name"] == "writing"
    assert "attempt to write a readonly database" in failure["message"]
    assert "have the permissions of the repository fixed" in failure["message"]


@pytest.fixture
def running(installation: Installation) -> Iterator[Lock]:
    """Hold the lock of a run, as a process that runs it does."""
    run_id, lock = claim_run(installation.journals, RUN_ID)
    assert run_id == RUN_ID
    config = parse(yaml.safe_dump(installation.config), LATISS).to_dict()
    FileJournal(installation.journals, RUN_ID, lock).write(RunRecord(RUN_ID, config))
    yield lock
    lock.release()


def test_a_run_that_is_running_cannot_be_resumed(installation: Installation, running: Lock) -> None:
    # Given a run that is running, then it is named,
    (check,) = [check for check in installation.checks() if check["name"] == "runs"]
    assert (check["status"], check["remedy"]) == ("warning", "It cannot be resumed before its end")
    assert check["message"].startswith(f"{RUN_ID} is running: process {os.getpid()} on ")
    # when the configuration resumes it, then that is to be fixed,
    installation.config = {"resume": RUN_ID, "journal_dir": str(installation.journals)}
    (failure,) = installation.failures()
    assert (failure["name"], failure["remedy"]) == ("runs", "Wait for its end, or stop it first")
    assert failure["message"].endswith("and holds its lock")
    # when it has ended, then nothing is.
    assert running.held
    running.release()
    assert not installation.failures()


def test_a_look_at_a_lock_takes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    Lock(file).look()
    assert not file.exists()
    lock = Lock(file)
    lock.acquire()
    text = file.read_bytes()
    with pytest.raises(LockedError, match=f"process {os.getpid()} "):
        Lock(file).look()
    assert (file.read_bytes(), lock.held) == (text, True)
    lock.release()
    # One that a killed process has left is free, and stays.
    file.write_bytes(text)
    Lock(file).look()
    assert file.read_bytes() == text


# --- what surrounds the package --------------------------------------------


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["numpy>=1.26", "click>=99.1", "not-installed>=3", "other; extra == 'dev'", "pyyaml"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    check = check_packages()
    installed = importlib.metadata.version("click")
    assert (check.status, check.message) == (
        "failed",
        f"click is {installed}, not >=99.1; not-installed is not installed",
    )
    assert check.remedy == "pip install 'click>=99.1' 'not-installed>=3'"
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert check_packages().status == "skipped"


def test_a_python_that_is_too_old_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_python().status == "ok"
    monkeypatch.setattr("platform.python_version", lambda: "3.8.10")
    check = check_python()
    assert check.status == "failed"
    assert check.message.startswith("Python 3.8.10, and ts-calibrationscripts needs >=3.")


def test_sal_that_nothing_asks_for_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_environment, "is_installed", lambda module: False)
    check = check_sal({})
    assert check.status == "skipped"
    assert "only 'calibscripts simulate' can run here" in check.message
    # Where its environment is set, it is.
    for environment in ({"LSST_TOPIC_SUBNAME": "sal"}, {"CALIBSCRIPTS_SAL": "salobj"}):
        check = check_sal(environment)
        assert check.status == "failed"
        assert check.message.startswith("lsst.ts.salobj, lsst.ts.observatory.control, ")
    assert check_sal({"CALIBSCRIPTS_SAL": "dds"}).remedy == "Write salobj or local, or leave it unset"


def test_sal_needs_a_name_and_servers_that_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_environment, "is_installed", lambda module: True)
    assert check_sal({"LSST_SITE": "test"}).message.startswith("LSST_TOPIC_SUBNAME is not set")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        environment = {
            "LSST_TOPIC_SUBNAME": "sal",
            "LSST_KAFKA_BROKER_ADDR": address,
            "LSST_SCHEMA_REGISTRY_URL": f"http://{address}",
        }
        check = check_sal(environment)
        assert check.status == "ok"
        assert "LSST_TOPIC_SUBNAME=sal" in check.message
    # When they have ended, then they are named.
    check = check_sal(environment)
    assert check.status == "failed"
    assert check.message.startswith(
        f"LSST_KAFKA_BROKER_ADDR={address} does not answer (Connection refused); "
    )
    assert f"LSST_SCHEMA_REGISTRY_URL=http://{address} does not answer" in check.message
