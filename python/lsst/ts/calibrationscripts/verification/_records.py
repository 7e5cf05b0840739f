# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict, and what it is based on."""

from __future__ import annotations

__all__ = [
    "FailedTest",
    "FailingDetector",
    "FailingTest",
    "FailureLevel",
    "StatisticsError",
    "UnitResult",
    "Verdict",
    "dataset_name",
]

import enum
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
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
class FailingTest:
    """A type of test that fails a detector."""

    test: str
    n_exposures: int
    """Exposures in which it fails the detector."""

    n_amplifiers: int
    """Most amplifiers that it fails in one of them; 0 for a test of the
    detector as a whole."""


@dataclass(frozen=True)
class FailingDetector:
    """A detector that would fail verification as the only one of its run."""

    name: str
    tests: tuple[FailingTest, ...]
    """The most frequent first."""

    n_unlisted: int
    """Exposures that failed without a list of all tests: they count as
    failed for each detector."""

    n_results: int
    """Exposures in all; 1 for what is verified as a whole."""

    of_exposures: bool = True

    @property
    def text(self) -> str:
        """What fails it, without a full stop."""
        found = [
            each.test
            + (
                f" on {each.n_amplifiers} amplifier{'s' * (each.n_amplifiers > 1)}"
                if each.n_amplifiers
                else ""
            )
            + self._in(each.n_exposures)
            for each in self.tests
        ]
        if self.n_unlisted:
            found.append(f"no list of tests{self._in(self.n_unlisted)}")
        return ", ".join(found)

    def _in(self, n: int) -> str:
        return f" in {n} of {self.n_results} exposures" if self.of_exposures else ""


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

    def of(self, detectors: Collection[str]) -> Verdict:
        """Return the verdict on some of the detectors, as a run of theirs.

        Parameters
        ----------
        detectors : `~collections.abc.Collection` [`str`]
            Names of detectors that were verified.

        Returns
        -------
        verdict : `Verdict`
            By the same rule. A test of an exposure as a whole compares all of
            its detectors, so that it says nothing of some of them.
        """
        if len(detectors) == self.n_detectors:
            return self
        results = tuple(
            replace(result, failures=tuple(each for each in result.failures if each.detector in detectors))
            for result in self.results
        )
        per_detector = self.thresholds.failures_to_fail_detector
        thresholds = Thresholds.make(per_detector, len(detectors), len(results))
        return replace(self, n_detectors=len(detectors), thresholds=thresholds, results=results)

    @cached_property
    def failing_detectors(self) -> tuple[FailingDetector, ...]:
        """The detectors that fail by themselves, in order of their names.

        Empty for a single detector, whose verdict this is.

        Notes
        -----
        A detector fails by itself if ``of([its name])`` does not pass: if, in
        at least ``exposures_to_fail`` exposures, at least
        ``failures_to_fail_detector`` tests of one type fail in it, or the
        exposure failed without a list of all tests. The majority of the
        detectors, by which a run fails, does not matter.
        """
        if self.n_detectors == 1:
            return ()
        unlisted = {i for i, result in enumerate(self.results) if result.unlisted}
        failed: dict[str, set[int]] = {}
        tests: dict[str, dict[str, list[int]]] = {}
        of_amplifiers: set[tuple[str, str]] = set()
        for i, result in enumerate(self.results):
            counts = Counter((failure.detector, failure.test) for failure in result.failures)
            of_amplifiers |= {(each.detector, each.test) for each in result.failures if each.amplifier}
            for (name, test), count in counts.items():
                if name and count >= self.thresholds.failures_to_fail_detector:
                    failed.setdefault(name, set()).add(i)
                    tests.setdefault(name, {}).setdefault(test, []).append(count)

        def failing(name: str) -> FailingDetector:
            found = (
                FailingTest(test, len(counts), max(counts) if (name, test) in of_amplifiers else 0)
                for test, counts in tests[name].items()
            )
            by_frequency = sorted(found, key=lambda each: -each.n_exposures)
            n_unlisted, n = len(unlisted - failed[name]), len(self.results)
            return FailingDetector(name, tuple(by_frequency), n_unlisted, n, self.of_exposures)

        limit = self.thresholds.exposures_to_fail
        return tuple(failing(name) for name in sorted(failed) if len(failed[name] | unlisted) >= limit)
