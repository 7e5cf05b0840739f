# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of the desk, filled in."""

from __future__ import annotations

__all__ = ["render"]

import datetime
import functools
from typing import Any

from jinja2 import Environment

from ..pages import templates
from ..report import Limits


@functools.cache
def _environment() -> Environment:
    # The desk looks like the pages of runs.
    environment = templates(__package__ or "")
    environment.filters["utc"] = _utc
    environment.filters["age"] = _age
    environment.filters["limits"] = _limits
    return environment


def render(template: str, **values: Any) -> str:
    """Fill in a template.

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
    return _environment().get_template(template).render(values)


def _utc(timestamp: float) -> str:
    return f"{datetime.datetime.fromtimestamp(timestamp, datetime.UTC):%Y-%m-%d %H:%M}"


def _limits(limits: Limits) -> str:
    low, high = limits
    if low is None:
        return "" if high is None else f"\u2264 {high:.4g}"
    if high is None:
        return f"\u2265 {low:.4g}"
    return f"{low:.4g} to {high:.4g}"


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "a minute"
