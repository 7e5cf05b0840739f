# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed: the version, and what the simulation needs."""

from __future__ import annotations

__all__ = ["SIMULATION_EXTRA", "is_installed", "print_version", "simulation_hint"]

import importlib.util

import click

SIMULATION_EXTRA = {
    "lsst.ctrl.mpexec": "lsst-ctrl-mpexec",
    "lsst.pex.config": "lsst-pex-config",
    "lsst.pipe.base": "lsst-pipe-base",
    "pydantic": "pydantic",
    "scipy": "scipy",
    "sqlalchemy": "sqlalchemy",
}
"""Modules that only the simulation imports, and their distributions."""


def simulation_hint() -> str | None:
    """Say how to install what the simulation needs.

    Returns
    -------
    hint : `str` or `None`
        One sentence with the command; `None` if everything is installed.
    """
    missing = [name for module, name in SIMULATION_EXTRA.items() if not is_installed(module)]
    if not missing:
        return None
    return (
        f"The simulated observatory needs {', '.join(missing)}, not installed here: "
        "run pip install 'ts-calibrationscripts[simulation]'."
    )


def is_installed(module: str) -> bool:
    """Return whether a module can be imported; it is not.

    Parameters
    ----------
    module : `str`
        Its name.
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, and exit; a callback of click.

    click's own option fails where sources are used without installation.
    """
    if not wanted:
        return
    from .. import __version__

    click.echo(f"calibscripts, version {__version__}")
    context.exit()
