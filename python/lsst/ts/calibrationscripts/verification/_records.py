# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict, and what it is based on."""

from __future__ import annotations

__all__ = [
    "FailedTest",
    "FailureLevel",
    "StatisticsError",
    "UnitResult",
    "Verdict",
    "dataset_name",
]

import enum
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from ..pipelines import StatisticsKey
from ..products import Subject
from ..thresholds import Thresholds


class StatisticsError(ValueError):
    """The statistics cannot be judged."""

    error_type = "statistics"


class FailureLevel(enum.StrEnum):
    """Which statistics list the failures of an exposure."""

    RUN = "run"
    """Those of the run."""

    EXPOSURE = "exposure"
    """Those of the exposure, since those of the run hide them."""

    DETECTOR = "detector"
    """Those of a detector in the exposure, for the same reason."""

    NONE = "none"
    """None that were given list them all: the exposure counts as failed."""


def dataset_name(subject: Subject, level: FailureLevel) -> str:
    """Return the dataset type of the statistics of a product.

    Parameters
    ----------
    subject : `Subject`
        What was verified.
    level : `FailureLevel`
        What the statistics are about.

    Returns
    -------
    name : `str`
        Such as ``verifyFlatExpStats``; cp_verify has named them so since
        2021.
    """
    part = {FailureLevel.EXPOSURE: "Exp", FailureLevel.DETECTOR: "Det"}.get(level, "")
    return f"verify{subject.product.capitalize()}{part}Stats"


_MAX_SHARED = 2**16
"""Failures that are kept to be shared; LSSTCam has 3,024 amplifiers."""


class FailedTest(NamedTuple):
    """A test that failed on an exposure.

    Tests of a whole detector have no amplifier, those of a whole exposure
    have no detector either. A run may have 300,000, but few that differ:
    those of the same text are one object.
    """

    detector: str
    amplifier: str
    test: str

    @classmethod
    def parse(cls, text: str) -> FailedTest:
        """Read cp_verify's form, such as ``RXX_S00 C00 NOISE``.

        Parameters
        ----------
        text : `str`
            Words separated by blanks: the detector first, the test last.

        Returns
        -------
        failed : `FailedTest`

        Raises
        ------
        StatisticsError
            If it is blank.
        """
        return _parse(text)

    def __str__(self) -> str:
        return _text(self)


@lru_cache(_MAX_SHARED)
def _parse(text: str) -> FailedTest:
    *place, test = text.split() or [""]
    if not test:
        raise StatisticsError("a failure is blank; expected 'DETECTOR AMPLIFIER TEST'")
    return FailedTest(place[0] if place else "", " ".join(place[1:]), test)


@lru_cache(_MAX_SHARED)
def _text(failure: FailedTest) -> str:
    return " ".join(filter(None, failure))


@dataclass(frozen=True)
class UnitResult:
    """What verification found on one exposure, or on a product as a whole."""

    exposure: int | None
    """Exposure id; `None` for what is verified as a whole."""

    failures: tuple[FailedTest, ...]

    level: FailureLevel = FailureLevel.RUN
    """Where the failures were read."""

    @property
    def unlisted(self) -> bool:
        """Whether it failed without a list of all tests that did."""
        return self.level is FailureLevel.NONE

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of failures by test type, in the order of test types."""
        return dict(sorted(Counter(failure.test for failure in self.failures).items()))

    def fails(self, thresholds: Thresholds) -> bool:
        """Return whether some test type failed too often, or may have."""
        return self.unlisted or any(
            count >= thresholds.failures_to_fail_exposure for count in self.counts.values()
        )


@dataclass(frozen=True)
class Verdict:
    """Whether a calibration passes, and all that this is based on."""

    subject: Subject
    """What was verified."""

    n_detectors: int
    thresholds: Thresholds

    units: StatisticsKey
    """What the run statistics were about: each exposure has a result of its
    own; detectors have one together, that of the product as a whole."""

    results: tuple[UnitResult, ...]
    """In order of exposure id."""

    run_tests_failed: bool = False
    """Whether tests of the run as a whole failed; the rule ignores them."""

    @property
    def name(self) -> str:
        """What people read."""
        return self.subject.name

    @property
    def of_exposures(self) -> bool:
        """Whether exposures were verified, not a product as a whole."""
        return self.units is StatisticsKey.EXPOSURE

    @cached_property
    def failed(self) -> tuple[UnitResult, ...]:
        """The results that fail."""
        return tuple(result for result in self.results if result.fails(self.thresholds))

    @property
    def failed_ids(self) -> tuple[int, ...]:
        """Ids of the exposures that fail."""
        return tuple(result.exposure for result in self.failed if result.exposure is not None)

    @property
    def passed(self) -> bool:
        """Whether too few exposures fail to fail the calibration."""
        return len(self.failed) < self.thresholds.exposures_to_fail

    @property
    def with_failures(self) -> tuple[UnitResult, ...]:
        """The results with any test that failed, listed or not."""
        return tuple(result for result in self.results if result.failures or result.unlisted)

    @property
    def unlisted(self) -> tuple[UnitResult, ...]:
        """The results that fail without a list of all their tests."""
        return tuple(result for result in self.results if result.unlisted)

    @cached_property
    def failing_tests(self) -> dict[str, int]:
        """By test type, the results that it fails; the most frequent first."""
        return dict(
            Counter(
                test
                for result in self.results
                for test, count in result.counts.items()
                if count >= self.thresholds.failures_to_fail_exposure
            ).most_common()
        )
