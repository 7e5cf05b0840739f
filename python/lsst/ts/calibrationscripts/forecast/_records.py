# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forecast is made of, and what it consists of."""

from __future__ import annotations

__all__ = ["Facts", "Finding", "Forecast", "Kind", "Level", "MissingCalibration"]

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..outcomes import Outcome
from ..plan import RunPlan
from ..products import StageId


class Level(enum.StrEnum):
    """How sure a finding is of a failure."""

    CERTAIN = "certain"
    """The stage cannot end well."""

    LIKELY = "likely"
    """It ends well only if something is other than it should be."""

    REMARK = "remark"
    """Nothing fails."""


class Kind(enum.StrEnum):
    """What a finding is about."""

    NOISE = "noise"
    """Combined from the very frames that it is verified on: too few."""

    THRESHOLD = "threshold"
    """A verification that cannot fail."""

    PAIRS = "pairs"
    """Flats of which none are a pair."""

    VALIDITY = "validity"
    """Dates that miss the frames, or the rest of their night."""

    CALIBRATION = "calibration"
    """A calibration, such as the flat of a filter, that is not there."""

    REFUSED = "refused"
    """The run would not begin."""

    DISK = "disk"

    DETECTORS = "detectors"
    """Detectors without which a pipeline has nothing to begin with."""


@dataclass(frozen=True)
class MissingCalibration:
    """A calibration that jobs look up, and will not find."""

    dataset_type: str
    stages: tuple[StageId, ...]
    cause: str
    """For what there is none, as clauses."""

    remedy: str
    """What to do, as a sentence without its full stop."""

    @property
    def text(self) -> str:
        """All of it, without a full stop."""
        return f"{self.dataset_type}: {self.cause}. {self.remedy}"


@dataclass(frozen=True)
class Facts:
    """What was found out outside, where it could be."""

    begin: datetime.datetime | None = None
    """When the first frame would be taken, with a time zone."""

    left: RunPlan | None = None
    """What is left of the plan if a run is resumed."""

    refused: tuple[str, ...] = ()
    """Why the run would not begin."""

    missing: tuple[MissingCalibration, ...] = ()

    exp_times: Mapping[int, float] = field(default_factory=dict)
    """Exposure times (s) of exposures that the configuration names, by id."""

    free_space: float | None = None
    """Room on the disk of the repository (byte)."""

    unknown: tuple[str, ...] = ()
    """What could not be looked at, and why."""


@dataclass(frozen=True)
class Finding:
    """Something that is known of how a run will end."""

    level: Level
    kind: Kind
    stages: tuple[StageId, ...]
    """What it is about; none for the run as a whole."""

    cause: str
    """A sentence or two."""

    remedy: str
    """What to write or do instead, as a sentence; "" for a mere remark."""

    outcome: Outcome | None = None
    """How the stages end, or what a remark is about."""

    skipped: tuple[StageId, ...] = ()
    """Stages that are not begun then."""

    @property
    def fails(self) -> bool:
        """Whether something fails."""
        return self.level is not Level.REMARK

    @property
    def notice(self) -> str:
        """Cause and remedy, as the notices of a plan have them."""
        return " ".join(filter(None, (self.cause, self.remedy)))

    @property
    def text(self) -> str:
        """All of it, in one line."""
        about = ", ".join(stage.name for stage in self.stages) or "the run"
        how = {
            Level.CERTAIN: "is certain to fail" if len(self.stages) < 2 else "are certain to fail",
            Level.LIKELY: "will most likely fail",
        }.get(self.level)
        head = f"{about} {how}: " if how else f"{about}: "
        then = f"Then not done: {', '.join(stage.name for stage in self.skipped)}." if self.skipped else ""
        return " ".join(filter(None, (head + self.notice, then)))


@dataclass(frozen=True)
class Forecast:
    """How stages of a run must end, where that can be known."""

    findings: tuple[Finding, ...]
    """The failures first."""

    unknown: tuple[str, ...] = ()
    """What was not looked at, and why."""

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What fails."""
        return tuple(finding for finding in self.findings if finding.fails)

    @property
    def is_certain(self) -> bool:
        """Whether something is certain to fail."""
        return any(finding.level is Level.CERTAIN for finding in self.findings)

    def objections(self, *, strict: bool) -> tuple[str, ...]:
        """Return why a run is refused for its forecast.

        Parameters
        ----------
        strict : `bool`
            The configuration's ``strict``.

        Returns
        -------
        objections : `tuple` [`str`, ...]
            None without ``strict``.
        """
        return tuple(f"strict: {finding.text}" for finding in self.failures) if strict else ()
