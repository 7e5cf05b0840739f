# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pipelines have, by their text, and what is missing of it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st
from lsst.pipe.base import Pipeline
from lsst.ts.calibrationscripts.butler import installed_pipelines
from lsst.ts.calibrationscripts.butler.installed_pipelines import PipelineFiles, read_pipelines
from lsst.ts.calibrationscripts.butler.pipeline_text import read_pipeline
from lsst.ts.calibrationscripts.checkup import CheckStatus
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.pipelines import (
    GENERATIONS,
    PipelineContent,
    PipelineFault,
    expected_dimensions,
    labels_of,
    options_without_task,
    pipeline_uri,
    shortcomings,
)
from lsst.ts.calibrationscripts.plan import JobPlan
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS

# In the forms of cp_pipe f029a3f2 and ff196a94, and of what else
# `lsst.pipe.base` accepts.
INGREDIENTS = """\
description: Ingredients.
parameters:
  exposures: cpPtcProc
tasks:
  isr:
    class: some.IsrTask
    config:
      - connections.outputExposure: parameters.exposures
      - doBias: true
        python: config.doDark = True
  extract:
    class: some.ExtractTask
    config:
      connections.inputExp: parameters.exposures
      connections.outputCovariances: cpPtcExtract
  solve: some.SolveTask
  plot:
    class: some.PlotTask
subsets:
  gains:
    subset: [isr, extract]
    description: Gains alone.
  all: [isr, extract, solve, plot]
"""
IMPORTED = "imports:\n  - location: $CP_PIPE_DIR/ingredients.yaml\n"


def write(root: Path, **texts: str) -> dict[str, str]:
    """Write pipelines, and return the environment that leads to them."""
    for name, text in {"ingredients": INGREDIENTS, **texts}.items():
        (root / f"{name}.yaml").write_text(text if "description:" in text else f"description: x\n{text}")
    return {"CP_PIPE_DIR": str(root)}


def content(uri: str, environment: dict[str, str]) -> PipelineContent:
    found = read_pipeline(uri, environment)
    assert isinstance(found, PipelineContent), found
    return found


def fault(uri: str, environment: dict[str, str]) -> PipelineFault:
    found = read_pipeline(uri, environment)
    assert isinstance(found, PipelineFault), found
    return found


@pytest.mark.parametrize(
    "text",
    [
        INGREDIENTS,
        IMPORTED,
        "imports: $CP_PIPE_DIR/ingredients.yaml",
        "imports: ${CP_PIPE_DIR}/ingredients.yaml\ntasks:\n  more: some.MoreTask\n",
        f"{IMPORTED}    exclude: [plot]\n",
        f"{IMPORTED}    exclude: plot\n    labeledSubsetModifyMode: EDIT\n",
        f"{IMPORTED}    include: [isr, solve]\n",
        f"{IMPORTED}    include: gains\n",
        f"{IMPORTED}    exclude: gains\n    labeledSubsetModifyMode: EDIT\n",
        f"{IMPORTED}    rename: {{solve: fit}}\n    exclude: [plot]\n",
        f"{IMPORTED}parameters: {{exposures: other}}\n",
        f"{IMPORTED}subsets:\n  gains: [isr]\n",
        f"{IMPORTED}tasks:\n  isr:\n    class: some.OtherTask\n",
        f"{IMPORTED}tasks:\n  isr: {{class: some.IsrTask, config: {{connections.outputExposure: own}}}}\n",
    ],
)
def test_a_text_is_read_as_the_science_pipelines_read_it(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = write(tmp_path, pipeline=text)
    monkeypatch.setenv("CP_PIPE_DIR", str(tmp_path))
    read_by_lsst = Pipeline.from_uri(str(tmp_path / "pipeline.yaml"))
    found = content("$CP_PIPE_DIR/pipeline.yaml", environment)
    assert set(found.tasks) == set(read_by_lsst.task_labels)
    for name, labels in read_by_lsst.subsets.items():
        assert set(content(f"$CP_PIPE_DIR/pipeline.yaml#{name}", environment).tasks) == set(labels)
    unknown = fault("$CP_PIPE_DIR/pipeline.yaml#unknown", environment)
    names = ", ".join(sorted(read_by_lsst.subsets))
    assert unknown.text == "has no subset unknown" + (f", but {names}" if names else "")


def test_dataset_types_are_what_connections_are_called(tmp_path: Path) -> None:
    environment = write(tmp_path, pipeline=f"{IMPORTED}parameters: {{exposures: own}}\n")
    found = content("${CP_PIPE_DIR}/pipeline.yaml", environment)
    assert found.dataset_types == {"cpPtcExtract": None, "own": None}
    (tmp_path / "pipeline.yaml").write_text(f"{IMPORTED}    include: isr\n")
    assert content("${CP_PIPE_DIR}/pipeline.yaml", environment).dataset_types == {"cpPtcProc": None}
    # A task of another class takes over nothing.
    (tmp_path / "pipeline.yaml").write_text(f"{IMPORTED}    include: isr\ntasks:\n  isr: some.OtherTask\n")
    assert content("${CP_PIPE_DIR}/pipeline.yaml", environment).dataset_types == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "imports: $CP_PIPE_DIR/pipeline.yaml",
            "imports itself: {0}/pipeline.yaml imports {0}/pipeline.yaml",
        ),
        (
            "imports: $CP_PIPE_DIR/back.yaml",
            "imports itself: {0}/pipeline.yaml imports {0}/back.yaml imports",
        ),
        ("tasks: [isr]", "does not have the form of a pipeline"),
        ("tasks: {isr: {config: {}}}", "does not have the form of a pipeline ('class')"),
        ("subsets: {gains: 3}\ntasks: 5", "does not have the form of a pipeline"),
        ("tasks: !!python/object/apply:os.system [echo]", "cannot be read: a word that begins with '!'"),
        ("tasks: {isr: a.B, isr: a.C}", "cannot be read: isr is given twice"),
        ("tasks: {", "cannot be read: "),
        ("- isr", "does not have the form of a pipeline"),
    ],
)
def test_a_text_that_is_no_pipeline_is_refused(text: str, why: str, tmp_path: Path) -> None:
    environment = write(tmp_path, back="imports: $CP_PIPE_DIR/pipeline.yaml")
    (tmp_path / "pipeline.yaml").write_text(text)
    found = fault("$CP_PIPE_DIR/pipeline.yaml", environment)
    assert found.file in (str(tmp_path / "pipeline.yaml"), str(tmp_path / "back.yaml"))
    assert found.text.startswith(why.format(tmp_path))


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    environment = write(tmp_path, imports="imports: $CP_PIPE_DIR/missing.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b" " * 2**21)
    missing = str(tmp_path / "missing.yaml")
    assert fault("$CP_PIPE_DIR/missing.yaml", environment) == PipelineFault(missing, "does not exist")
    assert fault("$CP_PIPE_DIR/imports.yaml", environment) == PipelineFault(missing, "does not exist")
    for name in ("pipe", "large"):
        assert "is not a file of at most 1 MB" in fault(f"$CP_PIPE_DIR/{name}.yaml", environment).text
    assert fault("$CP_PIPE_DIR/imports.yaml", {}).text == "is not known: CP_PIPE_DIR is not set"


def test_imports_in_each_other_have_a_limit(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.yaml").write_text(f"imports: $CP_PIPE_DIR/{number + 1}.yaml")
    found = fault("$CP_PIPE_DIR/0.yaml", {"CP_PIPE_DIR": str(tmp_path)})
    assert found == PipelineFault(str(tmp_path / "0.yaml"), "has more than 20 imports in each other")


KEYS = st.sampled_from(
    [
        "tasks",
        "subsets",
        "subset",
        "imports",
        "location",
        "include",
        "exclude",
        "rename",
        "parameters",
        "class",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["isr", "a.B", "$CP_PIPE_DIR/ingredients.yaml"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers() | st.just("isr"), inner),
    max_leaves=12,
)


@hypothesis.given(st.dictionaries(KEYS, ANYTHING))
@hypothesis.settings(max_examples=300)
def test_whatever_a_file_has_is_read_or_refused(text: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = write(Path(folder), pipeline=yaml.safe_dump(text))
        found = read_pipeline("$CP_PIPE_DIR/pipeline.yaml", environment)
    assert isinstance(found, PipelineContent | PipelineFault)


@pytest.mark.parametrize("location", ["eups://analysis_tools/core.yaml", "$ANALYSIS_TOOLS_DIR/core.yaml"])
def test_what_another_package_adds_is_not_held_to_be_missing(location: str, tmp_path: Path) -> None:
    # Given a pipeline that imports one of a package, as verifyBias.yaml does,
    environment = write(tmp_path, pipeline=f"imports: {location}\ntasks:\n  own: some.Task\n")
    (tmp_path / "core.yaml").write_text("tasks:\n  core: some.Task\nsubsets:\n  most: [core]\n")
    # when that is not at hand, then it is not known which tasks there are;
    found = content("$CP_PIPE_DIR/pipeline.yaml", environment)
    assert found.not_read == (location,)
    assert not list(options_without_task(["-c", "core:x=1"], found))
    assert content("$CP_PIPE_DIR/pipeline.yaml#most", environment).tasks == ("own",)
    # when it is, then it is.
    environment["ANALYSIS_TOOLS_DIR"] = str(tmp_path)
    found = content("$CP_PIPE_DIR/pipeline.yaml", environment)
    assert (found.tasks, found.not_read) == (("core", "own"), ())
    assert not list(options_without_task(["-c", "core:x=1"], found))
    assert list(options_without_task(["-c", "cor:x=1"], found))


def test_labels_are_those_of_options_in_any_form() -> None:
    options = [
        "-c",
        "a:x=1",
        "-cb:x=1",
        "-C",
        "c:/file.py",
        "--config=d:x=1",
        "--fail-fast",
        "--timeout",
        "5",
    ]
    assert list(labels_of(options)) == ["a", "b", "c", "d"]


def test_an_option_for_a_task_that_does_not_exist_is_explained() -> None:
    found = PipelineContent("/cpBias.yaml", ("cpBiasCombine", "cpBiasIsr"), {})
    options = ("-c", "cpBiasIsr:doDefect=False", "-c", "cpBiasIssr:doDefect=False")
    assert list(options_without_task(options, found)) == [
        "-c cpBiasIssr:doDefect=False: /cpBias.yaml has no task cpBiasIssr, but cpBiasCombine, cpBiasIsr"
    ]


# --- compared with what is said of a generation ----------------------------


def complete(name: str) -> dict[str, PipelineContent | PipelineFault]:
    """Return pipelines that have all that a generation needs."""
    generation = GENERATIONS[name]
    dimensions: dict[str, frozenset[str] | None] = dict(expected_dimensions(generation))
    return {
        pipeline_uri(one.path, LATISS): PipelineContent(
            "/file.yaml", getattr(one, "tasks", ()), dimensions, from_tasks=True
        )
        for one in generation.pipelines
    }


def changed(name: str, part: str, **changes: object) -> list[str]:
    """Return what is said if a pipeline differs from what it should be."""
    contents = complete(name)
    for uri, found in contents.items():
        if uri.endswith(part):
            assert isinstance(found, PipelineContent)
            contents[uri] = dataclasses.replace(found, **changes)  # type: ignore[arg-type]
    found_checks = list(shortcomings(GENERATIONS[name], LATISS, contents, "Do it"))
    assert all(check.remedy for check in found_checks)
    return [f"{check.status} {check.message}" for check in found_checks]


@pytest.mark.parametrize("name", GENERATIONS)
def test_pipelines_that_have_all_lack_nothing(name: str) -> None:
    assert not list(shortcomings(GENERATIONS[name], LATISS, complete(name), "Do it"))


def test_each_thing_that_is_missing_is_named() -> None:
    # A task that the generation's own options are for, and one that they
    # are not for.
    assert changed("current", "cpPtc.yaml", tasks=("cpPtcIsr", "cpPtcSolve")) == [
        "failed /file.yaml has no task cpPtcExtractPair, but cpPtcIsr, cpPtcSolve",
        "warning /file.yaml has no task cpPtcAdjustGainRatios",
    ]
    option = "cpPtcExtractPair:useEfdPhotodiodeData=False"
    assert changed(
        "current", "cpPtc.yaml", refused_options={option: "X has no field y", "other:z=1": "."}
    ) == [f"failed /file.yaml does not take -c {option}: X has no field y"]
    assert changed(
        "current", "cpBias.yaml", dataset_types={"bias": frozenset({"instrument", "detector"})}
    ) == ["failed /file.yaml has no dataset type cpBiasIsrExp"]
    types = {"verifyFlatStats": frozenset({"instrument"}), "verifyFlatIsrExp": None}
    assert changed("current", "verifyFlat.yaml", dataset_types=types) == [
        "failed /file.yaml has verifyFlatStats by instrument, not by instrument, physical_filter"
    ]
    # By its text alone it is not known what it does not name.
    assert not changed("current", "verifyFlat.yaml", dataset_types={}, from_tasks=False)


def test_what_two_subsets_lack_together_is_said_once() -> None:
    contents: dict[str, PipelineContent | PipelineFault] = complete("current")
    for uri in contents:
        if "cpPtc" in uri:
            contents[uri] = PipelineFault("/cpPtc.yaml", "does not exist")
    (check,) = shortcomings(GENERATIONS["current"], LATISS, contents, "Do it")
    assert (check.status, check.message) == (CheckStatus.FAILED, "/cpPtc.yaml does not exist")


def test_gains_and_flats_have_dimensions_of_their_own() -> None:
    current = expected_dimensions(GENERATIONS["current"])
    assert current["bias"] == {"instrument", "detector"}
    assert current["flat"] == current["flatBootstrap"] == {"instrument", "detector", "physical_filter"}
    assert current["cpPtcPartial"] == current["cpBiasIsrExp"] == {"instrument", "detector", "exposure"}
    assert current["verifyFlatStats"] == {"instrument", "physical_filter"}
    assert expected_dimensions(GENERATIONS["2022"])["verifyFlatStats"] == {"instrument"}


# --- read by their tasks ----------------------------------------------------


def test_tasks_say_what_a_text_leaves_out(tmp_path: Path) -> None:
    environment = os.environ | PIPELINE_ENVIRONMENTS["current"]
    uri = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
    option = "cpBiasIsr:doDefectt=False"
    contents, why_text = read_pipelines({uri: ["cpBiasIsr:doDefect=False", option]}, environment)
    found = contents[uri]
    assert why_text == ""
    assert isinstance(found, PipelineContent) and found.from_tasks
    assert found.dataset_types["bias"] == {"instrument", "detector"}
    assert found.refused_options == {option: "IsrConfig has no field doDefectt"}


def test_tasks_that_do_not_end_are_not_waited_for() -> None:
    environment = os.environ | PIPELINE_ENVIRONMENTS["current"]
    uri = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
    contents, why_text = read_pipelines({uri: []}, environment, timeout=0.01)
    assert why_text == "the tasks were not imported within 0.01 s"
    assert isinstance(contents[uri], PipelineContent)


def test_tasks_that_end_the_process_are_not_looked_at(tmp_path: Path) -> None:
    # Given a task whose package ends the process when it is imported
    (tmp_path / "deadly.py").write_text("import os\nprint('{}')\nos._exit(9)\n")
    environment = write(tmp_path, pipeline="tasks:\n  isr: deadly.IsrTask\n")
    environment |= os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    environment["CP_PIPE_DIR"] = str(tmp_path)
    contents, why_text = read_pipelines({"$CP_PIPE_DIR/pipeline.yaml": []}, environment)
    assert why_text == "the process that imported the tasks ended with exit code 9"
    assert contents["$CP_PIPE_DIR/pipeline.yaml"] == content("$CP_PIPE_DIR/pipeline.yaml", environment)


def test_a_contract_that_is_broken_is_a_fault(tmp_path: Path) -> None:
    uri = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
    text = Path(PIPELINE_ENVIRONMENTS["current"]["CP_PIPE_DIR"], "pipelines/LATISS/cpBias.yaml").read_text()
    file = tmp_path / "pipelines" / "LATISS" / "cpBias.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text.replace("inputExps: cpBiasIsrExp", "inputExps: other"))
    contents, _ = read_pipelines({uri: []}, os.environ | {"CP_PIPE_DIR": str(tmp_path)})
    found = contents[uri]
    assert isinstance(found, PipelineFault)
    assert found.text.startswith("cannot be made into a graph: ContractError: ")


# --- before the first exposure ----------------------------------------------


def job(uri: str, *options: str) -> JobPlan:
    return JobPlan(uri, options, (), (), ())


async def test_a_run_finds_options_for_tasks_that_do_not_exist(tmp_path: Path) -> None:
    environment = PIPELINE_ENVIRONMENTS["current"]
    pipelines = PipelineFiles(environment)
    bias = "${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml"
    assert await pipelines.check([job(bias, "-c", "cpBiasIsr:doDefect=False")]) == ()
    (problem,) = await pipelines.check([job(bias, "-c", "isr:doDefect=False")])
    file = f"{environment['CP_PIPE_DIR']}/pipelines/LATISS/cpBias.yaml"
    assert problem == (
        f"-c isr:doDefect=False: {file} has no task isr, but cpBiasCombine, cpBiasIsr. Write one of those in "
        "its place, or leave the option out"
    )
    # A subset has fewer tasks than its file.
    gains = "${CP_PIPE_DIR}/pipelines/LATISS/cpPtc.yaml#cpPtcGainFromFlatPairs"
    assert len(await pipelines.check([job(gains, "-c", "cpPtcSolve:x=1")])) == 1


async def test_a_run_does_not_ask_for_pipelines_that_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = job("${CP_PIPE_DIR}/pipelines/LATISS/cpBias.yaml", "-c", "isr:doDefect=False")
    assert await PipelineFiles({}).check([bias]) == ()
    assert await PipelineFiles({"CP_PIPE_DIR": str(tmp_path)}).check([bias]) == ()
    # Nor does it wait for a disk that hangs.
    os.mkfifo(tmp_path / "hangs")
    monkeypatch.setattr(installed_pipelines, "read_pipeline", lambda *args: (tmp_path / "hangs").read_text())
    monkeypatch.setattr(installed_pipelines, "_TEXT_TIMEOUT", 0.05)
    assert await PipelineFiles(PIPELINE_ENVIRONMENTS["current"]).check([bias]) == ()
    descriptor = os.open(tmp_path / "hangs", os.O_WRONLY)
    os.close(descriptor)
