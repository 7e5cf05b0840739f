# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to: for the operator as text, for programs as JSON."""

from __future__ import annotations

__all__ = [
    "Outcome",
    "RunReport",
    "Span",
    "StageResult",
    "gains_text",
    "summary_text",
    "verdict_text",
]

from ._model import Outcome, RunReport, Span, StageResult
from ._text import gains_text, summary_text, verdict_text
