# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to: for the operator as text, for programs as JSON."""

from __future__ import annotations

__all__ = [
    "NOT_BEGUN",
    "PICTURE_NAME",
    "SCATTER_TOLERANCE",
    "WIDTH",
    "Area",
    "CurvePoints",
    "DetectorCurves",
    "Evidence",
    "Kind",
    "Limits",
    "Panel",
    "Place",
    "ProductOutcome",
    "Replaced",
    "RunDocument",
    "RunReport",
    "Span",
    "Statistics",
    "Thumbnail",
    "conclusion",
    "decertify_command",
    "decide_command",
    "defects_found",
    "defects_text",
    "finish_command",
    "fold",
    "fold_command",
    "gains_text",
    "held_reason",
    "itinerary",
    "log_text",
    "next_steps",
    "picture_names",
    "products",
    "put_pictures",
    "remake_command",
    "resumable",
    "resume_configuration",
    "spoilt_headline",
    "spoilt_text",
    "summary_text",
    "take_pictures",
    "verdict_text",
]

from ._commands import (
    decertify_command,
    decide_command,
    finish_command,
    remake_command,
    resume_configuration,
)
from ._evidence import (
    SCATTER_TOLERANCE,
    Area,
    CurvePoints,
    DetectorCurves,
    Evidence,
    Limits,
    Panel,
    Place,
    Replaced,
    Statistics,
    Thumbnail,
)
from ._itinerary import itinerary
from ._lines import WIDTH, fold, fold_command
from ._model import RunDocument, RunReport, Span
from ._pictures import PICTURE_NAME, picture_names, put_pictures, take_pictures
from ._plain import Kind, ProductOutcome, conclusion, held_reason, products
from ._spoilt import spoilt_headline, spoilt_text
from ._steps import NOT_BEGUN, next_steps, resumable
from ._summary import log_text, summary_text
from ._text import defects_found, defects_text, gains_text, verdict_text
