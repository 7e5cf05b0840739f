# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calibrations exposures find, and what is due."""

from __future__ import annotations

__all__ = [
    "PRODUCTS",
    "DueReport",
    "Finding",
    "Judged",
    "Origin",
    "Policy",
    "PolicyError",
    "Proposal",
    "Remark",
    "Search",
    "Setting",
    "State",
    "Stock",
    "Taken",
    "conclusion",
    "due_json",
    "due_text",
    "exposures_text",
    "find",
    "heading",
    "judge",
    "newest",
    "origins",
    "propose",
    "read_policy",
    "spoilt_heading",
    "without_repeats",
]

from ._findings import Finding, State, Taken, find, newest
from ._origin import Origin, origins
from ._policy import PRODUCTS, Policy, PolicyError, read_policy
from ._proposal import Proposal, Remark, Setting, propose
from ._report import DueReport, Judged, judge, without_repeats
from ._search import Search, Stock
from ._text import conclusion, due_json, due_text, exposures_text, heading, spoilt_heading
