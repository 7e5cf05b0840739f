# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a BLOCK, replaced as the Scheduler replaces them.

It writes the parameters of a script as YAML, replaces ``$name`` in that text,
twice, and reads it again (ts_scheduler, ``DriverTarget.format_config``).
"""

from __future__ import annotations

__all__ = ["configuration", "notices", "read_values", "variables"]

import difflib
import re
from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

import yaml

from ..config import Problem
from ..plain_yaml import PlainLoader
from ._model import Block, BlockError, BlockScript

OF_TARGET = frozenset(
    ["targetid", "band_filter", "filter_name", "name", "note", "ra", "dec", "rot_sky", "alt", "az", "rot"]
) | {"obs_time", "num_exp", "exp_times", "estimated_slew_time", "observation_reason"}
"""Variables that the Scheduler has of the target that it observes."""

_PLACEHOLDER = "VALUE"
_LEADING_ZERO = re.compile(r"[+-]?0[\d_]+")


def variables(scripts: Iterable[BlockScript]) -> set[str]:
    """Return the names of the variables that scripts use.

    Parameters
    ----------
    scripts : iterable of `BlockScript`
        The scripts.

    Returns
    -------
    names : `set` [`str`]
    """
    return {name for script in scripts for name in Template(_written(script)).get_identifiers()}


def read_values(block: Block, given: Mapping[str, str]) -> dict[str, Any]:
    """Return values of variables, of the types that the BLOCK wants.

    Parameters
    ----------
    block : `Block`
        Its ``configuration_schema`` says the types.
    given : `~collections.abc.Mapping` [`str`, `str`]
        What a person has typed.

    Returns
    -------
    values : `dict` [`str`, `Any`]

    Raises
    ------
    BlockError
        If a value does not fit; lists all.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in given.items():
        schema = block.properties.get(name, {})
        try:
            values[name] = _typed(text, schema)
            why = _why_unfit(values[name], schema)
        except ValueError as error:
            why = str(error)
        if why is not None:
            default = schema.get("default")
            example = _PLACEHOLDER if default is None else _shell(default)
            remedy = f"give for example --set {name}={example}"
            problems.append(Problem(f"--set {name}", text, f"configuration_schema wants {why}", remedy))
    if problems:
        raise BlockError(problems)
    return values


def configuration(block: Block, script: BlockScript, values: Mapping[str, Any]) -> str:
    """Return the configuration that the script gets.

    Parameters
    ----------
    block : `Block`
        The BLOCK.
    script : `BlockScript`
        One of its scripts.
    values : `~collections.abc.Mapping` [`str`, `Any`]
        Values of variables that replace their defaults.

    Returns
    -------
    text : `str`
        YAML.

    Raises
    ------
    BlockError
        If a variable has no value, or cannot be replaced.
    """
    defaults = {name: each["default"] for name, each in block.properties.items() if "default" in each}
    known = {"program": block.program} | defaults | dict(values)
    text = _written(script)
    for _ in range(2):
        template = Template(text)
        if not template.is_valid():
            raise BlockError(_stray_dollars(script))
        names = template.get_identifiers()
        if missing := [name for name in names if name not in known]:
            raise BlockError(_missing(block, script, name) for name in missing)
        wrong = {
            name: why
            for name in names
            if name in defaults and name not in values
            if (why := _why_unfit(defaults[name], block.properties[name]))
        }
        if wrong:
            raise BlockError(
                Problem(
                    f"configuration_schema, default of {name}",
                    defaults[name],
                    f"is not {why}, which it wants",
                    "correct the default or the type",
                )
                for name, why in wrong.items()
            )
        text = template.substitute(known)
    return text


def notices(block: Block, script: BlockScript, values: Mapping[str, Any]) -> list[str]:
    """Return what should be known of a script that can be run.

    Parameters
    ----------
    block : `Block`
        The BLOCK.
    script : `BlockScript`
        One of its scripts.
    values : `~collections.abc.Mapping` [`str`, `Any`]
        Values of variables that replace their defaults.

    Returns
    -------
    notices : `list` [`str`]
    """
    found = []
    if not block.has_schema:
        found += [
            f"the Scheduler takes no value for ${name}, since the BLOCK has no configuration_schema; write "
            f"one whose properties have {name}"
            for name in sorted(variables([script]) & set(values))
        ]
    program = script.parameters.get("program")
    if isinstance(program, str) and "$" not in program and program != block.program:
        found.append(
            f"program: its frames are marked {program}, but the program of the BLOCK is {block.program}; if "
            'that is a mistake, write "$program"'
        )
    return found


def _written(script: BlockScript) -> str:
    """Return the parameters as YAML, as the Scheduler writes them."""
    if not script.parameters:
        return ""
    # Plain objects: a loader's own class of them would be written as a tag.
    return yaml.safe_dump(_plain(script.parameters), default_flow_style=False, sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _missing(block: Block, script: BlockScript, name: str) -> Problem:
    place = f"{script.place}.parameters"
    near = difflib.get_close_matches(name, {*block.properties, "program"}, n=1, cutoff=0.75)
    if near and name not in block.properties:
        return Problem(
            place, f"${name}", "has no value and no default", f"write ${near[0]}, if that was meant"
        )
    give = f"give --set {name}={_PLACEHOLDER}"
    if name in OF_TARGET:
        return Problem(place, f"${name}", "has a value only when the Scheduler observes a target", give)
    where = "its default" if name in block.properties else f"{name} and its default"
    lasting = f"write {where} into configuration_schema"
    return Problem(place, f"${name}", "has no value and no default", f"{give}, or {lasting}")


def _stray_dollars(script: BlockScript) -> list[Problem]:
    """Return which parameters have a dollar sign that begins no name."""
    problem = Problem(
        f"{script.place}.parameters",
        None,
        "has a '$' that is not followed by the name of a variable, which the Scheduler cannot replace",
        "write a name of letters, digits and _ after it, as in $program, or leave the '$' out",
    )
    return [problem]


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """Return a value as the Scheduler would get it."""
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if kinds == ["string"]:
        return text
    if kinds == ["array"] and not text.lstrip().startswith("["):
        text = f"[{text}]"
    try:
        value = PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, LookupError):
        raise ValueError("a plain value") from None
    if isinstance(value, str) and kinds and "string" not in kinds:
        return text
    if _LEADING_ZERO.fullmatch(text.strip()):
        raise ValueError("a number without a leading zero")
    return value


def _why_unfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return what the schema wants, if the value is not that."""
    if not schema:
        return None
    import jsonschema

    try:
        error = next(iter(jsonschema.Draft7Validator(dict(schema)).iter_errors(value)), None)
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType, TypeError, ValueError) as wrong:
        return f"a JSON Schema that is none ({type(wrong).__name__})"
    if error is None:
        return None
    match error.validator:
        case "type":
            kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
            return " or ".join(_TYPES.get(kind, str(kind)) for kind in kinds)
        case "enum":
            return " or ".join(map(str, error.validator_value))
        case "minimum":
            return f"{error.validator_value} or more"
        case "maximum":
            return f"{error.validator_value} or less"
        case _:
            return f"{error.validator} {error.validator_value}"


_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def _shell(value: object) -> str:
    """Return a value as it is typed in a shell."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_shell, value)) if value else "[]"
    return str(value)
