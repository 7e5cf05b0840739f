# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to: for the operator as text, for programs as JSON."""

from __future__ import annotations

__all__ = [
    "ROW_WIDTH",
    "SCATTER_TOLERANCE",
    "Area",
    "CurvePoints",
    "DetectorCurves",
    "Evidence",
    "Kind",
    "Limits",
    "Panel",
    "Place",
    "ProductOutcome",
    "RunDocument",
    "RunReport",
    "Span",
    "Statistics",
    "Thumbnail",
    "conclusion",
    "defects_found",
    "defects_text",
    "gains_text",
    "held_reason",
    "itinerary",
    "next_steps",
    "products",
    "spoilt_headline",
    "spoilt_text",
    "summary_text",
    "verdict_text",
]

from ._evidence import (
    SCATTER_TOLERANCE,
    Area,
    CurvePoints,
    DetectorCurves,
    Evidence,
    Limits,
    Panel,
    Place,
    Statistics,
    Thumbnail,
)
from ._itinerary import ROW_WIDTH, itinerary
from ._model import RunDocument, RunReport, Span
from ._plain import Kind, ProductOutcome, conclusion, held_reason, next_steps, products
from ._spoilt import spoilt_headline, spoilt_text
from ._text import defects_found, defects_text, gains_text, summary_text, verdict_text
