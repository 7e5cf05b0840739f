# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ports answer."""

from __future__ import annotations

__all__ = [
    "Applied",
    "CorrectedFrames",
    "Curves",
    "ExposureRecord",
    "IngestReport",
    "JobResult",
    "Lookup",
    "LostRaw",
    "Missing",
    "Wanted",
]

from collections.abc import Mapping
from dataclasses import dataclass

from ..comparison import CurveFit
from ..products import Product


@dataclass(frozen=True)
class LostRaw:
    """A raw frame of a detector that is not in the Butler."""

    exposure: int
    detector: int
    description: str = ""
    """Why the OODS could not ingest it; "" if it said nothing of it."""


@dataclass(frozen=True)
class IngestReport:
    """What became of frames that should have been ingested."""

    missing: tuple[int, ...] = ()
    """Exposure ids that are not in the Butler, or not of all detectors."""

    failures: tuple[tuple[int, str], ...] = ()
    """Exposure ids that the OODS could not ingest, with its description."""

    late: tuple[int, ...] = ()
    """Exposure ids found in the Butler although no event reported them."""

    remark: str = ""
    """What happened to the OODS meanwhile, if frames were overdue."""

    lost: tuple[LostRaw, ...] = ()
    """What is not in the Butler of those that are missing or failed, where
    there are several detectors."""


@dataclass(frozen=True)
class ExposureRecord:
    """What the Butler knows of an exposure."""

    image_type: str
    """As in the configuration: "BIAS", "DARK" or "FLAT"."""

    exp_time: float
    """Exposure time (s)."""

    physical_filter: str
    group: str

    begin: float
    """When it began: TAI, as a Unix timestamp (s)."""

    end: float
    """When it ended, likewise (s)."""


@dataclass(frozen=True)
class JobResult:
    """How a job ended."""

    job_id: str
    exit_code: int
    """0 completed, 1 failed, 255 aborted."""


@dataclass(frozen=True)
class Lookup:
    """Calibrations that a job will look up: for each frame and detector."""

    dataset_type: str

    collections: tuple[str, ...]
    """Where. Those that do not exist hold nothing."""

    times: tuple[tuple[float, float], ...]
    """When frames begin and end: TAI, as Unix timestamps (s)."""

    physical_filter: str | None = None
    """What they are taken through, if the dataset type depends on it and it
    is known."""


@dataclass(frozen=True)
class Wanted:
    """What a job has to make."""

    dataset_type: str

    by_detector: bool = True
    """Whether there is one for each detector, not one for the run."""

    exposures: tuple[tuple[int, ...], ...] = ()
    """Where there is one for some exposures: one of each group has it."""

    detectors: tuple[int, ...] = ()
    """The detectors that it is made of; empty for all of the run."""


@dataclass(frozen=True)
class Missing:
    """A dataset that a job has not made."""

    detector: int | None = None
    """`None` if there is one for the run."""

    exposures: tuple[int, ...] = ()
    """The exposures of which one should have it, if it is for exposures."""

    def __str__(self) -> str:
        if self.detector is None:
            return "the run"
        of_detector = f"detector {self.detector}"
        return (
            f"exposure {' or '.join(map(str, self.exposures))} of {of_detector}"
            if self.exposures
            else of_detector
        )


@dataclass(frozen=True)
class CorrectedFrames:
    """Frames that a verification has processed."""

    dataset_type: str
    collection: str
    """RUN collection that has them."""

    exposures: tuple[int, ...]
    corrected_with: tuple[str, ...]
    """Collections in which the image was found that they were corrected
    with, in order."""

    n_combined: int
    """Frames that this image was made of, these among them; 0 if they are
    not."""


@dataclass(frozen=True)
class Applied:
    """A new combined image, and the frames that it is applied to."""

    product: Product
    dataset_type: str
    run_collection: str
    """RUN collection that has it."""

    detector: int
    exposure: int
    """Id of an exposure that it was made from."""

    inputs: tuple[str, ...]
    """Collections in which that exposure finds another, if there is one."""

    frames: CorrectedFrames


@dataclass(frozen=True)
class Curves:
    """A new photon transfer curve, and the one in use."""

    new: Mapping[tuple[int, str], CurveFit]
    """By detector and amplifier."""

    old: Mapping[tuple[int, str], CurveFit]
    reference: str
    """RUN collection of the one in use; "" if there is none."""
