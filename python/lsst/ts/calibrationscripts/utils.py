# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the package's parts are, and which version they have."""

from __future__ import annotations

__all__ = ["get_scripts_dir", "installed_version"]

from pathlib import Path


def get_scripts_dir() -> Path:
    """Return the folder of executables that a script queue can serve.

    Returns
    -------
    scripts_dir : `pathlib.Path`
        Absolute path, as in the other packages of SAL scripts.
    """
    return Path(__file__).resolve().parent / "data" / "scripts"


def installed_version() -> str:
    """Return the version of the package.

    Returns
    -------
    version : `str`
        ``unknown`` if neither pip, conda nor scons installed the sources.
    """
    import importlib.metadata

    try:
        return importlib.metadata.version("ts-calibrationscripts")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
