# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message of the configuration proposes is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.config import ConfigurationError, Problem, load_schema, parse
from lsst.ts.calibrationscripts.instruments import LATISS
from test_config import test_what_is_wrong_is_refused_with_a_remedy as refused

PROPERTIES: dict[str, dict[str, Any]] = load_schema(LATISS)["properties"]

_VALUE = r"""(\[[^\]]*\]|\{.*\}|"[^"]*"|'[^']*'|-c \S+|-?\d[\d.]*)"""
_PAIR = re.compile(rf"\b([a-z_]+): ({_VALUE}|[\w.]+)")
_LEAVE = re.compile(r"leave ([a-z_]+) out(?! and)")
_PLAIN = re.compile(
    rf"(?:write|for example|in quotes:|as a date:) {_VALUE}(?: s)?(?: or (?:more|less))?(?=$|,| \()"
)
_ENUM = re.compile(r"^write ([\w\"]+(?: or [\w\"]+)*)$")


def problems(text: str) -> tuple[Problem, ...]:
    try:
        parse(text, LATISS)
    except ConfigurationError as error:
        return error.problems
    return ()


def proposals(problem: Problem, written: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a configuration is once one has done as it says."""
    remedy, key = problem.remedy, problem.key
    if (found := _LEAVE.search(remedy)) and "[" not in key:
        left_out = key if found[1] == "it" else found[1]
        yield {name: value for name, value in written.items() if name != left_out}
    if key not in PROPERTIES:
        return
    plain = _PLAIN.search(remedy)
    if plain and _fits(key, value := yaml.safe_load(plain[1])):
        yield written | {key: value}
        return
    for found in _PAIR.finditer(remedy):
        if found[1] in PROPERTIES:
            yield written | {found[1]: yaml.safe_load(found[2])}
    if (found := _ENUM.match(remedy)) and "enum" in PROPERTIES[key]:
        for value in found[1].split(" or "):
            yield written | {key: yaml.safe_load(value)}


def _fits(key: str, value: object) -> bool:
    """Return whether a value is for the parameter, not for a part of it."""
    types = PROPERTIES[key]["type"]
    needs = {list: "array", dict: "object"}.get(type(value))
    return (
        needs in types
        if needs
        else bool({"integer", "number", "string"} & {*([types] if isinstance(types, str) else types)})
    )


def as_mapping(text: str) -> dict[str, Any] | None:
    try:
        written = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None
    # Without a value of its own, a text is no parameter and its value.
    return written if isinstance(written, dict) and all(isinstance(key, str) for key in written) else None


def cases() -> Iterator[tuple[str, Problem, dict[str, Any]]]:
    (mark,) = (mark for mark in refused.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    for text, _, _ in mark.args[1]:
        written = as_mapping(text)
        for problem in problems(text) if written is not None else ():
            for changed in proposals(problem, written):
                yield text, problem, changed


CASES = list(cases())


def test_enough_messages_propose_what_can_be_tried() -> None:
    assert len(CASES) >= 90


@pytest.mark.parametrize(
    ("text", "problem", "changed"),
    CASES,
    ids=[f"{i}-{problem.key}" for i, (_, problem, _) in enumerate(CASES)],
)
def test_what_a_message_proposes_is_accepted(text: str, problem: Problem, changed: dict[str, Any]) -> None:
    left = {each.key for each in problems(yaml.safe_dump(changed))}
    assert problem.key not in left, f"{text}: {problem.remedy}: {changed}"
