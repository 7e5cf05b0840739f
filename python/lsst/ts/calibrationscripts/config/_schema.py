# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration's JSON Schema."""

from __future__ import annotations

__all__ = ["load_schema"]

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
    return copy.deepcopy(_schema())


@functools.cache
def _schema() -> dict[str, Any]:
    folder = importlib.resources.files("lsst.ts.calibrationscripts") / "schema"
    text = (folder / "make_latiss_calibrations.yaml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.safe_load(text)
    return schema
