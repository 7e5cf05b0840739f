# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generation of pipelines is found, and why."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from lsst.daf.butler import Butler, DatasetType
from lsst.ts.calibrationscripts.butler import generation
from lsst.ts.calibrationscripts.butler.generation import find_generation
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.pipelines import GENERATIONS, generation_of_types
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS

NOWHERE = "/repo/that/does/not/exist"


def repository(root: Path, *dataset_types: str) -> str:
    """Make a repository that has such dataset types."""
    with Butler.from_config(Butler.makeRepo(str(root)), writeable=True) as butler:
        for name in dataset_types:
            dimensions = ("instrument", "exposure", "detector")
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)
            )
    return str(root)


@pytest.mark.parametrize("name", GENERATIONS)
def test_the_folders_of_the_pipelines_decide(name: str, tmp_path: Path) -> None:
    # Given the pipelines of one generation, and datasets of another,
    repo = repository(tmp_path, "cpBiasProc" if name == "current" else "cpBiasIsrExp")
    environment = PIPELINE_ENVIRONMENTS[name]
    found, why = find_generation(repo, LATISS, environment)
    assert found == name
    assert why == (
        f"its pipelines are in CP_PIPE_DIR={environment['CP_PIPE_DIR']}, "
        f"CP_VERIFY_DIR={environment['CP_VERIFY_DIR']}"
    )


def test_one_folder_is_enough() -> None:
    environment = {"CP_PIPE_DIR": PIPELINE_ENVIRONMENTS["2022"]["CP_PIPE_DIR"]}
    assert find_generation(NOWHERE, LATISS, environment)[0] == "2022"


def test_today_wins_over_what_an_installation_has_kept(tmp_path: Path) -> None:
    # Given folders with both, as where old pipelines were not removed,
    for name, folder in PIPELINE_ENVIRONMENTS["2022"].items():
        (tmp_path / name).mkdir()
        for of_either in (folder, PIPELINE_ENVIRONMENTS["current"][name]):
            for file in Path(of_either).glob("**/*.yaml"):
                copy = tmp_path / name / file.relative_to(of_either)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.touch()
    environment = {name: str(tmp_path / name) for name in PIPELINE_ENVIRONMENTS["2022"]}
    assert find_generation(NOWHERE, LATISS, environment)[0] == "current"
    # when one of today's is missing, then those of 2022 are complete.
    (tmp_path / "CP_PIPE_DIR" / "pipelines" / "LATISS" / "cpFlat.yaml").unlink()
    assert find_generation(NOWHERE, LATISS, environment)[0] == "2022"


@pytest.mark.parametrize(
    ("dataset_types", "expected", "why"),
    [
        (("cpBiasProc",), "2022", "has datasets of it"),
        (("cpPtcExtract", "other"), "2022", "has datasets of it"),
        (("verifyFlatIsrExp",), "current", "has datasets of it"),
        # Old dataset types stay registered.
        (("cpBiasProc", "cpBiasIsrExp"), "current", "has datasets of it"),
        (("other",), "current", "has datasets of no generation, and this is the newest"),
    ],
)
def test_else_what_is_in_the_repository_decides(
    tmp_path: Path, dataset_types: tuple[str, ...], expected: str, why: str
) -> None:
    repo = repository(tmp_path, *dataset_types)
    assert find_generation(repo, LATISS, {}) == (expected, f"{repo} {why}")


def test_folders_without_pipelines_are_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    repo = repository(tmp_path / "repo", "cpBiasProc")
    found, why = find_generation(repo, LATISS, {"CP_PIPE_DIR": str(tmp_path / "empty")})
    assert found == "2022"
    assert why == (
        f"no generation is complete in CP_PIPE_DIR={tmp_path / 'empty'}, and {repo} has datasets of it"
    )


@pytest.mark.parametrize(
    ("repo", "index", "why"),
    [
        (NOWHERE, {}, "does not exist here, and this is the newest"),
        (NOWHERE, {"DAF_BUTLER_REPOSITORY_INDEX": "/index.yaml"}, "cannot be looked at (FileNotFoundError: "),
        ("LATISS", {}, "cannot be looked at (FileNotFoundError: "),
    ],
)
def test_a_repository_that_cannot_be_looked_at_is_not_an_error(
    repo: str, index: dict[str, str], why: str
) -> None:
    found, reason = find_generation(repo, LATISS, index)
    assert found == "current"
    assert reason.startswith(f"{repo} {why}")


def test_a_repository_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a database that accepts a connection and then says nothing,
    answer = threading.Event()
    monkeypatch.setattr(Butler, "from_config", lambda repo: answer.wait(60))
    monkeypatch.setattr(generation, "_TIMEOUT", 0.05)
    found, why = find_generation("LATISS", LATISS, {})
    answer.set()
    assert found == "current"
    assert why == "LATISS cannot be looked at (TimeoutError: no answer in 0.05 s)"


def test_each_generation_is_known_by_its_own_dataset_types() -> None:
    for name, pipelines in GENERATIONS.items():
        assert {generation_of_types([one]) for one in pipelines.frame_types} == {name}
    assert generation_of_types(["raw", "bias"]) is None
