# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of a script's configuration, with defaults of the schema."""

from __future__ import annotations

__all__ = ["DefaultingValidator"]

import copy
from typing import Any

import jsonschema


class DefaultingValidator:
    """Adds defaults to a configuration and validates it.

    Parameters
    ----------
    schema : `dict`
        The schema (JSON Schema draft-07). Defaults are those of its
        properties and, for a missing object without a default, those of the
        properties of that object.

    Raises
    ------
    jsonschema.SchemaError
        If the schema is invalid.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        jsonschema.Draft7Validator.check_schema(schema)
        self._schema = schema
        self._validator = jsonschema.Draft7Validator(schema)

    def validate(self, data_dict: dict[str, Any] | None) -> dict[str, Any]:
        """Return a copy of a configuration, with defaults added.

        Parameters
        ----------
        data_dict : `dict` or `None`
            The configuration; `None` is an empty one.

        Returns
        -------
        config : `dict`
            The copy.

        Raises
        ------
        jsonschema.ValidationError
            If the configuration does not match the schema.
        """
        if data_dict is None:
            data_dict = {}
        if not isinstance(data_dict, dict):
            raise jsonschema.ValidationError(f"{data_dict} is not a dict")
        result = copy.deepcopy(data_dict)
        _set_defaults(self._schema, result)
        self._validator.validate(result)
        return result


def _set_defaults(schema: dict[str, Any], values: dict[str, Any]) -> None:
    for name, subschema in schema.get("properties", {}).items():
        if not isinstance(subschema, dict):
            continue
        if name not in values:
            if "default" in subschema:
                values[name] = copy.deepcopy(subschema["default"])
            elif subschema.get("type") == "object" and (defaults := _defaults(subschema)):
                values[name] = defaults
        if isinstance(values.get(name), dict):
            _set_defaults(subschema, values[name])


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        name: copy.deepcopy(subschema["default"])
        for name, subschema in schema.get("properties", {}).items()
        if isinstance(subschema, dict) and "default" in subschema
    }
