# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of the pages, filled in."""

from __future__ import annotations

__all__ = ["render"]

from typing import Any


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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
