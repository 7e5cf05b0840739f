# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schemas of the configurations.

All are made from ``base.yaml`` and the camera's facts. The documents of the
scripts are also kept as files, so that printing one needs no YAML.
"""

from __future__ import annotations

__all__ = ["document_path", "load_schema", "parameter_names", "schema_text", "shared_schema", "write_schema"]

import copy
import functools
import importlib.resources
import re
from importlib.resources.abc import Traversable
from typing import Any

from ..instruments import Instrument
from ._parameters import WHEEL_PARAMETERS

_WORD = re.compile(r"<(\w+)>")
_LINE_LENGTH = 79

_HEADER = """\
# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Made from base.yaml by python -m lsst.ts.calibrationscripts.config
"""


def load_schema(instrument: Instrument) -> dict[str, Any]:
    """Return the schema of a camera's configuration.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    schema : `dict` [`str`, `Any`]
        JSON Schema, draft-07; the caller's own copy.
    """
    return copy.deepcopy(shared_schema(instrument))


def schema_text(instrument: Instrument) -> str:
    """Return the schema of a camera's configuration, in YAML.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    text : `str`
        The content of ``instrument.schema``; if that is `None`, the same as
        it would be.
    """
    if instrument.schema is None:
        return write_schema(instrument)
    return document_path(instrument.schema).read_text(encoding="utf-8")


def document_path(name: str) -> Traversable:
    """Return where the file of a schema is."""
    return importlib.resources.files("lsst.ts.calibrationscripts") / "schema" / name


@functools.cache
def shared_schema(instrument: Instrument) -> dict[str, Any]:
    """Return the schema that all callers share, only to be read."""
    from ._camera import schema_facts

    schema: dict[str, Any] = copy.deepcopy(_base())
    properties: dict[str, Any] = schema["properties"]
    schema["properties"] = _without_wheels(properties, instrument.wheels)
    if "flat_sets" in schema["properties"]:
        of_a_set = properties["flat_sets"]["items"]
        of_a_set["properties"] = _without_wheels(of_a_set["properties"], instrument.wheels)
    filled: dict[str, Any] = _fill(schema, schema_facts(instrument))
    return filled


@functools.cache
def parameter_names(wheels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parameters of a camera that has these wheels."""
    return tuple(_without_wheels(_base()["properties"], wheels))


@functools.cache
def _base() -> dict[str, Any]:
    import yaml

    base: dict[str, Any] = yaml.safe_load(document_path("base.yaml").read_text(encoding="utf-8"))
    return base


def _without_wheels(properties: dict[str, Any], wheels: tuple[str, ...]) -> dict[str, Any]:
    """Return the properties that a camera has if these are its wheels."""
    lacking = {wheel for wheel in WHEEL_PARAMETERS if wheel not in wheels}
    if not wheels:
        lacking |= {"flat_sets", "keep_order"}
    return {key: entry for key, entry in properties.items() if key not in lacking}


def _fill(node: Any, facts: dict[str, str | int]) -> Any:
    """Return a part of the base with the words in ``<>`` replaced."""
    if isinstance(node, dict):
        return {key: _fill(value, facts) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, facts) for value in node]
    if not isinstance(node, str):
        return node
    # A limit is nothing but a word, and a number.
    alone = _WORD.fullmatch(node)
    return facts[alone[1]] if alone else _WORD.sub(lambda word: str(facts[word[1]]), node)


def write_schema(instrument: Instrument) -> str:
    """Return the schema as a document that people can read.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    text : `str`
        YAML.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        """Folds long text, and keeps lists of plain values in one line."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_text(self, text: str) -> yaml.Node:
            style = ">" if " " in text and len(text) > _LINE_LENGTH // 2 else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

        def represent_items(self, items: list[Any]) -> yaml.Node:
            flow = not any(isinstance(item, dict | list) for item in items)
            return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)

    Dumper.add_representer(str, Dumper.represent_text)
    Dumper.add_representer(list, Dumper.represent_items)
    text = yaml.dump(shared_schema(instrument), Dumper=Dumper, sort_keys=False, width=_LINE_LENGTH)
    return f"{_HEADER}{text}"
