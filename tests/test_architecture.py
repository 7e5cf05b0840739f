# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code is built as the page on its architecture says.

That the layers import downwards is for ``lint-imports`` to see, whose
contracts are in ``pyproject.toml``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "lsst.ts.calibrationscripts"
CODE = ROOT.joinpath("python", *PACKAGE.split("."))
FILES = sorted(CODE.rglob("*.py"))
PAGE = ROOT / "doc" / "engineers" / "architecture.rst"

MAX_MODULE_LINES = 420
MAX_FUNCTION_LINES = 60
MAX_CONSTRUCTOR_ARGUMENTS = 7


def anchors() -> dict[str, str]:
    """Return the table "One place for each thing": what, and where."""
    _, _, table = PAGE.read_text().partition("\nOne place for each thing\n")
    rows = re.findall(r"^   \* - (.+)\n     - ``(\S+: \S+)``$", table, re.MULTILINE)
    return dict(rows)


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield the names that a module or class defines."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + node.name
            case ast.ClassDef():
                yield prefix + node.name
                yield from definitions(node.body, f"{prefix}{node.name}.")
            case ast.Assign():
                yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name


def room(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").split(".")[0]


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def constructors(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the constructors that are written out; dataclasses have none."""
    return (function for function in functions(file) if function.name == "__init__")


def n_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many arguments a method takes, without ``self``."""
    arguments = function.args
    return len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Return which module imports what, other packages included."""
    return grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)


def importers(graph: grimp.ImportGraph, imported: str) -> set[str]:
    """Return the rooms that import a module or a package."""
    modules = {module for module in graph.modules if f"{module}.".startswith(f"{imported}.")}
    found = {room(each) for module in modules for each in graph.find_modules_that_directly_import(module)}
    return found - {room(imported)}


def test_page_names_a_place_for_each_thing() -> None:
    assert {
        "The pass rule",
        "The data query of a job, such as that of DARK",
        "Why a product is held",
        "When a frame is overdue at the OODS",
        "The data of a camera",
        "The resume rule for the configuration",
        "The resume rule for frames",
        "The resume rule for jobs",
        "The tree of exceptions",
        "The forms of JSON",
        "The first child of an output collection is its run",
        "A file is written as a whole",
        "The conclusion of a run",
        "Mean and spread of a gain",
        "The default folder of journals",
        "Which instruments have a script",
    } <= set(anchors())


@pytest.mark.parametrize(("what", "where"), anchors().items())
def test_each_thing_is_at_its_place(what: str, where: str) -> None:
    file, _, name = where.partition(": ")
    assert name in set(definitions(ast.parse((CODE / file).read_text()).body)), what


@pytest.mark.parametrize("imported", ["lsst.ctrl", "lsst.daf", "lsst.pipe", "lsst.resources"])
def test_only_three_rooms_import_the_science_pipelines(graph: grimp.ImportGraph, imported: str) -> None:
    # import-linter cannot say it: it forbids root packages only, and these
    # share theirs, lsst, with this package.
    assert importers(graph, imported)
    assert importers(graph, imported) <= {"bps", "butler", "simulation"}


def test_of_bps_only_programs_of_their_own_import_the_science_pipelines() -> None:
    # The script must not wait for them: they take seconds.
    stack = re.compile(r"^\s*(from|import) lsst\.(?!ts\.)", re.MULTILINE)
    found = {file.stem for file in (CODE / "bps").glob("*.py") if stack.search(file.read_text())}
    assert found == {"clustering", "one_machine", "probe", "quanta"}


def test_only_the_command_line_imports_the_simulation(graph: grimp.ImportGraph) -> None:
    assert importers(graph, f"{PACKAGE}.simulation") == {"cli"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CODE)))
def test_modules_functions_and_constructors_are_short(file: Path) -> None:
    too_long = {function.name: length(function) for function in functions(file)}
    too_many = {function.lineno: n_arguments(function) for function in constructors(file)}
    assert len(file.read_text().splitlines()) <= MAX_MODULE_LINES
    assert not {name: n for name, n in too_long.items() if n > MAX_FUNCTION_LINES}
    assert not {line: n for line, n in too_many.items() if n > MAX_CONSTRUCTOR_ARGUMENTS}
