# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan consists of."""

from __future__ import annotations

__all__ = ["JobPlan", "JobRequest", "PlannedExposure", "RunPlan", "Stage"]

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..id_ranges import consecutive
from ..instruments import ImageType
from ..products import StageId, StageKind, Subject

_MANY_EXPOSURES = 500
"""SQLite takes about 1,000 conditions in a query."""


@dataclass(frozen=True)
class PlannedExposure:
    """One frame that the camera is to take."""

    image_type: ImageType

    series: Subject
    """Which series it is part of."""

    exp_time: float
    """Exposure time (s)."""

    discard: bool
    """Whether the frame only settles the detector and is not processed."""

    number: int
    """Place in its series, from 1."""

    series_length: int
    """Frames in its series, discarded ones included."""

    duration: float = field(default=0.0, compare=False)
    """From its beginning to that of the next frame, by their headers (s)."""

    trial: int = 0
    """Which trial flat it is that finds the exposure time of its series, from
    1; 0 if it is part of the series. Its number is then 0 or less."""

    @property
    def label(self) -> str:
        """What the operator reads while it is taken."""
        if self.trial:
            return f"{self.series} trial {self.trial}/{self.series_length}, {self.exp_time:g} s"
        return f"{self.series} {self.number}/{self.series_length}, {self.exp_time:g} s"

    def replacement(self, number: int) -> PlannedExposure:
        """Return a frame that is taken because this one is spoilt.

        Parameters
        ----------
        number : `int`
            Its place in the series, after all others.

        Returns
        -------
        exposure : `PlannedExposure`
        """
        return replace(self, number=number, series_length=number)


@dataclass(frozen=True)
class JobRequest:
    """A ``pipetask run``.

    Two requests are equal if they give the same products: with how many
    processes does not matter.
    """

    pipeline: str
    """URI of the pipeline."""

    inputs: tuple[str, ...]
    """Input collections, in the order in which they are searched."""

    options: tuple[str, ...]
    """Further arguments of ``pipetask run``."""

    instrument: str
    """The Butler's name of the instrument."""

    detectors: tuple[int, ...]
    exposures: tuple[int, ...]
    n_processes: int = field(default=1, compare=False)
    """Processes that the job may use."""

    products: tuple[str, ...] = ()
    """UUIDs of the run's own products in its input collections. With others
    of the same names, it would be another job."""

    @property
    def config(self) -> str:
        """The arguments, in the words of the OCPS command ``execute``."""
        # The OCPS splits this at blanks, without a shell's quoting.
        words = ("-j", str(self.n_processes), "-i", ",".join(self.inputs))
        return " ".join((*words, "--register-dataset-types", *self.options))

    @property
    def data_query(self) -> str:
        """Which data to process, likewise."""
        return (
            f"instrument='{self.instrument}' AND detector IN ({', '.join(map(str, self.detectors))})"
            f" AND exposure IN ({', '.join(_listed(self.exposures))})"
        )


def _listed(exposures: Collection[int]) -> list[str]:
    """Return exposure ids for a query; if there are many, as ranges."""
    if len(exposures) <= _MANY_EXPOSURES:
        return [str(each) for each in exposures]
    ranges = consecutive(exposures)
    return [f"{each[0]}..{each[-1]}" if len(each) > 1 else f"{each[0]}" for each in ranges]


@dataclass(frozen=True)
class JobPlan:
    """What a job is to run for a stage, but for ids yet unknown."""

    pipeline: str
    """URI of the pipeline."""

    options: tuple[str, ...]
    """Further arguments of ``pipetask run``."""

    inputs_from: tuple[StageId, ...]
    """Stages whose output collections are searched first, in order."""

    inputs: tuple[str, ...]
    """Input collections searched after those, in order."""

    series: tuple[Subject, ...]
    """Whose kept frames are processed."""

    hold_out: int = 0
    """Every how many of them one is not processed; 0 if all are."""

    def held_out(self, kept: Sequence[int]) -> tuple[int, ...]:
        """Return which frames of a series it does not process.

        Parameters
        ----------
        kept : `~collections.abc.Sequence` [`int`]
            Exposure ids of the series' frames, in order, without those that
            are discarded or left out.

        Returns
        -------
        ids : `tuple` [`int`, ...]
        """
        return tuple(kept[self.hold_out - 1 :: self.hold_out]) if self.hold_out else ()

    def may_be(self, request: JobRequest) -> bool:
        """Return whether a request is for this job, but for unknown ids."""
        inputs = request.inputs[len(self.inputs_from) :]
        return (request.pipeline, request.options, inputs) == (self.pipeline, self.options, self.inputs)

    def request(
        self,
        *,
        generated: Sequence[str],
        exposures: Sequence[int],
        instrument: str,
        detectors: Sequence[int],
        n_processes: int,
        products: Sequence[str],
    ) -> JobRequest:
        """Fill in what is known once the frames are taken.

        Parameters
        ----------
        generated : `~collections.abc.Sequence` [`str`]
            Output collections of the stages ``inputs_from``.
        exposures, detectors : `~collections.abc.Sequence` [`int`]
            Ids of what is processed.
        instrument : `str`
            The Butler's name of the instrument.
        n_processes : `int`
            Processes that the job may use.
        products : `~collections.abc.Sequence` [`str`]
            UUIDs of the products in the collections ``generated``.

        Returns
        -------
        request : `JobRequest`
        """
        return JobRequest(
            self.pipeline,
            (*generated, *self.inputs),
            self.options,
            instrument,
            tuple(detectors),
            tuple(exposures),
            n_processes,
            tuple(sorted(products)),
        )


@dataclass(frozen=True)
class Stage:
    """A node of the stage graph."""

    id: StageId

    needs: tuple[StageId, ...] = ()
    """Stages that must have succeeded."""

    after: tuple[StageId, ...] = ()
    """Stages that must have ended, with any outcome."""

    duration: float = 0.0
    """Expected duration (s)."""

    job: JobPlan | None = None

    @property
    def kind(self) -> StageKind:
        """What it does."""
        return self.id.kind

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.id.subject

    @property
    def name(self) -> str:
        """Its name, unique in a plan."""
        return self.id.name


@dataclass(frozen=True)
class RunPlan:
    """Everything that a run will do, in order where order matters."""

    exposures: tuple[PlannedExposure, ...]
    stages: tuple[Stage, ...]
    """Every stage comes after those that it needs."""

    notices: tuple[str, ...]
    """What the observer should know before starting the run."""

    @cached_property
    def starts(self) -> dict[StageId, float]:
        """When each stage starts if each does as soon as it may (s)."""
        starts: dict[StageId, float] = {}
        ends: dict[StageId, float] = {}
        for stage in self.stages:
            starts[stage.id] = max((ends[other] for other in stage.needs + stage.after), default=0.0)
            ends[stage.id] = starts[stage.id] + stage.duration
        return starts

    @property
    def duration(self) -> float:
        """Expected time to the end of the last stage (s)."""
        return max((self.starts[stage.id] + stage.duration for stage in self.stages), default=0.0)

    def exposures_of(self, series: Subject) -> tuple[PlannedExposure, ...]:
        """Return the frames of a series, without trial flats."""
        return tuple(each for each in self.exposures if each.series == series and not each.trial)

    def trials_of(self, series: Subject) -> tuple[PlannedExposure, ...]:
        """Return the trial flats of a series, not all of which are needed."""
        return tuple(each for each in self.exposures if each.series == series and each.trial)

    def stages_of(self, kind: StageKind) -> tuple[Stage, ...]:
        """Return the stages of a kind."""
        return tuple(stage for stage in self.stages if stage.kind is kind)

    def generation_of(self, subject: Subject) -> Stage | None:
        """Return the stage that makes something, if one does."""
        return self._of(subject, StageKind.GENERATE) or self._of(subject, StageKind.MEASURE)

    def verification_of(self, subject: Subject) -> Stage | None:
        """Return the stage that verifies something, if one does."""
        return self._of(subject, StageKind.VERIFY)

    def _of(self, subject: Subject, kind: StageKind) -> Stage | None:
        wanted = StageId(kind, subject)
        return next((stage for stage in self.stages if stage.id == wanted), None)

    def only_for(self, stages: Collection[StageId]) -> RunPlan:
        """Return the part of the plan that some stages need.

        Parameters
        ----------
        stages : collection of `StageId`
            What is wanted of it.

        Returns
        -------
        plan : `RunPlan`
            These stages, all that they need, and the frames of those.
        """
        needed = set(stages)
        for stage in reversed(self.stages):
            if stage.id in needed:
                needed.update(stage.needs)
        exposed = {stage.subject for stage in needed if stage.kind is StageKind.EXPOSE}
        return replace(
            self,
            exposures=tuple(exposure for exposure in self.exposures if exposure.series in exposed),
            stages=tuple(
                replace(stage, after=tuple(other for other in stage.after if other in needed))
                for stage in self.stages
                if stage.id in needed
            ),
        )

    def consumers(self, stage: StageId) -> tuple[Stage, ...]:
        """Return the stages that need one directly."""
        return tuple(other for other in self.stages if stage in other.needs)
