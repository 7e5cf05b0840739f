# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forecast for people."""

from __future__ import annotations

__all__ = ["forecast_text"]

import textwrap
from collections.abc import Collection

from ._records import Forecast


def forecast_text(forecast: Forecast, width: int, said: Collection[str] = (), of: str = "") -> str:
    """Return a forecast, a paragraph for each finding.

    Parameters
    ----------
    forecast : `Forecast`
        The forecast.
    width : `int`
        Characters that a line may have.
    said : collection of `str`
        Notices that are shown beside it: a remark that is one of them is
        left out.
    of : `str`, optional
        Whose it is, if that is not clear.

    Returns
    -------
    text : `str`
    """
    texts = [finding.text for finding in forecast.findings if finding.fails or finding.notice not in said]
    name = f"Forecast of {of}:" if of else "Forecast:"
    head = name if texts else f"{name} nothing is known that fails."
    texts += [f"not looked at: {each}" for each in forecast.unknown]
    return "\n".join([head, *(_paragraph(text, width) for text in texts)])


def _paragraph(text: str, width: int) -> str:
    return textwrap.fill(
        text,
        max(width, 40),
        initial_indent="  - ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
