# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stages and runs come to, as plain records."""

from __future__ import annotations

__all__ = [
    "CERTIFIED_BEFORE",
    "AmplifierDefects",
    "AmplifierGain",
    "BadDetector",
    "Cause",
    "Certification",
    "DetectorDefects",
    "Gain",
    "Outcome",
    "PreviousDefects",
    "RunState",
    "StageResult",
    "bad_detectors_text",
    "by_amplifier",
    "named_detectors",
]

import enum
import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from .products import StageId


class RunState(enum.StrEnum):
    """Where a run is, or how it ended; the names are those of its script."""

    UNSTARTED = "UNSTARTED"
    RUNNING = "RUNNING"
    """Under way; or its process was killed."""

    DONE = "DONE"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    CONFIGURE_FAILED = "CONFIGURE_FAILED"


class Outcome(enum.StrEnum):
    """How a stage ended."""

    PASSED = "PASSED"
    CERTIFIED = "CERTIFIED"
    WAITING = "WAITING"
    """It passed, and is certified once a person accepts it."""

    PENDING = "PENDING"
    """Its job was submitted and is left to itself: its end is collected
    later."""

    HELD = "HELD"
    """Verification failed, or a person rejected it: nothing is certified."""

    FAILED = "FAILED"
    """It could not be carried out."""

    SKIPPED = "SKIPPED"
    ABORTED = "ABORTED"

    @property
    def good(self) -> bool:
        """Whether stages that need this one can run."""
        return self in (Outcome.PASSED, Outcome.CERTIFIED, Outcome.WAITING)


class Cause(enum.StrEnum):
    """What is wrong with a detector."""

    NO_CALIBRATION = "no_calibration"
    """A calibration that it needs from before is missing."""

    NOT_INGESTED = "not_ingested"
    """Frames of it are not in the Butler."""

    NOT_MADE = "not_made"
    """A job that others have come through has not made its product."""

    NOT_VERIFIED = "not_verified"
    """A verification of others has no statistics of it."""

    FAILED = "failed"
    """By itself, it fails verification or the judgement of the product."""


@dataclass(frozen=True)
class BadDetector:
    """A detector of several that a product cannot be certified for."""

    detector: int
    """The detector's id in Butler data ids."""

    name: str
    """``<raft>_<sensor>``."""

    cause: Cause
    text: str
    """What is wrong with it, without a full stop."""

    stage: str = ""
    """Name of the stage that has found it."""

    @property
    def raft(self) -> str:
        """The raft that it is part of."""
        return self.name.partition("_")[0]


_MAX_NAMED = 8
"""Bad detectors that a text names; JSON has all of them."""


def bad_detectors_text(bad: Iterable[BadDetector], n_detectors: int) -> str:
    """Return in a line which detectors are bad, and why.

    Parameters
    ----------
    bad : `~collections.abc.Iterable` [`BadDetector`]
        At least one.
    n_detectors : `int`
        How many detectors the run is about.

    Returns
    -------
    text : `str`
        Such as ``2 of 189 detectors: R22_S11, R22_S12: no bias was made``,
        without a full stop.
    """
    found = list(bad)
    by_text: dict[str, list[str]] = {}
    for each in found[:_MAX_NAMED]:
        by_text.setdefault(each.text, []).append(each.name)
    parts = [f"{', '.join(names)}: {text}" for text, names in by_text.items()]
    return _counted(parts, len(found), n_detectors, "; ")


def named_detectors(names: Collection[str], n_detectors: int) -> str:
    """Return names of detectors for a line, such as ``1 of 9 detectors: ...``.

    Parameters
    ----------
    names : `~collections.abc.Collection` [`str`]
        The names.
    n_detectors : `int`
        How many detectors the run is about.

    Returns
    -------
    text : `str`
        At most eight names.
    """
    return _counted(list(names)[:_MAX_NAMED], len(names), n_detectors, ", ")


def _counted(parts: list[str], n: int, n_detectors: int, separator: str) -> str:
    more = [f"and {n - _MAX_NAMED} more"] if n > _MAX_NAMED else []
    return f"{n} of {n_detectors} detectors: {separator.join(parts + more)}"


CERTIFIED_BEFORE = "an earlier session has certified it"
"""Begins what a certification says that was not made again."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, why, and where to look."""

    stage: StageId
    outcome: Outcome
    reason: str = ""
    job_id: str | None = None
    collection: str | None = None
    log: str | None = None

    error_type: str = ""
    """Kind of error that it ended by; see `ObservatoryError`."""

    missing: tuple[int, ...] = ()
    """Exposures that never came into the Butler."""

    log_tail: tuple[str, ...] = ()
    """Last lines of the log of a job that failed, if it could be read."""

    remarks: tuple[str, ...] = ()
    """If it waits for a person, what that person should know: what was not
    verified, and how the product compares with the one in use."""

    bad_detectors: tuple[BadDetector, ...] = ()
    """Detectors that it has found bad; of a certification, all that it leaves
    out. If its outcome is good, the run goes on without them."""

    n_detectors: int = 0
    """How many detectors the run is about, these among them; 0 if none is
    bad."""

    @property
    def stays(self) -> str:
        """What an earlier session has certified, and is not undone.

        It is "" where this session has certified it, or nothing is.
        """
        _, begin, rest = self.reason.partition(CERTIFIED_BEFORE)
        return begin + rest

    def with_bad(self, bad: tuple[BadDetector, ...], n_detectors: int) -> StageResult:
        """Return it with bad detectors, if there are any.

        Parameters
        ----------
        bad : `tuple` [`BadDetector`, ...]
            What it has found, or leaves out.
        n_detectors : `int`
            How many detectors the run is about.

        Returns
        -------
        result : `StageResult`
        """
        return replace(self, bad_detectors=bad, n_detectors=n_detectors) if bad else self

    @classmethod
    def waiting(cls, stage: StageId, remarks: Iterable[str]) -> StageResult:
        """Return that a product waits for a person.

        Parameters
        ----------
        stage : `StageId`
            Its certification.
        remarks : `~collections.abc.Iterable` [`str`]
            What that person should know; those that are "" are left out.

        Returns
        -------
        result : `StageResult`
        """
        known = tuple(filter(None, remarks))
        reason = "; ".join(("for a person to accept or reject it", *known))
        return cls(stage, Outcome.WAITING, reason, remarks=known)

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.stage.name


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

    physical_filter: str = ""
    """What the flats were taken through; "" if that is not known."""

    part: str = ""
    """Filter and grating, where a run has several sets of flats."""


@dataclass(frozen=True)
class AmplifierGain:
    """What several pairs say of the gain of an amplifier."""

    detector: int
    amplifier: str
    values: tuple[float, ...]
    """The gain of each pair that gave one (e-/ADU)."""

    reference: float | None
    """Gain in the reference ``ptc`` (e-/ADU), if any."""

    @property
    def mean(self) -> float | None:
        """Mean over the pairs (e-/ADU); `None` without any."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of a pair (e-/ADU); `None` for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Relative difference of the mean to the reference, if both exist."""
        return self.mean / self.reference - 1 if self.mean is not None and self.reference else None


def by_amplifier(gains: Iterable[Gain]) -> tuple[AmplifierGain, ...]:
    """Return what the pairs say of each amplifier, in order of appearance."""
    same: dict[tuple[int, str], list[Gain]] = {}
    for gain in gains:
        same.setdefault((gain.detector, gain.amplifier), []).append(gain)
    return tuple(
        AmplifierGain(
            detector,
            amplifier,
            tuple(gain.gain for gain in found if gain.gain is not None),
            next((gain.reference for gain in found if gain.reference is not None), None),
        )
        for (detector, amplifier), found in same.items()
    )


@dataclass(frozen=True)
class AmplifierDefects:
    """The pixels of an amplifier that are defects."""

    amplifier: str
    n_pixels: int
    """Its pixels that count; those at the detector's edge do not."""

    area: int
    """Pixels of them that are defects."""

    gained: int | None = None
    """Of these, pixels that were no defects before; `None` if there is
    nothing earlier."""

    lost: int | None = None
    """Pixels that were defects before and are none now; likewise."""

    @property
    def previous_area(self) -> int | None:
        """Pixels that were defects before; `None` if that is not known."""
        return None if self.gained is None or self.lost is None else self.area - self.gained + self.lost


@dataclass(frozen=True)
class PreviousDefects:
    """The earlier defects that others were compared with."""

    dataset: str
    """The dataset's UUID."""

    run: str
    """RUN collection that it is in."""

    n_boxes: int


@dataclass(frozen=True)
class DetectorDefects:
    """The defects of a detector, compared with earlier ones."""

    detector: int
    dataset: str
    """The dataset's UUID."""

    n_boxes: int
    """Boxes of pixels that it consists of."""

    amplifiers: tuple[AmplifierDefects, ...]
    previous: PreviousDefects | None = None
    """`None` if there are none to compare with."""

    @property
    def n_pixels(self) -> int:
        """Pixels of the detector that count."""
        return sum(amplifier.n_pixels for amplifier in self.amplifiers)

    @property
    def area(self) -> int:
        """Pixels of them that are defects."""
        return sum(amplifier.area for amplifier in self.amplifiers)

    @property
    def gained(self) -> int:
        """Pixels that were no defects before; 0 if nothing is earlier."""
        return sum(amplifier.gained or 0 for amplifier in self.amplifiers)

    @property
    def lost(self) -> int:
        """Pixels that were defects before and are none now; likewise."""
        return sum(amplifier.lost or 0 for amplifier in self.amplifiers)


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
