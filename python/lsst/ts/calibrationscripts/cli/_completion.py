# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shell completes: names of faults and ids of runs.

click has the scripts of the shells, and asks the program itself for the
words; a mistake here must not print anything into the line that is typed.
"""

from __future__ import annotations

__all__ = ["complete_fault", "complete_run", "complete_run_of_workdir"]

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MAX_RUNS = 20


def complete_fault(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the faults whose names begin so, with what happens."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(name, help=description)
        for name, description in sorted(_faults())
        if name.startswith(incomplete)
    ]


def _faults() -> Iterator[tuple[str, str]]:
    """Yield the names of faults, and what happens, from their sources.

    To import them takes seconds, since they need all of the simulation.
    """
    for file in (Path(__file__).parents[1] / "simulation" / "faults").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                texts = dict(_class_texts(node))
                if {"name", "description"} <= set(texts):
                    yield texts["name"], texts["description"]


def _class_texts(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for line in node.body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the newest runs of the folder of journals."""
    from ..files.journal import journal_folder

    return _runs(context.params.get("journals") or journal_folder(), incomplete)


def complete_run_of_workdir(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the newest runs of the work folder."""
    return _runs(Path(context.params.get("workdir") or "") / "journal", incomplete)


def _runs(folder: Path, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from ..files.journal import runs_in

    try:
        found = [run_id for run_id, _ in runs_in(folder) if run_id.startswith(incomplete)]
    except OSError:
        return []
    return [CompletionItem(run_id) for run_id in found[:_MAX_RUNS]]
