# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to."""

from __future__ import annotations

__all__ = ["RunReport", "Span"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..outcomes import Certification, Gain, StageResult
from ..verification import Verdict


@dataclass(frozen=True)
class Span:
    """A frame or a stage in time."""

    name: str
    begin: float
    """TAI, as a Unix timestamp (s)."""

    end: float
    """TAI, as a Unix timestamp (s)."""


@dataclass(frozen=True)
class RunReport:
    """Everything that a run came to."""

    state: str
    """State of the script at its end: DONE, FAILED or STOPPED."""

    reason: str = ""
    """Why it did not end DONE."""

    run_id: str = ""
    """By which another run can carry it on."""

    journal: str = ""
    """Where its journal lies."""

    exposures: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Ids of all frames taken, by image type."""

    discarded: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Those of them that were not to be processed."""

    stages: tuple[StageResult, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    certifications: tuple[Certification, ...] = ()
    gains: tuple[Gain, ...] = ()
    timeline: tuple[Span, ...] = ()
    """Frames and stages, in the order in which they began."""

    repeats: tuple[str, ...] = ()
    """What was done again, and why."""

    config: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that was asked for passed or was certified."""
        return self.state == "DONE" and all(result.outcome.good for result in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "state": self.state,
            "reason": self.reason,
            "run_id": self.run_id,
            "journal": self.journal,
            "exposures": {key: list(ids) for key, ids in self.exposures.items()},
            "discarded": {key: list(ids) for key, ids in self.discarded.items()},
            "stages": [result.to_dict() for result in self.stages],
            "verdicts": {key: verdict.to_dict() for key, verdict in self.verdicts.items()},
            "certifications": [certification.to_dict() for certification in self.certifications],
            "gains": [gain.to_dict() for gain in self.gains],
            "timeline": [dict(span.__dict__) for span in self.timeline],
            "repeats": list(self.repeats),
            "config": dict(self.config),
            "notices": list(self.notices),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunReport:
        """Read back what `to_dict` wrote."""
        return cls(
            state=data["state"],
            reason=data["reason"],
            run_id=data["run_id"],
            journal=data["journal"],
            exposures={key: tuple(ids) for key, ids in data["exposures"].items()},
            discarded={key: tuple(ids) for key, ids in data["discarded"].items()},
            stages=tuple(StageResult.from_dict(entry) for entry in data["stages"]),
            verdicts={key: Verdict.from_dict(entry) for key, entry in data["verdicts"].items()},
            certifications=tuple(Certification(**entry) for entry in data["certifications"]),
            gains=tuple(Gain(**{**entry, "exposures": tuple(entry["exposures"])}) for entry in data["gains"]),
            timeline=tuple(Span(**entry) for entry in data["timeline"]),
            repeats=tuple(data["repeats"]),
            config=data["config"],
            notices=tuple(data["notices"]),
        )
