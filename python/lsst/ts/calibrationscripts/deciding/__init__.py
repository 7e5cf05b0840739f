# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's decision about what a run has made.

A decision to certify resumes the run without an observatory: its frames and
jobs are those of the record, and all that proves the product is read from
the Butler and judged again. So a person certifies by the same mechanism as a
run does, and nothing that a run would refuse.
"""

from __future__ import annotations

__all__ = [
    "Choice",
    "Decertified",
    "Decided",
    "DecisionError",
    "WaitingProduct",
    "count_waiting",
    "decertify",
    "decide",
    "reach_of",
    "waiting_in",
    "waiting_of",
]

from ._acts import Decided, decide
from ._choice import Choice, DecisionError
from ._decertify import Decertified, decertify, reach_of
from ._waiting import WaitingProduct, count_waiting, waiting_in, waiting_of
