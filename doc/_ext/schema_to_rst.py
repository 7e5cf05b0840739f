# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration's JSON Schema as reStructuredText."""

from __future__ import annotations

__all__ = ["reference"]

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = {
    "array": "list",
    "boolean": "true or false",
    "integer": "integer",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}


def reference(schema: Mapping[str, Any]) -> Iterator[str]:
    """Describe every parameter of a configuration.

    Parameters
    ----------
    schema : `~collections.abc.Mapping`
        JSON Schema of an object whose properties all have a description.

    Yields
    ------
    line : `str`
        A line of reStructuredText, made of Sphinx's directive ``confval``.
    """
    names = frozenset(schema["properties"])
    for name, parameter in schema["properties"].items():
        yield from _parameter(name, parameter, names)
        inner, joint = (parameter["items"], "[].") if "items" in parameter else (parameter, ".")
        for key, part in inner.get("properties", {}).items():
            yield from _parameter(
                f"{name}{joint}{key}", part, names, required=key in inner.get("required", ())
            )


def _parameter(
    name: str, schema: Mapping[str, Any], names: frozenset[str], *, required: bool = False
) -> Iterator[str]:
    yield f".. confval:: {name}"
    yield f"   :type: {_type(schema)}{', required' if required else ''}"
    if "default" in schema:
        yield f"   :default: ``{json.dumps(schema['default'])}``"
    yield ""
    yield f"   {_text(schema['description'], names - {name})}"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(f"``{value}``" for value in _choices(schema))
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(_one_type(name, schema) for name in types)


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """Return the values; false is what YAML makes of off without quotes."""
    return list(dict.fromkeys(str(value) for value in schema["enum"] if value is not False))


def _one_type(name: str, schema: Mapping[str, Any]) -> str:
    if name == "array":
        items = schema["items"]
        members = ", ".join(f"``{value}``" for value in items.get("enum", ())) or f"{_TYPES[items['type']]}s"
        return f"list of {members}"
    return _TYPES[name] + (_range(schema) if name in ("integer", "number") else "")


def _range(schema: Mapping[str, Any]) -> str:
    limits = {"exclusiveMinimum": "above", "minimum": "from", "maximum": "to"}
    return "".join(f" {word} {schema[key]}" for key, word in limits.items() if key in schema)


def _text(description: str, names: frozenset[str]) -> str:
    """Escape plain text; link what can only be another parameter's name.

    Names without an underscore, such as "filter", are words as well.
    """

    def word(match: re.Match[str]) -> str:
        text = match[0]
        return f":confval:`{text}`" if "_" in text and text in names else text.replace("_", r"\_")

    escaped = re.sub(r"[\\*`|]", r"\\\g<0>", " ".join(description.split()))
    return re.sub(r"\w+", word, escaped)
