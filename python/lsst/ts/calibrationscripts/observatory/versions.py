# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of what a run is made with."""

from __future__ import annotations

__all__ = ["versions"]

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from ..utils import installed_version

_PIPELINES = ("cp_pipe", "cp_verify")


def versions(environment: Mapping[str, str], generation: str) -> dict[str, str]:
    """Return versions of this product, the pipelines and the Butler.

    Parameters
    ----------
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which say where the pipelines are.
    generation : `str`
        Generation of the pipelines.

    Returns
    -------
    versions : `dict` [`str`, `str`]
        By name. Pipelines that are only where jobs run are left out.
    """
    found = {"ts_calibrationscripts": installed_version(), "pipeline generation": generation}
    for name in _PIPELINES:
        if version := _of_pipelines(name, environment):
            found[name] = version
    try:
        found["daf_butler"] = importlib.metadata.version("lsst-daf-butler")
    except importlib.metadata.PackageNotFoundError:
        # In the LSST stack it is a product of EUPS.
        if version := _of_eups("daf_butler", environment):
            found["daf_butler"] = version
    return found


def _of_pipelines(name: str, environment: Mapping[str, str]) -> str:
    """Return the version of a product of EUPS, or where it is; may be ""."""
    folder = environment.get(f"{name.upper()}_DIR", "")
    if version := _of_eups(name, environment):
        return version
    # EUPS installs a product into <product>/<version>.
    path = Path(folder)
    return path.name if path.parent.name == name else folder


def _of_eups(name: str, environment: Mapping[str, str]) -> str:
    """Return the version that EUPS has set up; "" if it has not."""
    # Such as "cp_pipe g1a2b3c4+5d -f Linux64 -Z /opt/lsst/software".
    words = environment.get(f"SETUP_{name.upper()}", "").split()
    return words[1] if len(words) > 1 and not words[1].startswith("-") else ""
