# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has done so far, so that another can carry it on."""

from __future__ import annotations

__all__ = ["Frame", "Journal", "Recorder", "RunRecord"]

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .outcomes import Certification, StageResult
from .ports import ObservatoryError, Operator


@dataclass(frozen=True)
class Frame:
    """A frame, from the moment that the camera is asked for it."""

    series: str
    number: int
    """Place in its series, from 1."""

    group_id: str
    """Its own group id, by which the Butler knows it."""

    exposure: int | None = None
    """Exposure id; `None` as long as it is not known."""


@dataclass(frozen=True)
class RunRecord:
    """The journal of a run; JSON-ready by `to_dict`."""

    run_id: str
    config: Mapping[str, Any]
    state: str = "RUNNING"
    """State of the script at its end; RUNNING before, or if it was killed."""

    reason: str = ""
    frames: tuple[Frame, ...] = ()
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Id of the newest job of each stage."""

    stages: tuple[StageResult, ...] = ()
    """How stages ended."""

    certifications: tuple[Certification, ...] = ()
    repeats: tuple[str, ...] = ()
    """What was done again, and why."""

    resumed: int = 0
    """How often the run was carried on."""

    def stage(self, name: str) -> StageResult | None:
        """Return how a stage ended, if it did."""
        return next((result for result in self.stages if result.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            **self.__dict__,
            "config": dict(self.config),
            "frames": [dict(frame.__dict__) for frame in self.frames],
            "jobs": dict(self.jobs),
            "stages": [result.to_dict() for result in self.stages],
            "certifications": [certification.to_dict() for certification in self.certifications],
            "repeats": list(self.repeats),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunRecord:
        """Read back what `to_dict` wrote."""
        return cls(
            **{
                **data,
                "frames": tuple(Frame(**entry) for entry in data["frames"]),
                "stages": tuple(StageResult.from_dict(entry) for entry in data["stages"]),
                "certifications": tuple(Certification(**entry) for entry in data["certifications"]),
                "repeats": tuple(data["repeats"]),
            }
        )


class Journal(Protocol):
    """Where the record of a run is kept."""

    @property
    def path(self) -> str:
        """Where a person finds it."""

    def check(self) -> tuple[str, ...]:
        """Return what keeps it from being written, if anything."""

    def write(self, record: RunRecord) -> None:
        """Replace what was written before; all of it or nothing.

        Raises
        ------
        ObservatoryError
            If that fails.
        """


class Recorder:
    """Keeps the record of a run up to date, in the journal too.

    Parameters
    ----------
    record : `RunRecord`
        Where the run begins: empty, or what an earlier one has done.
    journal : `Journal`
        Where it is kept.
    operator : `Operator`
        Who is told, once, if it cannot be written.
    """

    def __init__(self, record: RunRecord, journal: Journal, operator: Operator) -> None:
        self.record = record
        self._journal = journal
        self._operator = operator
        self._failed = False

    def frame(self, frame: Frame) -> None:
        """Note that a frame is asked for, or what came of it."""
        others = tuple(
            other
            for other in self.record.frames
            if (other.series, other.number) != (frame.series, frame.number)
        )
        self._update(frames=(*others, frame))

    def job(self, stage_name: str, job_id: str) -> None:
        """Note the job of a stage; how it ended is no longer known."""
        self._update(
            jobs={**self.record.jobs, stage_name: job_id},
            stages=tuple(result for result in self.record.stages if result.name != stage_name),
        )

    def stage(self, result: StageResult) -> None:
        """Note how a stage ended."""
        others = tuple(other for other in self.record.stages if other.name != result.name)
        self._update(stages=(*others, result))

    def certifications(self, certifications: tuple[Certification, ...]) -> None:
        """Note what is certified."""
        self._update(certifications=certifications)

    def repeat(self, text: str) -> None:
        """Note that something is done again; the operator is told too."""
        self._operator.warning(text)
        self._update(repeats=(*self.record.repeats, text))

    def begin(self, config: Mapping[str, Any]) -> None:
        """Note that the run begins or goes on."""
        self._update(config=config, state="RUNNING", reason="")

    def end(self, state: str, reason: str) -> None:
        """Note how the run ended."""
        self._update(state=state, reason=reason)

    def _update(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)
        try:
            self._journal.write(self.record)
        except ObservatoryError as error:
            # Frames are worth more than the journal: the run goes on.
            if not self._failed:
                self._operator.error(f"{error}. The run goes on; it cannot be resumed from here.")
            self._failed = True
