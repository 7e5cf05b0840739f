# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of the pages, filled in."""

from __future__ import annotations

__all__ = ["render", "templates"]

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def templates(*packages: str) -> Environment:
    """Return templates of packages, and those of this one.

    Parameters
    ----------
    *packages : `str`
        Names of packages with a folder ``templates``; the first that has one
        of a name wins.

    Returns
    -------
    templates : `jinja2.Environment`
        They escape all text.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, __package__ or "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Fill in a template of this package.

    Parameters
    ----------
    template : `str`
        Its file name.
    **values
        What it shows; all text is escaped.

    Returns
    -------
    html : `str`
    """
    return templates().get_template(template).render(values)
