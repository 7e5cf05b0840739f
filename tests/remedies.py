# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of the product that propose something, and what they propose."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import yaml
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.config import CalibrationConfig, load_schema, parse
from lsst.ts.calibrationscripts.instruments import LATISS

ROOT = Path(__file__).parents[1] / "python" / "lsst" / "ts" / "calibrationscripts"
PROPERTIES: dict[str, dict[str, Any]] = load_schema(LATISS)["properties"]
VALUE = r"""(?:\[[^\]]*\]|\{.*\}|"[^"]*"|'[^']*'|-c \S+|-?\d[\d.]*)"""

_KEYS = "|".join(sorted(PROPERTIES, key=len, reverse=True))
_LONG_KEYS = "|".join(key for key in PROPERTIES if "_" in key)
_PROPOSES = re.compile(
    r"\b(?:write|give)\b(?! into)|\bleave\b.*\bout\b|\b(?:name|choose|write|set|give) (?:an)?other\b"
    r"|\bname (?:the|more|a) |\bset (?:it|them|up|CALIB)|CALIBSCRIPTS_SAL=|pip install|chmod"
    r"|calibscripts [a-z]+\b|\bbutler [a-z]|\bresume\b|--[a-z]"
    rf"|\b(?:{_LONG_KEYS}): |'(?:{_KEYS}): |\btry again"
    r"|\b(?:take|run|accept it|save it|read [\w ]+) (?:them )?again",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Template:
    """A text of the product, with holes for what is filled in."""

    place: str
    text: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a text looks like, on one line, that was made from it."""
        return re.compile(".*?".join(map(re.escape, one_line(self.text).split("{}"))))


def one_line(text: str) -> str:
    return " ".join(text.split())


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return None


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield texts that are no part of another, and no docstring."""
    blocks = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = {
        id(one.value)
        for node in ast.walk(tree)
        if isinstance(node, blocks)
        for one in node.body
        if isinstance(one, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(one) for one in node.values}
        # Patterns of regular expressions are not read by anybody, and what
        # options are for is read before anything is wrong.
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
            skipped |= {id(one) for one in node.args}
        if isinstance(node, ast.keyword) and node.arg in ("help", "description"):
            skipped.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in skipped and (text := _text(node)):
            yield text


def templates() -> list[Template]:
    """Return the texts that propose something, each once."""
    found: dict[Template, None] = {}
    for file in sorted(ROOT.rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        if place.startswith("localsal/"):
            continue
        for text in _texts(ast.parse(file.read_text())):
            if len(text.split()) > 2 and _PROPOSES.search(text):
                found[Template(place, text)] = None
    return list(found)


# What is proposed


_COMMAND = re.compile(r"'(calibscripts (?:[^']|'\"'\"')*)'|: (calibscripts .*?)(?=\. |\.$|$)")
_PAIR = re.compile(rf"\b({_KEYS}): ({VALUE}|[\w./~-]*[\w/~])")
_QUOTED = re.compile(r"'(\{[^']*\}|\w+: [^']*)'")


def commands(text: str) -> list[list[str]]:
    """Return the commands that a text has, in words."""
    return [shlex.split(found[1] or found[2]) for found in _COMMAND.finditer(one_line(text))]


def pairs(text: str) -> dict[str, Any]:
    """Return the keys of a configuration, with the values, of a text."""
    return {found[1]: yaml.safe_load(found[2]) for found in _PAIR.finditer(one_line(text))}


def quoted(text: str) -> list[dict[str, Any]]:
    """Return the configurations that a text has in quotes."""
    found = [yaml.safe_load(each[1]) for each in _QUOTED.finditer(one_line(text))]
    return [each for each in found if isinstance(each, dict) and each.keys() <= PROPERTIES.keys()]


def keys(text: str) -> list[str]:
    """Return the keys of a configuration that a text names."""
    return [word for word in re.findall(r"\w+", text) if word in PROPERTIES and "_" in word]


def options(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z-]+[a-z]", text)


def understood(words: list[str]) -> click.Context:
    """Return what the command line takes a command for, without running it."""
    assert words[0] == "calibscripts"
    context = click.Context(main, info_name=words[0])
    name, command, rest = main.resolve_command(context, words[1:])
    assert command is not None
    return command.make_context(name, rest, parent=context)


def accepted(data: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> CalibrationConfig:
    """Return a configuration that is accepted."""

    def found(run_id: str, folder: str | None) -> Mapping[str, Any]:
        assert earlier is not None
        return earlier

    return parse(yaml.safe_dump(dict(data)), LATISS, found)


def left_out(data: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in names}
