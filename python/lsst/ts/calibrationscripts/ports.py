# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedure needs from the world.

The observatory answers these in `lsst.ts.calibrationscripts.observatory`;
tests answer them with a few lines each.
"""

from __future__ import annotations

__all__ = [
    "CalibrationRepository",
    "Camera",
    "CameraError",
    "ComponentLostError",
    "ExposureRecord",
    "Ingest",
    "IngestReport",
    "JobLostError",
    "JobRefusedError",
    "JobResult",
    "JobService",
    "JobTimeoutError",
    "LightError",
    "ObservatoryError",
    "Operator",
    "OutcomeError",
    "PreconditionError",
    "Watcher",
]

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .config import Series
from .outcomes import Certification, Gain
from .plan import JobRequest, PlannedExposure, Stage


class ObservatoryError(Exception):
    """Something in the world did not do its part; says what and why."""


class CameraError(ObservatoryError):
    """The camera or the spectrograph failed: the script cannot go on."""


class ComponentLostError(ObservatoryError):
    """A component left ENABLED, or is not heard of any more."""


class JobRefusedError(ObservatoryError):
    """A job was not accepted, so that it may be submitted again.

    Where no answer came, it may be running all the same, under an id that
    nobody knows.
    """


class JobLostError(ObservatoryError):
    """A job's end will not be heard of.

    Its product may be in the Butler, or come yet. If it is not there, the
    job may be submitted again.
    """


class LightError(ObservatoryError):
    """The flats would have a level that the observer does not accept."""


class OutcomeError(ObservatoryError):
    """Outcomes are bad that the configuration does not put up with."""


class JobTimeoutError(ObservatoryError):
    """A job did not end in time; it may still be running."""


class PreconditionError(ObservatoryError):
    """The run must not begin; says everything that stands in its way."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class IngestReport:
    """What became of frames that should have been ingested."""

    missing: tuple[int, ...] = ()
    """Exposure ids that are not in the Butler."""

    failures: tuple[tuple[int, str], ...] = ()
    """Exposure ids that the OODS could not ingest, with its description."""

    late: tuple[int, ...] = ()
    """Exposure ids found in the Butler although no event told of them."""

    remark: str = ""
    """What befell the OODS meanwhile, if frames were overdue."""


@dataclass(frozen=True)
class ExposureRecord:
    """What the Butler knows of an exposure."""

    image_type: str
    """As in the configuration: "BIAS", "DARK" or "FLAT"."""

    exp_time: float
    """Exposure time (s)."""

    physical_filter: str
    group: str


@dataclass(frozen=True)
class JobResult:
    """How a job ended."""

    job_id: str
    exit_code: int
    """0 completed, 1 failed, 255 aborted."""


class Operator(Protocol):
    """The person who watches, and may pause or stop."""

    def info(self, text: str) -> None:
        """Tell what happens."""

    def warning(self, text: str) -> None:
        """Tell what the operator should look at."""

    def error(self, text: str) -> None:
        """Tell what failed."""

    async def checkpoint(self, name: str) -> None:
        """Be paused or stopped here, if the operator wishes."""


class Watcher(Protocol):
    """Somebody who only looks on, such as a progress display."""

    def started(self, stage: Stage) -> None:
        """Learn that a stage has begun."""

    def taken(self, exposure: PlannedExposure) -> None:
        """Learn that a frame has been taken."""

    def ended(self, stage: Stage, outcome: str) -> None:
        """Learn how a stage ended."""


class Camera(Protocol):
    """The instrument."""

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from taking the frames, if anything."""

    async def physical_filter(self, series: Series) -> str:
        """Return the Butler's name of what a series is to be taken through.

        That is its filter and grating or, where none is given, the one in
        the beam.

        Raises
        ------
        CameraError
            If the spectrograph does not tell.
        """

    async def set_up(self, series: Series) -> None:
        """Select filter and grating of a series and read them back.

        Raises
        ------
        CameraError
            If they are not in the beam afterwards.
        """

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Take a frame; return its exposure id once it is read out.

        Parameters
        ----------
        exposure : `PlannedExposure`
            The frame.
        group_id : `str`
            Its own group id, by which the Butler will know it.

        Raises
        ------
        CameraError
            If it was not taken.
        """


class Ingest(Protocol):
    """The way of frames into the Butler."""

    def expect(self, exposure: int) -> None:
        """Start the clock of a frame that has been read out."""

    async def wait(self, exposures: Collection[int]) -> IngestReport:
        """Wait until each is ingested, has failed or is overdue."""


class JobService(Protocol):
    """What runs pipelines."""

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from running jobs, if anything."""

    async def submit(self, request: JobRequest) -> str:
        """Start a job and return its id.

        Raises
        ------
        JobRefusedError
            If it was refused, or its acceptance is not heard of in time.
        """

    async def wait_ready(self, timeout: float) -> bool:
        """Wait until jobs can be submitted; say whether they can.

        Parameters
        ----------
        timeout : `float`
            Longest wait (s).
        """

    async def result(self, job_id: str) -> JobResult:
        """Wait for the end of a job.

        After a loss this may be called again: a result that came late is
        returned then.

        Raises
        ------
        JobLostError
            If the job service is gone, or has lost the job or its result.
        JobTimeoutError
            If it does not come in time.
        """

    async def abort(self, job_id: str) -> None:
        """Stop a job.

        Raises
        ------
        ObservatoryError
            If that is refused, or not acknowledged in time.
        """

    def collection(self, job_id: str) -> str:
        """Return the output collection of a job, chained to its inputs."""

    def run_collection(self, job_id: str) -> str:
        """Return the RUN collection that holds a job's outputs alone."""

    def log_path(self, job_id: str) -> str:
        """Return where the log of a job lies."""


class CalibrationRepository(Protocol):
    """The Butler repository, as far as calibrations go."""

    async def check(
        self, inputs: Collection[str], certifications: Sequence[Certification]
    ) -> tuple[str, ...]:
        """Return what would make a job or a certification fail later.

        Parameters
        ----------
        inputs : `~collections.abc.Collection` [`str`]
            Input collections of the jobs.
        certifications : `~collections.abc.Sequence` [`Certification`]
            What the run wants to certify. Sources that do not exist yet are
            ""; what is certified from those that do is in nobody's way.
        """

    async def raw_level(self, exposure: int) -> float:
        """Return the median level of a raw frame (ADU above bias).

        Raises
        ------
        ObservatoryError
            If it cannot be read.
        """

    async def exposure_of_group(self, group: str) -> int | None:
        """Return the exposure that was taken as a group of its own.

        `None` if there is none in the repository; the last one if there are
        several.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def exposure_records(self, exposures: Collection[int]) -> Mapping[int, ExposureRecord]:
        """Return what is known of exposures; those unknown are left out.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        """Return which (exposure, detector) pairs have been ingested.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def exposures_with(self, dataset_type: str, collection: str) -> frozenset[tuple[int, int]] | None:
        """Return the (exposure, detector) pairs that have such a dataset.

        `None` if the repository does not know the dataset type, so that
        nothing can be told.
        """

    async def product_in(self, dataset_type: str, run_collection: str) -> bool:
        """Return whether a run has made such a dataset for each detector.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def statistics(
        self, dataset_type: str, collection: str, physical_filter: str | None = None
    ) -> object:
        """Return the run statistics of a verification.

        Parameters
        ----------
        dataset_type, collection : `str`
            Where they lie.
        physical_filter : `str`, optional
            What the frames were taken through, where that is a dimension.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def gains(
        self, dataset_type: str, collection: str, pairs: Sequence[tuple[int, int, float]]
    ) -> tuple[Gain, ...]:
        """Return the gains measured on pairs of flats.

        Parameters
        ----------
        dataset_type, collection : `str`
            Where they lie.
        pairs : `~collections.abc.Sequence`
            The two exposure ids and the exposure time (s) of each pair.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def reference_gains(
        self, collections: Sequence[str], exposure: int
    ) -> Mapping[tuple[int, str], float]:
        """Return the gains (e-/ADU) that are certified for an exposure.

        They are taken from the first ``ptc`` in the collections, by detector
        and amplifier; none if there is no such dataset.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def is_certified(self, certification: Certification) -> bool:
        """Return whether all that is to be certified is so already.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def certify(self, *certifications: Certification) -> None:
        """Certify, and see that the datasets can be found by date.

        Of several certifications either all are made or none.

        Raises
        ------
        ObservatoryError
            If they cannot.
        """
