# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to: for the operator as text, for programs as JSON."""

from __future__ import annotations

__all__ = [
    "Evidence",
    "Limits",
    "Outcome",
    "Panel",
    "Place",
    "RunReport",
    "Span",
    "StageResult",
    "Statistics",
    "Thumbnail",
    "gains_text",
    "next_steps",
    "page",
    "products",
    "summary_text",
    "verdict_text",
]

from ._evidence import Evidence, Limits, Panel, Place, Statistics, Thumbnail
from ._model import Outcome, RunReport, Span, StageResult
from ._page import page
from ._plain import next_steps, products
from ._text import gains_text, summary_text, verdict_text
