# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a judgement says."""

from __future__ import annotations

__all__ = ["Fault", "Judgement"]

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Why a detector or an amplifier is not right."""

    detector: int
    test: str
    """Of gains: FINITE, SPREAD, DIFFERENCE or MISSING. Of defects: MISSING,
    NONE, COUNT, AREA, CHANGE, AMPLIFIER, GAINED or LOST."""

    text: str
    """What was found, and what the limit is."""

    amplifier: str | None = None
    """`None` for what is about the detector."""


@dataclass(frozen=True)
class Judgement:
    """What was found, and whether the product may be used."""

    faults: tuple[Fault, ...]
    passed: bool

    compared: bool
    """Whether there was an earlier product for every detector."""

    @property
    def reason(self) -> str:
        """The faults in one sentence without its full stop; "" if none."""
        if not self.faults:
            return "" if self.compared else "there is nothing earlier to compare with"
        counts = Counter(fault.test for fault in self.faults)
        which = ", ".join(f"{test} ({count})" for test, count in counts.items())
        return f"{which}; the first: {self.faults[0].text}"
