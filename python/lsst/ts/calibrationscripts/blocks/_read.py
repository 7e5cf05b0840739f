# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a BLOCK to its parts.

It is read as the Scheduler reads it (ts_observing, ``ObservingBlock``): keys
that it does not know are passed over, so a misspelt one is a missing one.
"""

from __future__ import annotations

__all__ = ["is_block", "read_block"]

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ..config import Problem
from ..plain_yaml import PlainLoader
from ._model import Block, BlockError, BlockScript

MAX_CHARACTERS = 1_000_000
"""The longest BLOCK in use has about 60,000."""

_WHOLE = "BLOCK"
_KEYS = ("name", "id", "program", "constraints", "scripts", "configuration_schema")
_SCRIPT_KEYS = ("name", "standard", "parameters")
_SIGN = re.compile(r'"(?:scripts?|parameters)"\s*:')
"""What no configuration of a script has."""

_FORM = '{"name": ..., "program": ..., "scripts": [{"name": ..., "standard": false, "parameters": {...}}]}'
_KINDS = {str: "text", bool: "true or false", dict: "an object in braces", list: "a list in brackets"}
_EXAMPLES = {
    "name": '"daily_calibrations"',
    "program": '"BLOCK-123"',
    "standard": "false",
    "parameters": "{}",
    "scripts": "[...]",
}


class _Pairs(dict[str, Any]):
    """An object of JSON that knows which of its keys are given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = sorted({name for name in names if names.count(name) > 1})


def is_block(text: str, *, is_json: bool = False) -> bool:
    """Return whether a text is meant to be a BLOCK.

    Parameters
    ----------
    text : `str`
        Any text, which may be broken.
    is_json : `bool`, optional
        Whether its file is called so; an empty one is then an empty BLOCK,
        not the daily default.

    Returns
    -------
    is_block : `bool`
        Otherwise it is the configuration of a script, as YAML or as JSON.
    """
    content = text.lstrip("\ufeff \t\r\n")
    if not content:
        return is_json
    return content[0] in "{[" and _SIGN.search(content) is not None


def read_block(text: str) -> Block:
    """Read a BLOCK.

    Parameters
    ----------
    text : `str`
        The JSON.

    Returns
    -------
    block : `Block`

    Raises
    ------
    BlockError
        If it is not one, or the Scheduler would refuse it; lists all that is
        wrong.
    """
    data = _load(text)
    problems = list(_wrong_keys(data, _WHOLE, {"name": str, "program": str, "scripts": list}, _KEYS))
    scripts: list[BlockScript] = []
    listed = data.get("scripts")
    for i, item in enumerate(listed if isinstance(listed, list) else ()):
        place = f"scripts[{i}]"
        if not isinstance(item, _Pairs):
            problems.append(Problem(place, None, "must be an object in braces", f"write {_FORM[41:-2]}"))
            continue
        expected = {"name": str, "standard": bool, "parameters": dict}
        wrong = list(_wrong_keys(item, place, expected, _SCRIPT_KEYS))
        problems += wrong
        if not wrong:
            scripts.append(BlockScript(i, item["name"], item["standard"], item["parameters"]))
    properties, has_schema, wrong_schema = _read_schema(data.get("configuration_schema", ""))
    if problems := [*problems, *wrong_schema]:
        raise BlockError(problems)
    return Block(data["name"], data["program"], tuple(scripts), properties, has_schema)


def _load(text: str) -> _Pairs:
    """Return the object of JSON that the text is."""

    def refuse(what: str, remedy: str) -> BlockError:
        return BlockError([Problem(_WHOLE, None, what, remedy)])

    if not text.strip("\ufeff \t\r\n"):
        raise refuse("is empty", f"write {_FORM}")
    if len(text) > MAX_CHARACTERS:
        raise refuse(f"has {len(text)} characters, more than {MAX_CHARACTERS}", "give one BLOCK")
    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        what = f"cannot be read as JSON, at line {error.lineno}, column {error.colno}: {error.msg}"
        raise refuse(what, _remedy(text, error)) from None
    except (RecursionError, ValueError):
        raise refuse(
            "cannot be read as JSON: too deeply nested, or too long a number", f"write {_FORM}"
        ) from None
    if isinstance(data, list):
        raise refuse("is a list", f"write the BLOCK around it: {_FORM}")
    if "scripts" not in data and "parameters" in data:
        what = "is one script of a BLOCK"
        raise refuse(what, f"give the BLOCK ({_FORM}), or a file of what 'parameters' has alone")
    assert isinstance(data, _Pairs)
    return data


def _remedy(text: str, error: json.JSONDecodeError) -> str:
    """Return what to correct where the JSON cannot be read."""
    before = text[: error.pos].rstrip()
    here = text[error.pos : error.pos + 1]
    if before.endswith(",") or (here == "," and text[error.pos + 1 :].lstrip()[:1] in "]}"):
        return "delete the comma before the bracket"
    if here == "'":
        return "write double quotes"
    if here in "TFN":
        return "write true, false or null"
    if here == "#" or text[error.pos : error.pos + 2] == "//":
        return "delete the comment, which JSON has not"
    if "delimiter" in error.msg:
        return "write the missing comma or bracket before it"
    return "correct it there"


def _wrong_keys(
    data: _Pairs, place: str, expected: Mapping[str, type], known: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield which keys are missing, of another type, or given twice."""
    inside = "" if place == _WHOLE else f"{place}."
    for key, kind in expected.items():
        remedy = f'write "{key}": {_EXAMPLES[key]}'
        if key not in data:
            near = difflib.get_close_matches(key, set(data) - set(known), n=1, cutoff=0.75)
            what = f"lacks {key}"
            yield Problem(place, None, what, f'write "{key}" for "{near[0]}"' if near else remedy)
        elif not isinstance(data[key], kind):
            yield Problem(f"{inside}{key}", data[key], f"must be {_KINDS[kind]}", remedy)
    for key in data.twice:
        yield Problem(f"{inside}{key}", None, "is given twice", "leave one of them out")
    parameters = data.get("parameters")
    for key in parameters.twice if isinstance(parameters, _Pairs) else ():
        yield Problem(f"{inside}parameters.{key}", None, "is given twice", "leave one of them out")


def _read_schema(text: object) -> tuple[dict[str, Mapping[str, Any]], bool, list[Problem]]:
    """Return the variables, whether there is any schema, and its problems."""
    key = "configuration_schema"
    if not isinstance(text, str):
        remedy = 'write it as text: "type: object\\nproperties:\\n  ..."'
        return {}, False, [Problem(key, None, "must be text, a JSON Schema as YAML", remedy)]
    if not text.strip():
        return {}, False, []
    try:
        schema = PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in its line {mark.line + 1}"
        why = getattr(error, "problem", None) or "not plain YAML"
        return {}, True, [Problem(key, None, f"cannot be read as YAML: {why}{where}", "correct it there")]
    properties = schema.get("properties") or {} if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        remedy = "write type: object, and below properties: a mapping for each variable"
        return {}, True, [Problem(key, None, "is not a JSON Schema with properties", remedy)]
    return {str(name): each for name, each in properties.items()}, True, []
