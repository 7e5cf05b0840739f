# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stages and runs come to, as plain records."""

from __future__ import annotations

__all__ = ["Certification", "Gain", "Outcome", "StageResult"]

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Outcome(enum.StrEnum):
    """How a stage ended."""

    PASSED = "PASSED"
    CERTIFIED = "CERTIFIED"
    HELD = "HELD"
    """Verification said no."""

    FAILED = "FAILED"
    """The machinery said no."""

    SKIPPED = "SKIPPED"
    ABORTED = "ABORTED"

    @property
    def good(self) -> bool:
        """Whether stages that need this one can go on."""
        return self in (Outcome.PASSED, Outcome.CERTIFIED)


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, why, and where to look."""

    name: str
    outcome: Outcome
    reason: str = ""
    job_id: str | None = None
    collection: str | None = None
    log: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {**self.__dict__, "outcome": self.outcome.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StageResult:
        """Read back what `to_dict` wrote."""
        return cls(**{**data, "outcome": Outcome(data["outcome"])})


@dataclass(frozen=True)
class Gain:
    """The gain of an amplifier, measured on a pair of flats."""

    exposures: tuple[int, int]
    exp_time: float
    """Exposure time of each (s)."""

    detector: int
    amplifier: str
    gain: float | None
    """Gain (e-/ADU); `None` if the pair gave none, as when saturated."""

    noise: float | None
    """Read noise from the overscan, in the pipeline's units."""

    reference: float | None = None
    """Gain in the ``ptc`` of the input collections (e-/ADU), if any."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {**self.__dict__, "exposures": list(self.exposures)}


@dataclass(frozen=True)
class Certification:
    """Datasets of a run to be valid in a CALIBRATION collection."""

    dataset_type: str
    source: str
    """The job's output collection."""

    collection: str
    """CALIBRATION collection."""

    begin_date: str
    """Beginning of the validity range (ISO-8601, TAI)."""

    end_date: str
    """End of the validity range, exclusive (ISO-8601, TAI)."""

    physical_filter: str | None = None
    """What flats were taken through; `None` for what has no filter."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return dict(self.__dict__)
