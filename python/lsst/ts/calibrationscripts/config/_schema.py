# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration's JSON Schema."""

from __future__ import annotations

__all__ = ["load_schema", "schema_text", "shared_schema"]

import copy
import functools
import importlib.resources
from typing import Any

import yaml


def load_schema() -> dict[str, Any]:
    """Return the schema of MakeLatissCalibrations.

    Returns
    -------
    schema : `dict` [`str`, `Any`]
        JSON Schema, draft-07; the caller's own copy.
    """
    return copy.deepcopy(shared_schema())


def schema_text() -> str:
    """Return the schema as it is written, in YAML.

    Returns
    -------
    text : `str`
    """
    folder = importlib.resources.files("lsst.ts.calibrationscripts") / "schema"
    return (folder / "make_latiss_calibrations.yaml").read_text(encoding="utf-8")


@functools.cache
def shared_schema() -> dict[str, Any]:
    """Return the schema that all share, to be read only."""
    schema: dict[str, Any] = yaml.safe_load(schema_text())
    return schema
