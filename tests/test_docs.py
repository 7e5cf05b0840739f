# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what there is, and leads nowhere else.

That it builds without a warning is for ``make docs`` to see.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime
import functools
import importlib.util
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from endings import ENDINGS
from lsst.ts.calibrationscripts import cli
from lsst.ts.calibrationscripts.cli import ExitCode, main
from lsst.ts.calibrationscripts.codec import change_text, forecast_json, plan_json, to_json, write_document
from lsst.ts.calibrationscripts.config import load_schema, parse
from lsst.ts.calibrationscripts.forecast import Forecast, forecast_text, make_forecast
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.outcomes import (
    BadDetector,
    Cause,
    Certification,
    DetectorDefects,
    Gain,
    Outcome,
    RunState,
    StageResult,
)
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import (
    Evidence,
    RunReport,
    Span,
    held_reason,
    itinerary,
    summary_text,
    verdict_text,
)
from lsst.ts.calibrationscripts.verification import Verdict, judge
from named import BIAS, stage
from test_proof import PROOF

DOC = Path(__file__).parents[1] / "doc"
COMMANDS = Path(cli.__file__).parent
PAGES = sorted(DOC.glob("**/*.rst"), key=str)
PAGES = [page for page in PAGES if not {"_build", "api", "news"} & set(page.relative_to(DOC).parts)]
EXAMPLES = sorted((DOC / "observers" / "examples").glob("*.yaml"))


def extension(name: str) -> Any:
    """Return a module of the documentation."""
    spec = importlib.util.spec_from_file_location(name, DOC / "_ext" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def reference(schema: dict[str, Any]) -> str:
    """Return what the documentation makes of a schema."""
    return "\n".join(extension("schema_to_rst").reference(schema))


def documented_fields(heading: str) -> set[str]:
    """Return the fields that the page on JSON lists under a heading."""
    text = (DOC / "reference" / "json.rst").read_text()
    _, _, section = text.partition(f"{heading}\n{'=' * len(heading)}\n")
    section = re.split(r"\n=+\n", section)[0]
    return set(re.findall(r"^``(\w+)``$", section, re.MULTILINE))


def test_every_parameter_is_in_the_reference() -> None:
    schema = load_schema(LATISS)
    text = reference(schema)
    documented = re.findall(r"^\.\. confval:: (\S+)$", text, re.MULTILINE)
    nested = {
        *(f"flat_sets[].{key}" for key in schema["properties"]["flat_sets"]["items"]["properties"]),
        *(f"exposures.{key}" for key in schema["properties"]["exposures"]["properties"]),
        *(f"test_case.{key}" for key in schema["properties"]["test_case"]["properties"]),
    }
    assert set(documented) == {*schema["properties"], *nested}
    assert len(documented) == len(set(documented))


def test_reference_gives_type_range_default_and_links() -> None:
    schema = {
        "properties": {
            "n_bias": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 9,
                "default": 5,
                "description": "As many as *n_dark* says, n_bias, or n_other.",
            },
            "n_dark": {"enum": ["A", "B"], "default": None, "description": "x"},
        }
    }
    assert reference(schema).splitlines()[:5] == [
        ".. confval:: n_bias",
        "   :type: integer from 1 to 9 or null",
        "   :default: ``5``",
        "",
        r"   As many as \*:confval:`n_dark`\* says, n\_bias, or n\_other.",
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_for_observers_are_valid(example: Path) -> None:
    config = parse(example.read_text(), LATISS)
    assert make_plan(config, LATISS).stages


def test_every_example_is_shown() -> None:
    text = (DOC / "observers" / "configurations.rst").read_text()
    assert {f"examples/{example.name}" for example in EXAMPLES} == set(
        re.findall(r"examples/\S+\.yaml", text)
    )


def too_noisy() -> Verdict:
    """Return the verdict on three biases whose amplifiers all fail NOISE."""
    failures = [f"RXX_S00 {amplifier} NOISE" for amplifier in LATISS.detectors[0].amplifiers]
    entry = {"SUCCESS": False, "FAILURES": failures}
    return judge({2026112200002 + i: entry for i in range(3)}, BIAS, n_detectors=1)


def test_example_of_a_plan_is_what_the_program_prints() -> None:
    config = parse((DOC / "observers" / "examples" / "after-a-change.yaml").read_text(), LATISS)
    begin = datetime.datetime(2026, 11, 23, 18, 15, tzinfo=datetime.UTC)
    printed = itinerary(config, make_plan(config, LATISS, begin), LATISS, begin)
    assert (DOC / "observers" / "examples" / "plan.txt").read_text() == f"{printed}\n"


def test_example_of_a_forecast_is_what_the_program_prints() -> None:
    text = "{pipeline_generation: '2022', generate_calibrations: true, script_mode: BIAS_DARK, n_bias: 5}"
    config = parse(text, LATISS)
    printed = forecast_text(make_forecast(config, make_plan(config, LATISS), LATISS), 80)
    assert (DOC / "observers" / "examples" / "forecast.txt").read_text() == f"{printed}\n"


def test_example_of_a_verdict_is_what_the_program_prints() -> None:
    shown = (DOC / "observers" / "examples" / "verdict.txt").read_text()
    made, verified = re.findall(r"collection: (\S+)", shown)
    printed = verdict_text(too_noisy(), generation_collection=made, verification_collection=verified)
    assert shown == f"{printed}\n"


def test_example_of_a_summary_is_what_the_program_prints() -> None:
    # Given a run whose biases are held
    shown = (DOC / "observers" / "examples" / "summary.txt").read_text()
    made, verified = re.findall(r"u/ocps/\w+", shown)
    [log] = re.findall(r"/scratch/\S+", shown)
    held = held_reason(too_noisy())
    because = f"verify BIAS ended HELD: {held}"
    stages = [
        StageResult(stage("expose BIAS"), Outcome.PASSED, "4 frames"),
        StageResult(stage("expose DARK"), Outcome.PASSED, "4 frames"),
        StageResult(stage("generate BIAS"), Outcome.PASSED, "", "1", made, log),
        StageResult(stage("verify BIAS"), Outcome.HELD, held, "2", verified, log),
        *(
            StageResult(stage(name), Outcome.SKIPPED, because)
            for name in ("certify BIAS", "generate DARK", "verify DARK", "certify DARK")
        ),
    ]
    report = RunReport(
        RunState.DONE,
        run_id="20261123T063036-100000",
        journal="/home/saluser/.local/state/ts_calibrationscripts/20261123T063036-100000.journal.json",
        stages=tuple(stages),
        verdicts={BIAS: too_noisy()},
        config={"generate_calibrations": True, "pipeline_generation": "2022"},
    )
    # The script logs the last line itself.
    assert shown.splitlines()[:-1] == summary_text(report).splitlines()


def test_every_field_of_a_run_is_documented() -> None:
    bad = (BadDetector(1, "R22_S01", Cause.FAILED, "NOISE"),)
    result = StageResult(stage("verify BIAS"), Outcome.PASSED).with_bad(bad, 2)
    certification = Certification("bias", "u/ocps/1", "LATISS/calib/daily", "2026-11-23", "2026-11-24")
    gain = Gain((2026112300002, 2026112300003), 5.0, 0, "C00", 1.1, 4.5)
    failures = [f"R22_S01 C{i} NOISE" for i in range(8)]
    statistics = {2026112300002: {"SUCCESS": False, "FAILURES": failures}, "SUCCESS": False}
    proof = dataclasses.replace(PROOF, left_out=bad, withheld=PROOF.datasets)
    plan = make_plan(parse("", LATISS), LATISS)
    assert documented_fields("The run") == set(to_json(RunReport(RunState.DONE)))
    assert documented_fields("A stage") == set(to_json(result))
    assert documented_fields("A certification") == set(to_json(certification))
    assert documented_fields("A gain") == set(to_json(gain))
    assert documented_fields("Defects of a detector") == set(to_json(DetectorDefects(0, "", 0, ())))
    assert documented_fields("A proof") == set(to_json(proof))
    assert documented_fields("A bad detector") == set(to_json(result)["bad_detectors"][0])
    assert documented_fields("A verdict") == set(to_json(judge(statistics, BIAS, n_detectors=2)))
    assert documented_fields("A span of time") == set(to_json(Span(stage("verify BIAS"), 0.0, 1.0)))
    assert documented_fields("The evidence") == set(to_json(Evidence()))
    assert documented_fields("The plan") == set(plan_json(plan))
    assert documented_fields("The forecast") == set(forecast_json(Forecast(())))
    assert documented_fields("The journal") == set(to_json(record := RunRecord("1", {})))
    assert documented_fields("A change of a journal") == set(json.loads(change_text(record, record, 1)))


def test_every_exit_code_is_documented() -> None:
    text = (DOC / "reference" / "commands.rst").read_text()
    assert {int(code) for code in re.findall(r"^   \* - (\d+)$", text, re.MULTILINE)} == set(ExitCode)


def test_every_exit_code_of_every_command_is_documented() -> None:
    text = (DOC / "reference" / "commands.rst").read_text().partition(".. _exit-codes-of-commands:")[2]
    text = text.partition("The executables of the script queue")[0]
    documented = {
        name: {int(code) for code in re.findall(r"^    (\d): ", lines, re.MULTILINE)}
        for name, lines in re.findall(r"^``(\w+)``\n((?:    .*\n)+)", text, re.MULTILINE)
    }
    assert documented == {
        name: exit_codes(command.callback.__module__.rpartition(".")[2], command.callback.__name__)
        # That of click, for an option that does not exist, is 2.
        | {ExitCode.SUCCESS, ExitCode.INVALID}
        for name, command in main.commands.items()
    }


@functools.cache
def parsed(module: str) -> ast.Module:
    return ast.parse((COMMANDS / f"{module}.py").read_text())


def exit_codes(module: str, name: str, seen: set[tuple[str, str]] | None = None) -> set[int]:
    """Return the exit codes in a function of the commands, at any depth."""
    seen = set() if seen is None else seen
    if (module, name) in seen:
        return set()
    seen.add((module, name))
    tree = parsed(module)
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }
    found: set[int] = set()
    if name not in defined:
        return found
    for node in ast.walk(defined[name]):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ExitCode"
        ):
            found.add(ExitCode[node.attr])
        elif isinstance(node, ast.Name):
            where = imported.get(node.id, module)
            if (COMMANDS / f"{where}.py").is_file():
                found |= exit_codes(where, node.id, seen)
    return found


OWN_KEYS = {"config", "verdicts", "versions", "values", "counts", "options", "left_out"}
"""What has keys that are no fields: options, filters, tests, names."""


def fields_of(data: object, parent: str = "") -> set[str]:
    """Return every field in a JSON, at whatever depth."""
    if isinstance(data, list):
        return {field for each in data for field in fields_of(each, parent)}
    if not isinstance(data, dict):
        return set()
    by_image_type = bool(data) and set(data) <= set(ImageType)
    own = set() if parent in OWN_KEYS or by_image_type else set(data)
    # The configuration has a reference of its own.
    rest = {} if parent == "config" else data
    return own | {field for key, value in rest.items() for field in fields_of(value, key if own else "")}


def test_every_field_that_runs_write_is_documented_at_every_depth() -> None:
    written = {field for make in ENDINGS.values() for field in fields_of(json.loads(write_document(make())))}
    written |= fields_of(to_json(PROOF)) | fields_of(to_json(RunRecord("1", {})))
    documented = set(re.findall(r"``(\w+)``", (DOC / "reference" / "json.rst").read_text()))
    assert {"areas", "variances", "gained", "request"} <= written
    assert written - documented == set()


def test_every_outcome_is_explained_to_observers() -> None:
    text = (DOC / "observers" / "verdict.rst").read_text()
    assert set(re.findall(r"^   \* - ``([A-Z]+)``$", text, re.MULTILINE)) >= set(Outcome)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOC)))
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    labels = {label for other in PAGES for label in re.findall(r"^\.\. _([\w-]+):$", other.read_text(), re.M)}
    text = page.read_text()
    missing = [
        *(target for target in _targets(r":doc:`", text) if not (page.parent / f"{target}.rst").is_file()),
        *(target for target in _targets(r":ref:`", text) if target not in labels),
        *(target for target in _toctree(text) if not (page.parent / f"{target}.rst").is_file()),
        *(
            target
            for target in re.findall(r"^\.\. (?:literalinclude|figure|image):: (\S+)$", text, re.MULTILINE)
            if not (page.parent / target).is_file()
        ),
    ]
    assert not missing


def _targets(role: str, text: str) -> Iterable[str]:
    """Return the targets of a role, of ``text <target>`` too."""
    for content in re.findall(role + "([^`]+)`", text):
        explicit = re.search(r"<([^>]+)>$", content)
        yield explicit[1] if explicit else content


def _toctree(text: str) -> Iterable[str]:
    for block in re.findall(r"^\.\. toctree::\n((?:   .*\n|\n)+)", text, re.MULTILINE):
        yield from (line.strip() for line in block.splitlines() if line.strip() and ":" not in line)


def test_readme_names_files_that_exist() -> None:
    text = (DOC.parent / "README.md").read_text()
    named = re.findall(r"`((?:doc|schema|tests)/[\w/.-]+)`", text)
    missing = [name for name in named if "_build" not in name and not (DOC.parent / name).exists()]
    assert named and not missing


def test_readme_lists_each_command() -> None:
    from lsst.ts.calibrationscripts.cli import main

    text = (DOC.parent / "README.md").read_text()
    assert {*re.findall(r"^calibscripts (\w+) ", text, re.MULTILINE)} == {*main.commands}


def test_news_fragments_are_of_known_types() -> None:
    import tomllib

    tool = tomllib.loads((DOC.parent / "pyproject.toml").read_text())["tool"]["towncrier"]
    types = {entry["directory"] for entry in tool["type"]}
    fragments = [path for path in (DOC / "news").iterdir() if path.name != "README.rst"]
    assert {2, 3, 4, 5} <= {int(path.name.split(".")[0]) for path in fragments}
    assert {path.name.split(".")[1] for path in fragments} <= types


def test_demo_configuration_is_valid() -> None:
    assert make_plan(parse((DOC / "demo.yaml").read_text(), LATISS), LATISS).stages


def test_graph_of_the_rooms_leaves_out_what_follows() -> None:
    graph = extension("module_graph")
    edges = frozenset({("cli", "plan"), ("plan", "config"), ("cli", "config"), ("cli", "report")})
    assert graph.reduced(edges) == edges - {("cli", "config")}


def test_graph_of_the_rooms_is_that_of_the_code() -> None:
    # Given the rooms as the code has them, when they are drawn
    graph = extension("module_graph")
    rooms = graph.read_rooms(DOC.parent)
    drawing = ET.fromstring(graph.draw(rooms))  # noqa: S314 - made here

    # Then each has a box, in the row of its layer, beside the others
    svg = "{http://www.w3.org/2000/svg}"
    boxes = {
        group.find(f"{svg}text").text: group.find(f"{svg}rect").attrib for group in drawing.iter(f"{svg}g")
    }
    assert set(boxes) == {room for layer in rooms.layers for room in layer}
    for layer in rooms.layers:
        assert len({boxes[room]["y"] for room in layer}) == 1
        places = sorted(float(boxes[room]["x"]) for room in layer)
        assert all(right - left > float(boxes[layer[0]]["width"]) for left, right in pairwise(places))
    # And what everything is built on is imported
    assert ("procedure", "ports") in rooms.imports
    assert ("observatory", "localsal") in rooms.imports
