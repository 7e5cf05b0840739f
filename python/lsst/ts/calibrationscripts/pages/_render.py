# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of the pages, filled in."""

from __future__ import annotations

__all__ = ["render", "templates"]

import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TIME = re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?\b")


def _times(text: object) -> str:
    """Return a text, escaped, of which dates and times are not broken."""
    from jinja2.filters import do_mark_safe

    return do_mark_safe(_TIME.sub(r'<span class="time">\g<0></span>', escape(str(text))))


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

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, __package__ or "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["times"] = _times
    return environment


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
